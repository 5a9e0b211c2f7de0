"""Laws of products of random matrices against closed forms, published values, and matrices that are drawn."""

import math

import numpy as np
import pytest
from numpy.random import Generator
from scipy import integrate

from sciml.errors import ConfigError, NumericalError
from sciml.rmt.laws import MarchenkoPastur
from sciml.theory.meanfield import gaussian_moments
from sciml.theory.products import FussCatalan, JacobianLaw, jacobian_fluctuation

MOMENTS = [(2, [1, 3, 12]), (3, [1, 4, 22]), (5, [1, 6, 51]), (10, [1, 11, 176])]
EDGES = [(1, 4.0), (2, 6.75), (3, 9.481481), (5, 14.92992), (10, 28.531167)]
# 10, 50 and 90 % points as tabulated, from coarser quadrature than ours: see the test with the explicit density
DECILES = {1: (0.02472, 0.65275, 2.59456), 2: (0.001876, 0.318762, 3.190601), 3: (1.63e-4, 0.154949, 3.426975)}


@pytest.mark.parametrize(("depth", "moments"), MOMENTS)
def test_moments_of_deep_linear_nets(depth: int, moments: list[int]) -> None:
    law = FussCatalan(depth)
    assert [law.moment(k) for k in (1, 2, 3)] == moments
    u = np.linspace(0.0, law.support[0][1] ** (1 / (depth + 1)), 20_001)[1:-1]  # x = u^{L+1} takes the divergence away
    x = u ** (depth + 1)
    for k, moment in enumerate([1, *moments]):
        assert np.trapezoid(x**k * law.pdf(x) * (depth + 1) * u**depth, u) == pytest.approx(moment, rel=2e-3)


@pytest.mark.parametrize(("depth", "edge"), EDGES)
def test_upper_edges_of_deep_linear_nets(depth: int, edge: float) -> None:
    assert FussCatalan(depth).support[0][1] == pytest.approx(edge, abs=6e-7)


@pytest.mark.parametrize("depth", DECILES)
def test_quantiles_of_deep_linear_nets(depth: int) -> None:
    law = FussCatalan(depth)
    found = [float(law.ppf(p)) for p in (0.1, 0.5, 0.9)]
    for value, tabulated, error in zip(found, DECILES[depth], (1.5e-2, 2e-3, 4e-4), strict=True):
        assert value == pytest.approx(tabulated, rel=error)
    np.testing.assert_allclose(law.cdf(found), [0.1, 0.5, 0.9], atol=1e-12)


def test_a_single_factor_is_marchenko_pastur_and_two_have_their_explicit_density() -> None:
    x = np.geomspace(1e-6, 3.99, 30)
    np.testing.assert_allclose(FussCatalan(1).pdf(x), MarchenkoPastur(1.0).pdf(x), rtol=1e-9)
    np.testing.assert_allclose(FussCatalan(1).cdf(x), MarchenkoPastur(1.0).cdf(x), atol=1e-12)

    def density(y: float) -> float:  # Penson and Zyczkowski (2011), Eq. 10, at x = y³
        root = 27.0 + 3.0 * math.sqrt(81.0 - 12.0 * y**3)
        value = 2 ** (1 / 3) * root ** (2 / 3) - 6.0 * y
        return 3.0 * 2 ** (1 / 3) * math.sqrt(3.0) / (12.0 * math.pi) * value / root ** (1 / 3)

    for level in (0.1, 0.5, 0.9):
        x90 = float(FussCatalan(2).ppf(level))
        assert integrate.quad(density, 0.0, x90 ** (1 / 3), epsabs=1e-13)[0] == pytest.approx(level, abs=1e-10)


def test_deep_linear_laws_scale_and_reach_great_depth() -> None:
    one, scaled = FussCatalan(3), FussCatalan(3, sigma=1.3)
    assert float(scaled.ppf(0.4)) == pytest.approx(1.3**6 * float(one.ppf(0.4)), rel=1e-12)
    assert float(FussCatalan(200).cdf(FussCatalan(200).ppf(0.7))) == pytest.approx(0.7, abs=1e-10)


