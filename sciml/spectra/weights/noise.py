"""Which singular values of a weight matrix noise does not explain: what can be tested, and the test."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from sciml._typing import FloatArray
from sciml.rmt.edges import EdgeLaw
from sciml.spectra.weights.equalize import inequality
from sciml.spectra.weights.stages import Conversion, Stage, Tested, equalized_test

__all__ = ["NoiseTest", "noise_test"]

FEW = 10  # below so many singular values the asymptotic laws are rough
EQUAL = 1e-3  # relative difference of singular values up to which they are called equal


@dataclass(frozen=True)
class NoiseTest:
    """What the singular values of a matrix say about noise.

    `tested` are the singular values that the numbers belong to, and `shape` their matrix: the weights as they are, or
    where `unequal` says why, equalized, in the same units (of equal mean square), without rows and columns of zeros.
    `law` is that of the largest squared singular value of noise. `p_values` is None, and `reason` says why, where there
    is no bulk of noise to test against; `no_bulk` where that is for want of noise, not of values.
    """

    tested: FloatArray
    shape: tuple[int, int]
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
    matrix: torch.Tensor,
    values: FloatArray,
    alpha: float,
    *,
    blocks: torch.Tensor | None = None,
    dtype: torch.dtype = torch.float64,
) -> NoiseTest:
    """Test a matrix with its singular values.

    `blocks` (groups, n, m) are the matrices that were drawn one by one, `dtype` is that of the stored numbers.
    """
    level = math.sqrt(float(values @ values) / matrix.numel())
    plain = NoiseTest(values, (matrix.shape[0], matrix.shape[1]), level, level / math.sqrt(2 * matrix.numel()))
    untested = _untestable(plain, matrix, blocks, dtype)
    if untested is not None:
        return untested
    why = inequality(matrix)
    if why.sides:
        return _result(equalized_test(matrix / level, values / level, alpha, why), level)
    stage = Stage.of(values / level, tuple(matrix.shape), alpha)
    return _result(Tested(stage, stage.test.p_values), level)


def _untestable(
    test: NoiseTest, matrix: torch.Tensor, blocks: torch.Tensor | None, dtype: torch.dtype
) -> NoiseTest | None:
    """Return why there is nothing to test, if so."""
    short, long = sorted(matrix.shape)
    values = test.tested
    nonzero = int(np.count_nonzero(values > np.finfo(np.float64).eps * long * values[0]))
    rounding = torch.finfo(dtype).eps * float(test.sigma or 0.0) * _reach(short, long)
    exact = int(np.count_nonzero(values[:nonzero] > rounding))
    if not nonzero:
        return _because(test, "all weights are zero: there is nothing to test")
    if _orthogonal(values[:nonzero], matrix, blocks):
        text = "all singular values are equal, as drawn orthogonal: there is nothing to test"
        return replace(_because(test, text), orthogonal=True)
    if short == 1:
        return _because(test, "a single row or column has a single singular value: there is no bulk")
    if exact <= short // 2:
        but = f" but for the rounding error of {dtype}" if exact < nonzero else ""
        text = f"the weights are exactly of rank {exact} of {short}{but}: there is no noise to test against"
        return replace(_because(test, text), no_bulk=True, sigma=None, sigma_se=None)
    return None


def _reach(short: int, long: int) -> float:
    return math.sqrt(short) + math.sqrt(long)


def _because(test: NoiseTest, reason: str) -> NoiseTest:
    return replace(test, reason=reason, warnings=(reason,))


def _orthogonal(values: FloatArray, matrix: torch.Tensor, blocks: torch.Tensor | None) -> bool:
    """Return whether the values, or those of each block that was drawn by itself, are equal but for rounding.

    A few equal values of a matrix that is otherwise small are no sign of that; one of zeros but for some taps may be.
    """
    filled = matrix != 0
    if 2 * values.size <= min(int(filled.any(dim=side).sum()) for side in (0, 1)):
        return False
    each = values if blocks is None else torch.linalg.svdvals(blocks.to(matrix)).numpy()
    return each.size > 1 and bool(each.min() > (1 - EQUAL) * each.max())


def _result(tested: Tested, level: float) -> NoiseTest:
    stage = tested.stage
    (short, long), test = sorted(stage.shape), stage.test
    found = NoiseTest(stage.values * level, stage.shape, unequal=tested.why)
    if not test.converged:
        text = "more than half of the singular values stand out: there is no bulk of noise left"
        return replace(_because(found, text), no_bulk=True)
    unit, distance = long * (test.sigma * level) ** 2, stage.distance()
    return replace(
        found,
        sigma=test.sigma * level,
        sigma_se=test.standard_error * level,
        law=EdgeLaw(test.law.center * unit, test.law.scale * unit, test.law.beta),
        mp_edge=test.sigma * level * _reach(short, long),
        p_values=tested.p_values,
        bulk_distance=distance,
        warnings=tuple(_bulk_warnings(short, distance)),
        conversion=tested.conversion,
    )


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
