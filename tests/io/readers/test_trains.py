"""Free-electron lasers: train ids that sources share, pulses that did not fire, rows and the trains they belong to."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.io import describe, list_signals, open_recording

RNG = np.random.default_rng(0)
GMD = "FL1/Photon Diagnostic/GMD/Pulse resolved energy/energy tunnel"
EPOCH = 1_700_000_000


def test_flash_values_trains_and_masks_are_those_of_h5py(data_dir: Path) -> None:
    path = data_dir / "flash_hextof_run43878.h5"
    recording = open_recording(path, f"{GMD}/value")
    with h5py.File(path) as file:
        values = file[f"{GMD}/value"][()]
        np.testing.assert_array_equal(recording.values, values)
        np.testing.assert_array_equal(recording.mask, np.isnan(values))
        np.testing.assert_array_equal(recording.train, file[f"{GMD}/index"][()])
    assert recording.dims == ("train", "channel", "pulse")
    assert recording.mask.attrs["flags"] == ["not fired (NaN)"]


def test_flash_sources_align_on_the_train(data_dir: Path) -> None:
    path = data_dir / "flash_hextof_run43878.h5"
    encoder = open_recording(path, "dGroup/value")
    both = xr.align(open_recording(path, f"{GMD}/value"), encoder, join="inner")
    assert both[0].train.values.tolist() == both[1].train.values.tolist() == [1648851415]


def test_flash_trains_have_the_time_that_one_source_states(data_dir: Path) -> None:
    path = data_dir / "flash_hextof_run43878.h5"
    with h5py.File(path) as file:
        stated = file["uncategorised/FLASH.DIAG/TIMINGINFO/TIME1.BUNCH_FIRST_INDEX.1/time"][()]
    time = open_recording(path, f"{GMD}/value").time
    np.testing.assert_array_equal(time + time.attrs["unix_epoch"], stated)
    encoder = open_recording(path, "dGroup/value")
    np.testing.assert_array_equal(np.isfinite(encoder.time), encoder.train <= 1648851420)


def _flash(path: Path, index: object, value: object) -> None:
    with h5py.File(path, "w") as file:
        file["FL1/Source/value"] = value
        file["FL1/Source/index"] = index


@pytest.mark.parametrize("index", [np.arange(3), np.arange(4.0), np.zeros((4, 2), int), b"one"])
def test_values_without_one_id_a_train_are_not_of_flash(tmp_path: Path, index: object) -> None:
    _flash(tmp_path / "a.h5", index, np.ones((4, 2)))
    assert describe(tmp_path / "a.h5").format == "HDF5"


@pytest.mark.parametrize("timestamps", [[np.nan] * 3, [-np.inf, np.inf, 1e9], [1j, 2j, 3j]])
def test_stamps_that_are_no_times_time_no_train(tmp_path: Path, timestamps: list[complex]) -> None:
    _flash(tmp_path / "a.h5", [7, 8, 9], [1, 2, 3])
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["FL1/Timing/index"], file["FL1/Timing/time"] = [7, 8, 9], timestamps
    recording = open_recording(tmp_path / "a.h5", "Source/value")
    np.testing.assert_array_equal(recording.train, [7, 8, 9])
    assert "time" not in recording.coords or np.isfinite(recording.time[2])


def test_trains_named_twice_are_noted_and_integers_have_no_mask(tmp_path: Path) -> None:
    _flash(tmp_path / "a.h5", [7, 8, 8], [1, 2, 3])
    recording = open_recording(tmp_path / "a.h5")
    assert "names 1 trains more than once" in recording.attrs["history"]
    assert set(recording.coords) == {"train"}


CAMERA = "SPB_EXP/CAM/ONE:output/data"
DETECTOR = "SPB_DET/AGIPD/0CH0:xtdf/image"
MOTOR = "SPB_XTD/MOTOR/X"


def _euxfel(path: Path, **changes: object) -> dict[str, np.ndarray]:
    """Write four trains: a motor, a camera of one frame a train, a detector of 2, 0, 3 and 1 pulses."""
    counts = np.array([2, 0, 3, 1])
    arrays = {
        f"CONTROL/{MOTOR}/position/value": np.arange(4.0),
        f"CONTROL/{MOTOR}/position/timestamp": np.arange(4),
        f"INSTRUMENT/{CAMERA}/image/pixels": RNG.integers(0, 9, (4, 2, 3)).astype(np.uint16),
        f"INSTRUMENT/{DETECTOR}/data": RNG.integers(0, 9, (6, 2, 2, 3)).astype(np.uint16),
        "INDEX/trainId": np.array([100, 101, 103, 104], np.uint64),
        "INDEX/timestamp": (EPOCH * 10**9 + np.array([5, 105, 305, 405]) * 10**6 + 1).astype(np.uint64),
        f"INDEX/{MOTOR}/first": np.arange(4, dtype=np.uint64),
        f"INDEX/{MOTOR}/count": np.ones(4, np.uint64),
        f"INDEX/{CAMERA}/first": np.array([0, 1, 1, 2], np.uint64),
        f"INDEX/{CAMERA}/count": np.array([1, 0, 1, 1], np.uint64),
        f"INDEX/{DETECTOR}/first": (np.cumsum(counts) - counts).astype(np.uint64),
        f"INDEX/{DETECTOR}/count": counts.astype(np.uint64),
        "METADATA/dataFormatVersion": np.array([b"1.2"]),
        "METADATA/runNumber": np.array([348], np.uint32),
    } | changes
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            if value is not None:
                file[name] = value
    return arrays


def test_control_data_have_one_value_a_train(tmp_path: Path) -> None:
    _euxfel(tmp_path / "a.h5")
    motor = open_recording(tmp_path / "a.h5", "position/value")
    assert motor.dims == ("train",)
    np.testing.assert_array_equal(motor, np.arange(4.0))
    np.testing.assert_array_equal(motor.train, [100, 101, 103, 104])
    assert motor.time.attrs["unix_epoch"] == EPOCH
    # The last nanosecond is lost if stamps become floats before the epoch is taken off.
    np.testing.assert_allclose(motor.time, [0.005000001, 0.105000001, 0.305000001, 0.405000001], rtol=0, atol=1e-15)


def test_pulses_know_their_train(tmp_path: Path) -> None:
    arrays = _euxfel(tmp_path / "a.h5")
    pulses = open_recording(tmp_path / "a.h5", f"{DETECTOR}/data")
    assert pulses.dims == ("frame", "channel", "y", "x")
    np.testing.assert_array_equal(pulses.values, arrays[f"INSTRUMENT/{DETECTOR}/data"])
    np.testing.assert_array_equal(pulses.train, [100, 100, 103, 103, 103, 104])
    assert "mask" not in pulses.coords


def test_rows_of_no_train_are_masked(tmp_path: Path) -> None:
    _euxfel(tmp_path / "a.h5")
    frames = open_recording(tmp_path / "a.h5", "image/pixels")
    np.testing.assert_array_equal(frames.train, [100, 103, 104, 0])
    np.testing.assert_array_equal(frames.mask, [False, False, False, True])
    assert frames.mask.attrs["flags"] == ["no train"]
    assert np.isnan(frames.time[3])


def test_files_of_before_2018_give_last_rows(tmp_path: Path) -> None:
    changes = {
        f"INDEX/{DETECTOR}/count": None,
        f"INDEX/{DETECTOR}/last": np.array([1, 1, 4, 5], np.uint64),
        f"INDEX/{DETECTOR}/status": np.array([1, 0, 1, 1], np.uint64),
        "INDEX/timestamp": None,
    }
    _euxfel(tmp_path / "a.h5", **changes)
    pulses = open_recording(tmp_path / "a.h5", f"{DETECTOR}/data")
    np.testing.assert_array_equal(pulses.train, [100, 100, 103, 103, 103, 104])
    assert "time" not in pulses.coords


def test_what_the_file_says_of_itself_is_listed(tmp_path: Path) -> None:
    _euxfel(tmp_path / "a.h5")
    info = describe(tmp_path / "a.h5")
    assert info.format == "European XFEL EXDF 1.2"
    assert info.attrs["run"] == "348"
    assert [signal.kind for signal in info.signals] == ["control data", "instrument data", "instrument data"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({f"INDEX/{DETECTOR}/count": np.array([2, 0, 3, 9], np.uint64)}, "expected rows of trains within the 6"),
        ({f"INDEX/{DETECTOR}/count": None}, "expected first and count"),
        ({f"INDEX/{DETECTOR}/first": np.zeros((2, 2), np.uint64)}, "expected first and count"),
        ({f"INDEX/{DETECTOR}/first": np.full(4, 2**63, np.uint64)}, "expected rows of trains within the 6"),
        ({f"INDEX/{DETECTOR}/count": np.full(4, 2**62, np.uint64)}, "expected rows of trains within the 6"),
        ({f"INDEX/{DETECTOR}/count": np.full(4, 6), f"INDEX/{DETECTOR}/first": np.zeros(4, int)}, "each of one train"),
        ({f"INDEX/{DETECTOR}/count": np.array([2, 0, 3, np.nan])}, "expected first and count"),
    ],
)
def test_an_index_that_does_not_fit_leaves_rows_without_trains(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    _euxfel(tmp_path / "a.h5", **changes)
    pulses = open_recording(tmp_path / "a.h5", f"{DETECTOR}/data")
    assert "train" not in pulses.coords
    assert said in pulses.attrs["history"]


def test_a_source_without_an_index_is_a_finding(tmp_path: Path) -> None:
    _euxfel(tmp_path / "a.h5", **{f"INDEX/{MOTOR}/first": None})
    assert any(MOTOR in finding.message for finding in describe(tmp_path / "a.h5").findings)
    assert not any(MOTOR in signal.path for signal in list_signals(tmp_path / "a.h5"))


@pytest.mark.parametrize("trains", [np.zeros((2, 2), int), np.arange(4.0)])
def test_train_ids_that_are_no_row_of_integers_are_a_finding(tmp_path: Path, trains: np.ndarray) -> None:
    _euxfel(tmp_path / "a.h5", **{"INDEX/trainId": trains})
    info = describe(tmp_path / "a.h5")
    assert not info.signals
    assert any("expected a row of train ids" in finding.message for finding in info.findings)
