"""Histograms of the singular values of weight matrices beside the law of noise."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from sciml.plot.nets import layer_spectrum
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import MUTED, drawn, finish
from sciml.report.figures.nets.grid import panels, shortened
from sciml.wording import count

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.spectra import LayerSpectrum

__all__ = ["MOST", "weight_histograms"]

MOST = 24


@drawn
def weight_histograms(layers: "Sequence[LayerSpectrum]") -> Figure:
    """Draw a histogram for each weight matrix, with the law of its noise, the edge, and what stands above.

    Parameters
    ----------
    layers
        At most `MOST` are drawn, in this order.
    """
    shown = list(layers)[:MOST]
    figure = panels(shown, _panel, height=1.55)
    return finish(
        figure,
        title="Singular values of each weight matrix",
        description=(
            f"Histograms of {count(len(shown), 'weight matrix')}: bars are the singular values (rows and columns "
            "equalized where their scales differ), the line is the Marchenko-Pastur law of noise with the variance of "
            "the bulk, dashed the edge, triangles the values above it. No law is drawn where there is no noise bulk."
        ),
        table=Table("Bulk and edge", ("layer", "values", "largest", "edge", "above"), tuple(_row(x) for x in shown)),
        data={layer.name: layer.tested_values for layer in shown},
    )


def _row(layer: "LayerSpectrum") -> tuple[Any, ...]:
    return (layer.name, len(layer.tested_values), float(layer.tested_values[0]), layer.edge, layer.rank)


def _panel(ax: Axes, layer: "LayerSpectrum") -> None:
    layer_spectrum(layer, ax)
    ax.set(xlabel="", ylabel="")
    ax.set_yticks([])
    ax.tick_params(labelsize=7.5)
    ax.spines["left"].set_visible(False)
    ax.set_title(shortened(layer.name), fontsize=8.5, pad=9)
    words = ax.text(0.0, 1.0, layer.words, transform=ax.transAxes, fontsize=7, color=MUTED, va="bottom")
    words.set_in_layout(False)  # it may be wider than its panel without moving the others
