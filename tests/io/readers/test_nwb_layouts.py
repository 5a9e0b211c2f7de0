"""NWB beyond plain series: footprints, units, sweeps, bands, words and moments, against what was written."""

import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.io import describe, open_recording, read_events

PIXEL = np.dtype([("x", "<u4"), ("y", "<u4"), ("weight", "<f4")])
VOXEL = np.dtype([("x", "<u4"), ("y", "<u4"), ("z", "<u4"), ("weight", "<f4")])


def session(path: Path) -> h5py.File:
    file = h5py.File(path, "w")
    file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
    return file


def table(
    parent: h5py.Group, name: str, rows: int, columns: dict[str, object], kind: str = "DynamicTable"
) -> h5py.Group:
    made = parent.create_group(name)
    made.attrs.update(neurodata_type=kind, colnames=[name for name in columns if not name.endswith("_index")])
    made["id"] = np.arange(10, 10 + rows)
    for label, values in columns.items():
        made[label] = values
    return made


def series(
    parent: h5py.Group, name: str, data: object, kind: str, *, start: float = 0.0, rate: float = 10.0
) -> h5py.Group:
    made = parent.create_group(name)
    made.attrs["neurodata_type"] = kind
    made["data"] = data
    made["data"].attrs["unit"] = "volts"
    made["starting_time"] = start
    made["starting_time"].attrs["rate"] = rate
    return made


@pytest.mark.parametrize(("name", "dtype"), [("pixel_mask", PIXEL), ("voxel_mask", VOXEL)])
def test_ragged_masks_are_footprints_in_the_frame_of_their_movie(tmp_path: Path, name: str, dtype: np.dtype) -> None:
    depth = (3,) if dtype == VOXEL else ()
    rows = np.zeros(5, dtype)
    rows["x"], rows["y"], rows["weight"] = [0, 1, 2, 3, 3], [1, 1, 0, 2, 2], [0.5, 1.0, 0.25, 2.0, 3.0]
    if depth:
        rows["z"] = [0, 0, 1, 2, 1]
    expected = np.zeros((3, 6, 7, *depth), np.float32)
    for roi, part in enumerate((slice(0, 2), slice(2, 2), slice(2, 5))):
        for row in rows[part]:
            expected[(roi, row["y"], row["x"], *([row["z"]] if depth else []))] = row["weight"]
    with session(tmp_path / "a.nwb") as file:
        plane = file.create_group("general/optophysiology/plane")
        movie = series(file, "acquisition/movie", np.zeros((4, 6, 7, *depth), np.uint8), "TwoPhotonSeries")
        rois = table(
            file,
            "processing/rois",
            3,
            {name: rows, f"{name}_index": np.array([2, 2, 5], np.uint8)},
            "PlaneSegmentation",
        )
        movie["imaging_plane"] = plane
        rois["imaging_plane"] = h5py.SoftLink("/general/optophysiology/plane")
    recording = open_recording(tmp_path / "a.nwb", name)
    assert recording.dims == ("roi", "y", "x", "z")[: recording.ndim]
    assert recording["roi"].values.tolist() == [10, 11, 12]
    np.testing.assert_array_equal(recording.values, expected)
    np.testing.assert_array_equal(recording.isel(roi=2, x=[3, 2]).values, expected[2][:, [3, 2]])
    np.testing.assert_array_equal(recording.isel(roi=slice(1, None), y=1).values, expected[1:, 1])


def test_image_masks_are_footprints_and_no_coordinates_of_the_traces(tmp_path: Path) -> None:
    masks = np.arange(2 * 6 * 7.0).reshape(2, 6, 7)
    with session(tmp_path / "a.nwb") as file:
        rois = table(file, "processing/rois", 2, {"image_mask": masks, "score": [0.5, 0.75]}, "PlaneSegmentation")
        traces = series(file, "processing/traces", np.zeros((5, 2)), "RoiResponseSeries")
        traces["rois"] = [1, 0]
        traces["rois"].attrs["table"] = rois.ref
    np.testing.assert_array_equal(open_recording(tmp_path / "a.nwb", "image_mask").values, masks)
    recording = open_recording(tmp_path / "a.nwb")
    assert set(recording.coords) == {"time", "roi", "score"}
    assert recording["score"].values.tolist() == [0.75, 0.5]


