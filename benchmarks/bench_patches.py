"""`sciml.denoise.denoise_patches` beside MRtrix dwidenoise and DIPY mppca: error, noise level, honesty, time.

Peers are looked for outside this environment: dwidenoise on PATH or at SCIML_DWIDENOISE, DIPY in the Python that
SCIML_DIPY_PYTHON names. `python bench_patches.py scale` runs the 12 GB movie alone (`scale --gigabytes 1.5`: a
shorter one), `phantom` the phantoms alone, `shared` noise that neighboring pixels share. SCIML_SCRATCH
is a folder with 25 GB of room.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from _report import machine, record, table
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import lfilter

from sciml.denoise import denoise, denoise_patches
from sciml.noise import noise_floor
from sciml.simulate import Phantom, smooth_phantom

THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
FRAMES_PER_GB = 250  # of 1024 x 1024 pixels
PATCH = {"z": 5, "y": 5, "x": 5}
CASES = [
    {},
    {"seed": 1, "amplitude": 25.0},
    {"seed": 2, "sigma": 4.0, "rank": 8},
    {"seed": 3, "shape": (12, 40, 40), "n_samples": 90, "rank": 2},
    {"seed": 4, "n_samples": 30, "sigma": 1.0, "rank": 3},
]
RANDOM = [{"rank": 2}, {"rank": 4}, {"rank": 8}, {"rank": 4, "strength": 1.5}]  # maps white in space
DIPY = """
import sys, time, numpy as np
from dipy.denoise.localpca import mppca
values = np.load(sys.argv[1])
wall, cpu = time.perf_counter(), time.process_time()
denoised, sigma = mppca(values, patch_radius=2, return_sigma=True)
print(time.perf_counter() - wall, time.process_time() - cpu)
np.savez(sys.argv[2], denoised=denoised, sigma=sigma)
"""


@dataclass(frozen=True)
class Run:
    wall: float
    cpu: float
    denoised: NDArray[np.floating]
    sigma: float

    def error(self, truth: NDArray[np.floating]) -> float:
        finite = np.isfinite(self.denoised)
        return float(np.sqrt(np.mean((self.denoised - truth)[finite] ** 2)))


def volumes(data: xr.DataArray) -> NDArray[np.floating]:
    return np.ascontiguousarray(data.transpose("x", "y", "z", "time").values)


def ours(phantom: Phantom) -> tuple[Run, xr.Dataset]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = denoise_patches(phantom.recording, patch=PATCH)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Run(wall, cpu, volumes(result["denoised"]), float(result["sigma"].mean())), result


def dwidenoise(phantom: Phantom) -> Run | None:
    program = os.environ.get("SCIML_DWIDENOISE") or shutil.which("dwidenoise")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        given, out, noise = (Path(folder) / name for name in ("in.mif", "out.mif", "noise.mif"))
        write_mif(given, volumes(phantom.recording))
        options = ["-extent", "5,5,5", "-noise", noise, "-nthreads", str(THREADS), "-quiet"]
        wall, cpu = time.perf_counter(), children_cpu()
        subprocess.run([program, given, out, *options], check=True)
        wall, cpu = time.perf_counter() - wall, children_cpu() - cpu
        return Run(wall, cpu, read_mif(out), float(np.nanmean(read_mif(noise))))


def dipy(phantom: Phantom) -> Run | None:
    python = os.environ.get("SCIML_DIPY_PYTHON")
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "in.npy", Path(folder) / "out.npz"
        np.save(given, volumes(phantom.recording))
        done = subprocess.run([python, "-c", DIPY, given, out], check=True, capture_output=True, text=True)
        wall, cpu = map(float, done.stdout.split()[-2:])
        with np.load(out) as found:
            return Run(wall, cpu, found["denoised"], float(np.nanmean(found["sigma"])))


def children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_mif(path: Path, values: NDArray[np.floating]) -> None:
    """MRtrix's own format: a text header, then the values, last axis fastest."""
    dims = ",".join(map(str, values.shape))
    layout = ",".join(f"+{values.ndim - 1 - axis}" for axis in range(values.ndim))
    head = f"mrtrix image\ndim: {dims}\nvox: 2,2,2,1\nlayout: {layout}\ndatatype: Float32LE\nfile: . 256\nEND\n"
    path.write_bytes(head.encode().ljust(256, b"\0") + values.astype("<f4").tobytes())


