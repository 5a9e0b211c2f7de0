"""Correlations of a lattice against the plain sums of their definition."""

import numpy as np
import pytest

from sciml.noise.spatial.correlation import LatticeCorrelation
from sciml.noise.spatial.lattice import Lattice

SHAPES: list[tuple[tuple[int, ...], list[tuple[int, ...]]]] = [
    ((12,), [(1,), (3,)]),
    ((6, 5), [(0, 1), (2, 0), (1, 1)]),
    ((3, 4, 2), [(0, 1, 0), (1, 0, 1)]),
    ((7, 1), [(1, 0)]),
]


def lattice_of(shape: tuple[int, ...], lags: list[tuple[int, ...]]) -> Lattice:
    places = np.indices(shape).reshape(len(shape), -1).T
    some = np.random.default_rng(0).permutation(len(places))[: max(len(places) * 3 // 4, 6)]
    return Lattice(places[np.sort(some)], np.array(lags))


def coefficients(lattice: Lattice) -> np.ndarray:
    return np.asarray(0.6 / (1 + np.arange(len(lattice.lags))))


@pytest.mark.parametrize(("shape", "lags"), SHAPES)
def test_the_correlation_is_that_of_the_cosine_spectrum(shape: tuple[int, ...], lags: list[tuple[int, ...]]) -> None:
    lattice = lattice_of(shape, lags)
    a = coefficients(lattice)
    found = np.take(lattice.tables(a)[0], lattice.pairs)
    known = LatticeCorrelation(shape, lattice.lags, a).between(lattice.places)
    np.testing.assert_allclose(found, known, atol=1e-9)


@pytest.mark.parametrize(("shape", "lags"), SHAPES)
def test_slopes_are_the_derivatives_of_the_covariance(shape: tuple[int, ...], lags: list[tuple[int, ...]]) -> None:
    lattice, step = lattice_of(shape, lags), 1e-6
    a = coefficients(lattice)
    table, slopes = lattice.tables(a)
    np.testing.assert_allclose(slopes[0], table)
    for i, slope in enumerate(slopes[1:]):
        moved = lattice.tables(a + step * np.eye(len(a))[i])[0]
        # Tables are correlations; the derivative of the variance, the slope at no lag, is divided out.
        np.testing.assert_allclose((moved - table) / step, slope - table * slope[0], atol=1e-5)


def test_sums_run_over_the_pairs_of_each_lag() -> None:
    lattice = lattice_of((5, 4), [(1, 0)])
    matrix = np.random.default_rng(1).normal(size=(len(lattice.places),) * 2)
    expected = np.zeros(lattice.extent)
    for i, one in enumerate(lattice.places):
        for j, other in enumerate(lattice.places):
            expected[tuple(np.abs(one - other))] += matrix[i, j]
    np.testing.assert_allclose(lattice.sums(matrix).reshape(lattice.extent), expected, atol=1e-12)


def test_slopes_along_lines_are_the_derivatives_of_the_covariance() -> None:
    lattice = Lattice(np.indices((5, 6)).reshape(2, -1).T, np.array([[0, 1]]), (0, 1))
    a, step = np.array([0.4, 0.3, 0.2]), 1e-6
    table, slopes = lattice.tables(a)
    assert table[0] == pytest.approx(1)
    for i, slope in enumerate(slopes[1:]):
        moved = lattice.tables(a + step * np.eye(3)[i])[0]
        np.testing.assert_allclose((moved - table) / step, slope - table * slope[0], atol=1e-5)
