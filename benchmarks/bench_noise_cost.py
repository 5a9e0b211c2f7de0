"""Cost of the noise floor of a long recording in a compressed file, beside reading it and the same matrix products.

Run with `--samples N` for another length than 1 200 000.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from _report import machine, record, table

N_CHANNELS = 384
CHUNK = 4096
MANY = (20_000, 1024)
FITS = 100_000  # samples that the peers which hold everything are given


def write(path: Path, n_samples: int) -> None:
    """Write counts of a converter: three shared waves in noise that is correlated in time, (time, channel), gzip."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(3, N_CHANNELS))
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "data", (n_samples, N_CHANNELS), np.int16, chunks=(CHUNK, N_CHANNELS), compression="gzip",
            compression_opts=1, shuffle=True,
        )  # fmt: skip
        data.attrs["units"] = "uV"
        last = np.zeros(N_CHANNELS)
        for start in range(0, n_samples, CHUNK):
            rows = min(CHUNK, n_samples - start)
            noise = rng.normal(size=(rows, N_CHANNELS)) * 0.8
            noise[0] += 0.6 * last
            noise[1:] += 0.75 * noise[:-1]  # a moving average: its color, not its exact law, is what matters here
            last = noise[-1]
            waves = np.sin(np.arange(start, start + rows)[:, None] * [0.01, 0.037, 0.11]) * [1.5, 1.0, 0.6]
            data[start : start + rows] = np.round(10 * (noise + waves @ maps))


TASKS = {
    "read": """
with h5py.File(path) as file:
    data, total = file["data"], 0
    for start in range(0, len(data), 65536): total += int(data[start:start + 65536][-1, -1])
""",
    "read and multiply": """
with h5py.File(path) as file:
    data, gram = file["data"], 0
    for start in range(0, len(data), 65536):
        block = data[start:start + 65536].astype(np.float32)
        gram = gram + (block.T @ block).astype(float)
""",
    "noise_floor": """
import sciml
recording = sciml.io.open_recording(path, "data", dims=("time", "channel"), rate=30000.0)
floor = sciml.noise.noise_floor(recording)
print(floor.model, floor.rank)
""",
    "noise_floor, white": """
import sciml
recording = sciml.io.open_recording(path, "data", dims=("time", "channel"), rate=30000.0)
floor = sciml.noise.noise_floor(recording, model="white")
""",
}

FRAME = """
import re, sys, time
import h5py, numpy as np
path = sys.argv[1]
began = time.perf_counter()
{body}
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(time.perf_counter() - began, peak / 1024)
"""


def measure(body: str, path: Path) -> tuple[float, float, str]:
    """Return seconds and peak MiB of a process of its own, and what else it said."""
    done = subprocess.run(
        [sys.executable, "-c", FRAME.format(body=body), path], capture_output=True, text=True, check=True
    )
    *said, last = done.stdout.strip().splitlines()
    seconds, peak = map(float, last.split())
    return seconds, peak, " ".join(said)


def held(path: Path) -> list[list[str]]:
    """Time the peers on the part that they can hold."""
    from sklearn.decomposition import PCA

    from sciml.noise import noise_floor

    with h5py.File(path) as file:
        values = file["data"][:FITS].astype(np.float64)
    import xarray as xr

    recording = xr.DataArray(values, dims=("time", "channel"))
    calls: dict[str, Callable[[], object]] = {
        "noise_floor": lambda: noise_floor(recording),
        "PCA, covariance_eigh": lambda: PCA(svd_solver="covariance_eigh").fit(values),
        "numpy.linalg.svd": lambda: np.linalg.svd(values - values.mean(axis=0), full_matrices=False),
        "X^T X": lambda: values.T @ values,
    }
    rows = []
    for name, call in calls.items():
        start = time.perf_counter()
        call()
        rows.append([name, f"{time.perf_counter() - start:.2f}"])
    return rows


def many_channels() -> list[list[str]]:
    """Time floors of 20,000 samples of 1024 channels, beside one Fourier transform and one product of them."""
    import scipy.fft
    import scipy.signal
    import xarray as xr

    from sciml.noise import noise_floor

    rng = np.random.default_rng(0)
    alone = scipy.signal.lfilter([0.6], [1, -0.8], rng.normal(size=MANY), axis=0)
    shared = scipy.signal.lfilter([np.sqrt(1 - 0.4**2)], [1, -0.4], alone, axis=1)
    calls: dict[str, Callable[[], object]] = {
        "X^T X": lambda: alone.T @ alone,
        "Fourier transform, single precision": lambda: scipy.fft.rfft(alone.astype(np.float32), axis=0),
        "noise_floor, independent channels": lambda: noise_floor(xr.DataArray(alone, dims=("time", "channel"))),
        "noise_floor, neighbors share noise": lambda: noise_floor(xr.DataArray(shared, dims=("time", "distance"))),
    }
    rows = []
    for name, call in calls.items():
        start, cpu = time.perf_counter(), time.process_time()
        found = call()
        seconds = f"{time.perf_counter() - start:.2f}", f"{time.process_time() - cpu:.2f}"
        rows.append([name, *seconds, f"{found.model}, rank {found.rank}" if hasattr(found, "rank") else ""])
    return rows


def main(n_samples: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.h5"
        write(path, n_samples)
        size = path.stat().st_size / 2**20
        found = {name: measure(body, path) for name, body in TASKS.items()}
        base = found["read and multiply"][0]
        rows = [
            [name, f"{seconds:.1f}", f"{seconds / base:.2f}", f"{peak:.0f}", said]
            for name, (seconds, peak, said) in found.items()
        ]
        short = held(path)
    flops = 2 * N_CHANNELS**2 * n_samples / 1e9
    record(
        "Noise floor: cost of a long recording",
        f"{N_CHANNELS} channels x {n_samples} samples of int16, {size:.0f} MiB in gzip chunks of {CHUNK} samples; "
        f"{2 * N_CHANNELS * n_samples / 2**20:.0f} MiB to decompress and {flops:.0f} GFlop of products at the least. "
        "Each task in a process of its own.\n\n"
        f"{table(['task', 's', 'of read and multiply', 'peak MiB', 'found'], rows)}\n\n"
        f"The first {FITS} samples, held as float64:\n\n{table(['call', 's'], short)}\n\n"
        f"{MANY[1]} channels x {MANY[0]} samples, AR(1) of .8, held:\n\n"
        f"{table(['call', 's', 'CPU s', 'found'], many_channels())}\n\n"
        f"{machine('numpy', 'scipy', 'scikit-learn', 'h5py')}",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_200_000)
    main(parser.parse_args().samples)
