"""Does every initialization start where theory says, and leave no other trace?"""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from sciml.errors import ConfigError, DataError
from sciml.nn.init import METHODS, InitReport, initialize
from sciml.nn.models import Residual, build
from sciml.theory.meanfield import critical_point

WIDTH = 256


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mlp(depth: int = 4, width: int = WIDTH, activation: type[nn.Module] = nn.ReLU, **options: Any) -> nn.Sequential:
    return nn.Sequential(*(part for _ in range(depth) for part in (nn.Linear(width, width, **options), activation())))


def residual_net(n_blocks: int, n_layers: int, width: int = WIDTH) -> nn.Sequential:
    def branch() -> Iterator[nn.Module]:
        for _ in range(n_layers):
            yield from (nn.ReLU(), nn.Linear(width, width, bias=False))

    return nn.Sequential(*(Residual(nn.Sequential(*branch())) for _ in range(n_blocks)))


def growth(net: nn.Module, generator: torch.Generator) -> tuple[float, float]:
    """Mean square of the output over that of the input, and of the gradient at the input over that at the output."""
    x = torch.randn(64, WIDTH, generator=generator).requires_grad_()
    v = torch.randn(64, WIDTH, generator=generator)
    y = net(x)
    (gradient,) = torch.autograd.grad(y, x, v)
    forward = y.detach().square().mean() / x.detach().square().mean()
    return float(forward), float(gradient.square().mean() / v.square().mean())


# blocks L, layers m, c, depth exponent, expected (1 + (c / 2L^e)^m)^L, band. One net of this size scatters about it by
# 3 % (c = 1) to 9 % (c = 2) in the forward direction and by 1 to 3 % backward (8 nets measured); the mean of 3 nets is
# held to about four standard errors.
TAKI = [
    (10, 1, 1.0, 1.0, 1.05**10, 0.07),
    (50, 1, 1.0, 1.0, 1.01**50, 0.07),
    (10, 1, 2.0, 1.0, 1.1**10, 0.18),
    (10, 2, 1.0, 1.0, 1.0025**10, 0.012),
    (10, 2, 2.0, 0.5, 1.1**10, 0.2),
    (10, 2, 2.0, "balanced", 1.1**10, 0.2),
]


@pytest.mark.parametrize(("n_blocks", "n_layers", "c", "exponent", "expected", "band"), TAKI)
def test_taki_growth_follows_the_product_over_blocks(
    n_blocks: int, n_layers: int, c: float, exponent: float | str, expected: float, band: float
) -> None:
    factors = []
    for seed in range(3):
        net = residual_net(n_blocks, n_layers)
        report = initialize(net, method="taki", c=c, depth_exponent=exponent, generator=seeded(seed))
        factors.append(growth(net, seeded(100 + seed)))
        assert report.n_blocks == n_blocks
    forward, backward = torch.tensor(factors).mean(dim=0).tolist()
    assert forward == pytest.approx(expected, rel=band)
    assert backward == pytest.approx(expected, rel=band / 2)


def test_taki_stays_near_root_e_where_he_doubles_with_each_block() -> None:
    net = residual_net(50, 1)
    initialize(net, method="taki", c=1.0, generator=seeded(0))
    assert growth(net, seeded(1))[0] == pytest.approx(math.exp(0.5), rel=0.15)  # five sd of one net
    initialize(net, method="he", generator=seeded(0))
    assert growth(net, seeded(1))[0] > 2.0**45


def test_taki_is_he_outside_the_branches_and_needs_branches() -> None:
    net = build("resnet1d", n_channels=3, n_times=20, n_outputs=2, width=16, blocks=5, layers=2)
    report = initialize(net, method="taki", c=1.0)
    assert report.n_blocks == 5
    inside = [row for row in report.layers if row.branch]
    assert {row.branch for row in inside} == {f"block{i}.branch" for i in range(1, 6)}
    assert len(inside) == 10
    assert {row.sigma_w2 for row in inside} == {1.0 / 5}
    assert {row.sigma_w2 for row in report.layers if not row.branch} == {2.0}
    with pytest.raises(ConfigError, match="residual branches"):
        initialize(build("fcn", n_channels=3, n_times=20, n_outputs=2, width=4), method="taki")


