"""One correlation from windows of a grid that hold different signals."""

import numpy as np
import pytest
import scipy.ndimage

from sciml._typing import AnyArray
from sciml.noise.spatial.pooled import Window, pooled_correlation

SHAPE = (9, 9)
PLACES = np.indices(SHAPE).reshape(2, -1).T


def windows(weights: list[float], *, n: int = 400, strength: float = 0.0, count: int = 6) -> list[Window]:
    """Return windows of noise filtered along x, each with three signals of its own, and with unequal voxels."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        white = rng.normal(size=(n, 9, 9 + 8))
        noise = scipy.ndimage.convolve1d(white, weights, axis=2)[:, :, 4:-4].reshape(n, -1)
        signal = strength * rng.normal(size=(n, 3)) @ scipy.ndimage.gaussian_filter1d(rng.normal(size=(3, 81)), 1)
        scale = np.exp(0.3 * np.sin(PLACES.sum(axis=1) / 3))
        found.append(Window(covariance(scale * noise + signal), n - 1, PLACES, SHAPE))
    return found


def covariance(values: AnyArray) -> AnyArray:
    return np.cov(values.T)


@pytest.mark.parametrize("strength", [0.0, 1.0, 5.0])
def test_correlation_is_found_given_components_and_unequal_voxels(strength: float) -> None:
    found = pooled_correlation(windows([0.3, 1.0, 0.3], strength=strength)).correlation
    assert found is not None
    # of a filter (.3, 1, .3): .6 / 1.18 and .09 / 1.18; the standard error is that of 6 x 81 x 400 values, .003
    np.testing.assert_allclose(found.along(1)[:4], [1, 0.508, 0.076, 0], atol=0.02)
    np.testing.assert_allclose(found.along(0)[1:], 0, atol=0.02)


@pytest.mark.parametrize("strength", [0.0, 1.0, 5.0])
def test_white_noise_has_none(strength: float) -> None:
    assert pooled_correlation(windows([0.0, 1.0, 0.0], strength=strength)).correlation is None


def test_windows_with_voxels_left_out_say_the_same() -> None:
    rng = np.random.default_rng(1)
    part = [
        Window(each.covariance[np.ix_(kept, kept)], each.dof, PLACES[kept], SHAPE)
        for each in windows([0.3, 1.0, 0.3])
        for kept in [np.sort(rng.choice(81, 60, replace=False))]
    ]
    found = pooled_correlation(part).correlation
    assert found is not None
    np.testing.assert_allclose(found.along(1)[:3], [1, 0.508, 0.076], atol=0.03)


def test_signal_without_noise_has_none() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 81))
    assert pooled_correlation([Window(covariance(signal), 99, PLACES, SHAPE)]).correlation is None
