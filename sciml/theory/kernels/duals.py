"""The dual of an activation: a closed form where one is known, tables by quadrature otherwise."""

from functools import lru_cache

import numpy as np

from sciml.theory.kernels.dual import ERF, GELU, SINE, Dual, PiecewiseLinear
from sciml.theory.kernels.table import Tabulated
from sciml.theory.meanfield import Activation, AnyActivation, activation

__all__ = ["CLOSED", "dual_of"]

CLOSED: dict[str, Dual] = {"erf": ERF, "gelu": GELU, "sin": SINE}
_X = np.concatenate([-np.geomspace(1e-6, 1e6, 49)[::-1], np.geomspace(1e-6, 1e6, 49)])


@lru_cache(maxsize=64)
def dual_of(given: AnyActivation) -> Dual:
    """Return what an activation does to covariances."""
    member = activation(given)
    return _piecewise_linear(member) or CLOSED.get(member.name) or Tabulated(member)


def _piecewise_linear(member: Activation) -> Dual | None:
    """Return the dual of a function that is a straight line on each side of 0, whatever it is called."""
    with np.errstate(all="ignore"):
        slopes = np.asarray(member.phi(_X), dtype=np.float64) / _X
    left, right = slopes[0], slopes[-1]
    straight = np.abs(slopes - np.where(_X < 0, left, right)).max() <= 1e-14 * max(abs(left), abs(right))
    return PiecewiseLinear(float(left), float(right)) if straight and (left or right) else None
