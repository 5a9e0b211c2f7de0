"""Is a looks-linear net linear, and an isometry, whatever its widths, its activation and its kernels?"""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import nn

from sciml.nn.init import initialize
from sciml.nn.models import Residual


def jacobian(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = torch.autograd.functional.jacobian(net, x)
    return found.reshape(-1, x.numel())


def mlp(widths: list[int], activation: nn.Module) -> Any:
    parts: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        parts += [nn.Linear(n_in, n_out), activation]
    return nn.Sequential(*parts[:-1]).double()


ACTIVATIONS = [nn.ReLU(), nn.LeakyReLU(0.3), nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.PReLU(init=0.25)]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("widths", [[6, 12, 12, 12, 6], [4, 9, 13, 30, 16], [4, 8, 8, 3]])
def test_the_net_is_an_isometry_everywhere(widths: list[int], activation: nn.Module) -> None:
    net = mlp(widths, activation)
    initialize(net, "looks_linear")
    x, y = torch.randn(2, widths[0], dtype=torch.float64)
    singular = torch.linalg.svdvals(jacobian(net, x))
    torch.testing.assert_close(singular, torch.ones_like(singular), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(jacobian(net, x), jacobian(net, y), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(net(x + y), net(x) + net(y), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("widths", [[5, 13, 11, 17, 8], [4, 8, 30, 9, 4], [6, 3, 3, 6]])
def test_narrow_and_odd_layers_project_but_leave_the_net_linear(widths: list[int]) -> None:
    net = mlp(widths, nn.ReLU())
    initialize(net, "looks_linear")
    x, y = torch.randn(2, widths[0], dtype=torch.float64)
    torch.testing.assert_close(net(x + y), net(x) + net(y), rtol=1e-9, atol=1e-10)
    assert float(torch.linalg.svdvals(jacobian(net, x))[0]) <= 1.0 + 1e-10


def test_the_blocks_are_mirrored_and_the_report_knows_their_singular_value() -> None:
    net = mlp([10, 20, 20, 5], nn.ReLU())
    report = initialize(net, "looks_linear", gain=1.5)
    first, middle, last = (net[i].weight.detach() for i in (0, 2, 4))
    a = middle[:10, :10]
    assert torch.equal(middle, torch.cat([torch.cat([a, -a], 1), torch.cat([-a, a], 1)]))
    torch.testing.assert_close(a @ a.T, 1.5**2 * torch.eye(10, dtype=torch.float64))
    assert torch.equal(first[:10], -first[10:])
    assert torch.equal(last[:, :10], -last[:, 10:])
    for row in report.layers:
        assert row.measured == pytest.approx(row.sigma_w2, rel=1e-12)
        assert row.largest_singular_value == pytest.approx(row.edge, rel=1e-12)
    assert [row.edge for row in report.layers] == pytest.approx([1.5 * math.sqrt(2), 3.0, 1.5 * math.sqrt(2)])


def test_an_odd_unit_learns() -> None:
    net = mlp([3, 7, 7, 2], nn.ReLU())
    report = initialize(net, "looks_linear")
    assert [row.measured for row in report.layers] == pytest.approx([row.sigma_w2 for row in report.layers])
    x = torch.randn(64, 3, dtype=torch.float64)
    net(x).square().mean().backward()
    gradient: Any = net[2].weight.grad
    assert torch.count_nonzero(net[2].weight[:, 6]) == 0
    assert float(gradient[:, 6].abs().max()) > 0.0  # what reads it will move


@pytest.mark.parametrize("conv", ["delta", "reshape"])
@pytest.mark.parametrize("make", [nn.Conv1d, nn.Conv2d, nn.Conv3d])
def test_convolutions_in_one_to_three_dims(make: Any, conv: str) -> None:
    dims = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}[make]
    options: dict[str, Any] = {"padding": 1, "padding_mode": "circular", "bias": False}
    net = nn.Sequential(
        make(2, 8, 3, **options), nn.ReLU(), make(8, 8, 3, **options), nn.ReLU(), make(8, 4, 3, **options)
    )
    net = net.double()
    initialize(net, "looks_linear", conv=conv)
    x, y = torch.randn(2, 1, 2, *(4,) * dims, dtype=torch.float64)
    torch.testing.assert_close(net(x + y), net(x) + net(y), rtol=1e-9, atol=1e-10)
    if conv == "delta":  # all of the circular operator is an isometry, at each position
        torch.testing.assert_close(net(x).square().sum(1), x.square().sum(1))


def test_groups_keep_their_pairs() -> None:
    net = nn.Sequential(
        nn.Conv1d(4, 16, 3, padding=1), nn.ReLU(), nn.Conv1d(16, 16, 3, padding=1, groups=4), nn.ReLU(),
        nn.Conv1d(16, 8, 1),
    ).double()  # fmt: skip
    initialize(net, "looks_linear")
    x, y = torch.randn(2, 1, 4, 9, dtype=torch.float64)
    torch.testing.assert_close(net(x + y), net(x) + net(y), rtol=1e-9, atol=1e-10)
    depthwise = nn.Sequential(
        nn.Conv1d(4, 8, 3), nn.ReLU(), nn.Conv1d(8, 8, 3, groups=8), nn.ReLU(), nn.Conv1d(8, 8, 1)
    )
    report = initialize(depthwise, "looks_linear")
    assert "no pair within a group" in report.notes[0]


def test_flattened_and_pooled_pairs_reach_the_head() -> None:
    body = [nn.Conv1d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv1d(8, 6, 3, padding=1), nn.ReLU()]
    for end in ([nn.Flatten(), nn.Linear(6 * 5, 4)], [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, 4)]):
        net = nn.Sequential(*body, *end).double()
        initialize(net, "looks_linear", sample=torch.randn(2, 2, 5))
        x, y = torch.randn(2, 1, 2, 5, dtype=torch.float64)
        torch.testing.assert_close(net(x + y), net(x) + net(y), rtol=1e-9, atol=1e-10)


def test_the_stream_of_a_residual_net_comes_in_pairs_unless_an_activation_stands_on_it() -> None:
    blocks = [Residual(nn.Sequential(nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))) for _ in range(3)]
    net = nn.Sequential(nn.Linear(4, 8), *blocks, nn.ReLU(), nn.Linear(8, 3)).double()
    report = initialize(net, "looks_linear")
    assert report.n_blocks == 3
    x, y = torch.randn(2, 4, dtype=torch.float64)
    torch.testing.assert_close(net(x + y), net(x) + net(y), rtol=1e-9, atol=1e-10)
    closed = [Residual(nn.Sequential(nn.Linear(8, 8), nn.ReLU())) for _ in range(3)]
    report = initialize(nn.Sequential(nn.Linear(4, 8), *closed, nn.Linear(8, 3)), "looks_linear")
    assert any("undoes the pairs" in note for note in report.notes)


def test_other_activations_get_orthogonal_layers() -> None:
    report = initialize(mlp([8, 8, 8], nn.Tanh()), "looks_linear")
    assert {row.law for row in report.layers} == {"orthogonal"}
    assert "no layer reads an activation" in report.notes[0]


def test_a_projection_on_the_skip_writes_pairs_too() -> None:
    class Wide(nn.Module):
        def __init__(self, n_in: int, n_out: int) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.BatchNorm1d(n_in), nn.BatchNorm1d(n_out)
            self.first, self.second = nn.Conv1d(n_in, n_out, 3, 2, 1), nn.Conv1d(n_out, n_out, 3, 1, 1)
            self.skip = nn.Conv1d(n_in, n_out, 1, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.relu(self.norm1(x))
            out: torch.Tensor = self.skip(y) + self.second(torch.relu(self.norm2(self.first(y))))
            return out

    net = nn.Sequential(nn.Conv1d(3, 6, 3), Wide(6, 8), Wide(8, 10), nn.ReLU(), nn.Flatten(), nn.Linear(50, 2))
    net = net.double().eval()
    initialize(net, "looks_linear", sample=torch.randn(2, 3, 20))
    x, y = torch.randn(2, 1, 3, 20, dtype=torch.float64)
    torch.testing.assert_close(net(x + y), net(x) + net(y), rtol=1e-9, atol=1e-10)


def test_what_an_activation_mixes_is_not_read_as_pairs() -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.b(torch.relu(torch.cat([x, self.a(torch.relu(x))], 1)))
            return out

    report = initialize(Dense(), "looks_linear")
    assert {row.law for row in report.layers} == {"orthogonal"}
