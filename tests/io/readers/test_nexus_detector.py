"""NeXus detectors: masks by bits and by values, places, chains of transformations, frames in several files; logs."""

import math
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.io import describe, open_recording

FRAMES = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)


def group(parent: h5py.Group, name: str, kind: str, **attrs: object) -> h5py.Group:
    made = parent.create_group(name)
    made.attrs.update({"NX_class": np.bytes_(kind), **attrs})
    return made


def quantity(parent: h5py.Group, name: str, value: object, **attrs: object) -> None:
    parent[name] = value
    parent[name].attrs.update(attrs)


def detector(file: h5py.File, frames: np.ndarray = FRAMES) -> h5py.Group:
    """Return a detector whose frames are the signal of the plot of the entry."""
    entry = group(file, "entry", "NXentry", default="data")
    made = group(group(entry, "instrument", "NXinstrument"), "detector", "NXdetector")
    made["data"] = frames
    data = group(entry, "data", "NXdata", signal="data")
    data["data"] = made["data"]
    return made


def test_the_low_bits_of_all_pixel_masks_exclude_and_are_named(tmp_path: Path) -> None:
    bits = np.zeros((3, 4), dtype=np.uint32)
    bits[0, 0], bits[1, 1], bits[2, 2] = 1, 1 << 4, 1 << 31
    other = np.zeros((3, 4), dtype=np.uint32)
    other[0, 3] = 1 << 1
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        made = detector(file)
        made["pixel_mask"], made["pixel_mask_1"] = bits, other
    mask = open_recording(tmp_path / "a.nxs")["mask"]
    assert mask.dims == ("y", "x")
    np.testing.assert_array_equal(mask.values, ((bits | other) & 0xFFFF) != 0)
    assert mask.attrs["flags"] == ["gap", "dead", "noisy"]


@pytest.mark.parametrize("stated", ["saturation_value", "underload_value", "dectris"])
def test_values_that_are_no_counts_are_masked(tmp_path: Path, stated: str) -> None:
    frames = FRAMES.astype(np.int32) if stated == "underload_value" else FRAMES.copy()
    frames[1, 2, 3] = {"saturation_value": 1000, "underload_value": -2, "dectris": 2**16 - 1}[stated]
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        made = detector(file, frames)
        if stated == "dectris":
            made.create_group("detectorSpecific")["pixel_mask"] = np.eye(3, 4, dtype=np.uint32)
        else:
            made[stated] = 500 if stated == "saturation_value" else 0
    recording = open_recording(tmp_path / "a.nxs")
    expected = np.zeros(FRAMES.shape, dtype=bool)
    expected[1, 2, 3] = True
    if stated == "dectris":
        expected |= np.eye(3, 4, dtype=bool)
    np.testing.assert_array_equal(recording["mask"].values, expected)
    assert recording["mask"].isel(frame=1, y=2, x=3).item()
    np.testing.assert_array_equal(recording["mask"].isel(frame=1, x=[0, 3]).values, expected[1][:, [0, 3]])


