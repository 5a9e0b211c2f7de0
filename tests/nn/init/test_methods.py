"""Is every method the formula of its paper?"""

import math
from typing import Any

import pytest
import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.init import initialize
from sciml.nn.models import Residual, build


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def net(blocks: int, layers: int, *, scale: bool = False, width: int = 64) -> nn.Sequential:
    """A stem, pre-activation blocks, ReLU and a head."""
    parts: list[nn.Module] = [nn.Linear(8, width)]
    for _ in range(blocks):
        branch = [part for _ in range(layers) for part in (nn.ReLU(), nn.Linear(width, width))]
        parts.append(Residual(nn.Sequential(*branch), scale=scale))
    return nn.Sequential(*parts, nn.ReLU(), nn.Linear(width, 3))


SHAPES = [nn.Linear(300, 200), nn.Linear(60, 500), nn.Conv1d(20, 40, 8), nn.Conv2d(12, 24, 5)]


@pytest.mark.parametrize("law", ["gaussian", "uniform"])
@pytest.mark.parametrize("layer", SHAPES)
def test_glorot_is_torchs_xavier(layer: Any, law: str) -> None:
    (row,) = initialize(layer, "glorot", law=law, gain=1.5).layers
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
    variance = 1.5**2 * 2.0 / (fan_in + fan_out)
    assert row.sigma_w2 == pytest.approx(fan_in * variance, rel=1e-12)
    assert row.measured == pytest.approx(row.sigma_w2, rel=4.5 * math.sqrt(2.0 / layer.weight.numel()))
    if law == "uniform":
        assert float(layer.weight.detach().abs().max()) <= math.sqrt(3.0 * variance) * (1 + 1e-6)


def test_he_compensates_the_slope_that_a_layer_reads() -> None:
    parts = nn.Sequential(nn.Linear(8, 8), nn.LeakyReLU(0.5), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    rows = initialize(parts, "he").layers
    assert [row.sigma_w2 for row in rows] == [2.0, 2.0 / 1.25, 2.0]


def test_selu_is_lecun_and_says_what_it_is_not_for() -> None:
    good = nn.Sequential(nn.Linear(8, 8), nn.SELU(), nn.Linear(8, 8))
    report = initialize(good, "selu")
    assert ({row.sigma_w2 for row in report.layers}, report.notes) == ({1.0}, ())
    bad = initialize(nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8)), "selu")
    assert "the net applies tanh" in bad.notes[0]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Linear(512, 512), 1.0),
        (nn.Linear(1024, 256), 0.5),
        (nn.Linear(256, 1024), 2.0),
        (nn.Conv1d(16, 64, 4), 1.0),
        (nn.Conv1d(8, 16, 2, groups=2), 1.0),
    ],
)
def test_spectral_mup_sets_the_largest_singular_value(layer: Any, expected: float) -> None:
    (row,) = initialize(layer, "spectral_mup").layers
    blocks = layer.weight.detach().flatten(1).double().chunk(layer.groups if isinstance(layer, nn.Conv1d) else 1)
    assert max(float(torch.linalg.matrix_norm(each, 2)) for each in blocks) == pytest.approx(expected, rel=1e-5)
    assert row.largest_singular_value == pytest.approx(row.edge, rel=1e-5)
    # the target of σ_w² is that of a matrix whose edge is there: 5 % for the finite size, as the edge itself
    assert row.measured == pytest.approx(row.sigma_w2, rel=0.05 if row.fan_in > 100 else 0.5)


@pytest.mark.parametrize("layers", [2, 3])
def test_fixup_scales_the_inner_layers_and_silences_the_last(layers: int) -> None:
    blocks = 54  # ResNet-110
    model = net(blocks, layers, scale=True, width=16)
    report = initialize(model, "fixup")
    by_name = {row.name: row for row in report.layers}
    factor = blocks ** (-1.0 / (2 * layers - 2))
    if layers == 2:
        assert factor == pytest.approx(0.13608, abs=5e-6)
    assert by_name["1.branch.1"].sigma_w2 == pytest.approx(2.0 * factor**2, rel=1e-12)
    last = f"1.branch.{2 * layers - 1}"
    assert (by_name[last].law, by_name[last].measured) == ("zero", 0.0)
    assert by_name[f"{len(model) - 1}"].measured == 0.0
    assert by_name["0"].sigma_w2 == 2.0
    x = torch.randn(4, 8)
    assert torch.count_nonzero(model(x)) == 0
    assert all(block.scale.item() == 1.0 for block in model if isinstance(block, Residual) and block.scale is not None)


def test_fixup_sets_the_scalars_of_a_users_own_block() -> None:
    class Block(nn.Module):
        b1: nn.Parameter
        b2: nn.Parameter
        b3: nn.Parameter
        b4: nn.Parameter
        scale: nn.Parameter

        def __init__(self) -> None:
            super().__init__()
            for name in ("b1", "b2", "b3", "b4", "scale"):
                self.register_parameter(name, nn.Parameter(torch.full((1,), 5.0)))
            self.first, self.last = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = self.last(torch.relu(self.first(x + self.b1) + self.b2) + self.b3)
            return torch.relu(x + out * self.scale + self.b4)

    model = nn.Sequential(nn.Conv1d(2, 4, 3), *(Block() for _ in range(3)))
    report = initialize(model, "fixup")
    assert report.untouched == ()
    blocks: Any = list(model)[1:]
    assert {getattr(block, name).item() for block in blocks for name in ("b1", "b2", "b3", "b4")} == {0.0}
    assert {block.scale.item() for block in blocks} == {1.0}


