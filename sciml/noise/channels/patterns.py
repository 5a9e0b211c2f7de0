"""Patterns over the channels that are taken out first: a common mode, groups of channels, known directions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from sciml._typing import AnyArray
from sciml.errors import ConfigError
from sciml.recording import feature_dims, feature_shape, n_features

__all__ = ["COMMON", "Patterns", "patterns_of", "spanned"]

Patterns = str | AnyArray | Sequence[Any] | xr.DataArray
COMMON = "common"
LEAST = 1e-9  # of the strongest direction of patterns, below which one is a combination of others


def patterns_of(recording: xr.DataArray, patterns: Patterns) -> tuple[AnyArray, str]:
    """Return patterns as columns (N, q) over all channels of a recording, and what they are, in words.

    Parameters
    ----------
    patterns
        "common": equal in all channels; the name of a dim of the channels, or of a coordinate along one: equal in all
        channels of one value; labels (N,), whole numbers or text: of one label; numbers (N,) or (N, q): directions.

    Raises
    ------
    ConfigError
        Another number of channels, values that are not finite, no such name.

    Examples
    --------
    >>> movie = xr.DataArray(np.zeros((5, 2, 3)), dims=("time", "y", "x"))
    >>> patterns_of(movie, "y")[0].T.tolist()
    [[1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]]
    """
    n = n_features(recording)
    if isinstance(patterns, str):
        if patterns == COMMON:
            return np.ones((n, 1)), "the common mode of all channels"
        return _indicators(_named(recording, patterns)), f"what channels of one {patterns} have in common"
    values = np.asarray(patterns)
    shape = feature_shape(recording)
    if values.shape[: len(shape)] == shape:
        values = values.reshape(n, *values.shape[len(shape) :])
    if values.ndim not in (1, 2) or len(values) != n:
        raise ConfigError(
            f"expected patterns over the {n} channels, labels (N,) or directions (N, q), got shape {values.shape}"
        )
    if values.ndim == 1 and values.dtype.kind in "iubUSO":
        return _indicators(values), "what channels of one group have in common"
    directions = values.reshape(n, -1)
    if directions.dtype.kind not in "iufc" or not np.isfinite(directions).all():
        raise ConfigError("expected finite numbers in patterns; leave out what is missing")
    return directions.astype(np.result_type(directions.dtype, np.float64)), "what was given as patterns"


def _named(recording: xr.DataArray, name: str) -> AnyArray:
    """Return the value (N,) of a coordinate, or the place along a dim, of each channel."""
    dims, shape = feature_dims(recording), feature_shape(recording)
    if name in dims:
        values = xr.DataArray(np.arange(recording.sizes[name]), dims=(name,))
    elif name in recording.coords and recording.coords[name].dims and set(recording.coords[name].dims) <= set(dims):
        values = xr.DataArray(recording.coords[name].values, dims=recording.coords[name].dims)
    else:
        coords = [str(each) for each, c in recording.coords.items() if c.dims and set(c.dims) <= set(dims)]
        known = [COMMON, *dims, *coords]
        raise ConfigError(f"expected patterns of {', '.join(dict.fromkeys(known))}, or an array; got {name!r}")
    every = values.broadcast_like(xr.DataArray(np.zeros(shape), dims=dims)).transpose(*dims)
    return np.asarray(every.values).ravel()


def _indicators(labels: AnyArray) -> AnyArray:
    """Return ones at the channels of each label that several have."""
    values, numbers = np.unique(labels.astype(str) if labels.dtype.kind == "O" else labels, return_inverse=True)
    columns = np.asarray(numbers[:, None] == np.arange(len(values)), np.float64)
    return columns[:, columns.sum(axis=0) > 1]


def spanned(patterns: AnyArray) -> AnyArray:
    """Return orthonormal columns that span patterns (N, q).

    Raises
    ------
    ConfigError
        Patterns that span nothing, or half of all directions and more.
    """
    basis, size, _ = np.linalg.svd(patterns, full_matrices=False)
    kept = basis[:, size > LEAST * max(float(size[0]) if len(size) else 0.0, float(np.finfo(float).tiny))]
    if not 0 < kept.shape[1] <= len(patterns) // 2:
        raise ConfigError(
            f"expected patterns that span from one to half of the {len(patterns)} dimensions of the used channels, got "
            f"{kept.shape[1]}; give fewer, or groups of more channels"
        )
    return kept