def test_places_frames_and_single_numbers_of_a_detector(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        made = detector(file)
        quantity(made, "distance", 1.5, units="m")
        quantity(made, "beam_center_x", 2.0, units="pixel")
        quantity(made, "x_pixel_offset", [0.0, 1.0, 2.0, 3.0], units="mm")
        quantity(made, "polar_angle", np.ones((3, 4)), units="degree")
        made["image_key"] = [0, 2]
    recording = open_recording(tmp_path / "a.nxs")
    assert recording.attrs["distance"] == 1.5
    assert recording.attrs["distance_units"] == "m"
    assert recording.attrs["beam_center_x_units"] == "pixel"
    assert recording["x_pixel_offset"].dims == ("x",)
    assert recording["polar_angle"].dims == ("y", "x")
    assert recording["image_key"].values.tolist() == [0, 2]


def placed(file: h5py.File, *, root: str) -> None:
    made = detector(file)
    steps = group(made, "transformations", "NXtransformations")
    made["depends_on"] = "transformations/tilt"
    quantity(
        steps,
        "tilt",
        90.0,
        transformation_type="rotation",
        units="deg",
        vector=[0.0, 1.0, 0.0],
        depends_on="/entry/instrument/detector/transformations/out",
    )
    quantity(
        steps,
        "out",
        2000.0,
        transformation_type="translation",
        units="mm",
        vector=[0.0, 0.0, 1.0],
        offset=[0.0, 5.0, 0.0],
        offset_units="mm",
        depends_on=root,
    )


def test_transformations_apply_from_the_leaf_to_the_root(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        placed(file, root=".")
    recording = open_recording(tmp_path / "a.nxs")
    assert recording.attrs["transformations"] == ["tilt", "out"]
    # A quarter turn about y takes x to -z; then 2 m along z and 5 mm along y.
    point = recording.attrs["transformation_matrix"] @ [1.0, 0.0, 0.0, 1.0]
    np.testing.assert_allclose(point, [0.0, 0.005, 1.0, 1.0], atol=4 * np.finfo(float).eps)


def test_a_chain_that_comes_back_to_itself_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        placed(file, root="tilt")
    assert "transformation_matrix" not in open_recording(tmp_path / "a.nxs").attrs
    assert any("comes back to" in text.message for text in describe(tmp_path / "a.nxs").findings)


def parts(folder: Path, *, lost: bool = False) -> Path:
    for number in (1, 2):
        with h5py.File(folder / f"x_data_{number:06}.h5", "w") as file:
            file["entry/data/data"] = FRAMES + number
            low = 1 + 2 * (number - 1) + 10 * (number == 2)
            file["entry/data/data"].attrs.update(image_nr_low=low, image_nr_high=low + 1)
    with h5py.File(folder / "x_master.h5", "w") as file:
        entry = group(file, "entry", "NXentry")
        data = group(entry, "data", "NXdata")
        for number in (1, 2):
            name = f"x_data_{number:06}.h5" if not (lost and number == 2) else "gone.h5"
            data[f"data_{number:06}"] = h5py.ExternalLink(name, "entry/data/data")
        made = group(group(entry, "instrument", "NXinstrument"), "detector", "NXdetector")
        made.create_group("detectorSpecific")["pixel_mask"] = np.eye(3, 4, dtype=np.uint32)
    return folder / "x_master.h5"


def test_the_files_of_an_eiger_are_one_stack_of_numbered_frames(tmp_path: Path) -> None:
    recording = open_recording(parts(tmp_path))
    assert recording.dims == ("frame", "y", "x")
    np.testing.assert_array_equal(recording.values, np.concatenate([FRAMES + 1, FRAMES + 2]))
    assert recording["image_number"].values.tolist() == [1, 2, 13, 14]
    np.testing.assert_array_equal(recording["mask"].values, np.broadcast_to(np.eye(3, 4, dtype=bool), (4, 3, 4)))


def test_a_missing_file_of_an_eiger_is_named_not_skipped(tmp_path: Path) -> None:
    found = describe(parts(tmp_path, lost=True))
    assert any("cannot be read" in text.message and "gone.h5" in text.message for text in found.findings)


def test_logs_are_signals_on_their_own_clocks(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        log = group(group(file, "entry", "NXentry"), "temperature", "NXlog")
        quantity(log, "value", [4.0, 4.5, 5.0], units="K")
        quantity(
            log,
            "time",
            np.array([0, 5, 10], dtype=np.int64),
            units="ms",
            scaling_factor=2.0,
            start="2020-01-01T00:00:00",
        )
    recording = open_recording(tmp_path / "a.nxs")
    np.testing.assert_allclose(recording["time"].values, [0.0, 0.01, 0.02], rtol=1e-15)
    assert (recording.attrs["units"], recording.attrs["start"]) == ("K", "2020-01-01T00:00:00")
    assert recording.attrs["sampling_rate"] == pytest.approx(100.0)


def test_two_dimensional_cansas_has_q_uncertainty_and_mask(tmp_path: Path) -> None:
    image = np.arange(12.0).reshape(3, 4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = group(
            group(file, "sasentry01", "NXentry"),
            "sasdata01",
            "NXdata",
            signal="I",
            I_axes="Q,Q",
            Q_indices="0,1",
            mask="Mask",
            Mask_indices="0,1",
        )
        quantity(data, "I", image, units="1/cm", uncertainties="Idev")
        quantity(data, "Q", image * 0.1, units="1/angstrom", resolutions="Qdev")
        data["Idev"], data["Qdev"], data["Mask"] = np.sqrt(image), image * 0.01, image > 9
    recording = open_recording(tmp_path / "a.h5")
    assert (recording.dims, recording["Q"].dims) == (("y", "x"), ("y", "x"))
    np.testing.assert_array_equal(recording["Q"].values, image * 0.1)
    np.testing.assert_array_equal(recording["uncertainty"].values, np.sqrt(image))
    np.testing.assert_array_equal(recording["Q_uncertainty"].values, image * 0.01)
    np.testing.assert_array_equal(recording["mask"].values, image > 9)
    assert [signal.path for signal in describe(tmp_path / "a.h5").signals] == ["sasentry01/sasdata01/I"]


def test_columns_of_an_esrf_scan_are_signals(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        scan = group(file, "1.1", "NXentry")
        measurement = group(scan, "measurement", "NXcollection")
        measurement["elapsed_time"], measurement["diode"] = [0.1, 0.2, 0.3], [5.0, 6.0, 7.0]
        measurement["pilatus"] = np.zeros((3, 2, 2), dtype=np.int32)
    recording = open_recording(tmp_path / "a.h5", "diode")
    assert recording.dims == ("frame",)
    assert recording["elapsed_time"].values.tolist() == [0.1, 0.2, 0.3]
    assert open_recording(tmp_path / "a.h5", "pilatus").dims == ("frame", "y", "x")


def test_a_plot_without_a_mark_lists_its_largest_arrays(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = group(group(file, "entry0", "NXentry"), "scan", "NXdata")
        data["image_01"], data["image_02"] = FRAMES, FRAMES
        data["motor"] = [1.0, 2.0]
    paths = [signal.path for signal in describe(tmp_path / "a.nxs").signals]
    assert paths == ["entry0/scan/image_01", "entry0/scan/image_02"]


def test_isis_counts_have_bin_edges_and_no_signal_is_lost(tmp_path: Path) -> None:
    counts = np.arange(24, dtype=np.int32).reshape(1, 4, 6)
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = group(group(file, "raw_data_1", "NXentry"), "detector_1", "NXdata")
        quantity(data, "counts", counts, signal=1, axes="period_index,spectrum_index,time_of_flight")
        data["period_index"], data["spectrum_index"] = [1], np.arange(1, 5)
        quantity(data, "time_of_flight", np.linspace(0, 60, 7), units="microsecond")
    recording = open_recording(tmp_path / "a.nxs")
    assert recording.dims == ("period_index", "spectrum_index", "time_of_flight")
    assert recording["time_of_flight_left"].values.tolist() == [0, 10, 20, 30, 40, 50]
    np.testing.assert_array_equal(recording.values, counts)


def test_a_nexus_file_without_plots_lists_its_arrays(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        group(group(file, "entry", "NXentry"), "notes", "NXcollection")["trace"] = np.arange(5.0)
    assert [signal.path for signal in describe(tmp_path / "a.nxs").signals] == ["entry/notes/trace"]
    assert math.isclose(float(open_recording(tmp_path / "a.nxs")[4]), 4.0)
