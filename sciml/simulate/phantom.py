"""A movie or volume series of known truth: smooth sources with time courses, and one region with sharp borders."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import ConfigError

__all__ = ["Phantom", "smooth_phantom"]

DIMS = ("z", "y", "x")
OFFSET = 50.0  # of the values, in units of sigma


@dataclass(frozen=True)
class Phantom:
    """Recording, the signal behind it, and the standard deviation of the noise between them."""

    recording: xr.DataArray
    signal: xr.DataArray
    sigma: float


def smooth_phantom(
    shape: tuple[int, ...] = (16, 48, 48),
    *,
    n_samples: int = 64,
    sigma: float = 2.0,
    rank: int = 4,
    amplitude: float = 10.0,
    seed: int = 0,
) -> Phantom:
    r"""Simulate a recording of low rank that is smooth in space but for one sharp region, in white noise.

    .. math:: X(t, r) = 50\sigma + A \sum_{k=1}^{K} e^{-|r - c_k|^2 / 2 w_k^2} \sin(2\pi k t / T + \varphi_k)
              + \tfrac32 A\, 1_B(r)\, q(t) + \sigma\, \varepsilon(t, r)

    with random centers, widths and phases, B a box of a sixth of each side, and q a square wave.

    Parameters
    ----------
    shape
        Voxels along one to three dims, the last of z, y, x.
    n_samples
        Samples in time.
    sigma
        Standard deviation of the noise.
    rank
        Number K of smooth sources.
    amplitude
        A, in the units of sigma.
    seed
        Seed of all randomness.

    Returns
    -------
    recording (float32) and signal of dims (time, ..., y, x).

    Raises
    ------
    ConfigError
        More than three dims, or a size that is not positive.

    Examples
    --------
    >>> phantom = smooth_phantom((12, 12), n_samples=20)
    >>> phantom.recording.dims, round(float((phantom.recording - phantom.signal).std()), 1)
    (('time', 'y', 'x'), 2.0)
    """
    if not 1 <= len(shape) <= len(DIMS) or min(*shape, n_samples) < 1 or rank < 0:
        raise ConfigError(f"expected one to three sizes above zero, got shape={shape}, n_samples={n_samples}")
    rng = np.random.default_rng(seed)
    place = np.stack(np.meshgrid(*[np.linspace(0, 1, size) for size in shape], indexing="ij"))
    time = np.arange(n_samples)
    signal = np.full((n_samples, *shape), OFFSET * sigma)
    for k in range(1, rank + 1):
        time_course = np.sin(2 * np.pi * k * time / n_samples + rng.uniform(0, 2 * np.pi))
        signal += amplitude * np.multiply.outer(time_course, _source(place, rng))
    box = tuple(slice(size // 3, size // 2) for size in shape)
    square = np.sign(np.sin(2 * np.pi * (time + 0.5) / 13))
    signal[(slice(None), *box)] += 1.5 * amplitude * square.reshape(-1, *[1] * len(shape))
    noisy = (signal + sigma * rng.normal(size=signal.shape)).astype(np.float32)
    dims = ("time", *DIMS[-len(shape) :])
    return Phantom(xr.DataArray(noisy, dims=dims), xr.DataArray(signal, dims=dims), sigma)


def _source(place: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a Gaussian blob at a random place, of random width."""
    center = rng.uniform(0.2, 0.8, len(place)).reshape(-1, *[1] * (place.ndim - 1))
    return np.asarray(np.exp(-((place - center) ** 2).sum(axis=0) / (2 * rng.uniform(0.2, 0.4) ** 2)))
