"""Numbers that a file states beside its data are applied, or spoken of."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.io import describe, open_recording


def cf(path: Path, stored: np.ndarray[Any, Any], **attributes: object) -> Path:
    with h5py.File(path, "w") as file:
        file["x"] = stored
        file["x"].attrs.update(attributes)
    return path


def codes(path: Path) -> list[str]:
    return [issue.code for issue in describe(path).findings]


@pytest.mark.parametrize("fill", [np.int8(-1), np.uint8(255)])
def test_signed_bytes_that_are_meant_unsigned_are_read_so(tmp_path: Path, fill: np.generic) -> None:
    stored = np.array([0, 100, -57, -6, -1], np.int8)
    path = cf(tmp_path / "a.h5", stored, _Unsigned="true", _FillValue=fill, scale_factor=0.5)
    np.testing.assert_allclose(open_recording(path, "x").values, [0, 50, 99.5, 125, np.nan])


def test_unsigned_bytes_that_are_meant_signed_are_read_so(tmp_path: Path) -> None:
    path = cf(tmp_path / "a.h5", np.array([1, 255], np.uint8), _Unsigned="false")
    assert open_recording(path, "x").values.tolist() == [1, -1]


@pytest.mark.parametrize(
    "limits",
    [{"valid_min": 2, "valid_max": 5}, {"valid_range": [2, 5]}, {"valid_range": [2.0, 5.0]}, {"Valid_Range": [2, 5]}],
)
def test_values_outside_of_the_valid_range_are_missing(tmp_path: Path, limits: dict[str, object]) -> None:
    path = cf(tmp_path / "a.h5", np.arange(8.0), **limits)
    np.testing.assert_array_equal(open_recording(path, "x").values, [np.nan, np.nan, 2, 3, 4, 5, np.nan, np.nan])


def test_limits_in_floats_of_packed_integers_are_those_of_the_unpacked_values(tmp_path: Path) -> None:
    path = cf(tmp_path / "a.h5", np.arange(5, dtype=np.int16), scale_factor=0.5, valid_range=[0.5, 1.5])
    np.testing.assert_array_equal(open_recording(path, "x").values, [np.nan, 0.5, 1.0, 1.5, np.nan])


def test_every_value_that_stands_for_none_is_missing(tmp_path: Path) -> None:
    path = cf(tmp_path / "a.h5", np.array([1, -9, -8, 2]), _FillValue=-9, missing_value=[-8, -7])
    np.testing.assert_array_equal(open_recording(path, "x").values, [1, np.nan, np.nan, 2])


def test_a_range_upside_down_is_a_finding_and_masks_nothing(tmp_path: Path) -> None:
    path = cf(tmp_path / "a.h5", np.arange(4.0), valid_min=3.0, valid_max=1.0)
    assert open_recording(path, "x").values.tolist() == [0, 1, 2, 3]
    assert "not_applied" in codes(path)


@pytest.mark.parametrize("factor", [0.0, np.nan, np.inf, "x", [1.0, 2.0, 3.0]])
def test_a_factor_that_is_none_is_a_finding_never_zeros(tmp_path: Path, factor: object) -> None:
    path = cf(tmp_path / "a.h5", np.arange(1, 5), scale_factor=factor, add_offset=7.0)
    assert open_recording(path, "x").values.tolist() == [1, 2, 3, 4]
    assert "not_applied" in codes(path)
    assert "scale_factor" in open_recording(path, "x").attrs["history"]


@pytest.mark.parametrize(
    "name",
    ["gain", "Calibration_Factor", "scale", "offset", "dataOffset", "ADC gain", "YScale", "x_offset", "vertical_gain"],
)
def test_a_number_whose_name_says_that_it_scales_is_spoken_of(tmp_path: Path, name: str) -> None:
    path = cf(tmp_path / "a.h5", np.arange(4.0), **{name: 3.0})
    (found,) = [issue for issue in describe(path).findings if issue.code == "not_applied"]
    assert name in found.message
    assert name in open_recording(path, "x").attrs["history"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("gain", 1.0), ("offset", 0.0), ("scale_type", 2), ("gain_units", "V"), ("grayscale", 3), ("UTCOffset", 2.0)],
)
def test_what_changes_nothing_or_is_about_another_thing_is_not(tmp_path: Path, name: str, value: object) -> None:
    assert "not_applied" not in codes(cf(tmp_path / "a.h5", np.arange(4.0), **{name: value}))


@pytest.mark.parametrize(
    ("name", "numbers", "expected"),
    [
        ("gain", 20.0, True),
        ("x_scale", 0.1, True),
        ("offsets", [1.0, 2.0, 3.0], True),
        ("y_scale", 0.1, False),
        ("gain", 1.0, False),
        ("offsets", np.zeros(9), False),
    ],
)
def test_numbers_in_the_same_group_are_spoken_of(tmp_path: Path, name: str, numbers: object, expected: bool) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file[name] = np.zeros((5, 3)), numbers
    found = [issue for issue in describe(tmp_path / "a.h5").findings if issue.code == "not_applied"]
    assert bool([issue for issue in found if issue.path == "x"]) is expected


def test_a_finding_is_the_same_before_and_after_the_signal_was_opened(tmp_path: Path) -> None:
    path = cf(tmp_path / "a.h5", np.arange(4.0), gain=3.0)
    before = describe(path).findings
    open_recording(path, "x")
    assert describe(path).findings == before


def test_an_attribute_of_the_group_is_spoken_of(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["g/x"] = np.zeros(5)
        file["g"].attrs.update(vertical_gain=20.0, beam_offset=3.0, scale=1.0)
    (found,) = [issue for issue in describe(tmp_path / "a.h5").findings if issue.code == "not_applied"]
    assert "gain = 20.0" in found.message
    assert "beam" not in found.message


def test_numbers_of_a_group_of_attributes_beside_an_array_are_spoken_of(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["dataset1/data"] = np.ones((6, 5), np.uint8)
        file.create_group("dataset1/what").attrs.update(gain=0.5, offset=-32.0, nodata=255.0, quantity="DBZH")
    (found,) = [issue for issue in describe(tmp_path / "a.h5").findings if issue.code == "not_applied"]
    assert all(word in found.message for word in ("gain = 0.5", "offset = -32.0", "nodata = 255.0"))


def test_two_numbers_that_are_called_after_an_array_are_spoken_of(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["Radiance"], file["RadianceFactors"] = np.ones((6, 5), np.uint16), [0.01, -0.1]
    assert any("RadianceFactors" in issue.message for issue in describe(tmp_path / "a.h5").findings)


def test_many_groups_beside_an_array_are_not_about_it(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros((6, 5))
        for number in range(20):
            file.create_group(f"g{number}").attrs["gain"] = 2.0
    assert "not_applied" not in codes(tmp_path / "a.h5")
