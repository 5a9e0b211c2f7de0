"""What the training loop costs beside a bare loop of torch on the same batches, both in one process.

`bench_loop.py linear|fcn` measures one net; without an argument all of them.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from _report import machine, record, table
from torch import nn
from torch.nn import functional

from sciml.nn import models
from sciml.train import FitData, TrainConfig, fit
from sciml.train.reading import batch_order

torch.set_num_threads(1)
REPEATS, BATCH, SHAPE = 7, 32, (8, 256)


def data(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of noise with labels, in memory."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, *SHAPE)).astype(np.float32), rng.integers(0, 4, n)


def bare(net: nn.Module, X: np.ndarray, y: np.ndarray, epochs: int) -> float:
    """Train as plainly as torch allows: clip, and read the loss of each step. Return CPU seconds."""
    inputs, labels = torch.from_numpy(X), torch.from_numpy(y)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    net.train()
    start = time.process_time()
    for epoch in range(epochs):
        for batch in batch_order(len(X), BATCH, seed=0, epoch=epoch):
            rows = torch.from_numpy(batch)
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(inputs[rows]), labels[rows])
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            loss.item()
    return time.process_time() - start


class Clock:
    """Callback that notes when training begins and ends."""

    def on_fit_start(self, _: object) -> None:
        self.start = time.process_time()

    def on_fit_end(self, _: object) -> None:
        self.seconds = time.process_time() - self.start


def ours(net: nn.Module, X: np.ndarray, y: np.ndarray, epochs: int) -> float:
    """Train by `fit` with its defaults; one window is validated an epoch. Return CPU seconds."""
    config = TrainConfig(epochs=epochs, batch_size=BATCH, patience=None, monitor="loss", device="cpu")
    clock = Clock()
    fit(net, FitData((X, y), (X[:1], y[:1])), config, [clock])
    return clock.seconds


def compared(name: str, make: Callable[[], nn.Module], n_steps: int, epochs: int) -> tuple[object, ...]:
    """Medians over repeats that alternate between the two loops."""
    X, y = data(n_steps * BATCH)
    pairs = []
    for repeat in range(REPEATS + 1):
        pair = []
        for run in (bare, ours):
            torch.manual_seed(0)
            pair.append(run(make(), X, y, epochs) / n_steps / epochs)
        pairs += [pair] if repeat else []  # what torch loads late is not counted
    plain, full = (float(value) for value in np.median(pairs, axis=0))
    ratio = float(np.median([full / plain for plain, full in pairs]))
    return name, f"{1e3 * plain:.3f}", f"{1e3 * full:.3f}", f"{ratio - 1:.2f}", f"{1 / ratio:.3f}"


def main() -> None:
    nets: dict[str, tuple[str, Callable[[], nn.Module], int, int]] = {
        "linear": ("linear", lambda: nn.Sequential(nn.Flatten(), nn.Linear(SHAPE[0] * SHAPE[1], 4)), 300, 2),
        "fcn": ("FCN, width 64", lambda: models.build("fcn", n_channels=8, n_times=256, n_outputs=4, width=64), 20, 1),
    }
    rows = [compared(*nets[name]) for name in (sys.argv[1:] or nets)]
    for row in rows:
        print(row, flush=True)
    if not sys.argv[1:]:
        text = (
            f"CPU time of a step of `fit` beside a bare loop in the same process (AdamW, clipping, the loss read each "
            f"step): windows {SHAPE[0]} x {SHAPE[1]} in memory, batch {BATCH}, medians of {REPEATS}, excess and ratio "
            "of pairs that follow one another. What `fit` does once, before the first step, is not counted; it smooths "
            "labels and averages weights, as it does by default.\n\n"
        )
        head = ("net", "bare, ms", "fit, ms", "excess", "samples/s, fit over bare")
        record("Training: the cost of the loop", text + table(head, rows) + "\n\n" + machine())


if __name__ == "__main__":
    main()