def read_mif(path: Path) -> NDArray[np.floating]:
    content = path.read_bytes()
    lines = content[: content.index(b"\nEND")].decode().splitlines()
    head = dict(line.split(": ", 1) for line in lines if ": " in line)
    shape = [int(size) for size in head["dim"].split(",")]
    order = np.argsort([-int(step.strip("+-")) for step in head["layout"].split(",")])  # slowest axis first
    dtype = {"Float32LE": "<f4", "Float64LE": "<f8"}[head["datatype"]]
    offset = int(head["file"].split()[1])
    values = np.frombuffer(content, dtype, count=int(np.prod(shape)), offset=offset)
    return values.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))


def fastest(call: Callable[[], Run | None], repeats: int) -> Run | None:
    runs = [call() for _ in range(repeats)]
    return min((run for run in runs if run is not None), key=lambda run: run.wall, default=None)


def row(options: dict[str, object], *, with_dipy: bool) -> list[str]:
    phantom = smooth_phantom(**options)  # type: ignore[arg-type]
    truth = volumes(phantom.signal)
    result = ours(phantom)[1]
    mine = fastest(lambda: ours(phantom)[0], 5)
    peers = [fastest(lambda: dwidenoise(phantom), 2), dipy(phantom) if with_dipy else None]
    inside = np.abs(result["denoised"] - phantom.signal) < 1.96 * np.sqrt(result["variance"])
    assert mine is not None
    cells = [", ".join(f"{k} {v}" for k, v in options.items()) or "default"]
    cells += [f"{mine.wall:.2f} ({mine.cpu:.2f})", f"{mine.error(truth):.4f}", f"{mine.sigma / phantom.sigma:.4f}"]
    cells.append(f"{100 * float(inside.mean()):.1f} %")
    for peer, name in zip(peers, ("dwidenoise", "DIPY"), strict=True):
        cells.append("absent" if peer is None and (with_dipy or name == "dwidenoise") else against(mine, peer, truth))
    return cells


def against(mine: Run, peer: Run | None, truth: NDArray[np.floating]) -> str:
    if peer is None:
        return "-"
    return (
        f"{peer.wall:.1f} ({peer.cpu:.1f}) s, **x{peer.wall / mine.wall:.1f}** (x{peer.cpu / mine.cpu:.1f}); RMSE "
        f"{peer.error(truth):.4f}, **{mine.error(truth) / peer.error(truth):.3f}**; sigma {peer.sigma:.3f}"
    )


def random_phantom(rank: int, *, strength: float = 3.0, sigma: float = 2.0) -> Phantom:
    """Maps of independent normal numbers: low rank without any smoothness in space to make use of."""
    rng = np.random.default_rng(rank)
    courses = [np.sin(2 * np.pi * k * np.arange(64) / 64 + rng.uniform(0, 6.28)) for k in range(1, rank + 1)]
    signal = 100 + strength * np.einsum("kt,kzyx->tzyx", courses, rng.normal(size=(rank, 12, 32, 32)))
    noisy = (signal + sigma * rng.normal(size=signal.shape)).astype(np.float32)
    dims = ("time", "z", "y", "x")
    return Phantom(xr.DataArray(noisy, dims=dims), xr.DataArray(signal, dims=dims), sigma)


