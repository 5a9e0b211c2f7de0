"""Components above the noise floor: their time course, and how strongly each channel takes part."""

from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.noise.channels.positions import positions_of
from sciml.noise.floor.result import NoiseFloor
from sciml.plot.layout import draw_layout
from sciml.plot.scales import envelope, number_ticks
from sciml.plot.style import axes_of, role
from sciml.recording import TIME, blocks, check, feature_shape, n_features, sampling_rate, seconds, segments
from sciml.wording import p_value

__all__ = ["components", "draw_map", "draw_time_course"]

COLUMNS = 700
BLOCK_VALUES = 2**23
FEW = 400  # channels up to which each gets a bar
MAP = (1.08, 0.0, 0.34, 1.0)  # of the axes, where the map stands at the right of a time course


def components(
    floor: NoiseFloor, recording: xr.DataArray | None = None, ax: Axes | None = None, *, component: int = 1
) -> Axes:
    r"""Draw a component above the noise floor: its time course, with its map at the right, or its map alone.

    The time course is :math:`y_t = \sum_i (x_{ti} - \bar x_i) f_i^* / s_i` with the floor's `channel_mean`, `filters`
    and `channel_scale`, in standard deviations of the noise; gaps break it. The map is the loading of each channel:
    an image where channels form a grid, the probe where a table gives their places, else bars.

    Parameters
    ----------
    floor
        Of `sciml.noise.noise_floor`.
    recording
        What the floor was measured of, for the time course and the shape of the map; default the map alone.
    ax
        Axes to draw on; default those of a new figure.
    component
        Counted from 1, the strongest.

    Raises
    ------
    ConfigError
        There is no such component above the floor.
    DataError
        The recording has another number of channels than the floor.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sciml.noise import noise_floor
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(400, 8)) + np.outer(np.sin(np.arange(400) / 9), np.ones(8))
    >>> recording = xr.DataArray(x, dims=("time", "channel"), attrs={"sampling_rate": 100.0})
    >>> components(noise_floor(recording), recording, ax=Figure().subplots()).get_xlabel()
    'time [s]'
    """
    if floor.rank == 0:
        raise ConfigError("no component is above this floor, so there is none to draw; see floor.plot.scree()")
    if not 1 <= component <= floor.rank:
        raise ConfigError(f"expected a component from 1 to {floor.rank} (those above the floor), got {component}")
    loading = _real(floor.components[:, component - 1])
    if recording is None:
        ax = draw_map(loading, axes_of(ax))
        ax.set(xlabel="channel", ylabel=f"loading of component {component}")
        return ax
    recording = check(recording)
    if n_features(recording) != floor.n_features:
        raise DataError(f"expected a recording of {floor.n_features} channels, got {n_features(recording)}")
    ax = axes_of(ax, size=(9.0, 2.6))
    draw_time_course(*time_course(floor, recording, component), ax)
    words = f"{component}: eigenvalue {floor.eigenvalues[component - 1]:.3g}, {p_value(floor.p_values[component - 1])}"
    ax.set_title(words, loc="left", fontsize="medium")
    _set_clock(ax, recording)
    _draw_side(loading, recording, ax.inset_axes(MAP)).set_title("loading", fontsize="medium")
    return ax


def _draw_side(loading: FloatArray, recording: xr.DataArray, ax: Axes) -> Axes:
    """Draw the map: where the channels are, if a table says so, else in their order."""
    places = positions_of(recording) if len(feature_shape(recording)) == 1 else None
    if places is not None and places.values.shape[1] > 1:
        return draw_layout(places, ax, values=loading)
    return draw_map(loading, ax, shape=feature_shape(recording))


def _set_clock(ax: Axes, recording: xr.DataArray) -> None:
    ax.set_xlabel("time [s]" if _times(recording)[1] else "time [samples]")
    ax.set_ylabel("amplitude [noise s.d.]")


