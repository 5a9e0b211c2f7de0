"""CXI: frames, masks, geometry and translations, on a real file and on ones written to the specification."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, list_signals, open_recording
from sciml.io.arrays import indexing
from sciml.io.readers import cxi as reader

RNG = np.random.default_rng(0)
SHAPE = (5, 4, 6)


def test_values_masks_and_places_are_those_of_h5py(data_dir: Path) -> None:
    path = data_dir / "cxi_petra3_p25_ptycho.cxi"
    recording = open_recording(path)
    with h5py.File(path) as file:
        detector = file["entry_1/instrument_1/detector_1"]
        np.testing.assert_array_equal(recording[3:7].values, detector["data"][3:7])
        np.testing.assert_array_equal(recording.mask, detector["mask"][()] != 0)
        places = file["entry_1/sample_1/geometry_1/translation"][()]
        np.testing.assert_array_equal(np.stack([recording[f"translation_{axis}"] for axis in "xyz"], axis=1), places)
        for name, label in (("distance", "distance_m"), ("x_pixel_size", "x_pixel_size_m")):
            assert recording.attrs[label] == detector[name][()]
        assert recording.attrs["energy_J"] == file["entry_1/instrument_1/source_1/energy"][()]
    assert recording.dims == ("frame", "y", "x")
    assert recording.mask.attrs["flags"] == ["invalid"]
    assert "time" not in recording.coords


def test_links_to_the_detector_open_the_same_signal(data_dir: Path) -> None:
    path = data_dir / "cxi_petra3_p25_ptycho.cxi"
    assert len(list_signals(path)) == 1
    linked = open_recording(path, "entry_1/data_1/data")
    np.testing.assert_array_equal(linked[0].values, open_recording(path)[0].values)


def _write(path: Path, **more: object) -> np.ndarray:
    """Write the minimum that CXI asks for, and what else is named by path."""
    frames = RNG.integers(0, 99, SHAPE).astype(np.uint16)
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 160
        entry = file.create_group("entry_1")
        entry["instrument_1/detector_1/data"] = frames
        entry["data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
        for name, value in more.items():
            entry[name.replace("__", "/")] = value
    return frames


def test_bits_that_say_nothing_bad_do_not_mask(tmp_path: Path) -> None:
    bits = np.zeros(SHAPE[1:], dtype=np.uint32)
    bits[0, :5] = [0x20, 0x800, 0x2000, 0x4000, 0]  # in the peak mask, corrected, a peak, background taken off
    bits[1, :4] = [0x1, 0x8, 0x10 | 0x20, 0x1000]
    _write(tmp_path / "a.cxi", instrument_1__detector_1__mask=bits)
    recording = open_recording(tmp_path / "a.cxi")
    assert not recording.mask[0].any()
    np.testing.assert_array_equal(recording.mask[1], [True] * 4 + [False] * 2)
    assert recording.mask.attrs["flags"] == ["invalid", "dead", "shadowed", "failed artifact correction"]
    np.testing.assert_array_equal(recording.mask_bits, bits)


def test_a_mask_beside_the_data_serves_too(tmp_path: Path) -> None:
    bits = np.eye(4, 6, dtype=np.uint32)
    _write(tmp_path / "a.cxi", image_1__data=np.zeros((4, 6)), image_1__mask=bits)
    np.testing.assert_array_equal(open_recording(tmp_path / "a.cxi", "image_1/data").mask, bits != 0)


def test_large_masks_of_each_frame_stay_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bits = RNG.integers(0, 2**15, SHAPE).astype(np.uint16)
    _write(tmp_path / "a.cxi", instrument_1__detector_1__mask=bits)
    held = open_recording(tmp_path / "a.cxi").mask
    monkeypatch.setattr(reader, "EAGER", 3)
    left = open_recording(tmp_path / "a.cxi").mask
    assert isinstance(left.variable._data, indexing.Indexed)
    np.testing.assert_array_equal(left[2, 1:].values, held[2, 1:].values)


def test_entries_without_a_version_are_known_by_their_numbers(tmp_path: Path) -> None:
    frames = _write(tmp_path / "a.cxi")
    with h5py.File(tmp_path / "a.cxi", "a") as file:
        del file["cxi_version"]
    assert describe(tmp_path / "a.cxi").format == "CXI"
    np.testing.assert_array_equal(open_recording(tmp_path / "a.cxi").values, frames)


def test_images_are_signals_and_volumes_have_a_depth(tmp_path: Path) -> None:
    image = RNG.standard_normal((3, 4, 5)) + 1j * RNG.standard_normal((3, 4, 5))
    frames = _write(tmp_path / "a.cxi", image_1__data=image)
    volume = open_recording(tmp_path / "a.cxi", "image_1/data")
    assert volume.dims == ("z", "y", "x")
    np.testing.assert_array_equal(volume.values, image)
    np.testing.assert_array_equal(open_recording(tmp_path / "a.cxi").values, frames)


def test_an_energy_for_each_frame_is_a_coordinate(tmp_path: Path) -> None:
    energies = np.linspace(1e-15, 2e-15, SHAPE[0])
    _write(tmp_path / "a.cxi", instrument_1__source_1__energy=energies)
    recording = open_recording(tmp_path / "a.cxi")
    np.testing.assert_array_equal(recording.energy, energies)
    assert recording.energy.attrs["units"] == "J"
    assert "energy_J" not in recording.attrs


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("instrument_1__detector_1__mask", np.zeros((2, 2), np.uint32), "expected integers that fit"),
        ("instrument_1__detector_1__mask", np.zeros(SHAPE[1:]), "expected integers that fit"),
        ("sample_1__geometry_1__translation", np.zeros((4, 3)), "one place a frame"),
        ("instrument_1__detector_1__distance", "far", None),
    ],
)
def test_what_does_not_fit_is_left_out_with_a_note(tmp_path: Path, name: str, value: object, said: str | None) -> None:
    frames = _write(tmp_path / "a.cxi", **{name: value})
    recording = open_recording(tmp_path / "a.cxi")
    np.testing.assert_array_equal(recording.values, frames)
    assert not recording.coords
    assert "distance_m" not in recording.attrs
    assert said is None or said in recording.attrs["history"]


def test_a_file_without_frames_says_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.cxi", "w") as file:
        file["cxi_version"] = 160
        file["entry_1/data_1/data"] = np.float32(1)
    assert "holds frames" in str(describe(tmp_path / "a.cxi").reason)
    with pytest.raises(DataError, match="holds frames"):
        open_recording(tmp_path / "a.cxi")
