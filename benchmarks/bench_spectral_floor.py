"""A 40 Hz oscillation shared by 8 of 64 channels in pink noise, and false alarms on pure noise, beside a peer.

The peer is what is done by hand: Welch coherence of every pair of channels, half-overlapping Hann segments, threshold
for the largest by Bonferroni over pairs and frequencies, 1 - (p)^(1 / (n - 1)) with n the number of segments that
would be independent without overlap times 36/19.
"""

import time
from collections.abc import Callable

import numpy as np
import scipy.fft
import scipy.signal
import xarray as xr
from _report import machine, record, table
from threadpoolctl import threadpool_limits

from sciml.noise import spectral_noise_floor

RATE = 1000.0
SEEDS = 20
DRAWS = 100
N_CHANNELS, SECONDS, SHARED, DECIBELS, FREQUENCY = 64, 60, 8, -15.0, 40.0
Noise = Callable[[np.random.Generator], np.ndarray]


def pink(rng: np.random.Generator, n_samples: int, n_channels: int) -> np.ndarray:
    f = np.fft.rfftfreq(n_samples)
    f[0] = f[1]
    noise = rng.normal(size=(len(f), n_channels)) + 1j * rng.normal(size=(len(f), n_channels))
    values = scipy.fft.irfft(noise / np.sqrt(f)[:, None], n_samples, axis=0)
    return np.asarray(values / values.std(axis=0))


def own_ar1(rng: np.random.Generator, n_samples: int, n_channels: int) -> np.ndarray:
    noise = rng.normal(size=(n_channels, n_samples + 400))
    phis = rng.uniform(0, 0.97, n_channels)
    return np.stack([scipy.signal.lfilter([1], [1, -p], x)[400:] for p, x in zip(phis, noise, strict=True)], axis=1)


def recording(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": RATE})


def pairwise(values: np.ndarray, alpha: float = 0.05) -> list[tuple[float, int, int]]:
    """Return (frequency, channel, channel) of every coherence above the threshold."""
    length = max(64, len(values) // 30)
    n_fft = length // 2 * 2
    f, _, z = scipy.signal.stft(values.T, RATE, nperseg=n_fft, boundary=None, padded=False, detrend="constant")
    z = np.moveaxis(z, 1, 0)[1:-1]  # (frequency, channel, segment)
    z = z / np.linalg.norm(z, axis=2, keepdims=True)
    n = len(values) / n_fft * 36 / 19
    pairs = values.shape[1] * (values.shape[1] - 1) / 2
    threshold = 1 - (alpha / (pairs * len(z))) ** (1 / (n - 1))
    squared = np.abs(z @ z.conj().transpose(0, 2, 1)) ** 2
    rows, a, b = np.nonzero(np.triu(squared, 1) > threshold)
    return [(float(f[1:-1][r]), int(i), int(j)) for r, i, j in zip(rows, a, b, strict=True)]


def judged(seed: int) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    n_samples = int(SECONDS * RATE)
    values, t = pink(rng, n_samples, N_CHANNELS), np.arange(n_samples) / RATE
    truth = set(rng.choice(N_CHANNELS, SHARED, replace=False).tolist())
    for channel in truth:
        phase = rng.uniform(0, 2 * np.pi)
        values[:, channel] += np.sqrt(2 * 10 ** (DECIBELS / 10)) * np.cos(2 * np.pi * FREQUENCY * t + phase)
    start = time.perf_counter()
    bands = spectral_noise_floor(recording(values)).bands
    middle = time.perf_counter()
    found = pairwise(values)
    end = time.perf_counter()
    at = [band for band in bands if band.low <= FREQUENCY <= band.high]
    ours = {channel for band in at for channel in band.channels}
    peers = {channel for f, *pair in found if abs(f - FREQUENCY) < 2 for channel in pair}
    error = abs(at[0].frequency - FREQUENCY) if at else np.nan
    return {
        "sciml": [bool(at), error, len(ours & truth), len(ours - truth), len(bands) > len(at), middle - start],
        "pairs": [
            bool(peers), np.nan, len(peers & truth), len(peers - truth),
            any(abs(f - FREQUENCY) >= 2 for f, *_ in found), end - middle,
        ],
    }  # fmt: skip


def detection() -> None:
    runs = [judged(seed) for seed in range(SEEDS)]
    rows = []
    for name, label in (("sciml", "sciml spectral_noise_floor"), ("pairs", "pairwise Welch coherence, Bonferroni")):
        hit, error, right, wrong, elsewhere, seconds = np.array([run[name] for run in runs], dtype=float).T
        worst = f"{np.nanmax(error):.3f} Hz" if np.isfinite(error).any() else "-"
        rows.append(
            [
                label, f"{hit.sum():.0f} / {SEEDS}", worst, f"{right.sum():.0f} / {SHARED * SEEDS}",
                f"{wrong.sum():.0f} / {(N_CHANNELS - SHARED) * SEEDS}", f"{elsewhere.sum():.0f} / {SEEDS}",
                f"{np.median(seconds):.1f}",
            ]
        )  # fmt: skip
    columns = ["method", "found", "largest error", "right channels", "false channels", "found elsewhere", "s"]
    note = (
        f"{FREQUENCY:g} Hz in {SHARED} of {N_CHANNELS} channels at {DECIBELS:g} dB of each channel's variance, random "
        f"phases, pink noise, {SECONDS} s at {RATE:g} Hz, {SEEDS} recordings, level 5 %, all options at their defaults."
    )
    text = f"{note}\n\n{table(columns, rows)}\n\n{machine('numpy', 'scipy')}"
    record("Floor in frequency: a shared oscillation", text)


def calibration() -> None:
    cells: dict[str, Noise] = {
        "white, 16 x 4000": lambda r: r.normal(size=(4000, 16)),
        "white, 3 x 2000": lambda r: r.normal(size=(2000, 3)),
        "pink, powers over 100, 16 x 4000": lambda r: pink(r, 4000, 16) * np.geomspace(1, 10, 16),
        "each its own AR(1), 16 x 4000": lambda r: own_ar1(r, 4000, 16),
        "brown, 16 x 4000": lambda r: np.cumsum(r.normal(size=(4000, 16)), axis=0),
        "pink, more channels than looks, 100 x 400": lambda r: pink(r, 400, 100),
        "t with 3 degrees, 16 x 4000": lambda r: r.standard_t(3, size=(4000, 16)),
        "bursts in all channels at once, 16 x 4000": lambda r: (
            r.normal(size=(4000, 16)) * np.exp(np.repeat(r.normal(size=40), 100))[:, None]
        ),
    }
    rows = []
    for name, noise in cells.items():
        counts = np.zeros(2)
        for seed in range(DRAWS):
            values = noise(np.random.default_rng(seed))
            counts += [len(spectral_noise_floor(recording(values)).bands) > 0, len(pairwise(values)) > 0]
        rows.append([name, *(f"{100 * count / DRAWS:.0f} %" for count in counts)])
    note = (
        f"Recordings of pure noise in which anything is found at any frequency; {DRAWS} a row, nominal 5 % "
        f"(Monte-Carlo standard error {100 * np.sqrt(0.05 * 0.95 / DRAWS):.1f} %)."
    )
    columns = ["noise, N x T", "sciml spectral_noise_floor", "pairwise Welch coherence, Bonferroni"]
    text = f"{note}\n\n{table(columns, rows)}\n\n{machine('numpy', 'scipy')}"
    record("Floor in frequency: pure noise called shared", text)


if __name__ == "__main__":
    with threadpool_limits(1):  # matrices this small are slower on several threads
        detection()
        calibration()
