"""Models named after papers: their sizes, what their parts compute, and what each of them must do in every room."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn import models, propagation
from sciml.nn.init import METHODS, initialize
from sciml.nn.structure import structure, weight_slots
from tests.nn.small import ONE_LENGTH, SHORTEST, SMALL, draws, small

NAMES = list(SMALL)
SCALED, RESIDUAL = ("skipinit", "rezero"), ("taki", "balanced", "fixup")
WITH_BRANCHES = ("resnet1d", "resnet", "atcnet", "tcn", "inceptiontime")


def size(name: str, n_channels: int, n_times: int, n_outputs: int, **options: Any) -> int:
    with torch.device("meta"):
        net = models.build(name, n_channels=n_channels, n_times=n_times, n_outputs=n_outputs, **options)
    return sum(each.numel() for each in net.parameters())


@pytest.mark.parametrize(
    ("name", "n_channels", "n_times", "n_outputs", "expected"),
    [
        ("shallow", 22, 1000, 4, 46_084),
        ("eegnet", 22, 512, 4, 2_484),
        ("atcnet", 22, 1000, 4, 113_732),
        ("tcn", 21, 6000, 2, 456_502),
        # the published code has a bias before each norm too: 64 * 4 + 128 * 7 + 2 * 64 * 0 = 1152 in all
        ("resnet", 1, 150, 2, 504_258 - 1_152),
    ],
)
def test_a_model_has_the_parameters_of_its_paper(name, n_channels, n_times, n_outputs, expected):
    assert size(name, n_channels, n_times, n_outputs) == expected


def test_resnet_has_the_parameters_of_its_formula():
    a, b, c, n_in, n_out = 5, 7, 7, 3, 4
    kernels = (8 * n_in + 5 * a + 3 * a + n_in) * a + (8 * a + 5 * b + 3 * b + a) * b + (8 * b + 5 * c + 3 * c) * c
    norms = 2 * 4 * (a + b + c)
    assert size("resnet", n_in, 30, n_out, widths=[a, b, c]) == kernels + norms + (c + 1) * n_out


@pytest.mark.parametrize("n_in", [1, 6])
def test_inceptiontime_has_the_parameters_of_its_formula(n_in):
    width, kernels, wide = 32, 40 + 20 + 10, 4 * 32

    def module(n):
        reduced = n if n == 1 else width
        return (n * width if n > 1 else 0) + kernels * reduced * width + n * width + 2 * wide

    skips = n_in * wide + wide * wide + 2 * 2 * wide
    assert size("inceptiontime", n_in, 100, 3) == module(n_in) + 5 * module(wide) + skips + (wide + 1) * 3


@pytest.mark.parametrize("layers", [1, 3])
def test_gru_has_the_parameters_of_its_formula(layers):
    n_in, width = 6, 10
    inner = sum(3 * width * (n + width + 2) for n in [n_in, *[width] * (layers - 1)])
    assert size("gru", n_in, 100, 2, width=width, layers=layers) == inner + (width + 1) * 2


def test_tcn_without_norm_has_a_bias_a_filter_in_its_place():
    assert size("tcn", 21, 600, 2) - size("tcn", 21, 600, 2, norm="none") == 2 * 5 * 55


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_is_a_plain_parameter_that_a_spectrum_finds(name):
    net = small(name)
    assert not any(hasattr(module, "parametrizations") for module in net.modules())
    found = {id(each) for slot in weight_slots(net) for each in slot.parameters()}
    assert found == {id(each) for each in net.parameters() if each.ndim > 1}


# ---- windows


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("more", [0, 1, 2, 50])
@pytest.mark.parametrize(("n_outputs", "shape"), [(4, (4,)), ((3, 6), (3, 6)), ([2], (2,))])
def test_any_length_from_the_shortest_gives_outputs_of_the_asked_shape(name, more, n_outputs, shape):
    n_times = SHORTEST.get(name, 1) + more
    assert small(name, n_times=n_times, n_outputs=n_outputs)(torch.zeros(2, 3, n_times)).shape == (2, *shape)


@pytest.mark.parametrize("name", SHORTEST)
def test_windows_that_are_too_short_are_refused_with_what_to_change(name):
    fewest = SHORTEST[name]
    with pytest.raises(
        ConfigError, match=rf"'{name}': expected windows of at least {fewest} .* got {fewest - 1}; .*pool"
    ):
        small(name, n_times=fewest - 1)


@pytest.mark.parametrize("name", ONE_LENGTH)
@pytest.mark.parametrize("n_times", [19, 21])
def test_a_net_of_one_length_refuses_others(name, n_times):
    with pytest.raises(ConfigError, match=f"windows of 20 samples.*got {n_times}"):
        small(name)(torch.zeros(2, 3, n_times))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ONE_LENGTH])
def test_a_net_that_is_not_of_one_length_takes_others(name):
    assert small(name)(torch.zeros(2, 3, 33)).shape == (2, 4)


@pytest.mark.parametrize("name", ONE_LENGTH)
def test_a_net_of_one_length_sees_padding_as_zeros(name):
    net, x = small(name).eval(), draws(2, 3, 20)
    valid = torch.arange(20)[None] < torch.tensor([20, 12])[:, None]
    assert torch.equal(net(x, valid), net(x * valid[:, None]))
    longer = torch.cat([x, draws(2, 3, 7)], dim=2)
    assert torch.equal(net(longer, nn.functional.pad(valid, (0, 7))), net(x, valid))


# ---- what the parts compute


@pytest.mark.parametrize("name", ["tcn", "gru"])
def test_causal_nets_do_not_see_what_comes_later(name):
    net, x = small(name, pool="last").eval(), draws(1, 3, 20)
    parts = [part for key, part in net.named_children() if key not in ("pool", "head", "dropout")]
    early = nn.Sequential(*parts)
    later = torch.cat([x[..., :12], draws(1, 3, 8, seed=2)], dim=2)
    assert torch.equal(early(x)[..., :12], early(later)[..., :12])
    assert not torch.equal(early(x)[..., 12:], early(later)[..., 12:])


def test_tcn_sees_as_many_samples_as_it_says():
    net, x = small("tcn", n_times=80, pool="last", norm="none").eval(), draws(1, 3, 80).requires_grad_()
    net(x).sum().backward()
    seen = torch.as_tensor(x.grad).abs().sum(dim=(0, 1)) > 0
    assert int(seen.sum()) == 1 + 2 * (4 - 1) * (2**3 - 1)


def test_shallow_is_log_band_power_of_filtered_signals():
    net: Any = small("shallow").double().eval()
    x = draws(2, 3, 20).double()
    filtered = torch.stack([nn.functional.conv1d(x[:, c : c + 1], net.conv_time.weight[:, 0]) for c in range(3)], 1)
    filtered = filtered + net.conv_time.bias[:, None]
    spatial = torch.einsum("fgc,bcgt->bft", net.conv_space.weight[..., 0], filtered) / math.sqrt(1 + net.norm.eps)
    power = spatial.square().unfold(2, 5, 2).mean(dim=-1)
    expected = net.head(power.clamp(min=1e-6).log().flatten(1))
    torch.testing.assert_close(net(x), expected, rtol=1e-12, atol=1e-12)


def test_attention_is_that_of_torch():
    from sciml.nn.models.attention import SelfAttention

    ours = SelfAttention(16, heads=2, head_dim=8).double().eval()
    theirs = nn.MultiheadAttention(16, 2, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    x = draws(3, 16, 7).double()
    z = ours.norm(x.mT)
    torch.testing.assert_close(ours(x).mT, theirs(z, z, z)[0], rtol=1e-12, atol=1e-12)


def test_atcnet_averages_votes_of_shifted_windows():
    net: Any = small("atcnet").eval()
    stem = [part for key, part in net.named_children() if key != "windows"]
    x = nn.Sequential(*stem)(draws(2, 3, 20))
    votes = [net.windows[0](x[..., :2]), net.windows[1](x[..., 1:])]
    torch.testing.assert_close(net.windows(x), (votes[0] + votes[1]) / 2)


def test_inception_modules_lay_filters_and_the_largest_of_three_side_by_side():
    net: Any = small("inceptiontime", width=2, depth=1, norm="none", activation="identity").eval()
    x = draws(2, 3, 20)
    features = net.module1.features
    reduced = features.filters.bottleneck(x)
    each = [branch(reduced) for branch in features.filters.filters.values()]
    largest = features.largest.conv(nn.functional.max_pool1d(x, 3, 1, 1))
    torch.testing.assert_close(net.module1(x), torch.cat([*each, largest], dim=1))


# ---- largest norms


@pytest.mark.parametrize(
    ("name", "limits"),
    [("eegnet", {"conv_space": 1.0, "head": 0.25}), ("atcnet", {"windows.0.head": 0.25, "windows.1.head": 0.25})],
)
def test_weights_are_brought_within_their_largest_norms_and_no_others_are_touched(name, limits):
    net: Any = small(name)
    assert net.max_norms == limits
    for each in net.parameters():
        nn.init.constant_(each, 2.0)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    models.constrain(nn.Sequential(net))
    for key, value in net.state_dict().items():
        limit = limits.get(key.removesuffix(".weight")) if key.endswith(".weight") else None
        if limit is None:
            assert torch.equal(value, before[key]), key
        else:
            torch.testing.assert_close(value.flatten(1).norm(dim=1), torch.full((len(value),), limit))


def test_weights_within_their_norms_keep_their_bits():
    net: Any = small("eegnet")
    for name in net.max_norms:
        nn.init.constant_(net.get_parameter(f"{name}.weight"), 1e-3)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    models.constrain(net)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


# ---- every room


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name):
    """As in evaluation: batch statistics take away a shift of what they normalize."""
    net = small(name).eval()
    net(draws(8, 3, 20)).square().sum().backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        # a softmax takes away what all its arguments share
        assert key.endswith("key.bias") or parameter.grad.abs().max() > 1e-6, key


@pytest.mark.parametrize("name", NAMES)
def test_the_structure_is_traced_with_every_weight_used_once(name):
    found = structure(small(name))
    assert found.traced
    assert {layer.name for layer in found.layers} == {slot.name for slot in found.slots}
    assert all(layer.uses == 1 for layer in found.layers if "weight_" not in layer.name)
    assert bool(found.branches) == (name in WITH_BRANCHES)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_every_method_starts_a_net_or_says_why_not(name, method):
    net, x = small(name), draws(16, 3, 20)
    options: dict[str, Any] = {
        "sample": x,
        "targets": torch.arange(16) % 4,
        "generator": torch.Generator().manual_seed(1),
    }
    why = ""
    if method in SCALED:
        why = "end in a factor" if name in WITH_BRANCHES else "with residual branches"
    elif method in RESIDUAL and name not in WITH_BRANCHES:
        why = "with residual branches"
    elif method == "critical" and name == "shallow":
        why = "one kind of activation"
    if why:
        with pytest.raises(ConfigError, match=why):
            initialize(net, method, **options)
        return
    report = initialize(net, method, **options)
    assert report.untouched == ()
    assert torch.isfinite(net.eval()(x)).all()


@pytest.mark.parametrize("name", NAMES)
def test_propagation_is_measured(name):
    net = small(name)
    initialize(net, "glorot", generator=torch.Generator().manual_seed(1))
    found = propagation(net, draws(8, 3, 20))
    assert len(found.points) > 0
    assert all(math.isfinite(point.second) for point in found.points)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("padded", [False, True])
def test_a_step_runs_with_all_tensors_on_the_meta_device(name, padded):
    """Where a tensor of the CPU is mixed in, or a value is read back, torch raises."""
    with torch.device("meta"):
        net = models.build(name, n_channels=3, n_times=20, n_outputs=(2, 5), **SMALL[name])
        x, valid = torch.zeros(4, 3, 20), torch.ones(4, 20, dtype=torch.bool)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    out = net(x, valid) if padded else net(x)
    assert (out.device.type, out.shape) == ("meta", (4, 2, 5))
    out.square().mean().backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    models.constrain(net)


@pytest.mark.parametrize("name", NAMES)
def test_algorithms_are_deterministic(name):
    before = torch.are_deterministic_algorithms_enabled()
    try:
        torch.use_deterministic_algorithms(True)
        found = []
        for _ in range(2):
            net = small(name)
            torch.manual_seed(3)
            net(draws(6, 3, 20)).square().sum().backward()
            found.append([each.grad for each in net.parameters()])
    finally:
        torch.use_deterministic_algorithms(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
