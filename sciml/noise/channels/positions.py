"""Where channels are that lie on no grid of the recording: coordinates of electrodes, groups, and lattices of these."""

from dataclasses import dataclass
from itertools import chain

import numpy as np
import xarray as xr

from sciml._typing import FloatArray, IntArray
from sciml.recording import feature_dims

__all__ = ["Positions", "groups_of", "lattice_of", "positions_of"]

# As electrode tables and readers name the coordinates of a channel, the most particular first.
POSITIONS = (
    ("rel_x", "rel_y", "rel_z"),
    ("electrode_x", "electrode_y", "electrode_z"),
    ("probe_horizontal_position", "probe_vertical_position"),
    ("position_x", "position_y", "position_z"),
    ("x_position", "y_position", "z_position"),
    ("pos_x", "pos_y", "pos_z"),
    ("x", "y", "z"),
    ("distance",),
    ("depth",),
)
GROUPS = (
    "shank", "shank_id", "shank_ids", "tetrode", "tetrode_id", "ntrode", "ntrode_id", "group_name", "group",
    "group_id", "electrode_group", "module", "detector_module", "adc", "adc_group", "bank",
)  # fmt: skip
TOLERANCE = 0.02  # of a step, by which places of a lattice may differ from whole ones
EMPTIEST = 8  # places of a lattice that a channel may have: beyond, it is no lattice


@dataclass(frozen=True)
class Positions:
    """Positions of channels, `values` (N, d), NaN where unknown, the names of the coordinates, and their unit."""

    values: FloatArray
    names: tuple[str, ...]
    unit: str


def positions_of(recording: xr.DataArray) -> Positions | None:
    """Return the positions of channels in a row; None where no table has them.

    Coordinates that are the same for all channels are left out.

    Examples
    --------
    >>> electrodes = {"x": ("channel", [0.0, 20.0]), "y": ("channel", [5.0, 5.0])}
    >>> positions_of(xr.DataArray(np.zeros((9, 2)), dims=("time", "channel"), coords=electrodes)).values.tolist()
    [[0.0], [20.0]]
    """
    for names in POSITIONS:
        found = [recording.coords[name] for name in names if _is_number_a_channel(recording, name)]
        values = [each.values.astype(np.float64) for each in found]
        varying = [i for i, each in enumerate(values) if np.nanmax(each) > np.nanmin(each)]
        if varying:
            units = {str(found[i].attrs.get("units", "")) for i in varying}
            varied = np.stack([values[i] for i in varying], axis=1)
            unit = units.pop() if len(units) == 1 else ""
            return Positions(varied, tuple(str(found[i].name) for i in varying), unit)
    return None


def _is_number_a_channel(recording: xr.DataArray, name: str) -> bool:
    if name not in recording.coords or recording.coords[name].dims != feature_dims(recording):
        return False
    return recording.coords[name].dtype.kind in "iuf" and bool(np.isfinite(recording.coords[name].values).any())


def groups_of(recording: xr.DataArray) -> tuple[IntArray, str] | None:
    """Return the number of the group that each channel (N,) is in, and the name of the column; None if there are none.

    A column whose values are all alike, or all different, makes no groups.

    Examples
    --------
    >>> tetrodes = {"group": ("channel", ["a", "a", "b", "b"])}
    >>> groups_of(xr.DataArray(np.zeros((9, 4)), dims=("time", "channel"), coords=tetrodes))
    (array([0, 0, 1, 1]), 'group')
    """
    for name in GROUPS:
        if name not in recording.coords or recording.coords[name].dims != feature_dims(recording):
            continue
        labels, numbers = np.unique(recording.coords[name].values.astype(str), return_inverse=True)
        if 1 < len(labels) < len(numbers):
            return numbers.astype(np.int64), name
    return None


def lattice_of(positions: FloatArray) -> tuple[IntArray, FloatArray] | None:
    """Return whole numbers (N, d) of steps and the steps (d,), of positions that lie on a lattice; None if they do not.

    Rows that are shifted by half a step, as of hexagonal layouts, are a lattice of half the step, with holes.

    Examples
    --------
    >>> staggered = np.array([[0.0, 0.0], [32.0, 0.0], [16.0, 20.0], [48.0, 20.0]])
    >>> places, steps = lattice_of(staggered)
    >>> places.tolist(), steps.tolist()
    ([[0, 0], [2, 0], [1, 1], [3, 1]], [16.0, 20.0])
    """
    if not np.isfinite(positions).all():
        return None
    axes = [_steps(along) for along in positions.T]
    if any(each is None for each in axes):
        return None
    places = np.stack([each[0] for each in axes if each is not None], axis=1)
    size = float(np.prod(np.ptp(places, axis=0) + 1.0))
    if size > EMPTIEST * len(places) or len(np.unique(places, axis=0)) < len(places):
        return None
    return places, np.array([each[1] for each in axes if each is not None])


def _steps(along: FloatArray) -> tuple[IntArray, float] | None:
    """Return how many steps each value is from the least, and the step: the largest one that fits all of them."""
    off = along - along.min()
    largest = float(off.max())
    gaps = np.diff(np.unique(np.round(off / largest, 6))) * largest
    smallest = float(gaps[gaps > TOLERANCE * np.median(gaps)].min())
    for step in chain([smallest], smallest / np.arange(2, 4)):
        whole = np.round(off / step)
        if np.abs(off - whole * step).max() <= TOLERANCE * step:
            return whole.astype(np.int64), float(largest / whole.max())
    return None