def random_row(options: dict[str, float]) -> list[str]:
    phantom = random_phantom(**options)  # type: ignore[arg-type]
    truth, peer = volumes(phantom.signal), dwidenoise(phantom)
    cells = [
        ", ".join(f"{k} {v}" for k, v in options.items()),
        "absent" if peer is None else f"{peer.error(truth):.4f}",
    ]
    for size, stride in ((5, None), (5, 2), (6, None), (7, None)):
        patch = dict.fromkeys(PATCH, size)
        denoised = volumes(denoise_patches(phantom.recording, patch=patch, stride=stride)["denoised"])
        error = float(np.sqrt(np.mean((denoised - truth) ** 2)))
        cells.append(f"{error:.4f}" + ("" if peer is None else f", **{error / peer.error(truth):.3f}**"))
    return cells


def phantoms() -> None:
    columns = ["phantom", "sciml: s", "RMSE", "sigma / true", "95 % intervals hold", "dwidenoise", "DIPY mppca"]
    rows = [row(case, with_dipy=number == 0) for number, case in enumerate(CASES)]
    random_columns = ["phantom", "dwidenoise 5 x 5 x 5", "5 x 5 x 5", "the same, stride 2", "6 x 6 x 6", "7 x 7 x 7"]
    random_table = table(random_columns, [random_row(options) for options in RANDOM])
    noise = smooth_phantom((16, 24, 24), rank=0, amplitude=0.0)
    quiet = ours(noise)[1]
    kept = float(quiet["denoised"].var("time").mean()) / noise.sigma**2
    text = (
        "48 x 48 x 16 voxels x 64 samples, sigma 2, patches of 5 x 5 x 5, unless the row says otherwise. Times are "
        f"wall clock, CPU seconds in brackets, on {THREADS} threads; ratios in bold are theirs over ours (time) "
        f"and ours over theirs (RMSE).\n\n{table(columns, rows)}\n\nMaps white in space, 32 x 32 x 12 "
        f"voxels x 64 samples, sigma 2, RMSE and ratio:\n\n{random_table}\n\nPure noise: {100 * kept:.2f} % "
        f"of the variance kept, mean rank {float(quiet['rank'].mean()):.3f}.\n\n{machine('numpy', 'torch')}"
    )
    record("Patches: phantoms beside peers", text)


def shared_noise(kind: str, shape: tuple[int, int, int], rng: np.random.Generator) -> NDArray[np.floating]:
    """Noise of variance one: white, blurred by .7 pixels, exponential with .4 a pixel both ways, or along x alone."""
    pad = 24
    white = rng.normal(size=(shape[0], shape[1] + 2 * pad, shape[2] + 2 * pad))
    if kind == "blur .7":
        white = gaussian_filter(white, (0, 0.7, 0.7))
    for axis in {"exp .4": (1, 2), "exp .6 along x": (2,)}.get(kind, ()):
        rho = float(kind.split()[1])
        white = lfilter([1.0], [1.0, -rho], white, axis=axis)
    inner = white[:, pad:-pad, pad:-pad]
    return inner / inner.std()


