"""Eigenvalues of the Fisher information against the table, a naive matrix and drawn nets; scans over sizes."""

import math

import numpy as np
import pytest

from sciml.errors import ConfigError, NumericalError
from sciml.theory.fisher import fisher_statistics, sample_fisher_eigenvalues
from sciml.theory.scan import size_scan

TABLE = [  # activation, σ_w², σ_b², κ₁, κ₂, mean, second moment, largest
    ("tanh", 3.0, 0.64, 0.95552, 0.11862, 9.56e-4, 0.046118, 253.97),
    ("relu", 2.0, 0.1, 1.57500, 0.40149, 1.575e-3, 0.368784, 826.46),
    ("tanh", 1.0, 0.0, 0.39152, 0.0, 3.92e-4, 0.003066, None),
]


@pytest.mark.parametrize(("activation", "w", "b", "kappa_1", "kappa_2", "mean", "second", "largest"), TABLE)
def test_statistics_are_the_tabulated_ones(
    activation: str, w: float, b: float, kappa_1: float, kappa_2: float, mean: float, second: float, largest: float
) -> None:
    found = fisher_statistics(activation, depth=3, width=1000, n_inputs=100, sigma_w2=w, sigma_b2=b)
    assert found.kappa_1 == pytest.approx(kappa_1, abs=6e-6)
    assert found.kappa_2 == pytest.approx(kappa_2, abs=6e-6)
    assert found.mean == pytest.approx(mean, abs=6e-7)
    assert found.second_moment == pytest.approx(second, abs=6e-7)
    if largest is None:
        assert found.largest is None
        assert found.degeneracy is None
        assert "edge of a bulk" in found.summary()
    else:
        assert found.largest == pytest.approx(largest, abs=6e-3)
        assert found.largest_learning_rate == pytest.approx(2 / largest, rel=1e-4)


def test_drawn_eigenvalues_are_those_of_the_naive_matrix() -> None:
    """The same draws, gradients by differences of the parameters one by one."""
    depth, width, n_inputs, n_outputs = 3, 4, 3, 2
    values = sample_fisher_eigenvalues(
        "tanh", depth=depth, width=width, n_inputs=n_inputs, n_outputs=n_outputs, sigma_w2=2.0, sigma_b2=0.5,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    sizes = [width] * depth + [n_outputs]
    weights = [rng.normal(size=(sizes[k + 1], sizes[k])) * math.sqrt(2.0 / sizes[k]) for k in range(depth)]
    X = rng.normal(size=(n_inputs, width))
    biases = [math.sqrt(0.5) * rng.normal(size=len(W)) for W in weights]
    start = np.concatenate([each.ravel() for each in (*weights, *biases)])

    def outputs(theta: np.ndarray) -> np.ndarray:
        signal, at, shift = X, 0, sum(W.size for W in weights)
        for k, W in enumerate(weights):
            used, bias = theta[at : at + W.size].reshape(W.shape), theta[shift : shift + len(W)]
            at, shift = at + W.size, shift + len(W)
            h = signal @ used.T + bias
            signal = np.tanh(h) if k < depth - 1 else h
        return signal.ravel()

    step = 1e-5
    J = np.stack([(outputs(start + step * e) - outputs(start - step * e)) / 2 / step for e in np.eye(len(start))])
    expected = np.linalg.eigvalsh(J @ J.T / n_inputs)[-n_inputs * n_outputs :]
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("activation", "w", "b"), [("tanh", 3.0, 0.64), ("relu", 2.0, 0.1), ("gelu", 2.0, 0.2)])
def test_drawn_nets_have_these_statistics(activation: str, w: float, b: float) -> None:
    options = {"depth": 3, "width": 300, "n_inputs": 15, "sigma_w2": w, "sigma_b2": b}
    theory = fisher_statistics(activation, **options)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    drawn = [sample_fisher_eigenvalues(activation, rng=rng, **options) for _ in range(40)]  # type: ignore[arg-type]
    n = theory.n_parameters
    found = np.array([[v.sum() / n, np.square(v).sum() / n, v[-1]] for v in drawn])
    known = np.array([theory.mean, theory.second_moment, theory.largest])
    error = found.std(axis=0, ddof=1) / math.sqrt(len(found))
    # beyond the standard error: corrections of order T / M = 0.05 in the second moment and the largest
    assert (np.abs(found.mean(axis=0) - known) < 4 * error + [0.01, 0.06, 0.05] * known).all()


