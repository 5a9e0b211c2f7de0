"""Correlation on a grid from its log-spectrum, against exact ones."""

import numpy as np
import pytest

from sciml.noise.spatial.correlation import LatticeCorrelation


def exponential(r: float, n_lags: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Lags and coefficients of c(m) = r^m: log C(k) = const + 2 sum r^l cos(l k) / l."""
    lags = np.arange(1, n_lags + 1)
    return lags[:, None], 2 * r**lags / lags


def test_an_exponential_is_reproduced() -> None:
    lags, coefficients = exponential(0.6)
    correlation = LatticeCorrelation((24,), lags, coefficients)
    assert np.abs(correlation.along(0) - 0.6 ** np.arange(24)).max() < 1e-8


def test_a_plane_of_two_exponentials_is_their_product() -> None:
    (down, a), (across, b) = exponential(0.5), exponential(0.2)
    lags = np.concatenate([np.pad(down, ((0, 0), (0, 1))), np.pad(across, ((0, 0), (1, 0)))])
    correlation = LatticeCorrelation((5, 7), lags, np.concatenate([a, b]))
    expected = np.outer(0.5 ** np.arange(5), 0.2 ** np.arange(7))
    assert np.abs(correlation.table - expected).max() < 1e-8


@pytest.mark.parametrize("shape", [(9,), (4, 5), (3, 4, 2)])
def test_places_with_holes_have_the_correlations_of_their_lags(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    lags = np.eye(len(shape), dtype=np.int64)
    correlation = LatticeCorrelation(shape, lags, rng.normal(size=len(shape)))
    places = np.indices(shape).reshape(len(shape), -1).T
    places = places[rng.permutation(len(places))[: len(places) // 2]]
    expected = [[correlation.table[tuple(np.abs(a - b))] for a in places] for b in places]
    found = correlation.between(places)
    assert np.array_equal(found, expected)
    assert np.linalg.eigvalsh(found).min() > 0