def units(path: Path) -> None:
    shapes = np.arange(20.0).reshape(5, 4)
    with session(path) as file:
        made = table(
            file,
            "units",
            3,
            {
                "spike_times": [0.005, 0.006, 0.031, 0.012, 0.019],
                "spike_times_index": np.array([3, 3, 5], np.uint8),
                "waveform_mean": np.arange(12.0).reshape(3, 4),
                "waveforms": shapes,
                "waveforms_index": np.array([2, 3, 4, 5], np.uint8),
                "waveforms_index_index": np.array([3, 3, 4], np.uint8),
                "quality": ["good", "mua", "good"],
            },
            "Units",
        )
        for name in ("waveform_mean", "waveforms"):
            made[name].attrs.update(unit="volts", sampling_rate=30000.0)


def test_spikes_are_trains_and_counts_in_bins_of_any_width(tmp_path: Path) -> None:
    units(tmp_path / "a.nwb")
    spikes = open_recording(tmp_path / "a.nwb", "units/spike_times")
    assert spikes["unit"].values.tolist() == [10, 10, 10, 12, 12]
    binned = open_recording(tmp_path / "a.nwb", "units/binned")
    assert binned.dims == ("time", "unit")
    assert binned["time"].values.tolist() == [0.0, 0.01, 0.02, 0.03]
    assert binned.values.tolist() == [[2, 0, 0], [0, 0, 2], [0, 0, 0], [1, 0, 0]]
    assert binned.isel(time=[3, 0], unit=0).values.tolist() == [1, 2]
    assert binned["quality"].values.tolist() == ["good", "mua", "good"]
    finer = open_recording(tmp_path / "a.nwb", "units/binned", rate=1000.0)
    assert finer.sizes == {"time": 27, "unit": 3}
    assert int(finer.sum()) == 5
    assert finer["time"].values[[0, -1]] == pytest.approx([0.005, 0.031])


def test_shapes_of_spikes_are_ragged_by_spike_and_by_unit(tmp_path: Path) -> None:
    units(tmp_path / "a.nwb")
    shapes = open_recording(tmp_path / "a.nwb", "units/waveforms")
    assert shapes.dims == ("event", "sample")
    assert shapes["unit"].values.tolist() == [10, 10, 10, 10, 12]
    assert shapes["spike"].values.tolist() == [0, 0, 1, 2, 3]
    np.testing.assert_allclose(shapes["sample"].values, np.arange(4) / 30000, rtol=1e-15)
    mean = open_recording(tmp_path / "a.nwb", "waveform_mean")
    assert (mean.dims, mean.attrs["units"]) == (("unit", "sample"), "volts")


def test_sweeps_that_follow_each_other_stack_along_trial(tmp_path: Path) -> None:
    with session(tmp_path / "a.nwb") as file:
        for number in range(3):
            made = series(
                file, f"acquisition/sweep_{number}", np.full(5, number), "CurrentClampSeries", start=2.0 * number
            )
            made["bias_current"] = 1e-12
            made["bias_current"].attrs["unit"] = "amperes"
        sweeps = table(
            file,
            "general/intracellular_ephys/sweep_table",
            3,
            {
                "series": [file[f"acquisition/sweep_{number}"].ref for number in range(3)],
                "series_index": np.array([1, 2, 3], np.uint8),
                "sweep_number": [4, 5, 6],
            },
        )
        assert sweeps["series"].dtype == h5py.ref_dtype
    recording = open_recording(tmp_path / "a.nwb", "sweep_*")
    assert recording.dims == ("time", "trial")
    assert recording["start_time"].values.tolist() == [0.0, 2.0, 4.0]
    np.testing.assert_allclose(recording["time"].values, np.arange(5) / 10)
    one = open_recording(tmp_path / "a.nwb", "sweep_1")
    assert one.attrs["sweep_number"] == 5
    assert (one.attrs["bias_current"], one.attrs["bias_current_units"]) == (1e-12, "amperes")


