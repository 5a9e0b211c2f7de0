"""The spectra of noise from what time courses leave of it, against the exact mean of what they leave."""

import numpy as np
import pytest

from sciml.noise.matrix.noise_spectra import noise_spectra

T, N = 400, 40


def spectrum() -> np.ndarray:
    """Power of T dimensions, a hundred times stronger at the slow end."""
    power = 1 / (0.01 + np.arange(T) / T)
    return power / power.mean()


def remaining(time_courses: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Return the exact mean power in each dimension beside orthonormal time courses (T, k): the diagonal of P S P."""
    stay = np.eye(len(power)) - time_courses @ time_courses.T
    return stay**2 @ power


@pytest.mark.parametrize("k", [10, 60, 130])
def test_power_given_random_time_courses_is_restored(k: int) -> None:
    time_courses = np.linalg.qr(np.random.default_rng(k).normal(size=(T, k)))[0]
    power, removed_fraction = spectrum(), (time_courses**2).sum(axis=1)
    rest = np.repeat(remaining(time_courses, power)[:, None], N, axis=1)
    made = noise_spectra(rest, np.ones(N), np.ones(T), np.full(T, 1000), removed_fraction=removed_fraction)
    slow = slice(0, 20)  # what remains of weak frequencies is others'
    np.testing.assert_allclose((made.pooled / made.pooled.mean())[slow], power[slow], rtol=0.03)
    assert made.removed_power == pytest.approx(float(removed_fraction @ power / power.sum()), abs=0.005)
    stay = np.eye(T) - time_courses @ time_courses.T
    values = np.linalg.eigvalsh((stay * power) @ stay)
    exact = (values**2).sum() / values.sum() ** 2 - (power**2).sum() / power.sum() ** 2
    assert made.excess == pytest.approx(exact, rel=0.05)


def test_power_given_time_courses_of_one_band_is_restored() -> None:
    k, band = 20, slice(100, 150)
    time_courses = np.zeros((T, k))
    time_courses[band] = np.linalg.qr(np.random.default_rng(0).normal(size=(50, k)))[0]
    power = spectrum()
    rest = np.repeat(remaining(time_courses, power)[:, None], N, axis=1)
    made = noise_spectra(rest, np.ones(N), np.ones(T), np.full(T, 1000), removed_fraction=(time_courses**2).sum(axis=1))
    np.testing.assert_allclose((made.pooled / made.pooled.mean())[band], power[band], rtol=0.1)


def test_nothing_removed_leaves_the_spectra_alone() -> None:
    power = np.repeat(spectrum()[:, None], N, axis=1)
    made = noise_spectra(power, np.ones(N), np.ones(T), np.full(T, 1000), removed_fraction=np.zeros(T))
    np.testing.assert_allclose(made.pooled, spectrum(), rtol=1e-12)
    assert made.removed_power == pytest.approx(0, abs=1e-12)
    assert made.excess == pytest.approx(0, abs=1e-12)
