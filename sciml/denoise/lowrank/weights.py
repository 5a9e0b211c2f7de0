"""How far to trust each component: the factor between 0 and 1 that it is multiplied with."""

from collections.abc import Callable

import numpy as np

from sciml._typing import FloatArray
from sciml.denoise.lowrank.components import Basis
from sciml.rmt import shrink
from sciml.rmt.rank import screenot_threshold
from sciml.rmt.shrink import OptShrink, Shrinkage

__all__ = ["weights"]


def weights(basis: Basis, rank: int, shrinkage: Shrinkage) -> FloatArray:
    r"""Return the weight of each of the first `rank` components.

    With x the strength of a component before the noise, c and c~ the cosines of its angles to the signal on either
    side, all from the noise's own singular values (`sciml.rmt.shrink.optshrink`), or from sigma where that is known,
    a singular value is replaced by

    - "frobenius": x c c~, for the least squared error;
    - "operator": x;
    - "nuclear": max(0, x (c c~ - sqrt(1 - c²) sqrt(1 - c~²)));
    - "hard": itself above the best threshold for that (`sciml.rmt.rank.screenot_threshold`), 0 below;
    - "none": itself.

    References
    ----------
    Gavish and Donoho (2017), doi:10.1109/TIT.2017.2653801, section 3; Nadakuditi (2014),
    doi:10.1109/TIT.2014.2311661; hard: Donoho, Gavish and Romanov (2023), doi:10.1214/22-AOS2232.
    """
    shrink.check_shrinkage(shrinkage)
    if shrinkage == "none" or rank == 0:
        return np.ones(rank)
    values = basis.singular_values
    shrunk = _known(basis, rank, shrinkage) if basis.white else _empirical(basis, rank, shrinkage)
    return np.asarray(np.clip(shrunk[:rank] / values[:rank], 0.0, 1.0))


def _known(basis: Basis, rank: int, shrinkage: Shrinkage) -> FloatArray:
    short, long = sorted(basis.sides)
    shrunk = shrink.SHRINKERS[shrinkage](basis.singular_values[:rank] / np.sqrt(long), short / long)
    return np.asarray(shrunk * np.sqrt(long))


def _empirical(basis: Basis, rank: int, shrinkage: Shrinkage) -> FloatArray:
    # Components that rise above the noise are no part of it, kept or not.
    found = shrink.optshrink(basis.singular_values, max(rank, basis.rank), basis.sides)
    return EMPIRICAL[shrinkage](found, basis)


def _nuclear(found: OptShrink, _: Basis) -> FloatArray:
    short, long = found.overlaps.short, found.overlaps.long
    return np.maximum(found.shrunk - found.strength * np.sqrt((1 - short) * (1 - long)), 0.0)


def _hard(found: OptShrink, basis: Basis) -> FloatArray:
    n = len(found.shrunk)
    values, noise = basis.singular_values[:n], basis.singular_values[n:]
    return np.where(values > screenot_threshold(noise, min(basis.sides) / max(basis.sides)), values, 0.0)


EMPIRICAL: dict[str, Callable[[OptShrink, Basis], FloatArray]] = {
    "frobenius": lambda found, _: found.shrunk,
    "operator": lambda found, _: found.strength,
    "nuclear": _nuclear,
    "hard": _hard,
}
