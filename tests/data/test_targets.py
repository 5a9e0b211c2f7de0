"""Numbers from another signal: on its own clock, around gaps and missing samples, and nothing where there is none."""

import numpy as np
import pytest
import xarray as xr

from sciml.data import Windows, sliding_windows, values_at, with_targets
from sciml.data.samples import Samples, read_samples
from sciml.errors import DataError


def signal(values: np.ndarray, rate: float, start: float = 0.0, **attrs: str) -> xr.DataArray:
    dims = ("time", "channel")[: values.ndim]
    clock = start + np.arange(len(values)) / rate
    return xr.DataArray(values, dims=dims, coords={"time": clock}, attrs={"units": "V", **attrs})


def told(windows: Windows, target: xr.DataArray | Samples) -> np.ndarray:
    return np.asarray(with_targets(windows, target).targets)


@pytest.fixture
def windows() -> Windows:
    return sliding_windows(signal(np.zeros((200, 3)), 10.0), length=1.0, step=0.5)


def test_the_last_sample_is_where_its_time_stamp_says() -> None:
    """A clock that runs unevenly, as a camera's: the mean rate would miss the end of a window."""
    rng = np.random.default_rng(2)
    clock = np.cumsum(0.1 * rng.uniform(0.75, 1.25, 300))
    wave = xr.DataArray(np.zeros((300, 2)), dims=("time", "channel"), coords={"time": clock}, attrs={"units": "V"})
    cut = sliding_windows(wave, length=2.0, step=0.5)
    found = with_targets(cut, signal(np.arange(400.0), 10.0, start=-2.0))
    last = clock[found.starts + found.length - 1]
    np.testing.assert_allclose(np.asarray(found.targets)[:, 0], 10 * (last + 2.0), rtol=1e-6)


@pytest.mark.parametrize("rate", [0.7, 3.0, 10.0, 14.0])
@pytest.mark.parametrize("lag", [-0.35, 0.0, 0.4])
def test_a_slow_target_is_joined_by_lines(windows, rate: float, lag: float) -> None:
    """A straight line is told exactly at any rate and lag."""
    target = signal(3.0 * (np.arange(int(40 * rate)) / rate - 2.0) + 1.0, rate, start=-2.0)
    found = with_targets(windows, target, lag=lag)
    expected = 3.0 * (found.times + 0.9 + lag) + 1.0
    assert len(found) == len(windows)
    np.testing.assert_allclose(np.asarray(found.targets)[:, 0], expected, rtol=1e-6)


def test_a_fast_target_is_averaged_over_one_sample_of_the_recording(windows) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=30_000)
    target = signal(values, 1000.0, start=-1.0)
    found = with_targets(windows, target)
    for k, end in enumerate(found.times + 0.9):
        inside = np.abs(target["time"].values - end + 0.0005) < 0.05  # half of a hundred samples each side
        assert inside.sum() == 100
        assert np.asarray(found.targets)[k, 0] == pytest.approx(values[inside].mean(), abs=1e-6)


def test_a_derivative_is_the_change_a_second(windows) -> None:
    target = signal(np.stack([np.arange(400) * 0.2, np.full(400, 5.0)], axis=1), 5.0, start=-10.0)
    found = with_targets(windows, target, derivative=True)
    np.testing.assert_allclose(np.asarray(found.targets), np.tile([1.0, 0.0], (len(windows), 1)), atol=1e-5)
    assert found.target_units == ("V/s", "V/s")


def test_gaps_and_missing_samples_of_the_target_drop_windows(windows) -> None:
    target = signal(np.arange(250.0), 10.0)
    target[{"time": slice(50, 60)}] = np.nan
    target = target.isel(time=[*range(100), *range(130, 250)])  # a gap of 3 s
    found = with_targets(windows, target)
    ends = windows.times + 0.9
    lost = ((ends > 4.95) & (ends < 5.95)) | ((ends > 9.95) & (ends < 12.95))
    assert sorted(set(windows.times) - set(found.times)) == sorted(windows.times[lost])
    assert found.dropped == {"target missing": int(lost.sum())}
    np.testing.assert_allclose(np.asarray(found.targets)[:, 0], 10 * (found.times + 0.9), rtol=1e-6)


def test_ends_of_the_target_drop_windows(windows) -> None:
    found = with_targets(windows, signal(np.arange(50.0), 10.0, start=5.0), lag=0.1)
    assert found.dropped == {"outside the target": len(windows) - len(found)}
    assert found.times.min() + 1.0 >= 5.0 - 1e-9
    assert found.times.max() + 1.0 <= 9.9 + 1e-9


def test_another_clock_is_refused_with_both_ranges(windows) -> None:
    with pytest.raises(
        DataError, match=r"values from 1.7e\+09 to .* for windows that end from 0.9 to .*no time in comm"
    ):
        with_targets(windows, signal(np.arange(100.0), 10.0, start=1.7e9))


def test_a_target_that_is_missing_throughout_the_windows_is_refused(windows) -> None:
    target = signal(np.arange(600.0), 10.0, start=-20.0)
    target[{"time": slice(150, 450)}] = np.nan
    with pytest.raises(DataError, match=r"expected values of the target at the ends of 39 windows .*, got none"):
        with_targets(windows, target)


def test_values_do_not_depend_on_whether_the_target_is_held(windows) -> None:
    target = signal(np.random.default_rng(1).normal(size=(3000, 2)), 100.0)
    held = told(windows, target)
    np.testing.assert_array_equal(told(windows, read_samples(target, memory=0)), held)


def test_values_at_times_beyond_the_signal_are_missing() -> None:
    found = values_at(signal(np.arange(5.0), 1.0), np.array([-0.2, 0.0, 4.0, 4.2]), width=1.0)
    np.testing.assert_array_equal(found.ravel(), [np.nan, 0.0, 4.0, np.nan])