def test_several_outputs_split_the_largest_eigenvalue() -> None:
    options = {"depth": 3, "width": 300, "n_inputs": 15, "n_outputs": 3, "sigma_w2": 3.0, "sigma_b2": 0.64}
    theory = fisher_statistics("tanh", **options)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    drawn = np.stack([sample_fisher_eigenvalues("tanh", rng=rng, **options) for _ in range(20)])  # type: ignore[arg-type]
    assert drawn[:, -3:].mean() == pytest.approx(theory.largest, rel=0.08)
    assert drawn[:, -4].mean() < 0.6 * drawn[:, -3].mean()
    assert drawn.sum(axis=1).mean() / theory.n_parameters == pytest.approx(theory.mean, rel=0.03)


def test_eigenvalues_degenerate_with_width_as_theory_says() -> None:
    options = {"depth": 3, "n_inputs": 20, "sigma_w2": 2.0, "sigma_b2": 0.1}

    def largest(width: int, rng: np.random.Generator) -> float:
        return float(sample_fisher_eigenvalues("relu", width=width, rng=rng, **options)[-1])  # type: ignore[arg-type]

    def theory(width: int) -> float:
        return fisher_statistics("relu", width=width, **options).largest or 0.0  # type: ignore[arg-type]

    scan = size_scan(largest, [64, 128, 256], n_draws=20, rng=np.random.default_rng(0), expected=1.0, theory=theory)
    assert abs(scan.exponent - 1.0) < 4 * scan.exponent_error < 0.3
    assert scan.predicted is not None
    assert abs(scan.values[-1] / scan.predicted[-1] - 1) < 0.1
    assert "standard errors" in scan.summary()


def test_depth_raises_the_largest_eigenvalue_linearly_at_criticality() -> None:
    found = [
        fisher_statistics("relu", depth=L, width=1000, n_inputs=100, sigma_w2=2.0).largest or 0.0 for L in (3, 5, 9)
    ]
    kappa = [fisher_statistics("relu", depth=L, width=1000, n_inputs=100, sigma_w2=2.0).kappa_1 for L in (3, 5, 9)]
    np.testing.assert_allclose(np.array(kappa) * (np.array([3, 5, 9]) - 1), [3.0, 5.0, 9.0], rtol=1e-12)
    assert found[0] < found[1] < found[2]


def test_a_scan_recovers_an_exponent_with_its_error() -> None:
    rng = np.random.default_rng(0)
    deviations: list[float] = []
    for _ in range(200):
        scan = size_scan(
            lambda n, rng: 3.0 * n**-0.7 * (1 + 0.2 * rng.normal()),
            [10, 20, 40, 80],
            n_draws=20,
            rng=rng,
            expected=-0.7,
        )
        assert scan.deviation is not None
        deviations.append(scan.deviation)
        assert scan.amplitude == pytest.approx(3.0, rel=0.6)
    # standard normal, somewhat wider for errors that are estimated from 20 draws: 200 of them
    assert np.std(deviations) == pytest.approx(1.0, abs=0.25)
    assert abs(np.mean(deviations)) < 4 / math.sqrt(200)


def test_what_is_no_power_law_is_said() -> None:
    scan = size_scan(
        lambda n, rng: math.exp(-n / 20) * (1 + 0.01 * rng.normal()), [10, 20, 40, 80], rng=np.random.default_rng(0)
    )
    assert scan.p_value is not None
    assert scan.p_value < 0.01
    assert "no power law" in scan.summary()
    assert size_scan(lambda n, _: float(n), [2, 4, 8], rng=np.random.default_rng(0)).exponent == pytest.approx(1.0)


def test_settings_that_cannot_be_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="depth >= 2"):
        fisher_statistics("relu", depth=1, width=10, n_inputs=5, sigma_w2=2.0)
    with pytest.raises(ConfigError, match="sigma_w2 > 0"):
        sample_fisher_eigenvalues("relu", depth=2, width=10, n_inputs=5, sigma_w2=0.0, rng=rng)
    with pytest.raises(ConfigError, match="ascending sizes"):
        size_scan(lambda n, _: float(n), [10], rng=rng)
    with pytest.raises(NumericalError, match="positive means"):
        size_scan(lambda n, _: -float(n), [10, 20], rng=rng)
