"""What was removed: numbers that tell noise from signal."""

import numpy as np
import pytest
import xarray as xr

from sciml.denoise import denoise
from sciml.denoise.evaluate import residual_statistics
from sciml.errors import DataError
from sciml.noise import noise_floor

T, N = 2000, 24


def recording(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 100.0})


def noisy(seed: int = 0) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(T) / 30)[:, None] * rng.normal(size=N)
    return recording(2 * wave + rng.normal(size=(T, N)))


def test_what_a_denoiser_removes_of_white_noise_is_white() -> None:
    before = noisy()
    floor = noise_floor(before, model="white")
    found = residual_statistics(before, denoise(before, floor), floor)
    assert found.rank == 0
    assert found.p_value is not None
    assert found.p_value > 0.05
    # Correlations of T N values have a standard error of 1 / sqrt(T N) = .005; what is kept takes 1 / N of the noise.
    assert abs(found.neighbor_correlation["time"]) < 0.02
    assert found.flatness > 0.95


def test_signal_that_was_removed_is_found() -> None:
    before = noisy()
    floor = noise_floor(before, model="white")
    found = residual_statistics(before, 0 * before, floor)
    assert found.rank == 1
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert found.neighbor_correlation["time"] > 0.3
    assert found.removed_fraction == pytest.approx(1.0)
    assert found.frequency[np.argmax(found.psd[1:]) + 1] < 2


def test_lag_1_autocorrelation_and_removed_fraction_are_those_of_their_definitions() -> None:
    rng = np.random.default_rng(1)
    before, after = recording(rng.normal(size=(300, 5))), recording(0.5 * rng.normal(size=(300, 5)))
    residual = (before - after).values
    centered = residual - residual.mean(axis=0)
    found = residual_statistics(before, after)
    expected = np.mean(centered[1:] * centered[:-1]) / np.mean(centered**2)
    assert found.neighbor_correlation["time"] - 1 / 300 == pytest.approx(expected)
    assert found.removed_fraction == pytest.approx((centered**2).sum() / ((before - before.mean("time")) ** 2).sum())
    assert found.rank is None


@pytest.mark.parametrize("complex_data", [False, True])
def test_numbers_do_not_depend_on_unit_order_or_phase(complex_data: bool) -> None:
    rng = np.random.default_rng(2)
    before, after = (
        (rng.normal(size=(300, 5)) + (1j * rng.normal(size=(300, 5)) if complex_data else 0)) for _ in "ab"
    )
    factor = 1e-9 * np.exp(0.7j) if complex_data else -1e-9
    plain = residual_statistics(recording(before), recording(after))
    transformed = residual_statistics(recording(factor * before).T, recording(factor * after))
    assert transformed.removed_fraction == pytest.approx(plain.removed_fraction)
    assert transformed.neighbor_correlation == pytest.approx(plain.neighbor_correlation)
    assert transformed.flatness == pytest.approx(plain.flatness)
    assert plain.to_dict()["psd"] == plain.psd.tolist()
    assert "of the variance" in plain.summary()


def test_missing_samples_are_left_out() -> None:
    before = noisy().copy()
    before[3:9, 2] = np.nan
    floor = noise_floor(before, model="white")
    found = residual_statistics(before, denoise(before, floor), floor)
    assert found.rank == 0
    assert np.isfinite([found.removed_fraction, found.flatness, *found.neighbor_correlation.values()]).all()
    assert np.isfinite(found.psd).all()


def test_recordings_of_other_sizes_are_refused() -> None:
    with pytest.raises(DataError, match="expected what was made of a recording"):
        residual_statistics(noisy(), noisy().isel(time=slice(10)))
