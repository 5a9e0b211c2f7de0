"""A recording in a report: what it is, what was left out, its spectrum, and its components in time."""

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.noise import NoiseFloor
from sciml.recording import TIME, blocks, feature_dims, feature_shape, n_features, sampling_rate, segments
from sciml.report.document.parts import Figure, Finding, Section, Table
from sciml.report.document.wording import count, percent, quantity, series, stated_unit, times
from sciml.report.figures.canvas import envelope
from sciml.report.figures.signals import (
    COLUMNS,
    Course,
    Strip,
    component_courses,
    power_figure,
    spectrogram_figure,
    strips_figure,
    traces,
)
from sciml.report.sections.methods import spectrum_methods
from sciml.signal.lines import find_lines, strongest_of_groups
from sciml.signal.psd import power_spectrum, spectrogram

__all__ = ["Evidence", "components_section", "data_hash", "facts", "quality_section", "spectrum_evidence"]

BLOCK_ROWS = 2**16
BLOCK_VALUES = 2**24  # samples times channels that are held at a time
MAX_CHANNELS = 4096  # of a power spectrum: beyond, every k-th stands for its neighbors
MAX_COURSES = 6
MAX_TRACES = 4
MAX_SEGMENT = 2**16  # samples of one Welch segment: finer lines than this resolves are rare, memory is not
MAX_CELLS = 2**24  # frequencies times channels that a power spectrum may hold
FEW = 4  # channels up to which each is looked at closely
MIN_SPECTROGRAM = 4096
MAX_IMAGE = 2**25  # samples that a spectrogram is made from
HASHED_BYTES = 2**30


@dataclass(frozen=True)
class Evidence:
    """A section with the findings, numbers and methods that come with it."""

    section: Section
    findings: tuple[Finding, ...] = ()
    numbers: Mapping[str, Any] | None = None
    methods: str = ""
    cites: tuple[str, ...] = ()


def clock(recording: xr.DataArray) -> NDArray[np.float64]:
    """Return the time of each sample in seconds (its index where the recording has no clock)."""
    if TIME in recording.coords:
        return np.asarray(recording[TIME].values, dtype=np.float64)
    rate = rate_or_none(recording) or 1.0
    return np.arange(recording.sizes[TIME]) / rate


def rate_or_none(recording: xr.DataArray) -> float | None:
    """Return the sampling rate in Hz, or None where the recording has no clock."""
    try:
        return sampling_rate(recording)
    except DataError:
        return None


def units_of(recording: xr.DataArray) -> str:
    """Return the unit of the values; what a file writes for "no unit" counts as none."""
    return stated_unit(str(recording.attrs.get("units", "")))


def recording_name(recording: xr.DataArray) -> str:
    """Return the path of the signal in its file, or the array's name, on one line."""
    name = str(recording.attrs.get("signal") or ("" if recording.name is None else recording.name))
    first, *more = name.splitlines() or ["A recording"]
    return f"{first} and {count(len(more), 'more signal')}" if more else first


def facts(recording: xr.DataArray) -> tuple[tuple[str, str], ...]:
    """Return the few values that place a recording at a glance."""
    rate, time = rate_or_none(recording), clock(recording)
    shape = times(feature_shape(recording))
    found = [
        (" × ".join(f"{dim}s" for dim in feature_dims(recording)), shape) if shape else ("channels", "1"),
        ("samples", f"{recording.sizes[TIME]:,}"),
    ]
    if rate is not None:
        found += [
            ("sampling rate", f"{rate:,.6g} Hz"),
            ("duration", quantity(float(time[-1] - time[0]) + 1 / rate, "s")),
        ]
    if units_of(recording):
        found.append(("unit", units_of(recording)))
    return tuple(found)


def gaps(recording: xr.DataArray) -> list[tuple[float, float]]:
    """Return the gaps of the clock as (last time before, first time after) in seconds."""
    time, runs = clock(recording), segments(recording)
    return [(float(time[a.stop - 1]), float(time[b.start])) for a, b in itertools.pairwise(runs)]


def data_hash(recording: xr.DataArray) -> str | None:
    """Return the sha256 that the file's reader noted, else that of the values in memory, else None.

    Examples
    --------
    >>> data_hash(xr.DataArray(np.zeros(2), dims="time"))[:8]
    '374708ff'
    """
    if "sha256" in recording.attrs:
        return str(recording.attrs["sha256"])
    if recording.chunks is not None or recording.nbytes > HASHED_BYTES:
        return None
    return hashlib.sha256(np.ascontiguousarray(recording.values).tobytes()).hexdigest()


