"""Images: a two-photon movie of neurons, and a phantom of diffusion in crossing fibers."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from sciml.simulate.simulated import Simulated, check_positive, clock, simulated

__all__ = ["diffusion_phantom", "two_photon_movie"]

DECAY = 0.6  # of the calcium indicator [s]
AXIAL, RADIAL = 1.7e-3, 0.3e-3  # diffusivities along and across a fiber [mm^2/s]


def two_photon_movie(
    shape: tuple[int, int] = (48, 48),
    *,
    n_cells: int = 12,
    n_samples: int = 600,
    rate: float = 15.0,
    brightness: float = 20.0,
    seed: int = 0,
) -> Simulated:
    r"""Simulate a two-photon movie: cells that flash with calcium, in photon noise.

    .. math:: X(t, r) \sim \mathrm{Poisson}\Big( b + b \sum_k e^{-|r - r_k|^4 / w^4} c_k(t) \Big)

    with c the response to spikes at random times: a jump that decays with 0.6 s.

    Parameters
    ----------
    shape
        Pixels along y and x.
    n_cells
        Number of cells.
    n_samples, rate
        Frames, and frames a second.
    brightness
        b, photons of the background in a pixel and frame.
    seed
        Seed of all randomness.

    Returns
    -------
    Recording (time, y, x) in photons; truth: `centers` (cell, 2) in pixels, `time_courses` (time, cell), `rank`.

    Raises
    ------
    ConfigError
        A size, rate or brightness that is not above zero.

    Examples
    --------
    >>> movie = two_photon_movie((16, 16), n_cells=2, n_samples=50)
    >>> movie.recording.dims, movie.truth["time_courses"].shape
    (('time', 'y', 'x'), (50, 2))
    """
    check_positive(height=shape[0], width=shape[1], cells=n_cells, n_samples=n_samples, rate=rate, b=brightness)
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    centers = np.stack([rng.uniform(0.1 * size, 0.9 * size, n_cells) for size in shape], axis=1)
    square = (y[..., None] - centers[:, 0]) ** 2 + (x[..., None] - centers[:, 1]) ** 2
    footprints = np.exp(-((square / 3.0**2) ** 2))
    spikes = rng.poisson(0.3 / rate, (n_samples, n_cells)) * rng.uniform(0.6, 1.2, n_cells)
    time_courses = lfilter([1.0], [1.0, -np.exp(-1 / (DECAY * rate))], spikes, axis=0)
    signal = brightness * (1 + time_courses @ footprints.reshape(-1, n_cells).T).reshape(n_samples, *shape)
    truth = {"centers": centers, "time_courses": time_courses, "rank": n_cells}
    coords = {"time": clock(n_samples, rate)}
    noisy = rng.poisson(signal).astype(np.float32)
    return simulated(signal, noisy, ("time", "y", "x"), coords, truth, units="photons", sampling_rate=rate)


def diffusion_phantom(
    shape: tuple[int, int] = (32, 32),
    *,
    n_directions: int = 64,
    b: float = 1000.0,
    snr: float = 20.0,
    seed: int = 0,
) -> Simulated:
    r"""Simulate diffusion MRI of a fiber that bends and one that crosses it, with Rician noise.

    .. math:: S(g, r) = \sum_f w_f(r) e^{-b g^\top D_f(r) g}, \qquad
              X = \big| S + \tfrac{1}{\mathrm{SNR}} (\varepsilon_1 + i \varepsilon_2) \big|

    with tensors D of diffusivities 1.7 along and 0.3 across the fiber, in 1e-3 mm²/s.

    Parameters
    ----------
    shape
        Voxels along y and x.
    n_directions
        Directions g of the gradient, spread evenly over the sphere.
    b
        Diffusion weighting [s/mm²].
    snr
        Of the image without weighting.
    seed
        Seed of all randomness.

    Returns
    -------
    Recording (direction, y, x), the image without weighting being 1; truth: `directions` (n, 3), `angle` (y, x) of the
    bending fiber, `crossing` (y, x).

    Raises
    ------
    ConfigError
        A size, b or snr that is not above zero.

    References
    ----------
    Basser, Mattiello, LeBihan (1994), Biophys. J. 66, 259, doi:10.1016/S0006-3495(94)80775-1, equation 3; Gudbjartsson
    and Patz (1995), Magn. Reson. Med. 34, 910, doi:10.1002/mrm.1910340618 (Rician noise).

    Examples
    --------
    >>> diffusion_phantom((8, 8), n_directions=12).recording.shape
    (12, 8, 8)
    """
    check_positive(height=shape[0], width=shape[1], n_directions=n_directions, b=b, snr=snr)
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    g = _spread_over_sphere(n_directions)
    angle = np.pi / 4 * (1 + x)
    crossing = np.abs(y) < 0.3
    bending, across = _attenuation(g, b, angle), _attenuation(g, b, np.zeros(shape))
    signal = np.where(crossing, 0.5 * (bending + across), bending)
    errors = rng.normal(size=(2, *signal.shape)) / snr
    noisy = np.hypot(signal + errors[0], errors[1]).astype(np.float32)
    truth = {"directions": g, "angle": angle, "crossing": crossing}
    return simulated(signal, noisy, ("direction", "y", "x"), {}, truth, units="")


def _spread_over_sphere(n: int) -> NDArray[np.float64]:
    """Return n unit vectors along a spiral, each with about the same room."""
    z = 1 - (2 * np.arange(n) + 1) / n
    angle = np.pi * (1 + np.sqrt(5)) * np.arange(n)
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _attenuation(g: NDArray[np.float64], b: float, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return exp(-b gᵀ D g), (direction, y, x), for fibers in the plane at these angles."""
    along = g[:, 0, None, None] * np.cos(angle) + g[:, 1, None, None] * np.sin(angle)
    return np.asarray(np.exp(-b * (RADIAL + (AXIAL - RADIAL) * along**2)))
