r"""Shrinkage of the eigenvalues of a spiked covariance: few directions of more than noise, the others all alike."""

from collections.abc import Callable

import numpy as np

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.rmt.checks import positive
from sciml.rmt.covariance.nonlinear import correlation, problem
from sciml.rmt.edges import white
from sciml.rmt.rank.tests import white_test
from sciml.rmt.shrink import spike_strength
from sciml.rmt.spectrum import Field, Spectrum

__all__ = ["LOSSES", "spiked"]


# Best eigenvalue on a sample eigenvector, from the true l and the squared cosine c2 between it and the true one.
LOSSES: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "frobenius": lambda ell, c2: ell * c2 + (1 - c2),
    "operator": lambda ell, _: ell,
    "nuclear": lambda ell, c2: np.maximum(1.0, 1 + (ell - 1) * (2 * c2 - 1)),
    "stein": lambda ell, c2: ell / (c2 + ell * (1 - c2)),
    "inverse_frobenius": lambda ell, c2: ell / (c2 + ell * (1 - c2)),
    "entropy": lambda ell, c2: ell * c2 + (1 - c2),
    "divergence": lambda ell, c2: np.sqrt(ell * (ell * c2 + (1 - c2)) / (c2 + ell * (1 - c2))),
    "frechet": lambda ell, c2: (np.sqrt(ell) * c2 + (1 - c2)) ** 2,
}


def spiked(
    spectrum: Spectrum,
    *,
    n_effective: float | None = None,
    loss: str = "frobenius",
    sigma: float | None = None,
    rank: int | None = None,
    alpha: float = 0.05,
) -> FloatArray:
    r"""Shrink the eigenvalues of a covariance that is sigma² everywhere but in a few directions.

    In units of sigma², an eigenvalue above the edge shows a true one of l (`shrink.debias_eigenvalue`) in a direction
    off the true one by

    .. math:: c^2 = \frac{1 - \gamma / (\ell - 1)^2}{1 + \gamma / (\ell - 1)}, \qquad s^2 = 1 - c^2,

    and becomes what is best for the loss, A being the true and B the estimated covariance:

    - "frobenius", the norm of A - B, and "entropy", Stein's loss with A and B exchanged: :math:`\ell c^2 + s^2`
    - "operator", the norm of A - B: :math:`\ell`
    - "nuclear", the norm of A - B: :math:`\max(1, 1 + (\ell - 1)(1 - 2 s^2))`
    - "stein", tr(A^-1 B) - log det(A^-1 B), and "inverse_frobenius", the norm of A^-1 - B^-1:
      :math:`\ell / (c^2 + \ell s^2)`
    - "divergence", tr(A^-1 B + A B^-1): :math:`\sqrt{\ell (\ell c^2 + s^2) / (c^2 + \ell s^2)}`
    - "frechet", the Frobenius norm of the difference of the square roots: :math:`(\sqrt\ell c^2 + s^2)^2`

    All other eigenvalues, those that are zero for want of samples included, become sigma².

    Parameters
    ----------
    spectrum
        As for `qis`.
    n_effective
        Number of independent samples that they are worth: takes the place of the number of samples, which is right to
        the first order only. The noise edge of a spectrum that is far from flat lies further out (`edges.colored`).
    loss
        What the estimate is best for.
    sigma
        Standard deviation of the noise; that of `rank.white_test` if not given.
    rank
        Number of directions; if not given, that of `rank.white_test`, or with a given sigma those above the
        Tracy-Widom threshold at `alpha`.
    alpha
        Probability with which pure noise is given a direction.

    Raises
    ------
    DataError
        More eigenvalues than features.
    ConfigError
        An unknown loss; a sigma that is not positive; a rank that leaves no noise.

    References
    ----------
    Donoho, Gavish and Johnstone (2018), doi:10.1214/17-AOS1601.

    Examples
    --------
    >>> spiked(Spectrum([9.0, 1.2, 1.1, 1.0, 0.9, 0.8], 6, 100), sigma=1.0).round(3).tolist()
    [8.865, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if loss not in LOSSES:
        raise ConfigError(f"expected a loss of {', '.join(LOSSES)}, got {loss!r}")
    lam, p, n = problem(spectrum)
    shrunk = np.zeros(spectrum.n_features)
    if lam.size == 0:
        return shrunk
    n = max(1, round(n / correlation(n, n_effective)))
    found, level = _noise(lam, p, n, sigma, rank, alpha, spectrum.field)
    if level == 0:  # nothing but the components: what the sample shows of them is exact
        shrunk[:found] = lam[:found]
        return shrunk
    shrunk[:p] = level**2
    shrunk[:found] *= _shrink_spikes(lam[:found] / level**2, p / n, LOSSES[loss])
    return shrunk


def _shrink_spikes(
    lam: FloatArray, gamma: float, shrinker: Callable[[FloatArray, FloatArray], FloatArray]
) -> FloatArray:
    strength = spike_strength(lam, gamma)
    found = strength > 0
    excess = np.where(found, strength, 1.0)
    c2 = (1 - gamma / excess**2) / (1 + gamma / excess)
    return np.where(found, shrinker(1 + strength, np.where(found, c2, 0.0)), 1.0)


def _noise(
    lam: FloatArray, p: int, samples: int, sigma: float | None, rank: int | None, alpha: float, field: Field
) -> tuple[int, float]:
    """Return the number of components and the noise level, each as given or as the spectrum says."""
    # Correlated samples leave more eigenvalues than their effective number: the largest are those that count.
    largest = np.pad(lam[:samples], (0, max(0, min(p, samples) - lam.size)))
    limit = min(largest.size, samples) - 1
    if rank is not None and not 0 <= rank <= limit:
        raise ConfigError(f"expected a rank from 0 to {limit}, so that noise is left, got {rank}")
    if sigma is not None:
        level = positive("sigma", sigma)
        edge = white(p, samples, complex_data=field == "complex").threshold(alpha) * level**2
        return (int(np.count_nonzero(largest > edge)) if rank is None else rank), level
    if rank is not None:
        rest = float(lam[rank:].sum()) * samples
        return rank, float(np.sqrt(rest / ((p - rank) * (samples - rank))))
    test = white_test(Spectrum(largest, p, samples, field), alpha=alpha)
    return test.rank, test.sigma
