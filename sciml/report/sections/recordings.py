"""A recording in a report: what it is, what was left out, its spectrum, and its components in time."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.noise import NoiseFloor
from sciml.noise.channels.positions import positions_of
from sciml.plot.moments import Moment
from sciml.recording import TIME, feature_dims, feature_shape, n_features
from sciml.report.document.parts import Figure, Finding, Section, Table
from sciml.report.figures.overview import layout_figure, moment_figure, raster_figure
from sciml.report.figures.signals import (
    Component,
    component_figure,
    power_figure,
    spectrogram_figure,
    strips_figure,
    traces,
)
from sciml.report.measures import Quality, RecordingMeasures, TimeCourse
from sciml.report.sections.evidence import Evidence
from sciml.report.sections.methods import spectrum_methods
from sciml.signal.lines import strongest_of_groups
from sciml.wording import count, p_value, percent, quantity, series, times, unit_or_blank

__all__ = ["components_section", "facts", "quality_section", "recording_name", "spectrum_evidence"]


MAX_NAMES = 5  # of channels
CLIPPED = 0.001  # fraction of the values at an end of their range from which it is named
RARE = 0.01  # chance below which a moment is said to be louder than noise


def units_of(recording: xr.DataArray) -> str:
    """Return the unit of the values; what a file writes for "no unit" counts as none."""
    return unit_or_blank(str(recording.attrs.get("units", "")))


def recording_name(recording: xr.DataArray) -> str:
    """Return the path of the signal in its file, or the array's name, on one line."""
    name = str(recording.attrs.get("signal") or ("" if recording.name is None else recording.name))
    first, *more = name.splitlines() or ["A recording"]
    return f"{first} and {count(len(more), 'more signal')}" if more else first


def facts(recording: xr.DataArray, quality: Quality) -> tuple[tuple[str, str], ...]:
    """Return the few values that place a recording at a glance."""
    shape = times(feature_shape(recording))
    found = [
        (" × ".join(_plurals(feature_dims(recording))), shape) if shape else ("channels", "1"),
        ("samples", f"{recording.sizes[TIME]:,}"),
    ]
    if quality.rate is not None:
        found += [
            ("sampling rate", f"{quality.rate:,.6g} Hz"),
            ("duration", quantity(quality.stop - quality.start + 1 / quality.rate, "s")),
        ]
    if units_of(recording):
        found.append(("unit", units_of(recording)))
    return tuple(found)


def _plurals(dims: tuple[str, ...]) -> list[str]:
    return [f"{dim}s" for dim in dims] if len(dims) == 1 else list(dims)


def quality_section(recording: xr.DataArray, measured: RecordingMeasures) -> Evidence:
    """Return what the recording is and what of it is missing or flagged."""
    quality = measured.quality
    figures: list[Figure] = []
    if measured.raster is not None:
        figures.append(raster_figure(measured.raster, name=_dim_name(recording)))
    if measured.traces:
        figures.append(_overview(recording, measured.traces))
    if quality.strips and recording.sizes[TIME] > 1:
        figures.append(strips_figure(quality.strips, start=quality.start, stop=quality.stop))
    rows = _fact_rows(recording, quality)
    return Evidence(
        Section("The recording", figures=tuple(figures), tables=(Table("Facts", ("property", "value"), rows),)),
        findings=(*_saturation(measured.saturated), *_quality_findings(quality)),
        numbers=dict(rows),
    )


def _fact_rows(recording: xr.DataArray, quality: Quality) -> tuple[tuple[str, Any], ...]:
    rows: list[tuple[str, Any]] = [
        ("signal", recording_name(recording)),
        ("dims", ", ".join(f"{dim} {size:,}" for dim, size in recording.sizes.items())),
        ("values", str(recording.dtype)),
        ("unit", units_of(recording) or "not stated"),
        ("sampling rate [Hz]", quality.rate),
        ("from [s]", quality.start),
        ("to [s]", quality.stop),
        ("gaps in the clock", len(quality.gaps)),
        ("longest gap [s]", quality.longest_gap or None),
        ("masked share [%]", 100 * quality.masked_fraction),
    ]
    given = [(name, str(recording.attrs[name])) for name in ("instrument", "start") if name in recording.attrs]
    return tuple(row for row in [*rows, *given] if row[1] is not None)


def _saturation(fractions: tuple[float, float]) -> tuple[Finding, ...]:
    """Say where many values are the lowest or the highest of all, as where a converter is at its end."""
    ends = [
        f"{percent(f)} are the {end}" for f, end in zip(fractions, ("lowest", "highest"), strict=True) if f > CLIPPED
    ]
    if not ends:
        return ()
    text = f"Of all values {series(ends)}, as where a converter or detector saturates; what exceeds it is missing here."
    return (Finding(text, "caution", {"at_lowest": fractions[0], "at_highest": fractions[1]}),)


def _quality_findings(quality: Quality) -> tuple[Finding, ...]:
    found, n = [], len(quality.gaps)
    if quality.masked_fraction:
        text = f"{percent(quality.masked_fraction)} of the samples are masked and were left out."
        found.append(Finding(text, "caution", {"masked": quality.masked_fraction}))
    if n:
        found.append(
            Finding(
                f"The clock has {count(n, 'gap')}; {'it lasts' if n == 1 else 'the longest lasts'} "
                f"{quantity(quality.longest_gap, 's')}. No window or segment straddles a gap.",
                "note",
                {"gaps": n, "longest_gap_s": quality.longest_gap},
            )
        )
    return tuple(found)


