"""Norms and spectra of convolutional layers with the padding that they have, against the matrix written out."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from sciml.errors import ConfigError, NumericalError
from sciml.spectra.convolution import LayerOperator, grids, layer_norms, layer_singular_values
from sciml.spectra.matrices import matrices

LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "zeros": (nn.Conv1d(3, 5, 3, padding=1), (9,)),
    "zeros, strided": (nn.Conv1d(3, 5, 5, padding=2, stride=2), (9,)),
    "valid": (nn.Conv1d(3, 2, 3), (8,)),
    "reflected": (nn.Conv1d(3, 4, 5, padding=2, padding_mode="reflect"), (8,)),
    "reflected, small": (nn.Conv1d(3, 4, 3, padding=3, padding_mode="reflect"), (4,)),
    "replicated": (nn.Conv1d(3, 4, 5, padding=2, padding_mode="replicate"), (8,)),
    "replicated, one sample": (nn.Conv1d(3, 4, 5, padding=2, padding_mode="replicate"), (1,)),
    "circular": (nn.Conv1d(3, 4, 5, padding=2, padding_mode="circular"), (8,)),
    "circular, strided": (nn.Conv1d(3, 4, 5, padding=2, stride=2, padding_mode="circular"), (8,)),
    "circular, longer": (nn.Conv1d(3, 4, 1, padding=2, padding_mode="circular"), (5,)),
    "circular, shorter": (nn.Conv1d(3, 4, 5, padding=1, padding_mode="circular"), (8,)),
    "circular, of another size": (nn.Conv1d(3, 4, 5, padding=2, stride=2, padding_mode="circular"), (9,)),
    "same, even": (nn.Conv1d(3, 4, 4, padding="same"), (8,)),
    "same, circular": (nn.Conv1d(3, 4, 4, padding="same", padding_mode="circular"), (8,)),
    "grouped, dilated": (nn.Conv1d(4, 6, 3, padding=2, dilation=2, groups=2), (9,)),
    "transposed": (nn.ConvTranspose1d(4, 6, 5, stride=2, padding=2, output_padding=1), (7,)),
    "transposed, grouped": (nn.ConvTranspose2d(4, 2, 3, stride=(2, 1), padding=1, groups=2), (4, 5)),
    "2-D": (nn.Conv2d(2, 3, 3, padding=(1, 0), stride=(1, 2)), (5, 6)),
    "2-D, reflected": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (5, 6)),
    "3-D": (nn.Conv3d(2, 2, 3, padding=1), (3, 4, 3)),
}


def dense(layer: Any, grid: tuple[int, ...]) -> np.ndarray:
    units = torch.eye(layer.in_channels * int(np.prod(grid)), dtype=torch.float64).reshape(-1, layer.in_channels, *grid)
    with torch.no_grad():
        zero = layer(torch.zeros_like(units[:1]))
        return np.asarray((layer(units) - zero).flatten(1).mT.numpy())


def double(name: str) -> tuple[Any, tuple[int, ...]]:
    layer, grid = LAYERS[name]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        layer = layer.double()
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64))
    return layer, grid


@pytest.mark.parametrize("name", LAYERS)
def test_operator_is_the_layer_without_its_bias(name: str) -> None:
    layer, grid = double(name)
    operator, expected = LayerOperator(layer, grid), dense(layer, grid)
    assert operator.shape == expected.shape
    np.testing.assert_allclose(operator.dense(), expected, atol=1e-12)
    generator = torch.Generator().manual_seed(1)
    y = torch.randn(1, *operator.outputs, generator=generator, dtype=torch.float64)
    np.testing.assert_allclose(operator.adjoint(y).flatten().numpy(), expected.T @ y.flatten().numpy(), atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_norm_is_exact_and_below_the_bound(name: str) -> None:
    layer, grid = double(name)
    expected = np.linalg.svd(dense(layer, grid), compute_uv=False)
    norm, bound = layer_norms(layer, layer.weight, grid)
    assert norm == pytest.approx(expected[0], rel=1e-7)  # a residual of 1e-6 is an error of its square over the gap
    assert norm is not None
    assert norm <= bound
    nothing, same = layer_norms(layer, layer.weight)
    assert nothing is None
    assert same >= expected[0] * (1 - 1e-12)
    values = layer_singular_values(layer, grid)
    np.testing.assert_allclose(values, expected[: values.size], atol=1e-12)


def test_norm_of_a_long_signal_is_that_of_the_tridiagonal_matrix() -> None:
    # Differences of neighbors, the ends against zero: 2 cos(π / (2 (n + 1)))
    layer = nn.Conv1d(1, 1, 2, padding=1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[1.0, -1.0]]]))
    for n in (10, 100, 400):
        assert LayerOperator(layer, n).norm() == pytest.approx(2 * np.cos(np.pi / (2 * (n + 1))), rel=1e-6)


def test_norm_that_is_not_reached_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciml.spectra.convolution.operator._MOST_STEPS", 8)
    layer, _ = double("zeros")
    with pytest.raises(NumericalError, match="raise tolerance"):
        LayerOperator(layer, 200).norm()
    norm, bound = layer_norms(layer, layer.weight, 200)
    assert norm is None
    assert bound > 0


def test_layer_of_zeros_has_norm_zero() -> None:
    layer = nn.Conv1d(2, 3, 3, padding=1)
    assert layer_norms(layer, torch.zeros(3, 2, 3), 8) == (0.0, 0.0)


def test_layer_with_a_parametrization_is_its_weight() -> None:
    layer: Any = parametrizations.weight_norm(nn.Conv1d(3, 4, 3, padding=1))
    found = matrices(layer, grid=8)[""]
    expected = np.linalg.svd(dense(layer.double(), (8,)), compute_uv=False)[0]
    assert found.operator_norm == pytest.approx(expected, rel=1e-6)
    assert found.operator_norm is not None
    assert found.operator_bound is not None
    assert found.operator_bound >= found.operator_norm


def test_grid_is_for_all_layers_or_by_name() -> None:
    net = nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.Conv1d(3, 2, 3, padding=1, stride=2), nn.Linear(4, 2))
    assert all(each.operator_norm is not None for each in matrices(net, grid=8))
    named = matrices(net, grid={"0": 8})
    assert named["0"].operator_norm is not None
    assert named["1"].operator_norm is None
    assert named["2"].operator_norm == named["2"].operator_bound


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LayerOperator(nn.Linear(3, 3), 4), "convolutional layer"),
        (lambda: LayerOperator(nn.Conv1d(3, 3, 5), 2), "grid that fits"),
        (lambda: LayerOperator(nn.Conv1d(3, 3, 3), (4, 4)), "each of 1 dims"),
        (lambda: layer_singular_values(nn.Conv1d(3, 3, 3), 4000), "the norm alone"),
    ],
    ids=["another layer", "too short", "dims", "too large"],
)
def test_what_has_no_operator_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_sizes_on_the_way_are_those_of_a_pass_that_leaves_no_trace() -> None:
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=2),
        nn.BatchNorm2d(4),
        nn.MaxPool2d(2),
        nn.ModuleDict({"inner": nn.ConvTranspose2d(4, 2, 2, stride=2)})["inner"],
    ).train()
    before = {key: each.clone() for key, each in net.state_dict().items()}
    found = grids(net, torch.randn(2, 2, 12, 16))
    assert found == {"0": (12, 16), "3": (3, 4)}
    assert all(torch.equal(each, before[key]) for key, each in net.state_dict().items())
    assert all(each.training and not each._forward_pre_hooks for each in net.modules())
    for each in matrices(net, grid=found):
        layer = net.get_submodule(each.layer)
        expected = np.linalg.svd(dense(copy.deepcopy(layer).double(), found[each.layer]), compute_uv=False)[0]
        assert each.operator_norm == pytest.approx(expected, rel=1e-6)
