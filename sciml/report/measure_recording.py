"""One pass over a recording for its report: traces, power spectrum, spectrogram, components in time, hash.

Each measure takes the blocks that it would read by itself, so that its numbers do not depend on the others.
"""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, BoolArray, FloatArray, IntArray
from sciml.errors import DataError
from sciml.noise import NoiseFloor
from sciml.plot.moments import MOST, Moment, loudest_moment
from sciml.plot.movies import MovieAccumulator
from sciml.plot.raster import RasterAccumulator
from sciml.recording import TIME, blocks, feature_dims, feature_shape, n_features, sampling_rate, seconds, segments
from sciml.report.figures.canvas import envelope
from sciml.report.figures.signals import COLUMNS
from sciml.report.measures import Quality, RecordingMeasures, Strip, TimeCourse
from sciml.signal.lines import Line, find_lines
from sciml.signal.psd import SpectrogramAccumulator, WelchAccumulator

__all__ = ["measure_quality", "measure_recording"]

BLOCK_ROWS = 2**16
BLOCK_VALUES = 2**24  # samples times channels that are held at a time
MAX_CHANNELS = 4096  # of a power spectrum: beyond, every k-th stands for its neighbors
MAX_COMPONENTS = 6
MAX_TRACES = 4
MAX_SEGMENT = 2**16  # samples of one Welch segment: finer lines than this resolves are rare, memory is not
MAX_CELLS = 2**24  # frequencies times channels that a power spectrum may hold
FEW_ENDS = 5  # values at an end that may come by chance
FEW_VALUES = 16  # different values up to which many at an end are no converter's end
FEW = 4  # channels up to which each is looked at closely
MIN_SPECTROGRAM = 4096
MAX_IMAGE = 2**25  # samples that a spectrogram is made from
HASHED_BYTES = 2**30

T = TypeVar("T")


class Measure(Protocol):
    """What takes the blocks of a recording, `rows` samples at most each, in order of time."""

    rows: int

    def add(self, part: slice, values: AnyArray) -> None: ...


def measure_recording(recording: xr.DataArray, floor: NoiseFloor | None) -> RecordingMeasures:
    """Pass over a recording once, and measure all that its report shows but the noise floors."""
    sampled = _some_channels(recording)
    traces = _traces(recording)
    components = None if floor is None or floor.rank == 0 else _components(recording, floor)
    welch, no_density = _or_reason(lambda: WelchAccumulator(sampled, segment=_segment(sampled)))
    image = _image(recording) if welch else None
    raster = RasterAccumulator(recording) if n_features(recording) > MAX_TRACES and recording.sizes[TIME] > 1 else None
    maps = MovieAccumulator(recording) if _is_movie(recording) else None
    first = _FirstChannel(recording) if image else None
    extremes = _Extremes(recording) if recording.dtype.kind in "iuf" else None
    digest = _Digest.of(recording)
    consumers = [_Consumer(each, recording, np.array([column])) for column, each in enumerate(traces)]
    consumers += [_Consumer(components, recording)] if components else []
    consumers += [_Consumer(welch, sampled, _columns(recording, sampled))] if welch else []
    consumers += [_Consumer(image, image.recording, np.array([0]))] if image else []
    consumers += [_Consumer(first, recording, np.array([0]))] if first else []
    consumers += [_Consumer(each, recording) for each in (raster, maps, extremes) if each is not None]
    _read_once(recording, consumers, digest)
    density, no_density = _or_reason(welch.result) if welch else (None, no_density)
    return RecordingMeasures(
        quality=measure_quality(recording),
        traces=tuple(curve for each in traces for curve in each.result()),
        density=density,
        no_density=no_density,
        lines=() if density is None else _lines(density),
        spectrogram=image.result() if image else None,
        components=components.result() if components else (),
        raster=raster.result() if raster else None,
        maps=maps.result() if maps else None,
        moment=first.moment() if first else None,
        saturated=extremes.saturated() if extremes else (0.0, 0.0),
        sha256=digest.hexdigest(),
    )


def _or_reason(make: Callable[[], T]) -> tuple[T | None, str]:
    """Return what is made, or None and why it cannot be."""
    try:
        return make(), ""
    except DataError as error:
        return None, str(error)


