"""What the spectrum of a time course does to its component, against simulation."""

import numpy as np
import pytest

from sciml.noise.floor.time_courses import time_course_effects
from sciml.rmt.variance_profile import VarianceProfile

T, N = 300, 80


def spectrum() -> np.ndarray:
    """Power of AR(1) noise of phi .9 at T frequencies, of mean one."""
    power = 0.19 / np.abs(1 - 0.9 * np.exp(-1j * np.pi * np.arange(1, T + 1) / (T + 1))) ** 2
    return power / power.mean()


def simulated(own_power: np.ndarray, strength: float, draws: int = 60) -> tuple[float, np.ndarray, float, float]:
    """Return means of the outlying eigenvalue, the power of the time course found, and the overlaps."""
    rng, found = np.random.default_rng(0), []
    for _ in range(draws):
        time_course, loadings = np.sqrt(own_power) * rng.choice([-1.0, 1.0], T), rng.normal(size=N)
        loadings /= np.linalg.norm(loadings)
        noise = np.sqrt(spectrum())[:, None] * rng.normal(size=(T, N)) / np.sqrt(T)
        left, values, right = np.linalg.svd(noise + strength * np.outer(time_course, loadings), full_matrices=False)
        found.append((values[0] ** 2, left[:, 0] ** 2, (left[:, 0] @ time_course) ** 2, (right[0] @ loadings) ** 2))
    z, power, time, channel = zip(*found, strict=True)
    return float(np.mean(z)), np.mean(power, axis=0), float(np.mean(time)), float(np.mean(channel))


@pytest.mark.parametrize("width", [10.0, 60.0, np.inf])
def test_effects_are_those_of_simulated_components(width: float) -> None:
    profile = VarianceProfile(spectrum()[:, None], row_counts=np.ones(T), column_counts=[N])
    own_power = np.exp(-np.arange(T) / width)
    own_power, even = own_power / own_power.sum(), np.full(T, 1 / T)
    strength = 2 * float(np.sqrt(profile.detection_limit))
    z, power, time, channel = simulated(own_power, strength)
    effects = time_course_effects(profile, np.array([z]), power[None])
    # For even time courses 4 % low.
    assert effects.relative_noise_power[0] == pytest.approx(own_power @ spectrum(), rel=0.05)
    # At this eigenvalue an even time course is of this strength and these overlaps.
    rows, columns = (each[0] for each in profile.resolvent(z))
    alone = 1 / np.sqrt(z * (even @ rows) * columns[0])
    assert alone * effects.strength[0] == pytest.approx(strength, rel=0.01)
    _, _, even_time, even_channel = simulated(even, alone)
    assert even_time * effects.overlap_time[0] == pytest.approx(time, abs=0.01)
    assert even_channel * effects.overlap_channel[0] == pytest.approx(channel, abs=0.015)
