"""Series of GWpy and PyCBC: start, spacing and unit from attributes."""

from pathlib import Path

import h5py
import numpy as np

from sciml.io import describe, open_recording

START, RATE = 968654552, 16384


def test_a_series_of_gwpy_has_its_clock_unit_and_gps_second(tmp_path: Path) -> None:
    values = np.sin(np.arange(64.0)) * 1e-21
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        for name in ("H1:STRAIN", "L1:STRAIN"):
            file[name] = values
            file[name].attrs.update(channel=name, name=name, unit="strain", x0=START + 0.5, dx=1 / RATE)
    recording = open_recording(tmp_path / "a.hdf", "H1:STRAIN")
    assert (recording.attrs["units"], recording.attrs["sampling_rate"]) == ("strain", RATE)
    assert recording.attrs["gps_epoch"] == START
    np.testing.assert_array_equal(recording["time"].values, 0.5 + np.arange(64) / RATE)
    np.testing.assert_array_equal(recording.values, values)
    assert open_recording(tmp_path / "a.hdf", "*STRAIN").sizes == {"time": 64, "channel": 2}


def test_a_spectrogram_has_both_axes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["asd"] = np.ones((3, 4))
        file["asd"].attrs.update(x0=10.0, dx=2.0, y0=5.0, dy=0.5, yunit="Hz", xunit="s", channel="H1:STRAIN")
    recording = open_recording(tmp_path / "a.hdf")
    assert recording.dims == ("time", "frequency")
    assert recording["frequency"].values.tolist() == [5.0, 5.5, 6.0, 6.5]
    assert recording.attrs["sampling_rate"] == 0.5


def test_series_of_pycbc_are_told_from_spectra(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["strain"], file["psd"] = np.ones(8), np.ones(5)
        file["strain"].attrs.update(start_time=2.0, delta_t=0.25)
        file["psd"].attrs.update(epoch=2.0, delta_f=0.5)
    assert describe(tmp_path / "a.hdf").format == "GWpy series"
    assert open_recording(tmp_path / "a.hdf", "strain")["time"].values[:2].tolist() == [2.0 - 2, 2.25 - 2]
    assert open_recording(tmp_path / "a.hdf", "psd")["frequency"].values.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