def test_branches_of_foreign_nets_are_named() -> None:
    net = mlp(3, width=32)
    report = initialize(net, method="taki", branches=["0", "2"])
    assert [row.sigma_w2 for row in report.layers] == [1.0, 1.0, 2.0]
    assert [row.branch for row in report.layers] == ["0", "2", None]
    with pytest.raises(ConfigError, match="'nine'"):
        initialize(net, method="taki", branches=["nine"])


@pytest.mark.parametrize(("method", "sigma_w2"), [("he", 2.0), ("lecun", 1.0)])
@pytest.mark.parametrize(
    "layer", [nn.Linear(300, 200), nn.Conv1d(20, 40, 8), nn.Conv2d(12, 24, 5), nn.Conv1d(40, 60, 5, groups=4)]
)
def test_gaussian_methods_have_their_variance_and_zero_bias(method: str, sigma_w2: float, layer: Any) -> None:
    (row,) = initialize(layer, method=method, generator=seeded(3)).layers
    assert row.sigma_w2 == sigma_w2
    # mean(w²) of N entries has relative sd √(2/N)
    assert row.measured == pytest.approx(sigma_w2, rel=4.5 * math.sqrt(2.0 / layer.weight.numel()))
    assert row.measured == pytest.approx(row.fan_in * float(layer.weight.detach().double().square().mean()), rel=1e-12)
    assert torch.count_nonzero(layer.bias) == 0


@pytest.mark.parametrize(("n_in", "n_out"), [(512, 512), (1024, 256), (256, 1024)])
def test_largest_singular_value_of_independent_entries_is_at_the_edge(n_in: int, n_out: int) -> None:
    (row,) = initialize(nn.Linear(n_in, n_out), method="lecun", generator=seeded(0)).layers
    assert row.edge == pytest.approx(1.0 + math.sqrt(n_out / n_in), rel=1e-12)
    # The largest singular value misses its edge by O(n^{-2/3}), downwards on average: 1.983, 1.476 and 2.993 here.
    assert row.largest_singular_value == pytest.approx(row.edge, rel=1.5 * min(n_in, n_out) ** (-2 / 3))


@pytest.mark.parametrize("gain", [1.0, 1.7])
@pytest.mark.parametrize("layer", [nn.Linear(50, 50), nn.Linear(50, 20), nn.Linear(20, 50), nn.Conv1d(5, 60, 7)])
def test_orthogonal_layers_have_all_singular_values_equal_to_the_gain(layer: Any, gain: float) -> None:
    (row,) = initialize(layer.double(), method="orthogonal", gain=gain).layers
    values = torch.linalg.svdvals(layer.weight.detach().flatten(1))
    torch.testing.assert_close(values, torch.full_like(values, gain), rtol=1e-13, atol=0)
    assert row.edge == pytest.approx(gain, rel=1e-12)
    assert row.largest_singular_value == pytest.approx(gain, rel=1e-12)
    assert row.measured == pytest.approx(row.sigma_w2, rel=1e-12)


def test_orthogonal_groups_are_orthogonal_each() -> None:
    layer = nn.Conv1d(8, 24, 1, groups=4).double()
    (row,) = initialize(layer, method="orthogonal").layers
    for block in layer.weight.detach().flatten(1).chunk(4):
        values = torch.linalg.svdvals(block)
        torch.testing.assert_close(values, torch.ones_like(values), rtol=1e-13, atol=0)
    assert row.largest_singular_value == pytest.approx(1.0, rel=1e-12)
    assert row.measured == pytest.approx(row.sigma_w2, rel=1e-12)


