"""Figures of how far scores can be trusted: what probabilities mean, and how units of independence differ."""

import numpy as np
from matplotlib.axes import Axes

from sciml.plot.scores import reliability
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import (
    ACCENT,
    SIGNAL,
    STYLES,
    board,
    drawn,
    finish,
    light_grid,
    number_ticks,
)
from sciml.report.record import Reliability, UnitScores
from sciml.wording import clean, percent

__all__ = ["reliability_figure", "unit_strip"]

ROWS = 40  # units that are drawn with their names


@drawn
def reliability_figure(found: Reliability) -> Figure:
    """Draw how often the named class was right over the probability it was given, a point a bin of windows."""
    figure, axes = board(height=3.6)
    reliability(found, axes[0, 0])
    rows = tuple(
        (float(p), float(right), int(n))
        for p, right, n in zip(found.confidence, found.accuracy, found.count, strict=True)
    )
    return finish(
        figure,
        title="Reliability of the probabilities",
        description=f"{int(found.count.sum())} held-out windows in {len(rows)} bins; on the dashed line probabilities "
        "mean what they say, below it the net is too sure.",
        table=Table("Reliability", ("mean probability", "fraction right", "windows"), rows),
        data={"confidence": found.confidence, "accuracy": found.accuracy, "count": found.count},
    )


@drawn
def unit_strip(found: UnitScores) -> Figure:
    """Draw the net's score in each unit of independence, with the score over all windows as a line."""
    order = np.argsort(found.values, kind="stable")
    n = len(order)
    figure, axes = board(height=1.2 + 0.24 * min(n, ROWS))
    ax: Axes = axes[0, 0]
    ax.axvline(found.whole, color=SIGNAL, linewidth=1.1, linestyle=STYLES[1])
    ax.annotate("all", (found.whole, 1.01), xycoords=("data", "axes fraction"), ha="center", fontsize=8.5)
    ax.plot(found.values[order], np.arange(n), "o", color=ACCENT, markersize=4.5)
    if n <= ROWS:
        number_ticks(ax.yaxis, range(n), [clean(found.names[k]) for k in order])
    else:
        ax.set_ylabel(f"{n} units ({found.unit}), sorted")
    ax.set_ylim(n - 0.4, -0.6)
    light_grid(ax, "x")
    ax.set_xlabel(f"{found.metric} [fraction of windows]" if found.in_percent else found.metric)
    shown = [percent(v) if found.in_percent else f"{v:.3g}" for v in (found.values.min(), found.values.max())]
    rows = tuple((clean(found.names[k]), float(found.values[k]), int(found.count[k])) for k in order)
    return finish(
        figure,
        title=f"Held-out {found.metric} of each {found.unit}",
        description=f"{n} units ({found.unit}): from {shown[0]} to {shown[1]}; the dashed line is the score of all.",
        table=Table(f"{found.metric} of each {found.unit}", (found.unit, found.metric, "windows"), rows),
        data={"names": list(found.names), "values": found.values, "count": found.count},
    )
