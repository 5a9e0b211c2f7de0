"""Kernels of wide nets against tables, naive recursions, finite nets, and what no rounding may break."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from sciml.errors import ConfigError, DataError, NumericalError
from sciml.theory.kernels import (
    Conv,
    Dense,
    Flatten,
    MeanPool,
    Nonlinear,
    Residual,
    convolutional,
    finite_kernels,
    fully_connected,
    kernel_diagonal,
    kernel_matrices,
    nngp,
    ntk,
    residual,
)
from sciml.theory.kernels.ramps import ramp_moments
from sciml.theory.meanfield import leaky_relu, pair_moments

RELU = {  # hidden layers: (K, Θ) at correlation 0, 0.5, 0.9, -1
    1: [(0.636620, 0.636620), (1.217996, 1.884662), (1.819077, 3.360657), (0.0, 0.0)],
    2: [(0.987462, 1.371417), (1.367811, 2.702959), (1.835482, 4.737627), (0.636620, 0.636620)],
    3: [(1.209651, 2.120776), (1.476256, 3.475689), (1.849702, 5.971386), (0.987462, 1.371417)],
}
ERF = {1: (0.432828, 0.837575, 0.868689, 1.971921), 3: (0.337041, 1.143434, 0.647443, 3.075580)}


def two(rho: float) -> np.ndarray:
    """Two inputs of mean square one and a correlation."""
    return np.sqrt(2.0) * np.array([[1.0, 0.0], [rho, math.sqrt(1.0 - rho**2)]])


def difficult(rng: np.random.Generator) -> np.ndarray:
    """Inputs with duplicates to the bit and nearly, opposite pairs, multiples, and zeros."""
    X = rng.normal(size=(8, 5))
    near = X[:3] + 1e-9 * rng.normal(size=(3, 5))
    return np.concatenate([X, X[:4], -X[:4], 2.0 * X[:3], X[:3] * (1 + 1e-8), near, np.zeros((2, 5))])


@pytest.mark.parametrize("depth", RELU)
def test_relu_kernels_are_the_tabulated_ones(depth: int) -> None:
    for rho, (k, theta) in zip((0.0, 0.5, 0.9, -1.0), RELU[depth], strict=True):
        found = kernel_matrices(fully_connected(depth), two(rho))
        assert found.ntk is not None
        assert found.nngp[0, 1].item() == pytest.approx(k, abs=6e-7)
        assert found.ntk[0, 1].item() == pytest.approx(theta, abs=6e-7)
        np.testing.assert_allclose(found.ntk.diagonal(), 2.0 * (depth + 1), rtol=1e-14)


@pytest.mark.parametrize("depth", ERF)
def test_erf_kernels_are_the_tabulated_ones(depth: int) -> None:
    found = kernel_matrices(fully_connected(depth, "erf", sigma_w2=1.5, sigma_b2=0.05), two(0.5))
    assert found.ntk is not None
    values = found.nngp[0, 1], found.ntk[0, 1], found.nngp[0, 0], found.ntk[0, 0]
    np.testing.assert_allclose([each.item() for each in values], ERF[depth], atol=6e-7)


@pytest.mark.parametrize("activation", ["relu", "erf", "gelu", "sin", "tanh", "identity", leaky_relu(0.3), np.abs])
def test_a_hidden_layer_has_the_moments_of_pairs(activation: object) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 3)) * np.array([[0.5], [1.0], [2.0], [1.0]])
    found = kernel_matrices(fully_connected(1, activation, sigma_w2=1.3, sigma_b2=0.2), X)  # type: ignore[arg-type]
    assert found.ntk is not None
    K = 1.3 * X @ X.T / 3 + 0.2
    a, b = np.broadcast_arrays(np.diag(K)[:, None], np.diag(K)[None])
    pair = pair_moments(activation, a, b, K)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.nngp, 1.3 * pair.value + 0.2, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.ntk, 1.3 * pair.value + 0.2 + 1.3 * K * pair.slope, rtol=1e-9, atol=1e-9)


def test_ramps_have_their_moments() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        h, k, rho = (*rng.normal(size=2), rng.uniform(-0.99, 0.99))
        s = math.sqrt(1 - rho**2)
        x, weight = np.polynomial.legendre.leggauss(400)
        x, weight = h + (x + 1) / 2 * (10 - h), weight * (10 - h) / 2 * stats.norm.pdf(h + (x + 1) / 2 * (10 - h))
        t = (rho * x - k) / s
        product = weight @ ((x - h) * s * (t * stats.norm.cdf(t) + stats.norm.pdf(t)))
        arguments = (torch.tensor(each, dtype=torch.float64) for each in (h, k, 1 - rho, 1 + rho))
        found = ramp_moments(*arguments)
        assert found[0].item() == pytest.approx(product, abs=1e-10)
        assert found[1].item() == pytest.approx(weight @ stats.norm.cdf(t), abs=1e-10)


def test_hard_tanh_of_unequal_lengths_is_that_of_two_ramps() -> None:
    # φ = -1 + (x + 1)₊ - (x - 1)₊, with E[(x - κ)₊] and the moments of pairs of ramps in closed form
    X = np.array([[0.6, 0.0], [1.4, 0.01], [1.0, 1.0]])
    K = 2.0 * X @ X.T / 2
    found = kernel_matrices(fully_connected(1, "hardtanh", sigma_w2=2.0), X)
    assert found.ntk is not None
    root = np.sqrt(np.diag(K))
    rho = torch.from_numpy(K / np.outer(root, root))
    value, slope = np.ones((3, 3)), np.zeros((3, 3))
    for kink, jump in ((-1.0, 1.0), (1.0, -1.0)):
        t = -kink / root
        mean = jump * root * (t * stats.norm.cdf(t) + stats.norm.pdf(t))
        value -= mean[:, None] + mean[None]
        for other, second in ((-1.0, 1.0), (1.0, -1.0)):
            h, k = torch.from_numpy(kink / root)[:, None], torch.from_numpy(other / root)[None]
            ramp, both = ramp_moments(h, k, (1 - rho).clamp(min=0), 1 + rho)
            value += jump * second * np.outer(root, root) * ramp.numpy()
            slope += jump * second * both.numpy()
    np.testing.assert_allclose(found.nngp, 2.0 * value, atol=1e-8)
    np.testing.assert_allclose(found.ntk, 2.0 * value + 2.0 * K * slope, atol=1e-7)


def naive_relu(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    theta = np.arccos(np.clip(c / np.sqrt(a * b), -1, 1))
    return np.sqrt(a * b) / (2 * np.pi) * (np.sin(theta) + (np.pi - theta) * np.cos(theta)), (np.pi - theta) / 2 / np.pi


def naive_convolution(M: np.ndarray, n: int, kernel: int, circular: bool) -> np.ndarray:
    """Average a covariance of the positions of two signals, one after the other, along its diagonals."""
    left, out = (kernel - 1) // 2, np.zeros_like(M)
    for one, other in np.ndindex(2, 2):
        for t, s, k in np.ndindex(n, n, kernel):
            i, j = t + k - left, s + k - left
            if circular or (0 <= i < n and 0 <= j < n):
                out[one * n + t, other * n + s] += M[one * n + i % n, other * n + j % n] / kernel
    return out


@pytest.mark.parametrize("readout", ["mean", "flatten"])
@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.parametrize("kernel", [2, 3])
def test_convolutional_kernels_are_those_of_the_naive_recursion(kernel: int, padding: str, readout: str) -> None:
    X = np.random.default_rng(1).normal(size=(2, 3, 5))
    Z = np.concatenate([X[0], X[1]], axis=1).T
    K, theta = Z @ Z.T / 3, np.zeros((10, 10))
    for _ in range(2):
        K = 1.7 * naive_convolution(K, 5, kernel, padding == "circular") + 0.1
        theta = K + 1.7 * naive_convolution(theta, 5, kernel, padding == "circular")
        K, slope = naive_relu(np.diag(K)[:, None], np.diag(K)[None], K)
        theta = theta * slope
    K, theta = (each[:5, 5:] for each in (K, theta))
    mean = np.mean if readout == "mean" else lambda M: np.diag(M).mean()
    net = convolutional(2, sigma_w2=1.7, sigma_b2=0.1, kernel=kernel, padding=padding, readout=readout)
    found = kernel_matrices(net, X[:1], X[1:])
    assert found.ntk is not None
    assert found.nngp.item() == pytest.approx(1.7 * mean(K) + 0.1, rel=1e-13)
    assert found.ntk.item() == pytest.approx(1.7 * mean(K) + 0.1 + 1.7 * mean(theta), rel=1e-13)


def test_zero_padding_loses_power_at_the_ends() -> None:
    X = np.ones((1, 1, 6))
    net = (Conv(1.0, kernel=3), Conv(1.0, kernel=3), Flatten(), Dense(1.0))
    profile = np.convolve(np.convolve(np.ones(6), np.ones(3) / 3, "same"), np.ones(3) / 3, "same")
    assert nngp(net, X).item() == pytest.approx(profile.mean(), rel=1e-14)


def test_strides_and_dilations_are_those_of_a_finite_net() -> None:
    X = np.random.default_rng(0).normal(size=(2, 2, 8))
    net = (Conv(1.0, 0.1, 3, stride=2), Nonlinear("relu"), Conv(1.0, 0.1, 2, dilation=2), MeanPool(), Dense(1.0))
    generator = torch.Generator().manual_seed(0)
    drawn = [finite_kernels(net, X, width=128, generator=generator) for _ in range(20)]
    wide = kernel_matrices(net, X)
    for name in ("nngp", "ntk"):
        values = torch.stack([getattr(each, name) for each in drawn])
        error = (values.mean(0) - getattr(wide, name)) / (values.std(0) / math.sqrt(20))
        assert error.abs().max() < 4.5  # three numbers of either kernel, t of 19 dof


@pytest.mark.parametrize(
    "net",
    [fully_connected(2, "tanh", sigma_b2=0.1), residual(3, "erf", scale=0.5)],
    ids=["tanh", "residual"],
)
def test_finite_nets_approach_the_kernels_as_one_over_the_root_of_the_width(net: tuple[object, ...]) -> None:
    X = np.concatenate([two(0.5), [[-1.0, 0.3]]])
    wide = kernel_matrices(net, X)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    errors = []
    for width in (64, 512):
        drawn = [finite_kernels(net, X, width=width, generator=generator) for _ in range(24)]  # type: ignore[arg-type]
        errors.append([torch.stack([getattr(d, k) - getattr(wide, k) for d in drawn]).square().mean().sqrt().item()
                       for k in ("nngp", "ntk")])  # fmt: skip
    exponent = np.log(np.array(errors[1]) / errors[0]) / np.log(8)
    np.testing.assert_allclose(exponent, -0.5, atol=0.2)  # 24 draws: each root mean square is known to 15 %


def test_residual_relu_grows_as_its_blocks_say() -> None:
    value = kernel_diagonal(residual(50, sigma_w2=2.0), np.ones((1, 4))).item()
    assert value == pytest.approx(2.0 * (1 + 1 / 50) ** 50, rel=1e-12)


@pytest.mark.parametrize("sigma_w2", [0.3, 2.0, 400.0])
@pytest.mark.parametrize(("activation", "sigma_b2"), [("relu", 0.0), ("erf", 0.0), ("erf", 0.1), ("gelu", 0.1)])
def test_kernels_are_positive_semi_definite_at_any_depth(activation: str, sigma_b2: float, sigma_w2: float) -> None:
    X = difficult(np.random.default_rng(0))
    for depth in (1, 3, 100):
        net = fully_connected(depth, activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
        found = kernel_matrices(net, X, normalize=True)
        for matrix in (found.nngp, found.ntk):
            assert matrix is not None
            assert bool(matrix.isfinite().all())
            assert torch.equal(matrix, matrix.T)
            values = torch.linalg.eigvalsh(matrix)
            assert values[0] > -1e-14 * len(X) * values[-1]
            assert (matrix[:4] - matrix[8:12]).abs().max() <= 1e-14 * matrix.abs().max()  # duplicates


def test_quadrature_gives_positive_semi_definite_kernels() -> None:
    X = difficult(np.random.default_rng(0))
    for depth in (1, 30):
        found = kernel_matrices(fully_connected(depth, "tanh", sigma_w2=4.0), X, normalize=True)
        for matrix in (found.nngp, found.ntk):
            assert matrix is not None
            values = torch.linalg.eigvalsh(matrix)
            assert values[0] > -1e-14 * len(X) * values[-1]


@pytest.mark.parametrize("sigma_w2", [0.5, 3.0])
def test_a_thousand_layers_neither_overflow_nor_separate_duplicates(sigma_w2: float) -> None:
    # erf with sigma_w2 = 3 is chaotic: a difference of 1e-16 would grow to order one.
    X = difficult(np.random.default_rng(0))[[0, 8, 12, 16]]
    for activation in ("relu", "erf"):
        found = kernel_matrices(fully_connected(1000, activation, sigma_w2=sigma_w2), X, normalize=True)
        assert found.ntk is not None
        for matrix in (found.nngp, found.ntk):
            assert bool(matrix.isfinite().all())
            assert matrix[0, 1].item() == pytest.approx(matrix[0, 0].item(), rel=1e-12)
            if activation == "erf":
                assert matrix[0, 2].item() == pytest.approx(-matrix[0, 0].item(), rel=1e-12)


def test_an_overflow_is_said_and_its_scale_told() -> None:
    net = fully_connected(2000, sigma_w2=4.0)
    with pytest.raises(NumericalError, match="normalize=True"):
        nngp(net, np.eye(2))
    found = kernel_matrices(net, np.ones((1, 2)))
    assert found.log_scale_nngp == pytest.approx(2000 * math.log(2.0) + math.log(4.0), rel=1e-12)
    assert found.nngp.item() == pytest.approx(1.0)
    assert "e^" in found.summary()
    assert nngp(net, np.eye(2), normalize=True).isfinite().all()


def test_blocks_within_any_memory_give_the_same() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(9, 1, 4)), rng.normal(size=(5, 1, 4))
    net = convolutional(2, "erf", sigma_b2=0.1)
    one_pair = 8 * (40 + 4 * 3) * 16
    for other in (None, Y):
        whole, parts = kernel_matrices(net, X, other), kernel_matrices(net, X, other, memory=5 * one_pair)
        torch.testing.assert_close(whole.ntk, parts.ntk, rtol=1e-13, atol=0)
    torch.testing.assert_close(kernel_diagonal(net, X, tangent=True), ntk(net, X).diagonal(), rtol=1e-13, atol=0)
    with pytest.raises(ConfigError, match="memory for one pair"):
        nngp(net, X, memory=one_pair - 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read as Linux tells it")
def test_memory_stays_within_the_limit() -> None:
    script = (
        "import re, pathlib, numpy as np\n"
        "from sciml.theory.kernels import convolutional, kernel_matrices\n"
        "def peak(): return int(re.search(r'VmHWM:\\s*(\\d+)', pathlib.Path('/proc/self/status').read_text())[1])\n"
        "rng = np.random.default_rng(0)\n"
        "kernel_matrices(convolutional(1, kernel=5), rng.normal(size=(2, 1, 4)))\n"
        "before = peak()\n"
        "kernel_matrices(convolutional(1, kernel=5), rng.normal(size=(12, 1, 100)), memory=200 * 2**20)\n"
        "print(peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 200 * 2**10  # in KiB; the whole would take 600 MiB


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_derivatives_by_the_hyper_parameters_are_those_of_differences(activation: str) -> None:
    X = np.random.default_rng(0).normal(size=(4, 3))
    X[3] = X[0]

    def total(sigma_w2: torch.Tensor | float, sigma_b2: torch.Tensor | float) -> torch.Tensor:
        found = kernel_matrices(fully_connected(2, activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2), X)
        assert found.ntk is not None
        return (found.nngp[0] + found.ntk[1]).sum()

    values = [torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in (1.5, 0.1)]
    gradient = torch.autograd.grad(total(*values), values)
    h = 1e-5
    numeric = [(total(1.5 + h, 0.1) - total(1.5 - h, 0.1)) / 2 / h, (total(1.5, 0.1 + h) - total(1.5, 0.1 - h)) / 2 / h]
    np.testing.assert_allclose([each.item() for each in gradient], [each.item() for each in numeric], rtol=1e-7)


def test_the_derivative_by_a_bias_variance_of_zero_exists() -> None:
    X = np.random.default_rng(0).normal(size=(3, 3))
    zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(ntk(fully_connected(2, sigma_b2=zero), X).sum(), zero)
    small = (ntk(fully_connected(2, sigma_b2=1e-7), X) - ntk(fully_connected(2), X)).sum() / 1e-7
    assert found.item() == pytest.approx(small.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ((), "at least one step"),
        ((Nonlinear("relu"), Dense(2.0)), "before each Nonlinear"),
        ((Dense(2.0), Residual((Dense(2.0), Nonlinear("relu")))), "ends in a Dense"),
        ((Dense(0.0),), "sigma_w2 > 0"),
        ((Dense(1.0), Nonlinear("none"), Dense(1.0)), "expected an activation"),
        ((Conv(1.0, padding="mirror"), Flatten(), Dense(1.0)), "padding"),
    ],
)
def test_nets_without_a_kernel_are_refused(net: tuple[object, ...], message: str) -> None:
    X = np.ones((2, 1, 3)) if any(isinstance(step, Conv) for step in net) else np.ones((2, 3))
    with pytest.raises(ConfigError, match=message):
        nngp(net, X)  # type: ignore[arg-type]


def test_inputs_are_checked() -> None:
    with pytest.raises(DataError, match="sample, feature"):
        nngp(fully_connected(1), np.ones((2, 3, 4)))
    with pytest.raises(DataError, match="sample, channel, time"):
        nngp(convolutional(1), np.ones((2, 3)))
    with pytest.raises(DataError, match="finite"):
        nngp(fully_connected(1), np.array([[np.nan, 1.0]]))
    with pytest.raises(DataError, match="one shape"):
        nngp(fully_connected(1), np.ones((2, 3)), np.ones((2, 4)))
