"""Runs of several sessions: split by session, in folds, stopped and resumed, with what leaks in every output."""

import json
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.errors import CheckpointError, ConfigError, DataError, InterruptedRunError, ScimlWarning
from sciml.pipeline import Config, assign, dry_run, load_weights, predict, run
from sciml.simulate import population_recording, write_nwb

Labels = Callable[[int, int], list[str]]


def both_classes(session: int, n: int) -> list[str]:
    return list(np.random.default_rng(session).permutation((["left", "right"] * n)[:n]))


def one_class(session: int, n: int) -> list[str]:
    return [("left", "right")[session % 2]] * n


def write_sessions(folder: Path, labels: Labels) -> list[str]:
    """Six files, each a session of its own cells, whose trials have these labels."""
    paths = []
    for session in range(6):
        simulation = population_recording(n_neurons=6, duration=40.0, seed=session)
        path = write_nwb(simulation, folder / f"s{session}.nwb")
        with h5py.File(path, "a") as file:
            stimulus = file["intervals/trials/stimulus"]
            stimulus[...] = np.array(labels(session, len(stimulus)), dtype=object)
        paths.append(str(path))
    return paths


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_sessions(tmp_path_factory.mktemp("mixed"), both_classes)


@pytest.fixture(scope="module")
def pure(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_sessions(tmp_path_factory.mktemp("pure"), one_class)


def config(files: list[str], *assignments: str) -> Config:
    values: dict[str, Any] = {
        "data": {"files": files, "labels": "intervals/trials:stimulus"},
        "model": {"options": {"width": 4}},
        "noise": {"denoise": False, "model": "white"},
        "train": {"epochs": 2, "device": "cpu"},
    }
    return assign(values, assignments)


def comparable(out: Path) -> dict[str, Any]:
    """The numbers of a run without how long things took."""

    def without_seconds(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without_seconds(each) for key, each in value.items() if key not in ("seconds", "resumed_from")}
        return [without_seconds(each) for each in value] if isinstance(value, list) else value

    found: dict[str, Any] = without_seconds(json.loads((out / "metrics.json").read_text()))
    return found


def weights_of(fold: Path) -> dict[str, Any]:
    return {name: tensor.numpy().tobytes() for name, tensor in load_weights(fold).items()}


KILLED = """
import os, signal, sys
from pathlib import Path
from sciml.pipeline import load_config, run
class Killer:
    fold = 0
    def on_fit_start(self, state):
        self.fold += 1
    def on_epoch_end(self, state):
        if self.fold == 3 and state.epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
run(load_config(sys.argv[1]), out=sys.argv[2], callbacks=(Killer(),))
"""


def test_folds_killed_in_the_third_and_resumed_give_the_same_run(mixed: list[str], tmp_path: Path) -> None:
    asked = config(mixed, "split.folds=3")
    whole = run(asked, out=tmp_path / "whole")
    stored = tmp_path / "whole" / "config.toml"
    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(stored), str(tmp_path / "killed")],
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert json.loads((tmp_path / "killed" / "status.json").read_text())["fold"] in (2, 3)
    assert not (tmp_path / "killed" / "metrics.json").exists()
    resumed = run(asked, out=tmp_path / "killed", resume=True)
    assert comparable(resumed.out) == comparable(whole.out)
    for fold in "123":
        assert weights_of(resumed.out / "folds" / fold) == weights_of(whole.out / "folds" / fold)
    assert resumed.metrics["n_test"] == 96  # every window once
    assert [each["windows"] for each in resumed.metrics["split"]["folds"]] == [32, 32, 32]
    assert resumed.metrics["split"]["independence"] == "unit of independence: session, n = 6, 3 folds"
    report = (resumed.out / "report.html").read_text()
    assert "in 3 folds, each unit tested once" in report
    assert "What may leak from part to part" in report
    again = run(asked, out=resumed.out, resume=True)
    assert again.already_finished
    with pytest.warns(ScimlWarning) as said:
        found = predict(resumed.out, mixed[0])
    assert any("has 3 folds; the net of the first is applied" in str(each.message) for each in said)
    assert found.dataset.sizes["window"] == 16


