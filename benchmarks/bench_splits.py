"""How often a run is called above chance: sessions with a fingerprint and no class, with a class, permuted labels.

Each session is noise mixed by a matrix of its own, so that who has learned from a session recognizes it. The classifier
is the covariance baseline, which tells sessions apart perfectly. Run with `--draws N` for another number than 50.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from _report import machine, record, table

from sciml.data import Split, Windows, folds_by, split_by, windows_around
from sciml.data.leakage import session_test
from sciml.data.permutation import PermutationTest, exchangeable, permutation_test
from sciml.train.baselines import covariance_classifier

RATE, LENGTH, CHANNELS = 100.0, 30, 4
Labels = Callable[[int, int, np.random.Generator], np.ndarray]


def pure(session: int, n: int, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """One class a session."""
    return np.full(n, session % 2)


def mixed(session: int, n: int, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Both classes in random order."""
    return rng.permutation(np.arange(n) % 2)


def halves(session: int, n: int, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """One class, then the other, whichever comes first."""
    return np.sort(np.arange(n) % 2)[:: rng.choice([-1, 1])]


def runs(session: int, n: int, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """A class stays for three windows on average."""
    return np.cumsum(rng.random(n) < 1 / 3) % 2


def recorded(
    seed: int, labels: Labels, *, sessions: int, windows: int, signal: float = 0.0, drift: float = 0.0
) -> Windows:
    """Windows of sessions; class 1 is louder by `signal`, and channels wander in loudness by `drift` in 20 windows."""
    rng = np.random.default_rng(seed)
    values, clocks, onsets, classes = [], [], [], []
    for session in range(sessions):
        y = labels(session, windows, rng)
        gain = np.exp(drift * wander(rng, windows)) * (1 + signal * y)[:, None]
        noise = rng.normal(size=(windows * LENGTH, CHANNELS)) @ rng.normal(size=(CHANNELS, CHANNELS))
        start = session * (windows * LENGTH / RATE + 1)
        values.append(noise * np.repeat(gain, LENGTH, axis=0))
        clocks.append(start + np.arange(windows * LENGTH) / RATE)
        onsets.append(start + np.arange(windows) * LENGTH / RATE)
        classes.append(y)
    recording = xr.DataArray(
        np.concatenate(values).astype(np.float32),
        dims=("time", "channel"),
        coords={"time": np.concatenate(clocks)},
        attrs={"units": "V"},
    )
    table_of = {"start_time": ("event", np.concatenate(onsets)), "class": ("event", np.concatenate(classes))}
    found = windows_around(recording, xr.Dataset(table_of), label="class", before=0, length=LENGTH / RATE)
    names = np.repeat([f"session {session}" for session in range(sessions)], windows)
    return found.changed(units={"session": names, "file": names})


def wander(rng: np.random.Generator, n: int, memory: float = np.exp(-1 / 20)) -> np.ndarray:
    """Return n steps of a stationary first-order process of variance one for each channel."""
    steps = rng.normal(size=(n, CHANNELS))
    for k in range(1, n):
        steps[k] = memory * steps[k - 1] + np.sqrt(1 - memory**2) * steps[k]
    return steps


def covariances(*parts: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return covariance_classifier(*parts, n_classes=2).predicted


def tested(windows: Windows, splits: Sequence[Split], seed: int) -> tuple[PermutationTest, float]:
    """Return the verdict on the covariance baseline, and its accuracy."""
    labels, predicted = [], []
    for split in splits:
        parts = [windows.arrays(indices) for indices in split.parts.values()]
        predicted.append(covariances(*parts))
        labels.append(parts[2][1])
    y, z = np.concatenate(labels), np.concatenate(predicted)
    found = permutation_test(y, z, exchangeable(windows, splits), rng=np.random.default_rng(seed))
    return found, float(np.mean(y == z))


@dataclass
class Counts:
    """What came of the draws of one design."""

    yes: int = 0
    not_testable: int = 0
    alarms: int = 0
    accuracy: float = 0.0
    held_out: float = 0.0


def count(draws: int, labels: Labels, how: dict[str, object], **settings: float) -> Counts:
    """Return how often the verdict was yes, not testable, and the session test gave the alarm."""
    counts = Counts()
    for seed in range(draws):
        windows = recorded(seed, labels, **settings)  # type: ignore[arg-type]
        folded = "n_folds" in how
        splits = folds_by(windows, seed=seed, **how) if folded else (split_by(windows, seed=seed, **how),)  # type: ignore[arg-type]
        found, accuracy = tested(windows, splits, seed)
        session = session_test(windows, splits, covariances, on_split=accuracy, seed=seed)
        counts.yes += found.above_chance is True
        counts.not_testable += found.above_chance is None
        counts.alarms += session is not None and session.alarm
        counts.accuracy += accuracy / draws
        counts.held_out += np.nan if session is None else session.held_out / draws
    return counts


SIX: dict[str, float] = {"sessions": 6, "windows": 30}
MANY: dict[str, float] = {"sessions": 24, "windows": 10}
CANARIES: dict[str, tuple[Labels, dict[str, object], dict[str, float]]] = {
    "6 sessions of one class, no signal, `auto`": (pure, {}, SIX),
    "the same, forced to blocks of time": (pure, {"by": "time"}, SIX),
    "24 sessions of one class, no signal, blocks of time": (pure, {"by": "time"}, {"sessions": 24, "windows": 30}),
    "6 sessions of one class, signal, 3 folds": (pure, {"n_folds": 3}, {**SIX, "signal": 2.0}),
    "24 sessions of one class, signal, 5 folds": (pure, {"n_folds": 5}, {**MANY, "signal": 2.0}),
    "6 sessions of both classes, signal, `auto`": (mixed, {}, {**SIX, "signal": 2.0}),
    "6 sessions of both classes, signal, 3 folds": (mixed, {"n_folds": 3}, {**SIX, "signal": 2.0}),
    "6 sessions of both classes, weak signal, `auto`": (mixed, {}, {**SIX, "signal": 0.5}),
    "6 sessions of both classes, weak signal, 3 folds": (mixed, {"n_folds": 3}, {**SIX, "signal": 0.5}),
}
ONE: dict[str, float] = {"sessions": 1, "windows": 200, "drift": 1.0}
NULLS: dict[str, tuple[Labels, dict[str, object], dict[str, float]]] = {
    "24 sessions of one class, 5 folds": (pure, {"n_folds": 5}, MANY),
    "12 sessions of one class, 4 folds": (pure, {"n_folds": 4}, {"sessions": 12, "windows": 10}),
    "6 sessions of both classes, `auto`": (mixed, {}, SIX),
    "6 sessions of both classes, 3 folds": (mixed, {"n_folds": 3}, SIX),
    "6 sessions, one class after the other, 3 folds": (halves, {"n_folds": 3}, {**SIX, "drift": 1.0}),
    "1 session that drifts, random order, blocks of time": (mixed, {}, ONE),
    "1 session that drifts, runs of 3 windows, blocks of time": (runs, {}, ONE),
    "1 session that drifts, runs of 3 windows, 4 folds": (runs, {"n_folds": 4}, ONE),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=50)
    draws = parser.parse_args().draws
    warnings.simplefilter("ignore")
    began = time.perf_counter()
    rows = []
    for name, (labels, how, settings) in CANARIES.items():
        found = count(draws, labels, how, **settings)
        held_out = "-" if np.isnan(found.held_out) else f"{found.held_out:.2f}"
        alarms = "-" if np.isnan(found.held_out) else found.alarms
        rows.append((name, found.yes, found.not_testable, alarms, f"{found.accuracy:.2f}", held_out))
        print(*rows[-1], flush=True)
    columns = ("design", "above chance", "not testable", "session alarm", "accuracy", "sessions held out")
    nulls = []
    for name, (labels, how, settings) in NULLS.items():
        found = count(2 * draws, labels, how, **settings)
        nulls.append((name, found.yes, found.not_testable, f"{found.accuracy:.2f}"))
        print(*nulls[-1], flush=True)
    text = (
        f"{machine('numpy', 'scikit-learn')}; {time.perf_counter() - began:.0f} s.\n\n"
        f"Of {draws} draws, by the covariance baseline; each session is mixed by a matrix of its own:\n\n"
        f"{table(columns, rows)}\n\n"
        f"Of {2 * draws} draws with labels that have nothing to do with the signal (at 5 % false alarms, more than "
        f"{int(2 * draws * 0.05 + 2 * np.sqrt(2 * draws * 0.05 * 0.95))} have probability below 3 %):\n\n"
        f"{table(('design', 'above chance', 'not testable', 'accuracy'), nulls)}"
    )
    record("Splits: verdicts above chance", text)


if __name__ == "__main__":
    main()
