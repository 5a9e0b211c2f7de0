"""Figures of numbers that a net told: against those measured, and over time."""

import numpy as np
from matplotlib.axes import Axes

from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import ACCENT, INK, MUTED, SIGNAL, STYLES, board, drawn, finish, light_grid
from sciml.report.record import Regression
from sciml.wording import clean

__all__ = ["told_figure", "told_over_time"]

POINTS = 2000  # drawn at most, evenly chosen


@drawn
def told_figure(found: Regression, output: int) -> Figure:
    """Draw one number as told over as measured, a point a held-out window, beside the line where both agree."""
    measured, told = found.measured[:, output], found.told[:, output]
    picks = np.linspace(0, len(measured) - 1, min(POINTS, len(measured))).astype(int)
    name, unit = clean(found.names[output]), clean(found.units[output] or "no unit")
    figure, axes = board(height=3.6)
    ax: Axes = axes[0, 0]
    ends = [float(min(measured.min(), told.min())), float(max(measured.max(), told.max()))]
    ax.plot(ends, ends, color=MUTED, linewidth=1.0, linestyle=STYLES[1])
    ax.plot(measured[picks], told[picks], "o", color=ACCENT, markersize=3, alpha=0.45, markeredgewidth=0)
    light_grid(ax)
    ax.set_xlabel(f"{name}, measured [{unit}]")
    ax.set_ylabel(f"told by the net [{unit}]")
    quantiles = np.quantile(measured, [0.05, 0.25, 0.5, 0.75, 0.95]), np.quantile(told, [0.05, 0.25, 0.5, 0.75, 0.95])
    rows = tuple((f"{q} %", float(a), float(b)) for q, a, b in zip((5, 25, 50, 75, 95), *quantiles, strict=True))
    return finish(
        figure,
        title=f"{name}: told over measured",
        description=f"{len(measured)} held-out windows, {len(picks)} of them drawn; on the dashed line both agree. "
        f"Spread of the measured {np.std(measured):.3g}, of the told {np.std(told):.3g} {unit}.",
        table=Table("Quantiles over held-out windows", ("quantile", "measured", "told"), rows),
        data={"measured": measured, "told": told},
    )


@drawn
def told_over_time(found: Regression, output: int) -> Figure:
    """Draw one number as measured and as told at the held-out windows, in order of time; lines break between them."""
    order = np.argsort(found.time, kind="stable")
    time, measured, told = found.time[order], found.measured[order, output], found.told[order, output]
    name, unit = clean(found.names[output]), clean(found.units[output] or "no unit")
    step = np.diff(time)
    breaks = np.flatnonzero(step > 1.5 * np.median(step)) + 1 if len(step) else np.zeros(0, dtype=int)
    lines = [np.insert(values.astype(np.float64), breaks, np.nan) for values in (time, measured, told)]
    figure, axes = board(height=2.8, wide=True)
    ax: Axes = axes[0, 0]
    marker = "." if len(breaks) > len(time) / 4 else None
    ax.plot(lines[0], lines[1], color=INK, linewidth=1.0, marker=marker, label="measured")
    ax.plot(lines[0], lines[2], color=SIGNAL, linewidth=1.2, linestyle=STYLES[1], marker=marker, label="told")
    light_grid(ax)
    ax.margins(x=0)
    ax.set_xlabel("start of the window [s]")
    ax.set_ylabel(f"{name} [{unit}]")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.1)
    picks = np.unique(np.linspace(0, len(time) - 1, 8).astype(int))
    rows = tuple((float(time[i]), float(measured[i]), float(told[i])) for i in picks)
    return finish(
        figure,
        title=f"{name} over time",
        description=f"Measured and told {name} at {len(time)} held-out windows over time in seconds; lines break where "
        "windows of other parts lie between.",
        table=Table("Some held-out windows", ("start [s]", f"measured [{unit}]", f"told [{unit}]"), rows),
        data={"time_s": time, "measured": measured, "told": told},
    )
