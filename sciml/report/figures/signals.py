"""Figures of a recording: its power spectrum, its spectrogram, what was left out, its components in time."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from numpy.typing import NDArray

from sciml.plot.components import draw_map, draw_time_course
from sciml.plot.frequencies import draw_power
from sciml.plot.style import color_bar
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import (
    ACCENT,
    GRID,
    INK,
    SIGNAL,
    board,
    drawn,
    envelope,
    finish,
    number_ticks,
)
from sciml.report.measures import Strip
from sciml.signal.lines import Line, strongest_of_groups
from sciml.wording import clean, count, p_number, p_value, per_root_hertz, percent, quantity, series

__all__ = ["Component", "component_figure", "power_figure", "spectrogram_figure", "strips_figure", "traces"]

COLUMNS = 700  # intervals of a curve across a wide figure: about one a screen pixel at 72 dpi
IMAGE = (190, 560)  # rows and columns of a spectrogram's image
DECIBELS = np.arange(2.0, 21.0, 1.0)  # above the median; few levels keep the image small


@dataclass(frozen=True)
class Component:
    """A component in time and over channels: `time` [s], `value` [noise s.d.], `loading` over the features."""

    time: NDArray[np.float64]
    value: NDArray[np.float64]
    loading: NDArray[np.float64]
    eigenvalue: float
    p_value: float


@drawn
def power_figure(
    frequency: NDArray[np.float64], power: NDArray[np.float64], *, units: str, lines: Sequence[Line] = ()
) -> Figure:
    """Draw the amplitude spectral density: the median over channels, their middle 80 %, and the strongest lines.

    Parameters
    ----------
    frequency
        In Hz, shape (n,).
    power
        In units²/Hz, shape (n, channels).
    """
    # The one-sided density halves at the very end of the band, where there is no negative twin to add.
    shown = (frequency > 0) & (frequency < frequency[-1]) & (np.nanmax(power, axis=1, initial=0.0) > 0)
    f, amplitude = frequency[shown], np.sqrt(power[shown])
    middle, many = np.nanmedian(amplitude, axis=1), amplitude.shape[1] > 1
    figure, axes = board(wide=True, height=3.9)
    curve = draw_power(frequency, power, axes[0, 0], units=units).lines[0]
    _label_lines(axes[0, 0], lines)
    unit = per_root_hertz(units)
    step = float(f[1] - f[0]) if len(f) > 1 else float("nan")
    named = [f"{line.frequency:.4g} Hz" for line in strongest_of_groups(lines)[:6]]
    return finish(
        figure,
        title="Power spectrum",
        description=(
            f"Amplitude spectral density from {quantity(float(f[0]), 'Hz')} to {quantity(float(f[-1]), 'Hz')} on "
            f"logarithmic axes, resolution {quantity(step, 'Hz')}"
            + (", median over channels with the band of the middle 80 percent" if many else "")
            + (f". Strongest lines: {series(named)}." if named else ". No narrow line stands out.")
        ),
        table=_power_table(f, middle, lines, unit),
        data={
            "frequency_hz": curve.get_xdata(),
            "amplitude": curve.get_ydata(),
            "units": unit,
            "lines_hz": [x.frequency for x in lines],
        },
    )


def _label_lines(ax: Axes, lines: Sequence[Line]) -> None:
    """Name the strongest line of each group where the name leaves those of stronger ones readable."""
    (left, right), (bottom, top) = np.log(ax.get_xlim()), np.log(ax.get_ylim())
    placed: list[tuple[float, float]] = []
    for line in strongest_of_groups(lines):
        x = float((np.log(line.frequency) - left) / (right - left))
        y = float((np.log(line.amplitude) - bottom) / (top - bottom))
        if any(abs(x - other_x) < 0.013 and abs(y - other_y) < 0.12 for other_x, other_y in placed):
            continue
        placed.append((x, y))
        ax.plot(line.frequency, line.amplitude * 1.12, "v", color=SIGNAL, markersize=3.6, zorder=4)
        ax.annotate(
            f"{line.frequency:.4g}", (line.frequency, line.amplitude), xytext=(0, 7), textcoords="offset points",
            rotation=90, rotation_mode="anchor", ha="left", va="center", fontsize=8, color=INK,
        )  # fmt: skip


def _power_table(f: NDArray[np.float64], amplitude: NDArray[np.float64], lines: Sequence[Line], unit: str) -> Table:
    if lines:
        rows = tuple((x.frequency, x.amplitude, x.prominence) for x in lines)
        return Table(
            "Strongest lines", ("frequency [Hz]", f"amplitude [{unit}]", "power above the median around [×]"), rows
        )
    picks = np.unique(np.geomspace(1, len(f), 9).astype(int)) - 1
    rows_at = tuple((float(f[i]), float(amplitude[i])) for i in picks)
    return Table("Amplitude at some frequencies", ("frequency [Hz]", f"amplitude [{unit}]"), rows_at)


@drawn
def spectrogram_figure(
    frequency: NDArray[np.float64], time: NDArray[np.float64], power: NDArray[np.float64], *, channel: str = ""
) -> Figure:
    """Draw power over time and frequency, each frequency relative to its median, in decibels.

    Parameters
    ----------
    frequency, time
        In Hz, shape (n,), and in s, shape (m,).
    power
        Density, shape (n, m), any unit.
    """
    rows = frequency > 0
    f = frequency[rows]
    usual = np.median(power[rows], axis=1, keepdims=True)
    white = power[rows] / np.where(usual > 0, usual, np.nan)
    image, (start, stop) = _regular(_log_rows(f, white), time)
    with np.errstate(divide="ignore"):
        decibels = 10 * np.log10(image)
    figure, axes = board(wide=True, height=3.6)
    ax: Axes = axes[0, 0]
    low, high = float(np.log10(f[0])), float(np.log10(f[-1]))
    colors = mpl.colormaps["cividis"]
    painted = ax.imshow(
        np.ma.masked_invalid(np.where(np.isneginf(decibels), 0.0, decibels)), origin="lower", aspect="auto",
        interpolation="none", cmap=colors, norm=BoundaryNorm(DECIBELS, colors.N, extend="both"),
        extent=(start, stop, low, high),
    )  # fmt: skip
    ticks = list(range(int(np.ceil(low)), int(np.floor(high)) + 1))
    number_ticks(ax.yaxis, ticks, [f"{10.0**p:g}" for p in ticks])
    ax.set_xlabel("time [s]")
    ax.set_ylabel("frequency [Hz]")
    color_bar(ax, painted, "power above the median [dB]", ticks=[5, 10, 15, 20])
    peaks = _strongest_points(time, white)
    of = f" of {channel}" if channel else ""
    return finish(
        figure,
        title=f"Spectrogram{of}",
        description=(
            f"Power over time ({quantity(start, 's')} to {quantity(stop, 's')}) and frequency (logarithmic), relative "
            "to the median of each frequency, so that steady lines and the slope of the noise vanish and what comes "
            f"and goes remains. The strongest moment is at {time[peaks[0][0]]:.4g} s, {f[peaks[0][1]]:.4g} Hz."
        ),
        table=Table(
            "Loudest moments",
            ("time [s]", "frequency [Hz]", "power above the median [dB]"),
            tuple((float(time[t]), float(f[i]), float(10 * np.log10(white[i, t]))) for t, i in peaks),
        ),
    )


def _log_rows(f: NDArray[np.float64], white: NDArray[np.float64]) -> NDArray[np.float64]:
    """Resample to rows of equal width in log frequency: the mean of the bins in a row, or the nearest one."""
    edges = np.geomspace(f[0], f[-1], IMAGE[0] + 1)
    first = np.clip(np.searchsorted(f, edges[:-1]), 0, len(f) - 1)
    last = np.clip(np.searchsorted(f, edges[1:]), 1, len(f))
    centers = np.sqrt(edges[:-1] * edges[1:])
    nearest = np.abs(f[:, None] - centers).argmin(axis=0)
    return np.stack(
        [white[a:b].mean(axis=0) if b > a else white[n] for a, b, n in zip(first, last, nearest, strict=True)]
    )


def _regular(image: NDArray[np.float64], time: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Put columns on a regular clock, the largest where several fall together; gaps stay empty (NaN)."""
    hop = float(np.median(np.diff(time))) if len(time) > 1 else 1.0
    n = int(min(IMAGE[1], round((time[-1] - time[0]) / hop) + 1))
    start, stop = float(time[0] - hop / 2), float(time[-1] + hop / 2)
    column = np.clip(((time - start) / (stop - start) * n).astype(int), 0, n - 1)
    out = np.full((len(image), n), -np.inf)
    np.maximum.at(out.T, column, np.where(np.isnan(image), -np.inf, image).T)
    return np.where(np.isneginf(out), np.nan, out), (start, stop)