def draw(generator: Generator, n: int, strength: float, weights: str) -> np.ndarray:
    W = generator.standard_normal((n, n))
    if weights == "gaussian":
        return W * math.sqrt(strength / n)
    q, r = np.linalg.qr(W)
    return math.sqrt(strength) * q * np.sign(np.diag(r))


def slopes(generator: Generator, name: str, n: int, q: float) -> np.ndarray:
    h = math.sqrt(q) * generator.standard_normal(n)
    return np.where(h > 0, 1.0, 0.0) if name == "relu" else 1.0 - np.tanh(h) ** 2


NETS = [
    ("tanh", 4, 1.760955, 0.570048, "orthogonal", 1.3690),
    ("tanh", 16, 1.760955, 0.570048, "orthogonal", 5.476),
    ("tanh", 4, 1.760955, 0.570048, "gaussian", 5.369),
    ("relu", 4, 2.0, 1.0, "orthogonal", 4.0),
    ("relu", 4, 2.0, 1.0, "gaussian", 8.0),
]


@pytest.mark.parametrize(("name", "depth", "sigma_w2", "q", "weights", "variance"), NETS)
def test_variance_of_squared_singular_values(
    name: str, depth: int, sigma_w2: float, q: float, weights: str, variance: float
) -> None:
    law = JacobianLaw(name, depth, sigma_w2=sigma_w2, q=q, weights=weights)
    assert law.mean == pytest.approx(1.0, abs=5e-6)
    assert law.variance == pytest.approx(variance, abs=6e-4)


def test_nearly_linear_tanh_is_nearly_an_isometry() -> None:
    # σ_b² = 2.007e-5: μ₂/μ₁² = 1.00426
    law = JacobianLaw("tanh", 4, weights="orthogonal", **_critical(2.007e-5))
    assert gaussian_moments("tanh", float(law.q or 0)).slope_kurtosis == pytest.approx(1.00426, abs=6e-6)
    assert law.variance == pytest.approx(4 * 0.00426, abs=4 * 6e-6)
    assert JacobianLaw("tanh", 4, weights="gaussian", **_critical(2.007e-5)).variance == pytest.approx(4.017, abs=6e-4)
    assert 0.6 < float(law.ppf(0.01)) < float(law.ppf(0.99)) < 1.3
    assert law.support[0][1] < 1.5


def _critical(sigma_b2: float) -> dict[str, float]:
    from sciml.theory.meanfield import critical_point

    point = critical_point("tanh", sigma_b2=sigma_b2)
    return {"sigma_w2": point.sigma_w2, "q": point.q}


