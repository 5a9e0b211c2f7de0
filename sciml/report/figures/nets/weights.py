"""Histograms of the singular values of weight matrices beside the law of noise."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from sciml._typing import FloatArray
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import ACCENT, INK, MUTED, NOISE, SIGNAL, drawn, finish
from sciml.report.figures.nets.grid import panels, shortened
from sciml.rmt.laws import MarchenkoPastur
from sciml.wording import count

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.spectra import LayerSpectrum

__all__ = ["MOST", "weight_histograms"]

MOST = 24
BINS = 28
FEW = 5  # values that make no histogram


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
    values = np.asarray(layer.tested_values, dtype=np.float64)
    rank = layer.rank or 0
    top = float(values.max(initial=0.0)) or 1.0
    bulk_top = max(layer.mp_edge or 0.0, float(values[rank:].max(initial=0.0))) or top
    edges = np.linspace(0.0, bulk_top * 1.02, BINS)
    ax.hist(values[values <= edges[-1]], bins=edges.tolist(), color=NOISE, linewidth=0)
    if layer.sigma and layer.mp_edge and layer.edge and values.size >= FEW:
        x = np.linspace(1e-3, 1.0, 200) * layer.mp_edge
        ax.plot(x, _expected(x, values.size - rank, layer) * (edges[1] - edges[0]), color=ACCENT, linewidth=1.1)
        ax.axvline(layer.edge, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    above = values[:rank]
    # values far above would squeeze the bulk: they stand at the border, the largest is in the table
    limit = min(max(top, bulk_top) * 1.05, 2.5 * bulk_top)
    if rank:
        ax.plot(np.minimum(above, limit * 0.98), np.full(rank, 0.0), "v", color=SIGNAL, markersize=4.5, clip_on=False)
    ax.set_xlim(0.0, limit)
    ax.set_yticks([])
    ax.tick_params(labelsize=7.5)
    ax.spines["left"].set_visible(False)
    ax.set_title(shortened(layer.name), fontsize=8.5, pad=9)
    words = ax.text(0.0, 1.0, layer.words, transform=ax.transAxes, fontsize=7, color=MUTED, va="bottom")
    words.set_in_layout(False)  # it may be wider than its panel without moving the others


def _expected(x: FloatArray, n: int, layer: "LayerSpectrum") -> FloatArray:
    """Return the density of n singular values of noise, by the Marchenko-Pastur law of their squares."""
    short, long = sorted(layer.matrix_shape)
    sigma = layer.mp_edge / (math.sqrt(short) + math.sqrt(long)) if layer.mp_edge else 1.0
    law = MarchenkoPastur(short / long)
    scale = sigma**2 * long
    return np.asarray(n * law.pdf(x**2 / scale) * 2.0 * x / scale)
