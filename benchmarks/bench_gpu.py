"""What training does on a GPU: how busy it is, what each precision gives, whether a resumed run has the same bits.

`bench_gpu.py` takes about five minutes on one CUDA device. `bench_gpu.py --small` runs the same on the CPU in a minute,
with small sizes and without the rows that only a GPU has: it checks this script, and measures nothing.
"""

import contextlib
import hashlib
import sys
import tempfile
import time
import warnings
from pathlib import Path

import h5py
import numpy as np
import torch
import xarray as xr
from _report import machine, record, table
from torch.profiler import ProfilerActivity, profile

from sciml.data import WindowDataset, sliding_windows
from sciml.data.samples import read_samples
from sciml.io import open_recording
from sciml.nn import models
from sciml.train import Callback, FitData, FitResult, TrainConfig, TrainState, fit

SMALL = "--small" in sys.argv
DEVICE = "cpu" if SMALL else "cuda"
SAMPLES, CHANNELS, RATE = (40_000, 8, 100.0) if SMALL else (2_000_000, 64, 1000.0)
STEPS, BATCH = (20, 16) if SMALL else (400, 256)
NET = {"width": 8, "blocks": 2} if SMALL else {"width": 128, "blocks": 4}
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchKernelExC", "cudaGraphLaunch")
SYNCHRONIZATIONS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def write_recording(path: Path) -> None:
    """Write channels that share slow waves, in gzip chunks as laboratories keep them."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        values = file.create_dataset("wave", (SAMPLES, CHANNELS), "f4", chunks=(8192, min(16, CHANNELS)), compression=4)
        values.attrs["units"], values.attrs["sampling_rate"] = "uV", RATE
        shape = rng.normal(size=CHANNELS)
        for start in range(0, SAMPLES, 65536):
            stop = min(start + 65536, SAMPLES)
            wave = np.sin(2 * np.pi * np.arange(start, stop) / RATE * 7.0)
            values[start:stop] = np.outer(wave, shape) + rng.normal(size=(stop - start, CHANNELS))


def parts(path: Path) -> FitData:
    """Windows of .25 s that foretell the next .05 s, beyond the memory that they are given: read from the file."""
    opened = open_recording(str(path), "wave", chunks="auto")
    dims = dict(zip(opened.dims, ("time", "channel"), strict=True))
    recording = xr.DataArray(opened.rename(dims).data, dims=("time", "channel"), attrs={"sampling_rate": RATE})
    samples = read_samples(recording, memory=SAMPLES * CHANNELS)  # a quarter of its bytes
    windows = sliding_windows(samples, length=0.25, step=0.05, horizon=0.05)
    behind = int(0.9 * len(windows))
    return FitData(
        WindowDataset(windows, np.arange(behind)), WindowDataset(windows, np.arange(behind, len(windows))[:BATCH])
    )


def net(data: FitData) -> torch.nn.Module:
    x, y = data.train.batch([0])
    torch.manual_seed(0)
    return models.build("resnet1d", n_channels=x.shape[1], n_times=x.shape[2], n_outputs=tuple(y.shape[1:]), **NET)


def config(**settings: object) -> TrainConfig:
    given = {"steps": STEPS, "batch_size": BATCH, "loss": "mse", "device": DEVICE, "patience": None, "lr": 3e-3}
    return TrainConfig(**{**given, **settings})  # type: ignore[arg-type]


class Window(Callback):
    """Profiles the steps in the second half of the first epoch."""

    def __init__(self) -> None:
        activities = [ProfilerActivity.CPU] + ([] if SMALL else [ProfilerActivity.CUDA])
        self.profile, self.began, self.seconds, self.steps = profile(activities=activities), 0.0, 0.0, 0

    def on_step_end(self, state: TrainState) -> None:
        if state.step == STEPS // 4:
            self.synchronize()
            self.profile.__enter__()
            self.began = time.perf_counter()
        if state.step == STEPS // 2:
            self.synchronize()
            self.seconds, self.steps = time.perf_counter() - self.began, STEPS // 2 - STEPS // 4
            self.profile.__exit__(None, None, None)

    @staticmethod
    def synchronize() -> None:
        if not SMALL:
            torch.cuda.synchronize()

    def count(self, names: tuple[str, ...]) -> float:
        return sum(each.count for each in self.profile.key_averages() if each.key in names) / self.steps

    @property
    def busy(self) -> float:
        """The share of the time in which a kernel ran; kernels of one stream do not overlap."""
        return sum(each.self_device_time_total for each in self.profile.key_averages()) / 1e6 / self.seconds


def busy(data: FitData) -> list[tuple[str, str]]:
    window = Window()
    fit(net(data), data, config(), [window])
    if SMALL:
        return [("profile", f"{window.steps} steps")]
    return [
        ("device busy, resnet1d from gzip HDF5 (at least 85 %)", f"{window.busy:.1%}"),
        ("kernels launched a step", f"{window.count(LAUNCHES):.0f}"),
        ("synchronizations a step", f"{window.count(SYNCHRONIZATIONS):.2f}"),
    ]


def precisions(data: FitData) -> list[tuple[str, str]]:
    rows, losses = [], {}
    for precision in ("fp32", "bf16", "fp16"):
        start = time.perf_counter()
        result = fit(net(data), data, config(precision=precision))
        losses[precision] = result.history[-1].train_loss
        rows.append((f"{precision}: windows a second", f"{STEPS * BATCH / (time.perf_counter() - start):.0f}"))
    off = losses["fp16"] / losses["fp32"] - 1
    return [*rows, ("fp16: last loss beside fp32 (within 2 %)", f"{off:+.2%}")]


class Stop(Callback):
    def on_step_end(self, state: TrainState) -> None:
        if state.step == STEPS // 2 + 3:
            raise KeyboardInterrupt


def digest(result: FitResult) -> str:
    found = hashlib.sha256()
    for name, tensor in result.model.state_dict().items():
        found.update(name.encode() + tensor.cpu().numpy().tobytes())
    return found.hexdigest()[:12]


def resumed(data: FitData) -> list[tuple[str, str]]:
    whole = digest(fit(net(data), data, config()))
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(KeyboardInterrupt):
            fit(net(data), data, config(checkpoint_every=7), [Stop()], run_dir=folder)
        again = digest(fit(net(data), data, config(checkpoint_every=7), run_dir=folder, resume=True))
    return [("resumed to the bit", f"{'yes' if again == whole else 'NO'} ({whole}, {again})")]


def out_of_memory(data: FitData) -> list[tuple[str, str]]:
    if SMALL:
        return []
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(3 * 2**30 / total)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit(net(data), data, config(batch_size=8192, steps=20))
    torch.cuda.set_per_process_memory_fraction(1.0)
    said = "; ".join(str(each.message) for each in caught if "micro_batch" in str(each.message))
    return [("batches of 8192 in 3 GiB", f"{result.micro_batch} at a time; {said}")]


def main() -> None:
    if not SMALL and not torch.cuda.is_available():
        print("skipped: there is no CUDA device; --small checks the script on the CPU")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.h5"
        write_recording(path)
        data = parts(path)
        rows = []
        for section in (busy, precisions, resumed, out_of_memory):
            rows += section(data)
            print(rows[-1], flush=True)
    text = table(("what", "found"), rows)
    if SMALL:
        print(text)
        return
    text = f"{machine('torch')}, {torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}.\n\n{text}"
    record("Training on a GPU", text)


if __name__ == "__main__":
    main()
