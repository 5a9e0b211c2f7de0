"""The main verbs give for files, recordings and arrays what the functions behind them give."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sciml
from sciml.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(1500, 1)) @ rng.normal(size=(1, 16)) + rng.normal(size=(1500, 16))


@pytest.fixture(scope="module")
def recording(values) -> xr.DataArray:
    return sciml.from_numpy(values, 50.0, "uV", [f"c{i}" for i in range(16)], start=3.0)


@pytest.fixture(scope="module")
def file(recording, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("verbs") / "recording.nc"
    sciml.io.save_recording(recording, path)
    return path


def test_an_array_becomes_a_recording(recording, values) -> None:
    assert recording.dims == ("time", "channel")
    assert recording.attrs["units"] == "uV"
    assert sciml.recording.sampling_rate(recording) == 50.0
    assert recording.time.values[[0, -1]].tolist() == [3.0, 3.0 + 1499 / 50]
    assert recording.sel(channel="c3").values.tolist() == values[:, 3].tolist()


def test_every_form_of_one_recording_has_one_floor(values, recording, file) -> None:
    expected = sciml.noise.noise_floor(recording)
    floors = [
        sciml.noise_floor(values, sampling_rate=50.0),
        sciml.noise_floor(recording),
        sciml.noise_floor(file),
        recording.sciml.noise_floor(),
        sciml.noise_floor(recording.sciml.to_pandas()),
    ]
    for floor in floors:
        assert floor.rank == expected.rank == 1
        np.testing.assert_allclose(floor.eigenvalues, expected.eigenvalues, rtol=1e-12)


def test_every_form_of_one_recording_is_denoised_alike(values, recording, file) -> None:
    expected = sciml.denoise.denoise(recording).values
    for cleaned in (
        sciml.denoise_recording(values, sampling_rate=50.0),
        sciml.denoise_recording(file),
        recording.sciml.denoise(),
    ):
        np.testing.assert_allclose(cleaned.values, expected, rtol=1e-9, atol=1e-12)


def test_reports_of_files_recordings_and_results(recording, file) -> None:
    floor = sciml.noise_floor(recording)
    for report in (sciml.report_on(file), recording.sciml.report(), sciml.report_on(floor)):
        assert "1 component" in report.findings[0].text


def test_masked_arrays_movies_and_traces() -> None:
    masked = np.ma.masked_greater(np.arange(6.0).reshape(3, 2), 4)
    assert sciml.from_numpy(masked, 1.0).mask.values.tolist() == [[False, False], [False, False], [False, True]]
    assert sciml.from_numpy(np.zeros((4, 2, 3)), 1.0).dims == ("time", "y", "x")
    assert sciml.from_numpy(np.zeros(4)).dims == ("time",)
    table: dict[str, Any] = {"channel": ["a", "b"], "rel_x": [0.0, 20.0]}
    assert sciml.from_numpy(np.zeros((4, 2)), 1.0, "", table).rel_x.values.tolist() == [0.0, 20.0]


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        (np.array(["a"]), {}, "an array of numbers"),
        (np.zeros((2, 2, 2, 2, 2)), {}, "one to four axes"),
        (np.zeros((3, 2)), {"rate": -1.0}, "positive rate"),
        (np.zeros((3, 2)), {"channels": ["a"]}, "expected 2 values of 'channel'"),
        (np.zeros((3, 2)), {"dims": ["channel", "x"]}, "dims with 'time'"),
    ],
)
def test_arrays_that_are_no_recordings_are_refused(values, options, said) -> None:
    with pytest.raises(DataError, match=said):
        sciml.from_numpy(values, **options)


def test_an_unknown_method_of_a_recording_is_answered_with_those_there_are(recording) -> None:
    with pytest.raises(AttributeError, match="noise_floor"):
        recording.sciml.noise_flor  # noqa: B018


def test_a_movie_is_denoised_patch_by_patch() -> None:
    movie = np.random.default_rng(0).normal(size=(60, 12, 12)) + 5
    cleaned = sciml.denoise_recording(movie, sampling_rate=10.0, patch={"y": 6, "x": 6})
    expected = sciml.from_numpy(movie, 10.0).sciml.denoise_patches(patch={"y": 6, "x": 6})["denoised"]
    np.testing.assert_array_equal(cleaned.values, expected.values)
    with pytest.raises(ConfigError, match="patch alone"):
        sciml.denoise_recording(movie, sampling_rate=10.0, patch={"y": 6, "x": 6}, whiten="time")


def test_a_rate_that_is_given_replaces_the_clock_of_a_recording() -> None:
    recording = sciml.from_numpy(np.zeros((20, 3)), 100.0)
    opened = sciml.open(recording, sampling_rate=10.0, units="V")
    assert opened.attrs["sampling_rate"] == 10.0
    assert opened.time.values[-1] == pytest.approx(1.9)
    assert opened.attrs["units"] == "V"
    for wrong in ({"sampling_rate": -1.0}, {"signal": "typo"}, {"foo": 3}):
        with pytest.raises(ConfigError):
            sciml.open(recording, **wrong)


def test_reports_of_several_stand_side_by_side() -> None:
    recording = sciml.from_numpy(np.random.default_rng(0).normal(size=(300, 4)), 100.0)
    assert len(sciml.report_on(recording, recording).findings) == 2
    with pytest.raises(DataError):
        sciml.report_on(recording, "nosuchfile.nwb")
