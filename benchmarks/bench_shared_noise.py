"""Noise that channels share at any positions, in groups, or as a reference has it; and evidence without a model.

`--parts distance reference evidence measured` chooses, `--draws N` is the number of recordings in a cell.
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.signal
import scipy.spatial.distance
import scipy.special
import xarray as xr
from _report import machine, record, table
from threadpoolctl import threadpool_limits

from sciml.io import open_recording
from sciml.noise import NoiseFloor, noise_floor, shared_between, shared_between_halves, shared_over_time
from sciml.rmt.f_matrix import edge
from sciml.rmt.variance_profile import VarianceProfile

DATA = Path(os.environ.get("SCIML_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
NAMES = ("rel_x", "rel_y", "rel_z")
Rng = np.random.Generator


def recording(values: np.ndarray, **table: np.ndarray) -> xr.DataArray:
    coords = {name: ("channel", column) for name, column in table.items()}
    return xr.DataArray(values, dims=("time", "channel"), coords=coords, attrs={"sampling_rate": 100.0})


def colored(rng: Rng, n: int, root: np.ndarray, memory: float = 0.0) -> np.ndarray:
    steps = rng.normal(size=(n + 300, root.shape[1]))
    return np.asarray(scipy.signal.lfilter([np.sqrt(1 - memory**2)], [1, -memory], steps, axis=0)[300:] @ root.T)


def limit(n: int, n_channels: int, memory: float) -> float:
    """Return the weakest standard deviation that stands out of independent noise of such a memory in time."""
    f = np.fft.rfftfreq(n)[1:]
    spectrum = (1 - memory**2) / np.abs(1 - memory * np.exp(-2j * np.pi * f)) ** 2
    counts = np.full(len(f), n / len(f))
    return float(
        np.sqrt(VarianceProfile(spectrum[:, None], row_counts=counts, column_counts=[n_channels]).detection_limit)
    )


def percent(part: float) -> str:
    return f"{100 * part:.0f} %"


# ---- by distance, in groups


def random_positions(rng: Rng, n: int, dims: int = 2) -> np.ndarray:
    found = np.zeros((0, dims))
    while len(found) < n:
        place = rng.uniform(0, n ** (1 / dims), dims)
        if not (np.linalg.norm(found - place, axis=1) < 0.5).any():
            found = np.vstack([found, place])
    return found


def hexagons(rng: Rng, n: int) -> np.ndarray:
    side = round(np.sqrt(n))
    i, j = np.meshgrid(np.arange(side), np.arange(side))
    x, y, angle = (i + 0.5 * (j % 2)).ravel(), np.sqrt(0.75) * j.ravel(), rng.uniform(0, np.pi)
    return np.stack([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y], axis=1)


def staggered(rng: Rng, n: int) -> np.ndarray:
    """Places of a probe of four columns, each a little off."""
    place = np.arange(n)
    return np.stack([0.8 * (2 * (place % 2) + (place // 2) % 2), place // 2 * 1.0], axis=1) + 0.02 * rng.normal(
        size=(n, 2)
    )


LAYOUTS: dict[str, Callable[[Rng, int], np.ndarray]] = {
    "random": random_positions,
    "hexagons": hexagons,
    "staggered probe": staggered,
    "cloud in space": lambda rng, n: random_positions(rng, n, 3),
}
KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "white": lambda d: np.where(d == 0, 1.0, 0.0),
    "exp(-d / 1.1)": lambda d: np.exp(-d / 1.1),
    "blur .8": lambda d: np.exp(-(d**2) / (2 * 0.8**2)),
    ".5 exp(-d / 1.5) and own": lambda d: np.where(d == 0, 1.0, 0.5 * np.exp(-d / 1.5)),
    "negative: exp(-d) J0(2.5 d)": lambda d: np.exp(-d) * scipy.special.j0(2.5 * d),
}
CELLS = [  # layout, noise, channels, samples, memory in time
    ("random", "white", 64, 2000, 0.0),
    ("random", "exp(-d / 1.1)", 64, 2000, 0.0),
    ("random", "blur .8", 64, 2000, 0.7),
    ("random", "negative: exp(-d) J0(2.5 d)", 64, 2000, 0.0),
    ("hexagons", "blur .8", 100, 1000, 0.0),
    ("hexagons", "exp(-d / 1.1)", 196, 500, 0.0),
    ("staggered probe", ".5 exp(-d / 1.5) and own", 96, 3000, 0.7),
    ("cloud in space", "exp(-d / 1.1)", 64, 2000, 0.0),
    ("tetrodes", "correlation .5 within", 32, 3000, 0.0),
    ("tetrodes", "correlation -.2 within", 32, 3000, 0.7),
]


def of_cell(rng: Rng, layout: str, kind: str, n: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the covariance over channels, and the table that says where they are."""
    if layout == "tetrodes":
        group, rho = np.arange(n) // 4, float(kind.split()[1])
        return np.where(group[:, None] == group, rho, 0.0) + (1 - rho) * np.eye(n), {"group": group}
    positions = LAYOUTS[layout](rng, n)
    apart = scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(positions))
    return KINDS[kind](apart) + 1e-8 * np.eye(len(apart)), dict(zip(NAMES, positions.T, strict=False))


