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
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sciml.linalg.batched import Tensor


from sciml._typing import FloatArray

__all__ = ["directions", "shrink_means", "shrink_vectors"]

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


def shrink_vectors(
    U: "Tensor", Q: "Tensor", noise: "Tensor", cos_u: "Tensor", cos_v: "Tensor", full: "Tensor"
) -> tuple["Tensor", "Tensor"]:
    """Return vectors whose groups are scaled by a_g / (x c_u c_v), and by how much their error changes.

    Parameters
    ----------
    U
        Singular vectors over the voxels, (patch, voxel, component).
    Q
        Known directions, (voxel, 1 + slopes).
    noise
        s² / p of each component, (patch, component).
    cos_u, cos_v
        Squared overlaps, (patch, component).
    full
        Whether a patch has all its voxels, (patch, 1): the directions are orthonormal only there.
    """
    along = Q.mH.to(U.dtype) @ U
    energy = _square(along)
    energies = [energy[:, 0], energy[:, 1:].sum(1)]
    energies.append((_square(U).sum(1) - energies[0] - energies[1]).clamp(min=0))
    sizes = (1, Q.shape[1] - 1, Q.shape[0] - Q.shape[1])
    safe = cos_u + (cos_u == 0)  # components that are not kept have no overlap
    ratios, error = [], 0.0
    for energy_of, size in zip(energies, sizes, strict=True):
        signal = (energy_of - size * noise).clamp(min=0)
        part = signal / energy_of.clamp(min=TINY)
        ratios.append(full * part / safe + (1 - full))
        error = error + (signal - cos_v * part * signal) / safe
    rest = ratios[2][:, None]
    own = along.clone()
    own[:, 0] *= ratios[0] - ratios[2]
    own[:, 1:] *= (ratios[1] - ratios[2])[:, None]
    change = full * error / (1 - cos_u * cos_v).clamp(min=TINY) + (1 - full)
    return U * rest + Q.to(U.dtype) @ own, change


def shrink_means(means: "Tensor", there: "Tensor", noise: "Tensor") -> tuple["Tensor", "Tensor"]:
    """Return what to add to the means of the voxels of each patch, and the squared error that is left in them.

    Parameters
    ----------
    means, there
        Means over the samples, and 1 for voxels that hold data, (patch, voxel).
    noise
        Variance of a mean, sigma² / n, (patch, 1).
    """
    count = there.sum(1, keepdim=True).clamp(min=1)
    deviation = (means - (means * there).sum(1, keepdim=True) / count) * there
    energy = _square(deviation).sum(1, keepdim=True)
    # p - 1 degrees of freedom, less two: the factor of James and Stein (1961)
    kept = (1 - (count - 3).clamp(min=0) * noise / energy.clamp(min=TINY)).clamp(min=0)
    return deviation * (kept - 1), noise * (1 / count + (1 - 1 / count) * kept)


def _square(values: "Tensor") -> Any:
    return values.real**2 + values.imag**2 if values.is_complex() else values**2
