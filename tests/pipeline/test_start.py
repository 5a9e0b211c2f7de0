"""How the net of a run starts: what the method of initialization is given, and what is kept of it."""

import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sciml.data import Preprocess
from sciml.errors import ConfigError
from sciml.nn.init import METHODS
from sciml.pipeline import run, validate
from sciml.pipeline.config.sections import MethodName
from sciml.pipeline.model import build_net
from sciml.pipeline.start import FirstBatch, first_batch, start
from sciml.pipeline.tasks.base import get_task
from sciml.pipeline.windows import load_for, resolve, split_windows
from sciml.simulate import population_recording, write_nwb
from sciml.train import checkpoint
from tests.nn.small import draws, small

NET = {"name": "resnet1d", "options": {"norm": "none", "blocks": 3, "width": 8, "kernel": 3}}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recording = population_recording(n_neurons=16, duration=120.0)
    return write_nwb(recording, tmp_path_factory.mktemp("start") / "small.nwb")


def settings(file: Path, task: str, method: str) -> dict[str, Any]:
    labels = {"labels": "intervals/trials:stimulus"} if task == "classify" else {}
    return {
        "task": task,
        "data": {"files": [str(file)], **labels},
        "model": NET,
        "init": {"method": method},
        "train": {"steps": 2, "device": "cpu"},
    }


def test_the_configuration_knows_every_method() -> None:
    assert set(typing.get_args(MethodName)) == set(METHODS)


@pytest.mark.parametrize(("name", "method"), [("fcn", "critical"), ("shallow", "glorot"), ("gru", "critical")])
def test_a_start_that_is_left_open_is_critical_where_its_theory_applies(name: str, method: str) -> None:
    batch = FirstBatch(draws(8, 3, 20), None, np.zeros(8, dtype=np.intp))
    nets = [small(name), small(name)]
    report = start(nets[0], "auto", batch, seed=3, options={})
    assert report.method == method
    assert any("critical does not apply: expected one kind" in note for note in report.notes) == (name == "shallow")
    start(nets[1], method, batch, seed=3, options={})
    assert all(torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True))


def test_options_of_a_start_are_those_of_critical_and_are_not_dropped() -> None:
    batch = FirstBatch(draws(8, 3, 20), None, np.zeros(8, dtype=np.intp))
    assert start(small("fcn"), "auto", batch, seed=0, options={"law": "orthogonal"}).layers[0].law == "delta"
    with pytest.raises(ConfigError, match="one kind of activation"):
        start(small("shallow"), "auto", batch, seed=0, options={"law": "orthogonal"})


@pytest.mark.parametrize("task", ["classify", "forecast"])
def test_the_net_starts_from_what_it_has_to_say(file: Path, task: str) -> None:
    config = validate(settings(file, task, "spectral"))
    loaded = load_for(config)
    cut = split_windows(resolve(config, loaded), loaded.held())
    windows, split = cut.windows, cut.split
    preprocess = Preprocess.fit(windows, split.train)
    batch = first_batch(cut.config, windows, preprocess, split)
    assert len(batch.sample) == len(split.train)
    assert batch.targets is not None
    assert batch.groups.tolist() == split.block[split.train].tolist()
    if task == "classify":
        assert windows.labels is not None
        assert batch.targets.tolist() == windows.labels[split.train].tolist()
        return
    # a net that says these numbers makes a model that says the targets
    net = build_net(cut.config, windows)
    report = start(net, "spectral", batch, seed=0, options={})
    said = next(note for note in report.notes if note.startswith("last layer"))
    X, y = windows.arrays(split.train)
    assert y is not None
    with torch.no_grad():
        model = get_task(task).assemble(preprocess, net).eval()
        wrong = model(torch.from_numpy(X)) - torch.from_numpy(preprocess.standardize_target(y))
        silent = batch.targets.square().mean()
    if "solved" in said:
        assert wrong.square().mean() < 0.95 * silent
    else:
        assert wrong.square().mean() == pytest.approx(float(silent), rel=1e-4)


def test_other_methods_are_measured_on_the_first_windows(file: Path) -> None:
    config = validate(settings(file, "forecast", "he"))
    loaded = load_for(config)
    cut = split_windows(resolve(config, loaded), loaded.held())
    preprocess = Preprocess.fit(cut.windows, cut.split.train)
    batch = first_batch(cut.config, cut.windows, preprocess, cut.split)
    assert len(batch.sample) == min(64, len(cut.split.train))


def test_the_checkpoint_tells_how_the_net_began(file: Path, tmp_path: Path) -> None:
    run(validate(settings(file, "classify", "spectral")), out=tmp_path / "run")
    kept = checkpoint.load_best(tmp_path / "run" / "checkpoints").state["extra"]["initialization"]
    assert kept["method"] == "spectral"
    assert [row["name"] for row in kept["layers"]][:2] == ["stem.conv", "block1.branch.conv1"]
    assert any("first layer" in note for note in kept["notes"])