def test_orthogonal_draws_are_haar() -> None:
    # Haar: E[Q_ij] = 0 and E[tr(Q)²] = 1. QR without its sign fix leaves the diagonal of Q of one sign.
    layer, n_draws, generator = nn.Linear(4, 4, bias=False), 600, seeded(0)
    traces, corners = [], []
    for _ in range(n_draws):
        initialize(layer, method="orthogonal", generator=generator)
        traces.append(float(layer.weight.detach().trace()))
        corners.append(float(layer.weight.detach()[0, 0]))
    assert abs(sum(corners) / n_draws) < 4.5 * 0.5 / math.sqrt(n_draws)  # sd of an entry is 1/√4
    assert sum(t * t for t in traces) / n_draws == pytest.approx(1.0, abs=4.5 * math.sqrt(2.0 / n_draws))


def circular_singular_values(weight: torch.Tensor, size: int) -> torch.Tensor:
    dims = tuple(range(2, weight.ndim))
    frequencies = torch.fft.fftn(weight, s=[size] * len(dims), dim=dims).flatten(2)
    return torch.linalg.svdvals(frequencies.permute(2, 0, 1))


@pytest.mark.parametrize(
    "layer",
    [nn.Conv1d(8, 8, 5), nn.Conv1d(6, 10, 8), nn.Conv2d(5, 5, 3), nn.Conv1d(10, 4, 3), nn.Conv3d(3, 5, (3, 1, 2))],
)
def test_delta_orthogonal_convolutions_have_one_singular_value_at_every_frequency(layer: Any) -> None:
    (row,) = initialize(layer.double(), method="orthogonal", gain=1.3, conv="delta").layers
    assert row.law == "delta"
    values = circular_singular_values(layer.weight.detach(), 12)
    torch.testing.assert_close(values, torch.full_like(values, 1.3), rtol=1e-13, atol=0)


def test_delta_orthogonal_even_kernels_do_not_shift_the_signal() -> None:
    net: Any = build(
        "fcn", n_channels=6, n_times=20, n_outputs=2, width=6, kernels=[8], norm="none", activation="identity"
    )
    initialize(net, method="orthogonal", conv="delta")
    x = torch.randn(3, 6, 20, generator=seeded(0))
    torch.testing.assert_close(net.block1(x).square().sum(1), x.square().sum(1))  # at each sample, not only in total


@pytest.mark.parametrize("law", ["gaussian", "orthogonal"])
@pytest.mark.parametrize(
    ("activation", "name", "options"),
    [
        (nn.ReLU, "relu", {}),
        (nn.Tanh, "tanh", {"sigma_b2": 0.05}),
        (nn.GELU, "gelu", {}),
        (nn.SELU, "selu", {"q": 0.5}),
    ],
)
def test_critical_nets_keep_the_length_of_the_fixed_point(
    activation: type[nn.Module], name: str, options: dict[str, Any], law: str
) -> None:
    point = critical_point(name, **options)
    net, depth = mlp(8, width=400, activation=activation), 8
    # Rows of norm √(width q / σ_w²) and no first activation: after the first layer the length is that of the theory.
    x = torch.randn(100, 400, generator=seeded(1))
    x *= math.sqrt((point.q - point.sigma_b2) / point.sigma_w2) / x.square().mean(dim=1, keepdim=True).sqrt()
    report = initialize(net, method="critical", sample=x, law=law, generator=seeded(2), **options)
    assert {row.sigma_w2 for row in report.layers} == {point.sigma_w2}
    for ell, row in enumerate(report.layers, start=1):
        # One net scatters by √(5 ℓ / n) with ReLU, less with the others; the batch of 100 averages a part of it away.
        assert row.preactivation == pytest.approx(point.q, rel=2.0 * math.sqrt(5.0 * ell / 400)), row.name
    assert len(report.layers) == depth


