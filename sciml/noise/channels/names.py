"""What the channels of a recording are called, and where they are."""

import numpy as np
import xarray as xr

from sciml._typing import AnyArray
from sciml.recording import feature_dims, feature_shape

__all__ = ["channel_coordinates", "channel_names"]


def channel_names(recording: xr.DataArray) -> tuple[str, ...]:
    """Return a name for each channel: its label along the only dim, else its place along each."""
    dims, shape = feature_dims(recording), feature_shape(recording)
    if len(dims) == 1 and dims[0] in recording.coords:
        return tuple(map(str, recording[dims[0]].values.tolist()))
    if len(dims) == 1:
        return tuple(map(str, range(shape[0])))
    return tuple(",".join(map(str, place)) for place in np.ndindex(*shape))


def channel_coordinates(recording: xr.DataArray) -> dict[str, AnyArray]:
    """Return the coordinates over the channels, one value a channel each: for the pixels of a movie its y and its x."""
    dims = feature_dims(recording)
    sizes = dict(zip(dims, feature_shape(recording), strict=True))
    own = {str(name): each for name, each in recording.coords.items() if each.dims and {*each.dims} <= {*dims}}
    return {name: _along(each.variable.set_dims(sizes)) for name, each in own.items()}


def _along(places: xr.Variable) -> AnyArray:
    """Return values over channels in their order, text as text."""
    values = places.values.reshape(-1)
    return values.astype(str) if values.dtype.kind in "OT" else values
