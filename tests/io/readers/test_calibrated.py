"""HyperSpy, openPMD, Imaris, BigDataViewer, H5MD and SNIRF, on files written to their specifications."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.io import describe, open_recording, read_events


def test_axes_of_hyperspy_have_step_offset_and_unit(tmp_path: Path) -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        file.attrs.update(file_format="HyperSpy", file_format_version="3.3")
        group = file.create_group("Experiments/map")
        group["data"] = values
        axes = (("y", 2.0, 0.0, "nm"), ("x", 2.0, 1.0, "nm"), ("Energy", 0.01, -0.5, "keV"))
        for number, (name, scale, offset, units) in enumerate(axes):
            group.create_group(f"axis-{number}").attrs.update(name=name, scale=scale, offset=offset, units=units)
        group.create_group("metadata/Signal").attrs["quantity"] = "X-rays (Counts)"
    recording = open_recording(tmp_path / "a.hspy")
    assert (recording.dims, recording.attrs["units"]) == (("y", "x", "Energy"), "Counts")
    np.testing.assert_allclose(recording["Energy"].values, [-0.5, -0.49, -0.48, -0.47])
    assert recording["Energy"].attrs["units"] == "keV"
    np.testing.assert_array_equal(recording.values, values)


def test_a_time_axis_of_hyperspy_is_a_clock_and_comes_first(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        file.attrs["file_format"] = "HyperSpy"
        group = file.create_group("Experiments/series")
        group["data"] = np.arange(6.0).reshape(2, 3)
        group.create_group("axis-0").attrs.update(name="x", scale=1.0, offset=0.0, units="nm")
        group.create_group("axis-1").attrs.update(name="time", scale=20.0, offset=100.0, units="ms")
    recording = open_recording(tmp_path / "a.hspy")
    assert recording.sizes == {"time": 3, "x": 2}
    np.testing.assert_allclose(recording["time"].values, [0.1, 0.12, 0.14])
    assert recording.attrs["sampling_rate"] == pytest.approx(50.0)


def test_meshes_of_openpmd_are_in_si_units(tmp_path: Path) -> None:
    stored = np.arange(6, dtype=np.float32).reshape(2, 3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update(openPMD="1.1.0", basePath="/data/%T/", meshesPath="fields/", particlesPath="particles/")
        step = file.create_group("data/100")
        step.attrs.update(time=2.0, timeUnitSI=1e-15, dt=1.0)
        field = step.create_group("fields/E")
        field.attrs.update(axisLabels=[b"z", b"x"], gridSpacing=[2.0, 1.0], gridGlobalOffset=[10.0, 0.0])
        field.attrs.update(gridUnitSI=1e-6, unitDimension=[1.0, 1.0, -3.0, -1.0, 0.0, 0.0, 0.0])
        field["x"] = stored
        field["x"].attrs.update(unitSI=1e9, position=[0.0, 0.0])
        weights = step.create_group("particles/e").create_dataset("weighting", data=np.ones(4))
        weights.attrs.update(unitSI=1.0, unitDimension=np.zeros(7))
    recording = open_recording(tmp_path / "a.h5", "fields/E/x")
    np.testing.assert_allclose(recording.values, stored * 1e9)
    assert (recording.dims, recording.attrs["units"]) == (("z", "x"), "m kg s^-3 A^-1")
    np.testing.assert_allclose(recording["z"].values, [10e-6, 12e-6])
    assert recording.attrs["iteration_time"] == pytest.approx(2e-15)
    assert open_recording(tmp_path / "a.h5", "weighting").dims == ("event",)


def letters(text: str) -> np.ndarray:
    return np.array(list(text), "S1")


def test_padding_of_imaris_is_cut_and_voxels_have_places(tmp_path: Path) -> None:
    stored = np.zeros((4, 8, 8), np.uint8)
    stored[:3, :5, :6] = np.arange(90).reshape(3, 5, 6)
    with h5py.File(tmp_path / "a.ims", "w") as file:
        file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"] = stored
        image = file.create_group("DataSetInfo/Image")
        for name, text in (("X", "6"), ("Y", "5"), ("Z", "3"), ("Unit", "um")):
            image.attrs[name] = letters(text)
        for axis, high in enumerate(("12.0", "5.0", "3.0")):
            image.attrs[f"ExtMin{axis}"], image.attrs[f"ExtMax{axis}"] = letters("0"), letters(high)
    recording = open_recording(tmp_path / "a.ims")
    np.testing.assert_array_equal(recording.values, stored[:3, :5, :6])
    np.testing.assert_array_equal(recording.isel(z=1, x=[5, 0]).values, stored[1, :5][:, [5, 0]])
    np.testing.assert_array_equal(recording.isel(z=slice(None, None, -1)).values, stored[2::-1, :5, :6])
    assert recording["x"].values.tolist() == [1.0, 3.0, 5.0, 7.0, 9.0, 11.0]
    assert recording["x"].attrs["units"] == "micrometer"


def test_volumes_of_bigdataviewer_are_unsigned(tmp_path: Path) -> None:
    true = np.array([[[0, 40000], [65535, 7]]], np.uint16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["t00000/s00/0/cells"] = true.view(np.int16)
        file["s00/resolutions"], file["s00/subdivisions"] = [[1.0, 1.0, 2.0]], [[16, 16, 16]]
    recording = open_recording(tmp_path / "a.h5")
    np.testing.assert_array_equal(recording.values, true)
    assert recording.dims == ("z", "y", "x")


def test_trajectories_of_h5md_keep_their_units_and_clock(tmp_path: Path) -> None:
    places = np.arange(18.0).reshape(3, 2, 3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("h5md").attrs["version"] = [1, 1]
        group = file.create_group("particles/all/position")
        group["value"], group["step"], group["time"] = places, [0, 10, 20], [0.0, 2.0, 4.0]
        group["value"].attrs["unit"], group["time"].attrs["unit"] = "nm", "ps"
        energy = file.create_group("observables/energy")
        energy["value"], energy["step"], energy["time"] = [1.0, 2.0, 3.0], 10, 0.5
        energy["time"].attrs["offset"] = 1.0
    recording = open_recording(tmp_path / "a.h5")
    assert (recording.dims, recording.attrs["units"]) == (("time", "particle", "axis"), "nm")
    np.testing.assert_allclose(recording["time"].values, [0.0, 2e-12, 4e-12])
    energy = open_recording(tmp_path / "a.h5", "energy")
    assert energy["time"].values.tolist() == [1.0, 1.5, 2.0]
    assert "reduced units" in energy.attrs["history"]


@pytest.mark.parametrize("short", [True, False])
def test_channels_of_snirf_have_source_detector_and_wavelength(tmp_path: Path, short: bool) -> None:
    values = np.arange(20.0).reshape(5, 4)
    with h5py.File(tmp_path / "a.snirf", "w") as file:
        file["formatVersion"] = "1.1"
        nirs = file.create_group("nirs")
        nirs["metaDataTags/TimeUnit"], nirs["metaDataTags/MeasurementDate"] = "ms", "2024-01-02"
        nirs["metaDataTags/MeasurementTime"] = "03:04:05Z"
        nirs["probe/wavelengths"] = [760.0, 850.0]
        nirs["data1/dataTimeSeries"] = values
        nirs["data1/time"] = [100.0, 50.0] if short else 100.0 + 50 * np.arange(5)
        for number in range(4):
            one = nirs.create_group(f"data1/measurementList{number + 1}")
            one["sourceIndex"], one["detectorIndex"] = number // 2 + 1, 3
            one["wavelengthIndex"], one["dataType"] = number % 2 + 1, 1
        nirs["stim1/name"], nirs["stim1/data"] = "tap", [[1.0, 5.0, 1.0], [20.0, 5.0, 2.0]]
        nirs["aux1/name"], nirs["aux1/dataTimeSeries"], nirs["aux1/time"] = "heart", [1.0, 2.0, 3.0], [0.0, 1.0, 2.0]
    recording = open_recording(tmp_path / "a.snirf")
    np.testing.assert_array_equal(recording.values, values)
    np.testing.assert_allclose(recording["time"].values, 0.1 + 0.05 * np.arange(5))
    assert recording.attrs["sampling_rate"] == pytest.approx(20.0)
    assert recording["source_index"].values.tolist() == [1, 1, 2, 2]
    assert recording["wavelength"].values.tolist() == [760.0, 850.0, 760.0, 850.0]
    assert describe(tmp_path / "a.snirf").attrs["start"] == "2024-01-02T03:04:05Z"
    assert read_events(tmp_path / "a.snirf", "stim1")["stop_time"].values.tolist() == [6.0, 25.0]
    assert open_recording(tmp_path / "a.snirf", "nirs/aux1/dataTimeSeries").attrs["name"] == "heart"


def test_an_axis_of_hyperspy_that_is_not_uniform_has_its_values(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        file.attrs["file_format"] = "HyperSpy"
        group = file.create_group("Experiments/spectrum")
        group["data"] = np.zeros(4)
        axis = group.create_group("axis-0")
        axis.attrs.update(name="Energy", units="eV", _type="DataAxis")
        axis["axis"] = [1.0, 10.0, 100.0, 1000.0]
    energy = open_recording(tmp_path / "a.hspy")["Energy"]
    assert energy.values.tolist() == [1.0, 10.0, 100.0, 1000.0]
    assert energy.attrs["units"] == "eV"
