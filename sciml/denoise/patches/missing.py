r"""Patches with missing values: what is left out of each, and the rest filled by the model that is fitted to it.

A voxel is used where half of its patch's samples are known, a sample where half of its voxels are. What is missing
among these is given the patch's own model, fitted anew until the two agree (the iteration of Beckers and Rixen (2003),
doi:10.1175/1520-0426(2003)020<1839:ECADFF>2.0.CO;2, with the shrunk spectrum in the place of a fixed number of
components). Filled values hold no noise: where a share :math:`\kappa` of the entries is known, the matrix has noise of
variance :math:`\kappa \sigma^2`, with a spectrum as if it were everywhere. A component that is kept fills its own gaps,
which takes its strength in the known entries :math:`s` to :math:`s / \kappa`, and its noise likewise: components are
cut and shrunk at the level :math:`\sigma / \sqrt\kappa`.

Where neighboring voxels share noise, what is missing is also given the noise that its neighbors tell of it, the
conditional mean :math:`e_m = -P_{mm}^{-1} P_{mo} e_o` with P the inverse of the correlation: the noise that is left out
has the trace of the missing values again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sciml._typing import IntArray
from sciml.denoise.patches.coloring import Coloring
from sciml.denoise.patches.decision import Sizes
from sciml.denoise.patches.model import Batch, Settings, put, reconstruct, square
from sciml.linalg import batched

if TYPE_CHECKING:
    from sciml.linalg.batched import Tensor

__all__ = ["completed"]

SharedNoise: TypeAlias = Callable[["Tensor", IntArray], Coloring | None]  # of voxels that are used, so many a patch

LEVELS = (0.1, 0.25, 0.5)  # shares of known values that are asked for: what is nearly empty goes first
MOST_STEPS = 60  # of two fits each
LONGEST = 64.0  # that a step may be extended
TINY = 1e-30
CONVERGED = 1e-3  # mean squared step of what is filled, over the variance of the noise
EXACT = 1e-8  # of the mean square of the values: where there is no noise


def completed(
    values: "Tensor",
    there: "Tensor",
    known: "Tensor",
    patch: tuple[int, ...],
    settings: Settings,
    noise: SharedNoise,
) -> tuple[Batch, "Tensor", "Tensor"]:
    """Return patches whose missing values are filled, the means that were taken out, and which samples are used.

    Parameters
    ----------
    values, known
        Values, 0 where they are missing, and 1 where they are known, (patch, voxel, sample).
    there
        1 for voxels that may be used, (patch, voxel).
    noise
        What the noise shares of voxels that are used, (patch, voxel), so many of each patch.

    Returns
    -------
    The batch; means (patch, voxel); 1 for samples that are used (patch, sample).
    """
    gaps = _Gaps.of_known(there, known, noise)
    present = gaps.inside - gaps.missing
    means = (values * present).sum(2) / present.sum(2).clamp(min=1)
    filled = values * present + means[..., None] * gaps.missing
    waiting = gaps.missing.flatten(1).any(1).nonzero()[:, 0]
    for _ in range(MOST_STEPS):
        if not len(waiting):
            break
        filled[waiting], far = _step(filled[waiting], gaps.of(waiting), patch, settings)
        waiting = waiting[far]
    batch, means = gaps.centered(filled)
    return batch, means, gaps.samples


@dataclass(frozen=True)
class _Gaps:
    """What is used of each patch, and what is missing of that: 1 where it is, 0 elsewhere."""

    used: "Tensor"
    samples: "Tensor"
    inside: "Tensor"
    missing: "Tensor"
    sizes: Sizes
    noise: Coloring | None

    @classmethod
    def of_known(
        cls, there: "Tensor", known: "Tensor", noise: Callable[["Tensor", IntArray], Coloring | None]
    ) -> "_Gaps":
        used, samples = _used(there, known)
        inside = used[..., None] * samples[:, None]
        missing = inside * (1 - known)
        share = 1 - missing.sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
        n_voxels, n_samples = (np.rint(batched.to_numpy(each.sum(1))).astype(np.int64) for each in (used, samples))
        sizes = Sizes(n_voxels, n_samples, batched.to_numpy(share).astype(np.float64))
        return cls(used, samples, inside, missing, sizes, noise(used, n_voxels))

    def of(self, rows: "Tensor") -> "_Gaps":
        """Return those of some of the patches."""
        used, samples, inside, missing = (each[rows] for each in (self.used, self.samples, self.inside, self.missing))
        noise = None if self.noise is None else self.noise.of(rows)
        return _Gaps(used, samples, inside, missing, self.sizes.of(batched.to_numpy(rows)), noise)

    def centered(self, filled: "Tensor") -> tuple[Batch, "Tensor"]:
        """Return completed patches without the means of their voxels, and these."""
        means = filled.sum(2) / self.samples.sum(1, keepdim=True).clamp(min=1)
        return Batch((filled - means[..., None]) * self.inside, self.used, self.sizes, self.noise), means


def _step(filled: "Tensor", gaps: _Gaps, patch: tuple[int, ...], settings: Settings) -> tuple["Tensor", "Tensor"]:
    """Return patches filled better, and which of them still have far to go.

    The model is fitted twice, and the way it went is gone on in the same direction: Varadhan and Roland (2008),
    doi:10.1111/j.1467-9469.2007.00585.x, eqs. 6 to 9, scheme S3. Without, a value that hardly any other speaks for
    takes hundreds of fits.
    """
    first, noise = _fitted(filled, gaps, patch, settings)
    second, _ = _fitted(first, gaps, patch, settings)
    r, v = first - filled, second - 2 * first + filled
    size = square(r).sum((1, 2))
    length = (size / square(v).sum((1, 2)).clamp(min=TINY)).sqrt().clamp(1, LONGEST)
    ahead = length[:, None, None]
    far = length**2 * size / gaps.missing.sum((1, 2)) > CONVERGED * noise
    return filled + 2 * ahead * r + ahead**2 * v, far


def _fitted(filled: "Tensor", gaps: _Gaps, patch: tuple[int, ...], settings: Settings) -> tuple["Tensor", "Tensor"]:
    """Return patches with their gaps filled by the model of them, and the variance of their noise."""
    batch, means = gaps.centered(filled)
    kept = reconstruct(batch, patch, settings)
    noise = put(kept.decision.sigma**2, like=gaps.used) + EXACT * square(batch.values).mean((1, 2))
    residual = filled - means[..., None] - kept.denoised
    shared = 0.0 if gaps.noise is None else gaps.noise.interpolated(residual * gaps.inside, gaps.missing)
    return filled + gaps.missing * (shared - residual), noise


def _used(there: "Tensor", known: "Tensor") -> tuple["Tensor", "Tensor"]:
    """Return which voxels (patch, voxel) and samples (patch, sample) hold at least half of what they might."""
    used, samples = there, known.new_ones((known.shape[0], known.shape[2]))
    for level in LEVELS:
        voxels = (known * samples[:, None]).sum(2)
        used = there * (voxels >= level * samples.sum(1, keepdim=True)) * (voxels > 0)
        columns = (known * used[..., None]).sum(1)
        samples = ((columns >= level * used.sum(1, keepdim=True)) & (columns > 0)).to(known.dtype)
    return used, samples