def test_critical_biases_have_their_variance() -> None:
    net = mlp(4, width=500, activation=nn.Tanh)
    report = initialize(net, method="critical", sigma_b2=0.05, generator=seeded(0))
    biases = torch.cat([part.bias.detach() for part in net if isinstance(part, nn.Linear)])
    assert float(biases.square().mean()) == pytest.approx(0.05, rel=4.5 * math.sqrt(2.0 / biases.numel()))
    assert report.layers[0].sigma_b2 == 0.05
    assert "critical point of tanh: σ_w² = 1.76095" in report.notes[0]


@pytest.mark.parametrize(("n_in", "n_out"), [(40, 160), (160, 40)])
def test_orthogonal_critical_layers_carry_the_same_variance_whether_they_widen_or_narrow(n_in: int, n_out: int) -> None:
    for layer in (nn.Linear(n_in, n_out), nn.Conv1d(n_in, n_out, 3)):
        (row,) = initialize(layer, method="critical", activation="relu", law="orthogonal").layers
        assert row.measured == pytest.approx(2.0, rel=1e-5)
        assert row.largest_singular_value == pytest.approx(row.edge, rel=1e-5)


def test_activation_must_be_known() -> None:
    with pytest.raises(ConfigError, match="expected one kind of activation, got relu, tanh"):
        initialize(nn.Sequential(*mlp(1, 8), *mlp(1, 8, nn.Tanh)), method="critical")
    with pytest.raises(ConfigError, match="found no activation"):
        initialize(mlp(2, 8, nn.Identity), method="critical")
    with pytest.raises(ConfigError, match="no critical point"):
        initialize(mlp(2, 8, nn.Softplus), method="critical")
    linear = build("linear", n_channels=3, n_times=4, n_outputs=2)
    assert initialize(linear, method="critical").layers[0].sigma_w2 == 1.0


def test_bias_that_is_missing_is_said() -> None:
    report = initialize(mlp(2, 16, nn.Tanh, bias=False), method="critical", sigma_b2=0.1)
    assert {(row.sigma_b2, row.note) for row in report.layers} == {(0.0, "no bias to carry σ_b²")}


def test_default_leaves_every_parameter_and_knows_that_it_is_not_he() -> None:
    net: Any = nn.Sequential(nn.Linear(300, 300), nn.BatchNorm1d(300))
    nn.init.constant_(net[1].weight, 3.0)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    (row,) = initialize(net, method="default").layers
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert row.sigma_w2 == pytest.approx(1.0 / 3.0)
    # mean(w²) of N uniform entries has relative sd √(4 / 5N)
    assert row.measured == pytest.approx(1.0 / 3.0, rel=4.5 * math.sqrt(0.8 / 90_000))


def test_norm_layers_start_at_one_and_zero() -> None:
    for norm in ("batch", "group"):
        net = build("fcn", n_channels=3, n_times=20, n_outputs=2, width=8, norm=norm)
        for parameter in net.parameters():
            nn.init.constant_(parameter, 7.0)
        net(torch.randn(4, 3, 20, generator=seeded(0)))
        initialize(net, method="he")
        for module in net.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.GroupNorm)):
                assert (module.weight == 1).all()
                assert (module.bias == 0).all()
            if isinstance(module, nn.BatchNorm1d):
                assert (torch.as_tensor(module.running_mean) == 0).all()
                assert (torch.as_tensor(module.running_var) == 1).all()


RESIDUAL = ("taki", "balanced", "fixup", "skipinit", "rezero")
GRID = [(m, n) for m in METHODS for n in ("fcn", "resnet1d", "linear") if m not in RESIDUAL or n == "resnet1d"]


def small(model: str, method: str = "he") -> Any:
    options: dict[str, Any] = {"fcn": {"width": 8, "dropout": 0.2}, "resnet1d": {"width": 8, "dropout": 0.2}}
    if method in ("skipinit", "rezero"):
        options["resnet1d"]["branch_scale"] = True
    return build(model, n_channels=3, n_times=16, n_outputs=(2, 3), **options.get(model, {}))


