"""False alarms on pure noise, and cost, of `sciml.noise.noise_floor` beside peers on the same draws."""

import time
from collections.abc import Callable

import numpy as np
import scipy.signal
import xarray as xr
from _report import machine, record, table
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from sciml.noise import noise_floor
from sciml.rmt import shrink

DRAWS = 100
SHAPES = [(64, 5000), (16, 2000), (128, 1000)]
PHIS = [0.0, 0.5, 0.9, 0.97]


def ar1(rng: np.random.Generator, phi: float, n_channels: int, n_samples: int) -> np.ndarray:
    innovations = rng.normal(size=(n_samples + 500, n_channels))
    return np.asarray(scipy.signal.lfilter([1.0], [1.0, -phi], innovations, axis=0))[500:]


def gavish_donoho_rank(values: np.ndarray) -> int:
    """Median-based hard threshold, the peer most used: it assumes white noise."""
    s = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
    beta = min(values.shape) / max(values.shape)
    return int((s > shrink.hard_threshold_unknown_sigma(beta) * np.median(s)).sum())


def false_alarms(phi: float, n_channels: int, n_samples: int) -> list[float]:
    counts = np.zeros(4)
    for seed in range(DRAWS):
        values = ar1(np.random.default_rng(seed), phi, n_channels, n_samples)
        floor = noise_floor(xr.DataArray(values, dims=("time", "channel")))
        counts += [
            floor.rank > 0,
            floor.textbook_rank > 0,
            gavish_donoho_rank(values) > 0,
            PCA("mle").fit(values).n_components_ > 1,
        ]
    return [100 * count / DRAWS for count in counts]


def calibration() -> None:
    rows = [
        [f"{shape[0]} x {shape[1]}", phi, *(f"{rate:.0f} %" for rate in false_alarms(phi, *shape))]
        for shape in SHAPES
        for phi in PHIS
    ]
    columns = ["N x T", "AR(1) phi", "sciml auto", "textbook MP edge", "Gavish-Donoho median", 'PCA("mle") > 1']
    error = 100 * np.sqrt(0.05 * 0.95 / DRAWS)
    record(
        "Noise floor: pure noise called signal",
        f"{DRAWS} recordings a row, nominal level 5 % (Monte-Carlo standard error {error:.1f} %).\n\n"
        f"{table(columns, rows)}\n\n{machine('numpy', 'scipy', 'scikit-learn')}",
    )


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def cost_row(n_channels: int, n_samples: int) -> list[str]:
    values = ar1(np.random.default_rng(0), 0.9, n_channels, n_samples)
    recording = xr.DataArray(values, dims=("time", "channel"))
    times = [
        seconds(lambda: noise_floor(recording, model="white")),
        seconds(lambda: noise_floor(recording, model="colored")),
        seconds(lambda: values.T @ values),
        seconds(lambda: PCA(svd_solver="covariance_eigh").fit(values)),
        seconds(lambda: np.linalg.svd(values - values.mean(axis=0), full_matrices=False), repeats=1),
    ]
    return [f"{n_channels} x {n_samples}", *(f"{each:.2f}" for each in times)]


def cost() -> None:
    columns = ["N x T", "white, s", "colored, s", "X^T X alone, s", "PCA covariance_eigh, s", "numpy svd, s"]
    rows = [cost_row(64, 100_000), cost_row(384, 100_000)]
    note = "Median of three runs, data in memory as float64."
    record("Noise floor: cost", f"{note}\n\n{table(columns, rows)}\n\n{machine('numpy', 'scikit-learn')}")


if __name__ == "__main__":
    with threadpool_limits(1):  # matrices this small are slower on several threads
        calibration()
    cost()
