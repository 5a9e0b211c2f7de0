"""A recording read once: which channels carry noise, their moments and scatter, and an excerpt for spectra."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.linalg import few_threads
from sciml.noise.channels.accumulate import Sums
from sciml.noise.channels.duplicates import duplicates, duplicates_of
from sciml.noise.channels.subsample import Excerpt, Excerpts, enough
from sciml.recording import TIME, blocks, check, n_features

__all__ = ["Observed", "Progress", "component_maps", "observe"]

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]  # samples read, samples in all

MEMORY = 2**29  # recordings up to this size (as float64) are held; of larger ones only sums are
BLOCK_BYTES = 2**26
MAX_CHANNELS = 8192  # the scatter matrix of more does not fit; a random choice of channels stands for all
MIN_SAMPLES = 8


@dataclass(frozen=True)
class Observed:
    """What one pass over a recording of N channels yields. `live` channels are used; all else refers to those.

    `mean` (of the samples present) and `share` (how many are) have one entry a live channel, `every_mean` one for each
    channel that was read.
    Standardized values are demeaned, divided by `total_scale`, and zero where a sample is missing: noise stays noise.
    `row_weights`, mean one, say what equal shares of the samples weigh where they weigh unequally.
    `standardized` holds them all, or is None and `gram`, their X^H X / freedom, and an `excerpt` stand for them.
    """

    n_features: int
    live: NDArray[np.int64]
    mean: NDArray[Any]
    every_mean: NDArray[Any]
    share: Array
    total_scale: Array
    n_samples: int
    n_dropped: int
    n_unread: int
    standardized: NDArray[Any] | None
    gram: NDArray[Any] | None
    excerpt: Excerpt | None
    constant: tuple[int, ...]
    missing: tuple[int, ...]
    duplicates: tuple[tuple[int, int], ...]
    resolution: float
    row_weights: Array | None = None

    @property
    def freedom(self) -> int:
        """Degrees of freedom in time: the mean takes one."""
        return self.n_samples - 1

    @property
    def is_complex(self) -> bool:
        """Whether values are complex."""
        return bool(np.iscomplexobj(self.mean))


def observe(recording: xr.DataArray, progress: Progress | None = None) -> Observed:
    """Read a recording once and keep what the noise models need; memory does not grow with its length.

    Raises
    ------
    DataError
        Fewer than two channels that vary, or too few samples at which they have values.
    """
    chosen = _chosen_channels(recording)
    fits = recording.sizes[TIME] * len(chosen) * _itemsize(recording) <= MEMORY
    sums = Sums(len(chosen), hold=fits)
    every = len(chosen) == n_features(recording)
    rows = recording.sizes[TIME] if fits and every else _block_rows(recording)
    with few_threads(len(chosen)):  # the next block is read meanwhile, and that takes a processor too
        for part, values in blocks(recording, rows, across_gaps=True, ahead=True):
            sums.add(values if every else values[:, chosen])
            if progress is not None:
                progress(part.stop, recording.sizes[TIME])
        return _observed(sums, chosen, n_features(recording))


def _itemsize(recording: xr.DataArray) -> int:
    return 16 if recording.dtype.kind == "c" else 8


def _block_rows(recording: xr.DataArray) -> int:
    return max(16, BLOCK_BYTES // (_itemsize(recording) * n_features(recording)))


def _chosen_channels(recording: xr.DataArray) -> NDArray[np.int64]:
    """Return the channels to use: all, or a fixed random choice where a matrix of all would not fit."""
    n, n_samples = n_features(check(recording)), recording.sizes[TIME]
    limit = max(MAX_CHANNELS, MEMORY // (_itemsize(recording) * n_samples))
    if n <= limit:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, limit, replace=False))


def _observed(sums: Sums, chosen: NDArray[np.int64], n_features: int) -> Observed:
    """Choose the live channels and bring everything into their standardized units."""
    if sums.n_kept < 2:
        raise DataError(
            f"expected samples at which the channels have values, found {sums.n_kept} of {sums.n_read}; at the "
            "others most channels are missing: leave out the channels with most missing values"
        )
    values, mean, scatter = sums.centered()
    missing = sums.count < 0.5 * sums.n_kept
    constant = (sums.constant | (scatter <= 0)) & ~missing
    live = np.flatnonzero(~missing & ~constant)
    _demand(sums, n_features, live, constant, missing, n_duplicates=0)
    gram = None
    if values is None:
        root = np.sqrt(scatter[live])
        gram = sums.gram[np.ix_(live, live)] / np.outer(root, root)
    twins = duplicates(gram) if gram is not None else duplicates_of(values[:, live], scatter[live])  # type: ignore[index]
    single = np.setdiff1d(np.arange(len(live)), [late for _, late in twins])
    pairs = tuple((int(chosen[live[a]]), int(chosen[live[b]])) for a, b in twins)
    live = live[single]
    _demand(sums, n_features, live, constant, missing, n_duplicates=len(pairs))
    scale = np.sqrt(scatter[live] / (sums.n_kept - 1))
    if values is not None:
        values = values if len(live) == values.shape[1] else values[:, live]
        values /= scale
    return Observed(
        n_features=n_features,
        live=chosen[live],
        mean=sums.offset[live] + mean[live] * sums.unit[live],
        every_mean=sums.offset + mean * sums.unit,
        share=sums.count[live] / sums.n_kept,
        total_scale=scale * sums.unit[live],
        n_samples=sums.n_kept,
        n_dropped=sums.n_read - sums.n_kept,
        n_unread=n_features - len(chosen),
        standardized=values,
        gram=None if gram is None else gram[np.ix_(single, single)],
        excerpt=_excerpt(sums, values, live, mean[live], scale),
        constant=tuple(chosen[constant].tolist()),
        missing=tuple(chosen[missing].tolist()),
        duplicates=pairs,
        resolution=float(np.finfo(sums.precision).eps),
    )


def _demand(
    sums: Sums,
    n_features: int,
    live: NDArray[np.int64],
    constant: NDArray[np.bool_],
    missing: NDArray[np.bool_],
    *,
    n_duplicates: int,
) -> None:
    if len(live) < 2:
        raise DataError(
            f"expected at least two channels that vary, got {len(live)} of {n_features} "
            f"({int(constant.sum())} constant, {int(missing.sum())} mostly missing, {n_duplicates} duplicates of "
            "others); a noise floor compares channels: give a recording of several"
        )
    if sums.n_kept < MIN_SAMPLES:
        raise DataError(
            f"expected at least {MIN_SAMPLES} samples at which the channels have values, got {sums.n_kept} of "
            f"{sums.n_read}; give a longer recording, or leave out the channels with most missing values"
        )


def _excerpt(
    sums: Sums, standardized: NDArray[Any] | None, live: NDArray[np.int64], mean: NDArray[Any], scale: Array
) -> Excerpt | None:
    """Return what stands for the recording where its spectra are concerned; None if it can stand for itself."""
    if standardized is None:
        return sums.excerpts.excerpt().standardized(live, mean, scale)
    if not enough(*standardized.shape):
        return None
    excerpts = Excerpts(standardized.shape[1], standardized.dtype)
    excerpts.add(standardized)
    return excerpts.excerpt()


def component_maps(
    recording: xr.DataArray, observed: Observed, components: NDArray[Any], scale: Array, progress: Progress | None
) -> tuple[NDArray[Any], NDArray[Any], Array]:
    """Extend components found on a choice of channels to all: read once more and regress on their time courses.

    Returns the components (N, rank), of unit norm, the mean and the noise standard deviation of each channel.
    """
    n, rank = observed.n_features, components.shape[1]
    cross = np.zeros((n, rank), np.result_type(components, np.float64))
    total, squares, count = np.zeros(n, cross.dtype), np.zeros(n), np.zeros(n, np.int64)
    power = np.zeros(rank)
    offset: NDArray[Any] | None = None
    for part, values in blocks(recording, _block_rows(recording), across_gaps=True, ahead=True):
        finite = np.isfinite(values)
        offset = np.where(finite[0], values[0], 0).astype(cross.dtype) if offset is None else offset
        y = np.where(finite, values - offset, 0)
        courses = ((values[:, observed.live] - observed.mean) / scale) @ components.conj()
        courses = np.where(np.isfinite(courses), courses, 0)
        cross += y.T @ courses.conj()
        power += (np.abs(courses) ** 2).sum(axis=0)
        total, squares = total + y.sum(axis=0), squares + (np.abs(y) ** 2).sum(axis=0)
        count += finite.sum(axis=0)
        if progress is not None:
            progress(part.stop, recording.sizes[TIME])
    mean = total / np.maximum(count, 1)
    variance = np.maximum(squares / np.maximum(count, 1) - np.abs(mean) ** 2, 0)
    slopes = cross / np.maximum(power, np.finfo(float).tiny)
    left = np.sqrt(np.maximum(variance - np.abs(slopes) ** 2 @ (power / observed.n_samples), 1e-4 * variance))
    maps = np.divide(slopes, left[:, None], out=np.zeros_like(slopes), where=left[:, None] > 0)
    norm = np.linalg.norm(maps, axis=0)
    return maps / np.where(norm > 0, norm, 1), mean + (0 if offset is None else offset), left
