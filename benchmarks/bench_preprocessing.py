"""Preprocessing: is the noise floor of what it leaves calibrated, and does it find what is there; speed beside peers.

Run with `--draws N` for another number of draws a row than 200.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import mne
import numpy as np
import scipy.signal
import xarray as xr
from _report import machine, record, table

import sciml

RATE, N_SAMPLES, N_CHANNELS = 1000.0, 2000, 16
STEPS: dict[str, Callable[[xr.DataArray], xr.DataArray]] = {
    "average reference": lambda r: r.sciml.rereference(),
    "median reference": lambda r: r.sciml.rereference("median"),
    "median by group of 8": lambda r: r.assign_coords(g=("channel", np.arange(N_CHANNELS) // 8)).sciml.rereference(
        "median", by="g"
    ),
    "band-pass 1-40 Hz": lambda r: r.sciml.bandpass(1, 40),
    "band-pass 1-40 Hz, odd ends": lambda r: r.copy(data=odd_ends(r.values, [1, 40])),
    "band-pass 100-300 Hz": lambda r: r.sciml.bandpass(100, 300),
    "high-pass 300 Hz": lambda r: r.sciml.highpass(300),
    "reference, notch 50 Hz, 5-200 Hz": lambda r: r.sciml.rereference().sciml.notch(50).sciml.bandpass(5, 200),
    "resampled to 300 Hz": lambda r: r.sciml.resample(300.0),
    "decimated by 4": lambda r: r.sciml.decimate(4),
    "whitened": lambda r: r.sciml.whiten(),
}


def sections(band: list[float]) -> np.ndarray:
    return np.asarray(scipy.signal.butter(4, band, "band", fs=RATE, output="sos"))


def odd_ends(values: np.ndarray, band: list[float]) -> np.ndarray:
    return np.asarray(scipy.signal.sosfiltfilt(sections(band), values, axis=0))


def noise(seed: int, strength: float = 0.0) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(N_SAMPLES, N_CHANNELS))
    loadings = rng.normal(size=(1, N_CHANNELS))
    return sciml.from_numpy(values + strength * rng.normal(size=(N_SAMPLES, 1)) @ loadings, RATE)


def ranks(step: Callable[[xr.DataArray], xr.DataArray], draws: int, strength: float) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.array([sciml.noise_floor(step(noise(seed, strength))).rank for seed in range(draws)])


def seconds(call: Callable[[], object]) -> float:
    call()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def speed() -> list[tuple[str, str]]:
    values = np.random.default_rng(0).normal(size=(300_000, 32))
    recording = sciml.from_numpy(values, RATE)
    options = {"order": 4, "ftype": "butter", "output": "sos"}
    calls = {
        "sciml": lambda: recording.sciml.bandpass(20, 200),
        "scipy": lambda: scipy.signal.sosfiltfilt(sections([20, 200]), values, axis=0),
        "MNE": lambda: mne.filter.filter_data(
            values.T, RATE, 20, 200, method="iir", iir_params=options, verbose="error"
        ),
    }
    return [(name, f"{seconds(call):.2f}") for name, call in calls.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    draws = parser.parse_args().draws
    rows = []
    for name, step in STEPS.items():
        false, found = ranks(step, draws, 0.0), ranks(step, draws // 4, 1.0)
        rows.append((name, f"{np.mean(false > 0):.1%}", f"{np.mean(found == 1):.0%}"))
    text = f"""White noise, {N_SAMPLES} samples of {N_CHANNELS} channels at {RATE:g} Hz, {draws} draws; level 0.05. The
last column: one component of the noise's own variance. Odd ends are those of `scipy.signal.sosfiltfilt` and of others.

{table(("preprocessing", "false alarms", "the one component found"), rows)}

Band-pass of 300 000 samples of 32 channels:

{table(("by", "s"), speed())}

{machine("numpy", "scipy", "mne")}"""
    record("Preprocessing", text)


if __name__ == "__main__":
    main()
