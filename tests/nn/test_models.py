"""Shapes, sizes and the spec of each model."""

import json
from typing import Any

import pytest
import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn import models
from tests.nn.small import SMALL

NAMES = list(SMALL)


def n_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def fcn_size(n_channels: int, n_outputs: int, width: int, kernels: tuple[int, int, int], *, norm: bool) -> int:
    a, b, c = kernels
    weights = a * n_channels * width + b * width * 2 * width + c * 2 * width * width
    per_filter = 2 if norm else 1  # weight and bias of the norm, or the bias of the filter
    return weights + per_filter * 4 * width + (width + 1) * n_outputs


def resnet_size(
    n_channels: int, n_outputs: int, width: int, blocks: int, layers: int, kernel: int, *, norm: bool
) -> int:
    convs = kernel * width * (n_channels + blocks * layers * width)
    norms = 2 * width * (blocks * layers + 1) if norm else width * (blocks * layers + 1)
    return convs + norms + (width + 1) * n_outputs


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize(
    ("n_channels", "n_outputs", "width", "kernels"), [(1, 2, 128, (8, 5, 3)), (7, 5, 12, (4, 3, 2))]
)
def test_fcn_has_the_parameters_of_its_formula(
    n_channels: int, n_outputs: int, width: int, kernels: tuple[int, int, int], norm: str
) -> None:
    model = models.build(
        "fcn", n_channels=n_channels, n_times=30, n_outputs=n_outputs, width=width, kernels=kernels, norm=norm
    )
    assert n_parameters(model) == fcn_size(n_channels, n_outputs, width, kernels, norm=norm != "none")


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize(("width", "blocks", "layers", "kernel"), [(64, 4, 2, 7), (10, 3, 1, 4)])
def test_resnet_has_the_parameters_of_its_formula(width: int, blocks: int, layers: int, kernel: int, norm: str) -> None:
    options = {"width": width, "blocks": blocks, "layers": layers, "kernel": kernel, "norm": norm}
    model = models.build("resnet1d", n_channels=5, n_times=30, n_outputs=3, **options)
    assert n_parameters(model) == resnet_size(5, 3, width, blocks, layers, kernel, norm=norm != "none")


def test_linear_is_one_matrix_and_a_bias() -> None:
    assert n_parameters(models.build("linear", n_channels=5, n_times=30, n_outputs=(3, 4))) == (5 * 30 + 1) * 12


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_of_plain_values_rebuilds_the_architecture(name: str) -> None:
    options = dict(SMALL[name]) | ({"kernels": (4, 3)} if name == "fcn" else {})
    model = models.build(name, n_channels=3, n_times=20, n_outputs=(2, 5), **options)
    again = models.build(**json.loads(json.dumps(model.spec)))
    again.load_state_dict(model.state_dict(), strict=True)
    x = torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.eval()(x), again.eval()(x))
    assert again.spec == model.spec


