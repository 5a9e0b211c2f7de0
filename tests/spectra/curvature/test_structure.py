"""Tangent kernels, class structure, level statistics and batch noise against what is known exactly."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sciml.errors import ConfigError, DataError
from sciml.result import Result
from sciml.spectra.curvature import (
    batch_noise,
    bulk_levels,
    class_structure,
    fisher,
    gauss_newton,
    gradient_covariance,
    hessian,
    ntk,
    top_eigenvalues,
)
from sciml.spectra.curvature.noise_scale import noise_scales
from tests.spectra.curvature.models import data, dense_jacobian, model_case


@pytest.mark.parametrize("memory", [0, 10**9])
def test_the_tangent_kernel_is_that_of_the_jacobian(memory: int) -> None:
    model = model_case("resnet1d-group")
    X, _ = data()
    J = dense_jacobian(model, X).flatten(0, 1)
    kernel = ntk(model, X, batch_size=4, memory=memory)
    torch.testing.assert_close(kernel.to_dense(), J @ J.T, rtol=1e-9, atol=1e-12)
    G = gauss_newton(model, "gaussian", (X, torch.zeros(11, 3, dtype=torch.float64)))
    found: Any = kernel
    top = top_eigenvalues(found, 2, which="largest", tolerance=1e-8)
    np.testing.assert_allclose(top.values / 11, top_eigenvalues(G, 2, tolerance=1e-8).values, rtol=1e-7)


class Scaled(nn.Module):
    """A linear layer in the parametrization of the tangent kernel: standard normal weights, a factor in front."""

    def __init__(self, n_in: int, n_out: int, variance: float, bias: float, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in, generator=generator))
        self.bias = nn.Parameter(torch.randn(n_out, generator=generator)) if bias else None
        self.factor, self.bias_factor = math.sqrt(variance / n_in), math.sqrt(bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.factor * x @ self.weight.T
        return y if self.bias is None else y + self.bias_factor * self.bias


def test_the_tangent_kernel_of_a_wide_net_is_near_its_limit() -> None:
    """Two hidden ReLU layers, correlation .5: 2.702959 and 6; deviations fall as 1 / sqrt(width): .26 at 1024."""
    values = []
    for seed in range(4):
        g = torch.Generator().manual_seed(seed)
        layers = [Scaled(2, 1024, 2, 0, g), nn.ReLU(), Scaled(1024, 1024, 2, 0, g), nn.ReLU(), Scaled(1024, 1, 2, 0, g)]
        X = torch.tensor([[math.sqrt(2), 0.0], [math.sqrt(2) / 2, math.sqrt(2) * math.sqrt(3) / 2]])
        values.append(ntk(nn.Sequential(*layers), X).to_dense())
    mean = torch.stack(values).mean(0)
    assert float(mean[0, 1]) == pytest.approx(2.702959, abs=4 * 0.26 / 2)
    assert float(mean[0, 0]) == pytest.approx(6.0, abs=4 * 0.4 / 2)


def test_fisher_statistics_of_a_wide_net() -> None:
    """Karakida, Akaho, Amari (2019): tanh, variances 3 and .64, L = 3, T = 100: largest 253.97 at width 1000."""
    width, n = 400, 100
    largest, means = [], []
    for seed in range(3):
        g = torch.Generator().manual_seed(seed)
        sizes = [(width, width), (width, width), (width, 1)]
        layers: list[nn.Module] = []
        for n_in, n_out in sizes:
            linear = nn.Linear(n_in, n_out)
            with torch.no_grad():
                linear.weight.copy_(torch.randn(n_out, n_in, generator=g) * math.sqrt(3 / n_in))
                linear.bias.copy_(torch.randn(n_out, generator=g) * 0.8)
            layers += [linear, nn.Tanh()]
        net = nn.Sequential(*layers[:-1])
        X = torch.randn(n, width, generator=g)
        F = fisher(net, "gaussian", (X, torch.zeros(n, 1)), parameters="*.weight")
        largest.append(top_eigenvalues(F, 1, which="largest", missed=None).values[0])
        kernel = ntk(net, X, parameters="*.weight").to_dense()
        means.append(float(kernel.trace()) / n / F.shape[0])
    kappa_1, kappa_2 = 0.95552, 0.11862
    assert np.mean(largest) == pytest.approx(2 * (0.99 * kappa_2 + kappa_1 / n) * width, rel=0.08)
    assert np.mean(means) == pytest.approx(kappa_1 / width, rel=0.05)


def test_class_structure_adds_up_and_bounds_the_eigenvalues_from_below() -> None:
    model = model_case("fcn-none")
    X, y = data(40)
    G = gauss_newton(model, "cross_entropy", (X, y), batch_size=15)
    found = class_structure(G)
    J = dense_jacobian(model, X)
    p = model(X).detach().softmax(1)
    per_label = torch.einsum("ndp,nld->nlp", J, p[:, None, :] - torch.eye(3, dtype=torch.float64))
    weights = torch.zeros(3, 3, dtype=torch.float64)
    whole = torch.zeros(G.shape[0], G.shape[0], dtype=torch.float64)
    for c in range(3):
        own = y == c
        weights[c] = p[own].sum(0) / 40
        for label in set(range(3)) - {c}:
            mean = (p[own, label, None] * per_label[own, label]).sum(0) / p[own, label].sum()
            whole += weights[c, label] * torch.outer(mean, mean)
    np.testing.assert_allclose(found.weights, weights.numpy(), rtol=1e-9)
    exact = np.linalg.eigvalsh(whole.numpy())[::-1][:6]
    np.testing.assert_allclose(found.predicted, exact, atol=1e-9 * exact[0])
    assert found.class_eigenvalues.sum() + found.cross_eigenvalues.sum() == pytest.approx(exact.sum(), rel=1e-9)
    assert (found.predicted[:3] <= found.measured.values + found.measured.errors).all()
    assert (found.in_class_span <= found.in_pair_span + 1e-9).all()
    assert isinstance(found, Result)
    assert "class means" in found.summary()


def test_separated_classes_have_as_many_outliers_as_classes_less_one() -> None:
    """Softmax regression at zero on orthogonal class means: all but C - 1 groups of eigenvalues are noise."""
    generator = torch.Generator().manual_seed(0)
    C, d, n = 4, 12, 400
    y = torch.arange(n) % C
    X = 3 * torch.eye(d)[y] + 0.3 * torch.randn(n, d, generator=generator)
    net = nn.Linear(d, C, bias=False).double()
    nn.init.zeros_(net.weight)
    found = class_structure(gauss_newton(net, "cross_entropy", (X.double(), y)))
    assert found.explained.min() > 0.9
    assert found.in_pair_span.min() > 0.95


def test_a_class_without_items_is_left_out() -> None:
    net = model_case("fcn-none").float()
    X, y = data(20)
    found = class_structure(gauss_newton(net, "cross_entropy", (X.float(), y.where(y != 1, 0))))
    assert found.n_present == 2
    assert found.weights[1].tolist() == [0, 0, 0]
    assert len(found.measured.values) == 2
    assert np.isfinite(found.predicted).all()
    assert 0 < found.explained.min() <= found.explained.max() < 1.001
    assert "1 of them without items" in found.summary()
    with pytest.raises(DataError, match=r"labels of 0 to 2.*got -100"):
        class_structure(gauss_newton(net, "cross_entropy", (X.float(), y.where(y != 1, -100))))


def test_class_structure_needs_classes() -> None:
    sure = nn.Linear(2, 2, bias=False)
    nn.init.constant_(sure.weight[0].data, 1000.0)
    nn.init.constant_(sure.weight[1].data, -1000.0)
    with pytest.raises(DataError, match="not zero"):
        class_structure(gauss_newton(sure, "cross_entropy", (torch.ones(4, 2), torch.tensor([0, 0, 1, 1]))))
    X, y = data(classes=False)
    with pytest.raises(ConfigError, match="integer labels"):
        class_structure(gauss_newton(model_case("linear"), "mse", (X, y)))
    with pytest.raises(ConfigError, match="Gauss-Newton"):
        class_structure(hessian(model_case("linear"), "cross_entropy", data()))


def test_levels_of_the_bulk() -> None:
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    X = torch.randn(1200, 400, generator=generator, dtype=torch.float64)
    X[:, 300:] = 0  # a null space
    net = nn.Linear(400, 1, bias=False).double()
    found = bulk_levels(hessian(net, "mse", (X, torch.zeros(1200, 1, dtype=torch.float64)), batch_size=1200))
    assert (found.n_levels, found.n_null) == (300, 100)
    assert abs(found.z["GOE"]) < 3
    assert bulk_levels(rng.uniform(1, 2, 2000)).verdict == "levels are independent"
    assert bulk_levels(np.r_[np.zeros(50), rng.uniform(1, 2, 25)]).verdict == "undetermined"
    with pytest.raises(DataError, match="20 levels"):
        bulk_levels(np.zeros(100))


def test_noise_of_batches() -> None:
    """Linear regression on independent normal inputs with one strong direction: the noise of X^T X is known."""
    generator = torch.Generator().manual_seed(0)
    n, d, B = 4000, 40, 200
    scale = torch.ones(d)
    scale[0] = 4.0
    X = torch.randn(n, d, generator=generator) * scale
    truth = torch.randn(d, 1, generator=generator)
    y = X @ truth + torch.randn(n, 1, generator=generator)
    net = nn.Linear(d, 1, bias=False)
    H = hessian(net, "mse", (X, y), batch_size=1000)
    found = batch_noise(H, batch_size=B, k=1)
    # (2/B)(X^T X) of unit variance deviates from 2 by up to 2 (2 sqrt(d/B) + d/B), halves of pairs alike on both sides
    assert found.floor == pytest.approx(2 * 2 * math.sqrt(d / B), rel=0.25)
    assert found.above.tolist() == [True]
    assert found.spreads[0] == pytest.approx(2 * 16 * math.sqrt(2 / B), rel=0.7)
    assert found.learning_rate_bound == pytest.approx(2 / float(found.values[0]))
    C = gradient_covariance(net, "mse", (X, y))
    exact = float(C.to_dense().trace()) / float(C.gradient @ C.gradient)
    assert found.gradient_noise_scale == pytest.approx(exact, rel=0.3)
    curved = float((H.to_dense() @ C.to_dense()).trace()) / float(C.gradient @ (H @ C.gradient))
    assert found.curved_noise_scale == pytest.approx(curved, rel=0.4)
    assert isinstance(found, Result)
    low, high = found.gradient_noise_interval
    assert found.gradient_noise_scale is not None
    assert low < exact < high < 3 * low
    assert low < found.gradient_noise_scale < high
    assert f"{found.gradient_noise_scale:,.0f} samples (95 %: " in found.summary()
    assert "rate" not in found.summary()
    with pytest.raises(ConfigError, match="half of the samples"):
        batch_noise(H, batch_size=3000)
    with pytest.raises(ConfigError, match="reduction"):
        batch_noise(hessian(net, nn.MSELoss(reduction="sum"), (X, y)), batch_size=B)


def test_the_noise_of_a_batch_does_not_depend_on_how_many_eigenvalues_are_asked_for() -> None:
    """Two strong directions that a batch shows, and a bulk, of which more vectors taken out would lower the floor."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(1000, 30, generator=generator, dtype=torch.float64)
    X[:, 0] *= 8
    X[:, 1] *= 7
    H = hessian(nn.Linear(30, 1).double(), "mse", (X, torch.zeros(1000, 1, dtype=torch.float64)), batch_size=1000)
    few, many = (batch_noise(H, batch_size=50, k=k) for k in (3, 12))
    assert few.above.tolist() == [True, True, False]
    assert many.above.tolist() == [True, True] + 10 * [False]
    assert few.floor == pytest.approx(many.floor, rel=0.02)
    own = dataclasses.replace(few, spreads=few.values)
    assert not own.above.any()  # a value that scatters over batches by its own size


def test_the_interval_of_the_noise_scale_holds_the_truth() -> None:
    """Gradients (x - mu) of a mean: tr(C) / |mu|^2 = 20 / 0.2; open upward where mu is in the noise."""
    n, d = 400, 20
    inside, bounds = 0, []
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        X = torch.randn(n, d, generator=generator, dtype=torch.float64) + 0.1
        H = hessian(_Mean(d), lambda z, _: z, (X, torch.zeros(n)), batch_size=n)
        scale, curved = noise_scales(H, np.random.default_rng(seed))
        inside += scale.low <= 100 <= scale.high
        bounds.append(scale.low)
        assert curved.value == pytest.approx(scale.value, rel=1e-6)  # the Hessian is the identity
    assert inside >= 34  # of 95 %, less than this has a chance of 1 in 200
    assert np.median(bounds) > 40
    X = torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scale, _ = noise_scales(hessian(_Mean(d), lambda z, _: z, (X, torch.zeros(n))), np.random.default_rng(0))
    assert scale.high == math.inf


class _Mean(nn.Module):
    """Half the squared distance of each item to a point at zero."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.zeros(d, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.point).square().sum(1) / 2
