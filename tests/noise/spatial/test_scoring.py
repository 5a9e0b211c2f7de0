"""The fit of shared noise: unbiased, as exact as the data allow, beside components and for any choice of channels."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg

from sciml.noise.spatial.lattice import Lattice
from sciml.noise.spatial.order import chosen_lags, lags_within
from sciml.noise.spatial.scatter import Scatter
from sciml.noise.spatial.scoring import SharedNoise, first_guess, fit_shared_noise

T = 2000


def scatter_of(values: np.ndarray) -> Scatter:
    centered = values - values.mean(axis=0)
    dof = len(values) - 1
    covariance = centered.conj().T @ centered / dof
    return Scatter(covariance, None, np.zeros((len(covariance), 0)), dof, dof, np.iscomplexobj(values))


def line(n: int) -> np.ndarray:
    return np.arange(n)[:, None]


def exponential(places: np.ndarray, correlation: float) -> np.ndarray:
    return np.asarray(correlation ** np.abs(places[:, None] - places).sum(axis=2))


def noise(rng: np.random.Generator, covariance: np.ndarray, n: int = T) -> np.ndarray:
    return np.asarray(rng.normal(size=(n, len(covariance))) @ np.linalg.cholesky(covariance).T)


def log_likelihood(lattice: Lattice, found: SharedNoise, scatter: Scatter) -> float:
    whiten = found.whitening(lattice, scatter.null).whiten
    log_determinant = -2 * float(np.linalg.slogdet(whiten)[1])
    return -(log_determinant + float(np.trace(whiten.T @ scatter.covariance @ whiten))) * scatter.dof / 2


def test_the_fit_is_the_maximum_of_the_likelihood() -> None:
    rng, places = np.random.default_rng(0), line(24)
    lattice = Lattice(places, np.array([[1], [2]]))
    scatter = scatter_of(noise(rng, exponential(places, 0.5)) * np.exp(rng.normal(size=24)))
    found = fit_shared_noise(lattice, scatter, first_guess(scatter, 2))
    best = log_likelihood(lattice, found, scatter)
    for _ in range(10):
        other = SharedNoise(found.parameters + 0.02 * rng.normal(size=2), found.log_scale, found.spread, np.eye(2))
        assert log_likelihood(lattice, other, scatter) < best


def test_coefficients_scatter_as_their_information_says() -> None:
    # log C of correlation r^|lag| is 2 sum r^l cos(l k) / l: of 40 fits the squares are within 4 sd of a chi-square.
    places, correlation = line(32), 0.4
    lattice = Lattice(places, np.arange(1, 6)[:, None])
    true = 2 * correlation ** np.arange(1, 6) / np.arange(1, 6)
    squares = []
    for seed in range(40):
        scatter = scatter_of(noise(np.random.default_rng(seed), exponential(places, correlation), 500))
        found = fit_shared_noise(lattice, scatter, first_guess(scatter, 5))
        off = found.parameters - true
        squares.append(float(off @ found.information @ off))
    assert abs(np.mean(squares) - 5) < 4 * np.sqrt(2 * 5 / 40)


@pytest.mark.parametrize("kind", ["all", "a choice", "a hole", "complex", "unequal", "projected"])
def test_noise_is_white_after_it_was_taken_out(kind: str) -> None:
    rng, places = np.random.default_rng(1), np.indices((8, 9)).reshape(2, -1).T
    if kind == "a choice":
        places = places[np.sort(rng.permutation(72)[:45])]
    elif kind == "a hole":
        places = places[np.abs(places - [4, 4]).max(axis=1) > 1]
    covariance = exponential(places, 0.5)
    values = noise(rng, covariance)
    if kind == "complex":
        values = values + 1j * noise(rng, covariance)
    if kind == "unequal":
        values = values * np.exp(0.7 * rng.normal(size=len(places)))
    scatter = scatter_of(values)
    if kind == "projected":
        null = np.full((len(places), 1), len(places) ** -0.5)
        values = values - values.mean(axis=1, keepdims=True)
        scatter = replace(scatter_of(values), null=null)
    lattice = Lattice(places, lags_within((3, 3), 0))
    found = fit_shared_noise(lattice, scatter, first_guess(scatter, 6))
    whiten = found.whitening(lattice, scatter.null).whiten
    eigenvalues = scipy.linalg.eigvalsh(whiten.conj().T @ scatter.covariance @ whiten)
    n = len(eigenvalues)
    assert n == len(places) - (kind == "projected")
    # Of white noise the mean square of eigenvalues is 1 + N / T (real: N + 1), to a few over N T.
    expected = 1 + (n + (kind != "complex")) / (T - 1)
    assert np.mean(eigenvalues**2) / np.mean(eigenvalues) ** 2 == pytest.approx(expected, abs=0.002)


def test_equal_channels_stay_equal_and_unequal_ones_are_found() -> None:
    rng, places = np.random.default_rng(2), line(60)
    values, factors = noise(rng, exponential(places, 0.6), 600), np.exp(0.5 * rng.normal(size=60))
    lattice = Lattice(places, np.arange(1, 4)[:, None])
    equal, unequal = (scatter_of(each) for each in (values, values * factors))
    assert np.ptp(fit_shared_noise(lattice, equal, first_guess(equal, 3)).log_scale) == 0
    found = fit_shared_noise(lattice, unequal, first_guess(unequal, 3)).log_scale
    # What neighbors share tells their ratios better than their own variances do: sd 1 / sqrt(2 T) = .029.
    off = found - np.log(factors)
    assert np.std(off) < 0.029


def test_components_that_are_removed_are_no_noise() -> None:
    rng, places = np.random.default_rng(3), line(40)
    cell = np.where(np.abs(places[:, 0] - 20) < 5, 2.0, 0.0)
    values = noise(rng, exponential(places, 0.4), 1500) + rng.normal(size=(1500, 1)) * cell
    lattice, scatter = Lattice(places, np.arange(1, 4)[:, None]), scatter_of(values)
    beside, removed = first_guess(scatter, 3), None
    for _ in range(3):
        beside = fit_shared_noise(lattice, scatter, beside, removed=removed)
        whitening = beside.whitening(lattice, scatter.null)
        removed = whitening.removal(scatter.eigen(whitening.whiten, 1)[1], scatter.dof)
    assert lattice.tables(beside.parameters)[0][1] == pytest.approx(0.4, abs=0.02)
    assert np.exp(beside.log_scale).mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_white_noise_needs_no_lag_and_a_line_scan_those_of_its_axis(seed: int) -> None:
    rng, places = np.random.default_rng(seed), np.indices((9, 10)).reshape(2, -1).T
    assert len(chosen_lags(places, scatter_of(rng.normal(size=(400, 90)))).lattice.lags) == 0
    rows = np.kron(np.eye(9), exponential(line(10), 0.6))
    lags = chosen_lags(places, scatter_of(noise(rng, rows, 400))).lattice.lags
    assert len(lags) >= 2
    assert not lags[:, 0].any()


def test_rows_say_what_their_covariance_says() -> None:
    rng, places = np.random.default_rng(4), np.indices((8, 8)).reshape(2, -1).T
    values = noise(rng, exponential(places, 0.5), 40)
    values -= values.mean(axis=0)
    tall = scatter_of(values)
    wide = replace(tall, covariance=None, rows=values / np.sqrt(39))
    lattice = Lattice(places, lags_within((2, 2), 0))
    found = [fit_shared_noise(lattice, each, first_guess(each, 4)) for each in (tall, wide)]
    np.testing.assert_allclose(found[1].parameters, found[0].parameters, atol=1e-8)
    whitening = found[0].whitening(lattice, tall.null)
    (values_tall, u_tall), (values_wide, u_wide) = (each.eigen(whitening.whiten, 2) for each in (tall, wide))
    np.testing.assert_allclose(values_wide[:39], values_tall[:39], rtol=1e-8)
    np.testing.assert_allclose(np.abs(u_wide.T @ u_tall), np.eye(2), atol=1e-6)
    removed = whitening.removal(u_tall, 39)
    some = np.arange(10, 20)
    rest = (values - values @ removed.filters @ removed.maps.T)[:, some]
    np.testing.assert_allclose(wide.block(some, removed), rest.T @ rest / 39, atol=1e-10)


def test_blocks_of_neighbors_say_nearly_what_all_channels_do(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, places = np.random.default_rng(5), np.indices((14, 14)).reshape(2, -1).T
    scatter = scatter_of(noise(rng, exponential(places, 0.5), 1000) * np.exp(0.4 * rng.normal(size=196)))
    whole = Lattice(places, lags_within((2, 2), 0))
    at_once = fit_shared_noise(whole, scatter, first_guess(scatter, 4))
    monkeypatch.setattr("sciml.noise.spatial.lattice.LARGEST_BLOCK", 60)
    parted = Lattice(places, whole.lags)
    assert len(parted.blocks) == 4
    np.testing.assert_array_equal(np.sort(np.concatenate(parted.blocks)), np.arange(196))
    in_blocks = fit_shared_noise(parted, scatter, first_guess(scatter, 4))
    # Standard deviation of a coefficient sqrt(4 / (N T)) = .0045; blocks lose the pairs across their borders.
    np.testing.assert_allclose(in_blocks.parameters, at_once.parameters, atol=0.01)
    np.testing.assert_allclose(in_blocks.log_scale, at_once.log_scale, atol=0.03)


def test_noise_of_whole_rows_is_told_from_that_of_pixels() -> None:
    rng, places = np.random.default_rng(6), np.indices((12, 14)).reshape(2, -1).T
    rows = np.repeat(rng.normal(size=(500, 12)), 14, axis=1)
    found = chosen_lags(places, scatter_of(rng.normal(size=(500, 168)) + 0.5 * rows))
    assert found.lattice.lines == (1,)
    assert found.noise.parameters[-1] == pytest.approx(0.25, abs=0.03)
    table = found.lattice.tables(found.noise.parameters)[0].reshape(12, 14)
    np.testing.assert_allclose(table[0, 1:], 0.2, atol=0.03)
    np.testing.assert_allclose(table[1:], 0, atol=0.03)