def loadings_of(rng: Rng, draw: int, table: dict[str, np.ndarray], n: int) -> np.ndarray:
    """Return loadings of all channels, of eight neighbors, or of any channels."""
    if draw % 3 == 0:
        return np.ones(n)
    if draw % 3 == 1:
        return np.asarray(rng.normal(size=n))
    first = next(iter(table.values()))
    return np.isin(np.arange(n), np.argsort(np.abs(first - np.median(first)))[:8]).astype(float)


def by_distance(draws: int) -> list[list[object]]:
    rows = []
    for layout, kind, n, samples, memory in CELLS:
        floors: list[NoiseFloor] = []
        found, more, sigmas, start = [], [], [], time.process_time()
        for draw in range(draws):
            rng = np.random.default_rng(draw)
            of, places = of_cell(rng, layout, kind, n)
            scale = np.exp(0.3 * rng.normal(size=len(of)))
            root = np.linalg.cholesky(of)
            noise = colored(rng, samples, scale[:, None] * root, memory)
            floors.append(noise_floor(recording(noise, **places), model="spatial-groups"))
            sigmas.append(floors[-1].sigma / np.sqrt(np.mean(scale**2)))
            if draw < draws // 2:
                u = loadings_of(rng, draw, places, len(of))
                strength = 1.5 * limit(samples, len(of), memory) / np.linalg.norm(np.linalg.solve(root, u))
                signal = strength * colored(rng, samples, np.eye(1), memory) * u * scale
                rank = noise_floor(recording(noise + signal, **places), model="spatial-groups").rank
                found.append(rank > 0)
                more.append(rank > 1)
        seconds = (time.process_time() - start) / (draws + draws // 2)
        rows.append([
            f"{samples} x {len(of)}", layout, kind + (f", AR {memory:g}" if memory else ""), draws,
            percent(np.mean([floor.rank > 0 for floor in floors])),
            percent(np.mean([floor.p_values[0] < 0.01 for floor in floors])),
            percent(np.mean([floor.converged for floor in floors])),
            f"{np.mean([floor.bulk_ratio for floor in floors]):.4f}",
            f"{np.mean(sigmas):.4f} +- {np.std(sigmas) / np.sqrt(draws):.4f}",
            percent(np.mean(found)), percent(np.mean(more)), f"{seconds:.2f}",
        ])  # fmt: skip
        print(rows[-1], flush=True)
    return rows


# ---- a reference

REFERENCES = [  # samples, samples of the reference, channels, memory in time
    (1000, 500, 64, 0.0),
    (2000, 200, 32, 0.0),
    (600, 600, 100, 0.0),
    (2000, 1000, 64, 0.7),
    (200, 1000, 64, 0.0),
    (100, 600, 150, 0.0),
]


def by_reference(draws: int) -> list[list[object]]:
    rows = []
    for n, m, n_channels, memory in REFERENCES:
        floors, found, more, sigmas, start = [], [], [], [], time.process_time()
        for draw in range(draws):
            rng = np.random.default_rng(draw)
            root = np.linalg.qr(rng.normal(size=(n_channels, n_channels)))[0] * np.geomspace(
                1, np.sqrt(1000), n_channels
            )
            reference, noise = (colored(rng, each, root, memory) for each in (m, n))
            floors.append(noise_floor(recording(noise), reference=recording(reference)))
            sigmas.append(floors[-1].sigma / np.sqrt(np.mean((root**2).sum(axis=1))))
            if draw < draws // 2:
                tau = (1 + memory**2) / (1 - memory**2)
                weakest = np.sqrt(edge(n_channels * tau / n, n_channels * tau / m)) - 1
                u = root @ (v := rng.normal(size=n_channels)) / np.linalg.norm(v)
                signal = np.sqrt(1.5**2 * weakest) * colored(rng, n, np.eye(1), 0.0) * u
                rank = noise_floor(recording(noise + signal), reference=recording(reference)).rank
                found.append(rank > 0)
                more.append(rank > 1)
        seconds = (time.process_time() - start) / (draws + draws // 2)
        rows.append([
            f"{n} x {n_channels}", m, memory or "-", draws, percent(np.mean([floor.rank > 0 for floor in floors])),
            percent(np.mean([floor.p_values[0] < 0.01 for floor in floors])),
            percent(np.mean([floor.converged for floor in floors])),
            f"{np.mean([floor.bulk_ratio for floor in floors]):.4f}",
            f"{np.mean(sigmas):.4f} +- {np.std(sigmas) / np.sqrt(draws):.4f}",
            percent(np.mean(found)), percent(np.mean(more)), f"{seconds:.2f}",
        ])  # fmt: skip
        print(rows[-1], flush=True)
    return rows


# ---- evidence without a model


def line(rng: Rng, n: int, n_channels: int, memory: float) -> np.ndarray:
    apart = np.abs(np.subtract.outer(np.arange(n_channels), np.arange(n_channels)))
    root = np.linalg.cholesky(0.6**apart)
    if memory < 1:
        return colored(rng, n, root, memory)
    return np.asarray(np.cumsum(rng.normal(size=(n, n_channels)), axis=0) @ root.T)


def between_sets(draws: int) -> list[list[object]]:
    rows = []
    for n, n_channels, memory in ((800, 20, 0.8), (300, 40, 0.5), (5000, 10, 0.9), (800, 20, 1.0)):
        for whiten in (True, False):
            alone, shared = [], []
            for draw in range(draws):
                rng = np.random.default_rng(draw)
                a, b = (line(rng, n, n_channels, memory) for _ in range(2))
                alone.append(shared_between(recording(a), recording(b), whiten=whiten, rng=rng).n_shared)
                common = line(rng, n, 1, memory)
                common *= 0.35 * a.std() / common.std()
                a, b = (each + common * rng.normal(size=n_channels) for each in (a, b))
                shared.append(shared_between(recording(a), recording(b), whiten=whiten, rng=rng).n_shared)
            rows.append([
                f"{n} x ({n_channels} + {n_channels})", "random walk" if memory == 1 else f"AR {memory:g}",
                "yes" if whiten else "no", draws, percent(np.mean(np.array(alone) > 0)),
                percent(np.mean(np.array(shared) == 1)), percent(np.mean(np.array(shared) > 1)),
            ])  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def over_time(draws: int) -> list[list[object]]:
    rows = []
    for n, n_channels in ((2000, 32), (1000, 64), (400, 60)):
        for compare in ("bands", "neighbors"):
            alone, present = [], []
            for draw in range(draws):
                rng = np.random.default_rng(draw)
                root = np.linalg.qr(rng.normal(size=(n_channels, n_channels)))[0]
                root = root * np.geomspace(1, np.sqrt(1000), n_channels)
                noise = rng.normal(size=(n, n_channels)) @ root.T
                slow = np.sqrt(0.5) * colored(rng, n, np.eye(1), 0.9)
                signal = slow * (root @ rng.normal(size=n_channels)) / np.sqrt(n_channels)
                alone.append(shared_over_time(recording(noise), compare=compare).n_shared)  # type: ignore[arg-type]
                present.append(shared_over_time(recording(noise + signal), compare=compare).n_shared)  # type: ignore[arg-type]
            rows.append([
                f"{n} x {n_channels}", compare, draws, percent(np.mean(np.array(alone) > 0)),
                percent(np.mean(np.array(present) > 0)), percent(np.mean(np.array(present) > 1)),
            ])  # fmt: skip
            print(rows[-1], flush=True)
    return rows


# ---- measured recordings

MEASURED = {
    "nwb_openephys_tetrodes_rate.nwb": ("acquisition/ElectricalSeries",),
    "nwb_scholz2018_141721.nwb": ("acquisition/Activity_*",),
    "nwb_suite2p_pixelmask.nwb": tuple(
        f"processing/ophys/Fluorescence/{each}" for each in ("Fluorescence", "Neuropil", "Deconvolved")
    ),
}


def measured() -> list[list[object]]:
    rows = []
    for name, signals in MEASURED.items():
        for signal in signals:
            found = open_recording(DATA / name, signal)
            floor = noise_floor(found)
            halves = [shared_between_halves(found, whiten=whiten).n_shared for whiten in (True, False)]
            n = found.sizes["time"]
            rows.append([
                name, signal.rsplit("/", 1)[-1], f"{n} x {found.size // n}", floor.model, floor.rank_words,
                "yes" if floor.converged else "no", f"{floor.bulk_ratio:.2f}", *halves, floor.doubt or "-",
            ])  # fmt: skip
            print(rows[-1], flush=True)
    return rows


POWER = "found at 1.5 times the limit"
PARTS: dict[str, Callable[[int], None]] = {
    "distance": lambda draws: record(
        "Noise floor: noise that channels share by distance or group",
        '`model="spatial-groups"`, positions or groups given. Channels differ in scale by 30 %; distances are in those '
        "of neighbors. A component is the same in all channels, in eight neighbors, or in any, a third each.\n\n"
        + table(
            (
                "T x N",
                "layout",
                "noise",
                "draws",
                "a component found",
                "p < .01",
                "converged",
                "bulk ratio",
                "sigma / true",
                POWER,
                "more than one",
                "CPU s",
            ),
            by_distance(draws),
        )
        + f"\n\n{machine('numpy', 'scipy')}",
    ),
    "reference": lambda draws: record(
        "Noise floor: noise of a reference",
        "Covariances of random orientation and condition 1000; the component is 1.5 times as strong as the edge of the "
        "F-matrix asks (for colored noise, of as many independent samples), in an average direction of the noise.\n\n"
        + table(
            (
                "T x N",
                "reference",
                "AR",
                "draws",
                "a component found",
                "p < .01",
                "converged",
                "bulk ratio",
                "sigma / true",
                POWER,
                "more than one",
                "CPU s",
            ),
            by_reference(draws),
        )
        + f"\n\n{machine('numpy', 'scipy')}",
    ),
    "evidence": lambda draws: record(
        "Time courses that are shared, without a model of the noise",
        "Two sets whose noise is shared within each (correlation .6 of neighbors); then one time course more in both, "
        "of .35 of the noise:\n\n"
        + table(
            ("T x N", "noise", "whitened in time", "draws", "found in noise", "one found", "more than one"),
            between_sets(draws),
        )
        + "\n\nSlow components (AR .9, half the power of the noise in an average direction) in white noise of any "
        "covariance, condition 1000:\n\n"
        + table(("T x N", "compared", "draws", "found in noise", "found", "more than one"), over_time(draws))
        + f"\n\n{machine('numpy', 'scipy')}",
    ),
    "measured": lambda draws: record(  # noqa: ARG005
        "Noise that measured channels share",
        "No positions are known. Halves: how many time courses two random halves of the channels share at least, "
        "whitened in time, and not.\n\n"
        + table(
            (
                "file",
                "signal",
                "T x N",
                "model",
                "rank",
                "converged",
                "bulk ratio",
                "halves, whitened",
                "halves",
                "doubt",
            ),
            measured(),
        )
        + f"\n\n{machine('numpy', 'scipy')}",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in arguments.parts:
            PARTS[part](arguments.draws)


if __name__ == "__main__":
    main()