def quality_section(recording: xr.DataArray) -> Evidence:
    """Return what the recording is and what of it is missing or flagged."""
    holes = gaps(recording)
    strips = _strips(recording)
    figures: list[Figure] = []
    time = clock(recording)
    if recording.dtype.kind != "c":
        figures.append(_overview(recording))
    if strips and len(time) > 1:
        figures.append(strips_figure(strips, start=float(time[0]), stop=float(time[-1])))
    rows = _fact_rows(recording, holes)
    return Evidence(
        Section("The recording", figures=tuple(figures), tables=(Table("Facts", ("property", "value"), rows),)),
        findings=_quality_findings(recording, holes),
        numbers=dict(rows),
    )


def _fact_rows(recording: xr.DataArray, holes: list[tuple[float, float]]) -> tuple[tuple[str, Any], ...]:
    time = clock(recording)
    longest = max((b - a for a, b in holes), default=0.0)
    rows: list[tuple[str, Any]] = [
        ("signal", recording_name(recording)),
        ("dims", ", ".join(f"{dim} {size:,}" for dim, size in recording.sizes.items())),
        ("values", str(recording.dtype)),
        ("unit", units_of(recording) or "not stated"),
        ("sampling rate [Hz]", rate_or_none(recording)),
        ("from [s]", float(time[0])),
        ("to [s]", float(time[-1])),
        ("gaps in the clock", len(holes)),
        ("longest gap [s]", longest or None),
        ("masked share [%]", 100 * _masked_share(recording)),
    ]
    stated = [(name, str(recording.attrs[name])) for name in ("instrument", "start") if name in recording.attrs]
    return tuple(row for row in [*rows, *stated] if row[1] is not None)


def _masked_share(recording: xr.DataArray) -> float:
    return float(recording["mask"].mean()) if "mask" in recording.coords else 0.0


def _quality_findings(recording: xr.DataArray, holes: list[tuple[float, float]]) -> tuple[Finding, ...]:
    found = []
    share = _masked_share(recording)
    if share:
        found.append(
            Finding(f"{percent(share)} of the samples are masked and were left out.", "caution", {"masked": share})
        )
    if holes:
        longest = max(b - a for a, b in holes)
        found.append(
            Finding(
                f"The clock has {count(len(holes), 'gap')}; {'it lasts' if len(holes) == 1 else 'the longest lasts'} "
                f"{quantity(longest, 's')}. No window or segment straddles a gap.",
                "note",
                {"gaps": len(holes), "longest_gap_s": longest},
            )
        )
    return tuple(found)


def _overview(recording: xr.DataArray) -> Figure:
    """Draw the first channels as they are."""
    names = _channel_names(recording)[:MAX_TRACES]
    thinned = [_thinned(recording, column) for column in range(len(names))]
    total = n_features(recording)
    title = "The recording" if total <= MAX_TRACES else f"The first {MAX_TRACES} of {total:,} {_plural_dim(recording)}"
    return traces([t for t, _ in thinned], [y for _, y in thinned], names=names, units=units_of(recording), title=title)


def _plural_dim(recording: xr.DataArray) -> str:
    dims = feature_dims(recording)
    return f"{dims[0]}s" if len(dims) == 1 else "channels"


def _channel_names(recording: xr.DataArray) -> list[str]:
    dims = feature_dims(recording)
    if not dims:
        return [recording_name(recording)]
    labels = (
        recording[dims[0]].values if len(dims) == 1 and dims[0] in recording.coords else range(n_features(recording))
    )
    return [f"{' × '.join(dims)} {label}" for label in list(labels)[: MAX_TRACES + 1]]