def _real(loading: AnyArray) -> FloatArray:
    return np.asarray(np.abs(loading) if np.iscomplexobj(loading) else loading, dtype=np.float64)


def time_course(floor: NoiseFloor, recording: xr.DataArray, component: int) -> tuple[FloatArray, FloatArray]:
    """Return times and values of a component, each shape (sample,); NaN where no channel is known, and at gaps."""
    scale = floor.channel_scale
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    along = inverse * floor.filters[:, component - 1].conj()
    values = np.full(recording.sizes[TIME], np.nan)
    for part, block in blocks(recording, max(1, BLOCK_VALUES // len(scale)), across_gaps=True):
        known = np.isfinite(block)
        found = np.where(known, block - floor.channel_mean, 0.0) @ along
        values[part] = np.where(known.any(axis=1), _real(found), np.nan)
    return _broken(_times(recording)[0], values, [each.start for each in segments(recording)][1:])


def _broken(time: FloatArray, values: FloatArray, starts: list[int]) -> tuple[FloatArray, FloatArray]:
    """Put a missing value before each sample that follows a gap."""
    return np.insert(time, starts, time[starts]), np.insert(values, starts, np.nan)


def _times(recording: xr.DataArray) -> tuple[FloatArray, bool]:
    """Return the time of each sample, and whether it is in seconds."""
    found = seconds(recording)
    if found is not None:
        return np.asarray(found, dtype=np.float64), True
    order = np.arange(recording.sizes[TIME], dtype=np.float64)
    try:
        return order / sampling_rate(recording), True
    except ValueError:
        return order, False


def draw_time_course(time: FloatArray, value: FloatArray, ax: Axes) -> Axes:
    """Draw a time course as the envelope of its extremes; missing values break it."""
    ax.plot(*envelope(time, value, columns=COLUMNS), color=role("accent"), linewidth=0.7)
    ax.axhline(0.0, color=role("grid"), linewidth=0.6, zorder=0)
    ax.margins(x=0)
    ax.locator_params(axis="y", nbins=4)
    return ax


def draw_map(loading: FloatArray, ax: Axes, *, shape: tuple[int, ...] = ()) -> Axes:
    """Draw how strongly each channel takes part: an image of a grid of channels, else a bar or a point each."""
    if len(shape) == 2:
        return _draw_image(loading.reshape(shape), ax)
    place, color = np.arange(len(loading)), role("alternate")
    if len(loading) <= FEW:
        ax.vlines(place, 0, loading, color=color, linewidth=max(0.6, min(3.0, 90 / len(loading))))
    else:
        ax.plot(*envelope(place, loading, columns=150), color=color, linewidth=0.7)
    ax.axhline(0.0, color=role("muted"), linewidth=0.6)
    ax.locator_params(axis="y", nbins=3)
    ax.margins(x=0.02)
    return ax


def _draw_image(image: FloatArray, ax: Axes) -> Axes:
    limit = float(np.abs(image).max()) or 1.0
    ax.imshow(_coarse(image), cmap="PuOr", vmin=-limit, vmax=limit, aspect=_aspect(image.shape), interpolation="none")
    number_ticks(ax.xaxis, [], [])
    number_ticks(ax.yaxis, [], [])
    return ax


def _aspect(shape: tuple[int, ...]) -> Literal["equal", "auto"]:
    """Keep pixels square unless that would leave a thread of an image."""
    return "equal" if max(shape) <= 4 * min(shape) else "auto"


def _coarse(image: FloatArray, most: int = 96) -> FloatArray:
    """Average blocks of pixels until no side is longer than `most`: a figure must stay small."""
    step = [-(-side // most) for side in image.shape]
    rows, columns = (side // by * by for side, by in zip(image.shape, step, strict=True))
    parts = image[:rows, :columns].reshape(rows // step[0], step[0], columns // step[1], step[1])
    return np.asarray(parts.mean(axis=(1, 3)))
