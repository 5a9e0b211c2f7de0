import resource
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import StorageError
from sciml.io import open_recording, read_events
from sciml.simulate import Simulation, population_recording, write_nwb

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what pynwb's own imports warn of is not our subject
    import pynwb

SERIES = "processing/ophys/DfOverF/RoiResponseSeries"


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return population_recording(n_neurons=10, duration=30.0, phi=np.linspace(0, 0.9, 10), seed=3)


@pytest.fixture(scope="module")
def path(simulation: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nwb(simulation, tmp_path_factory.mktemp("nwb") / "demo.nwb")


@pytest.fixture
def nwbfile(path: Path) -> Iterator[pynwb.NWBFile]:
    with pynwb.NWBHDF5IO(path, "r") as io:
        yield io.read()


def test_pynwb_finds_no_error(path):
    assert pynwb.validate(path=path) == []


@pytest.mark.parametrize("damage", [f"{SERIES}/rois", "intervals/trials/start_time", "session_start_time"])
def test_the_validator_would_have_found_an_error(path, tmp_path, damage):
    copy = tmp_path / "damaged.nwb"
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        del file[damage]
    assert pynwb.validate(path=copy)


def test_pynwb_reads_values_units_and_clock_back(simulation, nwbfile):
    series = nwbfile.processing["ophys"]["DfOverF"]["RoiResponseSeries"]
    values = series.data[:] * series.conversion + series.offset
    # values are rounded to the nearest count
    np.testing.assert_allclose(values, simulation.recording.values, rtol=0, atol=0.5001 * series.conversion)
    assert series.conversion < 1e-3 * simulation.noise.sigma.min()
    assert (series.unit, series.rate, series.starting_time) == ("dF/F", 20.0, 0.0)


def test_pynwb_reads_trials_back(simulation, nwbfile):
    trials = nwbfile.intervals["trials"].to_dataframe()
    for column in ("start_time", "stop_time", "stimulus"):
        assert trials[column].tolist() == simulation.events[column].values.tolist()


def test_pynwb_reads_regions_of_interest_back(simulation, nwbfile):
    series = nwbfile.processing["ophys"]["DfOverF"]["RoiResponseSeries"]
    table = series.rois.to_dataframe()
    assert len(table) == simulation.recording.sizes["roi"]
    np.testing.assert_array_equal(table["x"], simulation.recording["x"])
    for x, y, mask in zip(table["x"], table["y"], table["pixel_mask"], strict=True):
        pixels = np.array([(px, py) for px, py, _ in mask])
        assert len(pixels) == 81  # lattice points within 5 of the origin
        np.testing.assert_allclose(pixels.mean(axis=0), [int(x), int(y)])
    plane = series.rois.table.imaging_plane
    assert (plane.imaging_rate, plane.device.name) == (20.0, "Microscope")


def test_pynwb_reads_the_truth_back(simulation, nwbfile):
    np.testing.assert_array_equal(nwbfile.scratch["signal"].data[:], simulation.signal.values.astype(np.float32))
    assert int(nwbfile.scratch["rank"].data) == simulation.rank
    np.testing.assert_array_equal(nwbfile.scratch["strengths"].data, simulation.strengths)
    noise = nwbfile.scratch["noise"].to_dataframe()
    np.testing.assert_array_equal(noise["sigma"], simulation.noise.sigma)
    np.testing.assert_array_equal(noise["phi"], simulation.noise.phi)


def test_sciml_opens_the_file_without_being_told_which_signal(simulation, path):
    recording = open_recording(path)
    assert recording.dims == ("time", "roi")
    assert (recording.attrs["units"], recording.attrs["sampling_rate"]) == ("dF/F", 20.0)
    for name in ("time", "x", "y"):
        np.testing.assert_allclose(recording[name], simulation.recording[name], rtol=1e-12)
    np.testing.assert_allclose(recording, simulation.recording, rtol=0, atol=1e-3 * simulation.noise.sigma.min())
    events = read_events(path, "intervals/trials")
    for name in ("start_time", "stop_time", "stimulus"):
        np.testing.assert_array_equal(events[name], simulation.events[name])


def test_equal_simulations_give_equal_bytes_and_others_do_not(simulation, path, tmp_path):
    assert write_nwb(simulation, tmp_path / "again.nwb").read_bytes() == path.read_bytes()
    other = population_recording(n_neurons=10, duration=30.0, seed=4)
    with h5py.File(path) as one, h5py.File(write_nwb(other, tmp_path / "other.nwb")) as two:
        assert one.attrs["object_id"] != two.attrs["object_id"]


def test_object_ids_are_unique(path):
    ids = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: ids.append(item.attrs.get("object_id")))
    ids = [i for i in ids if i is not None]
    assert len(ids) > 20
    assert len(set(ids)) == len(ids)


def test_an_existing_file_is_kept_unless_overwrite_is_said(simulation, tmp_path):
    path = tmp_path / "demo.nwb"
    path.write_text("precious")
    with pytest.raises(StorageError, match="exists; choose another name"):
        write_nwb(simulation, path)
    assert path.read_text() == "precious"
    write_nwb(simulation, path, overwrite=True)
    assert h5py.is_hdf5(path)


def test_a_missing_folder_is_named(simulation, tmp_path):
    with pytest.raises(StorageError, match="absent"):
        write_nwb(simulation, tmp_path / "absent" / "demo.nwb")


@contextmanager
def file_size_limit(n_bytes: int) -> Iterator[None]:
    """Let every write beyond n_bytes of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_folder_as_it_was(simulation, tmp_path):
    path = tmp_path / "demo.nwb"
    path.write_text("precious")
    with file_size_limit(10_000), pytest.raises(StorageError, match="Free some space"):
        write_nwb(simulation, path, overwrite=True)
    assert [item.name for item in tmp_path.iterdir()] == ["demo.nwb"]
    assert path.read_text() == "precious"
