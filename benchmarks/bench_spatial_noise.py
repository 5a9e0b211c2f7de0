"""The noise floor beside noise that neighbors on a grid share: false alarms, power, sigma, intervals.

Each cell is kept in a file as soon as it is done (`--kept FILE`), and is not computed again: a run that was broken off
goes on. `--cells alarms power white` chooses, `--draws N` is the number of recordings in a cell of false alarms.
"""

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.ndimage
import scipy.signal
import xarray as xr
from _report import machine, record, table
from threadpoolctl import threadpool_limits

from sciml.errors import NoiseFloorWarning
from sciml.io import open_recording
from sciml.noise import NoiseFloor, noise_floor
from sciml.rmt.variance_profile import VarianceProfile

Shape = tuple[int, ...]
DIMS = {1: ("distance",), 2: ("y", "x"), 3: ("z", "y", "x")}
KERNEL = 12  # pixels that a blur reaches


def exponential(shape: Shape, *correlations: float) -> np.ndarray:
    """Correlations r^|steps| along each axis."""
    places = np.indices(shape).reshape(len(shape), -1).T
    steps = np.abs(places[:, None] - places)
    return np.asarray(np.prod([r ** steps[..., d] for d, r in enumerate(correlations)], axis=0))


def blurred(shape: Shape, width: float) -> np.ndarray:
    """Correlations of white noise after a Gaussian blur, as `scipy.ndimage` samples it."""
    pulse = scipy.ndimage.gaussian_filter1d(np.eye(4 * KERNEL + 1)[2 * KERNEL], width)
    by_lag = np.correlate(pulse, pulse, "full")[4 * KERNEL :]
    places = np.indices(shape).reshape(len(shape), -1).T
    steps = np.minimum(np.abs(places[:, None] - places), len(by_lag) - 1)
    return np.asarray(np.prod(by_lag[steps] / by_lag[0], axis=2))


def neighbors(shape: Shape, correlation: float) -> np.ndarray:
    steps = np.abs(np.subtract.outer(np.arange(shape[0]), np.arange(shape[0])))
    return np.where(steps == 0, 1.0, np.where(steps == 1, correlation, 0.0))


# name: samples, shape, covariance over channels, memory in time
NOISES: dict[str, tuple[int, Shape, Callable[[], np.ndarray], float]] = {
    "white, 64": (5000, (64,), lambda: np.eye(64), 0.0),
    "exp .2, 64": (5000, (64,), lambda: exponential((64,), 0.2), 0.0),
    "exp .4, 64": (5000, (64,), lambda: exponential((64,), 0.4), 0.0),
    "exp .6, AR .7, 64": (5000, (64,), lambda: exponential((64,), 0.6), 0.7),
    "exp .2, 128": (1000, (128,), lambda: exponential((128,), 0.2), 0.0),
    "exp .6, AR .7, 128": (1000, (128,), lambda: exponential((128,), 0.6), 0.7),
    "exp .6, AR .7, fiber 100": (3000, (100,), lambda: exponential((100,), 0.6), 0.7),
    "nearest .4, 128": (1000, (128,), lambda: neighbors((128,), 0.4), 0.0),
    "exp .9, 128": (1000, (128,), lambda: exponential((128,), 0.9), 0.0),
    "negative -.4, 64": (5000, (64,), lambda: exponential((64,), -0.4), 0.0),
    "blur .7, 20 x 20": (300, (20, 20), lambda: blurred((20, 20), 0.7), 0.0),
    "blur .7, AR .7, 20 x 20": (300, (20, 20), lambda: blurred((20, 20), 0.7), 0.7),
    "exp .4, 20 x 20": (300, (20, 20), lambda: exponential((20, 20), 0.4, 0.4), 0.0),
    "line scan .65, 20 x 20": (300, (20, 20), lambda: exponential((20, 20), 0.0, 0.65), 0.0),
    "exp .4, 6 x 7 x 8": (400, (6, 7, 8), lambda: exponential((6, 7, 8), 0.4, 0.4, 0.4), 0.0),
}
KINDS = ("", "unequal channels", "a third of the pixels dead", "complex")
MAPS = ("global", "random", "cell of 12", "smooth bump")
POWER = ("exp .4, 64", "blur .7, 20 x 20", "exp .6, AR .7, fiber 100", "exp .4, 6 x 7 x 8")


