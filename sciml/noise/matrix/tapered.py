"""Power spectra of the channels from tapered segments without a gap: what is shown, returned, and whitened with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.fft
import scipy.signal

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.noise.channels.statistics import ChannelStatistics
from sciml.noise.channels.subsample import Subsample
from sciml.signal.psd import welch_length

__all__ = ["Measure", "TaperedPower", "tapered_power"]

LONGEST = 2**16  # samples of a segment
SHORTEST = 64  # samples: runs between gaps that are shorter say too little of a spectrum, and are joined
RESOLVED_FROM = 6  # frequencies of a segment, below which the whole recording resolves more
FLAT = 16  # means over n samples hardly weaken frequencies up to 1 / (16 n): by 1.3 %
FEWEST = 8  # frequencies that say something of the slow part
LEAST_WITHIN = 1e-3  # of a recording's power: less within the means is mostly rounding
Measure = Callable[[AnyArray], FloatArray]


@dataclass(frozen=True)
class TaperedPower:
    """Measures (frequency, measure) of tapered Fourier coefficients at `frequencies` in cycles a sample, ascending."""

    frequencies: FloatArray
    values: FloatArray

    def between(self, low: float, high: float) -> "TaperedPower":
        """Return the part of frequencies f with low <= |f| < high."""
        inside = (np.abs(self.frequencies) >= low) & (np.abs(self.frequencies) < high)
        return TaperedPower(self.frequencies[inside], self.values[inside])


def tapered_power(statistics: ChannelStatistics, measure: Measure) -> TaperedPower:
    r"""Return measures of the tapered Fourier coefficients of the standardized channels, averaged over segments.

    A periodogram without a taper leaks: it falls with the second power of the frequency at most, and where a spectrum
    falls faster it shows its own leakage. Segments are those of `sciml.signal.psd.power_spectrum` (Welch 1967,
    doi:10.1109/TAU.1967.1161901), so that noise and recording can be held against each other: Hann tapers, half
    overlapping, none across a gap. Lower frequencies than these resolve are measured under three tapers (Thomson 1982,
    doi:10.1109/PROC.1982.12433), sin⁴(πu) times 1, sin 2πu and cos 2πu at u = (t + 1/2) / n, made orthonormal, over
    runs as long as there are, of means over several samples where those are long. Means fold high frequencies onto low
    ones, and a short segment spreads what is lower over its first frequencies: both are too high where they are wrong,
    so that the lower one counts at frequencies that both resolve.

    Parameters
    ----------
    measure
        Takes coefficients (frequency, channel) to quantities of the dimension of a power, (frequency, measure), the
        first of them a weighted sum of the powers of the channels.
    """
    statistics = statistics.as_recorded()
    typical = _typical([len(run) for run in _split(np.arange(statistics.n_samples), statistics.breaks)])
    breaks = statistics.breaks if typical >= SHORTEST else statistics.breaks[:0]
    typical = typical if typical >= SHORTEST else statistics.n_samples
    fine = _fine(statistics, breaks, welch_length(typical), measure)
    step = float(np.diff(fine.frequencies).min())
    return _combined(fine, _coarse(statistics, breaks, int(1 / (RESOLVED_FROM * step * FLAT)), measure), step)


def _fine(statistics: ChannelStatistics, breaks: IntArray, length: int, measure: Measure) -> TaperedPower:
    """Measure segments of consecutive samples."""
    subsample, held = statistics.subsample, statistics.standardized
    if subsample is None:
        assert held is not None  # noqa: S101
        return _measured(_split(held, breaks), 1, _hann(min(length, LONGEST)), measure)
    parts = zip(subsample.starts, subsample.segments, strict=True)
    runs = [run for start, part in parts for run in _split(part, breaks - start)]
    found = _measured(runs, 1, _hann(min(length, LONGEST, max(map(len, runs)))), measure)
    return found if statistics.row_weights is not None else _steady(found, subsample, measure)


def _hann(length: int) -> FloatArray:
    return np.asarray(scipy.signal.get_window("hann", length))[None]


def _coarse(statistics: ChannelStatistics, breaks: IntArray, most: int, measure: Measure) -> TaperedPower:
    """Measure the whole recording by means over at most so many of its samples, be it one."""
    held, subsample = statistics.standardized, statistics.subsample
    rows, every = (held, 1) if subsample is None else (subsample.decimated, subsample.every)
    assert rows is not None  # noqa: S101
    more = max(most // every, 1)
    if more > 1:
        rows = rows[: len(rows) // more * more].reshape(-1, more, rows.shape[1]).mean(axis=1)
    runs = _split(rows, -(-breaks // (every * more)))
    return _measured(runs, every * more, _smooth_tapers(_typical([len(run) for run in runs])), measure)


def _split(rows: AnyArray, breaks: IntArray) -> list[AnyArray]:
    """Return the stretches of rows between the breaks that lie inside them."""
    inside = np.unique(breaks[(breaks > 0) & (breaks < len(rows))])
    return [rows[start:stop] for start, stop in pairwise([0, *inside.tolist(), len(rows)])]


def _typical(lengths: list[int]) -> int:
    """Return the length that at least half of all samples have in their run."""
    longest_first = sorted(lengths, reverse=True)
    return longest_first[int(np.searchsorted(np.cumsum(longest_first), sum(lengths) / 2))]


def _measured(runs: Sequence[AnyArray], every: int, tapers: FloatArray, measure: Measure) -> TaperedPower:
    """Return the mean over segments and tapers (k, n); `every` samples make a row."""
    length, is_complex = tapers.shape[1], np.iscomplexobj(runs[0])
    tapers = tapers / np.sqrt((tapers**2).sum(axis=1, keepdims=True))
    totals: FloatArray = np.zeros((1, 1))
    n = 0
    for segment in _segments(runs, length):
        centered = segment - segment.mean(axis=0)
        for taper in tapers.astype(centered.real.dtype):
            totals, n = totals + measure(_transform(centered * taper[:, None])), n + 1
    grid = np.fft.fftfreq(length) if is_complex else np.fft.rfftfreq(length)
    order = np.argsort(grid, kind="stable")
    return TaperedPower(grid[order] / every, totals[order] * (every / n))


def _transform(values: AnyArray) -> AnyArray:
    return np.asarray(scipy.fft.fft(values, axis=0) if np.iscomplexobj(values) else scipy.fft.rfft(values, axis=0))


def _segments(runs: Sequence[AnyArray], length: int) -> Iterator[AnyArray]:
    """Yield half overlapping segments of the runs that are long enough."""
    for run in runs:
        for start in range(0, len(run) - length + 1, length - length // 2):
            yield run[start : start + length]


def _smooth_tapers(n: int) -> FloatArray:
    """Return three orthonormal tapers (3, n) that reach three frequencies to each side."""
    angle = 2 * np.pi * (np.arange(n) + 0.5) / n
    windows = np.sin(angle / 2) ** 4 * np.array([np.ones(n), np.sin(angle), np.cos(angle)])
    return np.asarray(np.linalg.qr(windows.T)[0].T)


def _combined(fine: TaperedPower, coarse: TaperedPower, step: float) -> TaperedPower:
    """Return what both say, the coarse one of low frequencies: there the lower of two measures counts."""
    fine = fine.between(step / 2, np.inf)
    limit = min(RESOLVED_FROM * step, float(np.abs(coarse.frequencies).max()))
    if len(coarse.frequencies) < FEWEST or np.diff(coarse.frequencies).min() > step / 2:
        return fine
    low, high = coarse.between(np.finfo(float).tiny, limit), fine.between(limit, np.inf)
    shown = np.abs(low.frequencies) > step  # by the segments too
    known = np.transpose([np.interp(low.frequencies, fine.frequencies, each) for each in fine.values.T])
    values = np.concatenate([np.where(shown[:, None], np.minimum(low.values, known), low.values), high.values])
    frequencies = np.concatenate([low.frequencies, high.frequencies])
    order = np.argsort(frequencies, kind="stable")
    return TaperedPower(frequencies[order], values[order])


def _steady(fine: TaperedPower, subsample: Subsample, measure: Measure) -> TaperedPower:
    """Return the power of a few segments as it is on average over the recording.

    What of the variance of all samples is not that of their means lies within the means: it is known exactly.
    """
    variance: FloatArray = np.mean(np.abs(subsample.decimated) ** 2, axis=0, dtype=np.float64)
    within = measure(np.sqrt(np.maximum(1 - variance, 0))[None])[0, 0]
    if within < LEAST_WITHIN * measure(np.ones((1, len(variance))))[0, 0]:
        return fine
    f = fine.frequencies
    angle = np.pi * np.where(f == 0, 1.0, f)
    averaged = np.where(f == 0, 1.0, np.sin(subsample.every * angle) / (subsample.every * np.sin(angle))) ** 2
    found = np.trapezoid(fine.values[:, 0] * (1 - averaged), f) / (f[-1] - f[0])
    return TaperedPower(f, fine.values * (within / found if found > 0 else 1.0))
