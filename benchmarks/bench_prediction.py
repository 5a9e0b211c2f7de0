"""What a prediction costs at 100 events of an hour of 30 kHz x 4 channels, beside reading the same rows with h5py."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from _report import machine, record, table

RATE, CHANNELS, EVENTS, WINDOW = 30_000, 4, 100, 0.1
BLOCK = 2**21


def write(path: Path, seconds: float, *, seed: int, stamped: bool = False) -> Path:
    """Write white noise with events of two kinds as NWB; `stamped` with a time for each sample in place of a rate."""
    rng, n = np.random.default_rng(seed), int(seconds * RATE)
    with h5py.File(path, "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        series = file.create_group("acquisition/wave")
        series.attrs["neurodata_type"] = "TimeSeries"
        data = series.create_dataset("data", (n, CHANNELS), np.int16)
        data.attrs.update(unit="volts", conversion=1e-6)
        if stamped:
            times = series.create_dataset("timestamps", (n,), np.float64)
        else:
            series["starting_time"] = 0.0
            series["starting_time"].attrs["rate"] = float(RATE)
        for start in range(0, n, BLOCK):
            rows = min(BLOCK, n - start)
            data[start : start + rows] = rng.normal(0, 100, (rows, CHANNELS)).astype(np.int16)
            if stamped:
                times[start : start + rows] = (np.arange(start, start + rows) + rng.uniform(-0.1, 0.1, rows)) / RATE
        trials = file.create_group("intervals/trials")
        trials.attrs["colnames"] = ["start_time", "stop_time", "kind"]
        trials["start_time"] = np.sort(rng.uniform(1, seconds - 2, EVENTS))
        trials["stop_time"] = trials["start_time"][:] + WINDOW
        trials["kind"] = ["a", "b"] * (EVENTS // 2)
    return path


def rows_with_h5py(path: Path) -> float:
    """Return the seconds that h5py takes to read the rows of all windows."""
    start = time.perf_counter()
    with h5py.File(path) as file:
        for onset in file["intervals/trials/start_time"][:]:
            first = round(onset * RATE)
            file["acquisition/wave/data"][first : first + round(WINDOW * RATE)]
    return time.perf_counter() - start


def peak_memory() -> float:
    """Return the largest resident memory of this process in MiB; what its parent held does not count."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def measure(run: str, file: str) -> None:
    """Print seconds and peak memory of a prediction; in a process of its own, for memory never shrinks."""
    from sciml.pipeline import predict

    before = peak_memory()
    start = time.perf_counter()
    found = predict(run, file)
    seconds = time.perf_counter() - start
    print(seconds, peak_memory(), before, found.dataset.sizes["window"], found.n_beyond_training)


def main(folder: Path) -> None:
    from sciml.pipeline import assign, run

    short = write(folder / "short.nwb", 60, seed=1)
    settings = {
        "data": {"files": [str(short)], "labels": "intervals/trials:kind"},
        "windows": {"length": WINDOW},
        "noise": {"denoise": False},
        "model": {"options": {"width": 8}},
        "train": {"epochs": 1, "device": "cpu"},
    }
    run(assign(settings), out=folder / "run")
    rows = []
    for name, stamped in (("a rate", False), ("a time for each sample", True)):
        file = write(folder / "hour.nwb", 3600, seed=2, stamped=stamped)
        reading = rows_with_h5py(file)
        said = subprocess.run(
            [sys.executable, __file__, str(folder / "run"), str(file)], capture_output=True, text=True, check=True
        )
        seconds, peak, before, windows, beyond = map(float, said.stdout.split())
        rows.append((name, f"{windows:.0f}", f"{seconds:.2f}", f"{reading:.2f}", f"{peak:.0f}", f"{before:.0f}",
                     f"{beyond:.0f}"))  # fmt: skip
        print(rows[-1], flush=True)
        file.unlink()
    columns = ("clock", "windows", "s", "s, rows with h5py", "peak MiB", "of it libraries", "beyond the training range")
    text = f"{EVENTS} windows of {WINDOW:g} s of an hour of {RATE / 1000:g} kHz x {CHANNELS} (int16).\n\n"
    record("Prediction: events of a long recording", f"{text}{table(columns, rows)}\n\n{machine('torch', 'h5py')}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(*sys.argv[1:])
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
