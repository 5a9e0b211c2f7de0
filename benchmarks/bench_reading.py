"""Reading while training from a compressed file of four times the memory, beside h5py in the order of the file."""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from _report import machine, record, table

from sciml.data import WindowDataset, sliding_windows
from sciml.data.samples import read_samples
from sciml.io import open_recording
from sciml.nn import models
from sciml.train.reading import Reader, batch_order

SMALL = "--small" in sys.argv
N_CHANNELS, CHUNK, RATE, BATCH = 16, 8192, 1000.0, 32
MEMORY = 2**25 if SMALL else 2**26  # bytes; the samples take four times as many
REPEATS = 3 if SMALL else 7
EPOCHS = 30  # over which memory is to stay
WINDOW = {"length": 0.255, "step": 0.256, "horizon": 0.001}
CPU = torch.device("cpu")


def written(folder: Path, dtype: str, memory: int) -> Path:
    """Write four times `memory` of noise, as float32, in compressed chunks (8192, 16)."""
    path, rows, rng = folder / f"{dtype}-{memory}.h5", 4 * memory // (4 * N_CHANNELS), np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        made = file.create_dataset("x", (rows, N_CHANNELS), dtype, chunks=(CHUNK, N_CHANNELS), compression="gzip")
        made.attrs.update(sampling_rate=RATE, units="mV", scale_factor=1.0 if dtype == "float32" else 0.5)
        for start in range(0, rows, CHUNK):
            values = rng.normal(size=(min(CHUNK, rows - start), N_CHANNELS))
            made[start : start + CHUNK] = (values * (1 if dtype == "float32" else 200)).astype(dtype)
    return path


def part_of(path: Path, memory: int) -> WindowDataset:
    windows = sliding_windows(read_samples(open_recording(path), memory=memory), **WINDOW)
    return WindowDataset(windows, np.arange(len(windows)))


def in_order(path: Path) -> None:
    with h5py.File(path) as file:
        for start in range(0, len(file["x"]), CHUNK):
            file["x"][start : start + CHUNK]


def epoch(reader: Reader, number: int, each: Callable[[], object] = lambda: None) -> None:
    blocks = reader.blocks
    for _ in reader.batches(batch_order(len(reader), BATCH, seed=0, epoch=number, blocks=blocks)):
        each()


def cpu_seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def status(name: str, process: int | str = "self") -> float:
    """Return a line of /proc/PID/status in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1000


def proportional() -> float:
    """Return what this process and its children hold, in MB; what they share counts once."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    total = 0.0
    for process in ("self", *children):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000
    return total


def cost(folder: Path, dtype: str) -> list[object]:
    """Return CPU seconds of both ways, one after the other each time, and what was resident at most."""
    path = written(folder, dtype, MEMORY)
    part = part_of(path, MEMORY)
    reader, before, peak = Reader(part, CPU, workers=0), status("VmRSS"), [0.0]
    pairs = [(cpu_seconds(lambda: in_order(path)), cpu_seconds(lambda k=k: epoch(reader, k))) for k in range(REPEATS)]
    epoch(reader, 0, lambda: peak.append(status("VmRSS")))
    ratio = statistics.median(b / a for a, b in pairs)
    ordered, shuffled = (statistics.median(side) for side in zip(*pairs, strict=True))
    grown = max(peak) - before
    path.unlink()
    return [
        dtype, f"{ordered:.2f}", f"{shuffled:.2f}", f"{ratio:.2f}", f"{before:.0f} MB", f"{max(peak):.0f} MB",
        f"{grown - MEMORY / 1e6:+.0f} MB",
    ]  # fmt: skip


def waiting(folder: Path) -> list[str]:
    """Return the fraction of an epoch that a net which is slower than two workers waits for them."""
    path = written(folder, "float32", MEMORY // 4)
    reader = Reader(part_of(path, MEMORY // 4), CPU, workers=2)
    net = models.build("fcn", n_channels=N_CHANNELS, n_times=255, n_outputs=[N_CHANNELS, 1], width=64)
    waited, start, told = 0.0, time.perf_counter(), time.perf_counter()
    for number, batch in enumerate(
        reader.batches(batch_order(len(reader), BATCH, seed=0, epoch=0, blocks=reader.blocks))
    ):
        if number:
            waited += time.perf_counter() - told
        else:
            start = time.perf_counter()  # the first one waits for the workers to begin
        net(batch.x).square().mean().backward()
        told = time.perf_counter()
    total = time.perf_counter() - start
    reader.close()
    path.unlink()
    return [f"{total:.1f} s", f"{waited / total:.1%}"]


def growth(folder: Path) -> list[str]:
    """Return what this process and two workers hold after the second epoch, and after the last."""
    path = written(folder, "float32", 2**22)
    reader, found = Reader(part_of(path, 2**22), CPU, workers=2), list[float]()
    for number in range(EPOCHS):
        epoch(reader, number)
        found.append(proportional())
    reader.close()
    path.unlink()
    return [f"{found[1]:.0f} MB", f"{found[-1]:.0f} MB", f"{found[-1] / found[1] - 1:+.1%}"]


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        costs = [cost(Path(name), dtype) for dtype in ("float32", "int16")]
        waits, grown = waiting(Path(name)), growth(Path(name))
    record(
        "Reading while training: shuffled windows of a compressed file",
        f"Chunks ({CHUNK}, {N_CHANNELS}), gzip, {4 * MEMORY >> 20} MiB as float32, memory {MEMORY >> 20} MiB, windows "
        f"of {N_CHANNELS} x 255 and one sample ahead, batches of {BATCH}, a thread that reads ahead. CPU seconds of an "
        f"epoch of shuffled batches beside those of h5py reading the file once in its order, one after the other, "
        f"medians of {REPEATS}. Resident: with everything imported, at most in an epoch, and how much of the growth is "
        f"beyond the memory that was set.\n\n"
        + table(("values", "h5py CPU s", "epoch CPU s", "ratio", "before", "at most", "beyond"), costs)
        + "\n\nTwo workers, and a net (`fcn`, width 64, forward and backward) that is slower than they are, on as many "
        "cores as the machine has: wall time of an epoch without its first batch; how much of it the net waited.\n\n"
        + table(("epoch", "waited"), [waits])
        + f"\n\nTwo persistent workers, {EPOCHS} epochs: what all three processes hold, shared pages counted once.\n\n"
        + table(("after 2 epochs", f"after {EPOCHS}", "growth"), [grown])
        + f"\n\n1 thread of torch; {machine('numpy', 'torch', 'h5py')}; other work ran on the machine meanwhile",
    )


if __name__ == "__main__":
    main()
