r"""Covariances of Gaussian pairs that neither overflow nor forget how near two inputs are.

A covariance K_ij is held as log K_ii, log K_jj, and both 1 - ρ and 1 + ρ of the correlation ρ = K_ij / √(K_ii K_jj).
The logarithms carry a net of any depth and weight variance; the two distances keep their relative precision near
duplicates and opposite pairs, where the angle arccos ρ would lose half of the digits and a chaotic net would amplify
what is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Covariance", "constant", "hadamard", "input_covariance", "mix", "safe_sqrt"]

ZERO = -1e6  # logarithm that stands for the second moment of an input of zeros
NEAR = 1e-3  # distances below this are summed from differences: 1 - ρ would keep less than 13 digits


@dataclass(frozen=True, eq=False)
class Covariance:
    """Second moments and correlations of two sets of Gaussian variables.

    Attributes
    ----------
    log_row, log_column
        Logarithms of the second moments, shapes (..., rows, 1) and (..., 1, columns).
    gap, cogap
        1 - ρ and 1 + ρ, shape (..., rows, columns).
    """

    log_row: Tensor
    log_column: Tensor
    gap: Tensor
    cogap: Tensor

    @property
    def correlation(self) -> Tensor:
        """The correlation ρ, shape (..., rows, columns)."""
        return (self.cogap - self.gap) / 2.0

    def values(self, log_scale: float | Tensor = 0.0) -> Tensor:
        """Return the covariances divided by exp(log_scale), shape (..., rows, columns)."""
        size = torch.exp((self.log_row - log_scale) / 2.0) * torch.exp((self.log_column - log_scale) / 2.0)
        return size * self.correlation

    def scaled(self, log_factor: float | Tensor) -> "Covariance":
        """Return the covariance times exp(log_factor)."""
        return Covariance(self.log_row + log_factor, self.log_column + log_factor, self.gap, self.cogap)


def safe_sqrt(x: Tensor) -> Tensor:
    """Return the square root, with derivative 0 where x is 0: there it is the root of a distance that stays 0."""
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1.0).sqrt(), 0.0)


def constant(like: Covariance, log_value: Tensor) -> Covariance:
    """Return the covariance of one variable that all inputs share, such as a bias."""
    zero = torch.zeros((), dtype=like.gap.dtype, device=like.gap.device)
    shared = zero + log_value
    return Covariance(shared, shared, zero, zero + 2.0)


def mix(parts: Sequence[Covariance]) -> Covariance:
    r"""Return the covariance of a sum of independent variables.

    With u_k the fraction of the sum's second moment that part k has,

    .. math:: 1 \mp \rho = \tfrac12 \sum_k (\sqrt{u_k} - \sqrt{u'_k})^2 + \sum_k \sqrt{u_k u'_k}\, (1 \mp \rho_k),

    sums of positive terms, so that duplicates stay duplicates, bit for bit.
    """
    log_row, log_column = _log_sum([part.log_row for part in parts]), _log_sum([part.log_column for part in parts])
    gap: Tensor | float = 0.0
    cogap: Tensor | float = 0.0
    for part in parts:
        row = torch.exp((part.log_row - log_row) / 2.0)
        column = torch.exp((part.log_column - log_column) / 2.0)
        lengths, common = (row - column).square() / 2.0, row * column
        gap = gap + lengths + common * part.gap
        cogap = cogap + lengths + common * part.cogap
    assert isinstance(gap, Tensor) and isinstance(cogap, Tensor)  # noqa: S101, PT018 - there is a part
    return Covariance(log_row, log_column, gap, cogap)


def _log_sum(logs: Sequence[Tensor]) -> Tensor:
    total = sum(each.detach() for each in logs)  # of the shape that all of them broadcast to
    assert isinstance(total, Tensor)  # noqa: S101 - there is a part
    return torch.logsumexp(torch.stack([each.expand(total.shape) for each in logs]), 0)


def hadamard(covariance: Covariance, log_row: Tensor, log_column: Tensor, gap: Tensor) -> Covariance:
    """Return the elementwise product with the covariance of these second moments and this 1 - ρ."""
    return Covariance(
        covariance.log_row + log_row,
        covariance.log_column + log_column,
        covariance.gap + gap - covariance.gap * gap,
        covariance.cogap + gap - covariance.cogap * gap,
    )


def input_covariance(rows: Tensor, columns: Tensor) -> Covariance:
    """Return the covariance x·x' / d of inputs (rows, d) and (columns, d), or of batches of them (..., rows, d)."""
    log_row, unit_row = _length_and_direction(rows)
    log_column, unit_column = _length_and_direction(columns)
    rho = unit_row @ unit_column.mT
    gap = _distances(1.0 - rho, unit_row, unit_column)
    cogap = _distances(1.0 + rho, unit_row, -unit_column)
    return Covariance(log_row, log_column.mT, gap, cogap)


def _length_and_direction(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logarithm of the mean square, shape (..., n, 1), and the unit vector; one for all inputs of zeros."""
    largest = x.abs().amax(dim=-1, keepdim=True)
    empty = largest == 0
    scaled = x / torch.where(empty, 1.0, largest)
    first = torch.zeros_like(x)
    first[..., 0] = 1.0
    scaled = torch.where(empty, first, scaled)
    mean_square = scaled.square().mean(dim=-1, keepdim=True)
    log_mean = torch.where(empty, torch.full_like(largest, ZERO), mean_square.log() + 2.0 * largest.log())
    return log_mean, scaled / (mean_square * x.shape[-1]).sqrt()


def _distances(rough: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Replace what is near zero by half the squared distance of the unit vectors, summed from differences."""
    found = rough.clamp(min=0.0, max=2.0)
    *batch, row, column = torch.nonzero(rough < NEAR, as_tuple=True)
    at_once = max(1, 2**22 // one.shape[-1])
    for start in range(0, len(row), at_once):
        part = slice(start, start + at_once)
        at = tuple(index[part] for index in batch)
        difference = one[(*at, row[part])] - other[(*at, column[part])]
        found[(*at, row[part], column[part])] = difference.square().sum(dim=-1) / 2.0
    return found
