"""A recording read once: which channels carry noise, their moments and scatter, and stretches for spectra."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.recording import TIME, blocks, check, n_features

__all__ = ["Observed", "Progress", "component_maps", "duplicates", "observe"]

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]  # samples read, samples in all

MEMORY = 2**29  # recordings up to this size (as float64) are held; of larger ones only sums are
BLOCK_BYTES = 2**26
GEMM_ROWS = 8192  # products in single precision are summed in double at least this often
STRETCH_BYTES = 2**26  # of a recording that is not held, this much is kept for its spectra
N_STRETCHES = 4
MAX_CHANNELS = 8192  # the scatter matrix of more does not fit; a random choice of channels stands for all
MIN_SAMPLES = 8
DUPLICATE = 1e-6  # channels whose correlation comes this close to 1 are one channel recorded twice


@dataclass(frozen=True)
class Observed:
    """What one pass over a recording of N channels yields. `live` channels are used; all else refers to those.

    `mean` (of the samples present) and `share` (how many are) have one entry a live channel, `every_mean` one for each
    channel that was read.
    Standardized values are demeaned, divided by `total_scale`, and zero where a sample is missing: noise stays noise.
    `row_weights`, mean one, say what equal shares of the samples weigh where they weigh unequally.
    `standardized` holds them all, or is None and `gram`, their X^H X / freedom, and `stretches` stand for them.
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
    stretches: tuple[NDArray[Any], ...]
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
        return bool(np.iscomplexobj(self.stretches[0] if self.standardized is None else self.standardized))


