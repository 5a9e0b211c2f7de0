"""Windows of several sessions, each with a fingerprint (a mixing matrix of its own), with a class signal or none."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from sciml.data import Windows, windows_around

RATE = 100.0


def labels_of(design: str, per_session: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """Classes of the windows of a session: one class ("pure"), in random order ("mixed"), or one after the other."""
    both = np.arange(per_session) % 2
    return {
        "pure": np.full(per_session, number % 2),
        "mixed": rng.permutation(both),
        "halves": np.sort(both),
    }[design]


def make_sessions(
    seed: int,
    design: str = "pure",
    *,
    n: int = 6,
    per_session: int = 20,
    signal: float = 0.0,
    channels: int = 4,
    length: int = 30,
) -> Windows:
    """Noise of `n` sessions, mixed by another matrix in each; `signal` is how much louder class 1 is than class 0."""
    rng = np.random.default_rng(seed)
    values, clocks, onsets, labels = [], [], [], []
    for number in range(n):
        mixing = np.eye(channels) + rng.normal(size=(channels, channels)) / np.sqrt(channels)
        y = labels_of(design, per_session, number, rng)
        noise = rng.normal(size=(per_session * length, channels)) @ mixing.T
        values.append(noise * (1 + signal * np.repeat(y, length))[:, None])
        start = number * (per_session * length / RATE + 1)
        clocks.append(start + np.arange(per_session * length) / RATE)
        onsets.append(start + np.arange(per_session) * length / RATE)
        labels.append(y)
    recording = xr.DataArray(
        np.concatenate(values).astype(np.float32),
        dims=("time", "channel"),
        coords={"time": np.concatenate(clocks)},
        attrs={"units": "V"},
    )
    events = xr.Dataset({"start_time": ("event", np.concatenate(onsets)), "kind": ("event", np.concatenate(labels))})
    windows = windows_around(recording, events, label="kind", before=0, length=length / RATE)
    names = np.repeat([f"session {number}" for number in range(n)], per_session)
    return replace(windows, units={"session": names, "file": names})


@pytest.fixture(scope="session")
def sessions():
    """The function that makes windows of sessions."""
    return make_sessions
