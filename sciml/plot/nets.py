"""Nets: spectra of their weights with the law of noise, the Hessian's density, signal and gradient over depth."""

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.plot.scales import light_grid, log_ticks, number_ticks, power_label
from sciml.plot.style import MARKERS, axes_of, role
from sciml.rmt.laws import MarchenkoPastur
from sciml.wording import clean, series

if TYPE_CHECKING:  # named only: drawing a recording loads no torch
    from sciml.nn.propagate import InitComparison, Propagation
    from sciml.spectra import LayerSpectrum, SpectralDensity, WeightSpectra

__all__ = ["hessian_density", "layer_spectra", "layer_spectrum", "propagation"]

BINS = 28
FEW = 5  # values that make no histogram
EDGE = (0, (4, 2))
LOWEST = 1e-7  # of a density, that is drawn
SMOOTH = 0.12  # width of the normal law that stands for an eigenvalue, over its size
SMALLEST, LARGEST = 1e-30, 1e30
QUANTITIES: dict[str, tuple[str, str, str]] = {  # measured, by theory, its band
    "signal": ("second", "second_typical", "second_band"),
    "gradient": ("gradient", "gradient_typical", "gradient_band"),
    "chi_1": ("chi_1", "chi_1_theory", ""),
    "correlation": ("correlation", "correlation_theory", ""),
}


def layer_spectrum(layer: "LayerSpectrum", ax: Axes | None = None) -> Axes:
    r"""Draw the singular values of a weight matrix, with the law of its noise, the edge, and what is above.

    The law is that of Marchenko and Pastur for squared singular values of n x m independent weights of variance
    :math:`\sigma^2`, which reach :math:`\sigma (\sqrt n + \sqrt m)`; none is drawn where there is no bulk of noise.

    Parameters
    ----------
    layer
        One of `sciml.spectra.weight_spectra`.
    ax
        Axes to draw on; default those of a new figure.

    Examples
    --------
    >>> import torch
    >>> from matplotlib.figure import Figure
    >>> from sciml.spectra import weight_spectra
    >>> layer_spectrum(weight_spectra(torch.nn.Linear(40, 30))[0], ax=Figure().subplots()).get_xlabel()
    'singular value'
    """
    ax = axes_of(ax)
    values = np.asarray(layer.tested_values, dtype=np.float64)
    rank = layer.rank or 0
    top = float(values.max(initial=0.0)) or 1.0
    bulk_top = max(layer.mp_edge or 0.0, float(values[rank:].max(initial=0.0))) or top
    bins = np.linspace(0.0, bulk_top * 1.02, BINS)
    ax.stairs(np.histogram(values, bins)[0], bins, fill=True, color=role("noise"), linewidth=0)
    if layer.sigma and layer.mp_edge and layer.edge and values.size >= FEW:
        x = np.linspace(1e-3, 1.0, 200) * layer.mp_edge
        ax.plot(x, _law(x, values.size - rank, layer) * (bins[1] - bins[0]), color=role("accent"), linewidth=1.1)
        ax.axvline(layer.edge, color=role("ink"), linewidth=0.8, linestyle=EDGE)
    # values far above would squeeze the bulk: they stand at the border
    limit = min(max(top, bulk_top) * 1.05, 2.5 * bulk_top)
    above = np.minimum(values[:rank], limit * 0.98)
    if rank:  # an unclipped line without points would have a place of its own in the layout
        ax.plot(above, np.zeros(rank), "v", color=role("signal"), markersize=4.5, clip_on=False)
    ax.set(xlim=(0.0, limit), xlabel="singular value", ylabel="values per bin")
    return ax


def _law(x: FloatArray, n: int, layer: "LayerSpectrum") -> FloatArray:
    """Return the density of n singular values of noise, by the Marchenko-Pastur law of their squares."""
    short, long = sorted(layer.matrix_shape)
    sigma = layer.mp_edge / (math.sqrt(short) + math.sqrt(long)) if layer.mp_edge else 1.0
    scale = sigma**2 * long
    return np.asarray(n * MarchenkoPastur(short / long).pdf(x**2 / scale) * 2.0 * x / scale)