def data(method: str) -> torch.Tensor | None:
    """The sample that a method cannot do without."""
    return torch.randn(5, 3, 16, generator=seeded(0)) if method == "lsuv" else None


def snapshot(net: nn.Module) -> dict[str, Any]:
    return {
        "modes": [module.training for module in net.modules()],
        "hooks": [len(module._forward_hooks) for module in net.modules()],
        "gradients": [None if p.grad is None else p.grad.clone().tolist() for p in net.parameters()],
        "buffers": [buffer.tolist() for buffer in net.buffers()],
        "requires_grad": [p.requires_grad for p in net.parameters()],
        "random": torch.get_rng_state().tolist(),
    }


@pytest.mark.parametrize(("method", "model"), GRID)
def test_every_method_leaves_no_trace_but_the_weights(method: str, model: str) -> None:
    net = small(model, method)
    x = torch.randn(5, 3, 16, generator=seeded(0))
    net.eval()
    if len(net) > 2:
        net[0].train()  # a mixed mode, to be found as it was left
    net(x).sum().backward()
    initialize(
        net, method=method, sample=data(method)
    )  # resets running statistics, which the sample must then not change
    before = snapshot(net)
    report = initialize(net, method=method, sample=x)
    assert snapshot(net) == before
    silent = {row.name for row in report.layers if row.law == "zero"}
    assert all((row.preactivation or 0.0) > 0 for row in report.layers if row.name not in silent)
    assert not silent or method in ("fixup", "spectral")
    assert report.untouched == ()


@pytest.mark.parametrize(("method", "model"), GRID)
def test_the_generator_alone_decides_the_weights(method: str, model: str) -> None:
    if method == "default":
        pytest.skip("default draws nothing")
    torch.manual_seed(1)
    first, other, again = (small(model, method) for _ in range(3))
    assert initialize(first, method=method, generator=seeded(5), sample=data(method)) == initialize(
        again, method=method, generator=seeded(5), sample=data(method)
    )
    initialize(other, method=method, generator=seeded(6), sample=data(method))
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    assert all(same)
    drawn = next(name for name, each in first.named_parameters() if each.ndim > 1)
    if first.get_parameter(drawn).any():  # the one layer of a linear net is zero where spectral has no targets
        assert not torch.equal(first.get_parameter(drawn), other.get_parameter(drawn))
    initialize(first, method=method, sample=data(method))
    initialize(other, method=method, sample=data(method))
    assert torch.equal(first.get_parameter(drawn), other.get_parameter(drawn))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_every_dtype_gets_the_same_draw(dtype: torch.dtype) -> None:
    single, other = mlp(2, 16), mlp(2, 16).to(dtype)
    initialize(single, method="he", generator=seeded(0))
    initialize(other, method="he", generator=seeded(0), sample=torch.ones(2, 16))
    assert other[0].weight.dtype == dtype
    rounding = torch.finfo(torch.bfloat16 if dtype == torch.bfloat16 else torch.float32).eps
    torch.testing.assert_close(single[0].weight, other[0].weight.float(), rtol=rounding, atol=0)


def test_preactivations_use_the_statistics_of_the_batch() -> None:
    net: Any = nn.Sequential(nn.Linear(50, 60), nn.BatchNorm1d(60), nn.Linear(60, 40))
    x = 5.0 + 3.0 * torch.randn(200, 50, generator=seeded(0))
    report = initialize(net.eval(), method="lecun", sample=x)
    z = torch.nn.functional.linear(x, net[0].weight, net[0].bias).detach()
    normed = (z - z.mean(0)) / (z.var(0, unbiased=False) + net[1].eps).sqrt()
    expected = [z.square().mean(), torch.nn.functional.linear(normed, net[2].weight).detach().square().mean()]
    assert [row.preactivation for row in report.layers] == pytest.approx([float(e) for e in expected], rel=1e-4)


