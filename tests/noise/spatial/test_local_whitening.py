"""Sparse whitening by neighbors against the exact covariance."""

import numpy as np
import pytest

from sciml.noise.spatial.correlation import LatticeCorrelation
from sciml.noise.spatial.whiten import local_whitening


def lattice(shape: tuple[int, ...], r: float) -> LatticeCorrelation:
    """Correlation r to the power of the lag along each axis."""
    lags = [step * np.eye(len(shape), dtype=np.int64)[d] for d in range(len(shape)) for step in range(1, 20)]
    coefficients = np.tile([2 * r**step / step for step in range(1, 20)], len(shape))
    return LatticeCorrelation(shape, np.array(lags), coefficients)


@pytest.mark.parametrize(
    ("shape", "r", "tolerance"), [((150,), 0.6, 1e-6), ((14, 15), 0.4, 0.01), ((6, 6, 6), 0.3, 0.05)]
)
@pytest.mark.parametrize("holes", [0.0, 0.2])
def test_what_is_whitened_is_white_and_comes_back(
    shape: tuple[int, ...], r: float, tolerance: float, holes: float
) -> None:
    rng = np.random.default_rng(0)
    places = np.indices(shape).reshape(len(shape), -1).T
    places = places[rng.random(len(places)) >= holes] + 3  # places are counted from anywhere
    scale = rng.uniform(0.5, 2, len(places))
    correlation = lattice(shape, r)
    whitening = local_whitening(correlation, places, scale)
    covariance = correlation.between(places) * scale[:, None] * scale
    whiten, color = whitening.whiten.toarray(), whitening.color.toarray()
    assert np.abs(np.linalg.eigvalsh(whiten.T @ covariance @ whiten) - 1).max() < tolerance
    assert np.abs(color.T @ color / np.outer(scale, scale) - correlation.between(places)).max() < max(tolerance, 1e-3)


def test_a_single_place_is_only_scaled() -> None:
    whitening = local_whitening(lattice((4, 4), 0.5), np.array([[2, 2]]), np.array([2.0]))
    assert whitening.whiten.toarray().tolist() == [[0.5]]
    assert np.allclose(whitening.color.toarray(), 2.0)
