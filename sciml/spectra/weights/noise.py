"""Which singular values of a weight matrix noise does not explain: the test, after rows and columns are made alike."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from sciml._typing import FloatArray
from sciml.rmt import Spectrum, laws, rank, scaling
from sciml.rmt.edges import EdgeLaw
from sciml.spectra.weights.equalize import LEAST, Factors, Inequality, equalize, inequality, lowering
from sciml.spectra.weights.singular import Triplets, leading, singular_values

__all__ = ["Conversion", "NoiseTest", "noise_test"]

FEW = 10  # below so many singular values the asymptotic laws are rough
STAGES = 6  # removals of outliers from the means that rows and columns are divided by
EQUAL = 1e-3  # relative difference of singular values up to which they are called equal


@dataclass(frozen=True)
class Conversion:
    """What leads from the strength of an outlier of the equalized matrix back to that in the weights.

    `left` and `right` (k,) are the squared norms of the singular vectors with the scaling undone, `mean_left` and
    `mean_right` those of a vector without direction.
    """

    left: FloatArray
    right: FloatArray
    mean_left: float
    mean_right: float

    @classmethod
    def of(cls, triplets: Triplets, factors: Factors) -> "Conversion":
        rows, columns = ((each[each > 0] ** -2).unsqueeze(1) for each in (factors.rows, factors.columns))
        left, right = ((v.square() * each).sum(dim=0) for v, each in ((triplets.left, rows), (triplets.right, columns)))
        return cls(left.numpy(), right.numpy(), float(rows.mean()), float(columns.mean()))


@dataclass(frozen=True)
class NoiseTest:
    """What the singular values of a matrix say about noise.

    `tested` are the singular values that the numbers belong to: those of the matrix, or of the equalized matrix in the
    same units (of equal mean square), where `unequal` says why. `law` is that of the largest squared singular value of
    noise. `p_values` is None, and `reason` says why, where there is no bulk of noise to test against; `no_bulk` where
    that is for want of noise, not of values.
    """

    tested: FloatArray
    sigma: float | None = None
    sigma_se: float | None = None
    law: EdgeLaw | None = None
    mp_edge: float | None = None
    p_values: FloatArray | None = None
    bulk_distance: float | None = None
    unequal: str = ""
    orthogonal: bool = False
    no_bulk: bool = False
    reason: str = ""
    warnings: tuple[str, ...] = ()
    conversion: Conversion | None = None

    def edge(self, p_value: float) -> float | None:
        """Return the singular value that the largest of noise alone exceeds with this probability."""
        return None if self.law is None else math.sqrt(max(self.law.threshold(p_value), 0.0))


def noise_test(
    matrix: torch.Tensor, values: FloatArray, alpha: float, blocks: torch.Tensor | None = None
) -> NoiseTest:
    """Test a matrix with its singular values; `blocks` (groups, n, m) are those that were drawn one by one."""
    short, long = sorted(matrix.shape)
    level = float(matrix.square().mean().sqrt())
    plain = NoiseTest(values, sigma=level, sigma_se=level / math.sqrt(2 * matrix.numel()))
    nonzero = int(np.count_nonzero(values > np.finfo(np.float64).eps * long * values[0]))
    if not nonzero:
        return _untested(plain, "all weights are zero: there is nothing to test")
    if _orthogonal(values[:nonzero], matrix, blocks):
        return _untested(plain, "all singular values are equal, as drawn orthogonal: nothing to test", orthogonal=True)
    if short == 1:
        return _untested(plain, "a single row or column has a single singular value: there is no bulk")
    if nonzero <= short // 2:
        text = f"the weights are exactly of rank {nonzero} of {short}: there is no noise to test against"
        return _untested(NoiseTest(values), text, no_bulk=True)
    scaled = matrix / level
    why = inequality(scaled)
    if why.sides:
        return _equalized_test(scaled, level, alpha, why)
    return _result(Stage.of(values / level, scaled.shape, 0.0, alpha), level)


def _untested(test: NoiseTest, reason: str, *, orthogonal: bool = False, no_bulk: bool = False) -> NoiseTest:
    return NoiseTest(
        test.tested, test.sigma, test.sigma_se, reason=reason, orthogonal=orthogonal, no_bulk=no_bulk, warnings=(reason,)
    )


def _orthogonal(values: FloatArray, matrix: torch.Tensor, blocks: torch.Tensor | None) -> bool:
    """Return whether the values, or those of each block that was drawn by itself, are equal but for rounding."""
    if blocks is None or blocks.shape[0] == 1 or blocks[0].numel() == matrix.numel():
        return values.size > 1 and bool(values[-1] > (1 - EQUAL) * values[0])
    each = torch.linalg.svdvals(blocks.to(matrix))
    return bool(each.min() > (1 - EQUAL) * each.max())


@dataclass(frozen=True)
class Stage:
    """The white test of one scaling of the matrix, in units of its own."""

    values: FloatArray
    shape: tuple[int, int]
    lowered: float
    test: rank.WhiteTest

    @classmethod
    def of(cls, values: FloatArray, shape: "torch.Size | tuple[int, int]", lowered: float, alpha: float) -> "Stage":
        short, long = sorted(shape)
        spectrum = Spectrum(values**2 / long, n_features=short, n_samples=long)
        test = rank.white_test(spectrum, alpha=alpha, lowered=lowered)
        return cls(values, (short, long), lowered, test)

    def distance(self) -> float:
        """Return the Kolmogorov-Smirnov distance of what is below the outliers from the Marchenko-Pastur law."""
        found = self.test.rank if self.test.converged else 0
        return _distance(self.values[found:] / self.test.sigma, self.shape[0] - found, self.shape[1] - found)


def _equalized_test(scaled: torch.Tensor, level: float, alpha: float, why: Inequality) -> NoiseTest:
    """Test the matrix with rows and columns scaled to equal noise, outliers removed from the means until none changes.

    What was found while noise was not yet equal is then confirmed from the weakest up: each outlier is tested with
    those above it removed from the means, and its own part kept, as it would be if it were noise.
    """
    factors = _first_factors(scaled, why, alpha)
    stage, removed = _stage(scaled, factors, why, alpha), 0
    for _ in range(STAGES):
        if not stage.test.converged:
            return _result(stage, level, why.reason)
        if stage.test.rank == removed:
            break
        removed = stage.test.rank
        factors = _without(scaled, factors, why, removed)
        stage = _stage(scaled, factors, why, alpha)
    while removed:
        above = _stage(scaled, _without(scaled, factors, why, removed - 1), why, alpha)
        if above.test.p_values[removed - 1] < alpha:
            p_values = np.concatenate([above.test.p_values[:removed], stage.test.p_values[removed:]])
            conversion = Conversion.of(leading(factors.apply(scaled), removed), factors)
            return replace(_result(stage, level, why.reason, p_values), conversion=conversion)
        stage, removed = above, removed - 1
    return _result(stage, level, why.reason)


def _first_factors(scaled: torch.Tensor, why: Inequality, alpha: float) -> Factors:
    """Return the factors of equal mean squares, or where too much is signal for them, of equal noise in its midst."""
    factors = equalize(scaled.square(), rows=why.rows, columns=why.columns)
    if _stage(scaled, factors, why, alpha).test.converged:
        return factors
    found = scaling.dyson_equalize(scaled.numpy())
    return Factors(torch.as_tensor(found.row_factor), torch.as_tensor(found.column_factor))


def _stage(scaled: torch.Tensor, factors: Factors, why: Inequality, alpha: float) -> Stage:
    matrix = factors.apply(scaled)
    return Stage.of(singular_values(matrix), matrix.shape, lowering(matrix, why.sides), alpha)


def _without(scaled: torch.Tensor, factors: Factors, why: Inequality, found: int) -> Factors:
    """Return the factors that are right for what is left when the first `found` outliers are removed."""
    if not found:
        return equalize(scaled.square(), rows=why.rows, columns=why.columns)
    rows, columns = factors.rows > 0, factors.columns > 0
    matrix = factors.apply(scaled)
    triplets = leading(matrix, found)
    left, right = ((1 - each).clamp(min=LEAST) for each in triplets.leverages())
    rest = (matrix - triplets.product()).square() / left.unsqueeze(1) / right
    update = equalize(rest, rows=why.rows, columns=why.columns)
    new_rows, new_columns = factors.rows.clone(), factors.columns.clone()
    new_rows[rows] *= update.rows
    new_columns[columns] *= update.columns
    return Factors(new_rows, new_columns)


def _result(stage: Stage, level: float, why: str = "", p_values: FloatArray | None = None) -> NoiseTest:
    (short, long), test = stage.shape, stage.test
    if not test.converged:
        text = "more than half of the singular values stand out: there is no bulk of noise left"
        return NoiseTest(stage.values * level, unequal=why, no_bulk=True, reason=text, warnings=(text,))
    distance = stage.distance()
    unit = long * (test.sigma * level) ** 2
    return NoiseTest(
        tested=stage.values * level,
        sigma=test.sigma * level,
        sigma_se=test.standard_error * level,
        law=EdgeLaw(test.law.center * unit, test.law.scale * unit, test.law.beta),
        mp_edge=test.sigma * level * (math.sqrt(long) + math.sqrt(short)),
        p_values=np.maximum.accumulate(test.p_values if p_values is None else p_values),
        bulk_distance=distance,
        unequal=why,
        warnings=tuple(_bulk_warnings(short, distance)),
    )


def _distance(values: FloatArray, short: int, long: int) -> float:
    """Return the Kolmogorov-Smirnov distance of singular values of unit noise from the Marchenko-Pastur law."""
    cdf = laws.MarchenkoPastur(short / long).cdf(np.sort(values**2) / long)
    steps = np.arange(short + 1) / short
    return float(max(np.max(steps[1:] - cdf), np.max(cdf - steps[:-1])))


def _bulk_warnings(short: int, distance: float) -> Iterator[str]:
    if short < FEW:
        yield f"only {short} singular values: the test rests on laws of large matrices"
    # Eigenvalues repel each other, so the distance of pure noise shrinks as ln(p) / p: 99.9 % of 200 to 2000 draws each
    # at p = 3, 5, 10, 20, 80, 128 lie below this. Below 0.02 a misfit would not matter.
    if distance > max(0.02, (2.0 + 0.5 * math.log(short)) / short):
        yield (
            f"the bulk does not follow the Marchenko-Pastur law (distance {distance:.2f}): entries are not independent "
            "of equal variance, and p-values are nominal"
        )
