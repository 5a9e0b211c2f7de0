"""The strongest components of a recording in given units of noise, whether they rise above it or not."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.noise.channels.extend import extended_components
from sciml.noise.channels.layout import Layout
from sciml.noise.channels.read import read_channels
from sciml.noise.matrix.gram import Matrix
from sciml.noise.models.base import Given
from sciml.noise.models.heteroscedastic import HETEROSCEDASTIC
from sciml.noise.models.registry import Model, noise_model

__all__ = ["Leading", "leading_components"]


@dataclass(frozen=True, eq=False)
class Leading:
    """Eigenvalues of X^H X / (T - 1) in units of the noise, descending, and components (N, k), columns of X = C F^T.

    `used` are the channels that have a part in them; the others have zeros.
    """

    eigenvalues: FloatArray
    components: AnyArray
    mean: AnyArray
    used: IntArray
    n_samples: int
    complex_data: bool


def leading_components(
    recording: xr.DataArray,
    scale: FloatArray,
    n_components: int | None = None,
    *,
    model: Model = HETEROSCEDASTIC.name,
) -> Leading:
    """Return the strongest components of a recording whose channels have noise of standard deviation `scale`, (N,).

    Parameters
    ----------
    n_components
        Default all.
    model
        Noise model whose values are taken: those of counts are residuals, of standard deviation one whatever `scale`.

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
    kind = noise_model(model)
    matrix = Matrix(read_channels(recording, hold=kind.needs_values))
    prepared = kind.prepare(matrix, Given(partial(read_channels, recording, hold=True), Layout.of(recording)))
    matrix, statistics, used = prepared.matrix, prepared.matrix.statistics, prepared.matrix.statistics.used
    if prepared.channel_scale is not None:
        noise = statistics.total_scale.mean() * np.ones(len(used))
    else:  # missing values count as zero: noise of the samples that are present, spread over all
        noise = scale[used] * np.sqrt(statistics.fraction_present)
    found = matrix.eigen(noise, n_components)
    directions = found.directions.conj()
    if statistics.n_unread:
        components, mean, _ = extended_components(recording, statistics, directions, noise, None)
    else:
        shape = (statistics.n_features, directions.shape[1])
        components, mean = np.zeros(shape, directions.dtype), statistics.every_mean
        components[used] = directions
    return Leading(found.values, components, mean, used, statistics.n_samples, statistics.is_complex)
