"""The largest of many matrices is the largest, though most of them are never decomposed."""

from collections.abc import Callable

import pytest
import torch

from sciml.spectra.convolution import circular_singular_values, operator_norm
from sciml.spectra.convolution.largest import largest_value, upper_estimates


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.complex128)


def one_strong(n: int) -> torch.Tensor:
    blocks = drawn(n, 1, 80, 90)
    u, v = drawn(80, 1, seed=1), drawn(90, 1, seed=2)
    blocks[n // 2, 0] += 0.5 * u @ v.mH
    return blocks


BLOCKS: dict[str, Callable[[], torch.Tensor]] = {
    "noise": lambda: drawn(12, 1, 80, 80),
    "wide": lambda: drawn(12, 1, 70, 200),
    "tall": lambda: drawn(12, 1, 200, 70),
    "groups": lambda: drawn(12, 3, 70, 80),
    "one strong": lambda: one_strong(9),
    "rank one": lambda: drawn(9, 1, 80, 1) @ drawn(9, 1, 1, 80, seed=1),
    "rank three": lambda: drawn(9, 1, 80, 3) @ drawn(9, 1, 3, 80, seed=1),
    "unitary": lambda: torch.linalg.qr(drawn(9, 1, 80, 80)).Q,
    "zeros": lambda: torch.zeros(9, 1, 80, 80, dtype=torch.complex128),
    "tiny": lambda: 1e-40 * drawn(9, 1, 80, 80),
    "huge": lambda: 1e40 * drawn(9, 1, 80, 80),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_estimates_are_not_below_the_largest_value(name: str) -> None:
    blocks = BLOCKS[name]()
    exact = torch.linalg.svdvals(blocks).amax((1, 2))
    assert bool((upper_estimates(blocks) >= exact).all())


def test_estimates_of_noise_are_close() -> None:
    blocks = drawn(12, 1, 100, 100)
    exact = torch.linalg.svdvals(blocks).amax((1, 2))
    # 8 steps of 4 columns: the residual is a few percent of the eigenvalue, half of that of the singular value
    assert bool((upper_estimates(blocks) <= 1.05 * exact).all())


@pytest.mark.parametrize("kind", ["noise", "delta", "smooth", "strided", "zeros"])
def test_norm_is_the_largest_of_all_values(kind: str) -> None:
    weight = drawn(90, 80, 3, 3).real
    if kind == "delta":
        weight = torch.zeros(90, 80, 3, 3, dtype=torch.float64)
        weight[:80, :, 1, 1] = torch.eye(80, dtype=torch.float64)
    elif kind == "smooth":
        weight = weight + 1.0
    elif kind == "zeros":
        weight = torch.zeros_like(weight)
    stride = 2 if kind == "strided" else 1
    expected = float(circular_singular_values(weight, 6, stride=stride)[0])
    assert operator_norm(weight, 6, stride=stride) == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_real_matrices_are_decomposed_as_such() -> None:
    x = drawn(2, 1, 30, 50).real
    assert largest_value(x) == pytest.approx(float(torch.linalg.svdvals(x).max()), rel=1e-12)
