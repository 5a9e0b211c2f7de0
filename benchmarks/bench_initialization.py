"""Which start lets a deep net without norms train, and how fast: methods of initialization side by side.

`bench_initialization.py train|parts|cost` runs one section; without an argument all of them. Runs that were done are
kept in `.cache/initialization.jsonl` beside this file, so that an interrupted benchmark goes on where it was.

The recipe was fixed before: 100 steps of Adam, batches of 16, the same batches for every method; rates 1e-4, 3e-4, 1e-3
and 3e-3; rate and step are chosen by the validation loss; the held-out part is looked at for nothing else. Rates are
screened with one seed (20 blocks: two), all seeds run at the rate chosen.
"""

import json
import math
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from _archive import load
from _report import machine, record, table
from torch import nn
from torch.nn import functional

from sciml.nn import init, models
from sciml.simulate import population_recording

torch.set_num_threads(1)
CACHE = Path(__file__).parent / ".cache" / "initialization.jsonl"
RATES = (1e-4, 3e-4, 1e-3, 3e-3)
STEPS, BATCH, WIDTH = 100, 16, 16
LOOKS = (*range(0, 20, 5), *range(20, STEPS + 1, 10))
SCREENED, SEEDS = {20: 2, 50: 1, 100: 1}, {20: 5, 50: 5, 100: 3}
TASKS = ("demo", "GunPoint", "ItalyPowerDemand")
METHODS: dict[str, dict[str, Any]] = {
    "he": {},
    "orthogonal": {"gain": math.sqrt(2.0)},
    "lsuv": {},
    "fixup": {},
    "taki": {},
    "balanced": {},
    "spectral": {},
}
OF_BRANCHES = ("fixup", "taki", "balanced")
PARTS: dict[str, dict[str, Any]] = {
    "all": {},
    "taps spread": {"spread": False},
    "isometry": {"isometry": False},
    "first layer": {"first": False},
    "last layer zero": {"head": "zero"},
    "last layer random": {"head": "random"},
    "calibration": {"calibration": False},
}
Part = tuple[torch.Tensor, torch.Tensor]


@cache
def task(name: str) -> tuple[tuple[Part, Part, Part], int]:
    """Return train, validation and held-out part, standardized by the first, and the number of classes."""
    if name == "demo":
        return _demo()
    (X, y), (X_test, y_test) = load(name)
    classes, labels = np.unique(y, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(y_test))
    n = min(200, len(order) // 3)
    chosen = (order[:n], order[n : n + 400])
    step = 2 if X.shape[2] > 100 else 1
    center, spread = X.mean(), X.std()
    parts = [(X, labels), *((X_test[rows], np.searchsorted(classes, y_test[rows])) for rows in chosen)]
    return tuple(_tensors((x[..., ::step] - center) / spread, t) for x, t in parts), len(classes)  # type: ignore[return-value]


def _demo() -> tuple[tuple[Part, Part, Part], int]:
    """Return the trials of the recording that `sciml demo` makes, in their order: 64 neurons, 20 samples, 4 stimuli."""
    simulation = population_recording(n_neurons=64, duration=600.0, seed=0)
    values, rate = simulation.recording.transpose("roi", "time").values, simulation.recording.attrs["sampling_rate"]
    first = np.round(simulation.events["start_time"].values * rate).astype(int)
    X = np.stack([values[:, i : i + 20] for i in first if i + 20 <= values.shape[1]])
    _, y = np.unique(simulation.events["stimulus"].values[: len(X)], return_inverse=True)
    cuts = [int(0.6 * len(y)), int(0.8 * len(y))]
    learned = X[: cuts[0]]
    X = (X - learned.mean(axis=(0, 2), keepdims=True)) / learned.std(axis=(0, 2), keepdims=True)
    return tuple(_tensors(*each) for each in zip(np.split(X, cuts), np.split(y, cuts), strict=True)), int(y.max()) + 1  # type: ignore[return-value]


def _tensors(X: np.ndarray, y: np.ndarray) -> Part:
    return torch.from_numpy(X).float(), torch.from_numpy(np.asarray(y)).long()


class TimeMean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=-1)


def net(kind: str, depth: int, n_channels: int, n_times: int, n_classes: int) -> nn.Module:
    """Return a net without norms: `depth` blocks of two convolutions, or `depth` convolutions in a row."""
    if kind == "residual":
        options = {"width": WIDTH, "kernel": 3, "blocks": depth, "norm": "none"}
        return models.build("resnet1d", n_channels=n_channels, n_times=n_times, n_outputs=n_classes, **options)
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Conv1d(WIDTH if i else n_channels, WIDTH, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, TimeMean(), nn.Linear(WIDTH, n_classes))


