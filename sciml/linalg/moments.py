"""Moments of features whose samples come block by block: count, mean, scatter, and which of them never vary."""

from collections.abc import Iterable
from typing import Self

import numpy as np

from sciml._typing import AnyArray, BoolArray, FloatArray, IntArray
from sciml.errors import ConfigError

__all__ = ["Moments"]

ROWS_AT_ONCE = 4096  # small enough to stay in a processor's cache


class Moments:
    r"""Count, mean and scatter of samples added block by block; memory does not depend on their number.

    With a `memory` of tau samples, a sample of age a weighs exp(-a / tau), else one:

    .. math:: W = \sum_t w_t, \quad \mu = \frac1W \sum_t w_t x_t, \quad
              C = \sum_t w_t (x_t - \mu)^* (x_t - \mu)^T, \quad n_\text{eff} = W^2 / \sum_t w_t^2

    Blocks are merged about their own means, so that an offset of many standard deviations costs no digits. Missing
    samples are left out, feature by feature.

    Parameters
    ----------
    n_features
        N.
    gram
        Keep the whole matrix C in `gram`, (N, N), not only its diagonal; then every sample must be finite.
    memory
        tau in samples; None forgets nothing, and W and n_eff are the number of samples.

    Attributes
    ----------
    count, weight, total
        Of each feature, (N,): its samples that are not missing, W and the sum of w x.
    first, constant
        First sample of each feature (NaN before there is one), and whether all others equal it.

    Raises
    ------
    ConfigError
        A memory of less than two samples.

    References
    ----------
    Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115, eq. 1.5; weighted: West (1979),
    doi:10.1145/359146.359153.

    Examples
    --------
    >>> moments = Moments(2, gram=True)
    >>> moments.add(np.array([[1.0, 0.0], [3.0, 2.0]]))
    >>> moments.add(np.array([[5.0, 1.0]]))
    >>> moments.mean.tolist(), moments.gram.tolist()
    ([3.0, 1.0], [[8.0, 2.0], [2.0, 2.0]])
    >>> Moments.of([np.array([[1.0], [2.0]]), np.array([[3.0], [np.nan]])]).variance.tolist()
    [0.6666666666666666]
    """

    def __init__(self, n_features: int, *, gram: bool = False, memory: float | None = None) -> None:
        if memory is not None and not memory >= 2:
            raise ConfigError(f"expected a memory of at least two samples, or None, got {memory!r}")
        self.memory = memory
        self.count: IntArray = np.zeros(n_features, np.int64)
        self.weight: FloatArray = np.zeros(n_features)
        self.squares: FloatArray = np.zeros(n_features)
        self.total: AnyArray = np.zeros(n_features)
        self.first: AnyArray = np.full(n_features, np.nan)
        self.constant: BoolArray = np.ones(n_features, np.bool_)
        self.gram: AnyArray | None = np.zeros((n_features, n_features)) if gram else None
        self._scatter: FloatArray = np.zeros(n_features)

    @classmethod
    def of(cls, blocks: Iterable[AnyArray]) -> Self:
        """Return the moments of all samples of some blocks (n, N), at least one."""
        found: Self | None = None
        for block in blocks:
            found = found or cls(block.shape[1])
            found.add(block)
        if found is None:
            raise ValueError("expected at least one block, got none")
        return found

    @property
    def mean(self) -> AnyArray:
        """Weighted mean of each feature, zero where there is no sample."""
        return np.asarray(self.total / np.where(self.weight > 0, self.weight, 1))

    @property
    def scatter(self) -> FloatArray:
        """Weighted sum of squares of each feature about its mean."""
        return self._scatter if self.gram is None else np.diagonal(self.gram).real.copy()

    @property
    def variance(self) -> FloatArray:
        """Weighted mean square of each feature about its mean (divisor W); zero where it never varies."""
        scatter: FloatArray = self.scatter / np.where(self.weight > 0, self.weight, 1)
        return np.where(self.constant, 0.0, scatter)

    @property
    def n_effective(self) -> FloatArray:
        """How many equal samples have means of the same variance."""
        return np.asarray(self.weight**2 / np.where(self.squares > 0, self.squares, 1))

    @property
    def dof(self) -> FloatArray:
        """Expected scatter of samples of variance one: W (1 - 1 / n_eff), for equal weights their number less one."""
        return np.asarray(self.weight - self.squares / np.where(self.weight > 0, self.weight, 1))

    def add(self, values: AnyArray) -> None:
        """Add samples (n, N), the oldest first."""
        wide = values.astype(np.complex128 if np.iscomplexobj(values) else np.float64)
        finite = np.isfinite(wide)
        present = None if finite.all() else finite
        self.compare(wide, present)
        self.accumulate(wide if present is None else np.where(present, wide, 0), present)

    def compare(self, values: AnyArray, present: BoolArray | None = None) -> None:
        """Find the features that take a second value in some more samples, without adding these."""
        if values.dtype.kind == "c" and self.first.dtype.kind != "c":
            self.first = self.first.astype(np.complex128)
        for start in range(0, len(values), ROWS_AT_ONCE):
            still = np.flatnonzero(self.constant)
            if not len(still):
                return
            part = values[start : start + ROWS_AT_ONCE, still]
            here = np.ones(part.shape, np.bool_) if present is None else present[start : start + ROWS_AT_ONCE, still]
            begins = here.any(axis=0) & np.isnan(self.first[still])
            self.first[still[begins]] = part[here.argmax(axis=0), np.arange(len(still))][begins]
            self.constant[still] = ((part == self.first[still]) | ~here).all(axis=0)

    def accumulate(self, values: AnyArray, present: BoolArray | None = None, *, total: AnyArray | None = None) -> None:
        """Add samples that were compared, zero where missing; overwrites `values`. `total`: their weighted sum."""
        if not len(values):
            return
        weights, fade = self._weights(len(values))
        own, own_squares = self._own(values, present, weights)
        if total is None:
            total = values.sum(axis=0) if weights is None else weights @ values
        mean = np.asarray(total / np.maximum(own, np.finfo(float).tiny))
        self._center(values, mean, present, weights)
        before = self.weight * fade
        merged = before * own / np.maximum(before + own, np.finfo(float).tiny)
        self._merge(values, fade, mean - self.mean, merged)
        self.count += len(values) if present is None else present.sum(axis=0)
        self.total = self.total * fade + total
        self.weight, self.squares = before + own, self.squares * fade**2 + own_squares

    def _weights(self, n: int) -> tuple[FloatArray | None, float]:
        """Return what n samples weigh now, and by how much the samples before them lose weight."""
        if self.memory is None:
            return None, 1.0
        return np.exp(-np.arange(n)[::-1] / self.memory), float(np.exp(-n / self.memory))

    def _own(
        self, values: AnyArray, present: BoolArray | None, weights: FloatArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """Return W and the sum of squared weights of some samples, feature by feature."""
        each = np.ones(len(values)) if weights is None else weights
        if present is None:
            shape = values.shape[1]
            return np.full(shape, each.sum()), np.full(shape, (each**2).sum())
        return each @ present, each**2 @ present

    def _center(self, values: AnyArray, mean: AnyArray, present: BoolArray | None, weights: FloatArray | None) -> None:
        values -= mean.astype(values.dtype)
        if present is not None:
            values[~present] = 0
        if weights is not None:
            values *= np.sqrt(weights)[:, None]

    def _merge(self, centered: AnyArray, fade: float, shift: AnyArray, merged: FloatArray) -> None:
        if self.gram is None:
            own = (np.abs(centered) ** 2).sum(axis=0)
            self._scatter = self._scatter * fade + own + np.abs(shift) ** 2 * merged
            return
        if fade != 1:
            self.gram *= fade
        product = centered.conj().T @ centered
        if product.dtype.kind == "c" and self.gram.dtype.kind != "c":
            self.gram = self.gram.astype(np.complex128)
        self.gram += product
        if merged.any():
            self.gram += np.outer((merged * shift).conj(), shift)
