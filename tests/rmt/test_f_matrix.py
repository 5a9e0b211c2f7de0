"""F-matrices: the law of the largest root, the edge, and components, against simulated pairs of scatter matrices."""

import numpy as np
import pytest
import scipy.linalg

from sciml.errors import ConfigError
from sciml.rmt import edges
from sciml.rmt.f_matrix import edge, greatest_root, spike


def largest(rng: np.random.Generator, n: int, m: int, p: int, *, complex_data: bool) -> float:
    """Return the largest root of X^H X v = nu R^H R v for channels of one common covariance."""

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape) + (1j * rng.normal(size=shape) if complex_data else 0)

    mixing = normal(p, p)
    X, R = normal(n, p) @ mixing, normal(m, p) @ mixing
    return float(scipy.linalg.eigh(X.conj().T @ X, R.conj().T @ R, eigvals_only=True)[-1])


@pytest.mark.parametrize("complex_data", [False, True])
@pytest.mark.parametrize(("n", "m", "p"), [(200, 100, 16), (20, 90, 30)])
def test_false_alarms_whatever_the_covariance(n: int, m: int, p: int, complex_data: bool) -> None:
    rng, law = np.random.default_rng(1), greatest_root(p, m, n, complex_data=complex_data)
    roots = np.array([largest(rng, n, m, p, complex_data=complex_data) for _ in range(200)])
    p_values = law.p_value(roots / (1 + roots))
    # Of 200 draws, 5 % have a Monte-Carlo error of 1.5 %, a half one of 3.5 %.
    assert 0.01 <= np.mean(p_values < 0.05) <= 0.10
    assert 0.4 <= np.mean(p_values < 0.5) <= 0.65


def test_a_long_reference_gives_the_edge_of_marchenko_and_pastur() -> None:
    assert edge(0.25, 1e-12) == pytest.approx((1 + 0.5) ** 2, rel=1e-5)
    law = greatest_root(64, 10**7, 256)
    theta = law.threshold(0.5)
    white = edges.white(64, 256)
    # Both laws are right to order N^(-2/3) of the width.
    assert theta / (1 - theta) * 10**7 / 256 == pytest.approx(white.threshold(0.5), abs=0.1 * white.scale)


@pytest.mark.parametrize("strength", [3.0, 6.0, 20.0])
def test_a_component_is_inverted(strength: float) -> None:
    gamma, c = 0.25, 0.2
    assert spike(strength * (strength - 1 + gamma) / (strength - 1 - c * strength), gamma, c) == pytest.approx(strength)


def test_a_component_of_known_variance_is_found_where_the_formula_says() -> None:
    rng, n, m, p, variance = np.random.default_rng(0), 1600, 2000, 400, 6.0
    X, R = rng.normal(size=(n, p)), rng.normal(size=(m, p))
    X[:, 0] *= np.sqrt(variance)
    top = float(scipy.linalg.eigh(X.T @ X / n, R.T @ R / m, eigvals_only=True)[-1])
    # Its eigenvalue scatters by about sqrt(2 / n) of itself, more by the reference: 8 % at three standard deviations.
    assert float(spike(top, p / n, p / m)) == pytest.approx(variance, rel=0.12)
    assert float(spike(0.9 * edge(p / n, p / m), p / n, p / m)) == 1.0


def test_a_reference_that_is_too_short_is_refused_with_advice() -> None:
    with pytest.raises(ConfigError, match="longer reference or fewer channels"):
        greatest_root(64, 60, 1000)
