"""The noise floor: its eigenvalues with the law of noise and the edge, their order, and the noise over frequency."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sciml._typing import FloatArray, IntArray
from sciml.noise.floor.result import NoiseFloor
from sciml.noise.spatial.result import SpatialNoise
from sciml.plot.scales import light_grid, log_ticks, number_ticks
from sciml.plot.style import MARKERS, STYLES, axes_of, role, unit_label
from sciml.rmt.laws import MarchenkoPastur
from sciml.wording import clean, p_value, per_root_hertz, unit_or_blank

__all__ = ["eigenvalues", "floor_spectrum", "law", "scree", "shared_noise", "spectrum_limits"]

MAX_SCREE = 40
EDGE = (0, (4, 2))  # dashes of what limits noise
FEWEST_LAGS, MOST_LAGS = 4, 24


def scree(floor: NoiseFloor, ax: Axes | None = None, *, most: int = MAX_SCREE) -> Axes:
    r"""Draw the largest eigenvalues :math:`\lambda_k` of a noise floor in order, with the edge and p-values around it.

    Parameters
    ----------
    floor
        Of `sciml.noise.noise_floor`.
    ax
        Axes to draw on; default those of a new figure.
    most
        Eigenvalues that are drawn at most.

    Examples
    --------
    >>> import xarray as xr
    >>> from matplotlib.figure import Figure
    >>> from sciml.noise import noise_floor
    >>> noise = np.random.default_rng(0).normal(size=(400, 8))
    >>> floor = noise_floor(xr.DataArray(noise, dims=("time", "channel"), attrs={"sampling_rate": 100.0}))
    >>> ax = scree(floor, ax=Figure().subplots())
    >>> bool(np.all(ax.lines[0].get_ydata() == floor.eigenvalues))
    True
    """
    ax = axes_of(ax)
    n = min(most, len(floor.eigenvalues), max(2 * floor.rank, floor.rank + 14))
    values, order = floor.eigenvalues[:n], np.arange(1, n + 1)
    positive = values[values > 0]
    low, high = min(float(positive.min(initial=1.0)), floor.edge) / 1.25, max(float(values[0]), floor.edge) * 1.5
    ax.plot(order, np.maximum(values, low), color=role("grid"), linewidth=1.0, zorder=1)
    _scree_points(ax, floor, order, np.maximum(values, low))
    ax.axhline(floor.edge, color=role("ink"), linewidth=1.0, linestyle=EDGE, label=f"edge, level {floor.alpha:g}")
    heights, near = np.log(np.maximum(values, low)), range(max(0, floor.rank - 4), min(n, floor.rank + 1))
    for i in _labeled(heights, np.log(high / low), near, n):
        _p_label(ax, floor, i)
    ax.set(yscale="log", ylim=(low, high), xlim=(0.4, max(n, 8) + 0.6))
    log_ticks(ax.yaxis, low, high)
    number_ticks(ax.xaxis, *_index_ticks(n))
    ax.set(xlabel="component, strongest first", ylabel="eigenvalue [noise variances]")
    ax.legend(loc="upper right")
    return ax


def _scree_points(ax: Axes, floor: NoiseFloor, order: IntArray, heights: FloatArray) -> None:
    above = order <= floor.rank
    ax.plot(order[above], heights[above], "v", color=role("signal"), markersize=6.5, label="above the floor", zorder=3)
    ax.plot(
        order[~above], heights[~above], "o", markerfacecolor=role("paper"), markeredgecolor=role("muted"),
        markersize=4.5, label="noise", zorder=3,
    )  # fmt: skip


def _p_label(ax: Axes, floor: NoiseFloor, i: int) -> None:
    left = i == floor.rank > 0  # the first of the noise: to its left the picture is empty
    ax.annotate(
        p_value(float(floor.p_values[i])), (i + 1, floor.eigenvalues[i]), xytext=(-7, -6) if left else (7, 3),
        textcoords="offset points", fontsize=8, ha="right" if left else "left",
        color=role("muted" if i >= floor.rank else "ink"),
    )  # fmt: skip


def _labeled(height: FloatArray, total: float, wanted: Iterable[int], n: int) -> list[int]:
    """Return the points whose labels leave each other readable: the last ones, at the edge, come first."""
    kept: list[int] = []
    for i in sorted(wanted, reverse=True):
        if all(abs(height[i] - height[k]) > 0.07 * total or abs(i - k) > 0.25 * n for k in kept):
            kept.append(i)
    return kept


def _index_ticks(n: int) -> tuple[list[float], list[str]]:
    step = 1 if n <= 12 else 5
    ticks = sorted({1, *range(step, n + 1, step)})
    return [float(t) for t in ticks], [str(t) for t in ticks]


def eigenvalues(
    floor: NoiseFloor, ax: Axes | None = None, *, white: bool = False, limits: tuple[float, float] | None = None
) -> Axes:
    r"""Draw all eigenvalues as a histogram, the law of pure noise over it, and the edge where signal begins.

    Parameters
    ----------
    floor
        Of `sciml.noise.noise_floor`.
    ax
        Axes to draw on; default those of a new figure.
    white
        Take the noise for white whatever it is: the law of Marchenko and Pastur,
        :math:`\rho(x) = \sqrt{(b - x)(x - a)} / (2 \pi \gamma x)`.
    limits
        Range of the horizontal axis, in noise variances.

    Examples
    --------
    >>> import xarray as xr
    >>> from matplotlib.figure import Figure
    >>> from sciml.noise import noise_floor
    >>> noise = np.random.default_rng(0).normal(size=(400, 8))
    >>> floor = noise_floor(xr.DataArray(noise, dims=("time", "channel"), attrs={"sampling_rate": 100.0}))
    >>> eigenvalues(floor, ax=Figure().subplots()).get_xlabel()
    'eigenvalue [noise variances]'
    """
    ax = axes_of(ax)
    values = positive(floor.mp_eigenvalues if white else floor.eigenvalues)
    edge = floor.mp_edge if white else floor.edge
    low, high = limits or spectrum_limits(floor)
    bins = histogram_bins(values, low, high)
    _bars(ax, values, bins, edge)
    x, expected = law(floor, bins, white=white)
    ax.plot(x, expected, color=role("accent"), linewidth=1.5, label="pure noise")
    top = max(float(expected.max()), float(np.histogram(values, bins)[0].max()), 1.0)
    ax.legend(loc="upper left", borderaxespad=0.1, handlelength=1.4)
    _edge_line(ax, edge, top)
    _mark_beyond(ax, values[values > edge], -0.035 * top)
    ax.set(xscale="log", xlim=(low, high), ylim=(-0.07 * top, 1.3 * top))
    log_ticks(ax.xaxis, low, high)
    ax.set(xlabel="eigenvalue [noise variances]", ylabel="eigenvalues per bin")
    return ax


def _mark_beyond(ax: Axes, values: FloatArray, height: float) -> None:
    if len(values):  # an unclipped line without points would have a place of its own in the layout
        style = {"color": role("signal"), "markersize": 4.5, "clip_on": False, "zorder": 5}
        ax.plot(values, np.full(len(values), height), "v", **style)


def positive(values: FloatArray) -> FloatArray:
    """Return what a logarithmic axis can show: eigenvalues of the null space (channels > samples) are not."""
    return values[values > 1e-9 * values.max()] if values.size and values.max() > 0 else values[:0]


def histogram_bins(values: FloatArray, low: float, high: float) -> FloatArray:
    """Return the borders of the bins, equal in the logarithm."""
    return np.geomspace(low, high, int(np.clip(3 * np.sqrt(len(values)), 24, 64)) + 1)


def spectrum_limits(floor: NoiseFloor) -> tuple[float, float]:
    """Return the range of eigenvalues that shows both views of the floor, its own and that of white noise."""
    shown = np.concatenate([positive(floor.eigenvalues), positive(floor.mp_eigenvalues)])
    edges = [floor.edge, floor.mp_edge]
    low = max(min(float(shown.min(initial=1.0)), *edges), 1e-4 * max(edges))
    return low / 1.3, max(float(shown.max(initial=1.0)), *edges) * 1.4


def _bars(ax: Axes, values: FloatArray, bins: FloatArray, edge: float) -> None:
    within, beyond = (np.histogram(part, bins)[0] for part in (values[values <= edge], values[values > edge]))
    left, width, some = bins[:-1], np.diff(bins), beyond > 0
    ax.stairs(within, bins, fill=True, color=role("noise"), alpha=0.55, linewidth=0, label="found")
    ax.bar(
        left[some], beyond[some], width[some], bottom=within[some], align="edge", facecolor="none",
        edgecolor=role("signal"), hatch="////", linewidth=0.9,
    )  # fmt: skip
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def law(floor: NoiseFloor, bins: FloatArray, *, white: bool = False) -> tuple[FloatArray, FloatArray]:
    """Return at 260 places how many of the eigenvalues (other than zero) the law of noise puts into a bin there."""
    x = np.geomspace(bins[0], bins[-1], 260)
    half = np.sqrt(bins[1] / bins[0])
    if white:
        found = MarchenkoPastur(floor.gamma)
        fraction = (found.cdf(x * half) - found.cdf(x / half)) / (1 - found.atom)
        return x, len(floor.mp_eigenvalues) * fraction
    return x, (len(floor.eigenvalues) - floor.rank) * (floor.bulk_cdf(x * half) - floor.bulk_cdf(x / half))


def _edge_line(ax: Axes, edge: float, top: float) -> None:
    ax.axvline(edge, ymin=0.05, ymax=0.93, color=role("ink"), linewidth=1.0, linestyle=EDGE)
    ax.annotate(f" edge {edge:.3g}", (edge, 1.3 * top), color=role("ink"), fontsize=8.5, va="top", ha="left")


def floor_spectrum(floor: NoiseFloor, ax: Axes | None = None) -> Axes:
    r"""Draw the amplitude spectral density of the noise, that of the recording, and that of white noise as strong.

    The root of the density, as root mean square over channels, in the recording's units per :math:`\sqrt{Hz}`.

    Parameters
    ----------
    floor
        Of `sciml.noise.noise_floor`.
    ax
        Axes to draw on; default those of a new figure.

    Examples
    --------
    >>> import xarray as xr
    >>> from matplotlib.figure import Figure
    >>> from sciml.noise import noise_floor
    >>> noise = np.random.default_rng(0).normal(size=(400, 8))
    >>> floor = noise_floor(xr.DataArray(noise, dims=("time", "channel"), attrs={"sampling_rate": 100.0}))
    >>> floor_spectrum(floor, ax=Figure().subplots()).get_xlabel()
    'frequency [Hz]'
    """
    ax = axes_of(ax)
    x, noise, whole, white = amplitudes(floor)
    ax.plot(x, whole, color=role("muted"), linewidth=0.9, label="recording")
    ax.plot(x, noise, color=role("accent"), linewidth=1.1, label="estimated noise")
    ax.axhline(white, color=role("muted"), linewidth=1.1, linestyle=STYLES[1], label="white noise of the same strength")
    low, high = min(float(np.quantile(noise, 0.01)), white) / 2, max(float(whole.max()), white) * 2.5
    ax.set(xscale="log", yscale="log", xlim=(x[0], x[-1]), ylim=(low, high))
    log_ticks(ax.xaxis, float(x[0]), float(x[-1]))
    log_ticks(ax.yaxis, low, high)
    ax.set(xlabel="frequency [Hz]", ylabel=f"amplitude [{clean(per_root_hertz(floor.units))}]")
    ax.legend(loc="best")
    return ax


def amplitudes(floor: NoiseFloor) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Return frequencies [Hz] and amplitudes of noise, recording and white noise, without the ends of the band."""
    frequency, noise = floor.frequency, np.sqrt(floor.psd)
    shown = (frequency > 0) & (frequency < frequency[-1]) & (noise > 0)
    white = floor.sigma / float(np.sqrt(frequency[-1] - min(frequency[0], 0.0)))
    return frequency[shown], noise[shown], np.sqrt(floor.recording_psd[shown]), white


