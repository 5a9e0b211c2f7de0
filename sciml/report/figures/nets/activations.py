"""Spectra of what the layers of a net read, beside random weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import ACCENT, MUTED, SIGNAL, board, drawn, finish, log_ticks, number_ticks
from sciml.report.figures.nets.grid import panels, shortened

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.spectra import ActivationSpectrum

__all__ = ["activation_figure", "dimension_figure"]

MOST = 12
LOWEST = 1e-6  # of the largest eigenvalue, that is drawn


@drawn
def activation_figure(layers: "Sequence[ActivationSpectrum]") -> Figure:
    """Draw the eigenvalues of what each layer reads, in descending order, beside those of random weights."""
    shown = list(layers)[:MOST]
    figure = panels(shown, _panel, height=1.7)
    return finish(
        figure,
        title="Eigenvalues of what each layer reads",
        description=(
            "Eigenvalues of the covariance over the sample, over the largest, in descending order on logarithmic axes: "
            "points are the net's, the line what random weights in the layer before would give on the same inputs, "
            "where that is known."
        ),
        table=Table(
            "What the layers read",
            ("layer", "units", "participation ratio", "random weights", "units that share nothing"),
            tuple((x.name, x.n_units, x.dimension, x.random_dimension, x.independent_dimension) for x in shown),
        ),
        data={layer.name: layer.eigenvalues for layer in shown},
    )


def _panel(ax: Axes, layer: "ActivationSpectrum") -> None:
    top = float(layer.eigenvalues[0]) or 1.0
    for values, color, marker in ((layer.random_eigenvalues, ACCENT, ""), (layer.eigenvalues, SIGNAL, ".")):
        if values is None:
            continue
        shown = values[values > LOWEST * top] / top
        ax.plot(
            np.arange(1, shown.size + 1), shown, marker or "-", color=color, linewidth=1.2, markersize=2.6,
            markeredgewidth=0,
        )  # fmt: skip
    low = max(LOWEST, float(layer.eigenvalues[-1]) / top / 1.5)
    ax.set(xscale="log", yscale="log", ylim=(low, 2.0))
    ax.set_xlim(0.9, layer.eigenvalues.size * 1.1 + 0.2)
    log_ticks(ax.xaxis, 1.0, layer.eigenvalues.size * 1.1 + 0.2, most=4)
    log_ticks(ax.yaxis, low, 2.0, most=4)
    ax.tick_params(labelsize=7.5)
    ax.set_title(shortened(layer.name), fontsize=8.5)


@drawn
def dimension_figure(layers: "Sequence[ActivationSpectrum]") -> Figure:
    """Draw the participation ratio of what each layer reads, through the net."""
    figure, axes = board(wide=True, height=3.0)
    ax: Axes = axes[0, 0]
    index = np.arange(len(layers))
    units = np.array([layer.n_units for layer in layers], dtype=np.float64)
    lines = (
        ("units that share nothing", [x.independent_dimension for x in layers], MUTED, "--", ""),
        ("random weights", [x.random_dimension for x in layers], ACCENT, "", "s"),
        ("net", [x.dimension for x in layers], SIGNAL, "-", "o"),
    )
    for label, values, color, style, marker in lines:
        known = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        ax.plot(index, known, linestyle=style or "none", marker=marker or None, color=color, markersize=4, label=label)
    ax.set(yscale="log", ylim=(0.8, float(units.max()) * 1.3), ylabel="participation ratio")
    log_ticks(ax.yaxis, 0.8, float(units.max()) * 1.3)
    step = max(1, -(-len(layers) // 16))
    number_ticks(ax.xaxis, list(index[::step]), [shortened(layer.name, 18) for layer in layers][::step])
    ax.tick_params(axis="x", rotation=35)
    for tick in ax.get_xticklabels():
        tick.set_horizontalalignment("right")
    ax.legend(loc="best", ncols=3)
    return finish(
        figure,
        title="Dimensions of what the layers read",
        description=(
            "Participation ratio of the covariance of what each layer reads, from the input to the output of the net, "
            "beside that of random weights in the layer before and of units of the same variances that share nothing."
        ),
        table=Table(
            "Participation ratio",
            ("layer", "net", "random weights", "units that share nothing"),
            tuple((x.name, x.dimension, x.random_dimension, x.independent_dimension) for x in layers),
        ),
        data={"dimension": np.array([x.dimension for x in layers])},
    )