def layer_spectra(spectra: "WeightSpectra", ax: Axes | None = None) -> Axes:
    """Draw the singular values of all layers of a net, one row a layer, in units of the edge of its noise.

    Values above the edge are triangles. A layer without a bulk of noise has its values in units of the largest.

    Parameters
    ----------
    spectra
        Of `sciml.spectra.weight_spectra`; heads and products of attention are left out.
    ax
        Axes to draw on; default those of a new figure.

    Examples
    --------
    >>> import torch
    >>> from matplotlib.figure import Figure
    >>> from sciml.spectra import weight_spectra
    >>> net = torch.nn.Sequential(torch.nn.Linear(40, 30), torch.nn.Linear(30, 20))
    >>> [text.get_text() for text in layer_spectra(weight_spectra(net), ax=Figure().subplots()).get_yticklabels()]
    ['0', '1']
    """
    layers = spectra.own
    ax = axes_of(ax, size=(7.0, 1.2 + 0.26 * len(layers)))
    ax.axvline(1.0, color=role("ink"), linewidth=1.0, linestyle=EDGE)
    for row, layer in enumerate(layers):
        values, rank = np.asarray(layer.tested_values, dtype=np.float64), layer.rank or 0
        values = values / (layer.edge or float(values.max(initial=0.0)) or 1.0)
        ax.plot(values[rank:], np.full(len(values) - rank, row), "|", color=role("noise"), markersize=7)
        ax.plot(values[:rank], np.full(rank, row), "v", color=role("signal"), markersize=4.5)
    number_ticks(ax.yaxis, range(len(layers)), [each.name for each in layers])
    ax.set(xlabel="singular value [edge of noise]", ylim=(len(layers) - 0.4, -0.6))
    ax.set_xlim(left=0.0)
    return ax


def hessian_density(density: "SpectralDensity", ax: Axes | None = None) -> Axes:
    r"""Draw the density of the eigenvalues of a Hessian, times :math:`|\lambda|`, with two standard errors over probes.

    The horizontal axis is linear up to 1e-4 of the largest eigenvalue and logarithmic beyond.

    Parameters
    ----------
    density
        Of `sciml.spectra.curvature.spectral_density`.
    ax
        Axes to draw on; default those of a new figure.

    Examples
    --------
    >>> import torch
    >>> from matplotlib.figure import Figure
    >>> from sciml.spectra.curvature import hessian, spectral_density
    >>> X = torch.diag(torch.tensor([3.0, 2.0, 2.0, 0.0]))
    >>> H = hessian(torch.nn.Linear(4, 1, bias=False), "mse", (X, torch.zeros(4, 1)))
    >>> hessian_density(spectral_density(H, n_probes=3, steps=10), ax=Figure().subplots()).get_xlabel()
    'eigenvalue'
    """
    ax = axes_of(ax)
    ends = np.array(density.range)
    threshold = float(np.abs(ends).max()) * 1e-4 or 1.0
    draw_density(density, ax, threshold)
    draw_signed_axis(ax, ends, threshold)
    ax.axvline(0.0, color=role("muted"), linewidth=0.7)
    ax.set_xlabel("eigenvalue")
    return ax


def draw_density(density: "SpectralDensity", ax: Axes, threshold: float) -> None:
    """Draw the share of the eigenvalues per unit of the axis: the density times the width of a unit there."""
    points = density.grid(600)
    found, error = density.density(points, width=SMOOTH * np.abs(points) + 0.3 * threshold)
    unit = np.maximum(np.abs(points), threshold)
    middle, spread = found * unit, 2.0 * error * unit
    low = np.maximum(middle - spread, LOWEST)
    ax.fill_between(points, low, middle + spread, color=role("noise"), alpha=0.4, linewidth=0)
    words = "density, times |eigenvalue|"
    ax.plot(points, np.maximum(middle, LOWEST), color=role("ink"), linewidth=1.1, label=words)
    top = max(10.0, 3.0 * float(middle.max()))
    ax.set(yscale="log", ylim=(LOWEST, top), ylabel="share of eigenvalues per e-fold")
    log_ticks(ax.yaxis, LOWEST, top)