def test_bands_words_moments_and_events_of_2_11(tmp_path: Path) -> None:
    with session(tmp_path / "a.nwb") as file:
        power = series(file, "processing/power", np.zeros((5, 2, 3)), "DecompositionSeries")
        table(power, "bands", 3, {"band_name": ["a", "b", "c"], "band_limits": [[1, 4], [4, 8], [8, 12]]})
        words = file.create_group("acquisition/notes")
        words.attrs["neurodata_type"] = "AnnotationSeries"
        words["data"], words["timestamps"] = ["start", "end"], [1.0, 5.0]
        licks = file.create_group("processing/licks")
        licks.attrs["neurodata_type"] = "Events"
        licks["timestamps"] = [0.5, 0.75]
        table(
            file,
            "events/rewards",
            2,
            {"timestamp": [1.0, 2.0], "duration": [0.5, np.nan], "size": [3, 4]},
            "EventsTable",
        )
    recording = open_recording(tmp_path / "a.nwb", "power")
    assert recording["band_name"].values.tolist() == ["a", "b", "c"]
    assert recording["band_limits_1"].values.tolist() == [4, 8, 12]
    assert read_events(tmp_path / "a.nwb", "notes")["label"].values.tolist() == ["start", "end"]
    assert read_events(tmp_path / "a.nwb", "licks")["start_time"].values.tolist() == [0.5, 0.75]
    rewards = read_events(tmp_path / "a.nwb", "rewards")
    assert rewards["stop_time"].values.tolist() == [1.5, 2.0]
    assert rewards["size"].values.tolist() == [3, 4]


def test_a_positions_columns_are_its_axes_and_pictures_are_listed(tmp_path: Path) -> None:
    with session(tmp_path / "a.nwb") as file:
        series(file, "processing/position", np.zeros((5, 2)), "SpatialSeries")
        file["acquisition/pictures/one"] = np.ones((3, 4))
        file["acquisition/pictures/one"].attrs["neurodata_type"] = "GrayscaleImage"
    assert open_recording(tmp_path / "a.nwb")["channel"].values.tolist() == ["x", "y"]
    assert open_recording(tmp_path / "a.nwb", "one").dims == ("y", "x")


def test_recordings_of_pynwb_name_their_stimulus(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pynwb's own imports warn of is not our subject
        pynwb = pytest.importorskip("pynwb")
        from datetime import UTC, datetime

        file = pynwb.NWBFile("s", "i", datetime(2024, 1, 1, tzinfo=UTC))
        device = file.create_device("amplifier")
        electrode = file.create_icephys_electrode(name="pipette", device=device, description="d")
        made = {
            name: getattr(pynwb.icephys, name)(
                name=name, data=np.arange(6.0), starting_time=1.0, rate=10.0, electrode=electrode, gain=0.5
            )
            for name in ("CurrentClampStimulusSeries", "CurrentClampSeries")
        }
        stimulus, response = made.values()
        file.add_intracellular_recording(electrode=electrode, stimulus=stimulus, response=response, id=7)
        with pynwb.NWBHDF5IO(tmp_path / "a.nwb", "w") as stream:
            stream.write(file)
    recording = open_recording(tmp_path / "a.nwb", "CurrentClampSeries")
    assert recording.attrs["recording"] == 7
    assert recording.attrs["stimulus"].endswith("CurrentClampStimulusSeries")
    assert recording.attrs["response_span"] == [0, 6]
    assert recording.attrs["electrode"] == "pipette"
    assert not [found for found in describe(tmp_path / "a.nwb").findings if found.code == "unreadable"]
