"""What one pass over a recording yields of the channels that are used."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.errors import ConfigError, DataError
from sciml.noise.channels.accumulate import ChannelAccumulator
from sciml.noise.channels.duplicates import duplicates, duplicates_of
from sciml.noise.channels.select import ChannelSelection, select_channels
from sciml.noise.channels.subsample import Subsample, Subsampler, enough

__all__ = ["MIN_SAMPLES", "ChannelStatistics", "channel_statistics"]

MIN_SAMPLES = 8
NOTHING_LEFT = 1e-12  # of a channel's variance: rounding


@dataclass(frozen=True)
class ChannelStatistics:
    """What one pass over a recording of N channels yields. All but `every_mean` and `excluded` refers to `used` ones.

    `mean` (of the samples present) and `fraction_present` have one entry a used channel, `every_mean` one for each
    channel that was read; `excluded` says why a channel is not used, by its number.
    Standardized values are demeaned, divided by `total_scale`, and zero where a sample is missing: noise stays noise.
    `row_weights`, mean one, say what equal parts of the samples weigh where they weigh unequally.
    `standardized` holds them all, or is None and `gram`, their X^H X / dof, and a `subsample` stand for them.
    `resolution` is that of the products, `stored_rounding` the variance of rounding a value over that of its channel.
    `breaks` are the samples that do not follow the one before: the clock jumps, or some were left out.
    Where the noise is louder at some samples, `level` (T,), mean square one, is how loud, and what is standardized was
    divided by it.
    `no_counts` says why the values are not counts, in words; empty where they may be. `projected` says in words which
    patterns over the channels were taken out; empty where none were.
    """

    n_features: int
    used: IntArray
    excluded: Mapping[int, str]
    mean: AnyArray
    every_mean: AnyArray
    fraction_present: FloatArray
    total_scale: FloatArray
    n_samples: int
    n_dropped: int
    n_unread: int
    standardized: AnyArray | None
    gram: AnyArray | None
    subsample: Subsample | None
    resolution: float
    stored_rounding: float = 0.0
    no_counts: str = ""
    row_weights: FloatArray | None = None
    breaks: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    level: FloatArray | None = None
    projected: str = ""

    def weighed(self, level: FloatArray) -> "ChannelStatistics":
        """Return the statistics of held samples, each divided by the level of its noise, (T,), of any scale.

        The mean of a channel is a constant over the level then: that is what is taken out.
        """
        assert self.standardized is not None  # noqa: S101
        level = level / np.sqrt(np.mean(level**2))
        values = self.standardized / (level if self.level is None else level / self.level)[:, None]
        constant = 1 / level / np.linalg.norm(1 / level)
        values -= np.outer(constant, constant @ values)
        scale = np.sqrt(np.sum(np.abs(values) ** 2, axis=0) / self.dof)
        values /= scale
        return replace(
            self,
            standardized=values,
            total_scale=self.total_scale * scale,
            subsample=_subsample_of(values),
            level=level,
        )

    def as_recorded(self) -> "ChannelStatistics":
        """Return the statistics with samples as loud as they were."""
        if self.level is None or self.standardized is None:
            return self
        return replace(self, standardized=self.standardized * self.level[:, None], subsample=None, level=None)

    def of_channels(self, some: IntArray) -> "ChannelStatistics":
        """Return the statistics of some of the used channels, given by their place among these."""
        zeros, ones = np.zeros(len(self.used)), np.ones(len(self.used))
        return replace(
            self,
            used=self.used[some],
            mean=self.mean[some],
            fraction_present=self.fraction_present[some],
            total_scale=self.total_scale[some],
            standardized=None if self.standardized is None else self.standardized[:, some],
            gram=None if self.gram is None else self.gram[np.ix_(some, some)],
            subsample=None if self.subsample is None else self.subsample.standardized(some, zeros[some], ones[some]),
        )

    def without(self, patterns: AnyArray, words: str) -> "ChannelStatistics":
        """Return the statistics without what lies in the span of orthonormal `patterns` (N, q) of the used channels.

        Patterns are in the units of the data. Missing values count as their channel's mean, as everywhere.

        Raises
        ------
        ConfigError
            Patterns that leave nothing of a channel.
        """
        left = np.eye(len(self.used)) - patterns @ patterns.conj().T
        combinations = self.total_scale[:, None] * left
        variance = self._variances(combinations)
        gone = np.flatnonzero(variance < NOTHING_LEFT * self.total_scale**2)
        if len(gone):
            raise ConfigError(
                "expected patterns over several channels, got some that leave nothing of channel "
                f"{self.used[gone[0]]}; leave such channels out of the recording, or out of the patterns"
            )
        scale = np.sqrt(variance)
        combinations = combinations / scale
        gram = None if self.gram is None else np.asarray(combinations.conj().T @ self.gram @ combinations)
        held = None if self.standardized is None else np.asarray(self.standardized @ combinations)
        subsample = None if self.subsample is None else self.subsample.combined(combinations)
        return replace(
            self, total_scale=scale, standardized=held, gram=gram, subsample=subsample, projected=words,
            no_counts="patterns were taken out",
        )  # fmt: skip

    def _variances(self, combinations: AnyArray) -> FloatArray:
        """Return those of linear combinations (N, M) of the standardized channels."""
        if self.standardized is not None:
            return np.asarray(np.sum(np.abs(self.standardized @ combinations) ** 2, axis=0) / self.dof)
        assert self.gram is not None  # noqa: S101
        return np.asarray(np.einsum("ij,ij->j", combinations.conj(), self.gram @ combinations).real)

    @property
    def dof(self) -> int:
        """Degrees of freedom in time: the mean takes one."""
        return self.n_samples - 1

    @property
    def is_complex(self) -> bool:
        """Whether values are complex."""
        return bool(np.iscomplexobj(self.mean))


def channel_statistics(
    accumulator: ChannelAccumulator,
    *,
    channels: IntArray | None = None,
    n_features: int | None = None,
    n_samples: int | None = None,
    row_weights: FloatArray | None = None,
) -> ChannelStatistics:
    """Choose the used channels of what was accumulated, and bring everything into their standardized units.

    Parameters
    ----------
    channels, n_features
        Numbers of the channels that were read, and how many there are: all by default.
    n_samples
        How many samples count, where old ones are forgotten.
    row_weights
        What these weigh.

    Raises
    ------
    DataError
        Fewer than two channels that vary, or too few samples at which they have values.
    """
    channels = np.arange(len(accumulator.count)) if channels is None else channels
    n_features = n_features or len(channels)
    if accumulator.n_kept < 2:
        raise DataError(
            f"expected samples at which the channels have values, found {accumulator.n_kept} of {accumulator.n_read}; "
            "at the others most channels are missing: leave out the channels with most missing values"
        )
    _demand_samples(accumulator)
    values, mean, scatter = accumulator.centered()
    selection = _select(accumulator, values, scatter)
    selection.demand_two(n_features, "a noise floor compares channels: give a recording of several")
    used = selection.used
    scale = np.sqrt(scatter / accumulator.dof)[used]
    numbered = selection.renumbered(channels)
    if values is not None:
        values = values if len(used) == values.shape[1] else values[:, used]
        values /= scale
    return ChannelStatistics(
        n_features=n_features,
        used=numbered.used,
        excluded=numbered.excluded,
        mean=accumulator.offset[used] + mean[used] * accumulator.unit[used],
        every_mean=accumulator.offset + mean * accumulator.unit,
        fraction_present=accumulator.count[used] / accumulator.n_kept,
        total_scale=scale * accumulator.unit[used],
        n_samples=n_samples or accumulator.n_kept,
        n_dropped=accumulator.n_read - accumulator.n_kept,
        n_unread=n_features - len(channels),
        standardized=values,
        gram=_correlation(accumulator, used, scatter),
        subsample=_subsample(accumulator, values, used, mean[used], scale),
        resolution=float(np.finfo(accumulator.precision).eps),
        stored_rounding=_stored_rounding(accumulator, used, mean[used], scale),
        no_counts=accumulator.whole_numbers.problem,
        row_weights=row_weights,
        breaks=accumulator.breaks,
    )


def _stored_rounding(accumulator: ChannelAccumulator, used: IntArray, mean: AnyArray, scale: FloatArray) -> float:
    """Return the largest variance of rounding to single precision over a channel's: that of an even error, eps² / 12.

    Values in double precision often come from a file in single, times a factor.
    """
    size = np.abs(accumulator.offset[used] / accumulator.unit[used] + mean) / scale
    return float(np.finfo(np.float32).eps ** 2 / 12 * (1 + size.max() ** 2))


def _select(accumulator: ChannelAccumulator, values: AnyArray | None, scatter: FloatArray) -> ChannelSelection:
    def found(some: IntArray) -> list[tuple[int, int]]:
        if values is not None:
            every = len(some) == values.shape[1]
            return duplicates_of(values if every else values[:, some], scatter[some])
        correlation = _correlation(accumulator, some, scatter)
        assert correlation is not None  # noqa: S101
        return duplicates(correlation)

    return select_channels(
        count=accumulator.count,
        n_samples=accumulator.n_kept,
        constant=accumulator.moments.constant,
        scatter=scatter,
        duplicates=found,
    )


def _correlation(accumulator: ChannelAccumulator, some: IntArray, scatter: FloatArray) -> AnyArray | None:
    """Return the correlations of some channels; None where the values are held."""
    gram = accumulator.moments.gram
    if gram is None:
        return None
    root = np.sqrt(scatter[some])
    return np.asarray(gram[np.ix_(some, some)] / np.outer(root, root))


def _demand_samples(accumulator: ChannelAccumulator) -> None:
    if accumulator.n_kept < MIN_SAMPLES:
        raise DataError(
            f"expected at least {MIN_SAMPLES} samples at which the channels have values, got {accumulator.n_kept} of "
            f"{accumulator.n_read}; give a longer recording, or leave out the channels with most missing values"
        )


def _subsample(
    accumulator: ChannelAccumulator,
    standardized: AnyArray | None,
    used: IntArray,
    mean: AnyArray,
    scale: FloatArray,
) -> Subsample | None:
    """Return what stands for the recording where its spectra are concerned; None if it can stand for itself."""
    if standardized is None:
        return accumulator.subsampler.subsample().standardized(used, mean, scale)
    return _subsample_of(standardized)


def _subsample_of(standardized: AnyArray) -> Subsample | None:
    if not enough(*standardized.shape):
        return None
    subsampler = Subsampler(standardized.shape[1], standardized.dtype)
    subsampler.add(standardized)
    return subsampler.subsample()