def colored(rng: np.random.Generator, n: int, root: np.ndarray, memory: float) -> np.ndarray:
    steps = rng.normal(size=(n + 200, len(root)))
    slow = scipy.signal.lfilter([np.sqrt(1 - memory**2)], [1, -memory], steps, axis=0)[200:]
    return np.asarray(slow @ root.T)


def floor_of(values: np.ndarray, shape: Shape, **options: str) -> NoiseFloor:
    dims = ("time", *DIMS[len(shape)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return noise_floor(xr.DataArray(values.reshape(-1, *shape), dims=dims, attrs={"sampling_rate": 1.0}), **options)


def loadings(name: str, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    places = np.indices(shape).reshape(len(shape), -1).T
    center = rng.uniform(0.25, 0.75, len(shape)) * shape
    square = ((places - center) ** 2).sum(axis=1)
    width = 16 if len(shape) == 1 else min(shape) / 5
    found = {
        "global": np.ones(len(places)),
        "random": rng.normal(size=len(places)),
        "cell of 12": np.isin(np.arange(len(places)), np.argsort(square)[:12]).astype(float),
        "smooth bump": np.exp(-square / (2 * width**2)),
    }[name]
    return np.asarray(found / np.linalg.norm(found))


def limit(covariance: np.ndarray, unit: np.ndarray, n: int, memory: float) -> float:
    """Return the weakest standard deviation of unit loadings, white in time, that stands out of whitened noise."""
    f = (np.arange(256) + 0.5) / 512
    power = (1 - memory**2) / np.abs(1 - memory * np.exp(-2j * np.pi * f)) ** 2
    profile = VarianceProfile(power[:, None], row_counts=np.full(256, n / 256), column_counts=[len(covariance)])
    return float(np.sqrt(profile.detection_limit / (unit @ np.linalg.solve(covariance, unit))))


def alarms_cell(name: str, kind: str, draws: int) -> dict[str, float]:
    n, shape, covariance, memory = NOISES[name]
    root, found, start = np.linalg.cholesky(covariance() + 1e-10 * np.eye(int(np.prod(shape)))), [], time.process_time()
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        values = colored(rng, n, root, memory)
        used = np.ones(values.shape[1], bool)
        scale = np.exp(0.4 * rng.normal(size=values.shape[1])) if kind == "unequal channels" else np.ones(len(used))
        if kind == "complex":
            values = (values + 1j * colored(rng, n, root, memory)) / np.sqrt(2)
        if kind == "a third of the pixels dead":
            used = rng.uniform(size=len(used)) > 1 / 3
        floor = floor_of(np.where(used, values * scale, 0.0), shape)
        sigma = floor.sigma / np.sqrt(np.mean(scale[used] ** 2))
        found.append((floor.rank > 0, floor.p_values[0] < 0.01, floor.bulk_ratio, sigma, floor.converged,
                      floor.model == "spatial", floor.bulk_distance))  # fmt: skip
    means = np.mean(found, axis=0)
    names = ("found", "p01", "bulk", "sigma", "converged", "spatial", "distance")
    error = float(np.std([each[3] for each in found]) / np.sqrt(draws))
    return {**dict(zip(names, means.tolist(), strict=True)), "sigma_error": error,
            "seconds": (time.process_time() - start) / draws}  # fmt: skip


def power_cell(name: str, kind: str, draws: int) -> dict[str, float]:
    n, shape, make, memory = NOISES[name]
    covariance = make()
    root = np.linalg.cholesky(covariance)
    found: dict[str, float] = {}
    for times in (1.5, 2.0):
        rows = []
        for seed in range(draws):
            rng = np.random.default_rng([seed, 1])
            unit, time_course = loadings(kind, shape, rng), rng.normal(size=n)
            time_course *= times * limit(covariance, unit, n, memory) / np.sqrt(np.mean(time_course**2))
            floor = floor_of(colored(rng, n, root, memory) + np.outer(time_course, unit), shape)
            overlap = low = np.nan
            if floor.rank:
                overlap = float(np.max((floor.components.T @ unit) ** 2))
                first, last = floor.strength_intervals[int(np.argmax(floor.strengths))]
                low = float(first < np.sqrt(np.mean(time_course**2)) < last)
            rows.append((floor.rank > 0, floor.rank > 1, overlap, low, floor.sigma))
        table_ = np.array(rows, float)
        means = [*table_[:, :2].mean(axis=0), *np.nanmean(table_[:, 2:], axis=0)]
        names = ("found", "more", "overlap", "held", "sigma")
        found |= {f"{key} {times:g}": float(value) for key, value in zip(names, means, strict=True)}
    return found


def white_cell(name: str, kind: str, draws: int) -> dict[str, float]:
    """White noise with five components: the rank without a grid, and whether the grid changes it."""
    n, shape = (int(each) for each in name.split(" x ")), tuple(int(each) for each in kind.split(" x "))
    n = next(iter(n))
    same, plain, exact = [], [], []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        channels = int(np.prod(shape))
        units = rng.normal(size=(5, channels)) / np.sqrt(channels)
        strengths = 2 * (channels / n) ** 0.25 * (1 + 0.15 * np.arange(5))
        values = (rng.normal(size=(n, 5)) * strengths) @ units + rng.normal(size=(n, channels))
        grid = floor_of(values, shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            independent = noise_floor(xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 1.0}))
        same.append(grid.rank == independent.rank)
        plain.append(grid.model != "spatial")
        exact.append(grid.sigma == independent.sigma)
    return {"same": float(np.mean(same)), "plain": float(np.mean(plain)), "exact": float(np.mean(exact))}


def cells(kinds: list[str], draws: int) -> list[tuple[str, str, str, int]]:
    found = []
    if "alarms" in kinds:
        found += [("alarms", name, "", draws) for name in NOISES]
        found += [
            ("alarms", name, kind, draws // 2) for kind in KINDS[1:] for name in ("exp .4, 64", "blur .7, 20 x 20")
        ]
    if "power" in kinds:
        found += [("power", name, kind, max(draws // 5, 2)) for name in POWER for kind in MAPS]
    if "white" in kinds:
        found += [("white", "1000", "128", draws // 2), ("white", "300", "20 x 20", draws // 4)]
    return found


COMPUTE = {"alarms": alarms_cell, "power": power_cell, "white": white_cell}


def computed(kept: Path, wanted: list[tuple[str, str, str, int]]) -> dict[str, dict[str, float]]:
    results: dict[str, dict[str, float]] = json.loads(kept.read_text()) if kept.exists() else {}
    for what, name, kind, draws in wanted:
        key = f"{what}|{name}|{kind}|{draws}"
        if key not in results:
            with threadpool_limits(1):
                results[key] = COMPUTE[what](name, kind, draws)
            kept.write_text(json.dumps(results, indent=1))
            print(key, results[key], flush=True)
    return {
        f"{what}|{name}|{kind}|{draws}": results[f"{what}|{name}|{kind}|{draws}"] for what, name, kind, draws in wanted
    }


def percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def report(results: dict[str, dict[str, float]]) -> None:
    alarms, power, white = [], [], []
    for key, cell in results.items():
        what, name, kind, n = key.split("|")
        if what == "alarms":
            t = NOISES[name][0]
            alarms.append([t, name, kind or "-", n, percent(cell["found"]), percent(cell["p01"]), f"{cell['bulk']:.4f}",
                           f"{cell['sigma']:.4f} +- {cell['sigma_error']:.4f}", percent(cell["converged"]),
                           percent(cell["spatial"]), f"{cell['seconds']:.2f}"])  # fmt: skip
        elif what == "power":
            both = [[percent(cell[f"{key} {times}"]) for times in ("1.5", "2")] for key in ("found", "more", "held")]
            overlap = [f"{cell[f'overlap {times}']:.2f}" for times in ("1.5", "2")]
            sigma = [f"{cell[f'sigma {times}']:.4f}" for times in ("1.5", "2")]
            power.append([NOISES[name][0], name, kind, n, *(" / ".join(each) for each in [*both, overlap, sigma])])
        else:
            white.append([name, kind, n, percent(cell["same"]), percent(cell["plain"]), percent(cell["exact"])])
    parts = [
        ("Nothing but noise:", ["T", "noise", "", "draws", "a component found", "p < .01", "bulk ratio", "sigma / true",
                                "converged", "spatial model", "CPU s"], alarms),
        ("One component, at 1.5 / 2 times the limit of the whitened noise:",
         ["T", "noise", "loadings", "draws", "found", "more than one", "95 % interval holds", "overlap of loadings",
          "sigma / true"], power),
        ("White noise and five components of random loadings, from 2 times the limit up:",
         ["T", "grid", "draws", "rank as without a grid", "independent model", "same sigma to the bit"], white),
    ]  # fmt: skip
    text = "\n\n".join(f"{words}\n\n{table(columns, rows)}" for words, columns, rows in parts if rows)
    record(
        "Noise floor: noise that neighbors on a grid share",
        f'`model="auto"`, nothing given but the grid; exp r: correlation r^|steps| along each axis.\n\n'
        f"{text}\n\n{machine('numpy', 'scipy')}",
    )


CROPS = {
    "nwb_neurofinder_a.nwb, 20 x 20 at (0, 0)": ("nwb_neurofinder_a.nwb", {"y": slice(0, 20), "x": slice(0, 20)}),
    "nwb_neurofinder_a.nwb, 20 x 20 at (60, 60)": ("nwb_neurofinder_a.nwb", {"y": slice(60, 80), "x": slice(60, 80)}),
    "nwb_neurofinder_a.nwb, 32 x 32 at (100, 40)": (
        "nwb_neurofinder_a.nwb",
        {"y": slice(100, 132), "x": slice(40, 72)},
    ),
    "nwb_neurofinder_a.nwb, whole": ("nwb_neurofinder_a.nwb", {}),
    "sima_2p_example.h5, 24 x 24 at (40, 40)": ("sima_2p_example.h5", {"y": slice(40, 64), "x": slice(40, 64)}),
    "sima_2p_example.h5, 24 x 24 at (80, 150)": ("sima_2p_example.h5", {"y": slice(80, 104), "x": slice(150, 174)}),
    "das_silixa.hdf5, channels 3000 to 3299": ("das_silixa.hdf5", {"channel": slice(3000, 3300)}),
    "das_prodml_2.0.h5, channels 0 to 127": ("das_prodml_2.0.h5", {"channel": slice(0, 128)}),
    "das_prodml_2.0.h5, channels 256 to 383": ("das_prodml_2.0.h5", {"channel": slice(256, 384)}),
}


def measured() -> None:
    """Record the floors of measured movies and fibers: `SCIML_TEST_DATA`."""
    data = Path(os.environ.get("SCIML_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    rows = []
    for words, (name, part) in CROPS.items():
        recording = open_recording(data / name)
        recording = (recording.rename(frame="time") if "frame" in recording.dims else recording).isel(part).load()
        began = time.process_time()
        floor = noise_floor(recording)
        shared = "" if floor.spatial is None else "; ".join(map(str, floor.spatial.along))
        rows.append(
            [words, floor.model, floor.rank_words, f"{floor.bulk_ratio:.3f}", f"{floor.bulk_distance:.3f}",
             f"{floor.sigma:.4g}", shared, floor.doubt, f"{time.process_time() - began:.1f}"]
        )  # fmt: skip
    columns = ["recording", "model", "rank", "bulk ratio", "KS", "sigma", "noise correlation", "doubt", "CPU s"]
    record(
        "Noise floor: measured movies and fibers",
        f"`noise_floor(recording)`, nothing given.\n\n{table(columns, rows)}\n\n{machine('numpy', 'scipy')}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--cells", nargs="+", choices=sorted(COMPUTE), default=sorted(COMPUTE))
    parser.add_argument("--kept", type=Path, default=Path(tempfile.gettempdir()) / "bench_spatial_noise.json")
    parser.add_argument("--measured", action="store_true", help="floors of measured recordings instead")
    arguments = parser.parse_args()
    if arguments.measured:
        warnings.simplefilter("ignore", NoiseFloorWarning)
        measured()
        return
    report(computed(arguments.kept, cells(arguments.cells, arguments.draws)))


if __name__ == "__main__":
    main()