@pytest.mark.parametrize(("name", "depth", "sigma_w2", "q", "weights", "variance"), NETS)
def test_law_has_its_mass_its_moments_and_is_that_of_drawn_matrices(
    name: str, depth: int, sigma_w2: float, q: float, weights: str, variance: float
) -> None:
    law = JacobianLaw(name, depth, sigma_w2=sigma_w2, q=q, weights=weights)
    x = np.geomspace(1e-9, law.support[0][1], 100_001)[:-1]
    density = law.pdf(x)
    assert np.trapezoid(density * x**2, np.log(x)) == pytest.approx(law.mean, rel=1e-3)
    assert np.trapezoid(density * x**3, np.log(x)) == pytest.approx(law.variance + law.mean**2, rel=1e-3)
    n, generator, values = 150, np.random.default_rng(0), []
    for _ in range(4):
        J = np.eye(n)
        for _ in range(depth):
            J = slopes(generator, name, n, q)[:, None] * (draw(generator, n, sigma_w2, weights) @ J)
        values.append(np.linalg.svd(J, compute_uv=False) ** 2)
    sample = np.concatenate(values)
    # Levels repel: their empirical law is closer than 600 independent values would be (0.055).
    distance = float(np.abs(law.cdf(np.sort(sample)) - (np.arange(sample.size) + 0.5) / sample.size).max())
    if law.atom < 1e-3:
        assert distance < 0.03
    else:  # finite products have more zeros than the limit: rounding, and layers with more dead units than half
        upper = np.sort(sample)[sample.size * 3 // 4 :]
        assert float(np.abs(law.cdf(upper) - (0.75 + 0.25 * (np.arange(upper.size) + 0.5) / upper.size)).max()) < 0.03


def test_law_of_linear_gaussian_nets_is_fuss_catalan() -> None:
    law, exact = JacobianLaw("identity", 5), FussCatalan(5)
    x = exact.ppf(np.array([0.2, 0.4, 0.6, 0.8, 0.95]))
    np.testing.assert_allclose(law.pdf(x), exact.pdf(x), rtol=1e-3)
    np.testing.assert_allclose(law.cdf(x), exact.cdf(x), atol=1e-4)
    np.testing.assert_allclose(law.ppf(exact.cdf(x)), x, rtol=1e-3)
    assert law.support[0][1] == pytest.approx(exact.support[0][1], rel=1e-9)


def test_orthogonal_linear_net_is_an_isometry_times_its_gain() -> None:
    law = JacobianLaw("identity", 7, sigma_w2=1.21, q=1.0, weights="orthogonal")
    assert law.support[0] == pytest.approx((1.21**7, 1.21**7))
    assert (law.variance, float(law.cdf(1.9)), float(law.cdf(4.0))) == (0.0, 0.0, 1.0)
    with pytest.raises(NumericalError, match="single value"):
        law.pdf(1.0)


def test_relu_kills_half_of_the_directions_of_orthogonal_nets() -> None:
    law = JacobianLaw("relu", 3, weights="orthogonal")
    assert law.atom == pytest.approx(0.5)
    assert float(law.cdf(0.0)) == pytest.approx(0.5)
    assert float(law.ppf(0.3)) == 0.0
    single = JacobianLaw("relu", 1, weights="orthogonal")
    assert float(single.cdf(1.0)) == pytest.approx(0.5)
    assert float(single.cdf(2.1)) == pytest.approx(1.0)


SCATTER = [
    ("relu", "gaussian", 1 + 5 / 32),
    ("identity", "gaussian", 1 + 2 / 32),
    ("relu", "orthogonal", (1 + 5 / 32) / (1 + 2 / 32)),
    ("identity", "orthogonal", 1.0),
]


@pytest.mark.parametrize(("name", "weights", "factor"), SCATTER)
def test_lengths_scatter_as_hanin_says(name: str, weights: str, factor: float) -> None:
    sigma_w2 = 2.0 if name == "relu" else 1.0
    found = jacobian_fluctuation(name, 10, 32, sigma_w2=sigma_w2, q=1.0, weights=weights)
    assert 1 + found.variance == pytest.approx(factor**10, rel=1e-12)
    assert found.mean == pytest.approx(1.0)
    low, high = found.band()
    assert low <= found.typical <= high
    assert "typical" in found.summary()


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_scatter_of_jacobians_is_that_of_drawn_relu_nets(weights: str) -> None:
    n, depth, generator, lengths, traces = 32, 6, np.random.default_rng(0), [], []
    for _ in range(1200):
        h, J = generator.standard_normal(n), np.eye(n)
        for _ in range(depth):
            W = draw(generator, n, 2.0, weights)
            h, J = W @ h, W @ J
            J = (h > 0)[:, None] * J
            h = np.maximum(h, 0.0)
        lengths.append(np.sum(J[:, 0] ** 2))
        traces.append(np.sum(J**2) / n)
    found = jacobian_fluctuation("relu", depth, n, weights=weights)
    assert np.mean(lengths) == pytest.approx(1.0, abs=4 * math.sqrt(found.variance / 1200))
    assert np.var(lengths) == pytest.approx(found.variance, rel=0.35)  # heavy tails
    assert np.var(traces) / np.mean(traces) ** 2 == pytest.approx(found.trace_variance, rel=0.35)


def test_wrong_arguments_are_rejected() -> None:
    with pytest.raises(ConfigError, match="depth"):
        FussCatalan(0)
    with pytest.raises(ConfigError, match="weights among"):
        JacobianLaw("relu", 3, weights="uniform")
    with pytest.raises(ConfigError, match="together"):
        JacobianLaw("relu", 3, sigma_w2=2.0)
    with pytest.raises(ConfigError, match="depth"):
        jacobian_fluctuation("relu", 0, 32)
    with pytest.raises(ConfigError, match="probabilities"):
        FussCatalan(2).ppf(1.5)
