"""Singular values of Jacobians, against automatic differentiation of every entry, and the law of random weights."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from sciml.errors import ConfigError, DataError
from sciml.nn import models
from sciml.nn.propagate import jacobian_law
from sciml.spectra.jacobian import jacobian_spectrum
from tests.nn.small import SMALL, small


class Reader(nn.Module):
    """Embedding, recurrent, attention and normalized layers in one."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 12)
        self.recur = nn.LSTM(12, 8, batch_first=True)
        self.attend = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.attend(self.recur(self.embed(x))[0]).mean(dim=1))


def seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def draws(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def dense(net, x):
    rows = [torch.autograd.functional.jacobian(net, each[None]).reshape(-1, each.numel()) for each in x]
    return torch.linalg.svdvals(torch.stack(rows).double()).numpy()


def nets():
    return {
        "fully connected": (nn.Sequential(nn.Linear(12, 30), nn.GELU(), nn.Linear(30, 20)), draws(3, 12)),
        "group norm": (
            models.build("resnet1d", n_channels=2, n_times=16, n_outputs=3, width=8, norm="group"),
            draws(2, 2, 16),
        ),
        "batch norm": (models.build("fcn", n_channels=2, n_times=16, n_outputs=3, width=4), draws(2, 2, 16)),
        **{name: (small(name), draws(2, 3, 20)) for name in SMALL},
        "wide output": (nn.Sequential(nn.Linear(6, 40), nn.Tanh(), nn.LayerNorm(40)), draws(2, 6)),
    }


@pytest.mark.parametrize("name", ["fully connected", "group norm", "batch norm", "wide output", *SMALL])
def test_values_are_those_of_the_whole_matrix(name):
    net, x = seeded(nets)[name]
    expected = dense(net.eval(), x)
    whole = jacobian_spectrum(net, x)
    assert whole.exact
    assert whole.singular_values == pytest.approx(expected, rel=1e-4, abs=1e-5 * expected.max())
    assert whole.squared_gain == pytest.approx((expected**2).sum(axis=1) / x[0].numel(), rel=1e-4)
    few = jacobian_spectrum(net, x, exact=0, k=2, tolerance=1e-4)
    assert not few.exact
    assert np.abs(few.singular_values - expected[:, :2]).max() <= 2e-4 * expected.max()
    assert (few.errors <= 1e-4 * few.singular_values[:, :1]).all()


def test_recurrent_and_attention_layers_have_products_too():
    net = seeded(Reader)
    x = torch.arange(24).reshape(3, 8) % 20
    whole = jacobian_spectrum(net, x, start="embed", end="attend")
    few = jacobian_spectrum(net, x, start="embed", end="attend", exact=0, k=3, tolerance=1e-4)
    assert (whole.n_in, whole.n_out) == (96, 64)
    assert few.singular_values == pytest.approx(whole.singular_values[:, :3], rel=1e-3)
    probes = few.squared_gain.mean() / whole.squared_gain.mean()
    assert probes == pytest.approx(1.0, abs=0.5)  # 24 probes of a matrix of a few strong values


def test_equal_values_are_found_as_often_as_they_occur():
    weight = torch.diag(torch.tensor([2.0, 2.0, 1.0, 0.0, 0.0]))
    net = nn.Linear(5, 5, bias=False)
    with torch.no_grad():
        net.weight.copy_(weight)
    found = jacobian_spectrum(net, draws(2, 5), exact=0, k=5)
    assert found.singular_values == pytest.approx(np.tile([2.0, 2.0, 1.0, 0.0, 0.0], (2, 1)), abs=1e-5)


def test_the_net_is_left_as_found():
    net = seeded(lambda: models.build("resnet1d", n_channels=2, n_times=16, n_outputs=3, width=8))
    net.train()
    for each in net.parameters():
        each.grad = torch.ones_like(each)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes, state = [each.training for each in net.modules()], torch.get_rng_state()
    jacobian_spectrum(net, draws(2, 2, 16), exact=0, k=1)
    assert [each.training for each in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(torch.equal(each.grad, torch.ones_like(each)) for each in net.parameters())
    assert not any(each._forward_hooks for each in net.modules())


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_a_random_net_follows_the_law_of_its_variances(activation):
    layers = [100, 200, 50, 120]
    net = seeded(
        lambda: nn.Sequential(
            *(part for a, b in itertools.pairwise(layers) for part in (nn.Linear(a, b), activation()))
        )
    )
    found = jacobian_spectrum(net, draws(48, 100))
    assert found.law is not None
    assert found.squared_gain.mean() == pytest.approx(found.law.mean, rel=0.1)  # widths of 50: single nets scatter
    assert found.distance is not None
    assert found.expected is not None
    assert found.distance < 0.05
    assert found.expected[0] == pytest.approx(np.median(found.singular_values[:, 0]), rel=0.1)
    assert math.isclose(jacobian_law(net, draws(48, 100)).mean, found.law.mean)


def test_trained_weights_stand_apart_from_the_law_of_the_start():
    start = seeded(lambda: nn.Sequential(nn.Linear(60, 60), nn.Tanh(), nn.Linear(60, 60)))
    net = seeded(lambda: nn.Sequential(nn.Linear(60, 60), nn.Tanh(), nn.Linear(60, 60)))
    with torch.no_grad():
        net[0].weight += 3.0 * torch.outer(torch.ones(60), torch.ones(60)) / 60
        net[2].weight += 3.0 * torch.outer(torch.ones(60), torch.ones(60)) / 60
    found = jacobian_spectrum(net, 0.3 * draws(16, 60), initial=start)
    assert found.law is not None
    assert found.singular_values[:, 0].mean() > 2 * math.sqrt(found.law.support[1])


def test_theory_is_given_where_it_is_known_and_only_there():
    x = draws(8, 2, 32)
    residual = seeded(lambda: models.build("resnet1d", n_channels=2, n_times=32, n_outputs=3, norm="none"))
    found = jacobian_spectrum(residual, x)
    assert found.law is None
    assert "convolution" in found.note
    assert found.squared_gain.mean() == pytest.approx(found.expected_squared_gain, rel=0.5)
    batch = seeded(lambda: models.build("fcn", n_channels=2, n_times=32, n_outputs=3))
    assert math.isnan(jacobian_spectrum(batch, x).expected_squared_gain)
    assert jacobian_spectrum(batch, x).to_dict()["expected_squared_gain"] is None


def test_a_net_of_zeros_has_a_jacobian_of_zeros():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        for each in net.parameters():
            each.zero_()
    found = jacobian_spectrum(net, draws(4, 6))
    assert found.largest == 0.0
    assert found.law is None
    assert "squared gain 0" in repr(found)


def test_bad_input_is_refused_with_what_to_do():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    for options, text in (({"end": "5"}, "name of a module"), ({"k": 0}, "k >= 1")):
        with pytest.raises(ConfigError, match=text):
            jacobian_spectrum(net, draws(2, 4), **options)
    with pytest.raises(ConfigError, match="embedding"):
        jacobian_spectrum(Reader(), torch.zeros(2, 5, dtype=torch.long))
    twice = nn.Linear(4, 4)
    with pytest.raises(ConfigError, match="once"):
        jacobian_spectrum(nn.Sequential(twice, twice), draws(2, 4), end="0")
    with pytest.raises(ConfigError, match="depends"):
        jacobian_spectrum(net, draws(2, 4), start="1", end="0")
    with pytest.raises(DataError, match="finite"):
        jacobian_spectrum(net, torch.full((2, 4), math.nan))


def test_arrays_and_plain_values_agree():
    found = jacobian_spectrum(seeded(lambda: nn.Linear(6, 4)), draws(3, 6))
    dims, values, _ = found.variables()["singular_value"]
    assert dims == ("sample", "index")
    assert found.to_dict()["singular_values"] == values.tolist()
    assert "4 x 6 at 3 inputs" in found.summary()