def _thinned(recording: xr.DataArray, column: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the envelope of one feature over time, with a break at each gap."""
    dims = feature_dims(recording)
    where = np.unravel_index(column, feature_shape(recording)) if dims else ()
    one = recording.isel({dim: int(i) for dim, i in zip(dims, where, strict=True)})
    return _envelopes(one, np.zeros(1), np.ones((1, 1)), np.ones(1))[0]


def _envelopes(
    recording: xr.DataArray, mean: NDArray[Any], basis: NDArray[Any], scale: NDArray[np.float64]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return time and value of ((x - mean) / scale) @ basis, each column thinned block by block, gaps as NaN."""
    time, total = clock(recording), recording.sizes[TIME]
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    found: list[tuple[list[Any], list[Any]]] = [([], []) for _ in range(basis.shape[1])]
    starts = {run.start for run in segments(recording)} - {0}
    rows = max(1, min(BLOCK_ROWS, BLOCK_VALUES // n_features(recording)))
    for part, values in blocks(recording, rows):
        courses = _project(values, mean, inverse, basis)
        columns = max(2, round(2 * COLUMNS * len(values) / total))
        for (stamps, shown), course in zip(found, courses.T, strict=True):
            if part.start in starts:
                stamps.append([time[part.start]])
                shown.append([np.nan])
            t, y = envelope(time[part], course, columns=columns)
            stamps.append(t)
            shown.append(y)
    return [(np.concatenate(stamps), np.concatenate(shown)) for stamps, shown in found]


def _project(
    values: NDArray[Any], mean: NDArray[Any], inverse: NDArray[np.float64], basis: NDArray[Any]
) -> NDArray[np.float64]:
    """Project one block; missing values count as the mean, samples without any value stay missing."""
    centered = (values - mean) * inverse
    missing = ~np.isfinite(centered)
    course = np.where(missing, 0.0, centered) @ basis.conj()
    course = np.abs(course) if np.iscomplexobj(course) else course
    return np.where(missing.all(axis=1)[:, None], np.nan, course)


def _strips(recording: xr.DataArray) -> list[Strip]:
    """Return when the mask and each quality flag are set."""
    time, found = clock(recording), []
    if "mask" in recording.coords and TIME in recording["mask"].dims:
        mask = recording["mask"]
        left_out = mask.any([dim for dim in mask.dims if dim != TIME]).values
        partly = " (some channel)" if mask.ndim > 1 else ""
        found.append(_strip(f"left out{partly}", time, left_out))
    for coord in recording.coords.values():
        if coord.dims == (TIME,) and "flags" in coord.attrs and coord.dtype.kind in "iu":
            bits = coord.values.astype(np.int64)
            flags = [str(flag) for flag in np.atleast_1d(coord.attrs["flags"])]
            found += [_strip(flag, time, (bits >> i & 1).astype(bool)) for i, flag in enumerate(flags)]
    return found


def _strip(name: str, time: NDArray[np.float64], flag: NDArray[np.bool_]) -> Strip:
    """Turn samples into stretches; more of them than a screen has columns are merged with their neighbors."""
    step = float(np.median(np.diff(time))) if len(time) > 1 else 1.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flag, [False]]).astype(np.int8)))
    starts, stops = time[edges[::2]], time[edges[1::2] - 1] + step
    smallest = (time[-1] - time[0]) / 1500
    keep = np.concatenate([[True], starts[1:] - stops[:-1] > smallest]) if len(starts) else np.zeros(0, bool)
    ends = np.append(np.flatnonzero(keep)[1:] - 1, len(stops) - 1) if len(starts) else np.zeros(0, int)
    spans = tuple((float(a), float(b)) for a, b in zip(starts[keep], stops[ends], strict=True))
    return Strip(name, spans, float(flag.mean()))


def spectrum_evidence(recording: xr.DataArray) -> Evidence:
    """Return the power spectrum with its lines, and the spectrogram where channels are few and fast."""
    sampled = _some_channels(recording)
    try:
        density = power_spectrum(sampled, segment=_segment(sampled))
    except DataError as error:
        return Evidence(Section("Power spectrum", text=f"No power spectrum: {error}"))
    f = density["frequency"].values
    power = density.values.reshape(len(f), -1)
    power = power[:, np.isfinite(power).all(axis=0)]
    if not power.any():
        return Evidence(Section("Power spectrum", text="No power spectrum: every channel is constant."))
    middle = np.median(power, axis=1)
    lines = find_lines(f, middle)
    figures = [power_figure(f, power, units=units_of(recording), lines=lines), *_spectrograms(recording)]
    text, cites = spectrum_methods(float(1 / f[1]))
    return Evidence(
        Section("Power spectrum", text=_resolution(density) + _sampling(recording, sampled), figures=tuple(figures)),
        findings=_line_findings(recording, lines),
        numbers={"lines": [vars(line) for line in lines], "resolution_hz": float(f[1])},
        methods=text,
        cites=tuple(cites),
    )


def _resolution(density: xr.DataArray) -> str:
    f = density["frequency"].values
    n = count(int(density.attrs["n_segments"]), "segment")
    return (
        f"Welch's method: {n} of {quantity(float(1 / f[1]), 's')}, which "
        f"resolves {quantity(float(f[1]), 'Hz')}. A line is a peak that stands above the running median of its "
        "surroundings by more than chance allows (about 2 in 100 spectra without lines are given one)."
    )


