"""Recordings go to other packages and come back with values, unit, rate, names and start; lazily where they can."""

import sys
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sciml
from sciml import bridges
from sciml.errors import DataError, MissingDependencyError

RATE, START = 250.0, 2.0
# What other packages warn of while they are imported is not ours to mend
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(1000, 4))


@pytest.fixture
def recording(values) -> xr.DataArray:
    return sciml.from_numpy(values, RATE, "uV", ["a", "b", "c", "d"], start=START)


def same(
    found: xr.DataArray, values, *, units: str = "uV", scale: float = 1.0, names: tuple[str, ...] = tuple("abcd")
) -> None:
    assert found.dims == ("time", "channel")
    assert found.attrs["units"] == units
    assert sciml.recording.sampling_rate(found) == pytest.approx(RATE, rel=1e-9)
    assert tuple(found.channel.values) == names
    np.testing.assert_allclose(found.time.values, START + np.arange(len(values)) / RATE, atol=1e-9)
    np.testing.assert_allclose(found.values, values * scale, rtol=1e-6, atol=1e-7 * scale)


def test_mne(recording, values) -> None:
    pytest.importorskip("mne")
    raw = recording.sciml.to_mne()
    assert raw.ch_names == list("abcd")
    np.testing.assert_allclose(raw.get_data().T, values * 1e-6, rtol=1e-12)
    same(bridges.from_mne(raw), values, units="V", scale=1e-6)


def test_mne_files_stay_unread_with_bad_channels_and_spans(recording, values, tmp_path) -> None:
    mne = pytest.importorskip("mne")
    raw = recording.sciml.to_mne()
    raw.info["bads"] = ["b"]
    raw.set_annotations(mne.Annotations([1.0], [0.5], ["BAD_jump"]))
    assert np.flatnonzero(bridges.from_mne(raw).mask.values)[[0, -1]].tolist() == [250, 374]
    raw.save(tmp_path / "some_raw.fif", fmt="double", verbose="error")
    found = bridges.from_mne(mne.io.read_raw_fif(tmp_path / "some_raw.fif", preload=False, verbose="error"))
    assert not isinstance(found.variable._data, np.ndarray)
    np.testing.assert_allclose(found[500:510, [0, 2]].values, values[500:510][:, [0, 2]] * 1e-6, rtol=1e-9)
    assert found.bad.values.tolist() == [False, True, False, False]
    assert np.flatnonzero(found.mask.values)[[0, -1]].tolist() == [250, 374]
    assert sciml.noise_floor(found).rank == 0


def test_neo(recording, values) -> None:
    pytest.importorskip("neo")
    signal = recording.sciml.to_neo()
    assert float(signal.sampling_rate) == RATE
    assert float(signal.t_start) == START
    same(bridges.from_neo(signal), values)


def test_proxies_of_neo_stay_unread(tmp_path) -> None:
    neo: Any = pytest.importorskip("neo")
    file = neo.io.ExampleIO(str(tmp_path / "some.fake"))  # draws its values itself
    proxy = file.read_block(lazy=True).segments[0].analogsignals[0]
    found = bridges.from_neo(proxy)
    assert not isinstance(found.variable._data, np.ndarray)
    assert found.attrs["units"] == str(proxy.units.dimensionality)
    np.testing.assert_array_equal(found[40:90, [1, 3]].values, proxy.load().magnitude[40:90][:, [1, 3]])


def test_spikeinterface(recording, values) -> None:
    pytest.importorskip("spikeinterface")
    probe = recording.assign_coords(rel_x=("channel", [0.0, 0, 20, 20]), rel_y=("channel", [0.0, 20, 0, 20]))
    theirs = probe.sciml.to_spikeinterface()
    np.testing.assert_array_equal(theirs.get_traces(start_frame=10, end_frame=20, channel_ids=["b", "d"]),
                                  values[10:20][:, [1, 3]])  # fmt: skip
    found = bridges.from_spikeinterface(theirs)
    assert not isinstance(found.variable._data, np.ndarray)
    same(found, values)
    assert found.rel_x.values.tolist() == [0.0, 0, 20, 20]


def test_pynapple(recording, values) -> None:
    nap: Any = pytest.importorskip("pynapple")
    frame = recording.sciml.to_pynapple()
    assert isinstance(frame, nap.TsdFrame)
    same(bridges.from_pynapple(frame, "uV"), values)
    movie = sciml.from_numpy(values.reshape(1000, 2, 2), RATE)
    assert isinstance(movie.sciml.to_pynapple(), nap.TsdTensor)
    np.testing.assert_array_equal(bridges.from_pynapple(movie.sciml.to_pynapple()).values, movie.values)


def test_pandas(recording, values) -> None:
    pd: Any = pytest.importorskip("pandas")
    same(bridges.from_pandas(recording.sciml.to_pandas(), "uV"), values)
    dates = pd.DataFrame(values, pd.date_range("2024-01-01", periods=1000, freq="4ms"))
    found = bridges.from_pandas(dates)
    assert found.attrs["sampling_rate"] == pytest.approx(RATE)
    assert found.attrs["start"].startswith("2024-01-01")


def test_gwpy(recording, values) -> None:
    pytest.importorskip("gwpy")
    same(bridges.from_gwpy(recording.sciml.to_gwpy()), values)
    one = recording.isel(channel=slice(0, 1)).sciml.to_gwpy()
    assert one.sample_rate.value == RATE
    same(bridges.from_gwpy(one), values[:, :1], names=("a",))


@pytest.mark.parametrize("name", ["to_mne", "to_spikeinterface", "to_gwpy"])
def test_gaps_are_refused_where_the_other_has_none(recording, name) -> None:
    gapped = recording.sciml.crop_around([3.0, 5.0], before=0.2, after=0.2)
    with pytest.raises(DataError, match="without gaps"):
        getattr(bridges, name)(gapped)


def test_a_package_that_is_not_there_is_named(recording, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mne", None)
    with pytest.raises(MissingDependencyError, match="pip install mne"):
        recording.sciml.to_mne()


def test_a_channel_that_misses_samples_is_bad_in_mne_and_samples_that_all_miss_are_annotated() -> None:
    mne = pytest.importorskip("mne")
    values = np.random.default_rng(0).normal(size=(200, 3))
    values[10:20] = np.nan
    values[50, 1] = np.inf
    raw = sciml.from_numpy(values, 100.0, "V", ["a", "b", "c"]).sciml.to_mne()
    assert isinstance(raw, mne.io.BaseRaw)
    assert raw.info["bads"] == ["b"]
    assert list(raw.annotations.description) == ["bad_missing"]
    assert raw.annotations.duration[0] == pytest.approx(0.1)
    assert np.isfinite(raw.get_data()).all()
