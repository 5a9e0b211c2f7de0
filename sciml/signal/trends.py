"""Polynomial trends of channels, removed lazily."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.polynomial import legendre
from numpy.typing import NDArray

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError
from sciml.io.arrays import LazyArray, lazy
from sciml.recording import TIME, blocks, check, feature_shape, n_features, segments
from sciml.signal.blockwise import noted

__all__ = ["detrend"]

BLOCK_VALUES = 2**22
MOST = 3  # order


class Detrended(LazyArray):
    """A variable, time first, less the Legendre series of each segment, coefficients (segment, order + 1, ...)."""

    def __init__(self, values: xr.Variable, parts: list[slice], coefficients: AnyArray, dtype: np.dtype[Any]) -> None:
        self.values, self.parts, self.coefficients = values, parts, coefficients
        self.shape, self.dtype = values.shape, dtype

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects."""
        rows = np.atleast_1d(np.arange(self.shape[0])[key[0]])
        found = np.asarray(self.values[(rows, *key[1:])].values, np.result_type(self.dtype, np.float64))
        for number, part in enumerate(self.parts):
            inside = (rows >= part.start) & (rows < part.stop)
            chosen = self.coefficients[number]
            for axis in reversed(range(len(key) - 1)):
                chosen = chosen[(slice(None),) * (axis + 1) + (key[axis + 1],)]
            found[inside] -= np.tensordot(_series(rows[inside], part, len(chosen)), chosen, axes=1)
        return (found if np.ndim(np.arange(self.shape[0])[key[0]]) else found[0]).astype(self.dtype)


def _series(rows: NDArray[np.intp], part: slice, n_terms: int) -> FloatArray:
    """Return Legendre polynomials (row, term) over a segment, which fills -1 to 1."""
    length = max(part.stop - part.start - 1, 1)
    return np.asarray(legendre.legvander(2 * (rows - part.start) / length - 1, n_terms - 1))


def _fitted(recording: xr.DataArray, part: slice, order: int) -> AnyArray:
    """Return the coefficients (order + 1, N) of least squares; what is missing has no weight."""
    n, terms = n_features(recording), order + 1
    held = recording.isel({TIME: part})
    normal, right = np.zeros((n, terms, terms)), np.zeros((n, terms), np.result_type(recording.dtype, np.float64))
    for rows, values in blocks(held, max(1, BLOCK_VALUES // n), across_gaps=True):
        series = _series(np.arange(rows.start, rows.stop), slice(0, part.stop - part.start), terms)
        weight = ~np.isnan(values)
        normal += np.einsum("ti,tj,tn->nij", series, series, weight, optimize=True)
        right += np.where(weight, values, 0).T @ series
    solution = np.linalg.pinv(normal, hermitian=True) @ right[..., None]
    return np.asarray(solution[..., 0].T)


def detrend(recording: xr.DataArray, *, order: int = 1) -> xr.DataArray:
    """Return a recording less a polynomial in time, fitted to each channel and segment by least squares.

    The recording is read once for the fit. Missing and masked samples are left out of it.

    Parameters
    ----------
    recording
        Dims `time` and any others.
    order
        0 (the mean), 1 (a line) to 3.

    Raises
    ------
    ConfigError
        Another order.

    Examples
    --------
    >>> ramp = xr.DataArray(np.arange(20.0)[:, None] * [1.0, -2.0], dims=("time", "channel"))
    >>> float(abs(detrend(ramp)).max()) < 1e-12
    True
    """
    if order not in range(MOST + 1):
        raise ConfigError(f"expected a polynomial of order 0 to {MOST}, got {order}; highpass removes faster drifts")
    ordered = check(recording, minimum=1).transpose(TIME, ...)
    parts, shape = segments(ordered), feature_shape(ordered)
    found = [_fitted(ordered, part, order).reshape(order + 1, *shape) for part in parts]
    dtype = np.result_type(ordered.dtype, np.float32)
    array = Detrended(ordered.variable, parts, np.stack(found), dtype)
    held = isinstance(ordered.variable._data, np.ndarray)
    data = array.read((slice(None),) * ordered.ndim) if held else lazy(array)
    result = xr.DataArray(xr.Variable(ordered.dims, data), dict(ordered.coords), name=ordered.name)
    said = f"detrend: order {order}, {len(parts)} segments"
    result = result.assign_attrs(noted(recording, said)).transpose(*recording.dims)
    return result if recording.chunks is None else result.chunk(dict(recording.chunksizes))
