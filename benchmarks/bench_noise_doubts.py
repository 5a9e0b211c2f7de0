"""What `sciml.noise.noise_floor` says of noise that is none of its models, and how often it doubts noise that is.

Run with `--draws N` for another number of draws a row than the full 20.
"""

import argparse
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import scipy.signal
from _report import machine, record, table
from bench_noise_floor import NOISES, detection_limit, planted, recording
from threadpoolctl import threadpool_limits

from sciml.noise import NoiseFloor, noise_floor

KINDS = {
    "neighboring": "neighbors correlate",
    "varies over time": "level varies",
    "single samples": "bursts",
    "heavy-tailed": "heavy tails",
    "without a gap": "no gap",
    "follow the law": "bulk",
    "ever more": "not converged",
}


def floor_of(values: np.ndarray) -> NoiseFloor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return noise_floor(recording(values))


def line(n: int) -> np.ndarray:
    return np.abs(np.subtract.outer(np.arange(n), np.arange(n))).astype(float)


def plane(side: int) -> np.ndarray:
    y, x = np.divmod(np.arange(side**2), side)
    return np.hypot(np.subtract.outer(y, y), np.subtract.outer(x, x))


def colored(rng: np.random.Generator, t: int, n: int, memory: float) -> np.ndarray:
    steps = rng.normal(size=(t + 300, n)) * np.sqrt(1 - memory**2)
    return np.asarray(scipy.signal.lfilter([1], [1, -memory], steps, axis=0)[300:])


def shared(t: int, covariance: np.ndarray, memory: float = 0.0, *, permuted: bool = False) -> Callable[..., np.ndarray]:
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T

    def draw(rng: np.random.Generator) -> np.ndarray:
        noise = colored(rng, t, len(root), memory) @ root
        return rng.permutation(noise, axis=1) if permuted else noise

    return draw


def leveled(level: Callable[..., np.ndarray], t: int = 2000, n: int = 40) -> Callable[..., np.ndarray]:
    return lambda rng: rng.normal(size=(t, n)) * level(rng, np.arange(t))[:, None]


def projected(t: int, n: int, k: int, kind: str = "white") -> Callable[..., np.ndarray]:
    def draw(rng: np.random.Generator) -> np.ndarray:
        noise = colored(rng, t, n, 0.6) if kind == "AR(1) .6" else rng.normal(size=(t, n))
        scale = np.exp(rng.uniform(-1, 1, n)) if kind == "unequal" else 1.0
        out = np.linalg.qr(rng.normal(size=(n, k)))[0] if k > 1 else np.full((n, 1), n**-0.5)
        return np.asarray(noise * scale @ (np.eye(n) - out @ out.T))

    return draw


