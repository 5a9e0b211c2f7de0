r"""Rows and columns of a weight matrix scaled to equal noise, where the entries are not alike.

Untrained weights are not all of one variance: rows that were normalized, pruned or drawn at scales of their own, and
entries of heavy tails, move the largest singular value of a matrix without any direction in it. Scaled until each row
and each column has mean square 1 (Sinkhorn), such a matrix has the bulk of white noise. The scaling takes from the
largest value, which is part of the means that it is divided by. With \kappa the kurtosis of the scaled entries

.. math:: \frac{\lambda_1}{(\sqrt n + \sqrt p)^2} \approx 1 - c\,\frac{\kappa + 1}{\sqrt{n p}}, \qquad c \to 1

c was measured, and is 0.8 at 200 x 200, 0.55 at 16 x 64: `lowering` takes a little less, so that the test errs on the
safe side.
"""

import math
from dataclasses import dataclass

import torch

__all__ = ["Factors", "Inequality", "equalize", "inequality", "lowering"]

SIGNIFICANT = 4.5  # standard deviations: entries are taken as alike unless this says that they are not
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
    heavy, both are.
    """
    squares = matrix.square()
    rows, columns = _excess(squares, 1), _excess(squares, 0)
    if max(rows, columns) <= 0:
        return Inequality(True, True, "entries of heavy tails") if _heavy(squares) else Inequality()
    side = 1 if rows > columns else 0
    means = squares.mean(dim=side, keepdim=True)
    squares = squares * _reciprocal(means)
    if _excess(squares, 1 - side) > 0:
        return Inequality(True, True, "rows and columns of unequal scale")
    name = "rows" if side else "columns"
    if _heavy(squares):
        return Inequality(True, True, f"{name} of unequal scale, entries of heavy tails")
    return Inequality(side == 1, side == 0, f"{name} of unequal scale")


def _excess(squares: torch.Tensor, side: int) -> float:
    """Return how far mean squares are beyond those of the same entries in random order, above 0 where significantly.

    n entries of mean square 1 in random order have a mean square of variance var(w²) / n.
    """
    unit = squares.mean()
    means = squares.mean(dim=side) / unit
    variance = float(squares.var(correction=0) / unit.square()) / squares.shape[side]
    spread = float((means - 1).square().sum()) / max(variance, 1e-12)
    return spread / (means.numel() + SIGNIFICANT * math.sqrt(2 * means.numel()) + SIGNIFICANT**2) - 1


def _heavy(squares: torch.Tensor) -> bool:
    # Gaussian entries have var(w²) = 2, with standard deviation sqrt(24 / n).
    variance = float(squares.var(correction=0) / squares.mean().square())
    return variance - 2 > SIGNIFICANT * math.sqrt(24 / squares.numel())


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
    unit = float(scaled.square().mean().sqrt())
    # Scaled on one side only, heavy tails raise the largest value by what they lower it otherwise.
    part = 2.0 if sides == 1 else float((scaled / unit).clamp(-CLIP, CLIP).pow(4).mean()) + 1
    return 0.75 * part / (math.sqrt(scaled.numel()) + 0.3 * part + 20) if sides else 0.0
