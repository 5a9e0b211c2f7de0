"""What the singular values of a matrix say about noise."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sciml._typing import FloatArray
from sciml.rmt import Spectrum, edges, laws, rank

__all__ = ["WeightNoise", "no_noise", "weight_noise"]

_FEW = 10  # below so many singular values the asymptotic laws are rough


@dataclass(frozen=True)
class WeightNoise:
    """What the singular values, relative to the largest, say about noise."""

    sigma: float
    sigma_se: float
    edge: float
    p_values: FloatArray
    bulk_distance: float
    warnings: tuple[str, ...]


def weight_noise(values: FloatArray, short: int, long: int, alpha: float) -> WeightNoise:
    """Find the noise in descending singular values of which the largest is 1."""
    law = edges.white(short, long)
    nonzero = values[values > np.finfo(np.float64).eps * long]
    if nonzero.size > 1 and nonzero[-1] > 0.999 * nonzero[0]:
        return _untestable(values, long, law.threshold(alpha), "all singular values are equal, as drawn orthogonal")
    if nonzero.size <= short // 2:
        text = f"the weights are exactly of rank {nonzero.size}: there is no noise to test against"
        return WeightNoise(0.0, 0.0, 0.0, (np.arange(short) >= nonzero.size).astype(np.float64), 1.0, (text,))
    if short == 1:
        return _untestable(values, long, law.threshold(alpha), "a single row or column")
    test = rank.white_test(Spectrum(values**2 / long, n_features=short, n_samples=long), alpha=alpha)
    found = test.rank if test.converged else 0
    distance = _distance(values[found:] / test.sigma, short - found, long - found)
    return WeightNoise(
        sigma=test.sigma,
        sigma_se=test.standard_error,
        edge=test.sigma * math.sqrt(long * law.threshold(alpha)),
        p_values=test.p_values,
        bulk_distance=distance,
        warnings=tuple(_bulk_warnings(short, distance, converged=test.converged)),
    )


def _untestable(values: FloatArray, long: int, threshold: float, reason: str) -> WeightNoise:
    """Call everything noise, of the variance that the weights have."""
    level = math.sqrt(float(np.mean(values**2)) / long)
    return WeightNoise(
        sigma=level,
        sigma_se=level / math.sqrt(2 * long * values.size),
        edge=level * math.sqrt(long * threshold),
        p_values=np.ones(values.size),
        bulk_distance=1.0,
        warnings=(f"{reason}: there is no bulk that would tell noise from signal",),
    )


def _distance(values: FloatArray, short: int, long: int) -> float:
    """Return the Kolmogorov-Smirnov distance of singular values of unit noise from the Marchenko-Pastur law."""
    cdf = laws.MarchenkoPastur(short / long).cdf(np.sort(values**2) / long)
    steps = np.arange(short + 1) / short
    return float(max(np.max(steps[1:] - cdf), np.max(cdf - steps[:-1])))


def _bulk_warnings(short: int, distance: float, *, converged: bool) -> Iterator[str]:
    if short < _FEW:
        yield f"only {short} singular values: the test rests on laws of large matrices"
    if not converged:
        yield "more than half of the singular values stand out: σ is the rms of all weights, an upper bound"
    # Eigenvalues repel each other, so the distance of pure noise shrinks as ln(p) / p: 99.9 % of 200 to 2000 draws each
    # at p = 3, 5, 10, 20, 80, 128 lie below this. Below 0.02 a misfit would not matter.
    if distance > max(0.02, (2.0 + 0.5 * math.log(short)) / short):
        yield (
            f"the bulk does not follow the Marchenko-Pastur law (distance {distance:.2f}): entries are not independent "
            "of equal variance, and p-values are nominal"
        )


def no_noise(short: int) -> WeightNoise:
    """Return what is said of a matrix of zeros."""
    return WeightNoise(0.0, 0.0, 0.0, np.ones(short), 1.0, ("all weights are zero",))
