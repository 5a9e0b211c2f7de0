"""Several processes train one net as one does, lose each other and resume, and say what happened to whom."""

import json
import os
import random
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.train import FitData, TrainConfig, fit
from sciml.train.config import resolve_device
from sciml.train.processes import Processes, started
from sciml.train.reading import Reader, as_batches
from sciml.train.surroundings import check_environment, check_shares

SCRIPT = Path(__file__).with_name("spread_run.py")
STEPS = 40
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))  # of all workers
SEED = zlib.crc32(RUN.encode())  # other kills each time; a failure prints it
DRAW = random.Random(SEED)  # noqa: S311 (no cryptography)
BOTH = [0, 1]
KILLS = [(0, "SIGKILL"), (1, "SIGKILL"), *[(0, "group"), (1, "group")] * 4]
AT = sorted(DRAW.sample(range(1, STEPS), len(KILLS)))
PLAIN = {"plain": True}
WORKERS = {"processes": 1, "config": {"workers": 2}}
SCENARIOS = {
    "whole": [{}],
    "storm": [*({"ranks": [who], "step": at, "fails": how} for (who, how), at in zip(KILLS, AT, strict=True)), {}],
    "single": [{"processes": 1}],
    "storm, workers": [*({"ranks": [0], "step": at, "fails": "SIGKILL", **WORKERS} for at in AT), WORKERS],
    "two, workers": [{"config": {"workers": 1}}],
    "second": [{"before": {}}],
    "after a failure": [{"before": {"lr": 1e30, "clip_norm": None}}],
    "finished": [{}, {"ranks": BOTH, "step": 1, "fails": "group"}],  # a step taken would kill
    "one": [{"processes": 1, **PLAIN}],
    "two": [PLAIN],
    "three": [{"processes": 3, **PLAIN}],
    "one to two": [{"processes": 1, "ranks": [0], "step": 17, "fails": "SIGKILL", **PLAIN}, PLAIN],
    "two to one": [{"ranks": BOTH, "step": 17, "fails": "group", **PLAIN}, {"processes": 1, **PLAIN}],
    "dropout, two to one": [{"ranks": BOTH, "step": 17, "fails": "group"}, {"processes": 1}],
    "error in the second": [{"ranks": [1], "step": 17, "fails": "error"}, {}],
    "error in the first": [{"ranks": [0], "step": 17, "fails": "error"}],
    "hangs": [{"ranks": [1], "step": 17, "fails": "SIGSTOP"}, {}],
    **{f"not finite in {bad}": [{"bad": bad, **PLAIN}] for bad in (5, 23)},
    "other data": [{"bad": 5, "bad_in": [1], **PLAIN}],
    "signal": [{"ranks": [1], "step": 17, "fails": "SIGTERM"}, {}],
    "metric": [
        {"processes": 1, "config": {"monitor": "auc"}, **PLAIN},
    ],
    "metric of two": [{"config": {"monitor": "auc"}, **PLAIN}],
}


@pytest.fixture(scope="module")
def outcomes(once, tmp_path_factory):
    """What each process of each attempt of each scenario gave."""
    return once("processes", lambda: run_all(tmp_path_factory))


def run_all(tmp_path_factory):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path_factory.mktemp("runs")), json.dumps(SCENARIOS)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def vector(result):
    return np.concatenate([np.asarray(each) for each in result["tensors"]])


def assert_same_to_rounding(result, other):
    a, b = vector(result), vector(other)
    assert np.linalg.norm(a - b) <= 1e-6 * np.linalg.norm(a)
    for one, two in zip(result["record"]["history"], other["record"]["history"], strict=True):
        assert one["train_loss"] == pytest.approx(two["train_loss"], rel=1e-6)
        assert one["validation_loss"] == pytest.approx(two["validation_loss"], rel=1e-6)
        assert one["validation_accuracy"] == two["validation_accuracy"]
        assert one["train_accuracy"] == two["train_accuracy"]


