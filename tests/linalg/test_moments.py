"""Moments of blocks equal those of the whole, weighted as promised."""

import numpy as np
import pytest

from sciml.errors import ConfigError
from sciml.linalg import Moments


@pytest.fixture
def data() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(400, 5)) * [1, 2, 3, 4, 5] + 1e6


def test_moments_of_blocks_equal_those_of_the_whole(data: np.ndarray) -> None:
    result = Moments.of([data[:13], data[13:300], data[300:]])
    np.testing.assert_allclose(result.mean, data.mean(axis=0), rtol=1e-14)  # rounding of sums of 400
    np.testing.assert_allclose(result.variance, data.var(axis=0), rtol=1e-10)  # offset 1e6 sd costs 12 digits naively
    assert result.count.tolist() == [400] * 5


def test_moments_leave_missing_samples_out(data: np.ndarray) -> None:
    data[::3, 1] = np.nan
    result = Moments.of([data[:200], data[200:]])
    np.testing.assert_allclose(result.mean, np.nanmean(data, axis=0), rtol=1e-14)  # rounding of sums of 400
    np.testing.assert_allclose(result.variance, np.nanvar(data, axis=0), rtol=1e-10)
    assert result.count.tolist() == np.isfinite(data).sum(axis=0).tolist()


def test_constant_and_empty_features_are_recognized() -> None:
    data = np.random.default_rng(0).normal(size=(50, 3))
    data[:, 1], data[:, 2] = 0.1, np.nan
    result = Moments.of([data[:20], data[20:]])
    assert result.constant.tolist() == [False, True, True]
    np.testing.assert_array_equal(result.first, [data[0, 0], 0.1, np.nan])


@pytest.mark.parametrize("scale", [1e-21, 1.0, 1e21])
def test_moments_keep_every_scale(data: np.ndarray, scale: float) -> None:
    centered = data - data.mean(axis=0)
    np.testing.assert_allclose(Moments.of([centered * scale]).variance, centered.var(axis=0) * scale**2, rtol=1e-12)


@pytest.mark.parametrize("gram", [False, True])
@pytest.mark.parametrize("memory", [None, 30.0])
@pytest.mark.parametrize("complex_data", [False, True])
def test_blocks_give_the_weighted_scatter(gram: bool, memory: float | None, complex_data: bool) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(100, 4)) + 1e6
    if complex_data:
        values = values + 1j * rng.normal(size=(100, 4))
    moments = Moments(4, gram=gram, memory=memory)
    for part in np.split(values, [1, 40, 40, 77]):
        moments.add(part)
    weights = np.ones(100) if memory is None else np.exp(-np.arange(100)[::-1] / memory)
    mean = weights @ values / weights.sum()
    centered = values - mean
    scatter = (centered.conj().T * weights) @ centered
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-12)
    # An offset of 1e6 deviations takes six of sixteen digits off each deviation.
    np.testing.assert_allclose(moments.scatter, np.diagonal(scatter).real, rtol=1e-7)
    if moments.gram is not None:
        np.testing.assert_allclose(moments.gram, scatter, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(moments.n_effective, weights.sum() ** 2 / (weights**2).sum())
    np.testing.assert_allclose(moments.dof, weights.sum() - (weights**2).sum() / weights.sum())


def test_weights_of_missing_samples_are_left_out() -> None:
    values = np.random.default_rng(1).normal(size=(60, 2))
    values[40:, 1] = np.nan
    moments = Moments(2, memory=10.0)
    for part in np.split(values, [7, 30]):
        moments.add(part)
    weights = np.exp(-np.arange(60)[::-1] / 10)
    weights = np.stack([weights, weights * (np.arange(60) < 40)], axis=1)
    expected = (weights * np.nan_to_num(values)).sum(axis=0) / weights.sum(axis=0)
    np.testing.assert_allclose(moments.mean, expected, rtol=1e-12)


def test_a_memory_too_short_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least two samples"):
        Moments(3, memory=1)