def test_six_pure_sessions_are_split_by_session_and_not_testable(pure: list[str], tmp_path: Path) -> None:
    plan = dry_run(config(pure))
    assert plan.independence == "unit of independence: session, n = 6"
    assert plan.leakage["units"]["session"] == {"in two parts": 0, "n": 6}
    metrics = run(config(pure), out=tmp_path / "run").metrics
    assert metrics["net"]["above_chance"] is None
    assert metrics["chance"]["verdict"] == "not testable"
    assert metrics["chance"]["p_value"] is None
    assert metrics["split"]["leakage"]["session"] is None
    assert metrics["split"]["leakage"]["alarms"] == []


def test_pure_sessions_forced_to_blocks_of_time_give_the_alarm_in_every_output(pure: list[str], tmp_path: Path) -> None:
    with pytest.warns(ScimlWarning, match="6 of 6 sessions have windows in more than one part"):
        metrics = run(config(pure, "split.by=time"), out=tmp_path / "run").metrics
    assert metrics["net"]["above_chance"] is None
    session = metrics["split"]["leakage"]["session"]
    assert session["alarm"]
    assert session["on_split"] > session["held_out"] + 0.1
    [alarm] = metrics["split"]["leakage"]["alarms"]
    assert "a net may recognize the session instead of the class" in alarm
    assert json.loads((tmp_path / "run" / "split.json").read_text())["leakage"]["alarms"] == [alarm]
    findings = json.loads((tmp_path / "run" / "report.json").read_text())["findings"]
    assert "problem" in {each["severity"] for each in findings if "may recognize the session" in each["text"]}


def test_random_windows_are_refused_or_marked_in_every_output(mixed: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"split\.allow_leakage = true"):
        run(config(mixed, "split.by=random"), out=tmp_path / "run")
    allowed = config(mixed, "split.by=random", "split.allow_leakage=true")
    with pytest.warns(ScimlWarning, match="more than one part"):
        assert "at random" in dry_run(allowed).independence
    with pytest.warns(ScimlWarning, match="more than one part"):
        metrics = run(allowed, out=tmp_path / "run").metrics
    assert "dealt at random" in metrics["split"]["independence"]
    assert "dealt at random" in metrics["split"]["leakage"]["alarms"][0]
    assert "parted one by one at random" in (tmp_path / "run" / "report.html").read_text()
    changed = shutil.copy(mixed[0], tmp_path / "s0.nwb")
    with pytest.warns(ScimlWarning) as said:
        predict(tmp_path / "run", changed)
    assert any("are doubtful: windows were dealt at random" in str(each.message) for each in said)
    split = tmp_path / "run" / "split.json"
    content = json.loads(split.read_text())
    content["train"][0], content["test"][0] = content["test"][0], content["train"][0]
    split.write_text(json.dumps(content))
    with pytest.raises(DataError, match="the stored split was changed"):
        predict(tmp_path / "run", changed)


def test_a_column_of_the_events_is_a_unit_and_another_name_is_refused(mixed: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"split.by: expected one of .*start_time.* got 'stimulos'"):
        dry_run(config(mixed, "split.by=stimulos"))
    with pytest.raises(DataError, match="another value for each of 96 windows"):
        dry_run(config(mixed, "split.by=start_time"))