# ---- reading


def _read_once(recording: xr.DataArray, consumers: "Sequence[_Consumer]", digest: "_Digest") -> None:
    """Read a recording block by block, and hand each block to all."""
    if not consumers and not digest.wanted:
        return
    n, ordered = n_features(recording), recording.transpose(TIME, ...)
    # the largest blocks that a measure wants, so that they need not be put together of smaller ones
    rows = max((each.measure.rows for each in consumers if each.measure.rows * n <= BLOCK_VALUES), default=_rows(n))
    for part in _parts(recording, rows):
        block = ordered.isel({TIME: part}).load()
        digest.add(block)
        [(_, values)] = blocks(block, len(block), across_gaps=True)
        for consumer in consumers:
            consumer.add(values)


def _rows(features: int) -> int:
    return max(1, min(BLOCK_ROWS, BLOCK_VALUES // features))


def _parts(recording: xr.DataArray, rows: int) -> list[slice]:
    """Return the blocks of `sciml.recording.blocks`."""
    return [
        slice(start, min(start + rows, segment.stop))
        for segment in segments(recording)
        for start in range(segment.start, segment.stop, rows)
    ]


class _Consumer:
    """Cuts what is read into the blocks that a measure would read by itself: of `recording`, in these `columns`."""

    def __init__(self, measure: Measure, recording: xr.DataArray, columns: IntArray | None = None) -> None:
        self.measure, self.columns = measure, columns
        self.parts = _parts(recording, measure.rows)[::-1]
        self.pending: list[AnyArray] = []

    def add(self, values: AnyArray) -> None:
        values = values if self.columns is None else values[:, self.columns]
        while len(values) and self.parts:
            part = self.parts[-1]
            missing = part.stop - part.start - sum(map(len, self.pending))
            self.pending.append(values[:missing])
            if len(values) >= missing:
                whole = self.pending[0] if len(self.pending) == 1 else np.concatenate(self.pending)
                self.measure.add(self.parts.pop(), whole)
                self.pending = []
            values = values[missing:]


class _Digest:
    """The sha256 that a file's reader noted, else that of the values where they are in memory, else None."""

    def __init__(self, noted: str | None, *, wanted: bool) -> None:
        self.noted, self.wanted = noted, wanted
        self.hash = hashlib.sha256()

    @classmethod
    def of(cls, recording: xr.DataArray) -> "_Digest":
        if "sha256" in recording.attrs:
            return cls(str(recording.attrs["sha256"]), wanted=False)
        small = recording.chunks is None and recording.nbytes <= HASHED_BYTES
        if small and recording.dims[0] != TIME:  # its bytes do not come in the order of time
            values = np.ascontiguousarray(recording.values)
            return cls(hashlib.sha256(values.tobytes()).hexdigest(), wanted=False)
        return cls(None, wanted=small)

    def add(self, block: xr.DataArray) -> None:
        if self.wanted:
            self.hash.update(np.ascontiguousarray(block.values).tobytes())

    def hexdigest(self) -> str | None:
        return self.hash.hexdigest() if self.wanted else self.noted


# ---- curves over time


class _Envelopes:
    """Time courses ((x - mean) / scale) @ basis, each thinned block by block, with a break at each gap."""

    def __init__(self, recording: xr.DataArray, mean: AnyArray, basis: AnyArray, scale: FloatArray) -> None:
        self.time, self.total = _clock(recording), recording.sizes[TIME]
        self.breaks = {segment.start for segment in segments(recording)} - {0}
        self.mean, self.basis = mean, basis
        self.inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        self.rows = _rows(len(scale))
        self.times: list[list[AnyArray]] = [[] for _ in range(basis.shape[1])]
        self.values: list[list[AnyArray]] = [[] for _ in range(basis.shape[1])]

    def add(self, part: slice, values: AnyArray) -> None:
        columns = max(2, round(2 * COLUMNS * len(values) / self.total))
        for times, shown, curve in zip(self.times, self.values, self.project(values).T, strict=True):
            if part.start in self.breaks:
                times.append(np.array([self.time[part.start]]))
                shown.append(np.array([np.nan]))
            t, y = envelope(self.time[part], curve, columns=columns)
            times.append(t)
            shown.append(y)

    def project(self, values: AnyArray) -> FloatArray:
        """Project one block; missing values count as the mean, samples without any value stay missing."""
        centered = (values - self.mean) * self.inverse
        missing = ~np.isfinite(centered)
        scores = np.where(missing, 0.0, centered) @ self.basis.conj()
        scores = np.abs(scores) if np.iscomplexobj(scores) else scores
        return np.where(missing.all(axis=1)[:, None], np.nan, scores)

    def result(self) -> tuple[TimeCourse, ...]:
        pairs = zip(self.times, self.values, strict=True)
        return tuple(TimeCourse(np.concatenate(times), np.concatenate(values)) for times, values in pairs)


def _traces(recording: xr.DataArray) -> list[_Envelopes]:
    """Return a measure of each of the first channels as it is."""
    n = 0 if recording.dtype.kind == "c" else min(n_features(recording), MAX_TRACES)
    return [_Envelopes(recording, np.zeros(1), np.ones((1, 1)), np.ones(1)) for _ in range(n)]


def _components(recording: xr.DataArray, floor: NoiseFloor) -> _Envelopes:
    k = min(floor.rank, MAX_COMPONENTS)
    return _Envelopes(recording, floor.channel_mean, floor.filters[:, :k], floor.channel_scale)


# ---- spectra


def _some_channels(recording: xr.DataArray) -> xr.DataArray:
    """Return the recording, or every k-th feature along each dim where they are very many."""
    return recording.isel({dim: slice(None, None, _step(recording)) for dim in feature_dims(recording)})


def _step(recording: xr.DataArray) -> int:
    return int(np.ceil((n_features(recording) / MAX_CHANNELS) ** (1 / max(len(feature_dims(recording)), 1))))


def _columns(recording: xr.DataArray, sampled: xr.DataArray) -> IntArray | None:
    """Return which features of the recording were sampled; None for all."""
    if sampled.shape == recording.shape:
        return None
    shape = feature_shape(recording)
    return np.arange(n_features(recording)).reshape(shape)[(slice(None, None, _step(recording)),) * len(shape)].ravel()


def _segment(recording: xr.DataArray) -> float | None:
    """Return a segment length in seconds: longer (finer lines) for few channels, within memory for many."""
    rate = _rate(recording)
    longest = max(each.stop - each.start for each in segments(recording))
    most = min(MAX_SEGMENT, max(2 * MAX_CELLS // n_features(recording), 256))
    parts = 4 if n_features(recording) <= FEW and longest >= MIN_SPECTROGRAM else 8
    return min(longest // parts, most) / rate if rate is not None and longest // parts >= 256 else None


def _lines(density: xr.DataArray) -> tuple[Line, ...]:
    """Return the lines in the median spectrum of the channels that have one."""
    power = density.values.reshape(density.sizes["frequency"], -1)
    power = power[:, np.isfinite(power).all(axis=0)]
    return find_lines(density["frequency"].values, np.median(power, axis=1)) if power.any() else ()


def _image(recording: xr.DataArray) -> SpectrogramAccumulator | None:
    """Return a measure of the first channel's spectrogram where it can show something: few channels, many samples."""
    n, rate = recording.sizes[TIME], _rate(recording)
    if n_features(recording) > FEW or n < MIN_SPECTROGRAM or rate is None or recording.dtype.kind == "c":
        return None
    one = recording.isel(dict.fromkeys(feature_dims(recording), 0)).isel({TIME: slice(0, MAX_IMAGE)})
    longest = max(each.stop - each.start for each in segments(one))
    length = int(np.clip(2 * one.sizes[TIME] / 400, 64, min(2**15, longest)))
    return SpectrogramAccumulator(one, segment=length / rate)


# ---- at a glance


def _is_movie(recording: xr.DataArray) -> bool:
    shape = feature_shape(recording)
    return len(shape) == 2 and min(shape) > FEW and recording.sizes[TIME] > 1


class _Extremes:
    """Counts the values at the lowest and the highest: many of them are a converter at its end."""

    def __init__(self, recording: xr.DataArray) -> None:
        self.rows = _rows(n_features(recording))
        self.low, self.high, self.n_low, self.n_high, self.n = np.inf, -np.inf, 0, 0, 0
        self.step = 0.0  # largest distance of a value from a whole number

    def add(self, _part: slice, values: AnyArray) -> None:
        known = values[np.isfinite(values)]
        if not known.size:
            return
        low, high = float(known.min()), float(known.max())
        self.step = max(self.step, float(np.abs(known - np.round(known)).max()))
        self.n_low = self.n_low * (low >= self.low) + int(np.sum(known == low)) * (low <= self.low)
        self.n_high = self.n_high * (high <= self.high) + int(np.sum(known == high)) * (high >= self.high)
        self.low, self.high, self.n = min(low, self.low), max(high, self.high), self.n + known.size

    def saturated(self) -> tuple[float, float]:
        """Return the fractions at the lowest and the highest; of few different values, and at zero, none is meant."""
        whole = self.step == 0
        if self.n == 0 or (whole and self.high - self.low <= FEW_VALUES):
            return 0.0, 0.0
        ends = (self.n_low if self.low < 0 else 0, self.n_high)
        low, high = (count / self.n if count > FEW_ENDS else 0.0 for count in ends)
        return low, high


class _FirstChannel:
    """Holds the first channel, as much of it as the search for its loudest moment takes."""

    def __init__(self, recording: xr.DataArray) -> None:
        one = recording.isel(dict.fromkeys(feature_dims(recording), 0))
        self.recording = one.isel({TIME: slice(0, MOST)})
        self.values = np.full(self.recording.sizes[TIME], np.nan)
        self.rows = BLOCK_ROWS

    def add(self, part: slice, values: AnyArray) -> None:
        held = self.values[part]
        held[:] = values[: len(held), 0]

    def moment(self) -> Moment | None:
        """Return its loudest moment; None where gaps or missing values leave too little."""
        found, _ = _or_reason(lambda: loudest_moment(self.recording.copy(data=self.values)))
        return found


# ---- clock and flags


def measure_quality(recording: xr.DataArray) -> Quality:
    """Return what the coordinates of a recording say of its clock and of what is left out."""
    time, pieces = _clock(recording), segments(recording)
    return Quality(
        rate=_rate(recording),
        start=float(time[0]),
        stop=float(time[-1]),
        gaps=tuple((float(time[a.stop - 1]), float(time[b.start])) for a, b in itertools.pairwise(pieces)),
        masked_fraction=float(recording["mask"].mean()) if "mask" in recording.coords else 0.0,
        strips=tuple(_strips(recording)),
    )


def _clock(recording: xr.DataArray) -> FloatArray:
    """Return the time of each sample in seconds (its index where the recording has no clock)."""
    if (times := seconds(recording)) is not None:
        return times
    rate = _rate(recording) or 1.0
    return np.arange(recording.sizes[TIME]) / rate


def _rate(recording: xr.DataArray) -> float | None:
    """Return the sampling rate in Hz, or None where the recording has no clock."""
    try:
        return sampling_rate(recording)
    except DataError:
        return None


def _strips(recording: xr.DataArray) -> list[Strip]:
    """Return when the mask and each quality flag are set."""
    time, found = _clock(recording), []
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


def _strip(name: str, time: FloatArray, flag: BoolArray) -> Strip:
    """Turn samples into intervals; more of them than a screen has columns are merged with their neighbors."""
    step = float(np.median(np.diff(time))) if len(time) > 1 else 1.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flag, [False]]).astype(np.int8)))
    starts, stops = time[edges[::2]], time[edges[1::2] - 1] + step
    smallest = (time[-1] - time[0]) / 1500
    keep = np.concatenate([[True], starts[1:] - stops[:-1] > smallest]) if len(starts) else np.zeros(0, bool)
    ends = np.append(np.flatnonzero(keep)[1:] - 1, len(stops) - 1) if len(starts) else np.zeros(0, int)
    spans = tuple((float(a), float(b)) for a, b in zip(starts[keep], stops[ends], strict=True))
    return Strip(name, spans, float(flag.mean()))
