"""Labeled images: particles of a few shapes under a microscope."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.simulate.simulated import check_positive

__all__ = ["particle_images"]


def particle_images(n_images: int = 600, *, size: int = 20, noise: float = 0.8, seed: int = 0) -> xr.DataArray:
    r"""Simulate images of three kinds of particles, at random places and angles, in white noise.

    Kind 0 is round, kind 1 a rod, kind 2 a ring; each has intensity 1.

    Parameters
    ----------
    n_images
        Number of images.
    size
        Pixels of a side.
    noise
        Standard deviation of the noise.
    seed
        Seed of all randomness.

    Returns
    -------
    Images (image, y, x) with the coordinate `kind` (image).

    Raises
    ------
    ConfigError
        A number that is not above zero.

    Examples
    --------
    >>> images = particle_images(12)
    >>> images.shape, sorted(set(images["kind"].values.tolist()))
    ((12, 20, 20), [0, 1, 2])
    """
    check_positive(n_images=n_images, size=size, noise=noise)
    rng = np.random.default_rng(seed)
    kind = np.arange(n_images) % 3
    images = np.stack([_particle(int(each), size, rng) for each in kind])
    noisy = (images + noise * rng.normal(size=images.shape)).astype(np.float32)
    return xr.DataArray(noisy, dims=("image", "y", "x"), coords={"kind": ("image", kind)}, name="images")


def _particle(kind: int, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    y, x = np.mgrid[:size, :size] - rng.uniform(0.4, 0.6, 2)[:, None, None] * size
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    radius, width = np.hypot(x, y), size / 8
    exponents = ((radius / width) ** 2, (along / (3 * width)) ** 2 + (across / (width / 2)) ** 2,
                 ((radius - 2 * width) / (width / 2)) ** 2)  # fmt: skip
    return np.asarray(np.exp(-exponents[kind]))
