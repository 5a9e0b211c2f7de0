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
from sciml.spectra.curvature.operators.batches import Batch
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
        Largest magnitude of the noise of a batch's matrix outside these eigenvectors: mean over pairs of batches, and
        its standard error. An eigenvalue below it cannot be told from noise in one batch.
    learning_rate_bound
        2 / largest eigenvalue; infinite if none is positive.
    gradient_noise_scale
        tr(C) / |g|²: the batch size at which noise and gradient are alike; None where the gradient over all data is
        not larger than its own noise (at a minimum).
    curved_noise_scale
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
    curved_noise_scale: float | None

    def __repr__(self) -> str:
        return (
            f"<BatchNoise of {self.batch_size} samples: {int(self.above.sum())} of {len(self.values)} above the floor>"
        )

    @property
    def above(self) -> BoolArray:
        """Which of the eigenvalues rise above the floor, by two standard errors of it."""
        return np.asarray(np.abs(self.values) > self.floor + 2 * self.floor_error)

    def summary(self) -> str:
        """Return how many eigenvalues a batch shows, and what follows for rate and batch size."""
        scale = self.gradient_noise_scale
        words = "not determined: the gradient is below its own noise" if scale is None else f"{scale:,.0f} samples"
        return (
            f"In batches of {count(self.batch_size, 'sample')} {int(self.above.sum())} of the {len(self.values)} "
            f"largest eigenvalues of the {self.kind} rise above noise of {self.floor:.3g} ± {self.floor_error:.1g}; "
            f"gradient descent is stable below a rate of {self.learning_rate_bound:.3g}; gradient noise scale: {words}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        bound = self.learning_rate_bound
        return {
            **vars(self),
            "values": self.values.tolist(),
            "spreads": self.spreads.tolist(),
            "above": self.above.tolist(),
            "learning_rate_bound": bound if np.isfinite(bound) else None,
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
    batch; its largest magnitude outside the eigenvectors of the largest eigenvalues is the floor. No law is assumed:
    the noise of a curvature matrix is far from that of a Wigner matrix.

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
        Too large a batch, or too few of them.

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
    if not 1 <= batch_size <= n // 2:
        raise ConfigError(f"expected a batch size of 1 to {n // 2}, half of the samples, got {batch_size}")
    if n_batches < 4 or n_batches % 2:
        raise ConfigError(f"expected an even number of batches, at least 4, got {n_batches}")
    found = top_eigenvalues(operator, k, rng=rng) if top is None else top
    batches = _random_batches(operator, batch_size, n_batches, np.random.default_rng(rng))
    parts = [operator.on([batch]) for batch in batches]
    V = found.vectors.to(operator.device, operator.dtype)
    along = np.array([(V * (part @ V)).sum(0).double().cpu().numpy() for part in parts])
    floors = np.array([_largest(_Noise(a, b, V)) for a, b in zip(parts[::2], parts[1::2], strict=True)])
    plain, curved = _noise_scales(operator, parts, batch_size)
    return BatchNoise(
        kind=operator.kind,
        batch_size=batch_size,
        n_batches=n_batches,
        values=found.values,
        spreads=along.std(0, ddof=1),
        floor=float(floors.mean()),
        floor_error=float(floors.std(ddof=1) / np.sqrt(len(floors))),
        learning_rate_bound=found.learning_rate_bound,
        gradient_noise_scale=plain,
        curved_noise_scale=curved,
    )


def _random_batches(operator: CurvatureOperator, size: int, number: int, rng: np.random.Generator) -> list[Batch]:
    """Return random batches, each pair of neighbors of disjoint items, from one pass over the data."""
    n = operator.n_samples
    draws = [rng.permutation(n)[: 2 * size].reshape(2, size) for _ in range(number // 2)]
    wanted = [np.sort(each) for pair in draws for each in pair]
    pieces: list[list[Batch]] = [[] for _ in wanted]
    start = 0
    for _, batch in operator._own_batches():
        for own, rows in zip(pieces, wanted, strict=True):
            inside = rows[(rows >= start) & (rows < start + batch.n_items)] - start
            if len(inside):
                own.append(batch.rows(torch.from_numpy(inside)))
        start += batch.n_items
    return [Batch.concatenated(own) for own in pieces]


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


def _noise_scales(
    operator: CurvatureOperator, parts: list[CurvatureOperator], size: int
) -> tuple[float | None, float | None]:
    """Return tr(C) / |g|² and tr(A C) / g^T A g, each with the bias of the finite number of samples taken out."""
    n, g = operator.n_samples, operator.gradient
    off = torch.stack([part.gradient - g for part in parts], 1)
    # of batches drawn without replacement: covariance C (n - B) / (n - 1) / B about the mean of all data
    factor = size * (n - 1) / (n - size) if n > size else 0.0
    products: Tensor = operator @ torch.cat([off, g[:, None]], 1)
    noise = factor * float(off.square().sum(0).mean())
    curved = factor * float((off * products[:, :-1]).sum(0).mean())
    signal, bent = float(g @ g) - noise / n, float(g @ products[:, -1]) - curved / n
    return (noise / signal if signal > 0 else None), (curved / bent if bent > 0 and curved > 0 else None)
