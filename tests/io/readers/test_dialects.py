"""Dialects one step away from the formats that the readers know, written by the tests to their public descriptions."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.io import describe, list_signals, open_recording


def febus_g1(path: Path, name: str, values: np.ndarray[Any, Any]) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update(formatVersion=[1], mode=[1], freq_offset_abs=[10750.0], freq_step=[-4.0])
        file[name], file["distances"] = values, 50.0 + np.arange(values.shape[1])
        file["start_times"] = 1.78e9 + 5.0 * np.arange(len(values))
        file["end_times"], file["temperatures"] = file["start_times"][()] + 1.0, np.full(len(values), 24.5)
    return path


def test_strain_of_febus_g1_lies_on_its_distances_and_start_times(tmp_path: Path) -> None:
    path = febus_g1(tmp_path / "a.bsl.h5", "bsl_data", np.arange(24.0, dtype="f4").reshape(4, 6))
    assert [signal.path for signal in list_signals(path)] == ["bsl_data"]
    recording = open_recording(path)
    assert (recording.dims, recording.attrs["units"]) == (("time", "channel"), "microstrain")
    assert recording["distance"].values.tolist() == [50.0, 51, 52, 53, 54, 55]
    assert recording.attrs["unix_epoch"] == 1_780_000_000
    np.testing.assert_allclose(recording["time"].values, 5.0 * np.arange(4))
    assert recording["temperatures"].values.tolist() == [24.5] * 4


def test_spectra_of_febus_g1_have_their_frequencies(tmp_path: Path) -> None:
    recording = open_recording(febus_g1(tmp_path / "a.mtx.h5", "mtx", np.zeros((4, 6, 3))))
    assert recording["frequency"].values.tolist() == [10750.0, 10746.0, 10742.0]
    assert recording["frequency"].attrs["units"] == "MHz"


def test_bands_of_prodml_state_their_frequencies_unit_and_clock(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        acquisition = file.create_group("Acquisition")
        acquisition.attrs.update({"SpatialSamplingInterval": 2.0, "SpatialSamplingInterval.uom": "m"})
        acquisition.attrs.update(NumberOfLoci=3, StartLocusIndex=0, schemaVersion="2.1")
        bands = acquisition.create_group("Processed/Fbe[0]")
        bands.attrs.update(OutputDataRate=10.0, FbeDataUnit="rad", StartLocusIndex=5)
        bands["FbeDataTime"] = np.int64(1.7e15) + np.arange(4) * 100_000
        for number in (0, 1):
            bands[f"FbeData[{number}]"] = np.full((4, 3), float(number))
            bands[f"FbeData[{number}]"].attrs.update(StartFrequency=10.0 * number, EndFrequency=10.0 * number + 10)
            bands[f"FbeData[{number}]"].attrs["Dimensions"] = [b"time", b"locus"]
    paths = [signal.path for signal in list_signals(tmp_path / "a.h5")]
    assert len(paths) == 2
    second = open_recording(tmp_path / "a.h5", "FbeData[1]")
    assert (second.attrs["start_frequency"], second.attrs["end_frequency"]) == (10.0, 20.0)
    assert (second.attrs["units"], second.attrs["sampling_rate"]) == ("rad", pytest.approx(10.0))
    assert second["distance"].values.tolist() == [10.0, 12.0, 14.0]


@pytest.mark.parametrize("name", ["datacube", "realslice"])
def test_emd_of_prismatic_names_its_array_after_what_it_is(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / "a.emd", "w") as file:
        simulation = file.create_group("4DSTEM_simulation")
        simulation.attrs.update(version_major=0, version_minor=5)
        group = simulation.create_group(f"data/{name}s/first")
        group.attrs["emd_group_type"] = 1
        group[name] = np.zeros((3, 3, 4))
        for axis, (size, label, unit) in enumerate(
            ((3, "R_x", "[n_m]"), (3, "R_y", "[n_m]"), (4, "Q_x", "[n_m^-1]")), 1
        ):
            group[f"dim{axis}"] = 0.25 * np.arange(size)
            group[f"dim{axis}"].attrs.update(name=np.bytes_(label), units=np.bytes_(unit))
    (found,) = list_signals(tmp_path / "a.emd")
    recording = open_recording(tmp_path / "a.emd", found.path)
    assert recording.dims == ("R_x", "R_y", "Q_x")
    assert recording["R_y"].values.tolist() == [0.0, 0.25, 0.5]
    assert [recording[dim].attrs["units"] for dim in recording.dims] == ["nm", "nm", "nm^-1"]
    assert describe(tmp_path / "a.emd").format == "EMD 0.5"


def openpmd(path: Path, **attributes: object) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["openPMD"] = "1.1.0"
        field = file.create_group("data/1/fields/E")
        field.attrs.update(
            axisLabels=[b"r", b"z"], gridSpacing=[1.0, 2.0], gridGlobalOffset=[0.0, 10.0], gridUnitSI=1.0
        )
        field.attrs.update(unitDimension=np.zeros(7), **attributes)
        field["z"] = np.zeros((3, 4, 5))
        field["z"].attrs.update(unitSI=1.0, position=[0.5, 0.0])
    return path


def test_modes_of_openpmd_come_before_the_axes_of_the_mesh(tmp_path: Path) -> None:
    recording = open_recording(openpmd(tmp_path / "a.h5", geometry="thetaMode", geometryParameters="m=2;imag=+"))
    assert recording.dims == ("mode", "r", "z")
    assert recording["mode"].values.tolist() == [0, 1, 1]
    assert recording["part"].values.tolist() == ["real", "real", "imaginary"]
    assert recording["r"].values.tolist() == [0.5, 1.5, 2.5, 3.5]  # in the middle of the cells, as position says
    assert recording["z"].values.tolist() == [10.0, 12.0, 14.0, 16.0, 18.0]


@pytest.mark.parametrize("half", ["Even", "Odd", ""])
def test_transforms_of_velox_are_complex_images(tmp_path: Path, half: str) -> None:
    kind = f"FloatHalf{half}" if half else "Float"
    stored = np.zeros((4, 3, 1), dtype=[(f"real{kind}", "<f4"), (f"imag{kind}", "<f4")])
    stored[f"real{kind}"], stored[f"imag{kind}"] = 2.0, -1.0
    metadata = np.frombuffer(json.dumps({"BinaryResult": {}}).encode().ljust(100, b"\0"), np.uint8)[:, None]
    with h5py.File(tmp_path / "a.emd", "w") as file:
        file["Data/FFT/0/Data"], file["Data/FFT/0/Metadata"] = stored, metadata
        file["Data/Image/1/Data"], file["Data/Image/1/Metadata"] = np.zeros((4, 4, 1), "i2"), metadata
    assert sorted(signal.path for signal in list_signals(tmp_path / "a.emd")) == [
        "Data/FFT/0/Data",
        "Data/Image/1/Data",
    ]
    recording = open_recording(tmp_path / "a.emd", "Data/FFT/0/Data")
    assert (recording.dims, recording.shape) == (("frame", "y", "x"), (1, 4, 3))
    assert set(recording.values.ravel().tolist()) == {2 - 1j}


def mantid(path: Path, indices: list[int]) -> Path:
    with h5py.File(path, "w") as file:
        entry = file.create_group("mantid_workspace_1")
        entry.attrs["NX_class"] = "NXentry"
        group = entry.create_group("event_workspace")
        group.attrs["NX_class"] = "NXdata"
        group["indices"], group["tof"] = np.array(indices, "i8"), np.arange(5.0)
        group["pulsetime"], group["weight"] = np.arange(5, dtype="i8") * 10**9, np.ones(5, "f4")
        group["error_squared"] = np.full(5, 4.0, "f4")
        group["axis1"], group["axis2"] = [0.0, 100.0], [7, 8, 9]
    return path


def test_events_of_mantid_know_their_spectrum(tmp_path: Path) -> None:
    path = mantid(tmp_path / "a.nxs", [0, 2, 2, 5])
    (found,) = list_signals(path)
    recording = open_recording(path, found.path)
    assert (recording.dims, recording.attrs["units"]) == (("event",), "microsecond")
    assert recording["spectrum"].values.tolist() == [7, 7, 9, 9, 9]
    assert recording["weight_uncertainty"].values.tolist() == [2.0] * 5
    assert recording["pulse_time"].attrs["since"] == "1990-01-01T00:00:00"


@pytest.mark.parametrize("indices", [[0, 4, 2, 5], [0, 2, 2, 9]])
def test_broken_indices_of_mantid_are_a_finding(tmp_path: Path, indices: list[int]) -> None:
    path = mantid(tmp_path / "a.nxs", indices)
    assert "ragged_overrun" in [issue.code for issue in describe(path).findings]
    assert "spectrum" not in open_recording(path, list_signals(path)[0].path).coords


def test_negative_uncertainties_are_a_finding(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = file.create_group("entry/data")
        file["entry"].attrs["NX_class"] = "NXentry"
        data.attrs.update(NX_class="NXdata", signal="I")
        data["I"], data["I_errors"] = np.arange(4.0), [1.0, -1.0, 0.0, -2.0]
    (found,) = [issue for issue in describe(tmp_path / "a.nxs").findings if issue.code == "negative_uncertainty"]
    assert "2 negative values" in found.message


def test_a_recording_of_xdas_says_when_it_began(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        for dim, size in (("time", 5), ("distance", 3)):
            file[dim] = np.zeros(size, "f4")
            file[dim].make_scale(f"This is a netCDF dimension but not a netCDF variable. {size:10d}")
        file["time_indices"], file["time_values"] = [0, 4], np.array([0, 4_000_000], "i8") + 1_700_000_000_500_000
        file["time_values"].attrs["units"] = "microseconds since 1970-01-01"
        file["x"] = np.zeros((5, 3))
        for axis, dim in enumerate(("time", "distance")):
            file["x"].dims[axis].attach_scale(file[dim])
    recording = open_recording(tmp_path / "a.nc", "x")
    assert [signal.path for signal in list_signals(tmp_path / "a.nc")] == ["x"]
    assert recording.attrs["start"] == "2023-11-14T22:13:20.500000"
    assert recording.attrs["sampling_rate"] == pytest.approx(1.0)


def test_names_of_enumerated_numbers_are_kept(tmp_path: Path) -> None:
    states = h5py.enum_dtype({"closed": 0, "open": 1, "moving": 2}, basetype="i1")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("state", data=[0, 2, 1, 1], dtype=states)
    recording = open_recording(tmp_path / "a.h5", "state")
    assert recording.values.tolist() == [0, 2, 1, 1]
    assert recording.attrs["flag_meanings"] == ["closed", "open", "moving"]
    assert recording.attrs["flag_values"] == [0, 1, 2]