def observe(recording: xr.DataArray, progress: Progress | None = None) -> Observed:
    """Read a recording once and keep what the noise models need; memory does not grow with its length.

    Raises
    ------
    DataError
        Fewer than two channels that vary, or too few samples at which they have values.
    """
    chosen = _chosen_channels(recording)
    fits = recording.sizes[TIME] * len(chosen) * _itemsize(recording) <= MEMORY
    sums = _Sums(n_features(recording), chosen, hold=fits)
    rows = recording.sizes[TIME] if fits and len(chosen) == sums.n_features else _block_rows(recording)
    n_blocks = -(-recording.sizes[TIME] // rows)
    stretched = set(np.linspace(0, max(n_blocks - 2, 0), min(N_STRETCHES, n_blocks)).astype(int).tolist())
    for k, (part, values) in enumerate(blocks(recording, rows, across_gaps=True)):
        sums.add(values, keep_stretch=k in stretched)
        if progress is not None:
            progress(part.stop, recording.sizes[TIME])
    return sums.result()


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


class _Sums:
    """Sums over blocks, in units of a pilot mean and standard deviation from the first block."""

    def __init__(self, n_features: int, chosen: NDArray[np.int64], *, hold: bool) -> None:
        self.n_features, self.chosen, self.hold = n_features, chosen, hold
        self.n_read = self.n_kept = 0
        self.count = np.zeros(len(chosen), np.int64)
        self.constant = np.ones(len(chosen), np.bool_)
        self.known: NDArray[Any] = np.zeros(len(chosen))
        self.held: list[NDArray[Any]] = []
        self.finite: list[NDArray[np.bool_]] = []
        self.stretches: list[NDArray[Any]] = []

    def add(self, values: NDArray[Any], *, keep_stretch: bool) -> None:
        """Add one block (n, N); a sample at which most channels are missing is left out, other holes count as mean."""
        self.n_read += len(values)
        used = values if len(self.chosen) == self.n_features else values[:, self.chosen]
        finite = np.isfinite(used)
        present = finite.sum(axis=1)
        keep = present > 0.5 * np.median(present[present > 0]) if present.any() else np.zeros(len(used), np.bool_)
        if not keep.any():
            return
        if not keep.all():
            used, finite = used[keep], finite[keep]
        if self.n_kept == 0:
            self._pilot(used, finite)
        self.constant &= ((used == self.first) | ~finite).all(axis=0)
        y = self._filled(used, finite)
        if self.hold:
            self.held.append(y)
            self.finite.append(finite)
        else:
            self._accumulate(y)
            if keep_stretch:
                rows = max(MIN_SAMPLES, STRETCH_BYTES // (N_STRETCHES * y.itemsize * y.shape[1]))
                self.stretches.append(y[:rows].copy())
        self.n_kept += len(y)

    def _pilot(self, used: NDArray[Any], finite: NDArray[np.bool_]) -> None:
        """Choose offset, unit and precision from the first block."""
        self.precision = _working_type(used.dtype, hold=self.hold)
        n = np.maximum(finite.sum(axis=0), 1)
        wide = used.astype(np.result_type(used.dtype, np.float64), copy=False)
        self.offset = np.where(finite, wide, 0).sum(axis=0) / n
        spread = np.sqrt((np.abs(np.where(finite, wide - self.offset, 0)) ** 2).sum(axis=0) / n)
        self.unit = np.where(spread > 0, spread, 1.0)
        self.first = np.where(finite.any(axis=0), used[finite.argmax(axis=0), np.arange(used.shape[1])], np.nan)
        self.total = np.zeros(used.shape[1], np.result_type(self.precision, np.float64))
        self.known = self.total.copy()
        self.gram: NDArray[Any] = np.zeros((0, 0) if self.hold else (used.shape[1],) * 2, self.total.dtype)

    def _filled(self, used: NDArray[Any], finite: NDArray[np.bool_]) -> NDArray[Any]:
        """Return the block in pilot units, each hole filled with the mean of its channel so far."""
        y = np.asarray((used - self.offset) / self.unit, dtype=self.precision)
        if finite.all():
            self.count += len(y)
            self.known = self.known + y.sum(axis=0, dtype=self.total.dtype)
            return y
        self.count += finite.sum(axis=0)
        self.known = self.known + np.where(finite, y, 0).sum(axis=0, dtype=self.total.dtype)
        return np.where(finite, y, (self.known / np.maximum(self.count, 1)).astype(y.dtype))

    def _accumulate(self, y: NDArray[Any]) -> None:
        """Add the scatter about the running mean (Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115)."""
        mean = y.mean(axis=0, dtype=self.total.dtype)
        centered = y - mean.astype(y.dtype)
        for start in range(0, len(y), GEMM_ROWS):
            part = centered[start : start + GEMM_ROWS]
            self.gram += part.conj().T @ part
        if self.n_kept:
            shift = mean - self.total / self.n_kept
            self.gram += np.outer(shift.conj(), shift) * (self.n_kept * len(y) / (self.n_kept + len(y)))
        self.total += mean * len(y)

    def result(self) -> Observed:
        """Choose the live channels and bring everything into their standardized units."""
        if self.n_kept < 2:
            raise DataError(
                f"expected samples at which the channels have values, found {self.n_kept} of {self.n_read}; at the "
                "others most channels are missing: leave out the channels with most missing values"
            )
        values, mean, scatter = self._centered()
        missing = self.count < 0.5 * self.n_kept
        constant = (self.constant | (scatter <= 0)) & ~missing
        live = np.flatnonzero(~missing & ~constant)
        self._demand(live, constant, missing)
        gram = None
        if values is None:
            root = np.sqrt(scatter[live])
            gram = self.gram[np.ix_(live, live)] / np.outer(root, root)
        twins = duplicates(gram) if gram is not None else _duplicates_of(values[:, live], scatter[live])  # type: ignore[index]
        single = np.setdiff1d(np.arange(len(live)), [late for _, late in twins])
        pairs = tuple((int(self.chosen[live[a]]), int(self.chosen[live[b]])) for a, b in twins)
        live = live[single]
        self._demand(live, constant, missing)
        freedom = self.n_kept - 1
        scale = np.sqrt(scatter[live] / freedom)
        return Observed(
            n_features=self.n_features,
            live=self.chosen[live],
            mean=self.offset[live] + mean[live] * self.unit[live],
            every_mean=self.offset + mean * self.unit,
            share=self.count[live] / self.n_kept,
            total_scale=scale * self.unit[live],
            n_samples=self.n_kept,
            n_dropped=self.n_read - self.n_kept,
            n_unread=self.n_features - len(self.chosen),
            standardized=None if values is None else values[:, live] / scale,
            gram=None if gram is None else gram[np.ix_(single, single)],
            stretches=tuple(
                ((each[:, live] - mean[live]) / scale).astype(self.precision) for each in _equal(self.stretches)
            ),
            constant=tuple(self.chosen[constant].tolist()),
            missing=tuple(self.chosen[missing].tolist()),
            duplicates=pairs,
            resolution=float(np.finfo(self.precision).eps),
        )

    def _centered(self) -> tuple[NDArray[Any] | None, NDArray[Any], Array]:
        """Return the held values about their mean (None where only sums are), the mean, and the scatter of each."""
        if not self.hold:
            return None, self.total / self.n_kept, np.diagonal(self.gram).real.copy()
        values = np.concatenate(self.held) if len(self.held) > 1 else self.held[0]
        mean = self.known / np.maximum(self.count, 1)
        values = values - mean
        for part, finite in zip(_parts(values, self.finite), self.finite, strict=True):
            part[~finite] = 0
        return values, mean, (np.abs(values) ** 2).sum(axis=0)

    def _demand(self, live: NDArray[np.int64], constant: NDArray[np.bool_], missing: NDArray[np.bool_]) -> None:
        if len(live) < 2:
            raise DataError(
                f"expected at least two channels that vary, got {len(live)} of {self.n_features} "
                f"({int(constant.sum())} constant, {int(missing.sum())} mostly missing); a noise floor "
                "compares channels: give a recording of several"
            )
        if self.n_kept < MIN_SAMPLES:
            raise DataError(
                f"expected at least {MIN_SAMPLES} samples at which the channels have values, got {self.n_kept} of "
                f"{self.n_read}; give a longer recording, or leave out the channels with most missing values"
            )


def _parts(values: NDArray[Any], like: list[NDArray[np.bool_]]) -> list[NDArray[Any]]:
    """Return views of consecutive rows, as many as each of `like` has."""
    return np.split(values, np.cumsum([len(each) for each in like])[:-1])


def _working_type(dtype: np.dtype[Any], *, hold: bool) -> np.dtype[Any]:
    """Return double precision for what is held; for long recordings of few digits, single for the products."""
    is_complex = dtype.kind == "c"
    if not hold and dtype.itemsize <= (8 if is_complex else 4):
        return np.dtype(np.complex64 if is_complex else np.float32)
    return np.dtype(np.complex128 if is_complex else np.float64)


def _equal(stretches: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Cut stretches to one length; much shorter ones are left out."""
    longest = max((len(each) for each in stretches), default=0)
    kept = [each for each in stretches if len(each) > longest // 2]
    shortest = min((len(each) for each in kept), default=0)
    return [each[:shortest] for each in kept]


def duplicates(correlation: NDArray[Any]) -> list[tuple[int, int]]:
    """Return (first, later) pairs of channels that agree up to scale and sign."""
    first, later = np.nonzero(np.triu(np.abs(correlation) > 1 - DUPLICATE, 1))
    seen: dict[int, int] = {}
    for a, b in zip(first.tolist(), later.tolist(), strict=True):
        seen.setdefault(b, a)
    return [(a, b) for b, a in seen.items() if a not in seen]


def _duplicates_of(values: NDArray[Any], scatter: Array) -> list[tuple[int, int]]:
    """Find duplicates among held channels without a matrix of all pairs: they agree in a random projection."""
    probe = np.random.default_rng(0).standard_normal(len(values))
    shadow = np.abs(probe @ values) / np.sqrt(scatter)
    order = np.argsort(shadow, kind="stable")
    pairs = []
    for a, b in pairwise(order):
        if shadow[b] - shadow[a] > 1e-4 * shadow[b]:
            continue
        overlap = abs(np.vdot(values[:, a], values[:, b])) / np.sqrt(scatter[a] * scatter[b])
        if overlap > 1 - DUPLICATE:
            pairs.append((int(min(a, b)), int(max(a, b))))
    root: dict[int, int] = {}
    for a, b in sorted(pairs):
        root[b] = root.get(a, a)
    return [(a, b) for b, a in sorted(root.items())]


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
    for part, values in blocks(recording, _block_rows(recording), across_gaps=True):
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
