"""Moments of pairs where a kink lies away from 0: the slope is the chance that both lie between the kinks."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate
from scipy.special import ndtr

from sciml.theory.meanfield import pair_moments


def between(a: float, b: float, rho: float, low: float, high: float) -> float:
    """Chance that u and v both lie between low and high, by one integral over u on pieces around each bend."""
    rest = math.sqrt(1 - rho**2)

    def of_v(z: float) -> float:
        upper, lower = (ndtr((end / math.sqrt(b) - rho * z) / rest) for end in (high, low))
        return float(math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (upper - lower))

    bends = [k / (math.sqrt(b) * rho) + t * rest for k in (low, high) for t in (-30, -8, -4, -2, 0, 2, 4, 8, 30)]
    first, last = low / math.sqrt(a), min(high / math.sqrt(a), 12.0)
    ends = [first, *sorted(x for x in bends if first < x < last), last]
    pieces = [integrate.quad(of_v, *pair, epsabs=1e-14)[0] for pair in itertools.pairwise(ends)]
    return math.fsum(pieces)


@pytest.mark.parametrize(("a", "b", "rho"), [(1.0, 2.0, 0.9999), (9.0, 16.0, 1 - 1e-8), (30.0, 40.0, 0.9999)])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 6.0)])
def test_slopes_of_pairs_are_exact_beside_kinks(a: float, b: float, rho: float, low: float, high: float) -> None:
    found = pair_moments(lambda x: np.clip(x, low, high), a, b, rho * math.sqrt(a * b))
    assert float(found.slope) == pytest.approx(between(a, b, rho, low, high), abs=1e-10)
