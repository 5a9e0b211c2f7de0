"""Cost of the generalized Marchenko-Pastur law beside a dense eigenvalue decomposition, which it stands for."""

import time
from collections.abc import Callable

import numpy as np
from _report import machine, record, table

from sciml.rmt.laws import GeneralizedMarchenkoPastur


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    rows = []
    for size in (1_000, 10_000, 100_000):
        frequency = (np.arange(size) + 0.5) / size
        psd = (1 - 0.9**2) / np.abs(1 - 0.9 * np.exp(-1j * np.pi * frequency)) ** 2
        law = GeneralizedMarchenkoPastur(psd, gamma=10.0)
        edges = seconds(lambda law=law: law.support)
        low, high = law.support[0]
        x = np.linspace(low, high, 1002)[1:-1]
        density, mass = seconds(lambda law=law, x=x: law.pdf(x)), seconds(lambda law=law, x=x: law.cdf(x))
        rows.append((f"{size:,}", f"{edges:.3f}", f"{density:.2f}", f"{mass:.2f}"))
    X = np.random.default_rng(0).normal(size=(1000, 1000))
    peer = seconds(lambda: np.linalg.eigvalsh(X + X.T))
    costs = table(("population values", "edges, s", "1000 densities, s", "1000 cdf, s"), rows)
    note = f"Beside it `numpy.linalg.eigvalsh`, 1000 x 1000: {peer:.2f} s."
    record("Generalized Marchenko-Pastur law", f"{machine('numpy', 'scipy')}\n\n{costs}\n\n{note}")


if __name__ == "__main__":
    main()
