"""The noise floor of a recording that is still growing."""

from typing import Literal

import numpy as np
import xarray as xr

from sciml._typing import FloatArray
from sciml.errors import ConfigError, DataError
from sciml.noise.channels.accumulate import ROWS_AT_ONCE, ChannelAccumulator
from sciml.noise.channels.statistics import MIN_SAMPLES, ChannelStatistics, channel_statistics
from sciml.noise.floor.estimate import check_options, floor_of, warn_of_doubt
from sciml.noise.floor.result import NoiseFloor
from sciml.noise.models.heteroscedastic import HETEROSCEDASTIC
from sciml.noise.models.registry import Model, noise_model
from sciml.recording import GAP, TIME, blocks, check, n_features, seconds, segments

__all__ = ["RunningNoiseFloor"]

LONGEST = 7.0  # memories after which a sample weighs less than .001
N_WEIGHTS = 32


class RunningNoiseFloor:
    """The sums from which a noise floor follows at any moment; memory does not depend on the recording's length.

    Kept are mean and scatter of the N channels (`sciml.linalg.Moments`) and, for the spectra of the noise, a few
    segments of samples, none across a gap of the clock, and means over ever longer ones: of all that came or, where
    old samples are forgotten, of the last ones. Samples at which most channels are missing are left out; other
    missing values count as the channel's mean so far.

    Parameters
    ----------
    memory
        Number of samples after which a sample weighs 1/e; None forgets nothing. The law of the noise knows that
        samples weigh unequally; samples that weigh less than .001 are not counted.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> running = RunningNoiseFloor()
    >>> for _ in range(4):
    ...     shared = rng.normal(size=(500, 1)) @ np.ones((1, 20))
    ...     running.add(xr.DataArray(shared + rng.normal(size=(500, 20)), dims=("time", "channel")))
    >>> running.floor("white").rank, running.n_samples
    (1, 2000)
    """

    def __init__(self, *, memory: float | None = None) -> None:
        self.memory = memory
        self._accumulator: ChannelAccumulator | None = None
        self._last: float | None = None

    @property
    def n_samples(self) -> int:
        """Samples so far at which most channels have values."""
        return 0 if self._accumulator is None else self._accumulator.n_kept

    def add(self, recording: xr.DataArray) -> None:
        """Add the next samples: dims `time` and the same others every time.

        Raises
        ------
        DataError
            Another number of channels than before, or complex values after real ones.
        """
        recording = check(recording, minimum=1)
        n, is_complex = n_features(recording), recording.dtype.kind == "c"
        if self._accumulator is None:
            self._is_complex = is_complex
            self._accumulator = ChannelAccumulator(n, hold=False, growing=True, memory=self.memory, span=self._span)
        elif n != len(self._accumulator.count):
            raise DataError(f"expected {len(self._accumulator.count)} channels, as in the samples before, got {n}")
        elif is_complex and not self._is_complex:
            raise DataError("expected real values, as in the samples before, got complex ones; begin with complex ones")
        self._template = recording.isel({TIME: slice(0, 2)})
        gap = self._follows_a_gap(recording)
        for segment in segments(recording):
            if gap:
                self._accumulator.cut()
            for _, values in blocks(recording.isel({TIME: segment}), ROWS_AT_ONCE, across_gaps=True):
                self._accumulator.add(values)
            gap = True

    def _follows_a_gap(self, recording: xr.DataArray) -> bool:
        """Whether the clock has jumped since the samples before; one that begins anew with each block does not tell."""
        clock = seconds(recording)
        if clock is None:
            return False
        before, self._last = self._last, float(clock[-1])
        if before is None or len(clock) < 2:
            return False
        return bool(float(clock[0]) - before > GAP * float(np.median(np.diff(clock))))

    def floor(self, model: Model | Literal["auto"] = "auto", alpha: float = 0.05) -> NoiseFloor:
        """Return the noise floor of the samples so far, as `noise_floor` does.

        Raises
        ------
        DataError
            Fewer than eight samples, or fewer than two channels that vary.
        ConfigError
            As `noise_floor`, and for counts, which need all samples at once.
        """
        check_options(model, alpha)
        floor = floor_of(self._statistics(), self._template, self._that_fits(model), alpha)
        warn_of_doubt(floor)
        return floor

    def _that_fits(self, model: Model | Literal["auto"]) -> Model | Literal["auto"]:
        if model == "auto":
            return model
        if noise_model(model).needs_values:
            raise ConfigError(f"expected a model other than {model}, which need all samples at once; use noise_floor")
        # Samples of unequal weight are a matrix of unequal variances, whatever the channels are.
        unequal = noise_model(model).equal_variances and self.memory is not None
        return HETEROSCEDASTIC.name if unequal else model

    def _statistics(self) -> ChannelStatistics:
        if self._accumulator is None or self.n_samples < MIN_SAMPLES:
            raise DataError(f"expected at least {MIN_SAMPLES} samples, got {self.n_samples}; add more")
        n_samples, weights = self._weights()
        return channel_statistics(self._accumulator, n_samples=n_samples, row_weights=weights)

    @property
    def _span(self) -> int | None:
        """How many of the last samples count; None if all do."""
        return None if self.memory is None else int(np.ceil(LONGEST * self.memory))

    def _weights(self) -> tuple[int, FloatArray | None]:
        """Return how many samples count, and the mean weight of equal parts of them, youngest first."""
        if self.memory is None:
            return self.n_samples, None
        n = min(self.n_samples, self._span or self.n_samples)
        weights = np.exp(-(np.arange(N_WEIGHTS) + 0.5) / N_WEIGHTS * n / self.memory)
        return n, weights / weights.mean()
