"""Steps of preprocessing are what scipy and MNE compute on the same arrays, in blocks as at once."""

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.signal
import xarray as xr

import sciml
from sciml.errors import ConfigError, DataError
from sciml.io.arrays import lazy
from sciml.io.arrays.lazy import LazyArray
from sciml.signal import STEPS, blockwise, filters

RATE, N, CHANNELS = 1000.0, 6000, 5


class Held(LazyArray):
    """An array in memory that is read as one of a file is, and counts the samples that are read."""

    def __init__(self, values) -> None:
        self.values, self.shape, self.dtype, self.n_read = values, values.shape, values.dtype, 0

    def read(self, key):
        found = self.values[np.ix_(*(np.atleast_1d(np.arange(n)[k]) for n, k in zip(self.shape, key, strict=True)))]
        self.n_read += found.size
        return found.reshape(
            [np.arange(n)[k].size for n, k in zip(self.shape, key, strict=True) if np.ndim(np.arange(n)[k])]
        )


def samples(seed=0, *, n=N, offset=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, CHANNELS)).cumsum(axis=0) * 0.1 + rng.normal(size=(n, CHANNELS)) + offset


def recorded(values, **attrs) -> xr.DataArray:
    return sciml.from_numpy(values, RATE, "uV").assign_attrs(attrs)


def unread(values) -> xr.DataArray:
    held = recorded(values)
    return xr.DataArray(lazy(Held(values)), held.coords, held.dims, "lazy", held.attrs)


