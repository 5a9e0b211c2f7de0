"""The sequential test of white noise: its size, what it finds, and what it does not depend on."""

import numpy as np
import pytest

from sciml.rmt.rank import white_test

SHAPES = [(40, 200), (128, 640), (300, 100)]


def eigenvalues(X: np.ndarray) -> np.ndarray:
    return np.linalg.svd(X, compute_uv=False) ** 2 / len(X)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("complex_data", [False, True])
def test_pure_noise_has_a_component_at_the_nominal_rate(shape: tuple[int, int], complex_data: bool) -> None:
    p, n = shape
    draws, found = 300, 0
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n, p)) + (1j * rng.normal(size=(n, p)) if complex_data else 0)
        found += white_test(eigenvalues(X), p, n, complex_data=complex_data).rank > 0
    # Three binomial standard errors of 1.3 % around the nominal 5 %.
    assert abs(found / draws - 0.05) < 3 * np.sqrt(0.05 * 0.95 / draws)


@pytest.mark.parametrize("rank", [0, 1, 5, 20])
@pytest.mark.parametrize("scale", [1e-21, 1.0, 1e21])
def test_rank_and_sigma_of_strong_equal_components(rank: int, scale: float) -> None:
    rng = np.random.default_rng(rank)
    p, n = 60, 600
    signal = np.linalg.qr(rng.normal(size=(n, p)))[0][:, :rank] @ np.linalg.qr(rng.normal(size=(p, p)))[0][:rank] * 60
    test = white_test(eigenvalues(scale * (rng.normal(size=(n, p)) + signal)), p, n)
    assert (test.rank, test.converged) == (rank, True)
    assert test.sigma == pytest.approx(scale, abs=4 * test.standard_error)


def test_transpose_gives_the_same_test() -> None:
    X = np.random.default_rng(0).normal(size=(200, 70))
    X[:, 0] += 3 * np.sin(np.arange(200))
    plain, turned = white_test(eigenvalues(X), 70, 200), white_test(eigenvalues(X.T), 200, 70)
    np.testing.assert_allclose(plain.p_values, turned.p_values, rtol=1e-6)
    assert plain.sigma == pytest.approx(turned.sigma, rel=1e-12)
    assert plain.law.threshold(0.05) * 200 == pytest.approx(turned.law.threshold(0.05) * 70)


def test_p_values_never_fall() -> None:
    X = np.random.default_rng(1).normal(size=(400, 50)) * np.linspace(1, 2, 50)
    assert (np.diff(white_test(eigenvalues(X), 50, 400).p_values) >= 0).all()


def test_a_spectrum_without_a_bulk_falls_back_to_all_entries() -> None:
    X = np.random.default_rng(2).normal(size=(500, 40)) * np.geomspace(1, 1e3, 40)
    test = white_test(eigenvalues(X), 40, 500)
    assert not test.converged
    assert test.sigma == pytest.approx(np.sqrt((X**2).mean()), rel=1e-12)
