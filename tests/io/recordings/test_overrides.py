"""What the caller states replaces what the reader found, for any signal."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import ConfigError
from sciml.io import open_recording

VALUES = np.random.default_rng(0).integers(-1000, 1000, (3, 50), dtype=np.int16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/data"] = VALUES
        file["group/data"].attrs.update(scale_factor=2.0, units="mV")
    return tmp_path / "a.h5"


def test_axes_unit_rate_and_scale_are_those_stated(path: Path) -> None:
    recording = open_recording(
        path, "data", dims=("channel", "time"), units="uV", rate=30000.0, scale=0.195, offset=-1.0, dtype="float64"
    )
    assert recording.dims == ("time", "channel")
    np.testing.assert_array_equal(recording.values, VALUES.T * 0.195 - 1.0)
    np.testing.assert_array_equal(recording.time.values, np.arange(50) / 30000.0)
    assert (recording.attrs["units"], recording.attrs["sampling_rate"]) == ("uV", 30000.0)
    assert "stated by the caller: dims = ('channel', 'time'), units = 'uV'" in recording.attrs["history"]


def test_a_toml_file_states_the_same_and_keywords_win(path: Path, tmp_path: Path) -> None:
    toml = tmp_path / "my.toml"
    toml.write_text('signal = "group/data"\ndims = ["channel", "time"]\nunits = "uV"\nrate = 100\n')
    recording = open_recording(path, mapping=toml, rate=200.0)
    assert (recording.dims, recording.attrs["units"], recording.attrs["sampling_rate"]) == (
        ("time", "channel"),
        "uV",
        200.0,
    )
    np.testing.assert_array_equal(recording.values, VALUES.T * np.float32(2.0))  # the scale of the file stays


def test_the_clock_of_an_nwb_series_can_be_corrected(data_dir: Path) -> None:
    file = data_dir / "nwb_suite2p_pixelmask.nwb"
    found = open_recording(file, "Fluorescence")
    stated = open_recording(file, "Fluorescence", rate=7.0)
    np.testing.assert_array_equal(found[:5].values, stated[:5].values)
    np.testing.assert_allclose(np.diff(stated.time.values[:5]), 1 / 7.0)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"dims": ("time",)}, "expected 2 different names for the stored shape"),
        ({"dims": ("time", "time")}, "expected 2 different names"),
        ({"dims": "ab"}, "expected names of the stored axes"),
        ({"dims": ("y", "x"), "rate": 5.0}, "name an axis 'time'"),
        ({"rate": "fast"}, "expected a number"),
        ({"units": 3}, "expected text"),
    ],
)
def test_what_does_not_fit_is_said(path: Path, stated: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_recording(path, "data", **stated)  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "said"), [("unit = 'V'", "unknown unit; expected"), ("= 3", "expected a TOML file")])
def test_a_mapping_that_is_none_is_said(path: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "my.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        open_recording(path, "data", mapping=tmp_path / "my.toml")
