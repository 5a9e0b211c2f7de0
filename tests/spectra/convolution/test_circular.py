"""Convolution spectra against the matrix written out, column by column."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.init import initialize
from sciml.spectra.convolution import (
    affordable_bound,
    circular_singular_values,
    norm_bound,
    operator_norm,
    quick_bound,
)


def brute_force(layer: Any, c_in: int, grid: tuple[int, ...]) -> np.ndarray:
    """Singular values of the layer without bias as a dense matrix: its response to every unit input."""
    units = torch.eye(c_in * int(np.prod(grid)), dtype=torch.float64).reshape(-1, c_in, *grid)
    with torch.no_grad():
        return torch.linalg.svdvals(layer(units).flatten(1)).numpy()


CASES = [
    (nn.Conv1d(3, 5, 3, padding=1), (7,)),
    (nn.Conv1d(5, 3, 5, padding=2), (8,)),
    (nn.Conv1d(4, 4, 5, padding=4, dilation=2), (10,)),
    (nn.Conv1d(4, 6, 3, padding=1, groups=2), (6,)),
    (nn.Conv1d(2, 2, 7, padding=3), (4,)),  # the kernel wraps around the signal
    (nn.Conv2d(3, 4, 3, padding=1), (6, 5)),
    (nn.Conv2d(3, 2, (1, 3), padding=(0, 1)), (4, 6)),
    (nn.Conv3d(2, 2, 3, padding=1), (3, 4, 3)),
]


def with_weights(layer: Any, mode: str) -> Any:
    generator = torch.Generator().manual_seed(0)
    layer = type(layer)(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        padding=layer.padding,
        dilation=layer.dilation,
        stride=layer.stride,
        groups=layer.groups,
        bias=False,
        padding_mode=mode,
    ).double()
    initialize(layer, method="lecun", generator=generator)
    return layer


@pytest.mark.parametrize(("layer", "grid"), CASES)
def test_circular_spectrum_is_that_of_the_dense_matrix(layer: Any, grid: tuple[int, ...]) -> None:
    layer = with_weights(layer, "circular")
    expected = brute_force(layer, layer.in_channels, grid)
    options = {"groups": layer.groups, "dilation": layer.dilation}
    values = circular_singular_values(layer.weight, grid, **options)
    # The dense matrix has the zeros of a rectangular block too.
    np.testing.assert_allclose(values, expected[: values.size], atol=1e-12)
    assert operator_norm(layer.weight, grid, **options) == pytest.approx(expected[0], rel=1e-12)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("layer", "grid"), CASES)
def test_the_bound_holds_for_zero_padding_and_strides(
    layer: Any, grid: tuple[int, ...], stride: int, mode: str
) -> None:
    layer.stride = (stride,) * len(grid)
    layer = with_weights(layer, mode)
    norm = brute_force(layer, layer.in_channels, grid)[0]
    assert norm <= norm_bound(layer.weight, groups=layer.groups)


@pytest.mark.parametrize(("layer", "grid"), CASES)
def test_the_bound_is_tight(layer: Any, grid: tuple[int, ...]) -> None:
    weight = with_weights(layer, "circular").weight
    fine = operator_norm(weight, tuple(60 for _ in grid), groups=layer.groups)
    assert (
        fine <= norm_bound(weight, groups=layer.groups) <= 1.02 ** len(grid) * fine * 1.003
    )  # 60 points miss a little


STRIDED = [
    (nn.Conv1d(3, 5, 3, padding=1, stride=2), (8,)),
    (nn.Conv1d(5, 3, 4, padding=1, stride=3), (9,)),
    (nn.Conv1d(4, 4, 3, padding=2, dilation=2, stride=2), (12,)),
    (nn.Conv1d(4, 6, 3, padding=1, groups=2, stride=2), (6,)),
    (nn.Conv1d(4, 8, 3, padding=1, groups=4, stride=2), (10,)),
    (nn.Conv1d(3, 2, 1, stride=2), (6,)),
    (nn.Conv2d(3, 4, 3, padding=1, stride=(2, 3)), (6, 9)),
    (nn.Conv2d(2, 4, 3, padding=1, groups=2, stride=2), (4, 6)),
    (nn.Conv3d(2, 2, 3, padding=1, stride=(1, 2, 2)), (3, 4, 4)),
]


@pytest.mark.parametrize(("layer", "grid"), STRIDED)
def test_strided_spectrum_is_that_of_the_dense_matrix(layer: Any, grid: tuple[int, ...]) -> None:
    layer = with_weights(layer, "circular")
    expected = brute_force(layer, layer.in_channels, grid)
    options = {"groups": layer.groups, "dilation": layer.dilation, "stride": layer.stride}
    values = circular_singular_values(layer.weight, grid, **options)
    np.testing.assert_allclose(values, expected[: values.size], atol=1e-12)
    np.testing.assert_allclose(expected[values.size :], 0.0, atol=1e-12)
    assert operator_norm(layer.weight, grid, **options) == pytest.approx(expected[0], rel=1e-12)


def circular_transpose(layer: Any, grid: tuple[int, ...]) -> np.ndarray:
    """The matrix of a transposed convolution on a circle, tap by tap: what leaves at one end comes in at the other."""
    weight, sizes = layer.weight.detach().numpy(), tuple(n * s for n, s in zip(grid, layer.stride, strict=True))
    per_group = layer.in_channels // layer.groups
    matrix = np.zeros((layer.out_channels, *sizes, layer.in_channels, *grid))
    for i, o, *tap in np.ndindex(weight.shape):
        channel = i // per_group * weight.shape[1] + o
        for at in np.ndindex(grid):
            moved = zip(at, layer.stride, tap, layer.dilation, sizes, strict=True)
            place = tuple((n * stride + step * t) % size for n, stride, t, step, size in moved)
            matrix[(channel, *place, i, *at)] += weight[(i, o, *tap)]
    return matrix.reshape(layer.out_channels * math.prod(sizes), -1)


TRANSPOSED = [
    (nn.ConvTranspose1d(3, 5, 3), (7,)),
    (nn.ConvTranspose1d(3, 2, 4, stride=2), (5,)),
    (nn.ConvTranspose1d(4, 6, 3, stride=3, groups=2, dilation=2), (4,)),
    (nn.ConvTranspose2d(2, 3, 3, stride=(2, 1)), (3, 4)),
    (nn.ConvTranspose3d(2, 2, 2, stride=(2, 1, 1)), (2, 3, 2)),
]


@pytest.mark.parametrize(("layer", "grid"), TRANSPOSED)
def test_transposed_spectrum_is_that_of_the_dense_matrix(layer: Any, grid: tuple[int, ...]) -> None:
    initialize(layer.double(), method="lecun", generator=torch.Generator().manual_seed(0))
    expected = np.linalg.svd(circular_transpose(layer, grid), compute_uv=False)
    options = {"groups": layer.groups, "dilation": layer.dilation, "stride": layer.stride, "transposed": True}
    values = circular_singular_values(layer.weight, grid, **options)
    np.testing.assert_allclose(values, expected[: values.size], atol=1e-12)
    assert operator_norm(layer.weight, grid, **options) == pytest.approx(expected[0], rel=1e-12)


def test_stride_that_does_not_divide_the_grid_is_refused() -> None:
    with pytest.raises(ConfigError, match="stride that divides the grid"):
        circular_singular_values(torch.zeros(1, 1, 3), 7, stride=2)


def test_the_reshaped_matrix_is_another_one() -> None:
    weight = with_weights(nn.Conv2d(8, 16, 3, padding=1), "circular").weight
    reshaped = float(torch.linalg.svdvals(weight.detach().flatten(1))[0])
    exact = operator_norm(weight, (6, 6))
    assert exact > 1.2 * reshaped
    assert exact < 3.0 * reshaped  # taps per side times the reshaped norm is a bound only


def test_squares_of_singular_values_add_up_to_the_weights_at_every_position() -> None:
    weight = with_weights(nn.Conv2d(5, 7, 3, padding=1), "circular").weight
    values = circular_singular_values(weight, (9, 8))
    assert np.sum(values**2) == pytest.approx(72 * float(weight.detach().square().sum()), rel=1e-12)


@pytest.mark.parametrize(("shape", "grid"), [((3, 3), 4), ((3, 3, 3), (4, 4)), ((3, 3, 3), 0), ((3, 3, 3, 3), (4,))])
def test_a_grid_that_does_not_fit_is_refused(shape: tuple[int, ...], grid: int | tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        operator_norm(torch.zeros(shape), grid)


@pytest.mark.parametrize(("layer", "grid"), CASES)
def test_the_quick_bound_holds_too(layer: Any, grid: tuple[int, ...]) -> None:
    weight = with_weights(layer, "circular").weight
    fine = operator_norm(weight, tuple(60 for _ in grid), groups=layer.groups)
    quick = quick_bound(weight, groups=layer.groups)
    assert fine <= quick <= fine * math.sqrt(math.prod(weight.shape[2:]))
    assert affordable_bound(weight, groups=layer.groups) == norm_bound(weight, groups=layer.groups)


def test_large_layers_have_a_quick_bound() -> None:
    weight = torch.randn(300, 300, 3, 3, generator=torch.Generator().manual_seed(0))
    assert affordable_bound(weight) == quick_bound(weight)


@pytest.mark.parametrize(("stride", "transposed"), [(1, False), (3, False), (2, True)])
def test_one_tap_has_the_values_of_the_matrix(stride: int, transposed: bool) -> None:
    weight = torch.randn(5, 4, 1, 1, generator=torch.Generator().manual_seed(0)).double()
    values = circular_singular_values(weight, (6, 3), stride=stride, transposed=transposed)
    n = 18 if transposed else 18 // stride**2
    expected = np.repeat(torch.linalg.svdvals(weight[:, :, 0, 0]).numpy(), n)
    np.testing.assert_allclose(values, expected, rtol=1e-13)
