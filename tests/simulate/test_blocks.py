import numpy as np
import pytest

from sciml.errors import ConfigError
from sciml.simulate import ar1_noise, direction_tuning, evoked, low_rank_signal


def test_ar1_noise_follows_its_recursion():
    phi, sigma = np.array([0.5, -0.3, 0.5]), np.array([1.0, 2.0, 0.0])
    noise = ar1_noise(50, 3, phi=phi, sigma=sigma, rng=np.random.default_rng(3))
    eps = np.random.default_rng(3).standard_normal((50, 3))
    naive = np.empty((50, 3))
    naive[0] = sigma * eps[0]
    for t in range(1, 50):
        naive[t] = phi * naive[t - 1] + np.sqrt(1 - phi**2) * sigma * eps[t]
    np.testing.assert_allclose(noise, naive, rtol=1e-12, atol=1e-14)


def test_ar1_noise_is_stationary_from_the_first_sample():
    n = 20_000
    noise = ar1_noise(3, n, phi=0.95, sigma=2.0, rng=np.random.default_rng(0))
    # standard error of a sample variance: sigma^2 sqrt(2/n); 5 of them
    np.testing.assert_allclose(noise.var(axis=1), 4.0, rtol=5 * np.sqrt(2 / n))


def test_ar1_noise_refuses_a_negative_sigma():
    with pytest.raises(ConfigError, match="sigma >= 0"):
        ar1_noise(3, 2, sigma=-1.0, rng=np.random.default_rng(0))


def test_evoked_is_the_naive_sum_of_alpha_functions():
    time = np.arange(200) / 20
    onsets, gains = np.array([0.5, 0.53, 3.0]), np.array([[1.0, -1.0], [2.0, 0.5], [0.0, 3.0]])
    tau = np.array([0.2, 0.4])
    u = np.clip((time[:, None, None] - onsets[:, None]) / tau, 0, None)
    naive = (gains * u * np.exp(1 - u)).sum(axis=1)
    # the response is cut where it has fallen below 12 exp(-11) of its peak
    atol = np.abs(gains).sum() * 12 * np.exp(-11)
    np.testing.assert_allclose(evoked(time, onsets, gains=gains, time_constants=tau), naive, atol=atol)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8])
def test_harmonics_of_the_directions_are_orthogonal_and_sum_to_zero(n):
    tuning = direction_tuning(n, n + 2)
    harmonics = tuning[:, : n - 1]
    np.testing.assert_allclose(harmonics.sum(axis=0), 0, atol=1e-12)
    gram = harmonics.T @ harmonics
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-12)
    assert np.linalg.matrix_rank(harmonics) == n - 1
    assert tuning[:, n - 1].tolist() == [1.0] * n
    assert tuning[:, n:].tolist() == [[0.0, 0.0]] * n


def test_low_rank_signal_refuses_latents_that_depend_on_each_other():
    latents = np.repeat(np.arange(10.0)[:, None], 2, axis=1)
    with pytest.raises(ConfigError, match="linearly independent"):
        low_rank_signal(latents, n_channels=4, strengths=[1.0, 1.0], rng=np.random.default_rng(0))


def test_low_rank_signal_refuses_more_latents_than_channels():
    with pytest.raises(ConfigError, match="as many channels as latents"):
        low_rank_signal(np.eye(5)[:, :3], n_channels=2, strengths=[1.0, 1.0, 1.0], rng=np.random.default_rng(0))
