"""What a mini-batch sees of the curvature: which eigenvalues rise above its noise, and the scale of gradient noise."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml._typing import BoolArray, FloatArray
from sciml.errors import ConfigError
from sciml.linalg.krylov import Wanted, eigenpairs
from sciml.spectra.curvature.eigen import TopEigenvalues, top_eigenvalues
from sciml.spectra.curvature.noise_scale import NoiseScale, noise_scales
from sciml.spectra.curvature.operators.batches import Batch, drawn
from sciml.spectra.curvature.operators.operator import CurvatureOperator
from sciml.wording import count

__all__ = ["BatchNoise", "batch_noise"]


@dataclass(frozen=True, repr=False)
class BatchNoise:
    r"""Noise of the curvature and of the gradient in batches of a size, beside the curvature of all data.

    Attributes
    ----------
    values
        The largest eigenvalues over all data.
    spreads
        Standard deviation, over batches, of the curvature along each eigenvector.
    floor, floor_error
        Largest magnitude of the noise of a batch's matrix outside the eigenvectors that rise above it: mean over pairs
        of batches, and its standard error. An eigenvalue below it cannot be told from noise in one batch. It depends
        on how many eigenvalues were asked for only if all of them rise above it, and is an upper bound then.
    learning_rate_bound
        2 / largest eigenvalue of all data, whether a batch shows it or not; infinite if none is positive.
    gradient_noise_scale, gradient_noise_interval
        tr(C) / |g|²: the batch size at which noise and gradient are alike; None where the gradient over all data is
        not larger than its own noise (at a minimum). Interval of 95 %, which may be open above; see `noise_scales`.
    curved_noise_scale, curved_noise_interval
        tr(A C) / g^T A g: the same, weighed by the curvature; None where it is not positive.
    """

    kind: str
    batch_size: int
    n_batches: int
    values: FloatArray
    spreads: FloatArray
    floor: float
    floor_error: float
    learning_rate_bound: float
    gradient_noise_scale: float | None
    gradient_noise_interval: tuple[float, float]
    curved_noise_scale: float | None
    curved_noise_interval: tuple[float, float]

    def __repr__(self) -> str:
        return (
            f"<BatchNoise of {self.batch_size} samples: {int(self.above.sum())} of {len(self.values)} above the floor>"
        )

    @property
    def above(self) -> BoolArray:
        """Which eigenvalues rise above the floor, by two standard errors of it and of their own scatter in one."""
        return _above(self.values, self.spreads, self.floor, self.floor_error)

    def summary(self) -> str:
        """Return how many eigenvalues a batch shows, and the batch size at which noise and gradient are alike."""
        scale = NoiseScale(self.gradient_noise_scale, *self.gradient_noise_interval)
        more = ", and more than these may" if self.above.all() else ""
        return (
            f"In a batch of {count(self.batch_size, 'sample')} {int(self.above.sum())} of the {len(self.values)} "
            f"largest eigenvalues of the {self.kind} rise above noise of {self.floor:.3g} ± {self.floor_error:.1g} by "
            f"more than they scatter over batches{more}; gradient noise scale: {scale}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        bound = self.learning_rate_bound
        intervals = {"gradient": self.gradient_noise_interval, "curved": self.curved_noise_interval}
        return {
            **vars(self),
            **{f"{name}_noise_interval": [low, _finite(high)] for name, (low, high) in intervals.items()},
            "values": self.values.tolist(),
            "spreads": self.spreads.tolist(),
            "above": self.above.tolist(),
            "learning_rate_bound": _finite(bound),
        }

    def variables(self) -> dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]]:
        """Return arrays by name with dims and attributes."""
        spread = {"long_name": "Standard deviation of the curvature along the eigenvector over batches", "units": "1"}
        return {
            "batch_spread": (("index",), self.spreads, spread),
            "batch_floor": ((), self.floor, {"long_name": "Noise floor of a batch", "units": "1"}),
        }


def batch_noise(
    operator: CurvatureOperator,
    *,
    batch_size: int,
    top: TopEigenvalues | None = None,
    k: int = 5,
    n_batches: int = 8,
    rng: int = 0,
) -> BatchNoise:
    r"""Return which eigenvalues rise above the noise of a batch of this size, and the gradient-noise scale.

    Pairs of random batches of disjoint items give (A_B - A_B') / \sqrt 2, which has the covariance of the noise of one
    batch; its largest magnitude is the floor, for no eigenvalue is moved further by a matrix than that (Weyl). Where
    eigenvalues rise above it, by two standard deviations of the curvature along them too, the floor is taken again
    outside their eigenvectors, until no other rises. No law is assumed: the noise of a curvature matrix is far from
    that of a Wigner matrix.

    Parameters
    ----------
    operator
        `hessian(...)` or `gauss_newton(...)`.
    batch_size
        B, at most half of the samples.
    top, k
        Largest eigenvalues, if they are known, else how many to compute.
    n_batches
        Even number of batches, four at least.
    rng
        Seed.

    Raises
    ------
    ConfigError
        Too large a batch, too few of them, or a loss that is a sum, not a mean, over items.

    References
    ----------
    Granziol, Zohren, Roberts (2022), arXiv:2006.09092; noise scale: McCandlish et al. (2018), arXiv:1812.06162,
    Eq. 2.8 and 2.9.

    Examples
    --------
    >>> from sciml.spectra.curvature import hessian
    >>> generator = torch.Generator().manual_seed(0)
    >>> X, y = torch.randn(200, 3, generator=generator), torch.randn(200, 1, generator=generator)
    >>> found = batch_noise(hessian(torch.nn.Linear(3, 1), "mse", (X, y)), batch_size=50, k=1)
    >>> found.above.tolist()
    [True]
    """
    operator.alone("the noise of batches")
    n = operator.n_samples
    if not operator.loss_function.mean:
        raise ConfigError('expected a loss of reduction "mean": that of a batch is compared with that of all data')
    if not 1 <= batch_size <= n // 2:
        raise ConfigError(f"expected a batch size of 1 to {n // 2}, half of the samples, got {batch_size}")
    if n_batches < 4 or n_batches % 2:
        raise ConfigError(f"expected an even number of batches, at least 4, got {n_batches}")
    found = top_eigenvalues(operator, k, rng=rng) if top is None else top
    batches = _random_batches(operator, batch_size, n_batches, np.random.default_rng(rng))
    parts = [operator.on([batch]) for batch in batches]
    V = found.vectors.to(operator.device, operator.dtype)
    along = np.array([(V * (part @ V)).sum(0).double().cpu().numpy() for part in parts])
    spreads = along.std(0, ddof=1)
    floor, error = _floor(parts, V, found.values, spreads)
    plain, curved = noise_scales(operator, np.random.default_rng((rng, 1)))
    return BatchNoise(
        kind=operator.kind,
        batch_size=batch_size,
        n_batches=n_batches,
        values=found.values,
        spreads=spreads,
        floor=floor,
        floor_error=error,
        learning_rate_bound=found.learning_rate_bound,
        gradient_noise_scale=plain.value,
        gradient_noise_interval=(plain.low, plain.high),
        curved_noise_scale=curved.value,
        curved_noise_interval=(curved.low, curved.high),
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _random_batches(operator: CurvatureOperator, size: int, number: int, rng: np.random.Generator) -> list[Batch]:
    """Return random batches, each pair of neighbors of disjoint items."""
    draws = [rng.permutation(operator.n_samples)[: 2 * size].reshape(2, size) for _ in range(number // 2)]
    return drawn(operator._own_batches(), [each for pair in draws for each in pair])


def _above(values: FloatArray, spreads: FloatArray, floor: float, error: float) -> BoolArray:
    return np.asarray(np.abs(values) > floor + 2 * np.hypot(error, spreads))


def _floor(parts: list[CurvatureOperator], V: Tensor, values: FloatArray, spreads: FloatArray) -> tuple[float, float]:
    """Return the floor outside the eigenvectors that rise above it, and its error: at first none, until all do."""
    outside = np.zeros(len(values), dtype=bool)
    while True:
        known = V[:, torch.as_tensor(outside, device=V.device)]
        each = np.array([_largest(_Noise(a, b, known)) for a, b in zip(parts[::2], parts[1::2], strict=True)])
        floor, error = float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))
        found = outside | _above(values, spreads, floor, error)
        if (found == outside).all():
            return floor, error
        outside = found


class _Noise:
    """(A - B) / sqrt(2) outside the columns of V."""

    def __init__(self, A: CurvatureOperator, B: CurvatureOperator, V: Tensor) -> None:
        self.A, self.B, self.V = A, B, V
        self.shape = A.shape
        self.draw: Callable[[int, np.random.Generator], Tensor] = A.draw

    def _outside(self, block: Tensor) -> Tensor:
        return block - self.V @ (self.V.T @ block)

    def __matmul__(self, block: Tensor, /) -> Tensor:
        inside = self._outside(block)
        difference: Tensor = self.A @ inside - self.B @ inside
        return self._outside(difference) / math.sqrt(2)


def _largest(noise: _Noise) -> float:
    found = eigenpairs(noise, Wanted(1, "magnitude", tolerance=0.02, missed=None, max_products=100))
    return float(np.abs(found.values[0]))
