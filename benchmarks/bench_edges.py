"""Edges of random variance profiles: what a perturbation of 1e-10 moves, simulated eigenvalues, and the time of one."""

import sys
import time
from collections.abc import Callable

import numpy as np
from _report import machine, record, table
from numpy.typing import NDArray

from sciml.rmt.variance_profile import VarianceProfile

Array = NDArray[np.float64]
Kind = Callable[[np.random.Generator, int, int], Array]
PERTURBATION, N_SIMULATED = 1e-10, 100
DRAWS, SIDE = 10, 600  # matrices for each simulated profile, and their longest side


def _power_law(slope: float) -> Kind:
    """Power spectra f^-slope over rows, each column with a corner frequency and a variance of its own."""

    def draw(rng: np.random.Generator, rows: int, columns: int) -> Array:
        frequency = (np.arange(rows) + 0.5)[:, None] / rows
        corner = rng.uniform(0.01, 0.3, columns)
        return rng.gamma(2.0, size=columns) / (corner**slope + frequency**slope)

    return draw


def _sparse(rng: np.random.Generator, rows: int, columns: int) -> Array:
    values = rng.gamma(1.0, size=(rows, columns)) * (rng.random((rows, columns)) < rng.uniform(0.05, 0.5))
    values[rng.integers(rows), rng.integers(columns)] = 1.0  # one above zero at least
    return np.asarray(values)


def _strong(axis: int) -> Kind:
    """Equal variances but for one row or column, up to 10^4 times as strong."""

    def draw(rng: np.random.Generator, rows: int, columns: int) -> Array:
        values = rng.gamma(5.0, size=(rows, columns))
        place = rng.integers(values.shape[axis])
        np.moveaxis(values, axis, 0)[place] *= 10 ** rng.uniform(0, 4)
        return np.asarray(values)

    return draw


KINDS: dict[str, Kind] = {
    "lognormal, sd 1.5": lambda rng, rows, columns: np.exp(1.5 * rng.normal(size=(rows, columns))),
    "pink, f^-1": _power_law(1.0),
    "steep, f^-4": _power_law(4.0),
    "sparse": _sparse,
    "one strong row": _strong(0),
    "one strong column": _strong(1),
}


def profile(kind: Kind, rng: np.random.Generator, *, most: int = 160) -> VarianceProfile:
    """Return a profile of 1 to `most` groups a side, of unequal counts."""
    rows, columns = np.exp(rng.uniform(0, np.log(most + 0.99), 2)).astype(int)
    counts = [np.ceil(rng.pareto(1.0, size) + 1e-9).clip(1, 1000) for size in (rows, columns)]
    return VarianceProfile(kind(rng, rows, columns), row_counts=counts[0], column_counts=counts[1])


def moved(one: VarianceProfile, rng: np.random.Generator) -> tuple[float, float]:
    """Return by how much a perturbation moves the edge, relative, and the seconds of one edge."""
    other = VarianceProfile(
        one.values * (1 + PERTURBATION * rng.normal(size=one.values.shape)),
        row_counts=one.row_counts,
        column_counts=one.column_counts,
    )
    start = time.process_time()
    edge, near = one.edge, other.edge
    seconds = (time.process_time() - start) / 2
    low = one.mean_eigenvalue * (1 - 1e-12)
    high = one.values.max() * (1 + np.sqrt(one.n_features / one.n_samples)) ** 2 * (1 + 1e-9)
    if not low <= edge <= high:
        raise SystemExit(f"edge {edge} outside ({low}, {high})")
    return abs(edge / near - 1), seconds


def deviation(one: VarianceProfile, rng: np.random.Generator) -> float:
    """Return by how many scales of the law the mean of the largest eigenvalues of simulated matrices is off its own."""
    rows, columns = one.row_counts.astype(int), one.column_counts.astype(int)
    scale = np.sqrt(np.repeat(np.repeat(one.values, rows, axis=0), columns, axis=1))
    law, largest = one.edge_law(complex_data=True), []
    for _ in range(DRAWS):
        X = scale * (rng.normal(size=scale.shape) + 1j * rng.normal(size=scale.shape)) / np.sqrt(2)
        gram = X.conj().T @ X if X.shape[1] <= X.shape[0] else X @ X.conj().T
        largest.append(np.linalg.eigvalsh(gram)[-1] / len(X))
    return float((np.mean(largest) - law.center) / law.scale)


def simulated(kind: Kind, rng: np.random.Generator, n: int) -> Array:
    found = []
    while len(found) < n:
        one = profile(kind, rng, most=12)
        sides = one.n_samples, one.n_features
        factor = SIDE / max(sides)  # the law is one of large matrices: every group of many rows or columns
        counts = [np.ceil(np.maximum(c * factor, 40)) for c in (one.row_counts, one.column_counts)]
        one = VarianceProfile(one.values, row_counts=counts[0], column_counts=counts[1])
        found.append(deviation(one, rng))
    return np.array(found)


def main(n_profiles: int) -> None:
    rows = []
    for seed, (name, kind) in enumerate(KINDS.items()):
        rng = np.random.default_rng(seed)
        results = np.array([moved(profile(kind, rng), rng) for _ in range(n_profiles // len(KINDS))])
        off = simulated(kind, rng, N_SIMULATED // len(KINDS) + 1)
        median, most = 1e3 * np.median(results[:, 1]), 1e3 * np.quantile(results[:, 1], 0.99)
        rows.append(
            (name, len(results), f"{results[:, 0].max():.1e}", f"{median:.1f}", f"{most:.0f}", f"{off.mean():.2f}",
             f"{off.min():.2f} to {off.max():.2f}")
        )  # fmt: skip
    columns = ("profile", "edges", "moved by 1e-10, at most", "median, ms", "99 % within, ms", "mean", "range")
    note = (
        "1 to 160 groups a side (equal in the logarithm), counts of a heavy tail. Last columns: largest eigenvalue of "
        f"{DRAWS} simulated complex matrices of {SIDE} rows or columns, mean less the law's edge in units of its "
        "scale, over 17 profiles each; Tracy-Widom: -1.77 in the limit."
    )
    record("Edges of variance profiles", f"{machine('numpy', 'scipy')}\n\n{table(columns, rows)}\n\n{note}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6_000)