WRONG: dict[str, Callable[..., np.ndarray]] = {
    "shared, .6 to the distance, 128 x 1000": shared(1000, 0.6 ** line(128)),
    "the same, channels permuted": shared(1000, 0.6 ** line(128), permuted=True),
    "the same, AR(1) .7": shared(1000, 0.6 ** line(128), 0.7),
    "shared, .2, 128 x 1000": shared(1000, 0.2 ** line(128)),
    "the same, channels permuted ": shared(1000, 0.2 ** line(128), permuted=True),
    "shared, .4, 64 x 5000": shared(5000, 0.4 ** line(64)),
    "shared, .6, 64 x 5000, AR(1) .9, permuted": shared(5000, 0.6 ** line(64), 0.9, permuted=True),
    "shared, blurred 1 channel, 128 x 1000": shared(1000, np.exp(-(line(128) ** 2) / 4)),
    "shared, .4, 20 x 20 pixels x 300": shared(300, 0.4 ** plane(20)),
    "the same, pixels permuted": shared(300, 0.4 ** plane(20), permuted=True),
    "shared, .6, 8 x 8 pixels x 2000": shared(2000, 0.6 ** plane(8)),
    "bursts x 20 in 2 % of samples, 40 x 2000": leveled(lambda _, t: np.where(t % 50 == 0, 20.0, 1.0)),
    "the same, 24 x 600": leveled(lambda _, t: np.where(t % 50 == 0, 20.0, 1.0), 600, 24),
    "bursts in blocks of 20 samples": leveled(lambda _, t: np.where(t // 20 % 25 == 7, 15.0, 1.0)),
    "level drifts 1 to 10": leveled(lambda _, t: np.linspace(1, 10, len(t))),
    "level drifts 1 to 3": leveled(lambda _, t: np.linspace(1, 3, len(t))),
    "level steps 1 to 4": leveled(lambda _, t: np.where(t < len(t) // 2, 1.0, 4.0)),
    "Student t with 2 degrees": lambda rng: rng.standard_t(2, size=(2000, 40)),
    "Student t with 3 degrees": lambda rng: rng.standard_t(3, size=(2000, 40)),
}
PROJECTED = {
    f"{k} of {n}, {t} samples, {kind}": projected(t, n, k, kind)
    for t, n, k in ((600, 24, 1), (600, 24, 2), (600, 24, 8), (2000, 60, 40))
    for kind in ("white", "unequal", "AR(1) .6")
}


def kind_of(floor: NoiseFloor) -> str:
    return next((short for long, short in KINDS.items() if long in floor.doubt), "")


def wrong_row(job: tuple[str, int]) -> list[object]:
    name, draws = job
    with threadpool_limits(1):
        floors = [floor_of({**WRONG, **PROJECTED}[name](np.random.default_rng(seed))) for seed in range(draws)]
    said = Counter(kind_of(floor) for floor in floors if floor.doubt)
    claims = sum(floor.rank > 0 and not floor.doubt for floor in floors) / draws
    words = ", ".join(f"{kind} {100 * count / draws:.0f} %" for kind, count in said.most_common())
    return [name.strip(), f"{np.median([floor.rank for floor in floors]):.0f}", f"{100 * claims:.0f} %", words or "-"]


def right_row(job: tuple[str, int, int, int, int]) -> list[object]:
    name, n, t, k, draws = job
    doubted: Counter[str] = Counter()
    with threadpool_limits(1):
        strengths = 2.2 * detection_limit(name, n, t) * np.linspace(1, 3, k)[::-1]
        for seed in range(draws):
            values = planted(name, n, t, strengths, seed)[0] if k else NOISES[name](np.random.default_rng(seed), n, t)
            doubted[kind_of(floor_of(values))] += 1
    return [n, t, k, sum(doubted.values()), draws - doubted[""], ", ".join(filter(None, doubted))]


def main(draws: int) -> None:
    columns = ["noise, nothing planted", "median rank", "claimed without a word", "said"]
    names = [name for name in NOISES if name != "counts"]
    jobs = [
        (name, n, t, k, max(draws // 4, 2))
        for n, t in ((64, 5000), (128, 1000), (300, 200), (16, 2000))
        for k in (0, min(n, t) // 10, min(n, t) // 4)
        for name in names
    ]
    with ProcessPoolExecutor(2) as pool:
        wrong = list(pool.map(wrong_row, [(name, draws) for name in WRONG]))
        left = list(pool.map(wrong_row, [(name, draws) for name in PROJECTED]))
        cells = list(pool.map(right_row, jobs))
    grouped: dict[tuple[object, ...], list[list[object]]] = {}
    for n, t, k, *rest in cells:
        grouped.setdefault((n, t, k), []).append(rest)
    right = [
        [f"{n} x {t}", k, sum(each[0] for each in rows), sum(each[1] for each in rows),  # type: ignore[misc]
         ", ".join(sorted({str(each[2]) for each in rows if each[2]})) or "-"]
        for (n, t, k), rows in grouped.items()
    ]  # fmt: skip
    record(
        "Noise floor: noise that is none of the models",
        f"{draws} recordings a row. Claimed: components found, and no doubt said in the same sentence.\n\n"
        f"{table(columns, wrong)}\n\nDirections projected out (N channels, noise white, of unequal channels, and "
        f"colored noise):\n\n{table(columns, left)}\n\nNoise of the right model, components of 2.2 to 6.6 times the "
        f"detection limit planted, the {len(names)} noises of the tables below together:\n\n"
        f"{table(['N x T', 'planted', 'recordings', 'doubted', 'why'], right)}\n\n{machine('numpy', 'scipy')}",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20)
    main(parser.parse_args().draws)
