"""Nets of the user's own by import path: what they are called with, and what is said where they do not fit."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sciml._names import is_import_path
from sciml.errors import ConfigError
from sciml.nn import models

SOURCE = """
import torch
from torch import nn


class Mine(nn.Module):
    def __init__(self, n_channels, n_times, n_outputs, width=4):
        super().__init__()
        self.n_outputs = n_outputs
        self.inner = nn.Conv1d(n_channels, width, 3, padding=1)
        self.norm = nn.BatchNorm1d(width)
        shape = (n_outputs,) if isinstance(n_outputs, int) else n_outputs
        self.out = nn.Sequential(nn.Flatten(), nn.LazyLinear(torch.Size(shape).numel()), nn.Unflatten(1, shape))

    def forward(self, x):
        return self.out(torch.relu(self.norm(self.inner(x))))


class Renamed(nn.Module):
    def __init__(self, in_chans, n_classes):
        super().__init__()
        self.linear = nn.Linear(in_chans, n_classes)

    def forward(self, x):
        return self.linear(x.mean(-1))


class Everything(nn.Module):
    def __init__(self, **given):
        super().__init__()
        self.given = given
        self.linear = nn.Linear(given["n_times"], given["n_outputs"])

    def forward(self, x):
        return self.linear(x.mean(1))


def function(n_channels, *, n_outputs):
    return Renamed(n_channels, n_outputs)


class Outer:
    Inner = Mine


class WrongShape(Mine):
    def forward(self, x):
        return super().forward(x)[:, :1]


class Silent(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.n_outputs = n_outputs

    def forward(self, x):
        return x[:, : self.n_outputs].mean(-1)


class Refuses(Mine):
    def forward(self, x):
        raise ValueError("not these")


def no_net(n_channels):
    return n_channels


def fails(n_channels):
    raise RuntimeError("no room")


NUMBER = 3
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a module of nets in the working directory."""
    name = f"nets_of_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


def built(path: str, n_outputs: Any = 2, **options: Any) -> Any:
    return models.build(path, n_channels=3, n_times=10, n_outputs=n_outputs, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Mine", {}),
        ("Mine", {"width": 6}),
        ("Outer.Inner", {}),
        ("Renamed", {"in_chans": 3, "n_classes": 2}),
        ("Everything", {"other": [1, 2]}),
        ("function", {}),
    ],
)
def test_a_net_is_called_with_what_it_has_arguments_for(nets, name, options):
    before = list(sys.path)
    net = built(f"{nets}:{name}", **options)
    assert sys.path == before
    assert net.training
    assert net(torch.zeros(5, 3, 10)).shape == (5, 2)
    assert net.spec == {"name": f"{nets}:{name}", "n_channels": 3, "n_times": 10, "n_outputs": 2, **options}
    again = models.build(**net.spec)
    again.load_state_dict(net.state_dict(), strict=True)


@pytest.mark.parametrize(("n_outputs", "given"), [(2, 2), ([2], 2), ((3, 4), (3, 4))])
def test_one_number_of_outputs_is_a_number_and_several_dims_are_a_shape(nets, n_outputs, given):
    net = built(f"{nets}:Mine", n_outputs)
    assert net.n_outputs == given
    assert net(torch.zeros(1, 3, 10)).shape[1:] == torch.Size([given] if isinstance(given, int) else given)


def test_the_trial_pass_leaves_no_trace(nets):
    torch.manual_seed(0)
    net = built(f"{nets}:Mine")
    assert net.norm.num_batches_tracked == 0
    assert all(each.grad is None for each in net.parameters())


def test_a_module_that_is_installed_is_found_too():
    linear = models.build("torch.nn:Linear", n_channels=2, n_times=5, n_outputs=(2, 3), in_features=5, out_features=3)
    assert isinstance(linear, nn.Linear)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Mien", {}, "has no Mien"),
        ("NUMBER", {}, "expected a class or function that makes a net, got int"),
        ("no_net", {}, "expected a torch.nn.Module, got int"),
        ("fails", {}, "could not be built: RuntimeError: no room"),
        ("Mine", {"widht": 3}, "unexpected keyword argument 'widht'"),
        ("Renamed", {}, "missing a required argument: 'in_chans'"),
        ("WrongShape", {}, r"expected \(2, 2\) for windows \(2, 3, 10\) .* got \(2, 1\)"),
        ("Silent", {}, "has no parameter to train"),
        ("Refuses", {}, r"does not take windows \(2, 3, 10\) .*ValueError: not these"),
    ],
)
def test_what_does_not_fit_is_said(nets, name, options, message):
    with pytest.raises(ConfigError, match=message):
        built(f"{nets}:{name}", **options)


def test_a_module_that_is_not_there_is_said_with_where_it_is_looked_for():
    with pytest.raises(ConfigError, match=r"nowhere_at_all cannot be imported .*working directory"):
        built("nowhere_at_all:Net")


@pytest.mark.parametrize("name", ["a:b", "a.b:C", "a_1.b:C.D"])
def test_paths_are_told_from_names(name):
    assert is_import_path(name)


@pytest.mark.parametrize("name", ["fcn", "a:", ":b", "a/b:c", "a:b()", "a..b:c", "a:b:c", "a b:c", "a:b\n", 3, "é:b"])
def test_other_text_is_no_path(name):
    assert not is_import_path(name)