def test_sessions_of_the_events_table_are_sessions(mixed: list[str], tmp_path: Path) -> None:
    """One file that holds several sessions, told by a column of its trials."""
    path = shutil.copy(mixed[0], tmp_path / "one.nwb")
    with h5py.File(path, "a") as file:
        trials = file["intervals/trials"]
        column = trials.create_dataset("session_id", data=np.arange(16) // 4)
        column.attrs.update({"namespace": "hdmf-common", "neurodata_type": "VectorData", "description": "session"})
        trials.attrs["colnames"] = [*trials.attrs["colnames"], "session_id"]
    plan = dry_run(config([str(path)]))
    assert plan.independence == "unit of independence: session, n = 4"


def test_units_too_few_are_refused(mixed: list[str]) -> None:
    with pytest.raises(DataError, match=r"at least 3 units \(session\) for 3 parts, got 2"):
        dry_run(config(mixed[:2], "split.by=session"))
    with pytest.raises(DataError, match=r"at least 7 units \(session\) for 7 folds, got 6"):
        dry_run(config(mixed, "split.by=session", "split.folds=7"))


class Stop:
    """Ends a run after its first epoch, as Ctrl-C does."""

    def on_epoch_end(self, state: Any) -> None:
        raise KeyboardInterrupt


def test_a_changed_file_is_named_on_resume(mixed: list[str], tmp_path: Path) -> None:
    files = [str(shutil.copy(each, tmp_path)) for each in mixed[:3]]
    asked = config(files)
    with pytest.raises(InterruptedRunError, match="resume"):
        run(asked, out=tmp_path / "run", callbacks=(Stop(),))
    with h5py.File(files[1], "a") as file:
        data = file["processing/ophys/DfOverF/RoiResponseSeries/data"]
        data[100:200] = data[100:200][::-1]
    with pytest.raises(CheckpointError, match=r"changed since: s1.nwb"):
        run(asked, out=tmp_path / "run", resume=True)


def test_a_file_that_changed_since_training_is_named_when_the_run_is_used(mixed: list[str], tmp_path: Path) -> None:
    files = [str(shutil.copy(each, tmp_path)) for each in mixed[:3]]
    run(config(files), out=tmp_path / "run")
    with h5py.File(files[1], "a") as file:
        file["processing/ophys/DfOverF/RoiResponseSeries/data"][100] = 0
    with (
        pytest.warns(ScimlWarning, match="s1.nwb is not as it was when .* was trained"),
        pytest.warns(ScimlWarning, match="overlap ones that the net was trained"),
    ):
        predict(tmp_path / "run", files[1])


def test_what_a_file_says_besides_hides_no_window_that_was_trained_on(mixed: list[str], tmp_path: Path) -> None:
    """A recording is known by its values: an attribute, another name, a label less change nothing."""
    run(config(mixed[:3]), out=tmp_path / "run")
    numbers = []
    for k, known in enumerate(mixed[:3]):
        noted = Path(shutil.copy(known, tmp_path / f"noted{k}.nwb"))
        with h5py.File(noted, "a") as file:
            file["general"].attrs["note"] = "x"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScimlWarning)
            first, second = (predict(tmp_path / "run", each) for each in (known, noted))
        assert (first.n_in_training, first.accuracy) == (second.n_in_training, second.accuracy)
        numbers.append(second.n_in_training)
    assert sorted(map(bool, numbers)) == [False, True, True]  # the test session, and the two learned from


def test_a_replaced_item_is_named_on_resume_even_where_the_file_passes(
    mixed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that the sampled hash of a large file does not see: here the hash of files is made blind."""
    monkeypatch.setattr("sciml.pipeline.runner._identity", lambda _: {"signal": "", "sha256": ""})
    files = [str(shutil.copy(each, tmp_path)) for each in mixed[:3]]
    asked = config(files)
    with pytest.raises(InterruptedRunError, match="resume"):
        run(asked, out=tmp_path / "run", callbacks=(Stop(),))
    with h5py.File(files[2], "a") as file:
        stimulus = file["intervals/trials/stimulus"]
        stimulus[5] = {"left": "right", "right": "left"}[stimulus.asstr()[5]]
    with pytest.raises(CheckpointError, match=r"1 of 48 windows has another class.*s2.nwb|window 37"):
        run(asked, out=tmp_path / "run", resume=True)
