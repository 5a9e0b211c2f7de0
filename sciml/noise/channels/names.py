"""What the channels of a recording are called."""

import numpy as np
import xarray as xr

from sciml.recording import feature_dims, feature_shape

__all__ = ["channel_names"]


def channel_names(recording: xr.DataArray) -> tuple[str, ...]:
    """Return a name for each channel: its label along the only dim, else its place along each."""
    dims, shape = feature_dims(recording), feature_shape(recording)
    if len(dims) == 1 and dims[0] in recording.coords:
        return tuple(map(str, recording[dims[0]].values.tolist()))
    if len(dims) == 1:
        return tuple(map(str, range(shape[0])))
    return tuple(",".join(map(str, place)) for place in np.ndindex(*shape))