def loss(model: nn.Module, part: Part) -> float:
    with torch.no_grad():
        return float(functional.cross_entropy(model(part[0]), part[1]))


def train(cell: tuple[str, int, str], method: str, rate: float, seed: int, **options: Any) -> dict[str, Any]:
    """Return steps and losses (train, validation, held out) of one run, and the CPU seconds."""
    kind, depth, name = cell
    (fitted, *others), n_classes = task(name)
    begin = time.process_time()
    torch.manual_seed(seed)
    model = net(kind, depth, fitted[0].shape[1], fitted[0].shape[2], n_classes)
    generator = torch.Generator().manual_seed(seed)
    init.initialize(model, method=method, sample=fitted[0], targets=fitted[1], generator=generator, **options)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    curve: list[tuple[float, ...]] = []
    for step, rows in zip(range(STEPS + 1), batches(len(fitted[1]), seed), strict=False):
        if step in LOOKS:
            curve.append((step, loss(model, fitted), *(loss(model, part) for part in others)))
            if not math.isfinite(curve[-1][1]) or (step >= STEPS / 2 and curve[-1][1] > 3 * math.log(n_classes)):
                break
        optimizer.zero_grad()
        functional.cross_entropy(model(fitted[0][rows]), fitted[1][rows]).backward()
        optimizer.step()
    return {"curve": curve, "seconds": time.process_time() - begin}


def batches(n: int, seed: int) -> Iterator[torch.Tensor]:
    generator, order = torch.Generator().manual_seed(1000 + seed), torch.empty(0, dtype=torch.long)
    while True:
        if len(order) < BATCH:
            order = torch.cat([order, torch.randperm(n, generator=generator)])
        yield order[:BATCH]
        order = order[BATCH:]


def run(cell: tuple[str, int, str], method: str, rate: float, seed: int, part: str = "all") -> dict[str, Any]:
    """Return a run from the cache, or do it."""
    key = json.dumps([*cell, method, rate, seed, part])
    if key not in _cache():
        options = PARTS[part] if part != "all" else METHODS[method]
        _cache()[key] = train(cell, method, rate, seed, **options)
        CACHE.parent.mkdir(exist_ok=True)
        with CACHE.open("a") as file:
            file.write(json.dumps({"key": key, "run": _cache()[key]}) + "\n")
    return _cache()[key]


@cache
def _cache() -> dict[str, Any]:
    if not CACHE.exists():
        return {}
    return {each["key"]: each["run"] for each in map(json.loads, CACHE.read_text().splitlines())}


def best(found: dict[str, Any]) -> tuple[float, float]:
    """Return validation and held-out loss at the step whose validation loss is least."""
    rows = [row for row in found["curve"] if all(map(math.isfinite, row))]
    chosen = min(rows, key=lambda row: row[2]) if rows else (0, math.inf, math.inf, math.inf)
    return chosen[2], chosen[3]


def first_below(found: dict[str, Any], column: int, target: float) -> float:
    return next((row[0] for row in found["curve"] if row[column] <= target), math.inf)


def judged(cell: tuple[str, int, str], method: str, part: str = "all") -> dict[str, Any]:
    """Return what a method reaches in a cell: the rate by validation, then all seeds at that rate."""
    screened = {rate: [run(cell, method, rate, seed, part) for seed in range(SCREENED[cell[1]])] for rate in RATES}
    rate = min(RATES, key=lambda each: float(np.mean([min(best(found)[0], 1e3) for found in screened[each]])))
    found = [run(cell, method, rate, seed, part) for seed in range(SEEDS[cell[1]])]
    target = 0.6 * math.log(task(cell[2])[1])
    return {
        "rate": rate,
        "trained": float(np.mean([first_below(each, 1, target) < math.inf for each in found])),
        "to train": median(first_below(each, 1, target) for each in found),
        "to held out": median(first_below(each, 3, target) for each in found),
        "held out": [best(each)[1] for each in found],
    }


def steps(value: float) -> str:
    return "never" if value == math.inf else f"{value:.0f}"


