"""A denoised series goes back into a copy of its NWB file, where pynwb finds it valid and linked."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.denoise import denoise
from sciml.errors import DataError, StorageError
from sciml.io import open_recording, save_into_nwb_copy
from sciml.simulate import population_recording, write_nwb


def source_file(folder: Path) -> Path:
    return write_nwb(population_recording(n_neurons=12, duration=30.0), folder / "a.nwb")


def check_with_pynwb(path: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    with pynwb.NWBHDF5IO(path, "r") as io:
        assert pynwb.validate(io=io) == []


@pytest.mark.filterwarnings("ignore")  # what pynwb warns of is not ours
def test_rois_and_clock_are_those_of_the_original_series(tmp_path: Path) -> None:
    import pynwb

    source = source_file(tmp_path)
    before = source.read_bytes()
    recording = open_recording(source)
    cleaned = denoise(recording)
    path = save_into_nwb_copy(cleaned, source, tmp_path / "b.nwb")
    check_with_pynwb(path)
    with pynwb.NWBHDF5IO(path, "r") as io:
        file = io.read()
        series = file.processing["sciml"]["RoiResponseSeries_denoised"]
        original = file.processing["ophys"]["DfOverF"]["RoiResponseSeries"]
        assert series.rois.table.object_id == original.rois.table.object_id
        assert series.rois.object_id != original.rois.object_id
        assert series.rate == original.rate
        assert series.unit == original.unit
        np.testing.assert_allclose(series.data[:], cleaned.values, rtol=1e-6)
        assert "sciml.denoise: kept" in series.comments
    again = open_recording(path, "processing/sciml/RoiResponseSeries_denoised")
    xr.testing.assert_allclose(again.drop_attrs(), cleaned.drop_attrs(), rtol=1e-6)
    assert source.read_bytes() == before


@pytest.mark.filterwarnings("ignore")
def test_electrodes_and_timestamps_are_linked(tmp_path: Path) -> None:
    import pynwb
    from pynwb.testing.mock.ecephys import mock_ElectricalSeries
    from pynwb.testing.mock.file import mock_NWBFile

    file = mock_NWBFile()
    rng = np.random.default_rng(0)
    data = rng.normal(size=(300, 1)) @ rng.normal(size=(1, 5)) + rng.normal(size=(300, 5))
    timestamps = np.arange(300) / 100 + 1e-4 * rng.random(300)
    mock_ElectricalSeries(
        name="lfp",
        data=data,
        timestamps=timestamps,
        rate=None,
        conversion=1e-6,
        channel_conversion=np.full(5, 2.0),
        nwbfile=file,
    )
    with pynwb.NWBHDF5IO(tmp_path / "e.nwb", "w") as io:
        io.write(file)
    recording = open_recording(tmp_path / "e.nwb")
    path = save_into_nwb_copy(recording.chunk(time=70), tmp_path / "e.nwb", tmp_path / "f.nwb", name="same")
    check_with_pynwb(path)
    with h5py.File(path) as h5:
        assert isinstance(h5["processing/sciml/same"].get("timestamps", getlink=True), h5py.SoftLink)
    with pynwb.NWBHDF5IO(path, "r") as io:
        series = io.read().processing["sciml"]["same"]
        np.testing.assert_allclose(series.data[:] * series.conversion, data * 2e-6, rtol=1e-6)
        np.testing.assert_array_equal(series.timestamps[:], timestamps)
        assert len(series.electrodes) == 5
    with pytest.raises(DataError, match="expected a new name in the processing module 'sciml'"):
        save_into_nwb_copy(recording, path, tmp_path / "g.nwb", name="same")


def test_what_does_not_belong_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    source = source_file(tmp_path)
    recording = open_recording(source)
    with pytest.raises(DataError, match="expected a recording of all of"):
        save_into_nwb_copy(recording.isel(time=slice(100)), source, tmp_path / "b.nwb")
    with pytest.raises(DataError, match="to name a series of the source, got 'elsewhere'"):
        save_into_nwb_copy(recording.assign_attrs(signal="elsewhere"), source, tmp_path / "b.nwb")
    with pytest.raises(StorageError, match="exists"):
        save_into_nwb_copy(recording, source, source)
    with pytest.raises(DataError, match="another file than the source"):
        save_into_nwb_copy(recording, source, source, overwrite=True)
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(DataError, match="expected an NWB 2 file as the source"):
        save_into_nwb_copy(recording, tmp_path / "plain.h5", tmp_path / "b.nwb")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.nwb", "plain.h5"]