def _strongest_points(time: NDArray[np.float64], white: NDArray[np.float64], most: int = 6) -> list[tuple[int, int]]:
    """Return (time index, frequency index) of the strongest points, at least a fiftieth of the recording apart."""
    by_time = np.nan_to_num(white, nan=0.0, posinf=0.0)
    strength, where = by_time.max(axis=0), by_time.argmax(axis=0)
    apart = (time[-1] - time[0]) / 50
    found: list[tuple[int, int]] = []
    for t in np.argsort(-strength):
        if len(found) < most and strength[t] > 0 and all(abs(time[t] - time[other]) > apart for other, _ in found):
            found.append((int(t), int(where[t])))
    return found


@drawn
def strips_figure(strips: Sequence[Strip], *, start: float, stop: float) -> Figure:
    """Draw for each flag when it is set, one strip a flag."""
    figure, axes = board(wide=True, height=0.75 + 0.27 * len(strips))
    ax: Axes = axes[0, 0]
    for row, strip in enumerate(strips):
        spans = [(a, b - a) for a, b in strip.intervals]
        out = row == 0 and strip.name.startswith("left out")
        ax.barh(row, stop - start, left=start, height=0.62, color=GRID, alpha=0.5, linewidth=0)
        ax.broken_barh(
            spans, (row - 0.31, 0.62), facecolor="none" if out else ACCENT, edgecolor=SIGNAL if out else "none",
            hatch="////" if out else None, linewidth=0.8 if out else 0, alpha=1.0 if out else 0.75,
        )  # fmt: skip
        ax.annotate(
            percent(strip.fraction),
            (1.005, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            color=INK,
        )
    ax.set(xlim=(start, stop), ylim=(len(strips) - 0.5, -0.5))
    number_ticks(ax.yaxis, range(len(strips)), [strip.name for strip in strips])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("time [s]")
    return finish(
        figure,
        title="Data quality in time",
        description=(
            f"One strip for each of {count(len(strips), 'flag')}, filled while the flag is set, with the fraction of "
            "the recording at the right: " + "; ".join(f"{s.name} {percent(s.fraction)}" for s in strips) + "."
        ),
        table=Table(
            "Flags",
            ("flag", "fraction of the recording [%]", "intervals"),
            tuple((s.name, 100 * s.fraction, len(s.intervals)) for s in strips),
        ),
        data={s.name: [list(pair) for pair in s.intervals] for s in strips},
    )


@drawn
def traces(
    time: Sequence[NDArray[np.float64]],
    values: Sequence[NDArray[np.float64]],
    *,
    names: Sequence[str],
    units: str,
    title: str = "The recording",
) -> Figure:
    """Draw a few channels over time, each on its own axis; gaps (NaN) break the line."""
    n = len(values)
    figure, axes = board(wide=True, height=0.8 + (2.0 if n == 1 else 0.85 * n), rows=n, sharex=True)
    for ax, t, y, name in zip(axes[:, 0], time, values, names, strict=True):
        ax.plot(*envelope(t, y, columns=COLUMNS), color=ACCENT, linewidth=0.7)
        ax.margins(x=0)
        ax.locator_params(axis="y", nbins=3)
        _offset_outside(ax)
        if n > 1:
            ax.annotate(clean(name), (0.005, 0.98), xycoords="axes fraction", va="top", fontsize=8.5, color=INK)
    axes[-1, 0].set_xlabel("time [s]")
    figure.supylabel(f"value [{clean(units or 'units')}]", fontsize=9.5, color=INK)
    rows = tuple((name, *_summary(y)) for name, y in zip(names, values, strict=True))
    return finish(
        figure,
        title=title,
        description=f"{series(list(names))} over time; long traces are drawn as the envelope of their extremes.",
        table=Table("Range", ("channel", f"lowest [{units}]", f"median [{units}]", f"highest [{units}]"), rows),
    )


def _offset_outside(ax: Axes) -> None:
    ax.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4), useMathText=False)
    ax.yaxis.get_offset_text().set_fontsize(8)


