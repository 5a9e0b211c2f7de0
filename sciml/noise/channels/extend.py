"""Components found on a choice of channels, extended to those that were not read: one more pass."""

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, FloatArray
from sciml.noise.channels.read import Progress, block_rows
from sciml.noise.channels.statistics import ChannelStatistics
from sciml.recording import TIME, blocks

__all__ = ["extended_components"]


def extended_components(
    recording: xr.DataArray,
    statistics: ChannelStatistics,
    components: AnyArray,
    scale: FloatArray,
    progress: Progress | None,
) -> tuple[AnyArray, AnyArray, FloatArray]:
    """Extend components found on a choice of channels to all: read once more and regress on their time courses.

    Returns the components (N, rank), of unit norm, the mean and the noise standard deviation of each channel.
    """
    n, rank = statistics.n_features, components.shape[1]
    cross = np.zeros((n, rank), np.result_type(components, np.float64))
    total, squares, count = np.zeros(n, cross.dtype), np.zeros(n), np.zeros(n, np.int64)
    power = np.zeros(rank)
    offset: AnyArray | None = None
    for part, values in blocks(recording, block_rows(recording), across_gaps=True, ahead=True):
        finite = np.isfinite(values)
        offset = np.where(finite[0], values[0], 0).astype(cross.dtype) if offset is None else offset
        y = np.where(finite, values - offset, 0)
        time_courses = ((values[:, statistics.used] - statistics.mean) / scale) @ components.conj()
        time_courses = np.where(np.isfinite(time_courses), time_courses, 0)
        cross += y.T @ time_courses.conj()
        power += (np.abs(time_courses) ** 2).sum(axis=0)
        total, squares = total + y.sum(axis=0), squares + (np.abs(y) ** 2).sum(axis=0)
        count += finite.sum(axis=0)
        if progress is not None:
            progress(part.stop, recording.sizes[TIME])
    mean = total / np.maximum(count, 1)
    variance = np.maximum(squares / np.maximum(count, 1) - np.abs(mean) ** 2, 0)
    slopes = cross / np.maximum(power, np.finfo(float).tiny)
    noise = np.sqrt(np.maximum(variance - np.abs(slopes) ** 2 @ (power / statistics.n_samples), 1e-4 * variance))
    loadings = np.divide(slopes, noise[:, None], out=np.zeros_like(slopes), where=noise[:, None] > 0)
    norm = np.linalg.norm(loadings, axis=0)
    return loadings / np.where(norm > 0, norm, 1), mean + (0 if offset is None else offset), noise
