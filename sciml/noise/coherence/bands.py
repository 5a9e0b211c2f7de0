"""Which frequencies are tested, how wide a band around each, and how long the segments are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft

from sciml._typing import FloatArray, IntArray
from sciml.errors import ConfigError, DataError

__all__ = ["BandPlan", "Resolution", "plan_bands"]

SEGMENTS = 12  # a narrow line has one phase a segment: fewer segments are few averages of it
MIN_LENGTH = 32  # samples of a segment
MIN_AVERAGES, MOST_AVERAGES = 24, 96  # narrowest band in inverse durations; between them it is the number of channels
FEWEST_AVERAGES = 8  # of any band
QUALITY = 16.0  # center frequency over width, between the narrowest and the widest band
MOST_DOF = 512  # degrees of freedom that many channels may ask of the widest band
FILTER_PART = 16  # a whitening filter takes at most this part of a segment
ORDER = 16  # of the whitening filter


@dataclass(frozen=True)
class Resolution:
    """What the user asked for: widths in Hz, lengths in s; None for the default rule."""

    n_tapers: int | None = None
    bandwidth: float | None = None
    segment: float | None = None
    frequencies: tuple[float, float] | None = None


@dataclass(frozen=True)
class BandPlan:
    """Bands of `n_tapers` sine tapers around `center`, which counts bins of a transform of 2 (length + 1) samples."""

    center: IntArray
    n_tapers: IntArray
    length: int
    order: int
    n_segments: int
    rate: float

    @property
    def n_fft(self) -> int:
        """Length of the zero-padded transform."""
        return 2 * (self.length + 1)

    @property
    def frequency(self) -> FloatArray:
        """Centers in Hz."""
        return np.asarray(self.center * self.rate / self.n_fft)

    @property
    def bandwidth(self) -> FloatArray:
        """Full widths in Hz."""
        return np.asarray((self.n_tapers + 1) * self.rate / (self.length + 1))

    @property
    def n_averages(self) -> IntArray:
        """Degrees of freedom: tapers times segments."""
        return np.asarray(self.n_tapers * self.n_segments)


def plan_bands(
    runs: Sequence[int],
    rate: float,
    n_channels: int,
    wanted: Resolution,
    *,
    complex_data: bool,
    room: int,
    largest_segment: int,
) -> BandPlan:
    """Choose segments and bands.

    Segments are a twelfth of the recording. Bands overlap by half. Their width is f / 16, as rhythms are, but at least
    as many inverse durations as there are channels (24 to 96) and at most the square root of all averages there are (or
    twice the channels), so that lines at high frequencies stay lines; where more than `room` bands would come out, the
    widest become wider.

    Parameters
    ----------
    runs
        Lengths of the runs of samples between gaps.
    room
        Number of bands that fit into memory.
    largest_segment
        Number of samples that fit into memory as one segment.
    """
    length, order = _segment(runs, rate, wanted.segment, largest_segment)
    n_segments = sum(run // (length + order) for run in runs)
    low, high = _range(wanted.frequencies, rate)
    duration = n_segments * length / rate
    budget = duration * (high - low)
    widest = max(np.sqrt(budget), min(2 * n_channels, MOST_DOF))
    while True:
        widths = _widths(wanted, length, rate, duration, budget, n_channels, widest)
        center, tapers = _grid(widths, length, rate, low, high)
        if complex_data:
            center, tapers = np.concatenate([-center[::-1], center]), np.concatenate([tapers[::-1], tapers])
        plan = _within(BandPlan(center, tapers, length, order, n_segments, rate), wanted.frequencies)
        if len(plan.center) <= max(room, 1) or widths[0] >= widths[1] or widest > budget:
            return _checked(plan, room)
        widest *= 1.3


def _segment(runs: Sequence[int], rate: float, wanted: float | None, largest: int) -> tuple[int, int]:
    """Return the length of a segment and the order of the filter that whitens it, both in samples."""
    total, ordered = sum(runs), np.sort(runs)[::-1]
    typical = int(ordered[np.searchsorted(np.cumsum(ordered), total / 2)])  # half of the samples lie in longer runs
    if wanted is None:
        most = min(max(total // SEGMENTS, MIN_LENGTH), typical, largest)
        order = min(ORDER, most // FILTER_PART)
        length = int(scipy.fft.prev_fast_len(max(most - order, 1) + 1)) - 1
    else:
        length = round(wanted * rate)
        order = min(ORDER, length // FILTER_PART, max(int(ordered[0]) - length, 0))
    if not MIN_LENGTH - 2 <= length + order <= ordered[0]:
        raise DataError(
            f"expected runs of at least {MIN_LENGTH} samples without a gap and a segment that fits into one, got a "
            f"longest run of {ordered[0]} samples ({ordered[0] / rate:g} s) and segments of {length} "
            f"({length / rate:g} s); give a longer recording, or choose segment= within it"
        )
    return length, order


def _range(frequencies: tuple[float, float] | None, rate: float) -> tuple[float, float]:
    """Return lowest and highest absolute frequency in Hz."""
    if frequencies is None:
        return 0.0, rate / 2
    low, high = map(float, frequencies)
    if not (low < high and abs(low) <= rate / 2 and low < rate / 2 and high > -rate / 2):
        raise ConfigError(
            f"expected frequencies (low, high) in Hz with low < high, both within the {rate / 2:g} Hz that a sampling "
            f"rate of {rate:g} Hz can show, got {frequencies}"
        )
    inner = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    return inner, min(max(abs(low), abs(high)), rate / 2)


def _widths(
    wanted: Resolution, length: int, rate: float, duration: float, budget: float, n_channels: int, widest: float
) -> tuple[float, float]:
    """Return the narrowest and the widest band in Hz."""
    if wanted.bandwidth is not None and wanted.n_tapers is not None:
        raise ConfigError("expected bandwidth or n_tapers, got both; each follows from the other and the segment")
    if wanted.n_tapers is not None:
        return ((wanted.n_tapers + 1) * rate / (length + 1),) * 2
    if wanted.bandwidth is not None:
        return (float(wanted.bandwidth),) * 2
    narrowest = min(max(MIN_AVERAGES, min(n_channels, MOST_AVERAGES)), budget / 4)
    return narrowest / duration, max(min(widest, budget / 4), narrowest) / duration


def _grid(widths: tuple[float, float], length: int, rate: float, low: float, high: float) -> tuple[IntArray, IntArray]:
    """Return centers and numbers of tapers of half-overlapping bands over positive frequencies.

    Frequency 0 (removed with the trend) and the Nyquist frequency are real numbers, not complex ones: no band
    reaches them.
    """
    n_fft = 2 * (length + 1)
    end = n_fft // 2 - 1

    def tapers(center: float) -> int:
        width = float(np.clip(center * rate / n_fft / QUALITY, *widths))
        return max(round(width * (length + 1) / rate) - 1, 1)

    centers, numbers = [], []
    position = max(low * n_fft / rate, 2 + tapers(0.0))
    while position <= high * n_fft / rate and round(position) + tapers(position) <= end:
        k = tapers(position)
        centers.append(max(round(position), k + 2))
        numbers.append(k)
        position = centers[-1] + k + 1
    return np.array(centers, dtype=np.int64), np.array(numbers, dtype=np.int64)


def _within(plan: BandPlan, frequencies: tuple[float, float] | None) -> BandPlan:
    if frequencies is None:
        return plan
    keep = (plan.frequency >= frequencies[0]) & (plan.frequency <= frequencies[1])
    return BandPlan(plan.center[keep], plan.n_tapers[keep], plan.length, plan.order, plan.n_segments, plan.rate)


def _checked(plan: BandPlan, room: int) -> BandPlan:
    if len(plan.center) > room:
        raise DataError(
            f"expected at most {room} bands, which is what memory= holds for this many channels, got "
            f"{len(plan.center)}; choose a wider bandwidth, fewer frequencies or channels, or allow more memory"
        )
    if not len(plan.center) or int(plan.n_averages.min()) < FEWEST_AVERAGES:
        worth = int(plan.n_averages.min()) if len(plan.center) else 0
        raise DataError(
            f"expected bands of at least {FEWEST_AVERAGES} independent averages (tapers times segments), got "
            f"{worth} from {plan.n_segments} segments of {plan.length / plan.rate:g} s; give a longer recording, or "
            "choose a wider bandwidth or frequencies further from 0 and from half the sampling rate"
        )
    return plan
