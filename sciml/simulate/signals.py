"""Signals of known rank: how latent activity answers stimuli, and how it is mixed into channels."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml.errors import ConfigError

__all__ = ["direction_tuning", "evoked", "low_rank_signal"]

SUPPORT = 12.0  # an alpha function has fallen to 12 exp(-11) = 2e-4 of its peak after 12 time constants


def low_rank_signal(
    latents: NDArray[np.float64],
    *,
    n_channels: int,
    strengths: ArrayLike,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    r"""Mix latent trajectories into channels so that the eigenvalues of their covariance are known exactly.

    .. math:: S = Z\, \mathrm{diag}(\sqrt{\ell_1}, \dots, \sqrt{\ell_r})\, V^\top, \qquad
        Z^\top Z = T\, I, \quad V^\top V = I

    with Z the latents after their mean is removed and they are decorrelated symmetrically, V random orthonormal
    loadings. The nonzero eigenvalues of SᵀS/T are the strengths ℓ. Added to white noise of unit variance this is
    the spiked covariance model with population spikes 1 + ℓ.

    Parameters
    ----------
    latents
        Trajectories of shape (n_samples, rank), linearly independent.
    n_channels
        Number of channels, at least rank.
    strengths
        Eigenvalues ℓ, shape (rank,), in the unit of the result squared.
    rng
        Source of the loadings.

    Returns
    -------
    Signal of shape (n_samples, n_channels), of mean zero over time.

    Raises
    ------
    ConfigError
        Fewer channels than latents, strengths that do not fit, or latents that are not linearly independent.

    References
    ----------
    Johnstone (2001), doi:10.1214/aos/1009210544, section 5 (spiked covariance model).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> signal = low_rank_signal(rng.standard_normal((100, 2)), n_channels=8, strengths=[9.0, 4.0], rng=rng)
    >>> np.linalg.eigvalsh(signal.T @ signal / 100)[-3:].round(6).tolist()
    [0.0, 4.0, 9.0]
    """
    n_samples, rank = latents.shape
    strengths = np.asarray(strengths, dtype=np.float64)
    if n_channels < rank or strengths.shape != (rank,):
        raise ConfigError(
            f"expected one strength a latent and at least as many channels as latents, got {rank} latents, "
            f"strengths of shape {strengths.shape} and {n_channels} channels"
        )
    centered = latents - latents.mean(axis=0)
    U, s, Vt = np.linalg.svd(centered, full_matrices=False)
    if s.min(initial=np.inf) <= s.max(initial=0.0) * np.finfo(np.float64).eps * n_samples:
        raise ConfigError(f"expected {rank} linearly independent latents, got singular values {s}")
    loadings = np.linalg.qr(rng.standard_normal((n_channels, rank))).Q
    mixed: NDArray[np.float64] = np.sqrt(n_samples) * (U @ Vt) @ (loadings * np.sqrt(strengths)).T
    return mixed


def evoked(
    time: NDArray[np.float64],
    onsets: NDArray[np.float64],
    *,
    gains: NDArray[np.float64],
    time_constants: NDArray[np.float64],
) -> NDArray[np.float64]:
    r"""Return the summed responses of latents to stimuli: alpha functions that start at each onset.

    .. math:: z_j(t) = \sum_i g_{ij}\, h\!\left(\frac{t - t_i}{\tau_j}\right), \qquad h(u) = u\, e^{1 - u} \; (u > 0)

    h rises smoothly and peaks at 1 after one time constant.

    Parameters
    ----------
    time
        Sample times [s], ascending, shape (n_samples,).
    onsets
        Onset times t_i [s], shape (n_events,).
    gains
        Peak g_ij of each response, shape (n_events, n_latents).
    time_constants
        τ_j [s], shape (n_latents,).

    Returns
    -------
    Trajectories of shape (n_samples, n_latents), in the unit of `gains`.

    Examples
    --------
    >>> z = evoked(np.arange(5) * 0.1, np.array([0.1]), gains=np.array([[2.0]]), time_constants=np.array([0.2]))
    >>> z[:, 0].round(3).tolist()
    [0.0, 0.0, 1.649, 2.0, 1.82]
    """
    latents = np.zeros((time.size, time_constants.size))
    ends = onsets + SUPPORT * time_constants.max(initial=0.0)
    starts, stops = np.searchsorted(time, onsets), np.searchsorted(time, ends)
    for onset, gain, start, stop in zip(onsets, gains, starts, stops, strict=True):
        u = (time[start:stop, None] - onset) / time_constants
        latents[start:stop] += gain * u * np.exp(1 - u)
    return latents


def direction_tuning(n_directions: int, n_latents: int) -> NDArray[np.float64]:
    r"""Return how latents are tuned to directions θ_k = 2πk/n: the harmonics cos θ, sin θ, cos 2θ, sin 2θ, ...

    n directions span n - 1 harmonics that differ between directions; a further latent answers every direction
    alike (a column of ones), and those after it answer none (zeros: they are active spontaneously only).

    Returns
    -------
    Tuning of shape (n_directions, n_latents): row k is the response to direction k, entries in [-1, 1].

    Examples
    --------
    >>> direction_tuning(4, 3).round().astype(int).tolist()
    [[1, 0, 1], [0, 1, -1], [-1, 0, 1], [0, -1, -1]]
    """
    theta = 2 * np.pi * np.arange(n_directions) / n_directions
    harmonics = [wave(m * theta) for m in range(1, n_directions // 2 + 1) for wave in (np.cos, np.sin)]
    # the sine of the highest harmonic vanishes where n is even, hence the cut at n - 1
    columns = [*harmonics[: n_directions - 1], np.ones(n_directions)]
    columns += [np.zeros(n_directions)] * (n_latents - n_directions)
    return np.stack(columns[:n_latents], axis=1)
