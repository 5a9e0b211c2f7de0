"""Error of `sciml.denoise.denoise` on colored noise and on counts, beside peers and an oracle on the same draws."""

from collections.abc import Callable

import numpy as np
import scipy.signal
import xarray as xr
from _report import machine, record, table
from threadpoolctl import threadpool_limits

from sciml.denoise import denoise
from sciml.noise import noise_floor
from sciml.rmt import shrink

DRAWS = 60
STRENGTHS = np.array([6.0, 4.0, 2.5])
Draw = tuple[np.ndarray, np.ndarray]
Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def colored(seed: int, n_channels: int = 100, n_samples: int = 200, phi: float = 0.7) -> Draw:
    """Return three components of sqrt(n) (6, 4, 2.5) and AR(1) noise of variance 1 along the long side."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(n_samples, 3)))[0]
    right = np.linalg.qr(rng.normal(size=(n_channels, 3)))[0]
    truth = np.sqrt(n_samples) * (left * STRENGTHS) @ right.T
    innovations = np.sqrt(1 - phi**2) * rng.normal(size=(n_samples + 200, n_channels))
    return truth, truth + scipy.signal.lfilter([1.0], [1.0, -phi], innovations, axis=0)[200:]


def counts(seed: int, n_samples: int = 200, n_channels: int = 400) -> Draw:
    """Return the mean, 3 on average, of rank five with row and column gains, and Poisson counts of it."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(1.0, size=(n_samples, 5)) @ rng.gamma(1.0, size=(5, n_channels))
    rate *= np.exp(0.5 * rng.normal(size=(n_samples, 1))) * np.exp(0.5 * rng.normal(size=n_channels))
    rate *= 3 / rate.mean()
    return rate, rng.poisson(rate).astype(np.float64)


def ours(noisy: np.ndarray, _: np.ndarray) -> np.ndarray:
    return denoise(xr.DataArray(noisy, dims=("time", "channel"))).values


def whitened(noisy: np.ndarray, _: np.ndarray) -> np.ndarray:
    return denoise(xr.DataArray(noisy, dims=("time", "channel")), whiten="time").values


class OfCounts:
    """`ours`, which remembers in how many draws the floor took counts for counts and found four beyond independence."""

    found = 0

    def __call__(self, noisy: np.ndarray, _: np.ndarray) -> np.ndarray:
        recording = xr.DataArray(noisy, dims=("time", "channel"))
        floor = noise_floor(recording)
        self.found += floor.model == "counts" and floor.rank == 4
        return denoise(recording, floor).values


def oracle(noisy: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The best that any weights of the data's own components can do: it knows rank and truth."""
    mean = noisy.mean(axis=0)
    U, _, Vt = np.linalg.svd(noisy - mean, full_matrices=False)
    best = np.diag(U[:, :3].T @ (truth - truth.mean(axis=0)) @ Vt[:3].T)
    return (U[:, :3] * best) @ Vt[:3] + mean


def gavish_donoho(noisy: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Median-based hard threshold, which takes the noise for white."""
    mean = noisy.mean(axis=0)
    U, s, Vt = np.linalg.svd(noisy - mean, full_matrices=False)
    s[s < shrink.hard_threshold_unknown_sigma(min(noisy.shape) / max(noisy.shape)) * np.median(s)] = 0
    return (U * s) @ Vt + mean


def square_root(noisy: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Anscombe's square root, white shrinkage with the sigma of 1 that it promises, and back."""
    root = 2 * np.sqrt(noisy + 3 / 8)
    mean = root.mean(axis=0)
    U, s, Vt = np.linalg.svd(root - mean, full_matrices=False)
    long = np.sqrt(max(noisy.shape))
    kept = shrink.frobenius(s / long, min(noisy.shape) / max(noisy.shape)) * long
    return np.maximum((((U * kept) @ Vt + mean) / 2) ** 2 - 1 / 8, 0)


def relative_errors(draw: Callable[[int], Draw], methods: dict[str, Method]) -> dict[str, np.ndarray]:
    errors: dict[str, list[float]] = {name: [] for name in methods}
    for seed in range(DRAWS):
        truth, noisy = draw(seed)
        for name, method in methods.items():
            errors[name].append(float(((method(noisy, truth) - truth) ** 2).sum() / (truth**2).sum()))
    return {name: np.array(each) for name, each in errors.items()}


def rows_of(errors: dict[str, np.ndarray], reference: str) -> list[list[str]]:
    base = errors[reference].mean()
    return [
        [name, f"{e.mean():.4f} +- {e.std(ddof=1) / np.sqrt(DRAWS):.4f}", f"{e.mean() / base:.2f}"]
        for name, e in errors.items()
    ]


def main() -> None:
    of_color = relative_errors(
        colored, {"sciml": ours, "sciml, whiten": whitened, "oracle": oracle, "Gavish-Donoho": gavish_donoho}
    )
    counted = OfCounts()
    of_counts = relative_errors(counts, {"sciml": counted, "square root + white shrinkage": square_root})
    columns = ["method", "squared error / signal", "ratio"]
    record(
        "Denoising: whole recordings",
        f"{DRAWS} draws, nothing but the data given to any method but the oracle.\n\n"
        "100 channels, 200 samples, AR(1) noise of phi .7 in time, three components of sqrt(n) (6, 4, 2.5):\n\n"
        f"{table(columns, rows_of(of_color, 'oracle'))}\n\n"
        f"Counts of rank 5, 200 x 400, row and column gains, mean 3; rank found in {counted.found} of {DRAWS}:\n\n"
        f"{table(columns, rows_of(of_counts, 'square root + white shrinkage'))}\n\n{machine('numpy', 'scipy')}",
    )


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
