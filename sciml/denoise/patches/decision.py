"""What is decided from the spectra of a batch of patches: noise, rank, shrinkage, and the error that is left."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sciml._typing import BoolArray, FloatArray, IntArray
from sciml.rmt import shrink
from sciml.rmt.rank import count_above
from sciml.rmt.sigma import median_edge_refit, refit
from sciml.rmt.spectrum import Spectra

__all__ = ["Decision", "Rules", "Sizes", "Weights", "decide"]

Weights = Literal["uniform", "rank", "gaussian"]
PER_COMPONENT = ("gain", "power", "slope", "offset", "constant", "cos_u", "cos_v")
# Signal of a power up to the limit of detection, sqrt(beta) sigma² times the long side, is not seen. Half of it is the
# mean of all powers up to there, none being likelier than another; denoise_patches says how often intervals hold.
UNDETECTED = 0.5
MIN_SIDE = 3  # with fewer values in a spectrum there is no telling signal from noise


@dataclass(frozen=True)
class Rules:
    """How a spectrum is cut: shrinker, known noise, fixed rank, level of the edge test."""

    shrinkage: str = "frobenius"
    sigma: float | None = None
    rank: int | None = None
    alpha: float = 0.01
    complex_data: bool = False


@dataclass(frozen=True)
class Decision:
    r"""Noise and rank of each patch (batch,), and for its strongest components (batch, k) what becomes of them.

    `gain`: shrunk over measured singular value. The mean squared error of the denoised patch at a voxel where the
    component's squared singular vector is h is `max(0, h - offset) * slope + constant`, summed over components.
    `power`: the squared shrunk singular value.
    """

    sigma: FloatArray
    rank: IntArray
    gain: FloatArray
    power: FloatArray
    slope: FloatArray
    offset: FloatArray
    constant: FloatArray
    cos_u: FloatArray
    cos_v: FloatArray
    undetected: FloatArray
    usable: BoolArray


@dataclass(frozen=True)
class Sizes:
    """How much data each patch of a batch holds, (batch,).

    `n_voxels`, and `n_samples` of each of them; `known`: the share k of these values that was measured. The others
    were filled by the model: the noise in the matrix has the variance k sigma², but that of what is kept, which is
    known from a share k of the values alone, is sigma² / k.
    """

    n_voxels: IntArray
    n_samples: IntArray
    known: FloatArray

    def of(self, rows: IntArray | slice) -> "Sizes":
        """Return the sizes of some of the patches."""
        return Sizes(self.n_voxels[rows], self.n_samples[rows], self.known[rows])


def decide(scatter: NDArray[np.floating], sizes: Sizes, rules: Rules) -> Decision:
    """Decide for every patch, those of one shape together.

    Parameters
    ----------
    scatter
        Eigenvalues of X^H X, descending, shape (batch, side), X of shape (n_voxels, n_samples) with demeaned rows.
    sizes
        Of each X. A row has one degree of freedom less than samples.
    """
    size = len(scatter)
    parts: list[tuple[IntArray, Decision]] = []
    for voxels, samples in np.unique(np.stack([sizes.n_voxels, sizes.n_samples], axis=1), axis=0).tolist():
        members = np.flatnonzero((sizes.n_voxels == voxels) & (sizes.n_samples == samples))
        if min(voxels, samples - 1) >= MIN_SIDE:
            parts.append((members, _decide(scatter[members], (voxels, samples - 1), sizes.known[members], rules)))
    width = max((part.gain.shape[1] for _, part in parts), default=0)
    whole = Decision(
        sigma=np.zeros(size),
        rank=np.zeros(size, np.int64),
        **{name: np.zeros((size, width)) for name in PER_COMPONENT},
        undetected=np.zeros(size),
        usable=np.zeros(size, bool),
    )
    for members, part in parts:
        whole.usable[members] = True
        for name in ("sigma", "rank", "undetected"):
            getattr(whole, name)[members] = getattr(part, name)
        for name in PER_COMPONENT:
            getattr(whole, name)[members, : part.gain.shape[1]] = getattr(part, name)
    return whole


def _decide(scatter: NDArray[np.floating], shape: tuple[int, int], known: FloatArray, rules: Rules) -> Decision:
    n_voxels, n_samples = shape
    short, long = sorted(shape)
    s = scatter[:, :short]
    sigma, rank = _noise(s, (short, long), known, rules)
    width = int(rank.max(initial=0))
    beta = short / long
    unit = sigma * np.sqrt(long)
    kept = (np.arange(width) < rank[:, None]) & (unit > 0)[:, None]
    y = np.sqrt(np.maximum(s[:, :width], 0)) / np.where(unit > 0, unit, 1.0)[:, None]
    y = np.where(kept, y, 0.0)
    eta = shrink.SHRINKERS[rules.shrinkage](y, beta)
    gain = eta / np.where(y > 0, y, 1.0)
    gain = np.where(~(unit > 0)[:, None] & (np.arange(width) < rank[:, None]), 1.0, gain)  # no noise: keep as it is
    power = (eta * unit[:, None]) ** 2
    slope, offset, constant, cos_u, cos_v = _error(y, eta, beta, n_voxels, voxels_short=n_voxels <= n_samples)
    scale = (unit**2)[:, None]
    usable = np.ones(len(s), bool)
    undetected = UNDETECTED * np.sqrt(beta) * unit**2 / n_voxels
    return Decision(sigma, rank, gain, power, slope * scale, offset, constant * scale, cos_u, cos_v, undetected, usable)


def _noise(
    s: NDArray[np.floating], sides: tuple[int, int], known: FloatArray, rules: Rules
) -> tuple[FloatArray, IntArray]:
    """Return the noise level of what is kept, and the number of components to keep."""
    most = min(sides) - 1
    spectra = Spectra(s, *sides, "complex" if rules.complex_data else "real")
    if rules.sigma is not None:
        sigma = rules.sigma / np.sqrt(known)
    elif rules.rank is not None:
        sigma = refit(spectra, min(rules.rank, most)) / known
    else:
        sigma = median_edge_refit(spectra).sigma / known
    if rules.rank is not None:
        return sigma, np.full(len(s), min(rules.rank, most))
    return sigma, count_above(spectra, sigma, alpha=rules.alpha)


def _error(y: FloatArray, eta: FloatArray, beta: float, n_voxels: int, *, voxels_short: bool) -> tuple[FloatArray, ...]:
    r"""Return slope, offset and constant of each component's squared error at a voxel, and its squared overlaps.

    The error is summed over the samples. A component x u v^H is seen as y û v̂^H and estimated as η û v̂^H. With
    û = c u + s r, r a random direction (entries of variance 1/p), and likewise v̂, the error at voxel i is, as the
    squares of v and v̂ sum to 1, in units of sigma² times the long side

    .. math:: |u_i|^2 (x^2 - 2 \eta x c_u c_v + \eta^2 c_u^2) + \eta^2 s_u^2 / p,
              \qquad |u_i|^2 \approx \frac{|\hat u_i|^2 - s_u^2 / p}{c_u^2}

    Overlaps: Benaych-Georges and Nadakuditi (2012), doi:10.1016/j.jmva.2012.04.019.
    """
    x = shrink.operator(y, beta)
    found = shrink.overlaps(x, beta)
    cos_u, cos_v = (found.short, found.long) if voxels_short else (found.long, found.short)
    cos_u, cos_v = np.asarray(cos_u), np.asarray(cos_v)
    left = x**2 - 2 * eta * x * np.sqrt(cos_u * cos_v) + eta**2 * cos_u
    safe = np.where(cos_u > 0, cos_u, 1.0)
    offset = (1 - cos_u) / n_voxels
    return np.where(cos_u > 0, left / safe, 0.0), offset, eta**2 * offset, cos_u, cos_v