def test_all_processes_end_with_the_same_net(outcomes):
    first, second = outcomes["whole"][0]["processes"]
    assert first["weights"] == second["weights"]
    assert first["record"] == second["record"]


def test_killed_ten_times_and_resumed_gives_the_same_bits(outcomes):
    *killed, last = outcomes["storm"]
    for attempt, (rank, how) in zip(killed, KILLS, strict=True):
        ended = attempt["processes"] if how == "group" else [attempt["processes"][rank]]
        assert {each["status"] for each in ended} == {-9}, f"seed {SEED}"
    for now, whole in zip(last["processes"], outcomes["whole"][0]["processes"], strict=True):
        assert now["weights"] == whole["weights"], f"seed {SEED}"
        assert now["record"] == whole["record"], f"seed {SEED}"
    assert not last["left"], "temporary files stay behind"


def test_one_process_with_workers_killed_ten_times_gives_the_bits_of_none(outcomes):
    *killed, last = outcomes["storm, workers"]
    assert [attempt["processes"][0]["status"] for attempt in killed] == [-9] * len(AT), f"seed {SEED}"
    single = outcomes["single"][0]["processes"][0]
    assert last["processes"][0]["weights"] == single["weights"], f"seed {SEED}"
    assert last["processes"][0]["record"] == single["record"], f"seed {SEED}"
    assert not last["left"], "temporary files stay behind"


@pytest.mark.parametrize("name", ["second", "after a failure"])
def test_processes_train_one_net_after_the_other(outcomes, name):
    whole = outcomes["whole"][0]["processes"]
    assert [each["weights"] for each in outcomes[name][0]["processes"]] == [each["weights"] for each in whole]


def test_two_processes_with_workers_give_the_bits_of_none(outcomes):
    with_workers, without = (outcomes[name][0]["processes"] for name in ("two, workers", "whole"))
    assert [each["weights"] for each in with_workers] == [each["weights"] for each in without]


@pytest.mark.parametrize("killed", [0, 1])
def test_the_process_that_is_left_ends_soon_and_says_what_to_do(outcomes, killed):
    attempt = outcomes["storm"][killed]
    left = attempt["processes"][1 - killed]
    assert left["error"] == "InterruptedRunError"
    assert left["exit_code"] == 75
    assert f"process {killed} of 2 gives no sign of life" in left["text"]
    assert "resume to go on" in left["text"]
    assert attempt["seconds"] < 30


def test_a_finished_run_takes_no_step(outcomes):
    assert [each["status"] for each in outcomes["finished"][1]["processes"]] == [0, 0]


@pytest.mark.parametrize("name", ["two", "three", "one to two", "two to one"])
def test_as_many_processes_as_one_likes_give_the_net_of_one(outcomes, name):
    assert_same_to_rounding(outcomes["one"][0]["processes"][0], outcomes[name][-1]["processes"][0])


def test_a_metric_is_taken_over_the_items_of_all(outcomes):
    one, two = (outcomes[name][0]["processes"][0]["record"]["history"] for name in ("metric", "metric of two"))
    assert [each["monitored"] for each in one] == [each["monitored"] for each in two]


def test_another_number_of_processes_is_said(outcomes):
    (said,) = outcomes["two to one"][1]["processes"][0]["warnings"]
    assert said == "resumed with other processes (2, now 1): the result will agree, but not to the last bit"
    (said,) = outcomes["dropout, two to one"][1]["processes"][0]["warnings"]
    assert "dropout and batch norms of another number of processes differ" in said


def test_small_shares_of_batch_norms_are_said_once(outcomes):
    first, second = outcomes["whole"][0]["processes"]
    (said,) = first["warnings"]
    assert "over the 4 items that each of 2 processes has of a batch of 8" in said
    assert second["warnings"] == []
    assert outcomes["two"][0]["processes"][0]["warnings"] == []