FILTERS = {
    "bandpass": (lambda r: r.sciml.bandpass(20, 200), scipy.signal.butter(4, [20, 200], "band", fs=RATE, output="sos")),
    "highpass": (lambda r: r.sciml.highpass(30), scipy.signal.butter(4, 30, "high", fs=RATE, output="sos")),
    "lowpass": (lambda r: r.sciml.lowpass(100, order=2), scipy.signal.butter(2, 100, "low", fs=RATE, output="sos")),
    "notch": (
        lambda r: r.sciml.notch(50, harmonics=2),
        np.concatenate([scipy.signal.tf2sos(*scipy.signal.iirnotch(k * 50, k * 30, fs=RATE)) for k in (1, 2)]),
    ),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters_are_those_of_scipy_with_mirrored_ends(name) -> None:
    step, sections = FILTERS[name]
    values = samples(n=9000, offset=300.0)
    margin = filters.Filter(sections).margin
    expected = scipy.signal.sosfiltfilt(sections, values, axis=0, padtype="even", padlen=margin)
    np.testing.assert_allclose(step(recorded(values)).values, expected, rtol=0, atol=1e-12 * np.abs(values).max())


def test_filters_are_those_of_mne_away_from_the_ends() -> None:
    mne = pytest.importorskip("mne")
    values = samples()
    parameters = {"order": 4, "ftype": "butter", "output": "sos"}
    theirs = mne.filter.filter_data(values.T, RATE, 20, 200, method="iir", iir_params=parameters, verbose="error").T
    ours = recorded(values).sciml.bandpass(20, 200).values
    np.testing.assert_allclose(ours[1000:-1000], theirs[1000:-1000], rtol=0, atol=1e-6)
    decimated = recorded(values).sciml.decimate(5).values
    expected = mne.filter.resample(values.T, down=5, method="polyphase", window=("kaiser", 5.0), verbose="error").T
    np.testing.assert_allclose(decimated[100:-100], expected[100:-100], rtol=0, atol=1e-6)


LAZY = {
    **{name: step for name, (step, _) in FILTERS.items()},
    "resample": lambda r: r.sciml.resample(240.0),
    "decimate": lambda r: r.sciml.decimate(4),
    "dff": lambda r: r.sciml.dff(window=0.5),
    "rereference": lambda r: r.sciml.rereference("median"),
    "detrend": lambda r: r.sciml.detrend(order=2),
    "whiten": lambda r: r.sciml.whiten(window=0.2),
    "chain": lambda r: r.sciml.rereference().sciml.notch(50).sciml.bandpass(20, 200).sciml.decimate(2),
}


def with_missing(values):
    values = values.copy()
    values[100:103, 0], values[2000:2900, 1], values[-5:, 2], values[:7, 3] = np.nan, np.nan, np.nan, np.nan
    return values


@pytest.mark.parametrize("missing", [False, True], ids=["whole", "missing"])
@pytest.mark.parametrize("name", LAZY)
def test_blocks_of_a_lazy_recording_are_the_whole(name, missing, monkeypatch) -> None:
    values = samples(offset=50.0)
    values = with_missing(values) if missing else values
    whole = LAZY[name](recorded(values))
    monkeypatch.setattr(blockwise, "BLOCK_VALUES", 1500 * CHANNELS)
    late = LAZY[name](unread(values))
    assert not isinstance(late.variable._data, np.ndarray)
    scale = 1e-12 * np.nanmax(np.abs(values))
    n = late.sizes["time"]
    for part in (slice(None), slice(n // 3, n // 3 + 40), slice(n - 30, n), slice(0, n, 7)):
        np.testing.assert_allclose(late[part].values, whole[part].values, rtol=0, atol=scale)
    np.testing.assert_allclose(late[:, [1, 3]].values, whole[:, [1, 3]].values, rtol=0, atol=scale)
    np.testing.assert_allclose(late[n // 2, 2].values, whole[n // 2, 2].values, rtol=0, atol=scale)
    assert late.coords.equals(whole.coords)
    assert pickle.loads(pickle.dumps(late.variable)).shape == late.shape  # noqa: S301


def test_a_step_reads_what_is_asked_for_and_its_margin() -> None:
    recording = unread(samples())
    data: Any = recording.variable._data
    array = data.array.array
    late = recording.sciml.highpass(50)
    assert array.n_read == 0
    late[3000:3010].values  # noqa: B018
    assert 0 < array.n_read < 2000 * CHANNELS


def test_chunked_recordings_stay_chunked() -> None:
    values = samples()
    late = recorded(values).chunk(time=1000).sciml.bandpass(20, 200)
    assert late.chunksizes["time"] == (1000,) * 6
    np.testing.assert_allclose(late.values, recorded(values).sciml.bandpass(20, 200).values, atol=1e-11)


def test_missing_samples_stay_missing_and_do_not_ring() -> None:
    time = np.arange(N) / RATE
    tone = np.sin(2 * np.pi * 40 * time)[:, None] + np.zeros(CHANNELS)
    cut = tone.copy()
    cut[3000] = np.nan
    cleaned = recorded(cut).sciml.bandpass(10, 100).values
    assert np.isnan(cleaned[3000]).all()
    assert np.isnan(cleaned).sum() == CHANNELS
    whole = recorded(tone).sciml.bandpass(10, 100).values
    np.testing.assert_allclose(np.delete(cleaned, 3000, 0), np.delete(whole, 3000, 0), atol=0.02)


def test_masked_samples_count_as_missing() -> None:
    values = samples()
    artifact = values.copy()
    artifact[2000:2010] = 1e6
    mask = np.zeros(N, bool)
    mask[2000:2010] = True
    cleaned = recorded(artifact).assign_coords(mask=("time", mask)).sciml.highpass(30)
    other = recorded(np.where(mask[:, None], np.nan, values)).sciml.highpass(30)
    np.testing.assert_array_equal(cleaned.values, other.values)
    assert cleaned.mask.values.sum() == 10


@pytest.mark.parametrize("name", ["bandpass", "detrend", "decimate", "dff"])
def test_segments_between_gaps_are_done_each_by_itself(name) -> None:
    values = samples()
    time = np.arange(N) / RATE
    time[2500:] += 10
    gapped = xr.DataArray(values, {"time": time}, ("time", "channel"))
    result = LAZY[name](gapped)
    parts = [LAZY[name](recorded(values[part])) for part in (slice(0, 2500), slice(2500, N))]
    np.testing.assert_allclose(result.values, np.concatenate([part.values for part in parts]), atol=1e-12)
    assert np.abs(np.diff(result.time.values)).max() > 9.9


def test_resampling_is_that_of_scipy_and_keeps_the_clock() -> None:
    values = samples()
    result = recorded(values).sciml.resample(240.0)
    expected = scipy.signal.resample_poly(values, 6, 25, axis=0)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.values[20:-20], expected[20:-20], atol=1e-12)
    np.testing.assert_allclose(result.time.values, np.arange(len(expected)) / 240.0)
    assert result.attrs["sampling_rate"] == 240.0


def test_whole_numbers_units_and_history() -> None:
    counts = np.random.default_rng(0).integers(-500, 500, (N, CHANNELS)).astype(np.int16)
    result = recorded(counts, history="made").sciml.highpass(30).sciml.notch(50)
    assert result.dtype == np.float32
    assert result.attrs["units"] == "uV"
    assert result.attrs["history"].splitlines()[0] == "made"
    assert [line.split(":")[0] for line in result.attrs["history"].splitlines()[1:]] == [
        "sciml.signal.highpass",
        "sciml.signal.notch",
    ]


def test_detrending_and_references_are_those_of_scipy_and_numpy() -> None:
    values = samples()
    np.testing.assert_allclose(recorded(values).sciml.detrend().values, scipy.signal.detrend(values, axis=0), atol=1e-9)
    median = values - np.median(values, axis=1, keepdims=True)
    np.testing.assert_array_equal(recorded(values).sciml.rereference("median").values, median)
    shanks = recorded(values).assign_coords(shank=("channel", list("aabba")))
    grouped = shanks.sciml.rereference(by="shank").values
    first = values[:, [0, 1, 4]]
    np.testing.assert_allclose(grouped[:, [0, 1, 4]], first - first.mean(axis=1, keepdims=True), atol=1e-12)


def test_relative_change_is_that_of_a_running_percentile() -> None:
    values = np.abs(samples(n=400)) + 5
    half, t = 25, 200
    expected = values[t] / np.sort(values[t - half : t + half + 1], axis=0)[int(51 * 0.1)] - 1
    result = recorded(values).sciml.dff(window=0.05, percentile=10)
    np.testing.assert_allclose(result.values[t], expected, atol=1e-12)
    assert result.attrs["units"] == "1"


def test_bad_channels_are_found_by_table_flatness_and_noise() -> None:
    values = np.random.default_rng(1).normal(size=(N, 24))
    values[:, 3], values[:, 7] = 4.0, values[:, 7] * 40
    marked = recorded(values).assign_coords(quality=("channel", ["good"] * 23 + ["bad"]))
    assert {i: w for i, w in enumerate(marked.sciml.bad_channels().values) if w} == {3: "flat", 7: "noisy", 23: "table"}
    kept = marked.sciml.drop_bad_channels()
    assert kept.sizes["channel"] == 21
    assert "3 (flat), 7 (noisy), 23 (table)" in kept.attrs["history"] or kept.attrs["history"].count("(") == 3


def test_cropping_by_time_and_by_events() -> None:
    values = samples()
    part = recorded(values).sciml.crop(1.0, 2.0)
    np.testing.assert_array_equal(part.values, values[1000:2000])
    about = recorded(values).sciml.crop_around([1.0, 4.0], before=0.1, after=0.2)
    np.testing.assert_array_equal(about.values, np.concatenate([values[900:1200], values[3900:4200]]))
    assert sciml.recording.segments(about) == [slice(0, 300), slice(300, 600)]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda r: r.sciml.bandpass(300, 6000), ConfigError, "below 500 Hz"),
        (lambda r: r.sciml.bandpass(30, 20), ConfigError, "lower to a higher"),
        (lambda r: r.sciml.highpass(0), ConfigError, "above 0 Hz"),
        (lambda r: r.sciml.resample(-1), ConfigError, "positive rate"),
        (lambda r: r.sciml.decimate(0), ConfigError, "whole factor"),
        (lambda r: r.sciml.rereference(by="shank"), ConfigError, "coordinate of the channels"),
        (lambda r: r.sciml.rereference("mode"), ConfigError, "average or median"),
        (lambda r: r.sciml.crop(100.0), DataError, "from 0 to 5.999 s"),
        (lambda r: r.sciml.detrend(order=7), ConfigError, "order 0 to 3"),
        (lambda r: r.drop_vars("time").drop_attrs().sciml.highpass(1), DataError, "sampling_rate"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_do(call, error, said) -> None:
    with pytest.raises(error, match=said):
        call(recorded(samples(n=6000)))


def test_every_step_is_a_method_of_recordings() -> None:
    assert set(STEPS) <= set(dir(recorded(samples()).sciml))