def test_convolutions_are_centered_whatever_the_parity_of_the_kernel() -> None:
    for kernel in (3, 4, 5, 8):
        model: Any = models.build("fcn", n_channels=1, n_times=31, n_outputs=1, width=1, kernels=[kernel], norm="none")
        conv = model.block1.conv
        with torch.no_grad():
            conv.weight.zero_()
            conv.bias.zero_()
            conv.weight[..., (kernel - 1) // 2] = 1.0
        x = torch.rand(1, 1, 31, generator=torch.Generator().manual_seed(kernel))
        assert torch.equal(model.block1(x), x)


def test_resnet_blocks_are_identity_skips() -> None:
    model = models.build("resnet1d", n_channels=2, n_times=20, n_outputs=1, width=8, blocks=3)
    blocks: list[Any] = [module for module in model.modules() if isinstance(module, models.Residual)]
    assert len(blocks) == 3
    x = torch.randn(2, 8, 20, generator=torch.Generator().manual_seed(0))
    for block in blocks:
        assert not torch.equal(block(x), x)
        nn.init.zeros_(block.branch[-1].weight)
        assert torch.equal(block(x), x)


@pytest.mark.parametrize("width", [1, 3, 4, 6, 7, 8, 12, 64, 100])
def test_group_norm_fits_every_width(width: int) -> None:
    model = models.build("resnet1d", n_channels=2, n_times=9, n_outputs=1, width=width, blocks=1)
    (norm,) = {(m.num_groups, m.num_channels) for m in model.modules() if isinstance(m, nn.GroupNorm)}
    assert width % norm[0] == 0
    assert norm[0] == 1 or width // norm[0] >= 4
    assert torch.isfinite(model(torch.ones(1, 2, 9))).all()


def test_last_sample_pooling_reads_the_end_of_the_window() -> None:
    model = models.build("fcn", n_channels=2, n_times=60, n_outputs=3, width=8, pool="last", norm="none")
    x = torch.randn(1, 2, 60, generator=torch.Generator().manual_seed(0))
    early, late = x.clone(), x.clone()
    early[..., :30] += 1.0  # the receptive field is 8 + 5 + 3 - 2 samples
    late[..., -1] += 1.0
    assert torch.equal(model(x), model(early))
    assert not torch.equal(model(x), model(late))


def test_dropout_acts_in_training_only() -> None:
    model = models.build("fcn", n_channels=2, n_times=20, n_outputs=3, width=8, dropout=0.5, norm="none")
    x = torch.ones(64, 2, 20)
    assert not torch.equal(model(x)[0], model(x)[1])
    assert torch.equal(model.eval()(x)[0], model(x)[1])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("fnc", {}, "did you mean 'fcn'"),
        ("fcn", {"widht": 3}, "unknown option 'widht'; did you mean 'width'.*its options: width, kernels"),
        ("linear", {"width": 3}, "its options: none"),
        ("fcn", {"width": 0}, "expected width"),
        ("fcn", {"kernels": []}, "expected kernels"),
        ("fcn", {"kernels": 5}, "expected kernels"),
        ("fcn", {"norm": "layer"}, "expected norm to be one of batch, group, none"),
        ("fcn", {"activation": "rleu"}, "did you mean 'relu'"),
        ("fcn", {"pool": "max"}, "expected pool"),
        ("fcn", {"dropout": 1.0}, "expected 0 <= dropout < 1"),
        ("resnet1d", {"blocks": 1.5}, "expected blocks"),
        ("fcn", {"n_channels": 0}, "expected n_channels"),
        ("fcn", {"n_outputs": ()}, "expected n_outputs"),
        ("fcn", {"n_outputs": True}, "expected n_outputs"),
    ],
)
def test_what_cannot_be_built_is_refused(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        models.build(name, **({"n_channels": 2, "n_times": 10, "n_outputs": 2} | arguments))


@pytest.mark.parametrize("shape", [(2, 4, 10), (3, 10), (2, 10, 3)])
def test_an_input_of_other_channels_is_refused(shape: tuple[int, ...]) -> None:
    model = models.build("fcn", n_channels=3, n_times=10, n_outputs=2, width=4)
    with pytest.raises(ConfigError, match="channel = 3"):
        model(torch.zeros(shape))


def test_plugins_join_the_family_and_cannot_replace_its_members(monkeypatch: pytest.MonkeyPatch) -> None:
    def factory(n_channels: int, n_times: int, n_outputs: tuple[int, ...], *, bias: bool = True) -> nn.Module:
        return nn.Linear(n_times, n_outputs[0], bias=bias)

    class Point:
        def __init__(self, name: str) -> None:
            self.name = name

        def load(self) -> Any:
            return factory

    def points(*, group: str, name: str | None = None) -> list[Point]:
        assert group == "sciml.models"
        return [Point(each) for each in ("mine", "fcn") if name in (None, each)]

    monkeypatch.setattr("sciml.nn.models.registry.entry_points", points)
    assert models.available() == (*models.MODELS, "mine")
    model: Any = models.build("mine", n_channels=1, n_times=10, n_outputs=2, bias=False)
    assert isinstance(model, nn.Linear)
    spec: Any = model.spec
    assert spec["bias"] is False
    assert isinstance(models.build("fcn", n_channels=1, n_times=10, n_outputs=2, width=4), models.SignalNet)
    with pytest.raises(ConfigError, match="its options: bias"):
        models.build("mine", n_channels=1, n_times=10, n_outputs=2, width=3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.gpu
def test_output_on_the_device_is_that_of_the_cpu(name: str, device: str) -> None:
    if device == "cpu":
        pytest.skip("run with --device cuda")
    model = models.build(name, n_channels=3, n_times=50, n_outputs=4, **SMALL[name]).double().eval()
    x = torch.randn(4, 3, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = model(x)
    torch.testing.assert_close(model.to(device)(x.to(device)).cpu(), expected)