def _overview(recording: xr.DataArray, shown: Sequence[TimeCourse]) -> Figure:
    """Draw the first channels as they are."""
    total, names = n_features(recording), _channel_names(recording)[: len(shown)]
    title = "The recording" if total <= len(shown) else f"The first {len(shown)} of {total:,} {_plural_dim(recording)}"
    return traces(
        [each.time for each in shown], [each.value for each in shown], names=names, units=units_of(recording),
        title=title,
    )  # fmt: skip


def _dim_name(recording: xr.DataArray) -> str:
    dims = feature_dims(recording)
    return dims[0] if len(dims) == 1 else "channel"


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
    return [f"{' × '.join(dims)} {label}" for label in list(labels)[:MAX_NAMES]]


def spectrum_evidence(recording: xr.DataArray, measured: RecordingMeasures) -> Evidence:
    """Return the power spectrum with its lines, and the spectrogram where channels are few and fast."""
    density, lines = measured.density, measured.lines
    if density is None:
        return Evidence(Section("Power spectrum", text=f"No power spectrum: {measured.no_density}"))
    f = density["frequency"].values
    power = density.values.reshape(len(f), -1)
    power = power[:, np.isfinite(power).all(axis=0)]
    if not power.any():
        return Evidence(Section("Power spectrum", text="No power spectrum: every channel is constant."))
    figures = [power_figure(f, power, units=units_of(recording), lines=lines)]
    if measured.moment is not None:
        name = _channel_names(recording)[0] if feature_dims(recording) else ""
        figures.append(moment_figure(measured.moment, channel=name))
    if measured.spectrogram is not None:
        figures += _spectrogram(recording, measured.spectrogram)
    text, cites = spectrum_methods(float(1 / f[1]))
    return Evidence(
        Section("Power spectrum", text=_resolution(density) + _sampling(recording, density), figures=tuple(figures)),
        findings=_spectrum_findings(recording, measured),
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


def _sampling(recording: xr.DataArray, density: xr.DataArray) -> str:
    n, total = density.size // density.sizes["frequency"], n_features(recording)
    return "" if n == total else f" {n:,} of the {total:,} channels, evenly spaced, stand for all."


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


def _spectrum_findings(recording: xr.DataArray, measured: RecordingMeasures) -> tuple[Finding, ...]:
    """Return the lines and the loudest moment; of a single channel a moment louder than noise is the answer."""
    lines, moment = _line_findings(recording, measured.lines), _moment_finding(measured.moment)
    if measured.moment is None or not measured.moment.p_value <= RARE or n_features(recording) > 1:
        return (*lines, *moment)
    return (replace(moment[0], severity="result"), *lines)


def _moment_finding(moment: Moment | None) -> tuple[Finding, ...]:
    """Say when the channel is loudest, and whether noise of its spectrum would be as loud."""
    if moment is None:
        return ()
    place = f"{quantity(moment.at, 's', 6)}, about {quantity(moment.frequency, 'Hz')}"
    if np.isnan(moment.p_value):
        text = (
            f"Its loudest moment is at {place}; whether noise would be as loud cannot be told, since energies there "
            "are not distributed as those of Gaussian noise."
        )
    elif moment.p_value > RARE:
        text = f"Its loudest moment ({place}) is no louder than Gaussian noise of this spectrum would be."
    else:
        text = (
            f"Its loudest moment is at {place}: {moment.energy:.3g} times the median energy there, which Gaussian "
            f"noise of this spectrum reaches with {p_value(moment.p_value)} at most."
        )
    numbers = {"at_s": moment.at, "frequency_hz": moment.frequency, "p_value": moment.p_value}
    return (Finding(text, "note", numbers),)


def _spectrogram(recording: xr.DataArray, density: xr.DataArray) -> list[Figure]:
    """Draw the first channel's spectrogram where enough of it is known."""
    name = _channel_names(recording)[0] if feature_dims(recording) else ""
    f, time = density["frequency"].values, density[TIME].values
    known = np.isfinite(density.values).all(axis=0)
    if known.sum() < 8 or not np.median(density.values[:, known], axis=1).any():
        return []
    return [spectrogram_figure(f, time[known], density.values[:, known], channel=name)]


def components_section(recording: xr.DataArray, floor: NoiseFloor, shown: Sequence[TimeCourse]) -> Section:
    """Return the components above the floor over time and over channels."""
    if floor.rank == 0:
        return Section("Components", text="No component stands above the noise floor, so there is none to show.")
    k = len(shown)
    components = [
        Component(
            each.time,
            each.value,
            _real(floor.components[:, i]),
            float(floor.eigenvalues[i]),
            float(floor.p_values[i]),
        )
        for i, each in enumerate(shown)
    ]
    dims = feature_dims(recording)
    shape = feature_shape(recording)
    more = f" The first {k} of {floor.rank} are shown." if floor.rank > k else ""
    places = positions_of(recording) if len(dims) == 1 else None
    name = dims[0] if len(dims) == 1 else "channel"
    where = () if places is None else (layout_figure(places, components[0].loading, name=name),)
    return Section(
        "Components",
        text="Each component is a pattern over the channels (loading, of unit length; its sign is arbitrary) and its "
        f"time course, in standard deviations of the noise.{more}",
        figures=(
            component_figure(
                components, shape=shape if len(shape) == 2 else (n_features(recording),), dim=name
            ),
            *where,
        ),
    )  # fmt: skip


def _real(loading: NDArray[Any]) -> NDArray[np.float64]:
    return np.abs(loading) if np.iscomplexobj(loading) else np.asarray(loading, dtype=np.float64)
