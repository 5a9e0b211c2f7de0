"""Weight spectra: level in each law of untrained weights, power, strengths, power laws, and what it costs.

`python benchmarks/bench_weight_spectra.py [part ...]` runs parts: level, power, strength, power_law, cost. The peer is
WeightWatcher, where it can be imported (`pip download --no-deps`, put on PYTHONPATH).
"""

import importlib
import importlib.util
import logging
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from _report import machine, record, table
from torch import nn

from sciml.spectra import WeightSpectra, weight_spectra
from sciml.spectra.weights import power_law

ALPHA = 0.05
LAYERS = 1000
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def truncated(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    weights = torch.empty(shape, dtype=torch.float64)
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    return nn.init.trunc_normal_(weights, a=-2.0, b=2.0, generator=generator).numpy()


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    weights = torch.empty(shape)
    return nn.init.orthogonal_(weights, generator=torch.Generator().manual_seed(int(rng.integers(2**31)))).numpy()


def scales(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.exp(rng.normal(size=n))


def along(values: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    return values.reshape([-1 if i == axis else 1 for i in range(len(shape))])


def unit_rows(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    weights = rng.normal(size=shape)
    return weights / np.linalg.norm(weights.reshape(shape[0], -1), axis=1).reshape(-1, *[1] * (len(shape) - 1))


def pruned(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    weights = rng.normal(size=shape)
    return weights * (np.abs(weights) >= np.quantile(np.abs(weights), 0.8))


def eight_bit(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    weights = rng.normal(size=shape)
    step = np.abs(weights).max() / 127
    return np.round(weights / step) * step


LAWS: dict[str, Draw] = {
    "Gaussian": lambda rng, shape: rng.normal(size=shape),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, size=shape),
    "truncated Gaussian": truncated,
    "Laplace": lambda rng, shape: rng.laplace(size=shape),
    "Student t, 5 dof": lambda rng, shape: rng.standard_t(5, size=shape),
    "orthogonal": orthogonal,
    "rows of unequal scale": lambda rng, shape: rng.normal(size=shape) * along(scales(rng, shape[0]), shape, 0),
    "columns of unequal scale": lambda rng, shape: rng.normal(size=shape) * along(scales(rng, shape[1]), shape, 1),
    "rows and columns of unequal scale": lambda rng, shape: (
        rng.normal(size=shape) * along(scales(rng, shape[0]), shape, 0) * along(scales(rng, shape[1]), shape, 1)
    ),
    "unit rows": unit_rows,
    "80 % pruned by size": pruned,
    "80 % pruned at random": lambda rng, shape: rng.normal(size=shape) * (rng.random(size=shape) < 0.2),
    "8-bit": eight_bit,
    "bfloat16": lambda rng, shape: rng.normal(size=shape),
}


def shapes(rng: np.random.Generator, n: int) -> Iterator[tuple[int, ...]]:
    """Yield shapes of linear layers and gates, and of every third convolution with 3 or 3 x 3 taps."""
    for i in range(n):
        rows, columns = np.exp(rng.uniform(math.log(16), math.log(2048), size=2)).astype(int)
        rows, columns = (int(side) if rows * columns <= 2**20 else int(side) // 2 + 8 for side in (rows, columns))
        kernel = {0: (3,), 3: (3, 3)}.get(i % 6, ())
        yield rows, max(columns // math.prod(kernel), 2), *kernel


def module_of(weights: np.ndarray, groups: int) -> nn.Module:
    kinds: dict[int, Any] = {3: nn.Conv1d, 4: nn.Conv2d}
    n_out, n_in, *kernel = weights.shape
    layer = kinds[weights.ndim](n_in * groups, n_out, kernel, groups=groups, bias=False)
    layer.weight.data = torch.as_tensor(weights)
    return layer


def grouped(rng: np.random.Generator, n: int) -> nn.Module:
    """Return grouped and depthwise convolutions, each group drawn orthogonal by itself."""
    layers = []
    for i in range(n):
        n_groups, n_out, n_in = (int(2 ** rng.integers(3, 8)), 1, 1) if i % 2 else (int(2 ** rng.integers(1, 4)), 16, 8)
        taps = (3, 3) if i % 3 else (9,)
        blocks = [orthogonal(rng, (n_out, n_in, *taps)) for _ in range(n_groups)]
        layers.append(module_of(np.concatenate(blocks), n_groups))
    return nn.Sequential(*layers)


def untrained(law: str, n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    dtype = torch.bfloat16 if law == "bfloat16" else torch.float32
    return {
        f"layer{i}.weight": torch.as_tensor(LAWS[law](rng, shape)).to(dtype) for i, shape in enumerate(shapes(rng, n))
    }


def learned(spectra: WeightSpectra) -> int:
    return sum(each.verdict in ("directions learned on a noise bulk", "no noise bulk left") for each in spectra)


def level_row(law: str, spectra: WeightSpectra, seconds: float) -> list[object]:
    first = np.array([each.p_values[0] for each in spectra if each.p_values is not None])
    below = "-" if not first.size else f"{100 * np.mean(first < ALPHA):.1f} %, {100 * np.mean(first < 0.01):.1f} %"
    undetermined = sum(each.verdict == "undetermined" for each in spectra)
    return [law, len(spectra), f"{100 * learned(spectra) / len(spectra):.1f} %", below, undetermined, f"{seconds:.0f}"]


def level(n: int = LAYERS) -> None:
    rows = []
    for law in LAWS:
        start = time.perf_counter()
        rows.append(level_row(law, weight_spectra(untrained(law, n)), time.perf_counter() - start))
        print(rows[-1], flush=True)
    start = time.perf_counter()
    net = grouped(np.random.default_rng(1), n // 4)
    rows.append(level_row("orthogonal by groups", weight_spectra(net), time.perf_counter() - start))
    gates = nn.ModuleList([nn.LSTM(24 + 8 * i, 32 + 8 * i) for i in range(25)])
    heads = nn.ModuleList([nn.MultiheadAttention(64 + 32 * i, 4 + 4 * (i % 2)) for i in range(10)])
    for name, each in (("gates of recurrent layers", gates), ("attention, heads and products", heads)):
        rows.append(level_row(name, weight_spectra(each), 0.0))
    columns = ("law", "layers", "said to have learned", "p < .05, < .01 before control", "undetermined", "s")
    text = (
        "Untrained layers of 16 to 2048 rows and columns, a third of them convolutions, false discoveries controlled "
        f"over the layers of a law at {ALPHA}.\n\n{table(columns, rows)}\n\n{machine('numpy', 'torch')}"
    )
    record("Weight spectra: level", text)


def direction(rng: np.random.Generator, n: int) -> np.ndarray:
    vector = rng.normal(size=n)
    return vector / np.linalg.norm(vector)


def spiked(rng: np.random.Generator, shape: tuple[int, int], factor: float, noise: str) -> tuple[np.ndarray, float]:
    """Return noise with one direction, and its strength.

    `factor` is in units of the threshold sigma (n p)^(1/4), of the rms of all noise; on rows "scaled" with their noise
    it is that of the equalized matrix.
    """
    n, p = shape
    rows = np.ones(n) if noise == "equal rows" else np.exp(0.7 * rng.normal(size=n))
    theta = factor * (n * p) ** 0.25
    signal = theta * np.outer(direction(rng, n), direction(rng, p))
    if noise == "signal scaled as the rows":
        whole = rows[:, None] * signal
        return rows[:, None] * rng.normal(size=shape) + whole, float(np.linalg.norm(whole))
    level = float(np.sqrt(np.mean(rows**2)))
    return rows[:, None] * rng.normal(size=shape) + level * signal, level * theta


NOISES = ("equal rows", "unequal rows", "signal scaled as the rows")


def power(n: int = 100) -> None:
    """Planted directions in half of the layers, noise in the other half, false discoveries controlled over all."""
    rows = []
    cells = [
        ((200, 200), 1.3),
        ((200, 400), 1.3),
        ((250, 400), 1.3),
        ((48, 48), 1.5),
        ((48, 216), 1.5),
        ((96, 300), 1.5),
    ]
    for noise in NOISES:
        for shape, factor in cells:
            rng = np.random.default_rng(0)
            state = {f"{i}.weight": spiked(rng, shape, factor if i % 2 else 0.0, noise)[0] for i in range(2 * n)}
            spectra = weight_spectra({name: torch.as_tensor(each) for name, each in state.items()})
            found, false = (sum(bool(each.rank) for each in spectra[part::2]) for part in (1, 0))
            rows.append([noise, f"{shape[0]} x {shape[1]}", factor, f"{found / n:.2f}", false])
            print(rows[-1], flush=True)
    columns = ("noise", "shape", "strength over threshold", "found", f"false of {n}")
    record("Weight spectra: power", f"{power.__doc__}\n\n{table(columns, rows)}\n\n{machine('numpy', 'torch')}")


def strength(n: int = 300) -> None:
    """Strengths of detected directions in their 95 % intervals, and expected alignment with the true ones."""
    rows = []
    cells = [((96, 300), 1.5), ((96, 300), 3.0), ((200, 200), 1.3), ((200, 200), 2.0), ((120, 80), 4.0)]
    for noise in NOISES:
        for shape, factor in cells:
            rng, inside, ratios = np.random.default_rng(1), [], []
            for _ in range(n if shape[0] < 200 else n // 2):
                weights, theta = spiked(rng, shape, factor, noise)
                (layer,) = weight_spectra({"a.weight": torch.as_tensor(weights)})
                if layer.outliers is not None and len(layer.outliers):
                    found = layer.outliers
                    inside.append(bool(found.low[0] <= theta <= found.high[0]))
                    ratios.append(found.strengths[0] / theta)
            covered = f"{100 * np.mean(inside):.1f} %"
            rows.append([noise, f"{shape[0]} x {shape[1]}", factor, len(inside), covered, f"{np.median(ratios):.3f}"])
            print(rows[-1], flush=True)
    columns = ("noise", "shape", "strength over threshold", "detected", "in its interval", "median estimate / truth")
    record("Weight spectra: strength", f"{strength.__doc__}\n\n{table(columns, rows)}\n\n{machine('numpy', 'torch')}")


def wishart(rng: np.random.Generator, p: int, n: int) -> np.ndarray:
    weights = rng.normal(size=(p, n))
    return np.asarray(np.linalg.eigvalsh(weights @ weights.T))


SAMPLES: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], float | None]] = {
    "Pareto 2": (lambda rng: rng.pareto(1.0, 500) + 1, 2.0),
    "Pareto 3.5": (lambda rng: rng.pareto(2.5, 500) + 1, 3.5),
    "Pareto 5": (lambda rng: rng.pareto(4.0, 500) + 1, 5.0),
    "Pareto 3 for 30 %, uniform below": (
        lambda rng: np.concatenate([rng.uniform(0.2, 1.0, 350), rng.pareto(2.0, 150) + 1]),
        3.0,
    ),
    "log-normal, sigma 1": (lambda rng: rng.lognormal(size=500), None),
    "log-normal, sigma 2": (lambda rng: rng.lognormal(sigma=2.0, size=500), None),
    "exponential": (lambda rng: rng.exponential(size=500), None),
    "Wishart 400 x 800": (lambda rng: wishart(rng, 400, 800), None),
    "Wishart 300 x 300": (lambda rng: wishart(rng, 300, 300), None),
}


def power_laws(n: int = 300) -> None:
    """Exponents of samples of 500, their 95 % intervals, and what is called a power law."""
    rows = []
    for name, (draw, alpha) in SAMPLES.items():
        rng = np.random.default_rng(0)
        fits = [power_law(draw(rng), n_draws=100) for _ in range(n if "Wishart" not in name else n // 4)]
        found = [fit for fit in fits if fit.alpha is not None and fit.low is not None and fit.high is not None]
        bias = "-" if alpha is None else f"{100 * (np.mean([fit.alpha or 0.0 for fit in found]) / alpha - 1):+.1f} %"
        inside = [(fit.low or 0.0) <= (alpha or 0.0) <= (fit.high or 0.0) for fit in found]
        verdicts = [
            f"{sum(fit.verdict == verdict for fit in fits) / len(fits):.2f}"
            for verdict in ("power law", "undetermined", "not a power law")
        ]
        rows.append([name, bias, "-" if alpha is None else f"{100 * np.mean(inside):.1f} %", *verdicts])
        print(rows[-1], flush=True)
    columns = ("sample", "bias of the exponent", "interval covers", "power law", "undetermined", "not a power law")
    record(
        "Weight spectra: power laws", f"{power_laws.__doc__}\n\n{table(columns, rows)}\n\n{machine('numpy', 'scipy')}"
    )


def residual_shapes() -> Iterator[tuple[int, ...]]:
    """Yield the shapes of the 54 weights of a ResNet-50, 25.5 million numbers."""
    yield 64, 3, 7, 7
    channels = 64
    for width, n in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for i in range(n):
            yield from ((width, channels, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1))
            if i == 0:
                yield 4 * width, channels, 1, 1
            channels = 4 * width
    yield 1000, 2048


def cost() -> None:
    """CPU time on one thread for a net of the size of a ResNet-50, p-values included, as He initializes it."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    layers = []
    for shape in residual_shapes():
        weights = torch.randn(*shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:]))
        layer: Any = nn.Linear(shape[1], shape[0]) if len(shape) == 2 else nn.Conv2d(shape[1], shape[0], shape[2:])
        layer.weight.data = weights
        layers.append(layer)
    net = nn.Sequential(*layers)
    weight_spectra(nn.Linear(30, 20))
    rows = [["weight_spectra", f"{min(cpu_time(lambda: weight_spectra(net)) for _ in range(3)):.2f}"]]
    if importlib.util.find_spec("weightwatcher"):
        logging.disable(logging.CRITICAL)
        watcher = importlib.import_module("weightwatcher").WeightWatcher(model=net)
        rows.append(["WeightWatcher, default analysis", f"{cpu_time(watcher.analyze):.2f}"])
    text = f"{cost.__doc__}\n\n{table(('', 's'), rows)}\n\n{machine('numpy', 'torch')}"
    record("Weight spectra: cost", text)


def cpu_time(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


PARTS: dict[str, Callable[[], None]] = {
    "level": level,
    "power": power,
    "strength": strength,
    "power_law": power_laws,
    "cost": cost,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
