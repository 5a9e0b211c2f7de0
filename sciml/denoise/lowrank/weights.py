"""How far to trust each component: the factor between 0 and 1 that it is multiplied with."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sciml.denoise.lowrank.components import Basis
from sciml.errors import ConfigError
from sciml.rmt import shrink

__all__ = ["Shrinkage", "weights"]

Array = NDArray[np.float64]

Shrinkage = Literal["optimal", "frobenius", "operator", "nuclear", "none"]


def weights(basis: Basis, rank: int, shrinkage: Shrinkage) -> Array:
    r"""Return the weight of each of the first `rank` components.

    With x the strength of a component before the noise, c and c~ the cosines of its angles to the signal on either
    side, all from the noise's own singular values (`sciml.rmt.shrink.optshrink`), or from sigma where that is known,
    a singular value is replaced by

    - "frobenius" (and "optimal"): x c c~, for the least squared error;
    - "operator": x;
    - "nuclear": max(0, x (c c~ - sqrt(1 - c²) sqrt(1 - c~²))).

    References
    ----------
    Gavish and Donoho (2017), doi:10.1109/TIT.2017.2653801, section 3; Nadakuditi (2014),
    doi:10.1109/TIT.2014.2311661.
    """
    if shrinkage not in get_args(Shrinkage):
        raise ConfigError(f"expected a shrinkage of {', '.join(get_args(Shrinkage))}, got {shrinkage!r}")
    if shrinkage == "none" or rank == 0:
        return np.ones(rank)
    values = basis.singular_values
    shrunk = _known(basis, rank, shrinkage) if basis.white else _empirical(basis, rank, shrinkage)
    return np.asarray(np.clip(shrunk[:rank] / values[:rank], 0.0, 1.0))


WHITE: dict[str, Callable[[Any, float], Array]] = {
    "optimal": shrink.frobenius,
    "frobenius": shrink.frobenius,
    "operator": shrink.operator,
    "nuclear": shrink.nuclear,
}


def _known(basis: Basis, rank: int, shrinkage: Shrinkage) -> Array:
    short, long = sorted(basis.sides)
    return np.asarray(WHITE[shrinkage](basis.singular_values[:rank] / np.sqrt(long), short / long) * np.sqrt(long))


def _empirical(basis: Basis, rank: int, shrinkage: Shrinkage) -> Array:
    # Components that rise above the noise are no part of it, kept or not.
    found = shrink.optshrink(basis.singular_values, max(rank, basis.rank), basis.sides)
    if shrinkage == "operator":
        return found.strength
    if shrinkage == "nuclear":
        short, long = found.overlaps.short, found.overlaps.long
        return np.maximum(found.shrunk - found.strength * np.sqrt((1 - short) * (1 - long)), 0.0)
    return found.shrunk
