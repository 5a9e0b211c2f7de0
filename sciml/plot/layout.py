"""Where the channels of a probe or an array are, and a value of each."""

from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sciml._typing import FloatArray
from sciml.errors import DataError
from sciml.noise.channels.positions import Positions, positions_of
from sciml.plot.style import axes_of, color_bar, role, unit_label
from sciml.recording import n_features
from sciml.wording import clean

__all__ = ["draw_layout", "layout"]


def layout(
    recording: xr.DataArray, ax: Axes | None = None, *, values: Any = None, label: str = "", cmap: str = "PuOr_r"
) -> Axes:
    """Draw where the channels are, colored by a value of each.

    Parameters
    ----------
    recording
        Its channels have coordinates of place, as electrode tables give them (x, y, rel_x, distance, ...).
    ax
        Axes to draw on; default those of a new figure.
    values
        One number a channel, as the loading of a component (`floor.components[:, 0]`); default none.
    label
        What the values are, with their unit.
    cmap
        Colors, centered on zero where values have both signs.

    Raises
    ------
    DataError
        No coordinates of place, or another number of values.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> places = {"x": ("channel", [0.0, 20.0, 0.0], {"units": "um"}), "y": ("channel", [0.0, 0.0, 25.0])}
    >>> probe = xr.DataArray(np.zeros((9, 3)), dims=("time", "channel"), coords=places)
    >>> layout(probe, ax=Figure().subplots(), values=[1.0, -1.0, 0.5]).get_xlabel()
    'x'
    """
    found = positions_of(recording)
    if found is None:
        raise DataError(
            "expected channels with coordinates of place (x and y, rel_x, distance, depth, ...), got "
            f"{', '.join(map(str, recording.coords)) or 'no coordinates'}; assign them with recording.assign_coords"
        )
    n = n_features(recording)
    shown = None if values is None else np.asarray(values, dtype=np.float64)
    if shown is not None and shown.shape != (n,):
        raise DataError(f"expected one value for each of {n} channels, got an array of shape {shown.shape}")
    return draw_layout(found, axes_of(ax, size=(4.0, 5.0)), values=shown, label=label, cmap=cmap)


def draw_layout(
    places: Positions, ax: Axes, *, values: FloatArray | None = None, label: str = "", cmap: str = "PuOr_r"
) -> Axes:
    """Draw channels at their places; those on one line as a column of bars of their value."""
    if places.values.shape[1] == 1:
        return _draw_line(places, ax, values, label)
    x, y = places.values[:, 0], places.values[:, 1]
    if values is None:
        ax.scatter(x, y, s=18, color=role("accent"))
    else:
        both = np.nanmin(values) < 0 < np.nanmax(values)
        limit = float(np.nanmax(np.abs(values))) or 1.0
        painted = ax.scatter(
            x, y, c=values, s=26, cmap=mpl.colormaps[cmap if both else "cividis"], vmin=-limit if both else None,
            vmax=limit if both else None, edgecolors=role("muted"), linewidths=0.4,
        )  # fmt: skip
        color_bar(ax, painted, label)
    ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.15)
    ax.locator_params(nbins=5)
    ax.set_xlabel(clean(unit_label(places.names[0], places.unit)))
    ax.set_ylabel(clean(unit_label(places.names[1], places.unit)))
    return ax


def _draw_line(places: Positions, ax: Axes, values: FloatArray | None, label: str) -> Axes:
    place = places.values[:, 0]
    if values is None:
        ax.plot(np.zeros(len(place)), place, "s", color=role("accent"), markersize=4)
        ax.set_xticks([])
    else:
        order = np.argsort(place)
        ax.plot(values[order], place[order], color=role("alternate"), linewidth=1.0, marker="o", markersize=2)
        ax.axvline(0.0, color=role("grid"), linewidth=0.8, zorder=0)
        ax.locator_params(axis="x", nbins=4)
        ax.set_xlabel(clean(label))
    ax.set_ylabel(clean(unit_label(places.names[0], places.unit)))
    return ax
