"""Where channels are: which of them are neighbors, and how far apart."""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from sciml._typing import FloatArray, IntArray
from sciml.noise.channels.positions import groups_of, lattice_of, positions_of
from sciml.recording import feature_dims, feature_shape, n_features

__all__ = ["Layout"]

GRID_DIMS = {"x", "y", "z", "row", "column", "distance", "depth", "x_pixel_offset", "y_pixel_offset"}
LINE_COORDINATES = ("distance", "depth")  # of channels in a row: a fiber, a linear probe
REGULAR = 0.01  # of a step, by which the steps of a regular coordinate may differ


@dataclass(frozen=True)
class Layout:
    """Places of the channels of a recording.

    `places` (N, d) are whole numbers along the `dims` of a grid of `shape`, one step of which is `spacing` in `units`
    ("" where no coordinate says what a step is). `is_grid` is False where nothing but the order of the channels is
    known.

    `positions` (N, k) of channels of a probe are in `position_units`, NaN where nobody knows one, and `groups` (N,)
    numbers of what the column `grouped_by` says: None where there are none. Positions on a lattice make a grid, with
    holes.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    places: IntArray
    spacing: tuple[float, ...]
    units: tuple[str, ...]
    is_grid: bool
    positions: FloatArray | None = None
    position_units: str = ""
    groups: IntArray | None = None
    grouped_by: str = ""

    @classmethod
    def of(cls, recording: xr.DataArray) -> "Layout":
        """Return the layout of the channels of a recording, in the order of its flattened dims."""
        dims, shape = feature_dims(recording), feature_shape(recording)
        is_grid = bool(dims) and all(dim in GRID_DIMS and _is_even(recording, dim) for dim in dims)
        steps = [_step(recording, dim) for dim in dims]
        if not is_grid and len(dims) == 1:
            line = next((step for name in LINE_COORDINATES if (step := _line(recording, name)) is not None), None)
            is_grid, steps = line is not None, steps if line is None else [line]
        places = np.indices(shape).reshape(len(shape), n_features(recording)).T
        plain = cls(dims, shape, places, tuple(s for s, _ in steps), tuple(u for _, u in steps), is_grid)
        return plain if len(dims) != 1 else plain._with_table(recording)

    def _with_table(self, recording: xr.DataArray) -> "Layout":
        """Return the layout with what the table of the channels says of their positions and groups."""
        found, grouped = positions_of(recording), groups_of(recording)
        groups, grouped_by = grouped or (None, "")
        if found is None:
            return replace(self, groups=groups, grouped_by=grouped_by)
        positions, unit = found.values, found.unit
        known = replace(self, positions=positions, position_units=unit, groups=groups, grouped_by=grouped_by)
        lattice = None if self.is_grid else lattice_of(positions)
        if lattice is None:
            return known
        places, steps = lattice
        shape = tuple(int(each) + 1 for each in places.max(axis=0))
        dims, units = found.names, (unit,) * len(steps)
        return replace(
            known, dims=dims, shape=shape, places=places, spacing=tuple(steps.tolist()), units=units, is_grid=True
        )

    def of_channels(self, channels: IntArray) -> "Layout":
        """Return the layout of some of the channels, on the same grid."""
        positions = None if self.positions is None else self.positions[channels]
        groups = None if self.groups is None else self.groups[channels]
        return replace(self, places=self.places[channels], positions=positions, groups=groups)


def _is_even(recording: xr.DataArray, dim: str) -> bool:
    """Return whether nothing says that the steps along a dim are unequal."""
    coordinate = recording.coords.get(dim)
    return coordinate is None or coordinate.dtype.kind not in "iuf" or coordinate.size < 2 or bool(_regular(coordinate))


def _step(recording: xr.DataArray, dim: str) -> tuple[float, str]:
    found = _regular(recording.coords[dim]) if dim in recording.coords else None
    return found or (1.0, "")


def _line(recording: xr.DataArray, name: str) -> tuple[float, str] | None:
    """Return step and unit of a coordinate of channels in a row; None where it is not there or not regular."""
    if name not in recording.coords or recording.coords[name].dims != feature_dims(recording):
        return None
    return _regular(recording.coords[name])


def _regular(coordinate: xr.DataArray) -> tuple[float, str] | None:
    if coordinate.dtype.kind not in "iuf" or coordinate.size < 2:
        return None
    steps: FloatArray = np.diff(coordinate.values.astype(np.float64))
    step = float(np.median(steps))
    if not np.isfinite(steps).all() or step == 0 or np.abs(steps - step).max() > REGULAR * abs(step):
        return None
    return abs(step), str(coordinate.attrs.get("units", ""))
