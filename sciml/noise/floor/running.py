"""The noise floor of a recording that is still growing."""

from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import ConfigError, DataError
from sciml.linalg import RunningCovariance
from sciml.noise.channels.accumulate import usable
from sciml.noise.channels.duplicates import duplicates
from sciml.noise.channels.read import MIN_SAMPLES, Observed
from sciml.noise.channels.subsample import Excerpts
from sciml.noise.floor.estimate import floor_of
from sciml.noise.floor.result import Model, NoiseFloor
from sciml.recording import GAP, TIME, blocks, check, n_features, segments

__all__ = ["RunningNoiseFloor"]

ROWS_AT_ONCE = 4096
LONGEST = 7.0  # memories after which a sample weighs less than .001
N_WEIGHTS = 32


class RunningNoiseFloor:
    """The sums from which a noise floor follows at any moment; memory does not depend on the recording's length.

    Kept are mean and scatter of the N channels (`sciml.linalg.RunningCovariance`) and, for the spectra of the noise,
    a few stretches of samples, none across a gap of the clock, and means over ever longer ones: of all that came or,
    where old samples are forgotten, of the last ones. Samples at which most channels are missing are left out; other
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
        self.n_samples = self.n_read = 0
        self._sums: RunningCovariance | None = None
        self._last: float | None = None

    def add(self, recording: xr.DataArray) -> None:
        """Add the next samples: dims `time` and the same others every time.

        Raises
        ------
        DataError
            Another number of channels than before.
        """
        check(recording, minimum=1)
        n = n_features(recording)
        if self._sums is None:
            self._begin(n)
        elif n != len(self._sums.mean):
            raise DataError(f"expected {len(self._sums.mean)} channels, as in the samples before, got {n}")
        self._template = recording.isel({TIME: slice(0, 2)})
        gap = self._follows_a_gap(recording)
        for run in segments(recording):
            if gap and self.n_samples:
                self._excerpts.cut()
            for _, values in blocks(recording.isel({TIME: run}), ROWS_AT_ONCE, across_gaps=True):
                self._add(values)
            gap = True

    def _follows_a_gap(self, recording: xr.DataArray) -> bool:
        """Whether the clock has jumped since the samples before; one that begins anew with each block does not tell."""
        if TIME not in recording.coords:
            return False
        clock = recording[TIME].values
        before, self._last = self._last, float(clock[-1])
        if before is None or len(clock) < 2:
            return False
        return bool(float(clock[0]) - before > GAP * float(np.median(np.diff(clock))))

    def _begin(self, n: int) -> None:
        self._sums = RunningCovariance(n, memory=self.memory)
        self._count = np.zeros(n, np.int64)
        self._constant = np.ones(n, np.bool_)
        self._first: NDArray[Any] = np.full(n, np.nan)

    def _add(self, values: NDArray[Any]) -> None:
        assert self._sums is not None  # noqa: S101 - add has begun it
        self.n_read += len(values)
        values, present = usable(values)
        if not len(values):
            return
        finite = np.ones(values.shape, np.bool_) if present is None else present
        seen = np.where(finite.any(axis=0), values[finite.argmax(axis=0), np.arange(values.shape[1])], np.nan)
        self._first = np.where(np.isnan(self._first), seen, self._first)
        self._constant &= ((values == self._first) | ~finite).all(axis=0)
        self._count += finite.sum(axis=0)
        filled = values if present is None else np.where(finite, values, self._known(values, finite))
        self._sums.add(filled)
        if self.n_samples == 0:
            self._offset = filled.mean(axis=0)
            self._excerpts = Excerpts(len(self._offset), self._offset.dtype, span=self._span)
        self._excerpts.add(filled - self._offset)
        self.n_samples += len(filled)

    def _known(self, values: NDArray[Any], finite: NDArray[np.bool_]) -> NDArray[Any]:
        """Return the mean of each channel so far, this block's at the first."""
        assert self._sums is not None  # noqa: S101
        if self.n_samples:
            return self._sums.mean
        return np.asarray(np.where(finite, values, 0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1))

    def floor(self, model: Model | Literal["auto"] = "auto", alpha: float = 0.05) -> NoiseFloor:
        """Return the noise floor of the samples so far, as `noise_floor` does.

        Raises
        ------
        DataError
            Fewer than eight samples, or fewer than two channels that vary.
        ConfigError
            As `noise_floor`, and for counts, which need all samples at once.
        """
        if model == "counts":
            raise ConfigError("expected a model other than counts, which need all samples at once; use noise_floor")
        # Samples of unequal weight are a matrix of unequal variances, whatever the channels are.
        fitted: Model | Literal["auto"] = "heteroscedastic" if model == "white" and self.memory is not None else model
        return floor_of(self._observed(), self._template, fitted, alpha)

    def _observed(self) -> Observed:
        sums = self._sums
        if sums is None or self.n_samples < MIN_SAMPLES:
            raise DataError(f"expected at least {MIN_SAMPLES} samples, got {self.n_samples}; add more")
        n_samples, weights = self._weights()
        share = self._count / self.n_samples
        scatter = np.diagonal(sums.scatter).real
        missing = share < 0.5
        constant = (self._constant | (scatter <= 0)) & ~missing
        live = np.flatnonzero(~missing & ~constant)
        root = np.sqrt(scatter)
        gram = sums.scatter[np.ix_(live, live)] / np.outer(root[live], root[live])
        twins = duplicates(gram)
        single = np.setdiff1d(np.arange(len(live)), [late for _, late in twins])
        pairs = tuple((int(live[a]), int(live[b])) for a, b in twins)
        live = live[single]
        if len(live) < 2:
            raise DataError(f"expected at least two channels that vary, got {len(live)} of {len(scatter)}")
        scale = root[live] / np.sqrt(sums.weight * (1 - 1 / sums.n_effective))
        return Observed(
            n_features=len(scatter),
            live=live,
            mean=sums.mean[live],
            every_mean=sums.mean,
            share=share[live],
            total_scale=scale,
            n_samples=n_samples,
            n_dropped=self.n_read - self.n_samples,
            n_unread=0,
            standardized=None,
            gram=gram[np.ix_(single, single)],
            excerpt=self._excerpts.excerpt().standardized(live, sums.mean[live] - self._offset[live], scale),
            constant=tuple(np.flatnonzero(constant).tolist()),
            missing=tuple(np.flatnonzero(missing).tolist()),
            duplicates=pairs,
            resolution=float(np.finfo(np.float64).eps),
            row_weights=weights,
        )

    @property
    def _span(self) -> int | None:
        """How many of the last samples count; None if all do."""
        return None if self.memory is None else int(np.ceil(LONGEST * self.memory))

    def _weights(self) -> tuple[int, NDArray[np.float64] | None]:
        """Return how many samples count, and the mean weight of equal shares of them, youngest first."""
        if self.memory is None:
            return self.n_samples, None
        n = min(self.n_samples, self._span or self.n_samples)
        weights = np.exp(-(np.arange(N_WEIGHTS) + 0.5) / N_WEIGHTS * n / self.memory)
        return n, weights / weights.mean()
