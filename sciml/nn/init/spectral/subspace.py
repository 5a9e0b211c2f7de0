"""What a first layer should look at: the directions of its input that stand above the noise floor."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from sciml._typing import FloatArray
from sciml.errors import DataError, NumericalError
from sciml.nn.init.draws import haar
from sciml.nn.structure import CONVOLUTIONS, Slot
from sciml.rmt import Spectrum, rank
from sciml.rmt.covariance.nonlinear import qis
from sciml.rmt.covariance.spiked import spiked

__all__ = ["SignalSubspace", "first_weight", "patches", "signal_subspace"]

MAX_PATCHES = 20_000
MAX_VALUES = 2**25  # of all patches: a quarter of a GiB in double precision
ROUNDING = 1e-10
MIN_DIRECTIONS = 8  # with fewer there is no bulk to tell a floor by
NEGLIGIBLE = 1e-4  # of the largest variance: directions that are left out where no noise floor is found


@dataclass(frozen=True, eq=False)
class SignalSubspace:
    """Directions of a layer's input, and the standard deviation that new data have along each.

    Attributes
    ----------
    directions
        (n_features, n_directions), orthonormal, by falling variance.
    deviations
        (n_directions,) standard deviation of new data along each.
    rank
        How many of them, the first, are signal.
    why
        How that was found, in words.
    """

    directions: FloatArray
    deviations: FloatArray
    rank: int
    why: str

    def summary(self) -> str:
        """Say what was found, in one sentence."""
        return f"first layer: {self.rank} of the {len(self.directions)} directions of its input are signal ({self.why})"


def signal_subspace(X: torch.Tensor, *, alpha: float = 0.05) -> SignalSubspace:
    r"""Return the signal subspace of samples, each direction with the deviation that new data have along it.

    A sample eigenvector above the noise floor is off the true one: of a true variance l it shows, in new data,

    .. math:: v = c^2 \ell + (1 - c^2) s^2, \qquad
              c^2 = \frac{1 - \gamma s^4 / (\ell - s^2)^2}{1 + \gamma s^2 / (\ell - s^2)}

    with noise variance s² and gamma = features / samples; less than the eigenvalue, which also counts what the noise
    of these samples adds to it. Where the test of white noise does not converge, no floor is claimed: v comes from
    quadratic-inverse shrinkage, which needs none, and the rank from deterministic parallel analysis, which lets
    features have noise of their own. Of fewer than 8 features there is no bulk to tell either by: all directions count.

    Parameters
    ----------
    X
        (n_samples, n_features).
    alpha
        Probability with which pure noise is given a direction.

    References
    ----------
    Donoho, Gavish, Johnstone (2018), doi:10.1214/17-AOS1601, section 1; Ledoit, Wolf (2022), doi:10.3150/20-BEJ1315;
    Dobriban, Owen (2019), doi:10.1111/rssb.12301.

    Examples
    --------
    >>> X = torch.randn(500, 20, generator=torch.Generator().manual_seed(0))
    >>> X[:, 0] *= 5
    >>> found = signal_subspace(X)
    >>> found.rank, bool(abs(found.deviations[0] / 5 - 1) < 0.1)
    (1, True)
    """
    samples = _checked(X)
    values, vectors = _principal(samples)
    if not len(values):
        return SignalSubspace(vectors, values, 0, "the input is zero")
    # what a denoiser or a reference took away is no direction of the data: the rest is data of fewer features
    reduced = len(values) < min(samples.shape)
    spectrum = Spectrum(values, len(values) if reduced else samples.shape[1], len(samples))
    floor = _floor(spectrum, alpha)
    if floor is not None:
        n_signal, sigma = floor
        deviations = np.sqrt(spiked(spectrum, sigma=sigma, rank=n_signal))[: len(values)]
        return SignalSubspace(vectors, deviations, n_signal, f"above the noise floor {sigma:.4g}")
    deviations = np.sqrt(qis(spectrum))[: len(values)]
    if len(values) < MIN_DIRECTIONS:
        kept = values > NEGLIGIBLE * values[0]
        why = "too few for a noise floor: all but those of no variance"
        return SignalSubspace(vectors[:, kept], deviations[kept], int(kept.sum()), why)
    rotated = samples.numpy() @ vectors if reduced else samples.numpy()
    found = rank.deterministic_parallel_analysis(rotated)
    why = "by parallel analysis, for white noise does not describe the rest"
    return SignalSubspace(vectors, deviations, found.rank, why)


def first_weight(found: SignalSubspace, n_rows: int, *, noise_share: float, generator: torch.Generator) -> torch.Tensor:
    r"""Return rows that give each unit variance one: a share of it from noise directions, the rest from the signal.

    Row r is :math:`\sqrt{1 - a}\, u_r^T D_s^{-1} E_s^T + \sqrt a\, w_r^T D_n^{-1} E_n^T`, with E the directions, D
    their deviations, and u_r, w_r unit vectors: rows of a random orthogonal matrix, orthogonal as far as there are
    directions for them.

    Parameters
    ----------
    found
        As `signal_subspace` returns it.
    n_rows
        Units of the layer.
    noise_share
        a, the share of the variance that noise directions give; none where all directions are signal.
    generator
        Where the randomness comes from.

    Returns
    -------
    torch.Tensor
        (n_rows, n_features).
    """
    k, n = found.rank, found.deviations.size
    share = 1.0 if k == 0 else 0.0 if k == n else noise_share
    weight = torch.zeros(n_rows, len(found.directions), dtype=torch.float64, device=generator.device)
    for part, amount in ((slice(0, k), 1.0 - share), (slice(k, n), share)):
        if amount > 0:
            whitened = torch.from_numpy(found.directions[:, part] / found.deviations[part]).to(weight)
            weight += math.sqrt(amount) * _unit_rows(n_rows, whitened.shape[1], generator) @ whitened.mT
    return weight


def patches(X: torch.Tensor, slot: Slot) -> torch.Tensor:
    """Return what the rows of a first layer are multiplied with, (n_samples, n_features).

    Of a convolution: patches that do not overlap, so that their noise is independent, from another first sample in each
    item, so that no phase of a wave is left out; at the borders with what the layer pads them with. At most 20,000,
    evenly taken.

    Raises
    ------
    DataError
        Inputs too short for one patch.
    """
    if not isinstance(slot.module, CONVOLUTIONS):
        return _thinned(X.reshape(-1, X.shape[-1]))
    X = _padded(X, slot.module)
    dilation = [int(each) for each in slot.module.dilation]
    extents = [(size - 1) * step + 1 for size, step in zip(slot.kernel, dilation, strict=True)]
    for dim, (extent, step) in enumerate(zip(extents, dilation, strict=True), start=2):
        if X.shape[dim] < extent:
            raise DataError(f"expected inputs of at least {extent} samples along dim {dim}, got {X.shape[dim]}")
        X = X.unfold(dim, extent, 1)[..., ::step]
    period = max(extents)
    parts = [_rows(X[start::period], start, extents) for start in range(min(period, len(X)))]
    return _thinned(torch.cat(parts))


def _rows(views: torch.Tensor, start: int, extents: Sequence[int]) -> torch.Tensor:
    """Return the patches at every `extent`-th place along each dim: (n_items * n_places, n_channels * n_taps)."""
    n_dims = len(extents)
    for dim, extent in enumerate(extents, start=2):
        places = torch.arange(start % extent, views.shape[dim], extent, device=views.device)
        views = views.index_select(dim, places)
    # (item, channel, *places, *taps) -> (item, *places, channel, *taps)
    moved = views.permute(0, *range(2, 2 + n_dims), 1, *range(2 + n_dims, 2 + 2 * n_dims))
    return moved.reshape(math.prod(moved.shape[: 1 + n_dims]), math.prod(moved.shape[1 + n_dims :]))


def _padded(X: torch.Tensor, module: Any) -> torch.Tensor:
    """Return the input with the borders that the layer sees."""
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    return functional.pad(X, module._reversed_padding_repeated_twice, mode=mode)


def _thinned(samples: torch.Tensor) -> torch.Tensor:
    step = max(1, math.ceil(len(samples) / MAX_PATCHES))
    return samples[::step]


def _checked(X: torch.Tensor) -> torch.Tensor:
    samples = X.detach().to("cpu", torch.float64)[:: max(1, X.numel() // MAX_VALUES)]
    if not torch.isfinite(samples).all():
        raise DataError("expected finite inputs of the first layer; fill what is missing before")
    return samples


def _principal(samples: torch.Tensor) -> tuple[FloatArray, FloatArray]:
    """Return eigenvalues of XᵀX / n that are not zero, and eigenvectors, by falling variance."""
    n, p = samples.shape
    gram = (samples.mT @ samples if p <= n else samples @ samples.mT) / n
    eigenvalues, vectors = (each.flip(-1) for each in torch.linalg.eigh(gram))
    there = eigenvalues > ROUNDING * eigenvalues[0].clamp(min=1e-300)
    eigenvalues, vectors = eigenvalues[there], vectors[:, there]
    if p > n:  # from the samples' side to the features'
        vectors = samples.mT @ vectors / (n * eigenvalues).sqrt()
    return eigenvalues.numpy(), vectors.numpy()


def _floor(spectrum: Spectrum, alpha: float) -> tuple[int, float] | None:
    """Return rank and noise level, or None where the test of white noise does not converge."""
    if len(spectrum.values) < MIN_DIRECTIONS:
        return None
    try:
        found = rank.white_test(spectrum, alpha=alpha)
    except NumericalError:
        return None
    converged = found.converged and found.sigma and found.rank < len(spectrum.values)
    return (found.rank, float(found.sigma)) if converged else None


def _unit_rows(n_rows: int, n_columns: int, generator: torch.Generator) -> torch.Tensor:
    """Return rows of length one: of stacked random orthogonal matrices, as many as it takes."""
    if n_columns >= n_rows:
        return haar(1, n_rows, n_columns, generator)[0]
    blocks = math.ceil(n_rows / n_columns)
    return haar(blocks, n_columns, n_columns, generator).reshape(-1, n_columns)[:n_rows]
