r"""Shrink what varies fast within a patch more than what varies slowly, as far as the data say so.

Optimal shrinkage of singular values takes a singular vector's direction for random. Within a patch it often is not:
its level and slopes hold most of it. With the voxels' space cut into groups g of known directions (level; slopes; the
rest) of d_g dims, a vector seen as û = c u + s r has e_g = |û_g|² in each, of which n_g = s² d_g / p is noise, and the
least squared error is that of a gain of its own in each group,

.. math:: a_g = x\, c_v\, \frac{(e_g - n_g)_+}{c_u\, e_g}, \qquad
          E_g = x^2 \Big( |u_g|^2 - c_v^2 \frac{(e_g - n_g)_+^2}{c_u^2\, e_g} \Big),
          \quad |u_g|^2 = \frac{(e_g - n_g)_+}{c_u^2}

which is the Frobenius shrinker x c_u c_v again where e_g is in proportion to d_g. (James and Stein's idea, with
overlaps in the place of a known noise level.) The map of means over the samples is treated alike: its noise is
sigma²/n, and what is more than that about the patch's mean is signal.

Where neighboring voxels share noise of correlation R, û is the map in the units of the data, whose noise is s² R / p:
d_g becomes tr(Q_g^T R Q_g), and the least squared error is that of the data, not of the whitened ones (a weighted loss:
Leeb 2022, doi:10.1137/20M1387771). The means are drawn toward their best common value, in units of their noise.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sciml._typing import FloatArray
from sciml.denoise.patches.coloring import Coloring

if TYPE_CHECKING:
    from sciml.linalg.batched import Tensor

__all__ = ["Groups", "directions", "shrink_means", "shrink_vectors"]

TINY = 1e-20


def directions(patch: tuple[int, ...]) -> FloatArray:
    """Return level and slopes of a patch as orthonormal columns, (voxel, 1 + number of axes longer than two).

    Examples
    --------
    >>> Q = directions((4, 5, 1))
    >>> Q.shape, bool(np.allclose(Q.T @ Q, np.eye(3)))
    ((20, 3), True)
    """
    axes = np.meshgrid(*[np.arange(size) - (size - 1) / 2 for size in patch], indexing="ij")
    columns = [np.ones(patch), *(axis for axis, size in zip(axes, patch, strict=True) if size > 2)]
    return np.stack([column.ravel() / np.linalg.norm(column) for column in columns], axis=1)


@dataclass(frozen=True)
class Groups:
    """Known directions of a patch, `columns` (voxel, 1 + slopes), and the noise in level, slopes, and the rest.

    `noise` in units of that of a voxel: the dims of each group where it is white, which `colored` says it is not.
    """

    columns: "Tensor"
    noise: tuple[Any, Any, Any]
    colored: bool

    @classmethod
    def of_directions(cls, columns: "Tensor", coloring: Coloring | None) -> "Groups":
        """Return the groups of the directions for noise of a coloring."""
        n, n_known = columns.shape
        if coloring is None:
            return cls(columns, (1, n_known - 1, n - n_known), colored=False)
        along = coloring.noise_along(columns)
        level, slopes = along[..., :1], along[..., 1:].sum(-1, keepdim=True)
        return cls(columns, (level, slopes, n - level - slopes), colored=True)


def shrink_vectors(
    U: "Tensor", groups: Groups, noise: "Tensor", cos_u: "Tensor", cos_v: "Tensor", full: "Tensor"
) -> tuple["Tensor", "Tensor"]:
    """Return vectors whose groups are scaled by a_g / (x c_u c_v), and by how much their error changes.

    Parameters
    ----------
    U
        Singular vectors over the voxels, as maps in units of the data, (patch, voxel, component).
    groups
        Known directions.
    noise
        s² / p of each component, (patch, component).
    cos_u, cos_v
        Squared overlaps, (patch, component).
    full
        Whether a patch has all its voxels, (patch, 1): the directions are orthonormal only there.
    """
    Q = groups.columns
    along = Q.mH.to(U.dtype) @ U
    energy = _square(along)
    energies = [energy[:, 0], energy[:, 1:].sum(1)]
    total = _square(U).sum(1)
    energies.append((total - energies[0] - energies[1]).clamp(min=0))
    safe = cos_u + (cos_u == 0)  # components that are not kept have no overlap
    whole, least = _whole(total, cos_u, cos_v, colored=groups.colored)
    ratios, error = [], 0.0
    for energy_of, size in zip(energies, groups.noise, strict=True):
        signal = (energy_of - size * noise).clamp(min=0)
        part = signal / energy_of.clamp(min=TINY)
        ratios.append(full * part / safe + (1 - full) * whole)
        error = error + (signal - cos_v * part * signal) / safe
    rest = ratios[2][:, None]
    own = along.clone()
    own[:, 0] *= ratios[0] - ratios[2]
    own[:, 1:] *= (ratios[1] - ratios[2])[:, None]
    change = full * error / least.clamp(min=TINY) + (1 - full)
    return U * rest + Q.to(U.dtype) @ own, change


def _whole(total: "Tensor", cos_u: "Tensor", cos_v: "Tensor", *, colored: bool) -> tuple[Any, "Tensor"]:
    """Return a / (x c_u c_v) of a map as a whole, and the squared error of the shrinker x c_u c_v, over x².

    A map of colored noise is longer than 1 where signal is smooth, so that less of it is noise.
    """
    least = 1 - cos_u * cos_v
    if not colored:
        return 1, least
    safe = cos_u + (cos_u == 0)
    signal = (total - (1 - cos_u)).clamp(min=0) / safe
    whole = signal / total.clamp(min=TINY)
    return whole, (1 - 2 * cos_u * cos_v + cos_u**2 * cos_v) * signal + cos_u * cos_v * (1 - cos_u)


def shrink_means(
    means: "Tensor", there: "Tensor", noise: "Tensor", coloring: Coloring | None = None
) -> tuple["Tensor", "Tensor"]:
    """Return what to add to the means of the voxels of each patch, and the squared error that is left in them.

    Parameters
    ----------
    means, there
        Means over the samples, and 1 for voxels that hold data, (patch, voxel).
    noise
        Variance of a mean, sigma² / n, (patch, 1).
    coloring
        Of the noise; None: it is white.
    """
    count = there.sum(1, keepdim=True).clamp(min=1)
    if coloring is None:
        common = (means * there).sum(1, keepdim=True) / count
        deviation = (means - common) * there
        energy, level = _square(deviation).sum(1, keepdim=True), 1 / count
    else:
        deviation, energy, level = _deviation(means, there, coloring)
    # p - 1 degrees of freedom, less two: the factor of James and Stein (1961)
    kept = (1 - (count - 3).clamp(min=0) * noise / energy.clamp(min=TINY)).clamp(min=0)
    return deviation * (kept - 1), noise * (level + (1 - level) * kept)


def _deviation(means: "Tensor", there: "Tensor", coloring: Coloring) -> tuple["Tensor", "Tensor", "Tensor"]:
    """Return deviations of means from their common value of least variance, their squared length, that variance.

    Lengths are those of whitened deviations, the variance in units of that of a mean.
    """
    ones, white = (coloring.project((each * there)[..., None])[..., 0] for each in (there, means))
    level = coloring.level(there)
    common = (ones * white).sum(1, keepdim=True) * level
    energy = _square(white - ones * common).sum(1, keepdim=True)
    return (means - common) * there, energy, level


def _square(values: "Tensor") -> Any:
    return values.real**2 + values.imag**2 if values.is_complex() else values**2
