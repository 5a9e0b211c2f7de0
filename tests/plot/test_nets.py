"""Figures of nets hold the numbers of their results."""

from functools import cache

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.propagate import propagation
from sciml.report.figures.canvas import board
from sciml.report.figures.spacing import arrange
from sciml.spectra import weight_spectra
from sciml.spectra.curvature import hessian, spectral_density
from sciml.spectra.weights.result import WeightSpectra


def axes() -> Axes:
    return Figure().subplots()


@cache
def spectra() -> WeightSpectra:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(80, 60), nn.Tanh(), nn.Linear(60, 40))
    with torch.no_grad():
        net[0].weight += 2.0 * torch.outer(torch.ones(60), torch.ones(80)) / np.sqrt(60 * 80)
    return weight_spectra(net)


def test_layer_counts_its_values_and_marks_those_above() -> None:
    layer = spectra()[0]
    ax = layer.plot(ax=axes())
    assert layer.rank is not None
    assert ax.patches[0].get_data().values.sum() == len(layer.tested_values) - layer.rank
    assert len(ax.lines[-1].get_xdata()) == layer.rank == 1


def test_panels_of_a_page_fill_it() -> None:
    figure, panels = board(wide=True, columns=2)
    for ax, layer in zip(panels[0], spectra(), strict=True):
        layer.plot(ax=ax)
    arrange(figure)
    assert sum(ax.get_position().width for ax in panels[0]) > 0.8


def test_layers_are_in_units_of_their_edges() -> None:
    ax = spectra().plot(ax=axes())
    first = spectra()[0]
    assert first.edge is not None
    assert np.allclose(ax.lines[2].get_xdata(), first.tested_values[:1] / first.edge)
    assert [text.get_text() for text in ax.get_yticklabels()] == [each.name for each in spectra().own]


def test_density_of_a_hessian_adds_up_to_one() -> None:
    X = torch.diag(torch.tensor([3.0, 2.0, 2.0, 1.0]))
    density = spectral_density(hessian(nn.Linear(4, 1, bias=False), "mse", (X, torch.zeros(4, 1))), n_probes=3, steps=9)
    ax = density.plot(ax=axes())
    x, y = (np.asarray(each) for each in ax.lines[0].get_data())
    assert np.trapezoid(y / np.abs(x), x) == pytest.approx(1.0, abs=0.02)


def test_propagation_has_what_was_measured_and_theory() -> None:
    net = nn.Sequential(*(part for _ in range(4) for part in (nn.Linear(64, 64), nn.Tanh())))
    found = propagation(net, torch.randn(16, 64, generator=torch.Generator().manual_seed(0)))
    for quantity, name in (("signal", "second"), ("gradient", "gradient"), ("correlation", "correlation")):
        points = found.plot(ax=axes(), quantity=quantity).lines[1]
        assert np.allclose(points.get_ydata(), [getattr(each, name) for each in found.stream], equal_nan=True)
    with pytest.raises(ConfigError, match="signal, gradient, chi_1"):
        found.plot(ax=axes(), quantity="loss")
