"""Run by test_resume.py in a process of its own: train, get killed, resume, and say what came out.

One process imports torch once and forks a child for each attempt, so that forty attempts take seconds. Usage:
killed_run.py FOLDER SCENARIOS, with SCENARIOS a JSON object from the name of a run directory in FOLDER to a list of
attempts one after another; see `attempt`. Prints what each attempt gave, in the same shape.
"""

import hashlib
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sciml.errors import ScimlError
from sciml.train import FitData, TrainConfig, fit

CONFIG = TrainConfig(
    epochs=8, batch_size=8, lr=0.02, patience=None, seed=3, device="cpu", checkpoint_every=3, keep=2, precision="fp32"
)


def net():
    """A net whose training draws numbers (dropout) and keeps buffers (batch normalization)."""
    torch.manual_seed(11)
    return nn.Sequential(
        nn.Conv1d(2, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(6 * 10, 2)
    )


def data(bad=None):
    """41 items in batches of 8, the last of 9; a `bad` one holds a NaN."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(61, 2, 12)).astype(np.float32)
    y = (X[:, 0].mean(axis=1) + 0.2 * rng.normal(size=61) > 0).astype(np.int64)
    if bad is not None:
        X[bad, 1, 4] = np.nan
    return FitData((X[:41], y[:41]), (X[41:], y[41:]))


class Killer:
    """Callback that ends its own process at a step or after an epoch, as a power cut would."""

    def __init__(self, *, step=None, epoch=None, number=signal.SIGKILL):
        self.step, self.epoch, self.number = step, epoch, number

    def on_step_end(self, state):
        if state.step == self.step:
            os.kill(os.getpid(), self.number)

    def on_epoch_end(self, state):
        if state.epoch == self.epoch:
            os.kill(os.getpid(), self.number)


def outcome(result):
    """All that a run gives, to the last bit."""
    digest = hashlib.sha256()
    for name, tensor in result.model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    record = {key: value for key, value in result.to_dict().items() if key not in ("seconds", "resumed_from")}
    return {"weights": digest.hexdigest(), "record": record, "resumed_from": result.resumed_from}


def kill_in_save(kind, count, *, named):
    """End the process between the writing of a checkpoint and its taking the name, or after, at the count-th time."""
    replace, seen = Path.replace, []

    def killing(self, target):
        seen.extend([1] if Path(target).name.startswith(kind) else [])
        result = replace(self, target) if named or len(seen) != count else None
        if len(seen) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    Path.replace = killing  # type: ignore[method-assign]


def attempt(folder, plan, out):
    """One process: `step`/`epoch`/`signal` for Killer, `save`, `count`, `named` for kill_in_save, else to the end.

    `options` are settings other than those of CONFIG.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background may have ignored them
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    callbacks = []
    if "save" in plan:
        kill_in_save(plan["save"], plan["count"], named=plan.get("named", False))
    elif "step" in plan or "epoch" in plan:
        number = getattr(signal, plan.get("signal", "SIGKILL"))
        callbacks = [Killer(step=plan.get("step"), epoch=plan.get("epoch"), number=number)]
    config = replace(CONFIG, **plan.get("options", {}))
    try:
        result = fit(net(), data(), config, callbacks, run_dir=folder, resume=plan.get("resume", True))
    except ScimlError as error:
        out.write_text(json.dumps({"error": type(error).__name__}))
        return getattr(error, "exit_code", 1)
    out.write_text(json.dumps(outcome(result)))
    return 0


def run(folder, plan):
    """Fork one attempt; `after` seconds later kill it from outside, if the plan says so."""
    out = folder.parent / f"{folder.name}.json"
    out.unlink(missing_ok=True)
    folder.mkdir(exist_ok=True)
    child = os.fork()
    if child == 0:
        os._exit(attempt(folder, plan, out))
    if "after" in plan:
        time.sleep(plan["after"])
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = [path.name for path in folder.rglob(".*")]
    return {"status": status, "left": left, **(json.loads(out.read_text()) if out.exists() else {})}


def main():
    torch.set_num_threads(1)
    folder, scenarios = Path(sys.argv[1]), json.loads(sys.argv[2])
    fit(net(), data(), CONFIG)  # imports what torch imports late, once for all children
    results = {name: [run(folder / name, plan) for plan in plans] for name, plans in scenarios.items()}
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
