"""Plain convolutional nets of 100 to 4000 layers at their start: does the gradient arrive, and what does it cost?

Width 16, kernel 3, zero padding, no norms. The gradient of a random linear function of the output is taken with respect
to the weight of each layer. Then the cost of `initialize` for nets of ten million parameters, singular values and one
pass on a batch included.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any

import torch
from _report import machine, record, table
from torch import nn

from sciml.nn.init import initialize

WIDTH, LENGTH = 16, 8
CASES: list[tuple[str, type[nn.Module], dict[str, Any]]] = [
    ("he", nn.ReLU, {}),
    ("orthogonal", nn.ReLU, {"gain": 2.0**0.5}),
    ("looks_linear", nn.ReLU, {}),
    ("looks_linear", nn.GELU, {}),
    ("he", nn.Tanh, {}),
    ("orthogonal", nn.Tanh, {}),
    ("delta_orthogonal", nn.Tanh, {}),
    ("critical", nn.Tanh, {"law": "orthogonal", "sigma_b2": 2e-5}),
]


def convolutions(depth: int, activation: type[nn.Module]) -> nn.Sequential:
    widths = [4, *[WIDTH] * (depth - 1), 4]
    pairs = ((nn.Conv1d(a, b, 3, padding=1), activation()) for a, b in itertools.pairwise(widths))
    return nn.Sequential(*[part for pair in pairs for part in pair][:-1])


def gradient_norms(net: nn.Sequential) -> tuple[float, float, float]:
    """Norm of the gradient with respect to the first, the middle and the last weight."""
    x = torch.randn(2, 4, LENGTH, generator=torch.Generator().manual_seed(0))
    y = net(x)
    (y * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    norms = [float(part.weight.grad.norm()) for part in net if isinstance(part, nn.Conv1d)]
    return norms[0], norms[len(norms) // 2], norms[-1]


def gradients() -> str:
    rows = []
    for method, activation, options in CASES:
        for depth in (100, 1000, 4000):
            net = convolutions(depth, activation)
            initialize(net, method, **options)
            first, middle, last = gradient_norms(net)
            given = ", ".join(
                f"{key} = {value:.3g}" if isinstance(value, float) else f"{value}" for key, value in options.items()
            )
            ratio = f"{first / last:.2g}" if last > 0 else "-"
            rows.append(
                (
                    f"{method} {given}".strip(),
                    activation.__name__,
                    depth,
                    f"{first:.2g}",
                    f"{middle:.2g}",
                    f"{last:.2g}",
                    ratio,
                )
            )
    columns = ("method", "activation", "layers", "first", "middle", "last", "first / last")
    return table(columns, rows)


def dense(width: int, depth: int) -> nn.Sequential:
    inner = [part for _ in range(depth) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), *inner, nn.Linear(width, 10))


def convolutional(width: int, depth: int) -> nn.Sequential:
    inner = [part for _ in range(depth) for part in (nn.Conv1d(width, width, 3, padding=1), nn.ReLU())]
    head = (nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, 4))
    return nn.Sequential(nn.Conv1d(8, width, 3, padding=1), nn.ReLU(), *inner, *head)


NETS: list[tuple[str, Callable[[], nn.Sequential], tuple[int, ...]]] = [
    ("10 x Linear(1000)", lambda: dense(1000, 10), (32, 64)),
    ("Linear(3162)", lambda: dense(3162, 1), (32, 64)),
    ("13 x Conv1d(512, 3)", lambda: convolutional(512, 13), (4, 8, 50)),
    ("800 x Conv1d(64, 3)", lambda: convolutional(64, 800), (4, 8, 50)),
]


def cost() -> str:
    methods = ("he", "orthogonal", "looks_linear")
    rows = []
    for name, make, shape in NETS:
        net = make()
        seconds = []
        for method in methods:
            start = time.perf_counter()
            initialize(net, method, sample=torch.randn(shape))
            seconds.append(f"{time.perf_counter() - start:.1f}")
        rows.append((name, f"{sum(p.numel() for p in net.parameters()) / 1e6:.1f}", *seconds))
    return table(("net", "10^6 parameters", *(f"{method}, s" for method in methods)), rows)


def main() -> None:
    start = time.perf_counter()
    arrived, spent = gradients(), cost()
    record(
        "Initialization: plain nets of thousands of layers",
        f"{machine('torch')}; {time.perf_counter() - start:.0f} s, {torch.get_num_threads()} threads.\n\n"
        "Norm of the gradient with respect to the weight of the first, the middle and the last layer:\n\n"
        f"{arrived}\n\nCost of `initialize`, its report included, with other programs on both cores:\n\n{spent}",
    )


if __name__ == "__main__":
    main()
