"""Channels of a recording over time: curves of a few, a raster of many."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sciml.errors import ConfigError
from sciml.plot.raster import Raster, raster_of
from sciml.plot.style import axes_of, color_bar, role, unit_label
from sciml.recording import check, feature_dims, n_features
from sciml.wording import clean, count

__all__ = ["draw_raster", "traces"]

FEW = 12  # channels up to which each gets a curve
LIMIT = 4.0  # standard deviations at which colors end
APART = 4.0  # standard deviations between the base lines of two curves
CURVE_COLUMNS = 1500


def traces(recording: xr.DataArray, ax: Axes | None = None, *, kind: str = "auto", cmap: str = "PuOr_r") -> Axes:
    r"""Draw all channels of a recording over time.

    Up to 12 channels are curves above each other, more a raster with one row a channel. Both show the deviation
    :math:`(x - \bar x) / s` from the channel's mean in its standard deviations; where several samples fall on one
    pixel, the one that is farthest from the mean. Gaps and missing values stay empty. The recording is read in blocks.

    Parameters
    ----------
    recording
        Dims `time` and any others.
    ax
        Axes to draw on; default those of a new figure.
    kind
        "lines", "raster", or "auto".
    cmap
        Colors of the raster.

    Raises
    ------
    ConfigError
        Another kind.
    DataError
        No `time` dim, or no numbers.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> noise = np.random.default_rng(0).normal(size=(500, 30))
    >>> recording = xr.DataArray(noise, dims=("time", "channel"), attrs={"sampling_rate": 100.0})
    >>> traces(recording, ax=Figure().subplots()).get_ylabel()
    'channel'
    """
    recording = check(recording)
    if kind not in ("auto", "lines", "raster"):
        raise ConfigError(f'expected kind "lines", "raster" or "auto", got {kind!r}')
    lines = kind == "lines" or (kind == "auto" and n_features(recording) <= FEW)
    ax = axes_of(ax, size=(9.0, 4.5))
    if lines:
        found = raster_of(recording, columns=CURVE_COLUMNS, most_rows=FEW if kind == "auto" else 64)
        return _draw_lines(ax, found, _names(recording))
    return draw_raster(raster_of(recording), ax, name=_row_name(recording), cmap=cmap)


def draw_raster(raster: Raster, ax: Axes, *, name: str = "channel", cmap: str = "PuOr_r", bar: bool = True) -> Axes:
    """Draw a raster that was measured before."""
    colors = mpl.colormaps[cmap].with_extremes(bad=role("grid"))
    painted = ax.imshow(
        np.ma.masked_invalid(raster.deviation), aspect="auto", interpolation="none", cmap=colors, vmin=-LIMIT,
        vmax=LIMIT, extent=(raster.start, raster.stop, len(raster.channels) - 0.5, -0.5),
    )  # fmt: skip
    ax.set_xlabel(unit_label("time", raster.unit))
    some = "" if len(raster.channels) == raster.total else f" ({len(raster.channels)} of {count(raster.total, name)})"
    ax.set_ylabel(clean(name + some))
    ax.locator_params(axis="y", nbins=6, integer=True)
    if bar:
        color_bar(ax, painted, "deviation [s.d. of the channel]", extend="both", ticks=[-4, -2, 0, 2, 4])
    return ax


def _draw_lines(ax: Axes, found: Raster, names: list[str]) -> Axes:
    edges = np.linspace(found.start, found.stop, found.deviation.shape[1] + 1)
    time = 0.5 * (edges[1:] + edges[:-1])
    for i, curve in enumerate(found.deviation):
        ax.plot(time, np.clip(curve, -3 * APART, 3 * APART) - APART * i, color=role("accent"), linewidth=0.7)
    ax.set_yticks([-APART * i for i in range(len(found.channels))], [clean(names[i]) for i in found.channels])
    ax.margins(x=0)
    ax.set_xlabel(unit_label("time", found.unit))
    ax.set_ylabel(f"deviation [{APART:g} s.d. between lines]")
    return ax


def _row_name(recording: xr.DataArray) -> str:
    dims = [str(dim) for dim in feature_dims(recording)]
    return dims[0] if len(dims) == 1 else "channel"


def _names(recording: xr.DataArray) -> list[str]:
    dims = [str(dim) for dim in feature_dims(recording)]
    if not dims:
        return [str(recording.attrs.get("signal") or ("recording" if recording.name is None else recording.name))]
    if len(dims) == 1 and dims[0] in recording.coords:
        return [str(each) for each in recording[dims[0]].values]
    return [str(i) for i in range(n_features(recording))]
