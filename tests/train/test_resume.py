"""A run killed at any moment and resumed gives the same weights, bit for bit."""

import json
import os
import random
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killed_run.py")
STEPS = 40  # of the whole run: 41 items in batches of 8 (the last of 9), 8 epochs
LAST = 1 + STEPS // 3 + 8  # checkpoints: at the start, every 3 steps and after each epoch
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))  # of all workers
SEED = zlib.crc32(RUN.encode())  # other kills each time; a failure prints it
DRAW = random.Random(SEED)  # noqa: S311 (no cryptography)

EDGES = {
    "before the last validation": {"step": STEPS},
    "after all is saved": {"epoch": 8},
    "within the second best weights": {"save": "best", "count": 2},
    "within the first checkpoint": {"save": "step", "count": 1},
    "within a later checkpoint": {"save": "step", "count": 5},
    "before a checkpoint's lock is gone": {"save": "step", "count": 5, "named": True},
    "before the last checkpoint's lock is gone": {"save": "step", "count": LAST, "named": True},
}
SIGNALS = {"SIGINT": 75, "SIGTERM": 143}
OPTIONS = {
    "precision": "fp16", "schedule": "plateau", "plateau_patience": 0, "micro_batch": 3, "optimizer": "muon",
    "nonfinite": "skip", "average": 0.3,
}  # fmt: skip
SCENARIOS = {
    "whole": [{}],
    "whole with options": [{"options": OPTIONS}],
    "steps with options": [
        *({"step": step, "options": OPTIONS} for step in sorted(DRAW.sample(range(1, STEPS), 3))),
        {"options": OPTIONS},
    ],
    "steps": [*({"step": step} for step in sorted(DRAW.sample(range(1, STEPS), 6))), {}],
    "times": [*({"after": DRAW.uniform(0, 0.15)} for _ in range(8)), {}],
    "finished": [{}, {"step": 1}],  # a step taken would kill
    **{name: [plan, {}] for name, plan in EDGES.items()},
    **{name: [{"step": 17, "signal": name}, {}] for name in SIGNALS},
}


@pytest.fixture(scope="module")
def outcomes(once, tmp_path_factory):
    """What each attempt of each scenario gave."""
    return once("resume", lambda: run_all(tmp_path_factory))


def run_all(tmp_path_factory):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), str(tmp_path_factory.mktemp("runs")), json.dumps(SCENARIOS)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_like_whole(result, outcomes):
    whole = outcomes["whole"][0]
    assert result["status"] == 0, f"seed {SEED}"
    assert result["weights"] == whole["weights"], f"seed {SEED}"
    assert result["record"] == whole["record"], f"seed {SEED}"
    assert not result["left"], "temporary files stay behind"


def test_an_undisturbed_run_is_what_the_others_are_compared_with(outcomes):
    record = outcomes["whole"][0]["record"]
    assert [entry["step"] for entry in record["history"]] == list(range(5, STEPS + 1, 5))
    assert outcomes["whole"][0]["resumed_from"] is None


def test_killed_at_random_steps_and_resumed_gives_the_same_bits(outcomes):
    *killed, last = outcomes["steps"]
    assert [result["status"] for result in killed] == [-9] * 6
    assert last["resumed_from"] > 0
    assert_like_whole(last, outcomes)


def test_killed_at_random_times_and_resumed_gives_the_same_bits(outcomes):
    *killed, last = outcomes["times"]
    assert {result["status"] for result in killed} <= {-9, 0}
    assert -9 in {result["status"] for result in killed}
    assert_like_whole(last, outcomes)


def test_killed_with_every_option_and_resumed_gives_the_same_bits(outcomes):
    """Scale of fp16, rate of the plateau, momentum of Muon, pieces of a batch, average and counts are all stored."""
    *killed, last = outcomes["steps with options"]
    assert [result["status"] for result in killed] == [-9] * 3
    assert_like_whole(last, {"whole": outcomes["whole with options"]})
    assert last["weights"] != outcomes["whole"][0]["weights"]


@pytest.mark.parametrize("edge", EDGES)
def test_killed_at_the_edges_and_resumed_gives_the_same_bits(outcomes, edge):
    killed, last = outcomes[edge]
    assert killed["status"] == -9
    assert_like_whole(last, outcomes)


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_finishes_the_step_saves_and_exits_with_its_code(outcomes, name):
    stopped, last = outcomes[name]
    assert (stopped["status"], stopped["error"]) == (SIGNALS[name], "InterruptedRunError")
    assert last["resumed_from"] == 17
    assert_like_whole(last, outcomes)


def test_resuming_a_finished_run_returns_its_result_at_once(outcomes):
    first, second = outcomes["finished"]
    assert_like_whole(first, outcomes)
    assert second["resumed_from"] == STEPS
    assert_like_whole(second, outcomes)
