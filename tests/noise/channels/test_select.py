"""Channels that are left out: the same ones, and the same floor of the others, however a recording is read."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.noise import NoiseFloor, noise_floor, spectral_noise_floor
from sciml.noise.channels.duplicates import duplicates, duplicates_of
from sciml.noise.channels.select import exclusion_words, select_channels

N, T = 16, 600


def recording(values: NDArray[np.float64]) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 10.0})


def with_one(kind: str) -> NDArray[np.float64]:
    """Return two components in noise; channel 5 carries none of it."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(T, N)) + rng.normal(size=(T, 2)) @ rng.normal(size=(2, N))
    values[:, 5] = {
        "constant": 0.0,
        "missing": np.where(np.arange(T) % 3 == 0, values[:, 5], np.nan),
        "duplicate": -3 * values[:, 2],
        "nearly duplicate": values[:, 2] + 1e-4 * values[:, 2].std() * rng.normal(size=T),
    }[kind]
    return values


@pytest.mark.parametrize("kind", ["constant", "missing", "duplicate", "nearly duplicate"])
def test_the_floor_is_that_of_the_other_channels(read: Callable[..., NoiseFloor], kind: str) -> None:
    values = with_one(kind)
    floor = read(recording(values), "heteroscedastic")
    others = read(recording(np.delete(values, 5, axis=1)), "heteroscedastic")
    np.testing.assert_array_equal(floor.used, np.delete(np.arange(N), 5))
    assert floor.rank == others.rank == 2
    # Missing values of the channel change nothing; products of another size are rounded in another order.
    np.testing.assert_allclose(floor.eigenvalues, others.eigenvalues, rtol=1e-9)
    assert floor.sigma == pytest.approx(others.sigma, rel=1e-9)
    assert not floor.components[5].any()


def test_a_channel_is_excluded_for_one_reason_only() -> None:
    def found(channels: NDArray[np.int64]) -> list[tuple[int, int]]:
        np.testing.assert_array_equal(channels, [0, 3, 4])
        return [(0, 2)]

    selection = select_channels(
        count=np.array([10, 4, 10, 10, 10, 0]),
        n_samples=10,
        constant=np.array([False, True, True, False, False, True]),
        scatter=np.array([1.0, 0.0, 0.0, 2.0, 3.0, 0.0]),
        duplicates=found,
    )
    assert selection.excluded == {1: "missing", 2: "constant", 4: "duplicate of 0", 5: "missing"}
    np.testing.assert_array_equal(selection.used, [0, 3])
    renumbered = selection.renumbered(np.array([3, 5, 7, 11, 13, 17]))
    assert renumbered.excluded == {5: "missing", 7: "constant", 13: "duplicate of 3", 17: "missing"}
    np.testing.assert_array_equal(renumbered.used, [3, 11])
    assert exclusion_words(selection.excluded, 6) == [
        "3 of 6 channels are constant or mostly missing and were left out",
        "channels that are duplicates of another were left out: 4 of 0",
    ]


def test_the_floor_in_frequency_leaves_a_near_duplicate_out() -> None:
    floor = spectral_noise_floor(recording(with_one("nearly duplicate")))
    np.testing.assert_array_equal(floor.used, np.delete(np.arange(N), 5))


@pytest.mark.parametrize("complex_data", [False, True])
def test_duplicates_of_values_are_those_of_all_their_correlations(complex_data: bool) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(300, 400)) + (1j * rng.normal(size=(300, 400)) if complex_data else 0)
    others = rng.permutation(400)
    for later, first in zip(others[:150], others[150:300], strict=True):  # some within the limit, some beyond it
        near = values[:, first] + 10 ** rng.uniform(-5, -2) * rng.normal(size=300)
        values[:, later] = near * rng.uniform(0.5, 2) * (np.exp(2j) if complex_data else -1)
    scatter = (np.abs(values) ** 2).sum(axis=0)
    expected = duplicates(values.conj().T @ values / np.sqrt(np.outer(scatter, scatter)))
    assert 60 < len(expected) < 140
    assert duplicates_of(values, scatter) == expected


def test_of_three_equal_channels_the_first_is_used() -> None:
    values = np.random.default_rng(2).normal(size=(50, 6))
    values[:, 4] = values[:, 1] = -values[:, 3]
    scatter = (values**2).sum(axis=0)
    assert duplicates_of(values, scatter) == [(1, 3), (1, 4)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("floor", [noise_floor, spectral_noise_floor])
def test_values_whose_squares_overflow_are_a_data_error(floor: Callable[..., object]) -> None:
    values = 1e200 * np.random.default_rng(0).normal(size=(T, N))
    with pytest.raises(DataError, match="expected at least two channels that vary, got 0 of 16"):
        floor(recording(values))