def cells(shape: tuple[int, int, int], amplitude: float, rng: np.random.Generator) -> NDArray[np.floating]:
    """One cell of 3 x 4 pixels for every 80, and a smooth background, with time courses of autocorrelation .9."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape[1:]), indexing="ij")
    maps = [np.exp(-(y**2) - x**2)]
    for _ in range(shape[1] * shape[2] // 80):
        row, column = rng.integers(0, shape[1] - 3), rng.integers(0, shape[2] - 4)
        maps.append(np.zeros(shape[1:]))
        maps[-1][row : row + 3, column : column + 4] = 1
    times = lfilter([np.sqrt(1 - 0.81)], [1, -0.9], rng.normal(size=(shape[0] + 200, len(maps))), axis=0)[200:]
    return amplitude * np.tensordot(times, np.array(maps), 1)


def shared_row(kind: str, shape: tuple[int, int, int], amplitude: float, draws: int, *, whole: bool) -> list[str]:
    """Errors over the variance of the noise, by patches and whole, of independent noise and of noise as it is found."""
    found = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        signal = cells(shape, amplitude, rng)
        movie = xr.DataArray((signal + shared_noise(kind, shape, rng)).astype(np.float32), dims=("time", "y", "x"))
        row: list[float] = []
        for noise in ("independent", "auto"):
            seconds, result = timed_patches(movie, noise)
            inside = np.abs(result["denoised"] - signal) < 1.96 * np.sqrt(result["variance"])
            error = float(((result["denoised"] - signal) ** 2).mean())
            row += [error, float(result["sigma"].mean()), float(inside.mean()), seconds]
        for model in ("heteroscedastic", "auto") if whole else ():
            floor = noise_floor(movie, model=model)  # type: ignore[arg-type]
            row.append(float(((denoise(movie, floor) - signal) ** 2).mean()))
        found.append(row)
    mean = np.mean(found, axis=0)
    cells_of_row = [f"{' x '.join(map(str, shape))}, {kind}, {amplitude:g}", f"{mean[0]:.4f}", f"{mean[4]:.4f}"]
    cells_of_row += [f"**{mean[4] / mean[0]:.3f}**", f"{mean[1]:.3f}, {mean[5]:.3f}", f"{100 * mean[6]:.1f} %"]
    cells_of_row.append(f"{mean[3]:.2f}, {mean[7]:.2f} (**x{mean[7] / mean[3]:.2f}**)")
    cells_of_row.append(f"{mean[8]:.4f}, {mean[9]:.4f} (**{mean[9] / mean[8]:.3f}**)" if whole else "-")
    return cells_of_row


def timed_patches(movie: xr.DataArray, noise: str) -> tuple[float, xr.Dataset]:
    """Return the least seconds of three runs, and the result."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        result = denoise_patches(movie, patch={"y": 7, "x": 7}, noise=noise)  # type: ignore[arg-type]
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def shared() -> None:
    warnings.simplefilter("ignore")
    rows = []
    for kind in ("white", "blur .7", "exp .4", "exp .6 along x"):
        rows += [shared_row(kind, (300, 20, 20), amplitude, 4, whole=True) for amplitude in (0.0, 0.5, 1.0)]
    rows += [shared_row(kind, (300, 128, 128), 0.5, 1, whole=False) for kind in ("white", "blur .7")]
    rows += [shared_row(kind, (1000, 256, 256), 0.5, 1, whole=False) for kind in ("white", "blur .7")]
    columns = ["movie, noise, amplitude", "patches, independent", "patches, auto", "ratio", "sigma (true 1)"]
    columns += ["95 % intervals hold (auto)", "s", "whole: heteroscedastic, auto"]
    text = (
        "Squared error over the variance of the noise; cells of 3 x 4 pixels (one for every 80) and a smooth "
        "background with time courses of autocorrelation .9, their standard deviation over that of the noise as "
        "amplitude. Patches of 7 x 7. 4 draws of 20 x 20 pixels, one of the larger ones; time is the least of three "
        "runs.\n\n"
        f"{table(columns, rows)}\n\n{THREADS} threads; {machine('numpy', 'torch', 'scipy')}"
    )
    record("Patches: noise that neighbors share", text)


SCALE = """
import resource, sys, time
from sciml.denoise import denoise_patches_to_file
from sciml.denoise.patches import tile
from sciml.io import open_recording
from sciml.io.write import regions
from sciml.linalg import batched

spent = {"read": 0.0, "write": 0.0, "eigen": 0.0}
def timed(what, function, clock):
    def call(*args, **options):
        start = clock()
        try:
            return function(*args, **options)
        finally:
            spent[what] += clock() - start
    return call
batched.eigh = timed("eigen", batched.eigh, time.thread_time)
batched.eigvalsh = timed("eigen", batched.eigvalsh, time.thread_time)
tile.read_values = timed("read", tile.read_values, time.perf_counter)
regions.RegionFile.write = timed("write", regions.RegionFile.write, time.perf_counter)
movie = open_recording(sys.argv[1], "movie", dims=("time", "y", "x"), rate=30.0)
wall, cpu = time.perf_counter(), time.process_time()
found = denoise_patches_to_file(movie, sys.argv[2], patch={"y": 7, "x": 7}, memory="2GB")
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(wall, cpu, spent["eigen"], spent["read"], spent["write"], peak, found.n_tiles, found.sigma)
"""


