"""Visibilities: complex numbers, flags and axes, on a real file and on ones written to the memo."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, list_signals, open_recording

RNG = np.random.default_rng(0)
N_ROWS, N_FREQUENCIES, N_POLARIZATIONS = 6, 5, 2
PAIR = np.dtype([("r", "<i4"), ("i", "<i4")])


def test_values_flags_and_axes_are_those_of_h5py(data_dir: Path) -> None:
    path = data_dir / "hera_2459114.uvh5"
    recording = open_recording(path)
    with h5py.File(path) as file:
        stored = file["Data/visdata"][()]
        np.testing.assert_array_equal(recording.values, stored["r"] + 1j * stored["i"])
        np.testing.assert_array_equal(recording[2, 1, 5:9].values, (stored["r"] + 1j * stored["i"])[2, 1, 5:9])
        np.testing.assert_array_equal(recording.mask, file["Data/flags"][()])
        np.testing.assert_array_equal(recording.n_samples, file["Data/nsamples"][()])
        np.testing.assert_array_equal(recording.frequency, file["Header/freq_array"][0])
        np.testing.assert_array_equal(recording.antenna_1, file["Header/ant_1_array"][()])
    # The correlator writes polarization before frequency; the header's sizes tell.
    assert recording.dims == ("baseline_time", "polarization", "frequency")
    assert recording.polarization.values.tolist() == ["XX", "YY", "XY", "YX"]
    assert recording.frequency.attrs["units"] == "Hz"
    assert recording.attrs["units"] == ""
    assert recording.attrs["units_raw"] == "UNCALIB"
    # Its times are those of another table: 10920 rows for 12.
    assert "time" not in recording.coords
    assert "time_array has shape (10920,)" in recording.attrs["history"]


def _write(path: Path, *, values: np.ndarray | None = None, n_baselines: int = 3, **header: object) -> np.ndarray:
    shape = (N_ROWS, N_FREQUENCIES, N_POLARIZATIONS)
    if values is None:
        values = np.zeros(shape, PAIR)
        values["r"], values["i"] = RNG.integers(-99, 99, (2, *shape))
    entries = {
        "Nbls": n_baselines,
        "Nfreqs": N_FREQUENCIES,
        "Npols": N_POLARIZATIONS,
        "freq_array": np.linspace(1e8, 2e8, N_FREQUENCIES),
        "polarization_array": np.array([-1, 99]),
        "time_array": 2459114.6 + np.arange(N_ROWS) // n_baselines * 10.0 / 86400.0,
        "ant_1_array": np.zeros(N_ROWS, int),
        "ant_2_array": np.arange(N_ROWS) % n_baselines,
        "uvw_array": RNG.standard_normal((N_ROWS, 3)),
        "vis_units": b"Jy",
    } | header
    with h5py.File(path, "w") as file:
        for name, value in entries.items():
            if value is not None:
                file[f"Header/{name}"] = value
        file["Data/visdata"] = values
        file["Data/flags"] = np.abs(values["r"] if values.dtype.names else values.real) > 50
    return values


def test_rows_of_equal_baselines_become_time_and_baseline(tmp_path: Path) -> None:
    values = _write(tmp_path / "a.uvh5")
    expected = (values["r"] + 1j * values["i"]).reshape(2, 3, N_FREQUENCIES, N_POLARIZATIONS)
    recording = open_recording(tmp_path / "a.uvh5")
    assert recording.dims == ("time", "baseline", "frequency", "polarization")
    np.testing.assert_array_equal(recording.values, expected)
    np.testing.assert_array_equal(recording.mask, np.abs(expected.real) > 50)
    # A Julian date resolves 40 us.
    np.testing.assert_allclose(recording.time, [0, 10], atol=5e-5)
    assert recording.baseline.values.tolist() == ["0-0", "0-1", "0-2"]
    assert recording.polarization.values.tolist() == ["RR", "99"]
    assert recording.attrs["units"] == "Jy"
    with h5py.File(tmp_path / "a.uvh5") as file:
        np.testing.assert_array_equal(recording.u, file["Header/uvw_array"][:, 0].reshape(2, 3))
    assert recording.u.attrs["units"] == "m"


@pytest.mark.parametrize(
    "key",
    [
        (1, 2, 3, 1),
        (1, slice(None), slice(1, 4), 0),
        (slice(None), [0, 2], 2, slice(None)),
        ([1, 0], slice(1, 2)),
        (slice(None), 1, [0, 3, 4], 1),
        (slice(None), slice(0, 3, 2), 2, [1, 0]),
        (slice(None), slice(0, 3, 2), [4, 1]),
        (slice(0, 0), slice(None), 1),
        ([0, 1], [2, 0], [1, 3], [0, 1]),
        (slice(None, None, -1), slice(None, None, -1)),
    ],
)
def test_time_and_baseline_are_indexed_as_numpy_does(tmp_path: Path, key: tuple[Any, ...]) -> None:
    values = _write(tmp_path / "a.uvh5")
    expected: np.ndarray = (values["r"] + 1j * values["i"]).reshape(2, 3, N_FREQUENCIES, N_POLARIZATIONS)
    for axis, item in reversed(list(enumerate(key))):
        expected = expected[(slice(None),) * axis + (item,)]
    np.testing.assert_array_equal(open_recording(tmp_path / "a.uvh5")[key].values, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"time_array": 2459114.0 + np.arange(N_ROWS) % 2},  # one baseline after the other
        {"ant_2_array": np.array([0, 1, 2, 0, 2, 1])},  # another order at the second time
        {"time_array": 2459114.0 + np.array([0, 0, 0, 0, 1, 1])},  # a row is missing
        {"time_array": 2459114.0 - np.arange(N_ROWS) // 3},  # backward
        {"time_array": np.full(N_ROWS, np.nan)},
    ],
)
def test_other_rows_stay_as_they_are(tmp_path: Path, change: dict[str, Any]) -> None:
    values = _write(tmp_path / "a.uvh5", **change)
    recording = open_recording(tmp_path / "a.uvh5")
    assert recording.dims[0] == "baseline_time"
    np.testing.assert_array_equal(recording.values, values["r"] + 1j * values["i"])
    assert {"time", "baseline", "antenna_1", "u"} <= set(recording.coords)


@pytest.mark.parametrize(("dtype", "expected"), [("<c8", np.complex64), (">c16", np.complex128)])
def test_complex_numbers_of_hdf5_keep_their_precision(tmp_path: Path, dtype: str, expected: type) -> None:
    values = RNG.standard_normal((N_ROWS, 1, N_FREQUENCIES, N_POLARIZATIONS)).astype(dtype)
    _write(tmp_path / "a.uvh5", values=values, Nspws=1, freq_array=np.linspace(1e8, 2e8, N_FREQUENCIES)[None])
    recording = open_recording(tmp_path / "a.uvh5")
    assert recording.dims == ("time", "baseline", "window", "frequency", "polarization")
    assert recording.dtype == expected
    np.testing.assert_array_equal(recording.values, values.reshape(2, 3, *values.shape[1:]))
    assert recording.sizes["frequency"] == recording.frequency.size


def test_dtype_is_that_asked_for(tmp_path: Path) -> None:
    values = _write(tmp_path / "a.uvh5")
    recording = open_recording(tmp_path / "a.uvh5", dtype="complex64")
    assert recording.dtype == np.complex64
    np.testing.assert_array_equal(recording.values.reshape(values.shape), values["r"] + 1j * values["i"])


@pytest.mark.parametrize(
    "values", [np.zeros((N_ROWS, 7, N_POLARIZATIONS), PAIR), np.zeros((N_ROWS, 5), PAIR), np.zeros((2, 5, 2), "S3")]
)
def test_visibilities_that_do_not_fit_are_a_finding(tmp_path: Path, values: np.ndarray) -> None:
    with h5py.File(tmp_path / "a.uvh5", "w") as file:
        file["Data/visdata"] = values
        file["Header/freq_array"] = np.arange(5.0)
        file["Header/Nfreqs"], file["Header/Npols"] = 5, 2
    info = describe(tmp_path / "a.uvh5")
    assert not info.signals
    assert any("Data/visdata" in finding.message for finding in info.findings)
    with pytest.raises(DataError):
        open_recording(tmp_path / "a.uvh5")


@pytest.mark.parametrize("name", ["time_array", "ant_1_array", "polarization_array", "uvw_array", "Nbls"])
@pytest.mark.parametrize("value", [None, b"text", np.zeros((2, 2, 2)), np.full(2, np.nan), np.zeros(N_ROWS, complex)])
def test_a_header_that_lacks_an_entry_loses_only_that(tmp_path: Path, name: str, value: Any) -> None:
    values = _write(tmp_path / "a.uvh5", **{name: value})
    recording = open_recording(tmp_path / "a.uvh5")
    np.testing.assert_array_equal(recording.values.reshape(values.shape), values["r"] + 1j * values["i"])
    assert "frequency" in recording.coords


def test_flags_of_another_shape_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path / "a.uvh5")
    with h5py.File(tmp_path / "a.uvh5", "a") as file:
        del file["Data/flags"]
        file["Data/flags"] = np.zeros((2, 2, 2), bool)
    recording = open_recording(tmp_path / "a.uvh5")
    assert "mask" not in recording.coords
    assert "Data/flags of shape (2, 2, 2) is left out" in recording.attrs["history"]
    assert len(list_signals(tmp_path / "a.uvh5")) == 1


def test_a_column_that_does_not_fit_is_a_finding(tmp_path: Path) -> None:
    _write(tmp_path / "a.uvh5", time_array=np.arange(99.0))
    assert any("time_array has shape (99,)" in issue.message for issue in describe(tmp_path / "a.uvh5").findings)
    assert open_recording(tmp_path / "a.uvh5").attrs["history"].count("time_array") == 1
