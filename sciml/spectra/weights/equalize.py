r"""Rows and columns of a weight matrix scaled to equal noise, where the entries are not alike.

Untrained weights are not all of one variance: rows that were normalized, pruned or drawn at scales of their own, and
entries of heavy tails, move the largest singular value of a matrix without any direction in it. Scaled until each row
and each column has mean square 1 (Sinkhorn), such a matrix has the bulk of white noise. The scaling takes from the
largest value, which is part of the means that it is divided by. With \kappa the kurtosis of the scaled entries

.. math:: \frac{\lambda_1}{(\sqrt n + \sqrt p)^2} \approx 1 - \frac{\kappa + 1}{\sqrt{n p} + k}

and with 2 in the place of \kappa + 1 where one side alone is scaled. k was measured: for two sides 25 to 54, for one 10
to 37, over shapes of 16 x 64 to 300 x 300, 300 to 3000 Gaussian draws each; `lowering` takes more, so that the test
errs on the safe side.
"""

import math
from dataclasses import dataclass

import torch

__all__ = ["Factors", "Inequality", "equalize", "inequality", "lowering"]

SIGNIFICANT = 4.5  # standard deviations: entries are taken as alike unless this says that they are not
FEW = 12  # rows or columns: unequal scales of fewer were not found out, and half of 2 x 50 matrices flagged
PASSES = 30  # of rows, then columns; what is left is far below the sampling noise of a mean square
LEAST = 0.1  # of a row that is nearly all component, what is left says little about its noise
CLIP = 4.0  # standard deviations at which entries are cut for the kurtosis: a few huge ones do not speak for the rest


@dataclass(frozen=True)
class Factors:
    """What rows (n_out,) and columns (n_in,) are multiplied by; zero where there is nothing but zeros."""

    rows: torch.Tensor
    columns: torch.Tensor

    def apply(self, matrix: torch.Tensor) -> torch.Tensor:
        """Return the scaled matrix, without rows and columns of zeros."""
        scaled = matrix * self.rows.unsqueeze(1) * self.columns
        rows, columns = self.rows > 0, self.columns > 0
        return scaled if rows.all() and columns.all() else scaled[rows][:, columns]

    def times(self, update: "Factors") -> "Factors":
        """Return these factors times those of the scaled matrix."""
        rows, columns = self.rows.clone(), self.columns.clone()
        rows[rows > 0] *= update.rows
        columns[columns > 0] *= update.columns
        return Factors(rows, columns)

    def largest(self) -> float:
        """Return the largest relative change that these factors make, but for a common one."""
        sides = (each[each > 0].log() for each in (self.rows, self.columns))
        return max(float((each - each.mean()).abs().max()) for each in sides)


@dataclass(frozen=True)
class Inequality:
    """Which sides of a matrix have to be scaled, and why; nothing where the entries are alike."""

    rows: bool = False
    columns: bool = False
    reason: str = ""

    @property
    def sides(self) -> int:
        """Number of sides to be scaled."""
        return self.rows + self.columns


def inequality(matrix: torch.Tensor) -> Inequality:
    """Return in what the entries of a matrix differ from independent ones of one variance and light tails.

    A side that is unequal is scaled, and the rest is looked at again: where the other side is unequal too, or tails are
    heavy, both are. With few rows or columns nothing tells whether they are alike, and they are scaled in any case.
    """
    if min(matrix.shape) < FEW:
        return Inequality(True, True, "too few rows or columns to tell whether they are alike")
    first = _Squares.of(matrix.square())
    rows, columns = first.excess(1), first.excess(0)
    if max(rows, columns) <= 0:
        return Inequality(True, True, "entries of heavy tails") if first.heavy() else Inequality()
    side = 1 if rows > columns else 0
    rest = _Squares.of(matrix.square() * _reciprocal(first.means(side)).unsqueeze(side))
    if rest.excess(1 - side) > 0:
        return Inequality(True, True, "rows and columns of unequal scale")
    name = "rows" if side else "columns"
    if rest.heavy():
        return Inequality(True, True, f"{name} of unequal scale, entries of heavy tails")
    return Inequality(side == 1, side == 0, f"{name} of unequal scale")


@dataclass(frozen=True)
class _Squares:
    """Squared entries with their mean and their variance relative to its square, which is 2 for Gaussian entries."""

    values: torch.Tensor
    mean: float
    variance: float

    @classmethod
    def of(cls, values: torch.Tensor) -> "_Squares":
        mean, flat = float(values.mean()), values.flatten()
        return cls(values, mean, float(torch.dot(flat, flat)) / values.numel() / mean**2 - 1 if mean else 0.0)

    def means(self, side: int) -> torch.Tensor:
        """Return the mean squares of rows (side 1) or columns (0)."""
        return self.values.mean(dim=side)

    def excess(self, side: int) -> float:
        """Return how far mean squares are beyond those of the same entries in random order, above 0 if significantly.

        n entries of mean square 1 in random order have a mean square of variance var(w²) / n.
        """
        means = self.means(side) / self.mean
        expected = max(self.variance / self.values.shape[side], 1e-12)
        n = means.numel()
        limit = n + SIGNIFICANT * math.sqrt(2 * n) + SIGNIFICANT**2
        return float((means - 1).square().sum()) / expected / limit - 1

    def heavy(self) -> bool:
        """Return whether the entries have heavier tails than Gaussian ones, whose var(w²) scatters by sqrt(24 / n)."""
        return self.variance - 2 > SIGNIFICANT * math.sqrt(24 / self.values.numel())


def equalize(squares: torch.Tensor, *, rows: bool = True, columns: bool = True) -> Factors:
    """Return the factors that bring mean squares of rows, columns or both to 1, from the squares of the noise."""
    left, right = ((squares.sum(dim=side) > 0).to(squares) for side in (1, 0))
    for _ in range(PASSES if rows and columns else 1):
        if rows:
            left = _reciprocal(squares @ right / (right > 0).sum())
        if columns:
            right = _reciprocal(left @ squares / (left > 0).sum())
    return Factors(left.sqrt(), right.sqrt())


def _reciprocal(means: torch.Tensor) -> torch.Tensor:
    return torch.where(means > 0, 1 / means.clamp(min=torch.finfo(means.dtype).tiny), 0.0)


def lowering(scaled: torch.Tensor, sides: int) -> float:
    """Return by how much, relative to itself, scaling that many sides has lowered the largest noise value at least."""
    if not sides:
        return 0.0
    root = math.sqrt(scaled.numel())
    if sides == 1:  # heavy tails raise the largest value by what they lower it otherwise
        return 2.0 / (root + 44.0)
    unit = float(scaled.square().mean().sqrt())
    return (float((scaled / unit).clamp(-CLIP, CLIP).pow(4).mean()) + 1) / (root + 50.0)
