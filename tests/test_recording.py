"""Every public door takes any kind of time: as seconds, or with an error in words."""

import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
import xarray as xr

from sciml.denoise import compare, denoise, denoise_patches
from sciml.errors import DataError, ScimlWarning
from sciml.io import open_recording, save_recording
from sciml.noise import RunningNoiseFloor, noise_floor, spectral_noise_floor
from sciml.recording import check, sampling_rate, seconds, segments
from sciml.report import denoising_report, recording_report
from sciml.signal.psd import power_spectrum, spectrogram

N = 600
STEPS = np.arange(N) / 10
VALUES = np.random.default_rng(0).normal(size=(N, 6))
START = datetime(2020, 1, 1, tzinfo=UTC)
CONVERTED: dict[str, Any] = {
    "float32": STEPS.astype(np.float32),
    "long double": STEPS.astype(np.longdouble),
    "datetime64": pd.date_range("2020", periods=N, freq="100ms"),
    "datetime64[ms]": np.datetime64("2020-01-01", "ms") + np.arange(N) * np.timedelta64(100, "ms"),
    "time zone": pd.date_range("2020", periods=N, freq="100ms", tz="Europe/Berlin"),
    "timedelta64": np.arange(N) * np.timedelta64(100, "ms"),
    "datetime": np.array([START + timedelta(seconds=step) for step in STEPS], object),
}
REFUSED: dict[str, Any] = {
    "text": [f"t{number}" for number in range(N)],
    "numbers as text": [str(step) for step in STEPS],
    "complex": STEPS * 1j,
    "bool": STEPS > 3,
    "objects": np.array([object() for _ in range(N)]),
    "periods": pd.period_range("2020", periods=N, freq="D"),
}
DOORS: dict[str, Callable[[xr.DataArray], Any]] = {
    "noise_floor": noise_floor,
    "spectral_noise_floor": spectral_noise_floor,
    "running": lambda each: RunningNoiseFloor().add(each),
    "denoise": denoise,
    "whiten": lambda each: denoise(each, whiten="time"),
    "compare": compare,
    "report": recording_report,
    "denoising_report": lambda each: denoising_report(each, denoise(each, sigma=1.0)),
    "power_spectrum": power_spectrum,
    "spectrogram": spectrogram,
}


def recording(time: Any, values: Any = VALUES) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"), coords={"time": time})


def several_levels() -> xr.DataArray:
    index = pd.MultiIndex.from_product([range(6), range(100)], names=("trial", "sample"))
    coords = xr.Coordinates.from_pandas_multiindex(index, "time")
    return xr.DataArray(VALUES, dims=("time", "channel")).assign_coords(coords)


@pytest.mark.parametrize("kind", CONVERTED)
def test_dates_and_durations_become_seconds(kind: str) -> None:
    found = seconds(recording(CONVERTED[kind]))
    assert found is not None
    np.testing.assert_allclose(found, STEPS, atol=1e-5)
    assert sampling_rate(recording(CONVERTED[kind])) == pytest.approx(10, rel=1e-4)
    kept = np.r_[:200, 300:600]
    assert segments(recording(CONVERTED[kind]).isel(time=kept)) == [slice(0, 200), slice(200, 500)]


@pytest.mark.parametrize("door", DOORS)
def test_every_door_takes_every_kind_of_time_or_says_what_it_expects(door: str) -> None:
    for time in CONVERTED.values():
        DOORS[door](recording(time))
    for refused in (*map(recording, REFUSED.values()), several_levels()):
        with pytest.raises(DataError, match=r"expected the coordinate time in seconds, or dates, got"):
            DOORS[door](refused)


def test_denoising_gives_the_dates_back() -> None:
    for kind in ("datetime64", "timedelta64", "time zone"):
        given = recording(CONVERTED[kind])
        for made in (denoise(given), denoise_patches(given, patch={"channel": 5})["denoised"]):
            assert given["time"].dtype == made["time"].dtype
            assert given.indexes["time"].equals(made.indexes["time"])


@pytest.mark.parametrize("door", DOORS)
def test_a_clock_that_runs_backward_is_said_and_is_none(door: str) -> None:
    backward = recording(np.r_[STEPS[:300], STEPS[:300]])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            DOORS[door](backward)
        except DataError as error:
            assert "runs backward" in str(error)  # noqa: PT017
    said = "time runs backward at 1 of 600 samples; the recording is taken to have no clock"
    assert any(said in str(each.message) for each in told)


def test_a_clock_that_runs_backward_has_neither_rate_nor_gaps() -> None:
    backward = recording(np.r_[STEPS[:300], STEPS[:300]])
    assert segments(backward) == [slice(0, N)]
    with pytest.raises(DataError, match="runs backward"):
        sampling_rate(backward)
    with pytest.warns(ScimlWarning):
        assert noise_floor(backward).rank == noise_floor(backward.drop_vars("time")).rank


@pytest.mark.parametrize("kind", [np.longdouble, np.clongdouble, np.float16, bool, np.int8])
def test_values_of_any_number_are_taken(kind: type) -> None:
    given = recording(STEPS, (VALUES > 0 if kind is bool else 3 * VALUES).astype(kind))
    for name, door in DOORS.items():
        if kind is not np.clongdouble or not name.endswith(("spectrum", "spectrogram", "report")):
            door(given)
    wide = np.dtype(kind).itemsize > 8
    if wide:
        assert check(given).dtype == (np.complex128 if kind is np.clongdouble else np.float64)
    denoise_patches(given, patch={"channel": 5})


def test_what_cannot_be_saved_is_said(tmp_path: Path) -> None:
    for time in CONVERTED.values():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                saved = open_recording(save_recording(recording(time), tmp_path / "a.nc", overwrite=True))
            except DataError as error:
                assert "expected numbers, text or dates" in str(error)  # noqa: PT017
            else:
                assert saved.indexes["time"].equals(recording(time).indexes["time"])
    with pytest.raises(DataError, match=r"convert it \(astype\('float64'\)\)"):
        save_recording(recording(STEPS, VALUES.astype(np.longdouble)), tmp_path / "b.nc")
