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


@pytest.mark.parametrize("dtype", [float, complex])
def test_covariance_of_blocks_equals_that_of_the_whole(dtype: type) -> None:
    rng = np.random.default_rng(1)
    data = rng.normal(size=(60, 4)) + (1j * rng.normal(size=(60, 4)) if dtype is complex else 0)
    whole = data.conj().T @ data
    np.testing.assert_allclose(linalg.covariance([data[:7], data[7:]], 4), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [64, 65])
@pytest.mark.parametrize("dtype", [float, complex])
def test_pooled_spectrum_equals_the_plain_periodogram_average(n: int, dtype: type) -> None:
    rng = np.random.default_rng(2)
    data = rng.normal(size=(n, 6)) + (1j * rng.normal(size=(n, 6)) if dtype is complex else 0)
    naive = (np.abs(np.fft.fft(data, axis=0)) ** 2).mean(axis=1) / n
    np.testing.assert_allclose(linalg.pooled_spectrum([data], np.zeros((6, 0))).values, naive, rtol=1e-12)
    assert linalg.pooled_spectrum([data], np.zeros((6, 0))).values.mean() == pytest.approx((np.abs(data) ** 2).mean())


def test_pooled_spectrum_of_what_a_basis_leaves_is_that_of_the_noise() -> None:
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.normal(size=(30, 2)))[0]
    noise = rng.normal(size=(4000, 30))
    signal = 100 * np.sin(np.arange(4000) / 50)[:, None] * basis.sum(axis=1)
    spectrum = linalg.pooled_spectrum([noise + signal], basis).values
    assert spectrum.mean() == pytest.approx(1.0, abs=5 * np.sqrt(2 / (4000 * 28)))


def test_runs_of_different_length_add_their_own_values() -> None:
    rng = np.random.default_rng(5)
    runs = [rng.normal(size=(n, 3)) for n in (20, 50, 20)]
    pooled = linalg.pooled_spectrum(runs, np.zeros((3, 0)))
    values = pooled.values
    assert (len(values), pooled.n_grid) == (90, 50)
    assert values.mean() == pytest.approx(np.concatenate(runs).var() + np.concatenate(runs).mean() ** 2, rel=0.02)
    np.testing.assert_allclose(pooled.grid, linalg.pooled_spectrum([runs[1]], np.zeros((3, 0))).values)
