"""Nets without their noise: never worse than asked, and what they cost and save is what they say."""

import copy
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.utils import parametrizations

from sciml.errors import ConfigError, DataError
from sciml.nn.models import build
from sciml.spectra import truncate, weight_spectra
from sciml.spectra.truncation import Thin

cross_entropy = nn.functional.cross_entropy
Batches = list[tuple[torch.Tensor, torch.Tensor]]


def spiked(*shape: int, seed: int = 0, n: int = 2) -> torch.Tensor:
    """Noise and n strong directions, of the shape of a weight."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = shape[0], math.prod(shape[1:])
    left, right = (torch.linalg.qr(torch.randn(size, n, generator=generator)).Q for size in (rows, columns))
    matrix = torch.randn(rows, columns, generator=generator) / math.sqrt(columns)
    return (matrix + 6.0 * left @ right.mT).reshape(shape)


def with_directions(layer: Any, *names: str) -> Any:
    with torch.no_grad():
        for i, name in enumerate(names or ("weight",)):
            weight = getattr(layer, name)
            if isinstance(layer, nn.ConvTranspose1d):
                out_first = spiked(weight.shape[1], weight.shape[0], *weight.shape[2:], seed=i)
                weight.copy_(out_first.transpose(0, 1))
            else:
                weight.copy_(spiked(*weight.shape, seed=i))
    return layer


LAYERS: dict[str, tuple[Any, torch.Tensor]] = {
    "linear": (lambda: nn.Linear(90, 60), torch.randn(5, 90)),
    "conv1d": (lambda: nn.Conv1d(20, 60, 5, padding=2, stride=2, dilation=2), torch.randn(5, 20, 30)),
    "conv2d, circular": (lambda: nn.Conv2d(20, 60, 3, padding=1, padding_mode="circular"), torch.randn(2, 20, 6, 7)),
    "transposed": (lambda: nn.ConvTranspose1d(60, 50, 3, stride=2, padding=1), torch.randn(5, 60, 9)),
    "embedding": (lambda: nn.Embedding(90, 60), torch.arange(20).reshape(4, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_two_thin_layers_are_the_part_above_the_noise(name: str) -> None:
    make, x = LAYERS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(with_directions(make()))
    thin, dense = (truncate(net, form=form, alpha=1e-3) for form in ("thin", "dense"))  # no false alarm in five layers
    assert [each.form for each in (*thin.layers, *dense.layers)] == ["thin", "dense"]
    assert thin.layers[0].rank == 2
    one, other = next(iter(thin.model.children())), next(iter(dense.model.children()))
    assert isinstance(one, Thin)
    torch.testing.assert_close(thin.model(x), dense.model(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(one.weight, other.weight, rtol=1e-4, atol=1e-5)
    assert thin.n_parameters_after == sum(each.numel() for each in thin.model.parameters())
    assert thin.n_parameters_after < thin.n_parameters_before == dense.n_parameters_after
    saved = thin.layers[0].n_parameters - thin.layers[0].n_parameters_after
    assert thin.n_parameters_before - thin.n_parameters_after == saved


@pytest.mark.parametrize("shrinkage", ["hard", "frobenius", "operator", "nuclear"])
def test_shrinkage_is_that_of_white_noise(shrinkage: Any) -> None:
    n, p, strength = 300, 200, 4.0
    generator = torch.Generator().manual_seed(0)
    u, v = (torch.linalg.qr(torch.randn(size, 1, generator=generator, dtype=torch.float64)).Q for size in (p, n))
    layer: Any = nn.Linear(n, p, bias=False).double()
    noise = torch.randn(p, n, generator=generator, dtype=torch.float64) / math.sqrt(n)
    layer.weight = nn.Parameter(strength * u @ v.mT + noise)
    model: Any = truncate(layer, shrinkage=shrinkage, form="dense").model
    found = model.weight.detach()
    value, second = torch.linalg.svdvals(found)[:2].tolist()
    assert second < 1e-10
    beta = p / n
    y = math.sqrt((strength + 1 / strength) * (strength + beta / strength))
    expected = {"hard": y, "operator": strength, "frobenius": math.sqrt((y**2 - beta - 1) ** 2 - 4 * beta) / y}
    # the outlier fluctuates by about 1 / √n = 0.06: 4 of these
    if shrinkage in expected:
        assert value == pytest.approx(expected[shrinkage], abs=0.24)
    error = float(torch.linalg.matrix_norm(found - strength * u @ v.mT))
    assert error < 0.2 * float(torch.linalg.matrix_norm(noise))


def test_rows_of_unequal_scale_keep_their_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    scale = torch.logspace(-1, 1, 120, dtype=torch.float64)[torch.randperm(120, generator=generator)][:, None]
    signal = 0.5 * scale * torch.randn(200, generator=generator, dtype=torch.float64).sign()
    noise = scale * torch.randn(120, 200, generator=generator, dtype=torch.float64)
    layer: Any = nn.Linear(200, 120, bias=False).double()
    layer.weight = nn.Parameter(signal + noise)
    found = truncate(layer, form="dense")
    assert found.layers[0].rank == 1
    model: Any = found.model
    relative = (model.weight.detach() - signal) / scale
    # noise of variance 1 in one direction: (120 + 200) / (120 · 200) = 0.013
    assert float(relative.square().mean()) < 0.03


def mixed() -> nn.Module:
    torch.manual_seed(0)
    parts = {
        "learned": with_directions(nn.Linear(90, 60)),
        "start": nn.Linear(90, 60),
        "orthogonal": nn.Linear(90, 60),
        "grouped": with_directions(nn.Conv1d(60, 60, 9, groups=2)),
        "lstm": with_directions(nn.LSTM(70, 60), "weight_ih_l0"),
        "normed": parametrizations.weight_norm(with_directions(nn.Linear(90, 60))),
    }
    nn.init.orthogonal_(parts["orthogonal"].weight)
    return nn.ModuleDict(parts)


def test_each_layer_says_what_became_of_it() -> None:
    net = mixed()
    before = copy.deepcopy(net.state_dict())
    found = truncate(net)
    layers = {each.name: each for each in found.layers}
    assert layers.keys() == {each.name for each in weight_spectra(net)}
    assert (layers["learned"].replaced, layers["learned"].form, layers["learned"].reason) == (True, "thin", "")
    assert not layers["start"].replaced
    assert "without data" in layers["start"].reason
    assert not layers["orthogonal"].replaced
    assert "no noise floor" in layers["orthogonal"].reason
    assert layers["grouped"].form == "dense"
    assert layers["grouped"].reason == "a grouped convolution cannot be two layers"
    assert layers["normed"].form == "dense"
    assert "parametrization" in layers["normed"].reason
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert "held-out loss not measured" in found.summary()
    json.dumps(found.to_dict())
    assert all(len(values) == len(found.layers) for _, values, _ in found.variables().values())


def test_tied_weights_stay_one() -> None:
    net = nn.ModuleDict({"table": with_directions(nn.Embedding(90, 60)), "head": nn.Linear(60, 90, bias=False)})
    net["head"].weight = net["table"].weight
    found = truncate(net)
    assert [each.form for each in found.layers] == ["dense"]
    assert found.layers[0].reason == "the weight is shared with another layer"
    table, head = found.model.children()
    assert head.weight is table.weight


def digits() -> tuple[Batches, Batches]:
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    inputs = torch.as_tensor(x[order] / 16 - 0.5, dtype=torch.float32)
    targets = torch.as_tensor(y[order])
    parts = [
        list(zip(inputs[part].split(100), targets[part].split(100), strict=True))
        for part in (slice(1200), slice(1200, None))  # the last batch is shorter
    ]
    return parts[0], parts[1]


def trained(net: nn.Module, data: Batches, epochs: int) -> nn.Module:
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(epochs):
        for x, y in data:
            optimizer.zero_grad()
            cross_entropy(net(x), y).backward()
            optimizer.step()
    return net


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Unflatten(1, (8, 8)), build("fcn", n_channels=8, n_times=8, n_outputs=10, width=48))


NETS = {"perceptron": perceptron, "convolutional": convolutional}


@pytest.mark.parametrize("name", NETS)
def test_trained_net_is_no_worse_than_asked(name: str) -> None:
    torch.manual_seed(0)
    training, held_out = digits()
    net = trained(NETS[name](), training, 30)

    def loss_of(model: nn.Module) -> float:
        x, y = (torch.cat(each) for each in zip(*held_out, strict=True))
        with torch.no_grad():
            return float(cross_entropy(model.eval()(x), y))

    for tolerance in (0.0, 1.0):
        found = truncate(net.train(), loss=cross_entropy, data=held_out, tolerance=tolerance)
        assert all(module.training for module in found.model.modules())
        assert found.loss_before == pytest.approx(loss_of(copy.deepcopy(net)), rel=1e-5)
        assert found.loss_before is not None
        assert found.loss_after is not None
        assert found.loss_limit is not None
        assert found.loss_after <= found.loss_limit
        assert found.loss_limit == pytest.approx(found.loss_before * (1 + tolerance))
        assert loss_of(copy.deepcopy(found.model)) == pytest.approx(found.loss_after, rel=1e-4)
        assert all(each.loss is not None or each.reason for each in found.layers)
        assert found.n_parameters_after == sum(each.numel() for each in found.model.parameters())
    assert found.n_replaced >= 1
    assert found.n_parameters_after < found.n_parameters_before
    assert found.flops_before is not None
    assert found.flops_after is not None
    assert found.flops_after < found.flops_before


def test_operations_are_counted_by_sample() -> None:
    layer = with_directions(nn.Linear(90, 60, bias=False))
    data = [(torch.randn(7, 90), torch.zeros(7, 60))]
    found = truncate(layer, loss=nn.functional.mse_loss, data=data, tolerance=10.0)
    assert found.flops_before == 2 * 90 * 60
    assert found.flops_after == 2 * 2 * (90 + 60)


def test_a_loss_that_is_no_number_is_no_permission() -> None:
    layer = with_directions(nn.Linear(90, 60))
    original = layer.weight.detach().clone()
    x = torch.randn(4, 90, generator=torch.Generator().manual_seed(0))
    plain = layer(x).detach()

    def broken(output: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return torch.tensor(1.0 if torch.allclose(output, plain) else math.nan)

    found = truncate(layer, loss=broken, data=[(x, x)], tolerance=10.0)
    assert found.n_replaced == 0
    assert "would be nan" in found.layers[0].reason
    model: Any = found.model
    assert torch.equal(model.weight, original)


def test_only_layers_that_are_asked_for_change() -> None:
    net = nn.Sequential(with_directions(nn.Linear(90, 60)), with_directions(nn.Linear(60, 80)))
    found = truncate(net, layers=["1"])
    assert [each.replaced for each in found.layers] == [False, True]
    assert found.layers[0].reason == "not asked for"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"form": "thick"}, ConfigError, "dense, thin, got 'thick'"),
        ({"shrinkage": "soft"}, ConfigError, "soft"),
        ({"tolerance": -0.1}, ConfigError, "tolerance of at least 0"),
        ({"loss": cross_entropy}, ConfigError, "give both, or none"),
        ({"layers": ["nothing"]}, ConfigError, "got 'nothing'"),
        ({"loss": cross_entropy, "data": []}, DataError, "got no batch"),
    ],
    ids=["form", "shrinkage", "tolerance", "no data", "layer", "empty"],
)
def test_what_cannot_be_is_refused(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        truncate(nn.Linear(90, 60), **options)


def test_layer_that_the_net_does_not_need_becomes_zeros() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = nn.Linear(60, 60)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1e-6 * self.branch(x)

    x = torch.randn(20, 60, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    found = truncate(Branch(), loss=nn.functional.mse_loss, data=[(x, torch.zeros(20, 60))])
    assert (found.layers[0].rank, found.layers[0].form, found.layers[0].replaced) == (0, "dense", True)
    assert "zeros" in found.layers[0].reason


def test_net_with_a_layer_that_is_not_finite_is_refused() -> None:
    net = nn.Sequential(nn.Linear(20, 30), nn.Linear(30, 20))
    with torch.no_grad():
        net.get_parameter("1.weight")[0, 0] = math.nan
    with pytest.raises(DataError, match="'1': expected finite weights, got 1 of 600"):
        truncate(net)
