"""NIX files written to the specification: dimensions of three kinds, and polynomials."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, open_recording
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.nix import Nix

COUNTS = np.random.default_rng(0).integers(-50, 50, (20, 3)).astype(np.int16)
SAMPLED = {"dimension_type": "sample", "sampling_interval": 0.5, "unit": "ms", "offset": 4.0, "label": "clock"}
SET = {"dimension_type": "set", "labels": ["a", "b", "c"]}
TICKS = np.array([1.0, 2.0, 10.0])


def _add(
    path: Path, values: Any, *dimensions: dict[str, Any], name: str = "trace", coefficients: Any = (), **attrs: Any
) -> Path:
    """Append a data array to a NIX file."""
    with h5py.File(path, "a") as file:
        file.attrs.update(format="nix", version=[1, 2, 0])
        array = file.require_group("data/session/data_arrays").create_group(name)
        array.attrs.update(type="nix.sampled", name=name, **attrs)
        array["data"] = values
        if len(coefficients):
            array["polynom_coefficients"] = np.asarray(coefficients, float)
        for number, stated in enumerate(dimensions, 1):
            group = array.create_group(f"dimensions/{number}")
            for key, value in stated.items():
                if isinstance(value, (list, np.ndarray)):
                    group[key] = value
                else:
                    group.attrs[key] = value
    return path


def test_a_sampled_dimension_is_a_clock_and_a_set_names_channels(tmp_path: Path) -> None:
    path = _add(tmp_path / "a.nix", COUNTS, SAMPLED, SET, unit="mV", label="voltage")
    recording = open_recording(path)
    np.testing.assert_array_equal(recording.values, COUNTS)
    assert recording.dims == ("time", "channel")
    np.testing.assert_allclose(recording.time, 0.004 + np.arange(20) * 5e-4)
    assert recording.attrs["sampling_rate"] == pytest.approx(2000.0)
    assert recording.attrs["units"] == "mV"
    assert recording.channel.values.tolist() == ["a", "b", "c"]
    assert recording.attrs["label"] == "voltage"


def test_time_comes_first_wherever_it_is_stored(tmp_path: Path) -> None:
    recording = open_recording(_add(tmp_path / "a.nix", COUNTS.T, SET, SAMPLED))
    np.testing.assert_array_equal(recording.values, COUNTS)
    assert recording.dims == ("time", "channel")


def test_ticks_are_time_stamps_or_a_coordinate(tmp_path: Path) -> None:
    timestamps = {"dimension_type": "range", "ticks": np.array([0.0, 1.0, 5.0]), "unit": "s"}
    bands = {"dimension_type": "range", "ticks": TICKS, "unit": "Hz", "label": "frequency"}
    recording = open_recording(_add(tmp_path / "a.nix", np.eye(3), timestamps, bands))
    assert recording.dims == ("time", "frequency")
    assert recording.time.values.tolist() == [0.0, 1.0, 5.0]
    assert recording.frequency.values.tolist() == TICKS.tolist()
    assert recording.frequency.attrs["units"] == "Hz"


def test_two_axes_of_time_are_both_kept(tmp_path: Path) -> None:
    recording = open_recording(_add(tmp_path / "a.nix", np.eye(4), SAMPLED, SAMPLED))
    assert recording.dims == ("time_0", "time_1")
    np.testing.assert_allclose(recording.time_1, 4.0 + np.arange(4) * 0.5)


@pytest.mark.parametrize(
    ("coefficients", "origin"), [((), 0.0), ((), 3.0), ((2.0,), 0.0), ((1.0, 0.5), 4.0), ((1.0, -2.0, 0.25), 7.0)]
)
def test_values_follow_the_polynomial(tmp_path: Path, coefficients: tuple[float, ...], origin: float) -> None:
    path = _add(
        tmp_path / "a.nix", COUNTS, SAMPLED, SET, name="trace", coefficients=coefficients, expansion_origin=origin
    )
    centered = COUNTS - origin
    expected = sum((c * centered**k for k, c in enumerate(coefficients)), np.zeros(COUNTS.shape))
    expected = expected if coefficients else centered
    recording = open_recording(path, dtype="float64")
    np.testing.assert_allclose(recording.values, expected, rtol=1e-12)
    np.testing.assert_allclose(recording[3:9, 1].values, expected[3:9, 1], rtol=1e-12)
    np.testing.assert_array_equal(open_recording(path, raw=True).values, COUNTS)


def test_times_of_spikes_are_events(tmp_path: Path) -> None:
    path = _add(tmp_path / "a.nix", TICKS, {"dimension_type": "range"}, unit="s")
    with h5py.File(path, "r+") as file:
        array = file["data/session/data_arrays/trace"]
        array["dimensions/1/trace"] = h5py.SoftLink("/data/session/data_arrays/trace")
    recording = open_recording(path)
    assert recording.dims == ("event",)
    assert recording.values.tolist() == TICKS.tolist()


def test_a_linked_array_gives_the_ticks(tmp_path: Path) -> None:
    path = _add(tmp_path / "a.nix", np.arange(3.0), {"dimension_type": "range"}, name="trace")
    _add(path, TICKS, {"dimension_type": "set"}, name="clock", unit="s")
    with h5py.File(path, "r+") as file:
        link = file.create_group("data/session/data_arrays/trace/dimensions/1/link")
        link["clock"] = h5py.SoftLink("/data/session/data_arrays/clock")
    recording = open_recording(path, "trace")
    assert recording.dims == ("time",)
    assert recording.time.values.tolist() == TICKS.tolist()


def _dimension(number: int, **stated: Any) -> Callable[[h5py.Group], None]:
    def spoil(array: h5py.Group) -> None:
        group = array[f"dimensions/{number}"]
        for key, value in stated.items():
            if key in group:
                del group[key]
            if isinstance(value, (list, np.ndarray)):
                group[key] = value
            else:
                group.attrs[key] = value

    return spoil


def _without(name: str) -> Callable[[h5py.Group], None]:
    def spoil(array: h5py.Group) -> None:
        del array[name]

    return spoil


def _text_for_values(array: h5py.Group) -> None:
    del array["data"]
    array["data"] = ["text"]


def _text_for_coefficients(array: h5py.Group) -> None:
    array["polynom_coefficients"] = ["text"]


@pytest.mark.parametrize(
    ("spoil", "word", "opens"),
    [
        (_text_for_values, "expected an array of numbers", False),
        (_text_for_coefficients, "no finite numbers", True),
        (_without("dimensions"), "are described of 2", True),
        (_dimension(1, sampling_interval=0.0), "sampling rate", False),
        (_dimension(1, sampling_interval="often"), "sampling rate", False),
        (_dimension(1, dimension_type="range", ticks=np.arange(4.0)), "one stamp a sample", False),
        (_dimension(1, dimension_type="data_frame"), "are not read", True),
        (_dimension(1, dimension_type="set", label="time", unit="", labels=["x"]), "", True),
        (_dimension(2, labels=["a"]), "", True),
        (_dimension(2, labels=np.zeros((2, 2))), "", True),
    ],
)
def test_what_is_odd_is_a_finding_or_a_data_error(
    tmp_path: Path, spoil: Callable[[h5py.Group], None], word: str, opens: bool
) -> None:
    path = _add(tmp_path / "a.nix", COUNTS, SAMPLED, SET)
    with h5py.File(path, "r+") as file:
        spoil(file["data/session/data_arrays/trace"])
    found = describe(path)
    assert not word or any(word in finding.message for finding in found.findings)
    if opens:
        assert open_recording(path).shape == (20, 3)
    else:
        with pytest.raises(DataError):
            open_recording(path)


def test_no_other_file_looks_like_it(data_dir: Path) -> None:
    for path in data_dir.iterdir():
        if path.suffix not in {".md", ".nii", ".gz"}:
            with open_tree(path) as tree:
                assert Nix().sniff(tree) == 0, path.name
