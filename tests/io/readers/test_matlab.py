"""MATLAB 7.3, written by the tests as MATLAB lays it out: axes reversed, class as attribute, text before the HDF5."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.io import describe, list_signals, open_recording
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.matlab import Matlab

X = np.arange(15.0).reshape(5, 3)  # MATLAB: size(X) is 5 3


def put(group: h5py.Group, name: str, values: Any, kind: str = "double", **attrs: Any) -> h5py.Dataset:
    group[name] = np.asarray(values).T
    group[name].attrs["MATLAB_class"] = np.bytes_(kind)
    group[name].attrs.update(attrs)
    return group[name]


def struct(file: h5py.File, name: str) -> h5py.Group:
    group = file.create_group(name)
    group.attrs["MATLAB_class"] = np.bytes_("struct")
    return group


def mat(path: Path, **variables: Any) -> Path:
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in variables.items():
            put(file, name, values)
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Nov 23 12:00:00 2026 HDF5 schema 1.00 ."
    with path.open("r+b") as stream:
        stream.write(head.ljust(116) + bytes(8) + b"\x00\x02IM")
    return path


def test_a_matrix_has_the_shape_that_matlab_gives_it(tmp_path: Path) -> None:
    recording = open_recording(mat(tmp_path / "a.mat", X=X))
    assert recording.dims == ("time", "channel")
    np.testing.assert_array_equal(recording.values, X)
    assert "time" not in recording.coords
    assert "the rows are taken as samples" in recording.attrs["history"]
    assert describe(tmp_path / "a.mat").attrs["description"].startswith("MATLAB 7.3 MAT-file, Platform: GLNXA64")


def test_a_row_vector_is_one_channel(tmp_path: Path) -> None:
    recording = open_recording(mat(tmp_path / "a.mat", v=np.arange(4.0)[None]))
    assert (recording.dims, recording.shape) == (("time", "channel"), (4, 1))
    assert recording[:, 0].values.tolist() == [0, 1, 2, 3]


def test_a_vector_of_times_names_the_axis_and_is_the_clock(tmp_path: Path) -> None:
    times = np.array([0.0, 0.5, 2.0])[None]
    recording = open_recording(mat(tmp_path / "a.mat", X=X, t=times))
    assert recording.dims == ("time", "channel")
    np.testing.assert_array_equal(recording.values, X.T)
    assert recording["time"].values.tolist() == [0.0, 0.5, 2.0]
    assert "state no unit; taken as seconds" in recording.attrs["history"]


def test_a_sampling_rate_beside_the_data_is_the_clock_even_where_times_are_in_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "eeg.mat"
    data = np.arange(24.0).reshape(2, 4, 3)  # channels, samples, trials, as EEGLAB keeps them
    with h5py.File(path, "w") as file:
        eeg = struct(file, "EEG")
        put(eeg, "data", data, "single")
        put(eeg, "srate", [[250.0]])
        put(eeg, "times", [[0.0, 4.0, 8.0, 12.0]])
    recording = open_recording(path)
    assert recording.dims == ("time", "dim_0", "dim_2")
    np.testing.assert_array_equal(recording.values, data.transpose(1, 0, 2))
    np.testing.assert_allclose(recording["time"].values, np.arange(4) / 250)
    assert recording.attrs["sampling_rate"] == 250.0
    assert [signal.path for signal in list_signals(path)] == ["EEG/data"]


def test_with_a_rate_alone_the_longest_axis_is_time_and_that_is_noted(tmp_path: Path) -> None:
    recording = open_recording(mat(tmp_path / "a.mat", X=X.T, Fs=[[10.0]]), "X")
    np.testing.assert_array_equal(recording.values, X)
    assert recording.attrs["sampling_rate"] == 10.0
    assert "the longest is taken" in recording.attrs["history"]


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan])
def test_a_rate_that_is_none_is_no_clock(tmp_path: Path, rate: float) -> None:
    recording = open_recording(mat(tmp_path / "a.mat", X=X, fs=[[rate]]), "X")
    assert "sampling_rate" not in recording.attrs


def test_arrays_of_three_axes_without_a_clock_keep_numbered_dims(tmp_path: Path) -> None:
    volume = np.arange(24.0).reshape(2, 3, 4)
    recording = open_recording(mat(tmp_path / "a.mat", volume=volume))
    assert recording.dims == ("dim_0", "dim_1", "dim_2")
    np.testing.assert_array_equal(recording.values, volume)
    np.testing.assert_array_equal(recording[1, :, 2].values, volume[1, :, 2])


def test_complex_numbers_are_joined_from_their_parts(tmp_path: Path) -> None:
    z = X + 1j * X[::-1]
    pairs = np.empty(z.shape, dtype=[("real", "f8"), ("imag", "f8")])
    pairs["real"], pairs["imag"] = z.real, z.imag
    recording = open_recording(mat(tmp_path / "a.mat", z=pairs))
    assert recording.dtype == np.complex128
    np.testing.assert_array_equal(recording.values, z)
    np.testing.assert_array_equal(recording[1:3, 2].values, z[1:3, 2])


def test_what_is_no_array_of_numbers_is_named(tmp_path: Path) -> None:
    path = mat(tmp_path / "a.mat", X=X)
    with h5py.File(path, "a") as file:
        file["#refs#/b"] = np.arange(3.0)[:, None]
        put(file, "trials", np.array([[file["#refs#/b"].ref]], dtype=h5py.ref_dtype), "cell")
        put(file, "nothing", np.array([0, 0], dtype=np.uint64), "double", MATLAB_empty=1)
        put(file, "name", np.array([[104, 105]], dtype=np.uint16), "char")
        put(file, "when", np.array([[1, 2]], dtype=np.uint32), "datetime")
        sparse = file.create_group("S")
        sparse.attrs.update(MATLAB_class=np.bytes_("double"), MATLAB_sparse=np.uint64(9))
        sparse["data"], sparse["ir"], sparse["jc"] = [1.0, 2.0], [0, 1], [0, 1, 2]
        struct(file, "many")["field"] = np.array([[file["#refs#/b"].ref]], dtype=h5py.ref_dtype)
    found = describe(path)
    assert [signal.path for signal in found.signals] == ["X"]
    words = "\n".join(map(str, found.findings))
    assert "trials is a cell array of shape (1, 1); its cells open by path with their axes reversed: #refs#/b" in words
    assert "S is a sparse matrix of 9 rows" in words
    assert "many is a struct array; of its fields field" in words
    assert "when is of class datetime" in words
    assert "nothing" not in words


def test_references_to_nothing_are_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("cells", (2, 1), dtype=h5py.ref_dtype).attrs["MATLAB_class"] = np.bytes_("cell")
    found = describe(path)
    assert tuple(map(str, found.findings)) == ("cells is a cell array of shape (1, 2)",)
    assert found.reason is not None


def test_no_real_file_of_another_format_is_taken_for_matlab(data_dir: Path) -> None:
    for path in sorted(data_dir.iterdir()):
        if h5py.is_hdf5(path):
            with open_tree(path) as tree:
                assert Matlab().sniff(tree) == 0, path.name


def text(group: h5py.Group, name: str, value: str) -> None:
    put(group, name, np.frombuffer(value.encode("utf-16-le"), "u2")[None], "char")


def cell(file: h5py.File, group: h5py.Group, name: str, parts: list[Any]) -> None:
    """Put a cell array of texts and arrays: references to what lies under #refs#."""
    refs = []
    for part in parts:
        label = f"r{len(file.require_group('#refs#'))}"
        if isinstance(part, str):
            text(file["#refs#"], label, part)
        else:
            put(file["#refs#"], label, part)
        refs.append(file["#refs#"][label].ref)
    group.create_dataset(name, data=np.array([refs], dtype=h5py.ref_dtype))
    group[name].attrs["MATLAB_class"] = np.bytes_("cell")


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (5, 5), (7, 5, 3)])
def test_stated_sizes_say_which_axis_of_eeglab_is_time(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = mat(tmp_path / "a.set")
    values = np.arange(float(np.prod(shape))).reshape(shape)
    with h5py.File(path, "r+") as file:
        group = struct(file, "EEG")
        put(group, "data", values)
        sizes = {"nbchan": shape[0], "pnts": shape[1], "trials": (*shape, 1)[2]}
        for name, value in {**sizes, "srate": 100.0, "xmin": -0.02}.items():
            put(group, name, [[float(value)]])
        put(group, "times", np.arange(shape[1])[None] * 10.0)  # EEGLAB counts them in ms
    recording = open_recording(path, "EEG/data")
    assert recording.dims == ("time", "channel", "trial")[: len(shape)]
    np.testing.assert_array_equal(recording.values, np.moveaxis(values, 1, 0))
    np.testing.assert_allclose(recording["time"].values, np.arange(shape[1]) / 100 - 0.02)


def raw(path: Path, sizes: list[int], *, rate: float | None = 100.0) -> Path:
    with h5py.File(mat(path), "r+") as file:
        group = struct(file, "data")
        cell(file, group, "label", ["Fz", "Cz", "Pz"])
        cell(file, group, "trial", [np.arange(3.0 * n).reshape(3, n) for n in sizes])
        cell(file, group, "time", [np.arange(n)[None] / 100 - 0.1 for n in sizes])
        if rate is not None:
            put(group, "fsample", [[rate]])
        put(group, "sampleinfo", [[1.0, 2.0], [3.0, 4.0]])
        sensors = group.create_group("elec")
        sensors.attrs["MATLAB_class"] = np.bytes_("struct")
        put(sensors, "chanpos", np.zeros((3, 3)))  # describes the channels, and is no signal
    return path


@pytest.mark.parametrize("rate", [100.0, None])
def test_raw_data_of_fieldtrip_are_one_recording_a_trial(tmp_path: Path, rate: float | None) -> None:
    path = raw(tmp_path / "a.mat", [40, 2], rate=rate)
    assert [signal.path for signal in list_signals(path)] == ["data/trial/1", "data/trial/2"]
    recording = open_recording(path, "data/trial/1")
    np.testing.assert_array_equal(recording.values, np.arange(120.0).reshape(3, 40).T)
    assert recording["channel"].values.tolist() == ["Fz", "Cz", "Pz"]
    np.testing.assert_allclose(recording["time"].values, np.arange(40) / 100 - 0.1)


def test_trials_of_one_length_stack(tmp_path: Path) -> None:
    recording = open_recording(raw(tmp_path / "a.mat", [40, 40]), "data/trial/*")
    assert recording.dims == ("time", "trial", "channel")


def test_a_dimord_of_fieldtrip_names_the_axes(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    with h5py.File(mat(tmp_path / "a.mat"), "r+") as file:
        group = struct(file, "timelock")
        cell(file, group, "label", ["Fz", "Cz", "Pz"])
        text(group, "dimord", "rpt_chan_time")
        put(group, "trial", values)
        put(group, "avg", values.mean(axis=0))
        put(group, "time", np.arange(4)[None] * 0.5)
        spectrum = struct(file, "freq")
        cell(file, spectrum, "label", ["Fz", "Cz", "Pz"])
        text(spectrum, "dimord", "chan_freq")
        put(spectrum, "powspctrm", values[0])
        put(spectrum, "freq", [[1.0, 2.0, 4.0, 8.0]])
    recording = open_recording(tmp_path / "a.mat", "timelock/trial")
    assert recording.dims == ("time", "trial", "channel")
    np.testing.assert_array_equal(recording.values, np.moveaxis(values, 2, 0))
    assert recording["time"].values.tolist() == [0.0, 0.5, 1.0, 1.5]
    assert open_recording(tmp_path / "a.mat", "timelock/avg").dims == ("time", "channel")
    power = open_recording(tmp_path / "a.mat", "freq/powspctrm")
    assert power.dims == ("channel", "frequency")
    assert power["frequency"].values.tolist() == [1.0, 2.0, 4.0, 8.0]
    assert len(list_signals(tmp_path / "a.mat")) == 3


@pytest.mark.parametrize("shape", [(8, 1), (1, 8)])
def test_times_beside_a_variable_are_its_clock(tmp_path: Path, shape: tuple[int, int]) -> None:
    times = np.arange(8) / 100
    with h5py.File(tmp_path / "a.mat", "w") as file:
        for name, values in (("x", np.zeros((2, 8))), ("t", times.reshape(shape))):
            file[name] = values
            file[name].attrs["MATLAB_class"] = np.bytes_(b"double")
    assert open_recording(tmp_path / "a.mat", "x").attrs["sampling_rate"] == pytest.approx(100.0)
    with h5py.File(tmp_path / "a.mat", "r+") as file:
        file["t"][...] = np.array([0.0, 1, 2, 3, 2, 4, 5, 6]).reshape(shape)
    assert "clock_order" in [issue.code for issue in describe(tmp_path / "a.mat").findings]


def test_times_one_short_are_a_finding_and_no_clock(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.mat", "w") as file:
        for name, values in (("x", np.zeros((2, 8))), ("t", np.arange(7.0)[:, None])):
            file[name] = values
            file[name].attrs["MATLAB_class"] = np.bytes_(b"double")
    (found,) = [issue for issue in describe(tmp_path / "a.mat").findings if issue.code == "clock_order"]
    assert "t has 7 times for 8 samples" in found.message
    assert "time" not in open_recording(tmp_path / "a.mat", "x").coords