@pytest.mark.parametrize(("name", "failed"), [("error in the first", 0), ("error in the second", 1)])
def test_an_error_of_one_reaches_all_with_its_text_and_code(outcomes, name, failed):
    attempt = outcomes[name][0]["processes"]
    own, other = attempt[failed], attempt[1 - failed]
    assert (own["error"], own["text"]) == ("DataError", "row 5 of spikes.h5 cannot be read")
    assert other["error"] == "ProcessError"
    assert other["text"] == f"process {failed} of 2 failed: row 5 of spikes.h5 cannot be read"
    assert own["exit_code"] == other["exit_code"] == 3


def test_other_data_in_one_process_are_refused_at_once(outcomes):
    attempt = outcomes["other data"][0]
    first, second = attempt["processes"]
    assert (first["error"], second["error"]) == ("ProcessError", "DataError")
    assert "got another train or validation part in process 1 than in process 0" in second["text"]
    assert second["text"] in first["text"]
    assert first["exit_code"] == second["exit_code"] == 3
    assert attempt["seconds"] < 30


@pytest.mark.parametrize("bad", [5, 23])
def test_what_is_not_finite_is_named_wherever_it_was_read(outcomes, bad):
    for each in outcomes[f"not finite in {bad}"][0]["processes"]:
        assert each["error"] == "DivergedError"
        assert "batch of 8" in each["text"]
        assert f"the first in item {bad}, channel 1, sample 4" in each["text"]


def test_a_process_that_hangs_is_given_up(outcomes):
    attempt, resumed = outcomes["hangs"]
    first = attempt["processes"][0]
    assert first["exit_code"] == 75
    assert "process 1 of 2 gives no sign of life" in first["text"]
    assert "stopped for longer than 3 s" in first["text"]
    assert resumed["processes"][0]["weights"] == outcomes["whole"][0]["processes"][0]["weights"]


def test_a_signal_to_one_pauses_all(outcomes):
    attempt, resumed = outcomes["signal"]
    assert [each["error"] for each in attempt["processes"]] == ["InterruptedRunError"] * 2
    assert attempt["processes"][1]["exit_code"] == 143
    assert resumed["processes"][0]["weights"] == outcomes["whole"][0]["processes"][0]["weights"]


# ---- without processes


@pytest.mark.parametrize("n", [16, 15, 1])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_shares_of_a_batch_hold_each_item_once(n, size):
    part = as_batches((np.zeros((20, 1, 2)), np.arange(20)), "train")
    items = np.random.default_rng(n).permutation(20)[:n]
    batches = [Reader(part, torch.device("cpu"), Processes(rank, size)).read(items) for rank in range(size)]
    assert np.concatenate([batch.items[: batch.n_items] for batch in batches]).tolist() == items.tolist()
    assert len({len(batch.items) for batch in batches}) == 1
    for batch in batches:
        weights = np.ones(len(batch.items)) if batch.weights is None else batch.weights.numpy()
        assert weights.tolist() == [1.0] * batch.n_items + [0.0] * (len(batch.items) - batch.n_items)


def test_what_torchrun_sets_must_be_whole(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    part = (np.zeros((4, 1, 2)), np.zeros(4, int))
    with pytest.raises(ConfigError, match="start them with torchrun"):
        fit(nn.Sequential(nn.Flatten(), nn.Linear(2, 1)), FitData(part, part), TrainConfig(device="cpu"))


def test_one_process_of_torchrun_is_alone(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    with started() as processes:
        assert processes.size == 1


def test_each_process_has_its_own_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    second = Processes(1, 2, local_rank=1, local_size=2)
    assert resolve_device("auto", second) == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match="one CUDA device for each of 2 processes"):
        resolve_device("cuda:0", second)
    with pytest.raises(ConfigError, match="of 3 processes"):
        resolve_device("cuda", Processes(1, 3, local_rank=1, local_size=3))


def test_shares_and_environments_of_nets_without_batch_norms_are_not_warned_of():
    net = nn.Sequential(nn.Linear(2, 2))
    check_shares(net, 8, Processes(0, 2))
    with pytest.warns(UserWarning, match="will agree, but not to the last bit"):
        check_environment({"processes": 2}, {"processes": 1}, net)
