"""What is measured of a net is what it does, theory beside it is right, warnings say what is wrong."""

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sciml.errors import ConfigError, DataError
from sciml.nn import Propagation, propagation
from sciml.nn.init import initialize
from sciml.nn.models import build
from sciml.report import report


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mlp(depth: int, width: int, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    return nn.Sequential(*(part for _ in range(depth) for part in (nn.Linear(width, width), activation())))


class PostActivation(nn.Module):
    """relu(x + F(x)), in a user's own forward."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv1d(width, width, 3, padding=1), nn.Conv1d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.b(torch.relu(self.a(x))))


class Closing(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(self.layer(x))


class Encoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.n1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.second(nn.functional.gelu(self.first(self.n2(x))))


def inside(found: Propagation, widen: float = 1.5) -> float:
    """Return the fraction of known points whose signal and gradient lie in their bands, widened by a factor."""
    hits = []
    for point in found.points:
        for value, (low, high) in ((point.second, point.second_band), (point.gradient, point.gradient_band)):
            if math.isfinite(low) and low > 0:
                hits.append(low / widen <= value <= high * widen)
    assert hits
    return float(np.mean(hits))


def cases() -> dict[str, tuple[nn.Module, torch.Tensor]]:
    def of(net: nn.Module, method: str, *shape: int, **options: Any) -> tuple[nn.Module, torch.Tensor]:
        initialize(net, method=method, generator=seeded(1), **options)
        return net, torch.randn(*shape, generator=seeded(2))

    signal = {"n_channels": 6, "n_times": 60, "n_outputs": 4}
    torch.manual_seed(0)
    return {
        "plain": of(mlp(15, 128), "he", 32, 128),
        "residual": of(build("resnet1d", blocks=20, width=32, norm="none", **signal), "taki", 32, 6, 60),
        "batch norm": of(build("resnet1d", blocks=6, width=32, norm="batch", **signal), "he", 32, 6, 60),
        "group norm": of(build("resnet1d", blocks=6, width=32, activation="gelu", **signal), "he", 32, 6, 60),
        "post-activation": of(
            nn.Sequential(nn.Conv1d(6, 64, 5), nn.ReLU(inplace=True), *(PostActivation(64) for _ in range(4))),
            "he", 32, 6, 40,
        ),
        "delta": of(
            nn.Sequential(*(part for _ in range(30) for part in (nn.Conv1d(32, 32, 3, padding=1), nn.Tanh()))),
            "critical", 16, 32, 30, law="orthogonal", sigma_b2=0.01,
        ),
        "attention": of(nn.Sequential(nn.Linear(64, 64), Encoder(64), Encoder(64)), "lecun", 16, 20, 64),
    }  # fmt: skip


CASES = cases()


@pytest.mark.parametrize("name", CASES)
def test_theory_stands_beside_the_measurement_at_every_point(name: str) -> None:
    net, batch = CASES[name]
    found = propagation(net, batch)
    known = [point for point in found.points if math.isfinite(point.second_theory)]
    assert len(known) == len(found.points)
    assert inside(found) > 0.95
    wide = [point for point in known if point.correlation < 0.999]
    error = np.array([point.correlation - point.correlation_theory for point in wide if point.kind == "affine"])
    assert np.abs(error[: len(error) // 2]).mean() < 0.12
    json.dumps(found.to_dict())
    assert len(found.summary().splitlines()) >= len(found.points) + 1


def test_measured_moments_and_gradients_are_those_of_autograd() -> None:
    net, x = mlp(3, 20, nn.Tanh).double(), torch.randn(8, 20, generator=seeded(0), dtype=torch.float64)
    found = propagation(net, x)
    v = torch.randn(8, 20, generator=seeded(0), dtype=torch.float64)
    start = x.clone().requires_grad_()
    h = net[0](start)
    h.retain_grad()
    net[1:](h).backward(v)
    assert h.grad is not None and start.grad is not None  # noqa: PT018
    by_name = {point.name: point for point in found.points}
    assert by_name["0"].second == pytest.approx(float(h.detach().square().mean()), rel=1e-12)
    assert by_name["0"].gradient == pytest.approx(float(h.grad.square().sum() / v.square().sum()), rel=1e-12)
    assert by_name["input"].gradient == pytest.approx(float(start.grad.square().sum() / v.square().sum()), rel=1e-12)
    rows = nn.functional.normalize(h.detach(), dim=1)
    cosines = [rows[i] @ rows[j] for i in range(8) for j in range(8) if i != j]
    expected = float(torch.stack(cosines).mean())
    assert by_name["0"].correlation == pytest.approx(expected, rel=1e-10)
    factor = by_name["0"].gradient / by_name["tanh"].gradient if "tanh" in by_name else math.nan
    assert math.isnan(factor) or factor > 0


def test_singular_values_are_those_of_the_jacobian() -> None:
    net = nn.Sequential(nn.Linear(6, 30), nn.Linear(30, 20), nn.Linear(20, 9)).double()
    found = propagation(net, torch.randn(12, 6, generator=seeded(0), dtype=torch.float64))
    product = net[2].weight @ net[1].weight @ net[0].weight  # type: ignore[operator]
    exact = torch.linalg.svdvals(product.detach()).tolist()
    assert found.points[-1].singular_values == pytest.approx(exact, rel=1e-7)
    assert found.points[0].singular_values == pytest.approx([1.0] * 6, rel=1e-7)
    assert found.points[-1].jacobian == pytest.approx(float(np.mean(np.square(exact))), rel=1e-7)


def test_batch_norm_with_skips_follows_its_power_law() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Linear(256, 256, bias=False), nn.BatchNorm1d(256)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.norm(self.layer(torch.relu(x)))

    net = nn.Sequential(*(Block() for _ in range(30)))
    initialize(net, method="he")
    found = propagation(net, torch.randn(256, 256, generator=seeded(0)))
    law = math.prod(1 + math.pi / (math.pi - 1) / (i + 1) for i in range(30))
    assert found.points[0].gradient_theory == pytest.approx(law, rel=0.02)
    assert found.points[0].gradient == pytest.approx(law, rel=0.15)


def test_isometric_starts_keep_signal_and_gradient_and_he_does_not() -> None:
    layers: list[nn.Module] = []
    for _ in range(60):
        a = torch.linalg.qr(torch.randn(16, 16, generator=seeded(len(layers))))[0]
        layer = nn.Linear(32, 32, bias=False)
        layer.weight.data = torch.cat([torch.cat([a, -a], 1), torch.cat([-a, a], 1)], 0)
        layers += [layer, nn.ReLU()]
    mirrored = propagation(nn.Sequential(*layers[:-1]), torch.randn(16, 32, generator=seeded(0)))
    assert mirrored.warnings == ()
    later = [point for point in mirrored.stream if point.kind == "affine"][1:]
    assert [point.second_theory for point in later] == pytest.approx([point.second for point in later], rel=0.5)
    assert later[0].correlation == pytest.approx(later[-1].correlation, abs=1e-6)
    assert later[-1].correlation_theory == pytest.approx(later[0].correlation_theory, abs=1e-6)

    convolutions = [part for _ in range(60) for part in (nn.Conv1d(16, 16, 3, padding=1), nn.Tanh())]
    net, batch = nn.Sequential(*convolutions), 0.1 * torch.randn(8, 16, 24, generator=seeded(3))
    initialize(net, method="critical", law="orthogonal", sigma_b2=1e-6)
    assert propagation(net, batch).warnings == ()
    for part in convolutions[::2]:
        part.reset_parameters()  # type: ignore[operator]  # torch's own draw: fan_in · Var(w) = 1/3
    assert any("shrinks" in each for each in propagation(net, batch).warnings)


def test_warnings_name_depths_changes_and_relus_that_close_branches() -> None:
    net = mlp(60, 32, nn.Tanh)
    found = propagation(net, torch.randn(16, 32, generator=seeded(0)))
    assert any("6 ξ_c" in each for each in found.warnings)
    assert any("squared gradient shrinks" in each for each in found.warnings)
    closing = nn.Sequential(*(Closing(64) for _ in range(5)))
    found = propagation(closing, torch.randn(16, 64, generator=seeded(0)))
    assert any("ReLU closes 5 residual branches" in each for each in found.warnings)
    residual = build("resnet1d", n_channels=3, n_times=20, n_outputs=2, width=16, blocks=25, norm="none")
    initialize(residual, method="he")
    found = propagation(residual, torch.randn(16, 3, 20, generator=seeded(0)))
    assert any("signal grows" in each for each in found.warnings)
    dead = nn.Sequential(
        nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False)
    )
    nn.init.zeros_(dead[2].weight)  # type: ignore[arg-type]
    assert any("zero" in each for each in propagation(dead, torch.randn(8, 4)).warnings)


def test_what_theory_does_not_know_is_measured_and_said() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.a(x)) * torch.sigmoid(self.b(x))

    found = propagation(
        nn.Sequential(nn.Linear(8, 8), Gated(), nn.Linear(8, 3)), torch.randn(16, 8, generator=seeded(0))
    )
    assert found.notes == ("theory goes on from what was measured after: 1",)
    assert [(point.name, point.block) for point in found.points] == [
        ("input", ""), ("0", ""), ("1.a", "1"), ("1.b", "1"), ("1", ""), ("2", "")
    ]  # fmt: skip
    assert math.isnan(found.points[2].second_theory)
    assert found.to_dict()["points"][2]["second_theory"] is None
    assert found.warnings == ()
    pooled = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 49, 200))
    found = propagation(pooled, torch.randn(16, 3, 16, 16, generator=seeded(0)))
    assert found.notes == ("theory goes on from what was measured after: 2",)
    assert found.points[3].second_theory == pytest.approx(found.points[3].second, rel=1e-12)
    assert found.points[-1].second_theory == pytest.approx(found.points[-1].second, rel=0.6)

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.layer = nn.Embedding(10, 8), nn.Linear(12, 5)

        def forward(self, words: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            return self.layer(torch.cat([self.table(words).mean(1), x], 1))

    batch = {"words": torch.randint(0, 10, (8, 5), generator=seeded(0)), "x": torch.randn(8, 4, generator=seeded(0))}
    found = propagation(Two(), batch)
    assert "theory: none" in found.notes[-1]
    assert all(math.isnan(point.second_theory) for point in found.points)
    found = propagation(nn.LSTM(6, 16, batch_first=True), torch.randn(16, 20, 6, generator=seeded(0)))
    assert len(found.points) == 2


def test_words_are_looked_up_and_attended_to() -> None:
    net = nn.Sequential(nn.Embedding(30, 64), Encoder(64), nn.Flatten(), nn.Linear(64 * 12, 3))
    found = propagation(net, torch.randint(0, 30, (32, 12), generator=seeded(0)))
    assert inside(found, widen=2.0) > 0.9


def test_a_last_layer_of_zeros_is_no_fault_of_the_net_before_it() -> None:
    net = mlp(4, 64)
    net.append(nn.Linear(64, 8))
    initialize(net, method="he")
    batch = torch.randn(16, 64, generator=seeded(0))
    nn.init.zeros_(net[-1].weight)  # type: ignore[arg-type]
    found = propagation(net, batch)
    assert found.warnings == ()
    assert "gives the output and is zero" in found.notes[0]
    assert found.points[1].gradient > 0.1
    assert not bool(net[-1].weight.any())  # type: ignore[operator]


def test_no_trace_is_left_and_two_calls_agree() -> None:
    net = build("resnet1d", n_channels=3, n_times=20, n_outputs=2, width=16, blocks=2, norm="batch")
    net.train()
    before, batch = copy.deepcopy(net.state_dict()), torch.randn(8, 3, 20, generator=seeded(0))
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    first, second = propagation(net, batch), propagation(net, batch)
    assert torch.equal(state, torch.random.get_rng_state())
    assert first == second
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert net.training
    assert all(module.training for module in net.modules())


def test_a_report_shows_the_start_of_any_net() -> None:
    net, batch = CASES["residual"]
    page = report(propagation(net, batch)).to_html()
    assert page.count("<svg") == 1
    assert "singular values" in page


def test_nets_without_weights_are_rejected() -> None:
    with pytest.raises(ConfigError, match="weight layers"):
        propagation(nn.Sequential(nn.ReLU()), torch.randn(4, 3))


def test_the_scale_of_the_answer_is_no_fault_of_the_start() -> None:
    net = build("resnet1d", n_channels=4, n_times=32, n_outputs=3, norm="none", blocks=4, width=16)
    initialize(net, "balanced")
    with torch.no_grad():
        net.get_parameter("head.weight").mul_(1e-4)
    found = propagation(net, torch.randn(8, 4, 32, generator=torch.Generator().manual_seed(0)))
    assert found.growth < 1e-5
    assert found.warnings == ()


def test_nothing_and_what_is_not_finite_are_told_apart() -> None:
    layers = [part for _ in range(5) for part in (nn.Linear(8, 8), nn.ReLU())]
    net = nn.Sequential(*layers, nn.Linear(8, 2))
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for each in net[4].parameters():
            each.zero_()
        for i in (6, 8):
            net[i].get_parameter("bias").zero_()
    said = " ".join(propagation(net, x).warnings)
    assert "nothing passes at the start" in said
    assert "not finite" not in said
    for wrong in (x * math.nan, x[:0]):
        with pytest.raises(DataError, match="expected a"):
            propagation(net, wrong)
