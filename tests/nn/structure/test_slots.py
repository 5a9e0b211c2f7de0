"""Is every weight matrix found, read in one order, and set through whatever holds it?"""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from sciml.nn.structure import Slot, weight_slots

# layer, number of matrices, (n_out, n_in / groups, *kernel) and fan_in of the first
LAYERS: list[tuple[Any, int, tuple[int, ...], float]] = [
    (lambda: nn.Linear(3, 4), 1, (4, 3), 3),
    (lambda: nn.Conv1d(6, 8, 5, groups=2, stride=2, dilation=3), 1, (8, 3, 5), 15),
    (lambda: nn.Conv3d(2, 4, (1, 2, 3)), 1, (4, 2, 1, 2, 3), 12),
    (lambda: nn.ConvTranspose1d(4, 6, 5, groups=2), 1, (6, 2, 5), 10),
    (lambda: nn.ConvTranspose2d(4, 6, 4, stride=2), 1, (6, 4, 4, 4), 16),
    (lambda: nn.LSTM(3, 5, 2, bidirectional=True), 32, (5, 3), 3),
    (lambda: nn.LSTM(3, 5, proj_size=2), 9, (5, 3), 3),
    (lambda: nn.GRU(3, 5), 6, (5, 3), 3),
    (lambda: nn.RNN(3, 5), 2, (5, 3), 3),
    (lambda: nn.LSTMCell(3, 5), 8, (5, 3), 3),
    (lambda: nn.MultiheadAttention(8, 2), 4, (8, 8), 8),
    (lambda: nn.MultiheadAttention(8, 2, kdim=3, vdim=5), 4, (8, 8), 8),
    (lambda: nn.Embedding(7, 3), 1, (3, 7), 1),
    (lambda: nn.Bilinear(2, 3, 4), 1, (4, 6), 6),
    (lambda: parametrizations.weight_norm(nn.Conv1d(2, 3, 4)), 1, (3, 2, 4), 8),
]


@pytest.mark.parametrize(("make", "n_slots", "shape", "fan_in"), LAYERS)
def test_every_matrix_is_found_and_set(make: Any, n_slots: int, shape: tuple[int, ...], fan_in: float) -> None:
    layer = make()
    slots = weight_slots(layer)
    assert len(slots) == n_slots
    assert tuple(slots[0].weight.shape) == shape
    assert slots[0].fan_in == fan_in
    wanted: dict[str, torch.Tensor] = {}
    for slot in slots:
        wanted[slot.name] = torch.randn(slot.weight.shape, generator=torch.Generator().manual_seed(len(wanted)))
        assert slot.write(wanted[slot.name]) == ""
    for slot in slots:  # none has overwritten another
        torch.testing.assert_close(slot.weight.detach(), wanted[slot.name])
    covered = sum(slot.weight.numel() for slot in slots)
    assert covered == sum(
        p.numel() for name, p in layer.named_parameters() if "weight" in name and "original0" not in name
    )


def dense(slot: Slot, n: int) -> torch.Tensor:
    """The map of a layer without bias as a matrix, (outputs, inputs), by its values on a basis."""
    module: Any = slot.module
    basis = torch.eye(module.in_channels * n).reshape(-1, module.in_channels, n)
    return module(basis).flatten(1).T.detach()


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_fan_in_of_a_transposed_convolution_is_the_mean_number_of_inputs_an_output_adds_up(stride: int) -> None:
    layer = nn.ConvTranspose1d(2, 3, 6, stride=stride, bias=False)
    (slot,) = weight_slots(layer)
    nn.init.ones_(layer.weight)
    matrix = dense(slot, 40)
    # away from both ends, which see fewer
    inner = matrix.reshape(3, -1, matrix.shape[1])[:, 12:-12].sum(-1)
    assert float(inner.mean()) == pytest.approx(slot.fan_in, rel=0.02)


def test_weight_of_a_transposed_convolution_has_out_first() -> None:
    layer = nn.ConvTranspose1d(4, 6, 3, groups=2, bias=False)
    (slot,) = weight_slots(layer)
    x = torch.randn(1, 4, 1)
    pairs = zip(slot.weight.chunk(2), x[0, :, 0].chunk(2), strict=True)
    expected = torch.cat([torch.einsum("oik,i->ok", weight, values) for weight, values in pairs])
    torch.testing.assert_close(layer(x)[0], expected)


def test_gates_are_those_that_torch_computes() -> None:
    # forget gate -> +inf and all other matrices zero: the cell state stays; in the order i, f, g, o
    layer = nn.LSTMCell(2, 3)
    for slot in weight_slots(layer):
        slot.write(torch.zeros(slot.weight.shape))
        slot.write_bias(40.0 if slot.gate == "forget" else 0.0)
    c = torch.tensor([[1.0, -2.0, 3.0]])
    torch.testing.assert_close(layer(torch.ones(1, 2), (torch.ones(1, 3), c))[1], c)


def test_parametrizations_that_change_or_refuse_are_said() -> None:
    (spectral,) = weight_slots(parametrizations.spectral_norm(nn.Linear(4, 4)))
    assert "changes what is set" in spectral.write(3.0 * torch.eye(4) + torch.ones(4, 4))
    layer = nn.Linear(3, 3)

    class Cubed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x**3

    nn.utils.parametrize.register_parametrization(layer, "weight", Cubed())
    (slot,) = weight_slots(layer)
    before = slot.weight.detach().clone()
    assert "cannot be set" in slot.write(torch.eye(3))
    torch.testing.assert_close(slot.weight.detach(), before)


def test_frozen_is_known_behind_a_parametrization() -> None:
    layer = parametrizations.weight_norm(nn.Linear(3, 3))
    (slot,) = weight_slots(layer)
    assert not slot.frozen
    for parameter in layer.parameters():
        parameter.requires_grad_(requires_grad=False)
    assert slot.frozen
