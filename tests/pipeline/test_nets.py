"""Every net from a configuration to a run, and what the run says of other recordings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sciml.pipeline import dry_run, predict, run, validate
from sciml.pipeline.model import n_parameters, restore
from sciml.simulate import population_recording, write_nwb
from sciml.train import checkpoint
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
