"""Strengths of components: what they mean, and how well they are known where few samples of the noise count."""

import numpy as np
import pytest
import scipy.signal
import xarray as xr

from sciml.noise import noise_floor

N, T, PHI = 64, 300, 0.96  # of 300 samples such as these 12 count


def recording(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"))


def noise(rng: np.random.Generator, n: int, t: int, phi: float) -> np.ndarray:
    steps = rng.normal(size=(t + 500, n)) * np.sqrt(1 - phi**2)
    return scipy.signal.lfilter([1.0], [1.0, -phi], steps, axis=0)[500:]


def orthonormal(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    """Return `k` random directions, orthogonal to the constant."""
    values = rng.normal(size=(n, k + 1))
    values[:, 0] = 1
    return np.linalg.qr(values)[0][:, 1:]


@pytest.mark.parametrize("spread", [1, 10], ids=["equal channels", "channels over a range of 10"])
def test_intervals_of_neighboring_strengths_hold_in_strongly_colored_noise(spread: float) -> None:
    draws, strengths = 40, np.array([16.0, 14.0, 12.0])
    held = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        scale = spread ** rng.uniform(0, 1, N)
        time_courses, loadings = orthonormal(rng, T, 3) * np.sqrt(T), orthonormal(rng, N, 3) * scale[:, None]
        floor = noise_floor(recording(noise(rng, N, T, PHI) * scale + (time_courses * strengths) @ loadings.T))
        assert floor.rank >= 3
        low, high = floor.strength_intervals[:3].T
        truth = strengths * np.linalg.norm(loadings, axis=0)
        held.append((low <= truth) & (truth <= high))
    # Of 120 intervals of 95 % that are independent fewer than 105 hold once in 1000 runs.
    assert np.sum(held) >= 105


def test_many_components_converge_in_noise_that_is_colored_over_half_the_recording() -> None:
    n, t, strengths = 300, 200, np.array([80.0, 72.0, 64.0, 56.0, 48.0])
    for seed in range(4):
        rng = np.random.default_rng(seed)
        time_courses, loadings = orthonormal(rng, t, 5) * np.sqrt(t), orthonormal(rng, n, 5)
        pure = noise(rng, n, t, 0.97)
        floor = noise_floor(recording(pure + (time_courses * strengths) @ loadings.T))
        assert floor.converged
        assert floor.rank == 5
        assert floor.sigma == pytest.approx(np.sqrt(pure.var(axis=0, ddof=1).mean()), rel=0.05)


@pytest.mark.parametrize(("n", "t"), [(64, 3000), (200, 300)])
def test_strengths_of_slow_components_in_slow_noise_are_not_those_of_the_noise(n: int, t: int) -> None:
    held, said, true = [], [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        time_course = noise(rng, 1, t, 0.97)[:, 0]
        time_course -= time_course.mean()
        scale, pure = orthonormal(rng, n, 1)[:, 0], noise(rng, n, t, 0.9)
        strength = 6.0 * (n / t) ** 0.5 * 2.5
        floor = noise_floor(recording(pure + strength * np.outer(time_course / time_course.std(), scale)))
        assert floor.rank >= 1
        low, high = floor.strength_intervals[0]
        held.append(low <= strength <= high)
        said.append(floor.overlaps_channel[0])
        true.append((floor.components[:, 0] @ scale) ** 2)
    # Noise at these frequencies is 10 times the average: taken as spread evenly, not one interval in three held.
    assert np.sum(held) >= 33
    assert np.mean(said) == pytest.approx(np.mean(true), abs=0.03)


def test_overlaps_know_that_neighboring_components_leak_into_each_other() -> None:
    loadings_said, loadings_true, time_courses_said, time_courses_true = [], [], [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        time_courses, loadings = orthonormal(rng, 1000, 3), orthonormal(rng, N, 3)
        signal = time_courses * np.sqrt(1000) * np.array([1.2, 1.1, 1.0])
        values = rng.normal(size=(1000, N)) + signal @ loadings.T
        floor = noise_floor(recording(values))
        components = floor.components[:, :3]  # a fourth is found once in twenty draws
        loadings_said.append(floor.overlaps_channel[:3])
        loadings_true.append(np.sum(components * loadings, axis=0) ** 2)
        found = (values - values.mean(axis=0)) @ components
        time_courses_said.append(floor.overlaps_time[:3])
        time_courses_true.append(np.sum(found / np.linalg.norm(found, axis=0) * time_courses, axis=0) ** 2)
    assert np.mean(loadings_said) == pytest.approx(np.mean(loadings_true), abs=0.05)
    assert np.mean(time_courses_said) == pytest.approx(np.mean(time_courses_true), abs=0.05)


def test_time_courses_that_take_the_low_frequencies_leave_the_noise_as_it_was() -> None:
    n, t, k, found = 60, 2000, 8, []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        pure = noise(rng, n, t, 0.9)
        slow = noise(rng, k, t, 0.99)
        time_courses = np.linalg.qr(slow - slow.mean(axis=0))[0] * np.sqrt(t)
        floor = noise_floor(recording(pure + (time_courses * np.linspace(8, 4, k)) @ orthonormal(rng, n, k).T))
        assert floor.converged
        assert floor.rank == k
        found.append(floor.sigma / np.sqrt(pure.var(axis=0, ddof=1).mean()))
    assert np.mean(found) == pytest.approx(1, abs=0.01)


def test_strength_is_the_root_mean_square_over_the_samples() -> None:
    rng = np.random.default_rng(0)
    time_course = np.tile([1.0, -1.0], 8)
    values = 5.0 * np.outer(time_course, orthonormal(rng, 40, 1)[:, 0])
    floor = noise_floor(recording(values + 0.01 * rng.normal(size=values.shape)), model="white")
    assert floor.strengths[0] == pytest.approx(5.0, rel=2e-3)


def test_noise_of_equal_channels_is_found_equal_and_that_of_another_is_not() -> None:
    rng = np.random.default_rng(1)
    values = noise(rng, N, T, PHI)
    alone = noise_floor(recording(values)).channel_scale
    assert alone.std() < 0.5 * values.std(axis=0).std()
    values[:, 3] *= 30
    scale = noise_floor(recording(values)).channel_scale
    assert scale[3] == pytest.approx(values[:, 3].std(ddof=1), rel=0.05)
    np.testing.assert_allclose(np.delete(scale, 3), np.delete(alone, 3), rtol=0.05)


def test_noise_that_neighbors_have_in_common_is_not_called_many_components_without_a_warning() -> None:
    rng = np.random.default_rng(0)
    own = noise(rng, 60, 2000, 0.5)
    shared = scipy.signal.lfilter([1.0], [1.0, -0.4], own, axis=1)
    floor = noise_floor(recording(shared), model="heteroscedastic+colored")
    assert not floor.converged or any("neighboring" in words for words in floor.warnings)
    assert not any("neighboring" in words for words in noise_floor(recording(own)).warnings)


@pytest.mark.parametrize("shape", [(N, T), (90, 40)], ids=["long", "wide"])
def test_components_and_singular_values_are_those_of_channels_divided_by_their_noise(shape: tuple[int, int]) -> None:
    n, t = shape
    rng = np.random.default_rng(0)
    values = noise(rng, n, t, 0.9) * rng.uniform(1, 3, n) + 40 * np.outer(orthonormal(rng, t, 1), rng.normal(size=n))
    floor = noise_floor(recording(values))
    _, expected, directions = np.linalg.svd((values - values.mean(axis=0)) / floor.channel_scale, full_matrices=False)
    np.testing.assert_allclose(floor.singular_values, expected[: len(floor.singular_values)], rtol=1e-6)
    assert abs(floor.components[:, 0] @ directions[0]) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("spread", "phi", "n", "t"),
    [
        (1, 0.0, 60, 600),
        (1, 0.0, 150, 100),
        (10, 0.0, 150, 100),
        (10, 0.6, 60, 600),
        (1, 0.9, 300, 200),  # 20 samples count
        (10, 0.9, 300, 200),
    ],
)
def test_sigma_is_right_given_components_in_a_third_of_all_dimensions(
    spread: float, phi: float, n: int, t: int
) -> None:
    k, found, power = min(n, t) // 3, [], []
    limit = (n / t) ** 0.25 * {0.0: 1.0, 0.6: 1.4, 0.9: 4.6}[phi]  # of this color at most
    for seed in range(4 if phi < 0.9 else 16):
        rng = np.random.default_rng(seed)
        scale = spread ** rng.uniform(0, 1, n)
        pure = noise(rng, n, t, phi) * scale
        time_courses, loadings = orthonormal(rng, t, k) * np.sqrt(t), orthonormal(rng, n, k) * scale[:, None]
        floor = noise_floor(recording(pure + (time_courses * limit * np.linspace(6.6, 2.2, k)) @ loadings.T))
        assert floor.converged
        assert floor.rank == k
        found.append(floor.sigma / np.sqrt(pure.var(axis=0, ddof=1).mean()))
        below = floor.psd[0] * np.diff(floor.frequency)[0] / 2  # the lowest frequency stands for half a step below it
        power.append((np.trapezoid(floor.psd, floor.frequency) + below) / floor.sigma**2)
    # One draw scatters by up to 1.1 %, where few samples count.
    assert np.mean(found) == pytest.approx(1, abs=0.01)
    assert np.mean(power) == pytest.approx(1, abs=0.05)  # a taper weighs the middle: of one draw it is 2.5 % off