@pytest.mark.parametrize("method", ["skipinit", "rezero"])
def test_silent_branches_make_the_net_its_stem_and_head(method: str) -> None:
    model = net(5, 2, scale=True)
    report = initialize(model, method)
    x = torch.randn(4, 8)
    torch.testing.assert_close(model(x), model[-1](torch.relu(model[0](x))))
    assert {row.sigma_w2 for row in report.layers if row.branch} == {2.0}
    assert report.untouched == ()
    with pytest.raises(ConfigError, match="branch_scale=True"):
        initialize(net(5, 2), method)


def test_resnet1d_ends_its_branches_in_a_factor_where_asked() -> None:
    model: Any = build("resnet1d", n_channels=3, n_times=20, n_outputs=2, width=8, branch_scale=True)
    assert model.block1.scale.item() == 1.0
    initialize(model, "skipinit")
    assert model.block1.scale.item() == 0.0
    x = torch.randn(2, 3, 20)
    torch.testing.assert_close(model.block1(x.repeat(1, 3, 1)[:, :8]), x.repeat(1, 3, 1)[:, :8])
    valid = torch.arange(20) < torch.tensor([[15], [20]])
    model(x, valid).sum().backward()  # the padded way adds the branch alike
    assert model.block1.scale.grad is not None
    plain = build("resnet1d", n_channels=3, n_times=20, n_outputs=2, width=8)
    assert not [name for name, _ in plain.named_parameters() if name.endswith("scale")]


@pytest.mark.parametrize(("layers", "c"), [(1, 2.0), (2, 2.0), (3, 2.0), (2, 1.0)])
def test_balanced_counts_the_layers_of_each_branch(layers: int, c: float) -> None:
    report = initialize(net(16, layers), "balanced", c=c)
    inside = [row.sigma_w2 for row in report.layers if row.branch]
    assert inside == pytest.approx([c / 16 ** (1.0 / layers)] * 16 * layers)


def test_lsuv_gives_every_output_unit_variance_in_one_pass() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(3, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.Conv1d(8, 8, 3), nn.Tanh(), nn.Flatten(),
        nn.Linear(8 * 18, 32), nn.ReLU(), nn.Linear(32, 5),
    )  # fmt: skip
    x = 7.0 * torch.randn(32, 3, 20)
    report = initialize(model, "lsuv", sample=x)
    outputs: list[torch.Tensor] = []
    for module in model:
        if isinstance(module, (nn.Conv1d, nn.Linear)):
            module.register_forward_hook(lambda _m, _i, output: outputs.append(output.detach()))
    model.train()(x)
    # biases are zero, so one division makes the variance 1 to rounding
    assert [float(output.var()) for output in outputs] == pytest.approx([1.0] * 4, rel=1e-4)
    assert all("scaled by" in row.note for row in report.layers)
    assert all(row.measured == pytest.approx(row.sigma_w2, rel=1e-4) for row in report.layers)
    assert report.layers[0].largest_singular_value == pytest.approx(report.layers[0].edge, rel=1e-4)


def test_lsuv_says_which_layers_have_no_output_to_scale() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    report = initialize(model, "lsuv", sample=torch.zeros(8, 4))
    assert "not scaled to variance 1: 0 has variance 0" in report.notes[0]


@pytest.mark.parametrize("law", ["gaussian", "orthogonal"])
def test_critical_knows_slopes_functions_and_users_callables(law: str) -> None:
    class Sine(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sin(x)

    class Odd(nn.Module):
        """A function without a name."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / torch.sqrt(1.0 + x**2)

    def first(activation: nn.Module, **options: Any) -> tuple[float, float]:
        model = nn.Sequential(nn.Linear(8, 8), activation, nn.Linear(8, 8))
        row = initialize(model, "critical", law=law, **options).layers[0]
        return row.sigma_w2, row.sigma_b2

    assert first(nn.LeakyReLU(0.3)) == pytest.approx((2.0 / 1.09, 0.0))
    assert first(Sine(), q=1.0) == pytest.approx((1.761594, 0.238406), abs=1e-6)
    sigma_w2, sigma_b2 = first(Odd(), q=0.5)
    z, p = (torch.from_numpy(each) for each in __import__("numpy").polynomial.hermite_e.hermegauss(200))
    p, x = p / p.sum(), math.sqrt(0.5) * z
    assert sigma_w2 == pytest.approx(float(1.0 / (p @ (1.0 + x**2) ** -3)), rel=1e-6)
    assert sigma_b2 == pytest.approx(0.5 - sigma_w2 * float(p @ (x**2 / (1.0 + x**2))), rel=1e-5)