def shared_noise(noise: NoiseFloor | SpatialNoise, ax: Axes | None = None) -> Axes:
    """Draw how noise is correlated between two channels by their lag, one line a dim.

    Parameters
    ----------
    noise
        A floor whose model is spatial, or its `spatial`. Nothing but the line at 0 is drawn where none is shared.
    ax
        Axes to draw on; default those of a new figure.

    Examples
    --------
    >>> import xarray as xr
    >>> from matplotlib.figure import Figure
    >>> from sciml.noise import noise_floor
    >>> noise = np.random.default_rng(0).normal(size=(400, 8))
    >>> floor = noise_floor(xr.DataArray(noise, dims=("time", "channel"), attrs={"sampling_rate": 100.0}))
    >>> len(shared_noise(floor, ax=Figure().subplots()).lines)
    1
    """
    ax = axes_of(ax)
    found = noise.spatial if isinstance(noise, NoiseFloor) else noise
    along = () if found is None else found.along
    light_grid(ax)
    ax.axhline(0, color=role("muted"), linewidth=0.7)
    colors = [role(each) for each in ("accent", "signal", "muted")]
    for i, each in enumerate(along):
        n = min(max(FEWEST_LAGS, int(np.searchsorted(each.lags, each.range)) + 3), MOST_LAGS, len(each.lags))
        ax.plot(
            each.lags[:n], each.correlation[:n], marker=MARKERS[i % 4], markersize=4.5, color=colors[i % 3],
            linestyle=STYLES[i % 4], label=clean(f"along {each.dim}"),
        )  # fmt: skip
    units = {unit_or_blank(each.units) for each in along}
    ax.set_xlabel(unit_label("lag", (units.pop() if len(units) == 1 else "") or "steps of the grid"))
    ax.set_ylabel("correlation of the noise")
    if along:
        ax.legend()
    return ax
