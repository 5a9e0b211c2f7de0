"""Every net from a configuration to a run, and what the run says of other recordings."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from sciml.errors import ConfigError
from sciml.pipeline import dry_run, predict, report_on, run, validate
from sciml.pipeline.model import n_parameters, restore
from sciml.pipeline.run_folder import RunFolder
from sciml.pipeline.spectra import analyze, truncate_run
from sciml.pipeline.spectra.trained import open_run
from sciml.simulate import population_recording, write_nwb
from sciml.train import checkpoint
from sciml_cli.commands.fit import fit
from tests.nn.small import SMALL


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety seconds of eight neurons, of whose trials a second each is a window."""
    recording = population_recording(n_neurons=8, duration=90.0, seed=1)
    return write_nwb(recording, tmp_path_factory.mktemp("short") / "short.nwb")


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recording = population_recording(n_neurons=8, duration=60.0, seed=2)
    return write_nwb(recording, tmp_path_factory.mktemp("another") / "another.nwb")


def settings(file: Path, name: str, task: str = "classify", **options):
    labels = {"labels": "intervals/trials:stimulus"} if task == "classify" else {}
    return validate(
        {
            "task": task,
            "data": {"files": [str(file)], **labels},
            "windows": {"length": 1.0},
            "noise": {"denoise": False},
            "model": {"name": name, "options": SMALL[name] | options},
            "train": {"steps": 3, "device": "cpu"},
        }
    )


@pytest.mark.parametrize(
    ("name", "task"),
    [*((name, "classify") for name in SMALL if name not in ("fcn", "resnet1d", "linear")), ("tcn", "forecast")],
)
def test_a_run_trains_a_net_and_predicts_with_it(short, another, tmp_path, name, task):
    config = settings(short, name, task)
    plan = dry_run(config)
    done = run(config, out=tmp_path / "run")
    restored = restore(done.out)
    net: Any = restored.model.net
    assert n_parameters(net) == plan.parameters
    weights = checkpoint.load_best(done.out / "checkpoints").state["model"]
    assert all(torch.equal(value, weights[key]) for key, value in restored.model.state_dict().items())
    for key, limit in getattr(net, "max_norms", {}).items():
        norms = net.get_parameter(f"{key}.weight").detach().flatten(1).norm(dim=1)
        assert float(norms.max()) <= limit * (1 + 1e-5)
    found = predict(done.out, another).dataset
    said = found["logits" if task == "classify" else "forecast"].values
    assert np.isfinite(said).all()
    assert json.loads((done.out / "report.json").read_text())["numbers"]


OWN = """
import torch
from torch import nn


class Raw(nn.Module):
    def __init__(self, n_channels, n_outputs):
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(n_outputs, n_channels))
        self.gain = nn.Parameter(torch.ones(n_outputs))

    def forward(self, x):
        return torch.einsum("oc,bct->bo", self.matrix, x) * self.gain


class Mine(nn.Module):
    def __init__(self, n_channels, n_outputs, width=3):
        super().__init__()
        self.inner = nn.Linear(n_channels, width)
        self.gate = nn.Linear(n_channels, width)
        self.head = nn.Linear(width, n_outputs)

    def forward(self, x):
        x = x.mT
        return self.head((torch.relu(self.inner(x)) * torch.sigmoid(self.gate(x))).mean(1))
"""


@pytest.fixture(scope="module")
def own(short: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A run with a net of the user's own, and its import path."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "nets_of_test_nets.py").write_text(OWN)
    name = "nets_of_test_nets:Mine"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = settings(short, "fcn").model_dump(mode="json")
        config["model"] = {"name": name, "options": {"width": 4}}
        run(validate(config), out=folder / "run")
        yield folder / "run", name
        sys.modules.pop("nets_of_test_nets", None)


def test_a_net_of_the_users_own_is_trained_by_its_import_path(own):
    path, name = own
    net: Any = restore(path, net=name).model.net
    assert (net.inner.out_features, type(net).__name__) == (4, "Mine")
    assert json.loads((path / "metrics.json").read_text())["net"]["accuracy"] >= 0


def test_a_net_of_no_known_layer_is_trained_as_its_class_draws_it(own, short, another, tmp_path):
    path, name = own
    config = RunFolder(path).config().model_dump(mode="json")
    raw = name.replace("Mine", "Raw")
    done = run(validate(config | {"model": {"name": raw, "options": {}}}), out=tmp_path / "run")
    restored = restore(done.out, net=raw)
    assert restored.initialization["method"] == "default"
    assert restored.initialization["untouched"] == ("matrix", "gain")
    assert np.isfinite(predict(done.out, another, net=raw).dataset["logits"].values).all()


@pytest.mark.parametrize("given", [None, "nets_of_test_nets:Other"])
def test_no_code_is_imported_because_a_run_names_it(own, another, monkeypatch, given):
    path, name = own
    monkeypatch.delitem(sys.modules, "nets_of_test_nets")
    for doubted in (
        lambda: restore(path, net=given),
        lambda: predict(path, another, net=given),
        lambda: analyze(path, parts=(), net=given),
        lambda: truncate_run(path, net=given),
        lambda: report_on(path, net=given),
    ):
        with pytest.raises(ConfigError, match=f"--net {name}"):
            doubted()
    assert "nets_of_test_nets" not in sys.modules


def test_a_configuration_that_was_changed_to_name_code_imports_none(own, another, tmp_path):
    """The checkpoint names a net of the package, the configuration beside it one of somebody's."""
    path, _ = own
    state = checkpoint.load_best(path / "checkpoints").state
    folder = shutil.copytree(path, tmp_path / "run")
    for file in (folder / "checkpoints").iterdir():
        file.unlink()
    state["extra"]["net"] |= {"name": "linear"}
    checkpoint.save(folder / "checkpoints", state, step=1, kind="best")
    with pytest.raises(ConfigError, match="no code is imported because a run names it"):
        open_run(folder)


def test_a_run_whose_net_is_named_again_is_applied_and_measured(own, another):
    path, name = own
    assert np.isfinite(predict(path, another, net=name).dataset["logits"].values).all()
    record = analyze(path, parts=("jacobian",), net=name)
    assert [layer.name for layer in record.weights] == ["inner", "gate", "head"]
    assert record.jacobian is not None


def test_a_run_of_ones_own_net_is_resumed_where_it_is_named(own):
    path, name = own
    config = ("--resume", "--out", str(path))
    done = CliRunner().invoke(fit, config)
    assert isinstance(done.exception, ConfigError)
    assert f"--model {name}" in str(done.exception)
    for naming in (("--model", name), ("--set", f"model.name={name}")):
        assert CliRunner().invoke(fit, (*config, *naming)).exit_code == 0


@pytest.mark.parametrize("key", ["n_channels", "n_outputs", "name"])
def test_options_that_follow_from_the_data_are_refused(short, key):
    config = settings(short, "gru").model_dump(mode="json")
    config["model"]["options"][key] = 3
    with pytest.raises(ConfigError, match=f"model.options: {key} follow from the data"):
        dry_run(validate(config))
