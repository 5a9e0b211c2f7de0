"""A whole run in several processes: the first writes, the others train with it, and whoever fails is named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("spread_fit.py")
FOLDS = {"split": {"by": "time", "folds": 2, "n_blocks": 6}}
SCENARIOS = {
    "one": [{"processes": 1}],
    "two": [{}, {"resume": True}],
    "killed": [{"ranks": [1], "step": 15, "fails": "group"}, {"resume": True}],
    "failed": [{"ranks": [1], "step": 15, "fails": "error"}, {"resume": True}],
    "folds": [{"config": FOLDS}],
}


@pytest.fixture(scope="module")
def outcomes(once, file, tmp_path_factory):
    return once("spread", lambda: run_all(file, tmp_path_factory))


def run_all(file, tmp_path_factory):
    config = {
        "task": "forecast",
        "data": {"files": [str(file)]},
        "model": {"options": {"width": 4, "norm": "group"}},
        "train": {"steps": 30, "device": "cpu", "checkpoint_every": 5},
    }
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path_factory.mktemp("runs")), json.dumps(config), json.dumps(SCENARIOS)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_two_processes_score_as_one(outcomes):
    one, two = (outcomes[name][0]["processes"][0]["metrics"] for name in ("one", "two"))
    for name in ("error_over_variance", "mse"):
        if name in one["net"]:
            assert two["net"][name] == pytest.approx(one["net"][name], rel=1e-4)
    assert one["baselines"].keys() == two["baselines"].keys()
    assert (one["training"]["processes"], two["training"]["processes"]) == (1, 2)


def test_the_first_process_alone_writes_and_speaks(outcomes):
    first, second = outcomes["two"][0]["processes"]
    assert "writing the report" in first["said"]
    assert second["said"] == []
    assert first["metrics"] == second["metrics"]
    assert outcomes["two"][0]["files"] == outcomes["one"][0]["files"]
    assert outcomes["two"][0]["state"]["state"] == "finished"


def test_a_finished_run_is_resumed_by_all_at_once(outcomes):
    assert [each["finished"] for each in outcomes["two"][1]["processes"]] == [True, True]


def test_a_killed_run_ends_as_one_that_was_not(outcomes):
    killed, resumed = outcomes["killed"]
    assert [each["status"] for each in killed["processes"]] == [-9, -9]
    whole = outcomes["two"][0]["processes"][0]["metrics"]["net"]
    assert resumed["processes"][0]["metrics"]["net"] == whole
    assert not [name for name in resumed["files"] if name.startswith(".")]


def test_the_status_tells_which_process_failed_and_why(outcomes):
    failed, resumed = outcomes["failed"]
    assert failed["state"]["state"] == "failed"
    assert failed["state"]["exit_code"] == 3
    assert failed["state"]["message"] == "process 1 of 2 failed: row 5 of spikes.h5 cannot be read"
    assert resumed["state"]["state"] == "finished"


def test_folds_are_trained_by_all(outcomes):
    (found,) = outcomes["folds"]
    assert [each["status"] for each in found["processes"]] == [0, 0]
    assert {"1", "2"} <= set(found["files"])
