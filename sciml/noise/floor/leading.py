"""The strongest components of a recording in given units of noise, whether they rise above it or not."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.noise.channels.read import Observed, component_maps, observe
from sciml.noise.matrix.gram import Matrix
from sciml.noise.models.poisson import count_residuals

__all__ = ["Leading", "leading_components"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Leading:
    """Eigenvalues of X^H X / (T - 1) in units of the noise, descending, and components (N, k), columns of X = C F^T.

    `live` are the channels that have a part in them; those left out have zeros.
    """

    eigenvalues: Array
    components: NDArray[Any]
    mean: NDArray[Any]
    live: NDArray[np.int64]
    n_samples: int
    complex_data: bool


def leading_components(
    recording: xr.DataArray, scale: Array, n_components: int | None = None, *, counts: bool = False
) -> Leading:
    """Return the strongest components of a recording whose channels have noise of standard deviation `scale`, (N,).

    Parameters
    ----------
    n_components
        Default all.
    counts
        Take the residuals of counts beside the independence model, scaled to unit variance, in place of the values.

    Raises
    ------
    DataError
        As `noise_floor`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(2000, 1)) @ rng.normal(size=(1, 20))
    >>> noisy = xr.DataArray(shared + rng.normal(size=(2000, 20)), dims=("time", "channel"))
    >>> leading_components(noisy, np.ones(20), 3).components.shape
    (20, 3)
    """
    observed = _observed(recording, counts=counts)
    matrix, live = Matrix(observed), observed.live
    # Missing values count as zero: noise of the samples that are present, spread over all.
    used = observed.total_scale.mean() * np.ones(len(live)) if counts else scale[live] * np.sqrt(observed.share)
    found = matrix.eigen(used, n_components)
    directions = found.directions.conj()
    if observed.n_unread:
        components, mean, _ = component_maps(recording, observed, directions, used, None)
    else:
        components, mean = np.zeros((observed.n_features, directions.shape[1]), directions.dtype), observed.every_mean
        components[live] = directions
    return Leading(found.values, components, mean, live, observed.n_samples, observed.is_complex)


def _observed(recording: xr.DataArray, *, counts: bool) -> Observed:
    if not counts:
        return observe(recording)
    residuals = count_residuals(recording)
    assert residuals is not None  # noqa: S101 - strict: it would have raised
    return residuals.observed
