"""Run by test_processes.py in a process of its own: train in several processes, lose some, resume.

One process imports torch once and forks the processes of each attempt, with the environment that torchrun would set.
Usage: spread_run.py FOLDER SCENARIOS, with SCENARIOS a JSON object from the name of a run directory in FOLDER to a list
of attempts one after another; see `attempt`. Prints what each process of each attempt gave, in the same shape.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from killed_run import CONFIG, data, net, outcome  # type: ignore[import-not-found]
from torch import nn

from sciml.errors import DataError, DivergedError, ScimlError
from sciml.train import fit
from sciml.train.steps import Stepper

TIMEOUT = 3.0  # seconds without a sign of life
LONGEST = 60  # seconds that an attempt may take


def plain_net():
    """A net whose steps draw no numbers, and mix no items."""
    torch.manual_seed(11)
    return nn.Sequential(nn.Conv1d(2, 6, 3), nn.GroupNorm(2, 6), nn.ReLU(), nn.Flatten(), nn.Linear(60, 2))


def fail_at(step, how):
    """Let this process fail when it is about to take a step."""
    take = Stepper.take

    def failing(self, *args, number, **options):
        if number == step and how == "error":
            raise DataError("row 5 of spikes.h5 cannot be read")
        if number == step and how == "group":
            os.killpg(os.getpgid(0), signal.SIGKILL)  # all at once, before one can hear of the end of another
        if number == step:
            os.kill(os.getpid(), getattr(signal, how))
        return take(self, *args, number=number, **options)

    Stepper.take = failing  # type: ignore[method-assign]


def attempt(folder, plan, rank):
    """Train as one process; `fails` says how and at which step, for the ranks that do."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if rank in plan.get("ranks", ()):
        fail_at(plan["step"], plan["fails"])
    config = replace(CONFIG, timeout=TIMEOUT, **plan.get("config", {}))
    model = plain_net() if plan.get("plain") else net()
    bad = plan.get("bad") if rank in plan.get("bad_in", [rank]) else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if "before" in plan:  # another training in the same processes
                with contextlib.suppress(DivergedError):
                    before = replace(config, **plan["before"])
                    fit(plain_net(), data(), before, run_dir=folder.with_name(f"{folder.name}-before"))
            result = outcome(fit(model, data(bad=bad), config, run_dir=folder, resume=True))
            result["tensors"] = [each.double().flatten().tolist() for each in model.state_dict().values()]
        except ScimlError as error:
            result = {"error": type(error).__name__, "text": str(error), "exit_code": error.exit_code}
    return {**result, "warnings": [str(each.message) for each in caught]}


def run(folder, plan, task=attempt):
    """Fork the processes of an attempt, wait for them, and return what the task gave in each."""
    size, began = plan.get("processes", 2), time.monotonic()
    folder.mkdir(exist_ok=True)
    outs = [folder.parent / f"{folder.name}-{rank}.json" for rank in range(size)]
    port, children = free_port(), []
    for rank, out in enumerate(outs):
        children.append(start(folder, plan, rank, port, out, task))
        os.setpgid(children[-1], children[0])
    statuses = wait(children, began)
    found = [json.loads(out.read_text()) if out.exists() else {} for out in outs]
    left = [path.name for path in folder.rglob(".*")]
    each = [{"status": status, **result} for status, result in zip(statuses, found, strict=True)]
    return {"processes": each, "left": left, "seconds": time.monotonic() - began}


def start(folder, plan, rank, port, out, task):
    out.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        size = plan.get("processes", 2)
        os.environ |= {
            "RANK": str(rank),
            "WORLD_SIZE": str(size),
            "LOCAL_RANK": str(rank),
            "LOCAL_WORLD_SIZE": str(size),
        }
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        out.write_text(json.dumps(task(folder, plan, rank)))
        os._exit(0)
    return child


def wait(children, began):
    """Return how each child ended; one that is stopped is killed once the first has ended."""
    statuses: dict[int, int] = {}
    while len(statuses) < len(children):
        for child in children:
            if child not in statuses and (found := os.waitpid(child, os.WNOHANG))[0]:
                statuses[child] = os.waitstatus_to_exitcode(found[1])
        stopped = children[0] in statuses and is_stopped(children[-1])
        if stopped or time.monotonic() - began > LONGEST:
            for child in set(children) - set(statuses):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    return [statuses[child] for child in children]


def is_stopped(child):
    """Return whether a process was stopped by a signal, as Linux tells."""
    stat = Path(f"/proc/{child}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "T"


def free_port():
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return each.getsockname()[1]


def main():
    torch.set_num_threads(1)
    folder, scenarios = Path(sys.argv[1]), json.loads(sys.argv[2])
    fit(net(), data(), replace(CONFIG, epochs=1))  # imports what torch imports late, once for all children
    results = {name: [run(folder / name, plan) for plan in plans] for name, plans in scenarios.items()}
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
