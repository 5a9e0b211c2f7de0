"""Surrogates keep what they promise, and the tests from them have their level."""

import numpy as np
import pytest
import scipy.signal

from sciml.errors import ConfigError, DataError
from sciml.rmt.rank import permute, phase_randomize, sign_flip, surrogate_test, surrogates


def heteroscedastic(rng, n=120, p=20):
    return np.linspace(1, 4, p) * np.linspace(1, 2, n)[:, None] * rng.normal(size=(n, p))


def colored(rng, n=150, p=16):
    """Each channel an AR(1) process of its own."""
    return np.stack(
        [scipy.signal.lfilter([1], [1, -phi], rng.normal(size=n + 200))[200:] for phi in np.linspace(0, 0.9, p)], axis=1
    )


@pytest.mark.parametrize("n", [31, 32])
@pytest.mark.parametrize("complex_data", [False, True])
def test_phase_surrogates_keep_every_power_spectrum_and_are_all_different(n, complex_data):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) + (1j * rng.normal(size=(n, 3)) if complex_data else 0) + 5.0
    drawn = phase_randomize(X, n_draws=4, rng=rng)
    assert drawn.shape == (4, n, 3)
    assert np.iscomplexobj(drawn) == complex_data
    expected = np.broadcast_to(np.abs(np.fft.fft(X, axis=0)), drawn.shape)
    np.testing.assert_allclose(np.abs(np.fft.fft(drawn, axis=1)), expected, atol=1e-10)
    np.testing.assert_allclose(drawn.mean(axis=1), np.broadcast_to(X.mean(axis=0), (4, 3)), atol=1e-12)
    assert np.abs(drawn[0] - drawn[1]).max() > 0.1


def test_sign_flips_keep_sizes_and_permutations_keep_values():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(20, 4))
    np.testing.assert_array_equal(np.abs(sign_flip(X, n_draws=3, rng=rng)), np.broadcast_to(np.abs(X), (3, 20, 4)))
    np.testing.assert_array_equal(
        np.sort(permute(X, n_draws=3, rng=rng), axis=1), np.broadcast_to(np.sort(X, axis=0), (3, 20, 4))
    )


@pytest.mark.parametrize(("kind", "noise"), [("sign_flip", heteroscedastic), ("phase", colored)])
@pytest.mark.parametrize("spikes", [0, 1])
def test_false_alarms_are_at_the_level_with_and_without_a_component_removed(kind, noise, spikes):
    n_runs, over, missed = 60, 0, 0
    for seed in range(n_runs):
        rng = np.random.default_rng(seed)
        X = noise(rng)
        X = X + spikes * 6 * np.outer(rng.normal(size=len(X)), rng.normal(size=X.shape[1]))
        rank = surrogate_test(X, kind=kind, rng=rng, n_draws=39, max_rank=spikes + 1).rank
        over, missed = over + (rank > spikes), missed + (rank < spikes)
    assert over / n_runs < 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_runs)
    assert missed == 0


def test_surrogates_that_break_correlation_in_time_take_it_for_signal():
    ranks = [
        surrogate_test(colored(rng), kind=kind, rng=rng, n_draws=19, max_rank=1).rank
        for kind in ("sign_flip", "permutation")
        for rng in map(np.random.default_rng, range(10))
    ]
    assert np.mean(ranks) > 0.5


def test_p_values_are_never_below_their_resolution_and_extrapolation_goes_on():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(100, 10)) + 3 * np.outer(rng.normal(size=100), np.ones(10))
    test = surrogate_test(X, kind="sign_flip", rng=rng, n_draws=19, max_rank=1)
    assert test.p_values[0] == test.resolution == 1 / 20
    assert test.extrapolated[0] < 1e-6
    assert test.rank == 1  # alpha equals the resolution: attained
    with pytest.raises(ConfigError, match="draw more, or extrapolate"):
        surrogate_test(X, kind="sign_flip", rng=rng, n_draws=18)
    far = surrogate_test(X, kind="sign_flip", rng=rng, n_draws=18, alpha=1e-5, max_rank=1, extrapolate=True)
    assert far.rank == 1


def test_extrapolated_p_values_of_white_noise_are_uniform():
    tails = []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        test = surrogate_test(rng.normal(size=(80, 16)), kind="sign_flip", rng=rng, n_draws=39, max_rank=1)
        tails.append(test.extrapolated[0])
    deviation = np.abs(np.sort(tails) - (np.arange(80) + 0.5) / 80).max()
    assert deviation < 1.95 / np.sqrt(80)  # Kolmogorov-Smirnov, level .001


@pytest.mark.parametrize("kind", ["sign_flip", "phase", "permutation"])
def test_batches_units_and_wide_data_change_nothing_that_matters(kind, monkeypatch):
    X = heteroscedastic(np.random.default_rng(3), 40, 12)
    X += 4 * np.outer(np.sin(np.arange(40)), np.ones(12))
    one = surrogate_test(X, kind=kind, rng=np.random.default_rng(0), n_draws=39)
    for scale in (1e-21, 1e21):
        scaled = surrogate_test(X * scale, kind=kind, rng=np.random.default_rng(0), n_draws=39)
        np.testing.assert_array_equal(scaled.p_values, one.p_values)
        np.testing.assert_allclose(scaled.eigenvalues, one.eigenvalues * scale**2, rtol=1e-9)
    assert surrogate_test(X.T, kind="sign_flip", rng=np.random.default_rng(0), n_draws=39).rank >= 1
    monkeypatch.setattr(surrogates, "BATCH_BYTES", 1)
    small = surrogate_test(X, kind=kind, rng=np.random.default_rng(0), n_draws=39)
    assert small.rank == one.rank


def test_a_constant_channel_is_no_obstacle_and_missing_values_are_refused():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(50, 8))
    X[:, 2] = 0.0
    assert surrogate_test(X, kind="phase", rng=rng, n_draws=19, max_rank=1).n_draws == 19
    X[3, 3] = np.nan
    with pytest.raises(DataError, match="finite"):
        surrogate_test(X, kind="phase", rng=rng)
    with pytest.raises(DataError, match="only zeros"):
        surrogate_test(np.zeros((5, 4)), kind="phase", rng=rng)
    with pytest.raises(ConfigError, match="of kind"):
        surrogate_test(np.ones((5, 4)), kind="shuffle", rng=rng)  # type: ignore[arg-type]
