"""Fibers: values, clocks and distances of the dialects, on real files and on ones written to specification."""

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, open_recording
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.das.reader import Das

RNG = np.random.default_rng(0)
EPOCH = 1_700_000_000
N_TIMES, N_LOCI = 40, 6


def test_prodml_values_are_those_of_h5py(data_dir: Path) -> None:
    path = data_dir / "das_prodml_2.0.h5"
    recording = open_recording(path)
    with h5py.File(path) as file:
        group = file["Acquisition/Raw[0]"]
        np.testing.assert_array_equal(recording.values, group["RawData"][()].astype(np.float32))
        np.testing.assert_allclose(recording.time, group["RawDataTime"][()] * 1e-6, atol=1e-12)
    assert recording.dims == ("time", "channel")
    assert recording.attrs["units"] == "(nm/m)/s * Hz/m"
    assert recording.attrs["sampling_rate"] == pytest.approx(200.0)
    np.testing.assert_allclose(recording.distance, (np.arange(512) - 260) * 1.0209519863128662)
    assert recording.distance.attrs["units"] == "m"


def test_silixa_values_are_those_of_h5py(data_dir: Path) -> None:
    path = data_dir / "das_silixa.hdf5"
    recording = open_recording(path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(recording[10:20].values, file["Acoustic"][10:20].astype(np.float32))
    assert recording.sizes == {"time": 100, "channel": 3840}
    assert recording.attrs["sampling_rate"] == 500.0
    # The file states start, stop, resolution and fiber multiplier: they must agree to the digits of the multiplier.
    assert recording.distance[0] == 0.765761
    assert float(recording.distance.diff("channel").mean()) == pytest.approx(2 * 1.020952, rel=1e-5)


def _prodml(path: Path, *, dimensions: list[str], per_second: int = 10**6) -> np.ndarray:
    """Write PRODML 2.1: units end in .uom, and the axes may come in either order."""
    values = RNG.integers(-99, 99, (N_TIMES, N_LOCI)).astype(np.int16)
    with h5py.File(path, "w") as file:
        acquisition = file.create_group("Acquisition")
        acquisition.attrs.update(schemaVersion="2.1", NumberOfLoci=N_LOCI, SpatialSamplingInterval=10.0)
        acquisition.attrs.update({"StartLocusIndex": 3, "SpatialSamplingInterval.uom": "ft"})
        raw = acquisition.create_group("Raw[0]")
        raw.attrs.update(OutputDataRate=100.0, RawDataUnit="nm/s")
        raw["RawData"] = values if dimensions[0] == "time" else values.T
        raw["RawData"].attrs["Dimensions"] = [name.encode() for name in dimensions]
        raw["RawDataTime"] = EPOCH * per_second + np.arange(N_TIMES) * per_second // 100
        bands = acquisition.create_group("Processed/Fbe[0]")
        bands.attrs.update(OutputDataRate=100.0, FbeDataUnit="unitless")
        bands["FbeData[0]"] = values[::2]
        bands["FbeDataTime"] = EPOCH * 10**6 + np.arange(N_TIMES // 2) * 20_000
    return values


@pytest.mark.parametrize("dimensions", [["time", "locus"], ["locus", "time"]])
@pytest.mark.parametrize("per_second", [10**3, 10**6, 10**9])
def test_prodml_puts_time_first_and_counts_from_a_whole_second(
    tmp_path: Path, dimensions: list[str], per_second: int
) -> None:
    values = _prodml(tmp_path / "a.h5", dimensions=dimensions, per_second=per_second)
    recording = open_recording(tmp_path / "a.h5")
    np.testing.assert_array_equal(recording.values, values)
    np.testing.assert_allclose(recording.time, np.arange(N_TIMES) / 100, atol=1e-12)
    assert recording.attrs["unix_epoch"] == EPOCH
    assert recording.attrs["sampling_rate"] == pytest.approx(100.0)
    np.testing.assert_allclose(recording.distance, (3 + np.arange(N_LOCI)) * 3.048)


def test_prodml_bands_are_signals_of_their_own_clock(tmp_path: Path) -> None:
    values = _prodml(tmp_path / "a.h5", dimensions=["time", "locus"])
    bands = open_recording(tmp_path / "a.h5", "*FbeData*0*")
    np.testing.assert_array_equal(bands.values, values[::2])
    assert bands.attrs["sampling_rate"] == pytest.approx(50.0)
    assert bands.attrs["units"] == ""


def _optodas(path: Path) -> np.ndarray:
    values = RNG.integers(-99, 99, (N_TIMES, N_LOCI)).astype(np.int16)
    with h5py.File(path, "w") as file:
        file["data"] = values
        file["fileVersion"] = 8
        header = file.create_group("header")
        for name, value in {
            "dt": 0.002,
            "dx": 1.02,
            "dataScale": 1e-3,
            "time": EPOCH + 0.25,
            "unit": b"rad/m/s",
            "gaugeLength": 8.2,
            "channels": np.arange(0, 4 * N_LOCI, 4),
            "sensitivities": [[9e6]],
            "dimensionNames": np.array([b"time", b"distance"]),
            "instrument": b"OptoDAS",
        }.items():
            header[name] = value
    return values


def test_optodas_is_scaled_and_its_channels_may_be_sparse(tmp_path: Path) -> None:
    values = _optodas(tmp_path / "a.h5")
    recording = open_recording(tmp_path / "a.h5")
    np.testing.assert_array_equal(recording.values, (values * 1e-3).astype(np.float32))
    np.testing.assert_allclose(recording.time, 0.25 + np.arange(N_TIMES) * 0.002, atol=1e-7)
    np.testing.assert_allclose(recording.distance, np.arange(0, 4 * N_LOCI, 4) * 1.02)
    assert recording.attrs["units"] == "rad/m/s"
    assert recording.attrs["sampling_rate"] == pytest.approx(500.0)
    assert recording.attrs["sensitivity"] == 9e6


def _dasdae(path: Path) -> np.ndarray:
    values = RNG.standard_normal((N_LOCI, N_TIMES))
    with h5py.File(path, "w") as file:
        file.attrs.update(__format__="DASDAE", __DASDAE_version__="1")
        patch = file.create_group("waveforms/DAS____2023")
        patch.attrs.update(_dims="distance,time", _attrs_data_units="m/s", _attrs_station=np.bytes_(b"\x80\x04N."))
        patch["data"] = values
        patch["_coord_time"] = EPOCH * 10**9 + 5 * 10**8 + np.arange(N_TIMES) * 10**6
        patch["_coord_time"].attrs["is_datetime64"] = True
        patch["_coord_distance"] = np.arange(N_LOCI) * 2.0
    return values


def test_dasdae_keeps_nanoseconds_and_unpickles_nothing(tmp_path: Path) -> None:
    values = _dasdae(tmp_path / "a.h5")
    recording = open_recording(tmp_path / "a.h5")
    np.testing.assert_array_equal(recording.values, values.T)
    np.testing.assert_allclose(recording.time, 0.5 + np.arange(N_TIMES) * 1e-3, atol=1e-12)
    np.testing.assert_array_equal(recording.distance, np.arange(N_LOCI) * 2.0)
    assert recording.attrs["units"] == "m/s"
    assert recording.attrs["unix_epoch"] == EPOCH
    assert "station" not in recording.attrs


def _terra15(path: Path) -> np.ndarray:
    values = RNG.standard_normal((N_TIMES, N_LOCI)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file.attrs.update(file_version=6, data_product="velocity", data_product_units="m/s", sensing_range_start=-5.0)
        file.attrs.update(dx=2.5, nx=N_LOCI, serial_number="A1")
        file["data_product/data"] = values
        file["data_product/gps_time"] = EPOCH + 0.5 + np.arange(N_TIMES) * 0.01
        file["data_product/posix_time"] = np.zeros(N_TIMES)
    return values


def test_terra15_takes_the_clock_of_the_satellites(tmp_path: Path) -> None:
    values = _terra15(tmp_path / "a.h5")
    recording = open_recording(tmp_path / "a.h5")
    np.testing.assert_array_equal(recording.values, values)
    np.testing.assert_allclose(recording.time, 0.5 + np.arange(N_TIMES) * 0.01, atol=1e-6)
    np.testing.assert_allclose(recording.distance, -5.0 + np.arange(N_LOCI) * 2.5)
    assert recording.attrs["units"] == "m/s"
    assert recording.attrs["unix_epoch"] == EPOCH
    assert recording.attrs["sampling_rate"] == pytest.approx(100.0)


def _ap_sensing(path: Path) -> np.ndarray:
    values = RNG.standard_normal((N_TIMES, N_LOCI)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["DAS"] = values
        file["DAQ/PositionStart"], file["DAQ/PositionEnd"] = [10.0], [10.0 + 4 * N_LOCI]
        file["DAQ/SerialNumber"] = ["7"]
        file["Metadata/Timestamp"] = ["2024-02-29T12:00:00"]
        file["ProcessingServer/DataRate"] = [250.0]
    return values


def test_ap_sensing_spreads_its_channels_over_the_stated_range(tmp_path: Path) -> None:
    values = _ap_sensing(tmp_path / "a.h5")
    recording = open_recording(tmp_path / "a.h5")
    np.testing.assert_array_equal(recording.values, values)
    assert recording.attrs["sampling_rate"] == 250.0
    assert recording.attrs["start"] == "2024-02-29T12:00:00"
    np.testing.assert_allclose(recording.distance, 10.0 + 4.0 * np.arange(N_LOCI))


def _drop_times(file: h5py.File) -> None:
    del file["Acquisition/Raw[0]/RawDataTime"]


def _one_axis(file: h5py.File) -> None:
    del file["Acquisition/Raw[0]/RawData"]
    file["Acquisition/Raw[0]/RawData"] = np.arange(5)


def _odd_axes(file: h5py.File) -> None:
    file["Acquisition/Raw[0]/RawData"].attrs["Dimensions"] = b"time"


def _times_of_text(file: h5py.File) -> None:
    _drop_times(file)
    file["Acquisition/Raw[0]/RawDataTime"] = ["noon"] * N_TIMES


def _times_too_few(file: h5py.File) -> None:
    _drop_times(file)
    file["Acquisition/Raw[0]/RawDataTime"] = np.arange(3)


def _no_unit_of_length(file: h5py.File) -> None:
    file["Acquisition"].attrs["SpatialSamplingInterval.uom"] = "parsec"


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (_drop_times, "no time stamps"),
        (_one_axis, "expected numbers along time and distance"),
        (_odd_axes, "names the axes"),
        (_times_of_text, "no time stamps"),
        (_times_too_few, "one stamp a sample"),
    ],
)
def test_what_is_odd_about_prodml_is_a_finding(tmp_path: Path, spoil: Callable[[h5py.File], None], word: str) -> None:
    _prodml(tmp_path / "a.h5", dimensions=["time", "locus"])
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        spoil(file)
    assert any(word in finding.message for finding in describe(tmp_path / "a.h5").findings)


def test_a_missing_clock_or_distance_leaves_the_values(tmp_path: Path) -> None:
    values = _prodml(tmp_path / "a.h5", dimensions=["time", "locus"])
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        _drop_times(file)
        _no_unit_of_length(file)
    recording = open_recording(tmp_path / "a.h5", "RawData")
    np.testing.assert_array_equal(recording.values, values)
    assert recording.attrs["sampling_rate"] == 100.0
    assert "distance" not in recording.coords


def _attributes(path: str, **stated: object) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        for name, value in stated.items():
            file[path].attrs.pop(name, None)
            file[path].attrs[name] = value

    return spoil


def _two_names(file: h5py.File) -> None:
    del file["header/dimensionNames"]
    file["header/dimensionNames"] = np.array([b"time", b"time"])


@pytest.mark.parametrize(
    ("write", "spoil"),
    [
        (_dasdae, _attributes("waveforms/DAS____2023/_coord_time", is_datetime64=np.arange(4))),
        (_dasdae, _attributes("waveforms/DAS____2023", _dims="distance")),
        (_optodas, _two_names),
        (partial(_prodml, dimensions=["time", "locus"]), _attributes("Acquisition/Raw[0]", OutputDataRate=-1.0)),
        (partial(_prodml, dimensions=["time", "locus"]), _attributes("Acquisition", SpatialSamplingInterval=np.inf)),
    ],
)
def test_odd_headers_leave_the_values(
    tmp_path: Path, write: Callable[[Path], np.ndarray], spoil: Callable[[h5py.File], None]
) -> None:
    write(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        spoil(file)
    assert open_recording(tmp_path / "a.h5").size == N_TIMES * N_LOCI


def test_a_silixa_file_without_a_usable_rate_says_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["Acoustic"] = np.zeros((4, 3), np.int16)
        file["Acoustic"].attrs["SamplingFrequency[Hz]"] = "fast"
    with pytest.raises(DataError, match="sampling rate is nan"):
        open_recording(tmp_path / "a.h5")


@pytest.mark.parametrize("write", [_optodas, _dasdae, _terra15, _ap_sensing])
def test_headers_of_the_wrong_kind_raise_only_data_errors(tmp_path: Path, write: Callable[[Path], np.ndarray]) -> None:
    write(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        paths: list[str] = []
        file.visit(paths.append)
    for path in paths:
        write(tmp_path / "a.h5")
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            if not isinstance(file[path], h5py.Dataset):
                continue
            del file[path]
            file[path] = ["odd", "text"]
        describe(tmp_path / "a.h5")
        with contextlib.suppress(DataError):
            open_recording(tmp_path / "a.h5").values.sum()


def test_no_other_file_looks_like_a_fiber(data_dir: Path) -> None:
    for path in data_dir.iterdir():
        if path.suffix in {".md", ".nii", ".gz"} or path.name.startswith("das_"):
            continue
        with open_tree(path) as tree:
            assert Das().sniff(tree) == 0, path.name
