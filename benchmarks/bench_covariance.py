"""Accuracy and time of `sciml.rmt.covariance` beside scikit-learn's LedoitWolf and OAS on the same draws."""

import time
from typing import Any

import numpy as np
import scipy.signal
from _report import machine, record, table
from threadpoolctl import threadpool_limits

from sciml.rmt import covariance

P = 200
DRAWS = 20
POPULATIONS = {
    "1, 3, 10": np.repeat([1.0, 3.0, 10.0], [40, 80, 80]),
    "five spikes": np.concatenate([np.geomspace(5, 80, 5), np.ones(P - 5)]),
}
CELLS = [(n_samples, phi) for phi in (0.0, 0.8) for n_samples in (600, 100)]


def estimators(n_effective: str | None) -> dict[str, Any]:
    return {
        "LedoitWolf": covariance.LedoitWolf(),
        "OAS": covariance.OAS(),
        "QIS": covariance.QuadraticInverseShrinkage(n_effective=n_effective),
        "analytic": covariance.AnalyticNonlinearShrinkage(n_effective=n_effective),
        "RIE": covariance.RotationallyInvariant(n_effective=n_effective),
        "spiked": covariance.SpikedCovariance(n_effective=n_effective),
    }


def sample(population: np.ndarray, n_samples: int, phi: float, seed: int) -> np.ndarray:
    """Rows of an AR(1) process of diagonal covariance: all estimators here are rotation equivariant."""
    innovations = np.random.default_rng(seed).normal(size=(n_samples + 200, population.size))
    rows = scipy.signal.lfilter([np.sqrt(1 - phi**2)], [1, -phi], innovations, axis=0)[200:]
    return np.asarray(rows * np.sqrt(population))


def losses(X: np.ndarray, population: np.ndarray, methods: dict[str, Any]) -> list[float]:
    """Squared Frobenius error of the sample covariance, the oracle, and each method."""
    S = np.cov(X.T)
    vectors = np.linalg.eigh(S)[1]
    oracle = (vectors * ((vectors**2).T @ population)) @ vectors.T
    found = [S, oracle, *(each.fit(X).covariance_ for each in methods.values())]
    return [float(np.sum((each - np.diag(population)) ** 2)) for each in found]


def accuracy_row(label: str, n_samples: int, phi: float) -> list[object]:
    population, methods = POPULATIONS[label], estimators("auto" if phi else None)
    total = np.sum([losses(sample(population, n_samples, phi, i), population, methods) for i in range(DRAWS)], axis=0)
    return [label, n_samples, phi, *(f"{100 * (1 - each / total[0]):.1f}" for each in total[1:])]


def accuracy() -> None:
    rows = [accuracy_row(label, *cell) for label in POPULATIONS for cell in CELLS]
    columns = ["population", "samples", "AR(1) phi", "oracle", *estimators(None)]
    note = (
        f"Error that is taken away from the sample covariance's, in % (PRIAL), {P} features, {DRAWS} draws a row. "
        'Rows with phi > 0: the sciml estimators with `n_effective="auto"`.'
    )
    record("Covariance: accuracy", f"{note}\n\n{table(columns, rows)}\n\n{machine('numpy', 'scikit-learn')}")


def seconds(method: Any, X: np.ndarray) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        method.fit(X)
        times.append(time.perf_counter() - start)
    return min(times)


def cost() -> None:
    rows = []
    for n_samples, n_features in ((2000, 200), (5000, 1000), (500, 2000)):
        X = np.random.default_rng(0).normal(size=(n_samples, n_features))
        times = {name: seconds(method, X) for name, method in estimators(None).items()}
        times["QIS, auto"] = seconds(covariance.QuadraticInverseShrinkage(n_effective="auto"), X)
        rows.append([f"{n_samples} x {n_features}", *(f"{each:.3f}" for each in times.values())])
    columns = ["samples x features", *times]
    note = "Seconds for `fit`, precision matrix included, best of three."
    record("Covariance: cost", f"{note}\n\n{table(columns, rows)}\n\n{machine('numpy', 'scikit-learn')}")


if __name__ == "__main__":
    with threadpool_limits(1):
        accuracy()
        cost()
