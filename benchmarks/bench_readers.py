"""Opening files, windows and streams of `sciml.io` beside h5py (and pynwb) in one run; `--small` is quick."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
from _report import machine, record, table

from sciml.io import open_recording
from sciml.io.hdf5.tree import open_tree

SMALL = "--small" in sys.argv
DATA = Path(os.environ.get("SCIML_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
N_CHANNELS = 64
ROWS = 200_000 if SMALL else 1_000_000
WINDOW = 8192
STREAM_BYTES = 2**28 if SMALL else 2**33
LAYOUTS: dict[str, dict[str, object]] = {
    "contiguous": {},
    "frames, gzip": {"chunks": (4096, N_CHANNELS), "compression": "gzip", "compression_opts": 1},
    "channels, gzip": {"chunks": (50_000, 1), "compression": "gzip", "compression_opts": 1},
}
CACHES = (2**23, 2**26, 2**28)  # of h5py: its best arrangement is the peer


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Return the shortest of several runs: other work on the machine only adds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def walk(group: h5py.Group) -> None:
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            found = group[name]
            _ = found.shape if isinstance(found, h5py.Dataset) else walk(found)


def opening(folder: Path) -> None:
    """Time the tree of each real file, and what pynwb takes to open the same."""
    rows = []
    for path in sorted(each for each in folder.iterdir() if each.is_file() and h5py.is_hdf5(each)):

        def ours(path: Path = path) -> None:
            with open_tree(path):
                pass

        def plain(path: Path = path) -> None:
            with h5py.File(path) as file:
                walk(file)

        peer = f"{1e3 * seconds(lambda path=path: nwb(path), 1):.0f}" if path.suffix == ".nwb" else "-"
        rows.append((1e3 * seconds(ours), 1e3 * seconds(plain), peer, path.name))
    slowest = sorted(rows, reverse=True)[:8]
    columns = ["file", "sciml tree, ms", "h5py walk, ms", "pynwb, ms"]
    cells = [[name, f"{ours:.1f}", f"{plain:.1f}", peer] for ours, plain, peer, name in slowest]
    total = f"All {len(rows)} files: {sum(row[0] for row in rows):.0f} ms, h5py {sum(row[1] for row in rows):.0f} ms."
    record("Readers: open", f"The slowest of the real files.\n\n{table(columns, cells)}\n\n{total}\n\n{versions()}")


def nwb(path: Path) -> None:
    import warnings

    from pynwb import NWBHDF5IO

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with NWBHDF5IO(str(path), "r") as file:
                file.read()
        except (KeyError, OSError, TypeError, ValueError):
            return  # pynwb refuses some of them; the time until it does is shown


def windows(folder: Path) -> None:
    rng = np.random.default_rng(0)
    values = (rng.standard_normal((ROWS, N_CHANNELS)) * 50).astype(np.int16)
    orders = {
        "sequential": list(range(0, ROWS - WINDOW, WINDOW))[: 20 if SMALL else 100],
        "random": rng.integers(0, ROWS - WINDOW, 10 if SMALL else 30).tolist(),
    }
    rows = []
    for name, layout in LAYOUTS.items():
        path = folder / "windows.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=values, **layout)
        for order, starts in orders.items():
            # In turns, so that whatever else the machine does meets both.
            rounds = [(_sciml(path, starts), min(_h5py(path, starts, cache) for cache in CACHES)) for _ in range(5)]
            ours, theirs = (min(times) for times in zip(*rounds, strict=True))
            each = [f"{1e3 * time / len(starts):.2f}" for time in (ours, theirs)]
            rows.append([name, order, *each, f"{ours / theirs:.2f}"])
    columns = ["layout", "order", "sciml, ms", "h5py, best cache, ms", "ratio"]
    what = f"Windows of {WINDOW} x {N_CHANNELS} int16 of {ROWS} rows, as stored; targets: sequential 1.2, random 2."
    record("Readers: windows", f"{what}\n\n{table(columns, rows)}\n\n{versions()}")


def _h5py(path: Path, starts: Sequence[int], cache: int) -> float:
    """Return the time of the windows alone, after a first value: opening is measured apart."""
    with h5py.File(path, rdcc_nbytes=cache, rdcc_nslots=12_421) as file:
        dataset = file["x"]
        _ = dataset[:1]
        return seconds(lambda: [dataset[start : start + WINDOW] for start in starts], 1)


def _sciml(path: Path, starts: Sequence[int]) -> float:
    recording = open_recording(path, raw=True)
    _ = recording[:1].values
    return seconds(lambda: [recording[start : start + WINDOW].values for start in starts], 1)


def streams(folder: Path) -> None:
    """Sum a file larger than most memories through dask, and the same blocks by h5py."""
    path = folder / "stream.h5"
    rows = 2**19
    block = np.random.default_rng(0).integers(-999, 999, (rows, N_CHANNELS), dtype=np.int16)
    count = STREAM_BYTES // block.nbytes
    with h5py.File(path, "w") as file:
        x = file.create_dataset("x", (count * rows, N_CHANNELS), np.int16, chunks=(8192, N_CHANNELS))
        for number in range(count):
            x[number * rows : (number + 1) * rows] = block

    def theirs() -> float:
        with h5py.File(path) as file:
            return float(sum(file["x"][k * rows : (k + 1) * rows].sum(dtype=np.int64) for k in range(count)))

    def ours() -> float:
        return float(open_recording(path, raw=True, chunks="auto").sum(dtype=np.int64))

    assert ours() == theirs()
    times = {name: seconds(call, 2) for name, call in {"sciml, dask": ours, "h5py": theirs}.items()}
    rates = [[name, f"{STREAM_BYTES / 2**20 / each:.0f}"] for name, each in times.items()]
    ratio = times["h5py"] / times["sciml, dask"]
    what = (
        f"Sum of {STREAM_BYTES / 2**30:.2f} GiB in blocks of 64 MiB; a process of its own that does it through dask "
        f"peaks at {_peak(path):.0f} MiB, one that only imports the same at {_peak(None):.0f} MiB."
    )
    last = f"Rate of sciml over that of h5py: {ratio:.2f} (target 0.7)."
    record("Readers: stream", f"{what}\n\n{table(['reader', 'MiB/s'], rates)}\n\n{last}\n\n{versions()}")


CHILD = """
import re, sys
import dask.array
from sciml.io import open_recording
import xarray.core.parallel
if len(sys.argv) > 1:
    float(open_recording(sys.argv[1], raw=True, chunks="auto").sum(dtype="int64"))
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def _peak(path: Path | None) -> float:
    """Return the high-water mark in MiB of a process that streams a file, or only imports what that takes."""
    command = [sys.executable, "-c", CHILD, *([] if path is None else [str(path)])]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024


def versions() -> str:
    absent = [name for name in ("gwpy", "scippnexus") if find_spec(name) is None]
    return machine("h5py", "xarray", "dask", "pynwb") + (f"; not installed: {', '.join(absent)}" if absent else "")


if __name__ == "__main__":
    place = Path(tempfile.mkdtemp())
    try:
        if DATA.is_dir():
            opening(DATA)
        windows(place)
        streams(place)
    finally:
        shutil.rmtree(place)