def test_frozen_and_shared_weights_stay_consistent() -> None:
    net: Any = nn.Sequential(*(nn.Linear(6, 6) for _ in range(3)), nn.PReLU())
    net[1].weight.requires_grad_(False)
    kept = net[1].weight.clone()
    net[2].weight = net[0].weight
    report = initialize(net, method="he")
    assert torch.equal(net[1].weight, kept)
    assert [row.note for row in report.layers] == ["", "frozen: left as it was", "shares its weight with 0"]
    assert [row.law for row in report.layers] == ["gaussian", "kept", "kept"]
    assert report.untouched == ("1.weight", "3.weight")


def test_report_is_plain_data_and_reads_as_a_table() -> None:
    net = small("resnet1d")
    report = initialize(net, method="taki", sample=torch.ones(2, 3, 16))
    assert json.loads(json.dumps(report.to_dict()))["layers"][1]["branch"] == "block1.branch"
    assert isinstance(report, InitReport)
    lines = report.summary().splitlines()
    assert len(lines) == 2 + len(report.layers) + len(report.notes)
    assert lines[2].startswith("stem.conv")


@pytest.mark.parametrize(
    ("net", "arguments", "message"),
    [
        (mlp(1, 4), {"method": "kaiming"}, "expected method to be one of"),
        (mlp(1, 4), {"method": "orthogonl"}, "did you mean 'orthogonal'"),
        (mlp(1, 4), {"method": "he", "gain": 2.0}, "unknown option 'gain'; its options: none"),
        (mlp(1, 4), {"method": "orthogonal", "gian": 2.0}, "did you mean 'gain'"),
        (mlp(1, 4), {"method": "orthogonal", "gain": 0.0}, "gain > 0"),
        (mlp(1, 4), {"method": "orthogonal", "conv": "dirac"}, "expected conv"),
        (mlp(1, 4), {"method": "critical", "law": "uniform"}, "expected law"),
        (residual_net(1, 1, 4), {"method": "taki", "depth_exponent": "half"}, "depth_exponent"),
        (residual_net(1, 1, 4), {"method": "taki", "c": -1.0}, "c > 0"),
        (nn.Sequential(nn.ReLU()), {"method": "he"}, "without any"),
        (nn.Sequential(nn.LazyLinear(3)), {"method": "he"}, "lazy"),
        (mlp(1, 4), {"method": "lsuv"}, "give a sample"),
        (residual_net(2, 1, 4), {"method": "rezero"}, "Residual\\(branch, scale=True\\)"),
    ],
)
def test_what_cannot_be_initialized_is_refused(net: nn.Module, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        initialize(net, **arguments)


def test_a_bad_sample_is_refused_and_leaves_no_hook() -> None:
    net = mlp(2, 4)
    before = snapshot(net)
    with pytest.raises(DataError, match="finite sample"):
        initialize(net, method="he", sample=torch.tensor([[1.0, math.nan, 0.0, 0.0]]))
    with pytest.raises(DataError, match="overflows"):
        initialize(net, method="he", sample=torch.full((1, 4), 3e38))
    with pytest.raises(RuntimeError):
        initialize(net, method="he", sample=torch.zeros(1, 5))
    assert snapshot(net) == before


@pytest.mark.gpu
@pytest.mark.parametrize(("method", "model"), GRID)
def test_weights_on_the_device_are_those_of_the_cpu(method: str, model: str, device: str) -> None:
    if device == "cpu":
        pytest.skip("run with --device cuda")
    net, twin = small(model, method), small(model, method)
    twin.load_state_dict(net.state_dict())
    twin.to(device)
    x = torch.randn(5, 3, 16, generator=seeded(0))
    here = initialize(net, method=method, sample=x)
    there = initialize(twin, method=method, sample=x)
    for a, b in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b.cpu())
    for c, d in zip(here.layers, there.layers, strict=True):
        assert c.preactivation == pytest.approx(d.preactivation, rel=1e-3)  # TF32 or another order of summation
