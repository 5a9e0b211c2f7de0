"""LH5: waveforms on their clock, columns and ragged columns, on a real file and on ones written to specification."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.io import describe, open_recording, read_events

RNG = np.random.default_rng(0)
WAVES = RNG.integers(0, 2**14, (4, 6)).astype(np.uint16)


def test_waveforms_are_those_of_h5py_with_time_first(data_dir: Path) -> None:
    path = data_dir / "legend_hpge_LDQTA_r117.lh5"
    recording = open_recording(path, "geds/raw/waveform")
    with h5py.File(path) as file:
        raw = file["geds/raw"]
        np.testing.assert_array_equal(recording[:, 7:9].values, raw["waveform/values"][7:9].T.astype(np.float32))
        for name in ("baseline", "channel", "energy", "timestamp"):
            np.testing.assert_array_equal(recording[name], raw[name][()])
    assert recording.dims == ("time", "event")
    np.testing.assert_allclose(recording.time, np.arange(5592) * 16e-9, rtol=1e-12)
    assert recording.attrs["sampling_rate"] == pytest.approx(62.5e6)
    assert recording.timestamp.attrs["units"] == "s"
    assert describe(path).default == "geds/raw/waveform"


def test_tables_are_events_at_their_time_stamps(data_dir: Path) -> None:
    path = data_dir / "legend_hpge_LDQTA_r117.lh5"
    events = read_events(path, "raw")
    with h5py.File(path) as file:
        np.testing.assert_array_equal(events["start_time"], file["geds/raw/timestamp"][()].astype(np.float64))
        np.testing.assert_array_equal(events["energy"], file["geds/raw/energy"][()])


def test_elements_of_ragged_columns_know_their_event(data_dir: Path) -> None:
    path = data_dir / "legend_hpge_LDQTA_r117.lh5"
    ragged = open_recording(path, "tracelist/flattened_data")
    with h5py.File(path) as file:
        np.testing.assert_array_equal(ragged.values, file["geds/raw/tracelist/flattened_data"][()])
    np.testing.assert_array_equal(ragged.event, np.arange(100))


def _write(path: Path, **changes: Any) -> None:
    """Write a table of a column, a ragged column and waveforms."""
    columns: dict[str, Any] = {
        "waveform/values": (WAVES, "array_of_equalsized_arrays<1,1>{real}", "ADC"),
        "waveform/t0": (np.full(4, -2.0), "array<1>{real}", "us"),
        "waveform/dt": (np.full(4, 0.5), "array<1>{real}", "us"),
        "hits/flattened_data": (np.array([1.0, 2.0, 3.0]), "array<1>{real}", ""),
        "hits/cumulative_length": (np.array([0, 2, 2, 3], np.uint32), "array<1>{real}", ""),
        "energy": (np.arange(4.0), "array<1>{real}", "keV"),
    } | changes
    with h5py.File(path, "w") as file:
        for name, (values, datatype, unit) in columns.items():
            node = file.create_dataset(f"geds/{name}", data=values)
            node.attrs.update({"datatype": datatype, **({"units": unit} if unit else {})})
        file["geds"].attrs["datatype"] = "table{energy,hits,waveform}"
        file["geds/hits"].attrs["datatype"] = "array<1>{array<1>{real}}"
        file["geds/waveform"].attrs["datatype"] = "table{t0,dt,values}"


def test_the_clock_is_t0_and_dt_in_their_units(tmp_path: Path) -> None:
    _write(tmp_path / "a.lh5")
    recording = open_recording(tmp_path / "a.lh5", "waveform")
    np.testing.assert_array_equal(recording.values, WAVES.T)
    np.testing.assert_allclose(recording.time, -2e-6 + np.arange(6) * 0.5e-6, atol=1e-18)
    assert recording.attrs["units"] == "ADC"
    assert recording.energy.attrs["units"] == "keV"
    np.testing.assert_array_equal(open_recording(tmp_path / "a.lh5", "flattened_data").event, [1, 1, 3])


@pytest.mark.parametrize(
    ("name", "values", "unit", "said"),
    [
        ("t0", np.arange(4.0), "us", "differs from event to event"),
        ("dt", np.zeros(4), "us", "expected a finite number above 0"),
        ("dt", np.full(4, np.inf), "us", "expected a finite number above 0"),
        ("dt", np.full(4, np.nan), "us", "differs from event to event"),
        ("dt", np.full(4, 0.5j), "us", "gives no time"),
        ("dt", np.full(4, 0.5), "parsec", "gives no time"),
        ("dt", np.full((4, 1), 0.5), "us", "gives no time"),
    ],
)
def test_waveforms_without_a_common_clock_get_none(
    tmp_path: Path, name: str, values: np.ndarray, unit: str, said: str
) -> None:
    _write(tmp_path / "a.lh5", **{f"waveform/{name}": (values, "array<1>{real}", unit)})
    recording = open_recording(tmp_path / "a.lh5", "waveform")
    assert recording.dims == ("sample", "event")
    assert "sampling_rate" not in recording.attrs
    np.testing.assert_array_equal(recording.values, WAVES.T)
    assert any(said in finding.message for finding in describe(tmp_path / "a.lh5").findings)


def test_row_ends_that_are_no_integers_are_a_finding(tmp_path: Path) -> None:
    _write(tmp_path / "a.lh5", **{"hits/cumulative_length": (np.full(4, np.nan), "array<1>{real}", "")})
    assert any("expected flattened_data" in finding.message for finding in describe(tmp_path / "a.lh5").findings)


@pytest.mark.parametrize("ends", [[0, 2, 1, 3], [0, 2, 2, 9], [0, 1, 1, 2]])
def test_row_ends_that_overrun_give_no_events(tmp_path: Path, ends: list[int]) -> None:
    _write(tmp_path / "a.lh5", **{"hits/cumulative_length": (np.array(ends, np.uint32), "array<1>{real}", "")})
    ragged = open_recording(tmp_path / "a.lh5", "flattened_data")
    assert "event" not in ragged.coords
    assert "expected row ends that rise to 3" in ragged.attrs["history"]


def test_encoded_waveforms_are_named_and_not_misread(tmp_path: Path) -> None:
    _write(tmp_path / "a.lh5")
    with h5py.File(tmp_path / "a.lh5", "a") as file:
        del file["geds/waveform/values"]
        encoded = file.create_group("geds/waveform/values")
        encoded.attrs["datatype"] = "array_of_encoded_equalsized_arrays<1,1>{real}"
        encoded.attrs["codec"] = "radware_sigcompress"
    info = describe(tmp_path / "a.lh5")
    assert any("radware_sigcompress" in finding.message for finding in info.findings)
    assert "geds/waveform" not in [signal.path for signal in info.signals]


@pytest.mark.parametrize("missing", ["flattened_data", "cumulative_length"])
def test_half_a_ragged_column_is_a_finding(tmp_path: Path, missing: str) -> None:
    _write(tmp_path / "a.lh5")
    with h5py.File(tmp_path / "a.lh5", "a") as file:
        del file[f"geds/hits/{missing}"]
    assert any("expected flattened_data" in finding.message for finding in describe(tmp_path / "a.lh5").findings)