def _some_channels(recording: xr.DataArray) -> xr.DataArray:
    """Return the recording, or every k-th feature along each dim where they are very many."""
    dims = feature_dims(recording)
    step = int(np.ceil((n_features(recording) / MAX_CHANNELS) ** (1 / max(len(dims), 1))))
    return recording.isel({dim: slice(None, None, step) for dim in dims})


def _sampling(recording: xr.DataArray, sampled: xr.DataArray) -> str:
    if sampled.shape == recording.shape:
        return ""
    return f" {n_features(sampled):,} of the {n_features(recording):,} channels, evenly spaced, stand for all."


def _segment(recording: xr.DataArray) -> float | None:
    """Return a segment length in seconds: longer (finer lines) for few channels, within memory for many."""
    rate = rate_or_none(recording)
    longest = max(run.stop - run.start for run in segments(recording))
    most = min(MAX_SEGMENT, max(2 * MAX_CELLS // n_features(recording), 256))
    share = 4 if n_features(recording) <= FEW and longest >= MIN_SPECTROGRAM else 8
    return min(longest // share, most) / rate if rate is not None and longest // share >= 256 else None


def _line_findings(recording: xr.DataArray, lines: tuple[Any, ...]) -> tuple[Finding, ...]:
    """Say which lines stand out; only for one channel they lead, elsewhere the components do."""
    if not lines:
        return ()
    named = series(f"{line.frequency:.4g} Hz" for line in strongest_of_groups(lines)[:6])
    many = "narrow line stands" if len(lines) == 1 else "narrow lines stand"
    most = "at least " if len(lines) >= 100 else ""
    return (
        Finding(
            f"{most}{len(lines)} {many} above the spectrum".capitalize()
            + (f": {named}." if len(lines) <= 6 else f"; the strongest are at {named}."),
            "result" if n_features(recording) == 1 else "note",
            {"lines_hz": [line.frequency for line in lines]},
        ),
    )


def _spectrograms(recording: xr.DataArray) -> list[Figure]:
    """Draw the first channel's spectrogram where it can show something: few channels, many samples."""
    n, rate = recording.sizes[TIME], rate_or_none(recording)
    if n_features(recording) > FEW or n < MIN_SPECTROGRAM or rate is None:
        return []
    dims = feature_dims(recording)
    one = recording.isel(dict.fromkeys(dims, 0)).isel({TIME: slice(0, MAX_IMAGE)})
    longest = max(run.stop - run.start for run in segments(one))
    length = int(np.clip(2 * one.sizes[TIME] / 400, 64, min(2**15, longest)))
    density = spectrogram(one, segment=length / rate)
    name = _channel_names(recording)[0] if dims else ""
    f, time = density["frequency"].values, density[TIME].values
    known = np.isfinite(density.values).all(axis=0)
    if known.sum() < 8 or not np.median(density.values[:, known], axis=1).any():
        return []
    return [spectrogram_figure(f, time[known], density.values[:, known], channel=name)]


def components_section(recording: xr.DataArray, floor: NoiseFloor) -> Section:
    """Return the components above the floor over time and over channels."""
    if floor.rank == 0:
        return Section("Components", text="No component stands above the noise floor, so there is none to show.")
    k = min(floor.rank, MAX_COURSES)
    basis = floor.components[:, :k]
    courses = [
        Course(t, y, _real(basis[:, i]), float(floor.eigenvalues[i]), float(floor.p_values[i]))
        for i, (t, y) in enumerate(_envelopes(recording, floor.channel_mean, basis, floor.channel_scale))
    ]
    dims = feature_dims(recording)
    shape = feature_shape(recording)
    more = f" The first {k} of {floor.rank} are shown." if floor.rank > k else ""
    return Section(
        "Components",
        text="Each component is a pattern over the channels (loading, of unit length; its sign is arbitrary) and its "
        f"course in time, in standard deviations of the noise.{more}",
        figures=(
            component_courses(
                courses, shape=shape if len(shape) == 2 else (n_features(recording),),
                dim=dims[0] if len(dims) == 1 else "channel",
            ),
        ),
    )  # fmt: skip


def _real(loading: NDArray[Any]) -> NDArray[np.float64]:
    return np.abs(loading) if np.iscomplexobj(loading) else np.asarray(loading, dtype=np.float64)