def _summary(y: NDArray[np.float64]) -> tuple[float, float, float]:
    known = y[np.isfinite(y)]
    if not len(known):
        return float("nan"), float("nan"), float("nan")
    return float(known.min()), float(np.median(known)), float(known.max())


@drawn
def component_figure(components: Sequence[Component], *, shape: tuple[int, ...], dim: str) -> Figure:
    """Draw each component: left its time course, right its loading on the channels (an image if they are one).

    Parameters
    ----------
    shape
        Sizes of the features; two make the loading an image.
    dim
        What a feature is, as "channel" or "roi".
    """
    n = len(components)
    figure, axes = board(wide=True, height=0.7 + 1.15 * n, rows=n, columns=2, width_ratios=(3.2, 1.0), sharex="col")
    for i, (component, (left, right)) in enumerate(zip(components, axes, strict=True)):
        draw_time_course(component.time, component.value, left)
        left.set_title(
            f"{i + 1}: eigenvalue {component.eigenvalue:.3g}, {p_value(component.p_value)}",
            fontsize=8.5,
            color=INK,
            pad=3,
        )
        draw_map(component.loading, right, shape=shape)
    axes[-1, 0].set_xlabel("time [s]")
    axes[-1, 1].set_xlabel(clean(dim) if len(shape) == 1 else "")
    axes[0, 1].set_title("loading", fontsize=8.5, color=INK, pad=3)
    figure.supylabel("amplitude [noise s.d.]", fontsize=9.5, color=INK)
    return finish(
        figure,
        title="Strongest components",
        description=(
            f"{count(n, 'component').capitalize()} above the noise floor, strongest first: at the left the time course "
            "in standard deviations of the noise, broken at gaps; at the right how strongly each "
            f"{dim} takes part."
        ),
        table=_component_table(components, dim),
        data={
            f"component_{i + 1}": {"time_s": envelope(c.time, c.value, columns=COLUMNS)[0],
                                   "value_noise_sd": envelope(c.time, c.value, columns=COLUMNS)[1],
                                   "loading": c.loading}
            for i, c in enumerate(components)
        },
    )  # fmt: skip


def _component_table(components: Sequence[Component], dim: str) -> Table:
    rows = []
    for i, component in enumerate(components):
        weight = component.loading**2 / max(float(np.sum(component.loading**2)), np.finfo(float).tiny)
        strongest = [int(j) for j in np.argsort(-weight)[:3]]
        rows.append((i + 1, component.eigenvalue, p_number(component.p_value), float(1 / np.sum(weight**2)), strongest))
    columns = ("component", "eigenvalue [noise variances]", "p", f"{dim}s that share it (effective)",
               f"strongest {dim}s (index)")  # fmt: skip
    return Table("Components above the floor", columns, tuple(rows))
