"""Real recordings: what is read equals plain h5py arithmetic, and every file is described."""

import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, list_signals, open_recording, read_events
from sciml.recording import segments

WORM = "nwb_scholz2018_141721.nwb"
PROBE = "nwb_openephys_tetrodes_rate.nwb"
STRAIN = "gwosc_H1_GW150914_4k_32s.hdf5"


def test_every_file_is_described_in_words_and_all_of_them_quickly(data_dir: Path) -> None:
    files = sorted(path for path in data_dir.iterdir() if path.name != "README.md")
    began = time.perf_counter()
    for path in files:
        if ".nii" in path.name:
            with pytest.raises(DataError, match="NIfTI"):
                describe(path)
            continue
        found = describe(path)
        assert found.signals or found.reason
        assert all(signal.n_bytes > 0 and len(signal.dims) == len(signal.shape) for signal in found.signals)
    assert time.perf_counter() - began < 10  # 0.6 s alone on an idle core


def test_every_listed_signal_opens_and_its_first_rows_are_those_of_h5py(data_dir: Path) -> None:
    opened = 0
    for path in sorted(data_dir.iterdir()):
        if ".nii" in path.name or path.name == "README.md":
            continue
        unreadable = " ".join(str(found) for found in describe(path).findings if "cannot be read" in found.message)
        for signal in list_signals(path)[:4]:
            recording = open_recording(path, signal.path, raw=True)
            assert (recording.dims, recording.shape) == (signal.dims, signal.shape)
            if signal.path in unreadable:
                with pytest.raises(DataError):
                    recording[:1].load()
                continue
            with h5py.File(path) as file:
                found = file.get(signal.path)
                found = found.get("data") if isinstance(found, h5py.Group) else found
                if found is None or found.shape != signal.shape or found.dtype.names:
                    continue  # axes turned round, or values joined from several: the tests of the reader compare them
                stored = found[:3]
            np.testing.assert_array_equal(recording[:3].values, stored)
            opened += 1
    assert opened > 50


def test_neurons_stored_one_by_one_stack_to_time_by_roi_and_the_gaps_survive(data_dir: Path) -> None:
    recording = open_recording(data_dir / WORM, "acquisition/Activity_*")
    assert recording.dims == ("time", "roi")
    assert recording.shape == (2244, 62)
    assert recording["roi"].values[[0, 61]].tolist() == ["Activity_0000", "Activity_0061"]
    with h5py.File(data_dir / WORM) as file:
        stored = np.stack([file[f"acquisition/Activity_{k:04d}/data"][()] for k in range(62)], axis=1)
        timestamps = file["acquisition/Activity_0000/timestamps"][()]
    np.testing.assert_array_equal(recording.values, stored)
    np.testing.assert_array_equal(recording["time"].values, timestamps)
    assert np.diff(timestamps).max() > 40
    assert "sampling_rate" not in recording.attrs
    assert len(segments(recording)) == 1 + np.count_nonzero(np.diff(timestamps) > 1.5 * np.median(np.diff(timestamps)))


def test_voltages_are_counts_times_conversion_with_electrodes_along_channel(data_dir: Path) -> None:
    recording = open_recording(data_dir / PROBE)
    with h5py.File(data_dir / PROBE) as file:
        counts = file["acquisition/ElectricalSeries/data"][()]
    assert recording.dtype == np.float32
    np.testing.assert_array_equal(recording.values, (counts * 0.05e-6).astype(np.float32))
    np.testing.assert_array_equal(open_recording(data_dir / PROBE, raw=True).values, counts)
    assert recording.attrs["units"] == "volts"
    assert recording.attrs["sampling_rate"] == 40000.0
    assert recording["channel_name"].values.tolist() == [f"CH{k}" for k in range(1, 17)]
    assert recording["group"].values[[0, -1]].tolist() == ["tetrode0", "tetrode3"]


