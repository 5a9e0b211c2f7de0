"""A task is one file and one line of the registry: everything else asks it."""

import json
import shutil
import sys
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.errors import CheckpointError, ConfigError, ScimlWarning
from sciml.pipeline import assign, dry_run, predict, report_on, run, to_toml, validate
from sciml.pipeline.tasks import TASKS
from sciml.pipeline.tasks.base import Task, get_task
from sciml.pipeline.tasks.classify import Classify
from sciml.pipeline.tasks.forecast import Forecasting
from sciml.pipeline.tasks.regress import Regress
from sciml_cli.app import run as command


@pytest.fixture
def dummy(monkeypatch: pytest.MonkeyPatch) -> str:
    """Lay the file beside the others, and add the line."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setitem(TASKS, "dummy", "dummy_task:Dummy")
    monkeypatch.delitem(sys.modules, "dummy_task", raising=False)
    return "dummy"


def test_a_task_is_configured_trained_evaluated_predicted_and_reported(
    dummy: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = assign({"task": dummy, "data": {"files": [str(file)]}, "train": {"epochs": 2, "device": "cpu"}})
    assert validate(tomllib.loads(to_toml(config))) == config
    planned = dry_run(config)
    assert planned.batch["y"]["unit"] == "dummies"
    assert planned.config.model.options == {"width": 4}

    result = run(config, out=tmp_path / "run")
    assert (result.metrics["task"], result.metrics["metric"]) == (dummy, "distance")
    assert "zero" in result.summary()
    made = json.loads((tmp_path / "run" / "report.json").read_text())
    assert made["subject"] == "What is the mean of the next second?"
    assert made["findings"][0]["text"].startswith("Held-out distance")
    assert made["numbers"]["scores"]["net"]["value"] == result.metrics["net"]["distance"]
    assert report_on(tmp_path / "run").kind == "weights"

    with pytest.warns(ScimlWarning, match="trained"):
        found = predict(tmp_path / "run", file, tmp_path / "out.nc")
    assert found.dataset["mean"].dims == ("window", "channel")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "out.nc", engine="h5netcdf"), found.dataset)

    words = ["fit", str(file), "--task", dummy, "--epochs", "1", "--device", "cpu", "-q", "--out", str(tmp_path / "b")]
    assert command(words) == 0
    assert "distance" in capsys.readouterr().out


def test_a_task_that_is_not_in_the_registry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"task: expected 'classify', 'regress' or 'forecast'.*; got 'foretell'"):
        validate({"task": "foretell"})
    with pytest.raises(CheckpointError, match="a task among classify, regress, forecast, got 'foretell'"):
        get_task("foretell")
    assert command(["fit", "x.nwb", "--task", "foretell", "--out", str(tmp_path / "run")]) == 2


OURS: tuple[Task, ...] = (Classify(), Regress(), Forecasting())  # the type checker compares them with the protocol


@pytest.mark.parametrize("name", TASKS)
def test_every_task_answers_every_question(name: str) -> None:
    task = get_task(name)
    questions = ("labels", "defaults", "windows", "output_shape", "target", "assemble", "test", "evaluate", "predict",
                 "question", "row", "loss", "score", "greater_is_better", "columns")  # fmt: skip
    assert [each for each in questions if not hasattr(task, each)] == []
    assert task.columns[0] == "model"


def test_events_count_as_their_weights_say(file: Path, tmp_path: Path) -> None:
    """Half of the events weigh nothing: the net and the baselines learn something else."""
    with h5py.File(shutil.copy(file, tmp_path / "weighed.nwb"), "a") as stored:
        trials = stored["intervals/trials"]
        n = len(trials["stimulus"])
        trials["weight"] = np.where(np.arange(n) % 2 == 0, 1.0, 0.0)
        trials["weight"].attrs.update(namespace="hdmf-common", neurodata_type="VectorData", description="")
        trials.attrs["colnames"] = [*trials.attrs["colnames"], "weight"]
    settings = {
        "data": {"files": [str(tmp_path / "weighed.nwb")], "labels": "intervals/trials:stimulus"},
        "model": {"options": {"width": 4}},
        "train": {"epochs": 2, "device": "cpu"},
    }
    alike = run(assign(settings), out=tmp_path / "alike").metrics
    weighed = run(assign(settings, ["data.weights=weight"]), out=tmp_path / "weighed").metrics
    for name in ("linear", "covariance", "kernels", "gaussian"):
        assert weighed["baselines"][name]["log_loss"] != alike["baselines"][name]["log_loss"]
    assert weighed["net"]["log_loss"] != alike["net"]["log_loss"]
