"""Thresholds without a p-value: the limit of white noise exactly, and what correlated noise does to each."""

import numpy as np
import pytest
import scipy.signal

from sciml.errors import ConfigError
from sciml.rmt.rank import bema, gavish_donoho, screenot, screenot_threshold
from sciml.rmt.shrink import hard_threshold
from sciml.rmt.spectrum import Spectrum


def eigenvalues(X):
    return np.linalg.svd(X, compute_uv=False) ** 2 / len(X)


def marchenko_pastur_nodes(beta, n=2000):
    """Singular values and weights that integrate the law: x = 1 + beta + 2 sqrt(beta) cos(angle)."""
    angle = np.pi * (np.arange(n) + 0.5) / n
    x = 1 + beta + 2 * np.sqrt(beta) * np.cos(angle)
    return np.sqrt(x), np.sin(angle) ** 2 / x


@pytest.mark.parametrize("beta", [0.01, 0.1, 0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("unit", [1e-21, 1.0, 1e21])
def test_screenot_of_white_noise_is_the_threshold_of_gavish_and_donoho(beta, unit):
    values, weights = marchenko_pastur_nodes(beta)
    assert screenot_threshold(unit * values, beta, weights=weights) == pytest.approx(
        unit * hard_threshold(beta), rel=1e-12
    )


@pytest.mark.parametrize("imputation", ["interpolate", "zero", "winsorize"])
def test_screenot_finds_the_rank_in_white_noise_however_it_fills(imputation):
    rng = np.random.default_rng(0)
    m, n = 100, 200
    for _ in range(5):
        U, V = (np.linalg.qr(rng.normal(size=(side, 3)))[0] for side in (n, m))
        X = (U * np.sqrt(n) * [6, 4, 2.5]) @ V.T + rng.normal(size=(n, m))
        assert screenot(Spectrum(eigenvalues(X), m, n), max_rank=10, imputation=imputation).rank == 3


def test_screenot_survives_noise_that_is_correlated_in_time_and_gavish_donoho_does_not():
    rng = np.random.default_rng(1)
    m, n = 100, 200
    ranks, others = [], []
    for _ in range(12):
        U, V = (np.linalg.qr(rng.normal(size=(side, 3)))[0] for side in (n, m))
        noise = scipy.signal.lfilter([np.sqrt(0.51)], [1, -0.7], rng.normal(size=(n + 50, m)), axis=0)[50:]
        values = eigenvalues((U * np.sqrt(n) * [6, 4, 2.5]) @ V.T + noise)
        ranks.append(screenot(Spectrum(values, m, n), max_rank=10).rank)
        others.append(gavish_donoho(Spectrum(values, m, n)).rank)
    # The reference: rank 3 in 48 of 60, 2 in 12.
    assert set(ranks) <= {2, 3}
    assert np.mean(np.array(ranks) == 3) > 0.5
    assert min(others) > 5


@pytest.mark.parametrize(("beta", "omega"), [(0.1, 1.6087715574), (0.5, 2.1711853485), (1.0, 2.8583624241)])
def test_gavish_donoho_without_sigma_is_the_reference_times_the_median(beta, omega):
    long = 200
    short = round(beta * long)
    values = np.random.default_rng(2).gamma(2.0, size=short)
    threshold = gavish_donoho(Spectrum(values, short, long)).threshold
    median = np.median(np.sqrt(values))  # of an even number of values, the root of the mean is not the mean of roots
    exact = np.sqrt(np.median(values))
    assert np.sqrt(threshold) == pytest.approx(omega * exact, rel=1e-9)
    assert exact == pytest.approx(median, rel=0.05)


def test_known_sigma_is_normalized_by_the_long_side():
    values = np.ones(20)
    tall = gavish_donoho(Spectrum(values, 20, 80), sigma=2.0).threshold
    wide = gavish_donoho(Spectrum(values, 80, 20), sigma=2.0).threshold
    assert tall * 80 == pytest.approx(wide * 20)
    assert tall == pytest.approx(4 * hard_threshold(0.25) ** 2)


def test_bema_sigma_is_that_of_the_noise_beside_signal():
    rng = np.random.default_rng(3)
    X = 2.0 * rng.normal(size=(400, 100)) + 6 * rng.normal(size=(400, 3)) @ rng.normal(size=(3, 100))
    found = bema(Spectrum(eigenvalues(X), 100, 400))
    assert found.rank == 3
    assert found.sigma == pytest.approx(2.0, rel=0.03)  # pooled error .5 %, and 3 % of the spectrum is signal


def test_what_cannot_be_asked_is_refused():
    values = np.linspace(2, 1, 20)
    with pytest.raises(ConfigError, match="leaves noise among 20"):
        screenot(Spectrum(values, 20, 50), max_rank=10)
    with pytest.raises(ConfigError, match="an imputation of"):
        screenot(Spectrum(values, 20, 50), imputation="mean")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="trimmed"):
        bema(Spectrum(values, 20, 50), trim=0.5)
    with pytest.raises(ConfigError, match="sigma"):
        gavish_donoho(Spectrum(values, 20, 50), sigma=0.0)
