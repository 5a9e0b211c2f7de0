"""The smoothest directions of whitened channels: noise is white in any fixed subspace, and a small one shows more."""

import numpy as np

from sciml._typing import AnyArray, FloatArray, IntArray

__all__ = ["SCALES", "smooth_basis", "smooth_maps"]

SCALES = (4, 16)  # of the directions, the smoothest in so many
FEWEST = 6  # directions
ROUGH = 0.3  # of a component that is smooth


def smooth_maps(places: IntArray, n_maps: int) -> FloatArray:
    """Return the smoothest products of cosines (N, n_maps) over places of a grid, (N, d).

    Smooth is what has the least sum of squared wavenumbers, each in units of the largest along its axis.
    """
    extent = np.ptp(places, axis=0) + 1
    wavenumbers = np.indices(tuple(extent)).reshape(len(extent), -1).T
    order = np.argsort(((wavenumbers / extent) ** 2).sum(axis=1), kind="stable")[:n_maps]
    at = (places - places.min(axis=0) + 0.5) * np.pi / extent
    found = np.ones((len(places), len(order)))
    for axis in range(len(extent)):
        found *= np.cos(np.outer(at[:, axis], wavenumbers[order, axis]))
    return found


def smooth_basis(places: IntArray, whiten: AnyArray, directions: AnyArray, part: int) -> AnyArray | None:
    """Return an orthonormal basis (M, k + K) of rough components that were found, and of the smoothest maps, whitened.

    A map m of the channels lies along `whiten`^H m in whitened samples, where noise is white: K is M over `part`.
    None where these are too few. Smooth components are found again among these, and better: what they were not told
    from among all directions would be a component of its own given them.

    Parameters
    ----------
    whiten
        (N, M), for channels of equal noise.
    directions
        Orthonormal directions (M, rank) of components found among all.
    """
    n_maps = whiten.shape[1] // part
    if n_maps < FEWEST:
        return None
    smooth = np.linalg.qr(whiten.conj().T @ smooth_maps(places, n_maps))[0]
    rough = directions[:, (np.abs(smooth.conj().T @ directions) ** 2).sum(axis=0) < ROUGH]
    return np.asarray(np.linalg.qr(np.concatenate([rough, smooth], axis=1))[0])
