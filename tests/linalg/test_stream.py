"""Sums over blocks equal sums over the whole."""

import numpy as np
import pytest

from sciml import linalg


@pytest.fixture
def data() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(400, 5)) * [1, 2, 3, 4, 5] + 1e6


def test_moments_of_blocks_equal_those_of_the_whole(data: np.ndarray) -> None:
    result = linalg.moments([data[:13], data[13:300], data[300:]])
    np.testing.assert_allclose(result.mean, data.mean(axis=0), rtol=1e-14)  # rounding of sums of 400
    np.testing.assert_allclose(result.variance, data.var(axis=0), rtol=1e-10)  # offset 1e6 sd costs 12 digits naively
    assert result.count.tolist() == [400] * 5


def test_moments_leave_missing_samples_out(data: np.ndarray) -> None:
    data[::3, 1] = np.nan
    result = linalg.moments([data[:200], data[200:]])
    np.testing.assert_allclose(result.mean, np.nanmean(data, axis=0), rtol=1e-14)  # rounding of sums of 400
    np.testing.assert_allclose(result.variance, np.nanvar(data, axis=0), rtol=1e-10)


def test_constant_and_empty_features_are_recognized() -> None:
    data = np.random.default_rng(0).normal(size=(50, 3))
    data[:, 1], data[:, 2] = 0.1, np.nan
    assert linalg.moments([data[:20], data[20:]]).constant.tolist() == [False, True, True]


@pytest.mark.parametrize("scale", [1e-21, 1.0, 1e21])
def test_moments_keep_every_scale(data: np.ndarray, scale: float) -> None:
    centered = data - data.mean(axis=0)
    np.testing.assert_allclose(linalg.moments([centered * scale]).variance, centered.var(axis=0) * scale**2, rtol=1e-12)
