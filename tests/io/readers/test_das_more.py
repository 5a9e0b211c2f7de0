"""Febus, Neubrex and GDR files, written to what is known of them."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.io import describe, open_recording

EPOCH = 1_600_000_000


def febus(path: Path, *, overlap: float, version: str | None = "2.0") -> np.ndarray:
    """Write blocks that share samples with their neighbors; return the stretch that they cut up."""
    own, rows, blocks = 10, round(10 * (1 + overlap / 100)), 4
    margin = (rows - own) // 2
    stretch = np.arange(float(blocks * own + 2 * margin))[:, None] + np.array([0.0, 1000.0, 2000.0])
    with h5py.File(path, "w") as file:
        zone = file.create_group("fa1-1/Source1/Zone1")
        zone["StrainRate"] = np.stack([stretch[k * own : k * own + rows] for k in range(blocks)]).astype("f4")
        zone.attrs.update(Extent=[5, 7, 0, rows - 1], Origin=[100.0, -5.0], Spacing=[2.0, 5.0], BlockOverlap=[overlap])
        zone.attrs.update(BlockRate=[1e3 / (own * 0.005)], SamplingRate=[200.0], GaugeLength=[10.0])
        if version:
            zone.attrs["Version"] = version
        file["fa1-1/Source1/time"] = EPOCH + np.arange(blocks) * own * 0.005
    return stretch[margin : margin + blocks * own]


@pytest.mark.parametrize(("overlap", "version"), [(100.0, "2.0"), (0.0, "2.0"), (100.0, None)])
def test_blocks_of_febus_are_one_stretch_without_what_they_share(
    tmp_path: Path, overlap: float, version: str | None
) -> None:
    expected = febus(tmp_path / "a.h5", overlap=overlap, version=version)
    recording = open_recording(tmp_path / "a.h5")
    np.testing.assert_array_equal(recording.values, expected)
    assert recording.attrs["sampling_rate"] == pytest.approx(200.0)
    assert recording["distance"].values.tolist() == [110.0, 112.0, 114.0]
    start = -0.005 + (5 if overlap else 0) * 0.005
    assert recording.attrs["unix_epoch"] + float(recording["time"][0]) == pytest.approx(EPOCH + start)
    np.testing.assert_array_equal(recording.isel(time=slice(8, 23), channel=1).values, expected[8:23, 1])
    np.testing.assert_array_equal(recording.isel(time=[3, 30], channel=[0, 2]).values, expected[[3, 30]][:, [0, 2]])


def test_neubrex_and_gdr_have_clock_distance_and_unit(tmp_path: Path) -> None:
    values = np.arange(8.0).reshape(4, 2)
    with h5py.File(tmp_path / "acoustic.h5", "w") as file:
        file["Acoustic"] = values
        file["Acoustic"].attrs.update(
            {
                "NEUBRESCOPE.DAS.Model": "NBX",
                "TimeSamplingInterval(seconds)": 0.01,
                "StartPosition": 10.0,
                "SpatialSamplingInterval": 0.5,
                "StartStopPositionUnit": "m",
                "GPSTimeStamp(UTC)": "2022-01-01T00:00:00",
                "DataPhysicalUnit": "rad",
            }
        )
    with h5py.File(tmp_path / "strain.h5", "w") as file:
        file["data"], file["depth"], file["stamps"] = values, [1.0, 1.5], ["a", "b", "c", "d"]
        file["stamps_unix"] = (EPOCH + np.arange(4)) * 1_000_000.0
        file["data"].attrs.update(DataUnitLabel="degC", StartDateTime="2020-09-13", EndDateTime="2020-09-13")
    with h5py.File(tmp_path / "gdr.h5", "w") as file:
        acquisition = file.create_group("DasMetadata/Interrogator/Acquisition")
        acquisition.attrs.update(SpatialSamplingInterval=2.0, SpatialSamplingIntervalUnit="m", UnitOfMeasure="strain")
        file["DasRawData/RawData"] = values.T
        file["DasRawData/RawData"].attrs["DasDimensions"] = ["locus", "time"]
        file["DasRawData/DasTimeArray"] = EPOCH * 10**9 + np.arange(4) * 10**7
    expected = {"acoustic": (100.0, [10.0, 10.5], "rad"), "strain": (1.0, [1.0, 1.5], "degC")}
    expected["gdr"] = (100.0, [0.0, 2.0], "strain")
    for name, (rate, distance, unit) in expected.items():
        recording = open_recording(tmp_path / f"{name}.h5")
        assert describe(tmp_path / f"{name}.h5").format.startswith("DAS")
        assert recording.dims == ("time", "channel")
        np.testing.assert_array_equal(recording.values, values)
        assert recording.attrs["sampling_rate"] == pytest.approx(rate)
        assert recording["distance"].values.tolist() == distance
        assert recording.attrs["units"] == unit


def test_odh4_ai4eps_hdas_and_t1_are_told_apart(tmp_path: Path) -> None:
    values = np.arange(8.0).reshape(4, 2)
    with h5py.File(tmp_path / "odh4.h5", "w") as file:
        file["raw_data"] = values.T
        file.attrs.update({"sampling rate Hz": 100.0, "channel spacing m": 2.0, "channel_start": 5, "channel_end": 7})
        file.attrs.update(
            {"raw_data_units": "phase shift in radians", "starttime": "2022-01-01T00:00:00", "GL m": 10.0}
        )
    with h5py.File(tmp_path / "ai4eps.h5", "w") as file:
        file["data"] = values.T
        file["data"].attrs.update(
            begin_time="2022-01-01T00:00:00", dt_s=0.01, dx_m=4.0, unit="microstrain/s", event_id="e"
        )
    header = np.zeros(200)
    header[[0, 1, 6, 11, 15, 98, 100]] = [200, 3.0, 1000.0, 30.0, 5.0, 2.0, EPOCH]
    with h5py.File(tmp_path / "hdas.h5", "w") as file:
        file["File_Header"], file["HDAS_DATA"] = header, values
    with h5py.File(tmp_path / "t1.h5", "w") as file:
        file["Data/Temperature"], file["Data/Distance"] = values, [0.0, 0.5]
        file["Data/Time"], file["Data/DistanceSignal"] = EPOCH + np.arange(4)[:, None] * 10.0, [0.0, 0.5]
    expected = {"odh4": (100.0, [10.0, 12.0]), "ai4eps": (100.0, [0.0, 4.0]), "hdas": (100.0, [30.0, 33.0])}
    expected["t1"] = (0.1, [0.0, 0.5])
    for name, (rate, distance) in expected.items():
        recording = open_recording(tmp_path / f"{name}.h5")
        assert describe(tmp_path / f"{name}.h5").format.startswith("DAS")
        np.testing.assert_array_equal(recording.values, values)
        assert recording.attrs["sampling_rate"] == pytest.approx(rate)
        assert recording["distance"].values.tolist() == distance
    assert open_recording(tmp_path / "odh4.h5").attrs["units"] == "radian"
    assert open_recording(tmp_path / "t1.h5").attrs["units"] == "degC"
