"""Outliers of weight matrices: calibrated on noise, found where theory says, unmoved by what should not matter."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sciml.errors import ConfigError, DataError
from sciml.nn.init import initialize
from sciml.nn.models import build
from sciml.spectra import weight_spectra
from tests.nn.small import SMALL, small


def noise(n_out: int, n_in: int, seed: int, *, sigma: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return sigma * torch.randn(n_out, n_in, generator=generator, dtype=torch.float64)


def spiked(n_out: int, n_in: int, strengths: list[float], seed: int) -> torch.Tensor:
    """Unit noise plus orthogonal directions of `strengths` in units of the threshold (n_out n_in)^(1/4)."""
    generator = torch.Generator().manual_seed(1000 + seed)
    sides = [torch.randn(n, len(strengths), generator=generator, dtype=torch.float64) for n in (n_out, n_in)]
    u, v = (torch.linalg.qr(side).Q for side in sides)
    theta = (n_out * n_in) ** 0.25 * torch.tensor(strengths, dtype=torch.float64)
    return noise(n_out, n_in, seed) + (u * theta) @ v.mT


def spectrum_of(weight: torch.Tensor, **options: Any) -> Any:
    """Return the one spectrum; of type Any, as its numbers are None where nothing was tested."""
    (spectrum,) = weight_spectra({"layer.weight": weight}, **options)
    return spectrum


def test_noise_raises_false_alarms_at_the_nominal_level() -> None:
    # Nominal 5 %; 1500 draws of this size gave 3.7 %, and the law itself is a little conservative here. With 300 draws
    # 4.5 sd of a 5 % rate are 5.7 %. The estimate that counts outliers from the plain bulk edge would give 11 %.
    rates = dict.fromkeys((0.05, 0.2), 0)
    for seed in range(300):
        p_values = spectrum_of(noise(80, 200, seed)).p_values
        for alpha in rates:
            rates[alpha] += int(p_values[0] < alpha)
    assert 3 <= rates[0.05] <= 27  # 1 to 9 %
    assert 30 <= rates[0.2] <= 85  # 10 to 28 %


@pytest.mark.parametrize("strengths", [[2.0], [6.0, 4.0, 3.0, 2.0, 2.0], [3.0] * 20])
def test_every_strong_direction_is_found_and_no_other(strengths: list[float]) -> None:
    found = [spectrum_of(spiked(80, 200, strengths, seed)) for seed in range(40)]
    assert min(spectrum.rank for spectrum in found) == len(strengths)
    # 5 % false alarms: more than 8 of 40 in 1 of 5000 runs
    assert sum(spectrum.rank > len(strengths) for spectrum in found) <= 8
    # The next value is the largest of the noise that is left: its p-value is uniform, the mean of 40 has sd 0.046.
    assert np.mean([spectrum.p_values[len(strengths)] for spectrum in found]) == pytest.approx(0.55, abs=0.2)


def test_direction_below_the_threshold_stays_hidden() -> None:
    ranks = [spectrum_of(spiked(80, 200, [0.8], seed)).rank for seed in range(40)]
    assert sum(rank > 0 for rank in ranks) <= 10


@pytest.mark.parametrize(("strength", "expected"), [(2.0, 3.197), (4.0, 5.376)])
def test_visible_direction_has_its_singular_value(strength: float, expected: float) -> None:
    # σ₁ = √((θ² + s²N)(θ² + s²M)) / θ for s = 0.05, N = 1000, M = 400
    n, m, s = 1000, 400, 0.05
    theta = strength * s * (n * m) ** 0.25
    assert math.sqrt((theta**2 + s**2 * n) * (theta**2 + s**2 * m)) / theta == pytest.approx(expected, abs=6e-4)
    spectrum = spectrum_of(s * spiked(m, n, [strength], 0))
    # fluctuation of an outlier is of order s: 5 sd
    assert spectrum.singular_values[0] == pytest.approx(expected, abs=5 * s)
    assert spectrum.rank == 1
    assert spectrum.p_values[0] < 1e-12
    assert spectrum.mp_edge == pytest.approx(s * (math.sqrt(n) + math.sqrt(m)), rel=5 / math.sqrt(2 * n * m))
    assert spectrum.sigma == pytest.approx(s, abs=5 * spectrum.sigma_se)
    assert spectrum.sigma_se == pytest.approx(s / math.sqrt(2 * n * m), rel=0.01)


def test_edge_is_the_tracy_widom_quantile() -> None:
    spectrum = spectrum_of(noise(400, 1000, 0))
    # Centering 2662.8042 and scale 22.387704 at this size; the 95 % quantile of TW1 is 0.9793.
    assert (spectrum.edge / spectrum.sigma) ** 2 == pytest.approx(2684.7285, abs=1e-3)
    strict = spectrum_of(noise(400, 1000, 0), alpha=0.01)
    assert (strict.edge / strict.sigma) ** 2 == pytest.approx(2662.8042 + 2.0234492814 * 22.387704, abs=1e-3)


def test_one_huge_entry_is_a_singular_value_but_no_direction_learned() -> None:
    # An entry f times the threshold has the value of a direction of that strength, and untrained weights of heavy tails
    # have such entries: of Student t with 5 degrees of freedom, every second matrix of this size has one of f = 1.
    n, m, s = 1000, 400, 0.05
    weight = s * noise(m, n, 0)
    for factor, expected in ((2.0, 3.197), (3.0, 4.215)):
        weight[3, 7] = factor * s * (n * m) ** 0.25
        spectrum = spectrum_of(weight)
        assert spectrum.singular_values[0] == pytest.approx(expected, abs=5 * s)
        assert spectrum.rank == 0


SYMMETRIES = {
    "transpose": lambda w: w.mT,
    "rows": lambda w: w[torch.randperm(w.shape[0], generator=torch.Generator().manual_seed(0))],
    "columns": lambda w: w[:, torch.randperm(w.shape[1], generator=torch.Generator().manual_seed(0))],
    "rotation": lambda w: w @ torch.linalg.qr(noise(w.shape[1], w.shape[1], 9)).Q,
    "sign": lambda w: -w,
}


@pytest.mark.parametrize("symmetry", SYMMETRIES)
@pytest.mark.parametrize("strengths", [[], [3.0, 1.2]])
def test_spectrum_does_not_see_bases(symmetry: str, strengths: list[float]) -> None:
    weight = spiked(60, 90, strengths, 4) if strengths else noise(60, 90, 4)
    before, after = spectrum_of(weight), spectrum_of(SYMMETRIES[symmetry](weight))
    np.testing.assert_allclose(after.singular_values, before.singular_values, rtol=1e-11)
    np.testing.assert_allclose(after.p_values, before.p_values, rtol=1e-6)
    assert (after.rank, after.warnings) == (before.rank, before.warnings)
    assert [after.sigma, after.edge] == pytest.approx([before.sigma, before.edge], rel=1e-11)


@pytest.mark.parametrize("factor", [1e-30, 1e-21, 1e-6, 1e21])
def test_spectrum_scales_with_the_weights(factor: float) -> None:
    weight = spiked(60, 90, [3.0], 4)
    before, after = spectrum_of(weight), spectrum_of(factor * weight)
    np.testing.assert_allclose(after.singular_values, factor * before.singular_values, rtol=1e-11)
    np.testing.assert_allclose(after.p_values, before.p_values, rtol=1e-6)
    for field in ("sigma", "sigma_se", "edge", "mp_edge"):
        assert getattr(after, field) == pytest.approx(factor * getattr(before, field), rel=1e-11)
    assert (after.rank, after.warnings) == (before.rank, before.warnings)


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-6), (torch.bfloat16, 2**-8)])
def test_low_precision_weights_have_the_same_spectrum_but_for_rounding(dtype: torch.dtype, rtol: float) -> None:
    weight = spiked(60, 90, [3.0], 4)
    before, after = spectrum_of(weight), spectrum_of(weight.to(dtype))
    np.testing.assert_allclose(after.singular_values, before.singular_values, atol=rtol * before.singular_values[0])
    assert after.rank == before.rank
    assert after.singular_values.dtype == np.float64


def test_zero_weights_are_no_noise() -> None:
    spectrum = spectrum_of(torch.zeros(20, 30))
    assert (spectrum.rank, spectrum.p_values, spectrum.edge, spectrum.sigma) == (None, None, None, 0.0)
    assert spectrum.verdict == "undetermined"
    assert spectrum.warnings == ("all weights are zero: there is nothing to test",)
    assert spectrum.words == "undetermined (all weights are zero)"


def test_undetermined_layer_has_no_number_of_the_test() -> None:
    head, bulk = weight_spectra({"head.weight": noise(4, 32, 3), "bulk.weight": noise(20, 30, 0)})
    assert head.words == "undetermined (only 4 singular values)"
    plain = head.to_dict()
    assert {plain[key] for key in ("rank", "q_value", "edge", "mp_edge", "p_values", "outliers")} == {None}
    assert plain["reason"] == "only 4 singular values: the test rests on laws of large matrices"
    assert (bulk.rank, bulk.reason) == (0, "")


def test_layer_that_is_not_finite_is_left_out_and_the_others_are_analyzed() -> None:
    broken = noise(20, 30, 0)
    broken[3, 4] = math.nan
    found = weight_spectra({"a.weight": broken, "b.weight": noise(20, 30, 1)})
    assert [each.name for each in found] == ["b"]
    assert [(each.name, each.n_parameters) for each in found.left_out] == [("a", 600)]
    assert found.left_out[0].reason == "expected finite weights, got 1 of 600 that are not; take an earlier checkpoint"
    assert found.coverage == 0.5


def test_heads_of_an_attention_that_is_not_finite_are_not_listed_beside_it() -> None:
    net = nn.MultiheadAttention(32, 4)
    with torch.no_grad():
        net.in_proj_weight[3, 3] = math.inf
    found = weight_spectra(net)
    assert [each.name for each in found.left_out] == ["in_proj_weight[query]"]
    assert {each.name for each in found.own} == {"in_proj_weight[key]", "in_proj_weight[value]", "out_proj"}


def test_two_huge_entries_are_not_orthogonal_weights() -> None:
    weight = noise(20, 30, 0)
    weight[0, 0] = weight[3, 5] = 1e30
    assert spectrum_of(weight).verdict == "no noise bulk left"


@pytest.mark.parametrize("rank", [1, 3])
def test_exactly_low_rank_weights_have_no_bulk(rank: int) -> None:
    weight = torch.full((20, 30), 0.3) if rank == 1 else noise(20, 3, 0) @ noise(3, 30, 1)
    spectrum = spectrum_of(weight)
    assert (spectrum.rank, spectrum.p_values, spectrum.edge, spectrum.sigma) == (None, None, None, None)
    assert spectrum.verdict == "no noise bulk left"
    assert f"exactly of rank {rank} of 20" in spectrum.warnings[0]


def test_bulk_of_rounding_errors_is_called_that() -> None:
    product = (noise(40, 2, 0) @ noise(2, 60, 1)).float()
    assert "rounding error of torch.float32" in spectrum_of(product).warnings[-1]
    assert spectrum_of(noise(40, 60, 0).float()).warnings == ()


@pytest.mark.parametrize("layer", [nn.Linear(60, 40), nn.Conv1d(12, 40, 5), nn.Conv1d(40, 12, 5)])
@pytest.mark.parametrize("conv", ["reshape", "delta"])
def test_orthogonal_weights_have_no_bulk_and_no_outlier(layer: Any, conv: str) -> None:
    initialize(layer, method="orthogonal", conv=conv)
    (spectrum,) = weight_spectra(layer)
    assert (spectrum.rank, spectrum.p_values, spectrum.q_value) == (None, None, None)
    assert spectrum.verdict == "orthogonal: nothing to test"
    assert "all singular values are equal" in spectrum.warnings[0]
    assert spectrum.sigma == pytest.approx(float(layer.weight.detach().square().mean().sqrt()), rel=1e-6)


def test_unequal_variances_are_found_out_and_made_equal() -> None:
    weight = noise(100, 150, 0) * torch.logspace(-1, 1, 100, dtype=torch.float64).unsqueeze(1)
    spectrum = spectrum_of(weight)
    assert spectrum.test.unequal == "rows of unequal scale"
    assert (spectrum.rank, spectrum.warnings) == (0, ())
    assert spectrum.bulk_distance < 0.03
    calm = [spectrum_of(noise(30, 50, seed)) for seed in range(100)]
    assert sum(bool(each.warnings) for each in calm) <= 2  # the level of this warning is 0.1 %
    assert not any(each.test.unequal for each in calm)


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (1, 1)])
def test_a_single_row_cannot_be_tested(shape: tuple[int, int]) -> None:
    weight = noise(*shape, 0)
    spectrum = spectrum_of(weight)
    assert (spectrum.rank, spectrum.p_values, spectrum.verdict) == (None, None, "undetermined")
    assert spectrum.sigma == pytest.approx(float(weight.square().mean().sqrt()))
    assert "single row or column" in spectrum.warnings[0]


@pytest.mark.parametrize("short", [2, 3, 9])
def test_few_singular_values_are_tested_with_a_warning(short: int) -> None:
    rates = [bool(spectrum_of(noise(short, 40, seed)).rank) for seed in range(100)]
    assert sum(rates) <= 13
    assert "the test rests on laws of large matrices" in spectrum_of(noise(short, 40, 0)).warnings[0]


@pytest.mark.parametrize("name", list(SMALL))
def test_net_and_checkpoint_agree_and_the_net_keeps_no_trace(name: str) -> None:
    net = small(name, n_outputs=12)
    net.eval()
    net(torch.ones(2, 3, 20)).sum().backward()
    state = {key: value.clone() for key, value in net.state_dict().items()}
    gradients = [torch.as_tensor(parameter.grad).clone() for parameter in net.parameters()]
    random = torch.get_rng_state()
    spectra: Any = weight_spectra(net)
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert all(torch.equal(torch.as_tensor(p.grad), g) for p, g in zip(net.parameters(), gradients, strict=True))
    assert not any(module.training for module in net.modules())
    assert torch.equal(torch.get_rng_state(), random)
    whole = [each for each in spectra if "head " not in each.name]  # a checkpoint does not say how many heads there are
    for one, other in zip(whole, list[Any](weight_spectra(net.state_dict())), strict=True):
        assert (one.name, one.kind, one.rank, one.shape) == (other.name, other.kind, other.rank, other.shape)
        assert np.array_equal(one.singular_values, other.singular_values)
        assert np.array_equal(one.p_values, other.p_values)


def test_fresh_net_has_no_outliers_and_sigma_of_its_initialization() -> None:
    net = build("resnet1d", n_channels=40, n_times=20, n_outputs=30, width=48)
    report = initialize(net, method="he", generator=torch.Generator().manual_seed(1))
    for row, spectrum in zip(report.layers, list[Any](weight_spectra(net, alpha=1e-3)), strict=True):
        assert spectrum.rank == 0
        assert spectrum.sigma == pytest.approx(math.sqrt(2.0 / row.fan_in), abs=5 * spectrum.sigma_se)
        assert spectrum.singular_values[0] == pytest.approx(row.largest_singular_value, rel=1e-6)


def test_convolution_is_the_reshaped_matrix_and_its_norm_is_another() -> None:
    layer: Any = nn.Conv1d(12, 20, 5, padding=2, padding_mode="circular").double()
    initialize(layer, method="lecun")
    dense = layer.weight.detach().flatten(1)
    units = torch.eye(12 * 16, dtype=torch.float64).reshape(-1, 12, 16)
    operator = torch.linalg.svdvals((layer(units) - layer.bias[:, None]).detach().flatten(1))
    (spectrum,) = weight_spectra(layer, grid=16)
    assert spectrum.operator_norm is not None
    assert spectrum.operator_bound is not None
    assert spectrum.matrix_shape == (20, 60)
    np.testing.assert_allclose(spectrum.singular_values, torch.linalg.svdvals(dense), rtol=1e-12)
    assert spectrum.operator_norm == pytest.approx(float(operator[0]), rel=1e-12)
    assert spectrum.operator_norm > 1.2 * spectrum.singular_values[0]
    assert spectrum.operator_bound >= spectrum.operator_norm
    assert weight_spectra(layer)[0].operator_norm is None


OPTIONS: list[dict[str, Any]] = [
    {"padding": 2},
    {"padding": 2, "stride": 2, "padding_mode": "circular"},
    {"padding": 1, "padding_mode": "circular"},
    {"padding": 2, "padding_mode": "reflect"},
    {"padding": 2, "padding_mode": "replicate"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_norm_of_a_convolution_is_given_for_a_grid_and_never_above_its_bound(options: dict[str, Any]) -> None:
    layer = nn.Conv1d(12, 20, 5, **options)
    assert weight_spectra(layer)[0].operator_norm is None
    (spectrum,) = weight_spectra(layer, grid=16)
    assert spectrum.operator_norm is not None
    assert (spectrum.operator_bound or math.inf) >= spectrum.operator_norm


def test_linear_norm_is_its_largest_singular_value() -> None:
    (spectrum,) = weight_spectra(nn.Linear(30, 20))
    assert spectrum.operator_norm == spectrum.operator_bound == spectrum.singular_values[0]


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (nn.ReLU(), {}, ConfigError, "without any"),
        ({"bias": torch.zeros(3), "norm": {"weight": torch.zeros(3)}}, {}, ConfigError, "without any"),
        (nn.Linear(3, 3), {"alpha": 0.0}, ConfigError, "0 < alpha < 1"),
        ({"a.weight": torch.full((3, 3), math.nan)}, {}, DataError, "'a': expected finite weights, got 9 of 9"),
        ({"a.weight": torch.zeros(3, 3, dtype=torch.complex64)}, {}, DataError, "real floating-point"),
        ({"a.weight": torch.zeros(3, 3, dtype=torch.int8)}, {}, DataError, "real floating-point"),
        ({"a.weight": torch.zeros(0, 3)}, {}, DataError, "empty"),
        (nn.LazyLinear(3), {}, DataError, "lazy or meta"),
        (nn.Linear(3, 3, device="meta"), {}, DataError, "lazy or meta"),
    ],
)
def test_what_has_no_spectrum_is_refused(model: Any, options: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        weight_spectra(model, **options)


@pytest.mark.gpu
def test_spectra_on_the_device_are_those_of_the_cpu(device: str) -> None:
    if device == "cpu":
        pytest.skip("run with --device cuda")
    net = build("fcn", n_channels=6, n_times=20, n_outputs=12, width=16)
    here = weight_spectra(net)
    for a, b in zip(here, weight_spectra(net.to(device)), strict=True):
        assert np.array_equal(a.singular_values, b.singular_values)
        assert a.operator_bound == b.operator_bound