def test_values_and_electrodes_agree_with_pynwb(data_dir: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    recording = open_recording(data_dir / PROBE, dtype="float64")
    with pynwb.NWBHDF5IO(data_dir / PROBE, "r") as stream:
        series = stream.read().acquisition["ElectricalSeries"]
        np.testing.assert_allclose(recording[:500].values, series.get_data_in_units()[:500], rtol=1e-15)
        table = series.electrodes.to_dataframe()
        assert recording["location"].values.tolist() == table["location"].tolist()
        assert recording["channel"].values.tolist() == table.index.tolist()
        np.testing.assert_allclose(recording["time"].values[:500], series.get_timestamps()[:500], rtol=0, atol=1e-12)


def test_fluorescence_has_its_rois_as_coordinates(data_dir: Path) -> None:
    recording = open_recording(data_dir / "nwb_suite2p_pixelmask.nwb", "Neuropil")
    with h5py.File(data_dir / "nwb_suite2p_pixelmask.nwb") as file:
        cells = file["processing/ophys/ImageSegmentation/PlaneSegmentation/iscell"][()]
        stored = file["processing/ophys/Fluorescence/Neuropil/data"][()]
    np.testing.assert_array_equal(recording.values, stored)
    np.testing.assert_array_equal(recording["iscell_1"].values, cells[:, 1])


def test_movies_are_time_y_x(data_dir: Path) -> None:
    recording = open_recording(data_dir / "nwb_neurofinder_a.nwb")
    assert recording.dims == ("time", "y", "x")
    with h5py.File(data_dir / "nwb_neurofinder_a.nwb") as file:
        np.testing.assert_array_equal(recording[37].values, file["acquisition/TwoPhotonSeries/data"][37])


def test_strain_carries_its_epoch_flags_and_mask(data_dir: Path) -> None:
    recording = open_recording(data_dir / STRAIN)
    with h5py.File(data_dir / STRAIN) as file:
        np.testing.assert_array_equal(recording.values, file["strain/Strain"][()])
        flags = np.repeat(file["quality/simple/DQmask"][()], 4096)
    np.testing.assert_array_equal(recording["quality"].values, flags)
    assert recording["quality"].attrs["flags"][0] == "DATA"
    assert not recording["mask"].values.any()
    assert recording.attrs["gps_epoch"] == 1126259446
    assert (recording.attrs["units"], recording.attrs["sampling_rate"]) == ("strain", 4096.0)
    assert float(recording["time"][-1]) == 131071 / 4096


def test_the_default_plot_of_a_spectrometer_keeps_its_bin_edges(data_dir: Path) -> None:
    recording = open_recording(data_dir / "nexus_ipns_chopper.nxs")
    with h5py.File(data_dir / "nexus_ipns_chopper.nxs") as file:
        np.testing.assert_array_equal(recording.values, file["entry/data/data"][()])
        edges = file["entry/data/time_of_flight"][()]
    assert recording.dims == ("polar_angle", "time_of_flight")
    np.testing.assert_array_equal(recording["time_of_flight_left"].values, edges[:-1])
    np.testing.assert_array_equal(recording["time_of_flight_right"].values, edges[1:])
    assert recording["time_of_flight"].attrs["units"] == "microseconds"


def test_cansas_uncertainties_are_a_coordinate(data_dir: Path) -> None:
    recording = open_recording(data_dir / "nexus_isis_33837_canSAS2D.h5")
    with h5py.File(data_dir / "nexus_isis_33837_canSAS2D.h5") as file:
        np.testing.assert_array_equal(recording["uncertainty"].values, file["sasentry01/sasdata/Idev"][()])
        np.testing.assert_array_equal(recording["Qy"].values, file["sasentry01/sasdata/Qy"][()])


def test_epochs_are_read_with_their_tags(data_dir: Path) -> None:
    events = read_events(data_dir / "nwb_units_A8604.nwb", "epochs")
    assert events["tags"].values.tolist() == ["wake"]
    assert events["stop_time"].dims == ("event",)


def test_spike_trains_without_series_are_trains_and_counts(data_dir: Path) -> None:
    found = describe(data_dir / "nwb_units_A8604.nwb")
    assert [signal.path for signal in found.signals] == ["units/spike_times", "units/binned"]
    assert ("units", 3) in [(table.name, table.rows) for table in found.tables]
    with pytest.raises(DataError, match="intervals/epochs"):
        read_events(data_dir / "nwb_units_A8604.nwb", "trials")


def test_a_virtual_dataset_without_its_source_raises_instead_of_zeros(data_dir: Path) -> None:
    recording = open_recording(data_dir / "nexus_dls_i04_NXmx_missing_data.nxs")
    assert recording.shape == (488, 4362, 4148)
    with pytest.raises(DataError, match=r"Therm_6_2_000001\.h5, which is not there"):
        recording[0, :4, :4].load()


def test_a_dangling_external_link_names_the_absent_file(data_dir: Path) -> None:
    with pytest.raises(DataError, match=r"au_145mm_68kx_microprobe_01_data_000001\.h5, which is not there"):
        open_recording(data_dir / "eiger4dstem_master_missing_data.h5", "entry/data/data_000001")


def test_values_compressed_with_blosc_are_read(data_dir: Path) -> None:
    recording = open_recording(data_dir / "fei4_pixel_ext_trigger.h5", "raw_data")
    assert recording[:5].load().dtype.kind in "fu"
