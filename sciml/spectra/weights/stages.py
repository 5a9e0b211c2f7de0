"""The white test of a weight matrix whose rows and columns are first scaled to equal noise, outliers left out."""

from dataclasses import dataclass

import numpy as np
import torch

from sciml._typing import FloatArray
from sciml.rmt import Spectrum, laws, rank, scaling
from sciml.spectra.weights.equalize import LEAST, Factors, Inequality, equalize, inequality, lowering
from sciml.spectra.weights.singular import Triplets, leading, singular_values

__all__ = ["Conversion", "Stage", "Tested", "Unscaled", "equalized_test"]

UPDATES, SMALL = 6, 0.02  # of the factors for a number of outliers; a relative change that no longer matters
STAGES = 6  # removals of outliers from the means that rows and columns are divided by


@dataclass(frozen=True)
class Stage:
    """The white test of one scaling of the matrix, in units of its own."""

    values: FloatArray
    shape: tuple[int, int]
    test: rank.WhiteTest

    @classmethod
    def of(cls, values: FloatArray, shape: tuple[int, ...], alpha: float, lowered: float = 0.0) -> "Stage":
        """Test singular values of a matrix of that shape."""
        short, long = sorted(shape)
        spectrum = Spectrum(values**2 / long, n_features=short, n_samples=long)
        return cls(values, (shape[0], shape[1]), rank.white_test(spectrum, alpha=alpha, lowered=lowered))

    def distance(self) -> float:
        """Return the Kolmogorov-Smirnov distance of what is below the outliers from the Marchenko-Pastur law."""
        found = self.test.rank if self.test.converged else 0
        short, long = (side - found for side in sorted(self.shape))
        cdf = laws.MarchenkoPastur(short / long).cdf(np.sort((self.values[found:] / self.test.sigma) ** 2) / long)
        steps = np.arange(short + 1) / short
        return float(max(np.max(steps[1:] - cdf), np.max(cdf - steps[:-1])))


@dataclass(frozen=True)
class Unscaled:
    """Singular vectors (k) of the equalized matrix on one side, with the scaling d of its n rows (columns) undone.

    `second` and `fourth` (k,) are the sums of d^-2 and d^-4 weighted with the squared vectors, `mean_second` and
    `mean_fourth` those of a vector without direction.
    """

    second: FloatArray
    fourth: FloatArray
    mean_second: float
    mean_fourth: float
    n: int

    @classmethod
    def of(cls, vectors: torch.Tensor, factors: torch.Tensor) -> "Unscaled":
        """Undo the scaling of vectors (n, k)."""
        power = factors[factors > 0] ** -2
        weights = vectors.square().mT
        second, fourth = (weights @ each for each in (power, power.square()))
        return cls(second.numpy(), fourth.numpy(), float(power.mean()), float(power.square().mean()), len(power))


@dataclass(frozen=True)
class Conversion:
    """What leads from the strength of an outlier of the equalized matrix back to that in the weights."""

    left: Unscaled
    right: Unscaled


@dataclass(frozen=True)
class Tested:
    """A stage with the p-values that hold; `conversion` is None where there are no outliers, or nothing was scaled."""

    stage: Stage
    p_values: FloatArray
    why: str = ""
    conversion: Conversion | None = None


def equalized_test(scaled: torch.Tensor, values: FloatArray, alpha: float, why: Inequality) -> Tested:
    """Test a matrix, of singular values `values`, with rows and columns scaled to equal noise.

    Outliers are removed from the means until none changes. What was found while noise was not yet equal is then
    confirmed from the weakest up: each outlier is tested with those above it removed from the means, and its own part
    kept, as it would be if it were noise. If it was the outliers alone that made rows and columns unequal, the matrix
    is tested as it is, with p-values that are no smaller.
    """
    each = _Equalizer(scaled, alpha, why)
    factors, stage = each.converged()
    removed = stage.test.rank if stage.test.converged else 0
    p_values = stage.test.p_values
    while removed:
        above = each.stage(each.without(factors, removed - 1))
        if above.test.p_values[removed - 1] < alpha:
            p_values = np.concatenate([above.test.p_values[:removed], p_values[removed:]])
            break
        stage, removed, p_values = above, removed - 1, above.test.p_values
    if not removed:
        return Tested(stage, np.maximum.accumulate(p_values), why.reason)
    plain = _plain(scaled, values, removed, alpha)
    if plain is not None:
        floor = np.concatenate([p_values[:removed], np.minimum(p_values[removed:], 2 * alpha)])
        return Tested(plain, np.maximum.accumulate(np.maximum(plain.test.p_values, floor)))
    found = leading(factors.apply(scaled), removed)
    conversion = Conversion(Unscaled.of(found.left, factors.rows), Unscaled.of(found.right, factors.columns))
    return Tested(stage, np.maximum.accumulate(p_values), why.reason, conversion)


def _plain(scaled: torch.Tensor, values: FloatArray, found: int, alpha: float) -> Stage | None:
    """Return the test of the matrix as it is, or None where without its outliers it is not noise of one variance."""
    triplets = leading(scaled, found)
    if inequality(_rest(scaled, triplets)).sides:
        return None
    stage = Stage.of(values, tuple(scaled.shape), alpha)
    return stage if stage.test.converged else None


def _rest(matrix: torch.Tensor, triplets: Triplets) -> torch.Tensor:
    """Return what is left without the triplets, rows and columns as strong as before these took their part."""
    left, right = ((1 - each).clamp(min=LEAST).sqrt() for each in triplets.leverages())
    return (matrix - triplets.product()) / left.unsqueeze(1) / right


@dataclass(frozen=True)
class _Equalizer:
    """A matrix to be scaled, the level of the test, and the sides that are scaled."""

    scaled: torch.Tensor
    alpha: float
    why: Inequality

    def converged(self) -> tuple[Factors, Stage]:
        """Return factors and test when the outliers that are removed are those that are found."""
        factors, removed = self.first(), 0
        stage = self.stage(factors)
        for _ in range(STAGES):
            if not stage.test.converged or stage.test.rank == removed:
                break
            removed = stage.test.rank
            factors = self.without(factors, removed)
            stage = self.stage(factors)
        if not (removed and stage.test.converged):
            return factors, stage
        # While too many were removed, factors that follow them closely go astray; now they may.
        refined = self.without(factors, stage.test.rank, UPDATES)
        return refined, self.stage(refined)

    def first(self) -> Factors:
        """Return the factors of equal mean squares, or where too much is signal for them, of equal noise amid it."""
        factors = self.without(None, 0)
        if self.stage(factors).test.converged:
            return factors
        found = scaling.dyson_equalize(self.scaled.numpy())
        return Factors(torch.as_tensor(found.row_factor), torch.as_tensor(found.column_factor))

    def stage(self, factors: Factors) -> Stage:
        """Test the scaled matrix."""
        matrix = factors.apply(self.scaled)
        return Stage.of(singular_values(matrix), tuple(matrix.shape), self.alpha, lowering(matrix, self.why.sides))

    def without(self, factors: Factors | None, found: int, n_updates: int = 1) -> Factors:
        """Return the factors that are right for what is left when the first `found` outliers are removed."""
        rows, columns = self.why.rows, self.why.columns
        if not found or factors is None:
            return equalize(self.scaled.square(), rows=rows, columns=columns)
        for _ in range(n_updates):
            matrix = factors.apply(self.scaled)
            update = equalize(_rest(matrix, leading(matrix, found)).square(), rows=rows, columns=columns)
            factors = factors.times(update)
            if update.largest() < SMALL:
                break
        return factors