def draw_signed_axis(ax: Axes, values: FloatArray, threshold: float) -> None:
    """Make the horizontal axis logarithmic on both sides, with ticks at 0 and at the decades that have values."""
    ax.set_xscale("symlog", linthresh=threshold, linscale=0.6)
    ticks, ends = [0.0], []
    for sign in (-1.0, 1.0):
        far = max(threshold, float((sign * values).max()))
        ticks += (sign * 10.0 ** np.arange(np.ceil(np.log10(threshold)), np.floor(np.log10(far)) + 1)).tolist()
        ends.append(3.0 * sign * far)
    ticks.sort()
    labels = [f"−{power_label(-each)}" if each < 0 else power_label(each) if each > 0 else "0" for each in ticks]
    number_ticks(ax.xaxis, ticks, labels)
    ax.set_xlim(*ends)


def propagation(result: "Propagation | InitComparison", ax: Axes | None = None, *, quantity: str = "signal") -> Axes:
    """Draw a quantity over the depth of a net: measured as points, mean-field theory of a typical net as a line.

    Parameters
    ----------
    result
        Of `sciml.nn.propagate.propagation`, or a comparison of initializations: then a line a method.
    ax
        Axes to draw on; default those of a new figure.
    quantity
        "signal" (mean square), "gradient" (squared norm), "chi_1" or "correlation"; steps outside residual branches.

    Raises
    ------
    ConfigError
        Another quantity.

    Examples
    --------
    >>> import torch
    >>> from matplotlib.figure import Figure
    >>> from sciml.nn.propagate import propagation as propagate
    >>> net = torch.nn.Sequential(*(part for _ in range(3) for part in (torch.nn.Linear(32, 32), torch.nn.Tanh())))
    >>> propagation(propagate(net, torch.randn(16, 32)), ax=Figure().subplots()).get_ylabel()
    'signal'
    """
    if quantity not in QUANTITIES:
        raise ConfigError(f"expected a quantity of {series([*QUANTITIES])}, got {quantity!r}")
    ax = axes_of(ax)
    found = {each.method: each.found for each in getattr(result, "trials", ()) if each.found is not None}
    if hasattr(result, "trials"):
        colors = [role(each) for each in ("accent", "signal", "alternate", "muted")]
        for i, (method, one) in enumerate(found.items()):
            style = {"color": colors[i % 4], "marker": MARKERS[i % 4], "markersize": 3.5}
            ax.plot(*measured(one, quantity), linewidth=1.0, label=clean(method), **style)
        ax.legend(loc="best")
    else:
        draw_depth(result, ax, quantity)
    light_grid(ax)
    ax.set(yscale="linear" if quantity == "correlation" else "log", xlabel="step", ylabel=quantity.replace("_", " "))
    return ax


def draw_depth(found: "Propagation", ax: Axes, quantity: str) -> None:
    """Draw theory as a line with the band of most nets, and what was measured as points."""
    _, theory, band = QUANTITIES[quantity]
    depth = np.arange(len(found.stream), dtype=np.float64)
    if band:
        low, high = np.array([getattr(point, band) for point in found.stream], dtype=np.float64).T
        ax.fill_between(depth, positive(low), positive(high), color=role("accent"), alpha=0.16, linewidth=0)
    values = column(found, theory)
    ax.plot(depth, values if quantity == "correlation" else positive(values), color=role("accent"), linewidth=1.2)
    ax.plot(*measured(found, quantity), "o", color=role("signal"), markersize=2.6, markeredgewidth=0)


def measured(found: "Propagation", quantity: str) -> tuple[FloatArray, FloatArray]:
    """Return the steps and what was measured there."""
    values = column(found, QUANTITIES[quantity][0])
    return np.arange(len(values), dtype=np.float64), values if quantity == "correlation" else positive(values)


def column(found: "Propagation", key: str) -> FloatArray:
    """Return an attribute of each point outside residual branches."""
    return np.array([getattr(point, key) for point in found.stream], dtype=np.float64)


def positive(values: FloatArray) -> FloatArray:
    """Return values that a logarithmic axis can show, NaN for others."""
    return np.where(np.isfinite(values) & (values > 0), np.clip(values, SMALLEST, LARGEST), np.nan)