def write_movie(path: Path, shape: tuple[int, int, int]) -> None:
    """Smooth sources of known courses in noise of sigma 2, in chunks as cameras' converters write them."""
    rng = np.random.default_rng(0)
    time_, rows, columns = (np.arange(size) for size in shape)
    courses = np.sin(np.multiply.outer(time_, np.arange(1, 6)) / 40).astype(np.float32)
    with h5py.File(path, "w") as file:
        movie = file.create_dataset("movie", shape, "f4", chunks=(100, 128, 128))
        for row in range(0, shape[1], 128):
            blobs = np.exp(-(np.subtract.outer(rows[row : row + 128] % 64, np.arange(10, 60, 10)) ** 2) / 200.0)
            across = np.exp(-(np.subtract.outer(columns % 64, np.arange(60, 10, -10)) ** 2) / 200.0)
            for start in range(0, shape[0], 100):
                noise = rng.standard_normal((min(100, shape[0] - start), len(blobs), shape[2]), np.float32)
                signal = np.einsum("tk,yk,xk->tyx", courses[start : start + 100], blobs, across, optimize=True)
                movie[start : start + 100, row : row + 128] = 100 + 8 * signal + 2 * noise


def scale(gigabytes: float) -> None:
    n_samples, side = max(30, round(gigabytes * FRAMES_PER_GB)), 1024
    with tempfile.TemporaryDirectory(dir=os.environ.get("SCIML_SCRATCH")) as folder:
        source, out = Path(folder) / "movie.h5", Path(folder) / "clean.nc"
        write_movie(source, (n_samples, side, side))
        done = subprocess.run([sys.executable, "-c", SCALE, source, out], check=True, capture_output=True, text=True)
    wall, cpu, eigen, read, write, peak, tiles, sigma = map(float, done.stdout.split())
    row = [
        f"{n_samples} x {side} x {side} ({n_samples * side**2 * 4 / 1e9:.1f} GB)",
        f"{wall:.0f}",
        f"{n_samples * side**2 / wall / 1e6:.1f}",
        f"{100 * eigen / cpu:.0f} %",
        f"{100 * read / wall:.0f} %",
        f"{100 * write / wall:.0f} %",
        f"{peak:.0f}",
        f"{tiles:.0f}",
        f"{sigma:.3f}",
    ]
    columns = ["movie", "s", "million voxels/s", "eigen-solver, of CPU time", "reading, of the time"]
    columns += ["writing, of the time", "peak MiB", "tiles", "sigma (true 2)"]
    text = f"Patches of 7 x 7, float32, from HDF5 to netCDF-4 within 2 GB.\n\n{table(columns, [row])}"
    record("Patches: a movie beyond memory", f"{text}\n\n{THREADS} threads; {machine('numpy', 'torch', 'h5py')}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Patches beside peers, and beyond memory.")
    parser.add_argument(
        "parts", nargs="*", default=["phantom", "shared", "scale"], help="phantom, shared, scale; default all"
    )
    parser.add_argument("--gigabytes", type=float, default=12.0, help="size of the movie beyond memory")
    chosen = parser.parse_args()
    if "phantom" in chosen.parts:
        phantoms()
    if "shared" in chosen.parts:
        shared()
    if "scale" in chosen.parts:
        scale(chosen.gigabytes)


if __name__ == "__main__":
    main()