def interval(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def cells() -> list[tuple[str, int, str]]:
    return [(kind, depth, name) for depth in SEEDS for kind in ("residual", "plain") for name in TASKS]


def compare() -> None:
    rows, ratios, losses = [], [], []
    for cell in cells():
        found = {
            method: judged(cell, method) for method in METHODS if cell[0] == "residual" or method not in OF_BRANCHES
        }
        for method, each in found.items():
            shown = (f"{each['rate']:g}", f"{100 * each['trained']:.0f} %", steps(each["to train"]))
            rows.append((*cell, method, *shown, steps(each["to held out"]), interval(each["held out"])))
            print(rows[-1], flush=True)
        others = [each for method, each in found.items() if method != "spectral"]
        fastest = min(each["to held out"] for each in others)
        ratios.append(found["spectral"]["to held out"] / fastest if fastest < math.inf else 0.0)
        losses.append(float(np.mean(found["spectral"]["held out"]) / min(np.mean(each["held out"]) for each in others)))
        report(rows, ratios, losses)


def report(rows: list[tuple[Any, ...]], ratios: list[float], losses: list[float]) -> None:
    text = (
        f"{__doc__.split(chr(10), 2)[2].strip()}\n\nNets of width {WIDTH}, kernel 3, ReLU, no norms: residual (blocks "
        "of two convolutions) and plain (convolutions in a row). A run trains if its train loss falls below .6 of "
        "chance; steps are to .6 of chance, the median of seeds; best held-out loss: mean (lowest to highest seed). "
        "100 blocks: three seeds. GunPoint: every second sample; demo: trials as recorded, not denoised. "
        f"{len(ratios)} of {len(cells())} cells were run.\n\n"
    )
    head = ("net", "depth", "task", "method", "rate", "train", "steps, train", "steps, held out", "held-out loss")
    words = (
        f"\n\nOver {len(ratios)} cells, `spectral` against the best other method of each: steps to the held-out target "
        f"{median(ratios):.2f} in the median cell (highest {max(ratios):.2f}), held-out loss {median(losses):.2f} in "
        f"the median cell (highest {max(losses):.2f}).\n\n"
    )
    record("Initialization: which start trains", text + table(head, rows) + words + machine("numpy", "torch"))


def parts() -> None:
    rows = []
    for cell in [
        (kind, 50, name) for kind in ("residual", "plain") for name in ("GunPoint", "ItalyPowerDemand", "demo")
    ]:
        for part in PARTS:
            each = judged(cell, "spectral", part)
            shown = (steps(each["to train"]), steps(each["to held out"]), interval(each["held out"]))
            rows.append((*cell, part, f"{each['rate']:g}", *shown))
            print(rows[-1], flush=True)
        head = ("net", "depth", "task", "left out", "rate", "steps, train", "steps, held out", "held-out loss")
        text = (
            '`spectral` with one part left out at a time, as in the table above; "taps spread" left out is a delta '
            'kernel, "calibration" scales branches by rule alone. Rows that are missing were not run.\n\n'
        )
        record("Initialization: what each part brings", text + table(head, rows) + "\n\n" + machine("numpy", "torch"))


def cost() -> None:
    """What a start costs in a net of 10 million parameters, beside forward-backward passes of the same batch."""
    torch.set_num_threads(2)
    x, y = torch.randn(32, 64, 64), torch.arange(32) % 4
    rows = []
    nets: dict[str, dict[str, Any]] = {"fcn": {"width": 768}, "resnet1d": {"width": 512, "blocks": 6, "kernel": 3}}
    for name, options in nets.items():
        model = models.build(name, n_channels=64, n_times=64, n_outputs=4, norm="none", **options)
        millions = sum(each.numel() for each in model.parameters()) / 1e6
        begin = time.perf_counter()
        for _ in range(3):
            functional.cross_entropy(model(x), y).backward()
        one_pass = (time.perf_counter() - begin) / 3
        for method in ("he", "orthogonal", "looks_linear", "lsuv", "spectral"):
            begin = time.perf_counter()
            init.initialize(model, method, sample=x, targets=y)
            seconds = time.perf_counter() - begin
            rows.append((name, f"{millions:.1f}", method, f"{seconds:.2f}", f"{seconds / one_pass:.1f}"))
            print(rows[-1], flush=True)
    head = ("net", "million parameters", "method", "s", "in forward-backward passes of a batch")
    text = "Time to start a net, report with largest singular values included: 32 windows of 64 x 64, 2 threads.\n\n"
    record("Initialization: cost", text + table(head, rows) + "\n\n" + machine("numpy", "torch"))


SECTIONS = {"train": compare, "parts": parts, "cost": cost}

if __name__ == "__main__":
    for name in sys.argv[1:] or SECTIONS:
        SECTIONS[name]()
