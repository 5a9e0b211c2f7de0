"""Windows: what they hold, what they refuse, and why."""

from typing import Any

import h5py
import numpy as np
import pytest
import torch
import xarray as xr

import sciml.data.samples
from sciml.data import WindowDataset, sliding_windows, windows_around
from sciml.data.samples import read_samples
from sciml.errors import ConfigError, DataError
from sciml.io import open_recording

torch.set_num_threads(1)


def ramp(n=200, channels=3, rate=10.0, **coords):
    values = np.arange(n * channels, dtype=float).reshape(n, channels)
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": rate, "units": "V"}, coords=coords)


def table(onsets, labels, column="stimulus"):
    return xr.Dataset({"start_time": ("event", np.asarray(onsets)), column: ("event", np.asarray(labels))})


def naive(recording, windows):
    values = recording.transpose("time", ...).values.reshape(recording.sizes["time"], -1)
    return np.stack([values[s : s + windows.length].T for s in windows.starts])


def test_windows_around_hold_the_samples_around_each_onset():
    recording = ramp()
    windows = windows_around(
        recording, table([2.0, 6.0, 8.0, 11.0], ["b", "a", "b", "a"]), label="stimulus", before=0.5, length=1.5
    )
    X, y = windows.arrays()
    assert y is not None
    assert windows.events is not None
    assert X.shape == (4, 3, 15)
    assert X.dtype == np.float32
    np.testing.assert_array_equal(X, naive(recording, windows))
    np.testing.assert_array_equal(windows.starts, [15, 55, 75, 105])
    np.testing.assert_allclose(windows.times, [1.5, 5.5, 7.5, 10.5])
    assert windows.classes == ("a", "b")
    assert y.dtype == np.int64
    assert y.tolist() == [1, 0, 1, 0]
    assert windows.events.tolist() == [0, 1, 2, 3]


def test_onsets_between_samples_fall_on_the_nearest_and_keep_the_rest():
    onsets = np.array([2.03, 2.97, 5.0, 6.049])
    windows = windows_around(ramp(), table(onsets, [0, 1, 0, 1]), label="stimulus", before=0.0, length=1.0)
    assert windows.starts.tolist() == [20, 30, 50, 60]
    assert windows.offsets is not None
    np.testing.assert_allclose(windows.offsets, [0.03, -0.03, 0.0, 0.049], atol=1e-12)
    np.testing.assert_allclose(windows.times + windows.offsets, onsets)


def test_onsets_follow_time_stamps_not_the_mean_rate():
    rng = np.random.default_rng(0)
    clock = 100.0 + np.cumsum(0.1 * (1 + 0.2 * rng.uniform(-1, 1, 300)))
    recording = xr.DataArray(np.zeros((300, 1)), dims=("time", "roi"), coords={"time": clock})
    onsets = clock[[20, 90, 200, 250]] + 0.01
    windows = windows_around(recording, table(onsets, [1, 2, 1, 2]), label="stimulus", before=0.0, length=1.0)
    assert windows.starts.tolist() == [20, 90, 200, 250]


def test_a_negative_before_starts_after_the_onset():
    windows = windows_around(
        ramp(), table([2.0, 3.0, 4.0, 5.0], [0, 0, 1, 1]), label="stimulus", before=-0.5, length=1.0
    )
    assert windows.starts.tolist() == [25, 35, 45, 55]


def test_dropped_windows_are_counted_by_reason():
    clock = np.concatenate([np.arange(100) / 10, 50 + np.arange(100) / 10])
    recording = xr.DataArray(np.zeros((200, 2)), dims=("time", "channel"), coords={"time": clock})
    recording[30, 1] = np.nan
    onsets = [0.0, 1.0, 2.9, 5.0, 6.0, 9.7, 30.0, 51.0, 52.0, 70.0, np.nan, 54.0]
    labels = ["x", "x", "y", "y", "y", "x", "y", "x", "x", "x", "y", ""]
    windows = windows_around(recording, table(onsets, labels), label="stimulus", before=0.2, length=1.0)
    assert windows.events is not None
    assert windows.events.tolist() == [1, 3, 4, 7, 8]
    assert windows.dropped == {
        "outside the recording": 2,  # before the first sample, after the last
        "masked or missing samples": 1,
        "across a gap": 2,  # straddling it, and inside it
        "onset missing": 1,
        "label missing": 1,
    }


def test_no_window_holds_a_masked_missing_or_infinite_sample_or_straddles_a_gap():
    rng = np.random.default_rng(1)
    clock = np.cumsum(np.where(rng.random(500) < 0.02, 3.0, 0.1))
    values = rng.normal(size=(500, 2))
    values[rng.integers(500, size=5), 0] = np.nan
    values[rng.integers(500, size=3), 1] = np.inf
    values[7, 1] = 1e300  # beyond float32
    mask = rng.random(500) < 0.01
    recording = xr.DataArray(values, dims=("time", "channel"), coords={"time": clock, "mask": ("time", mask)})
    windows = sliding_windows(recording, length=1.0, step=0.1, horizon=0.3)
    bad = mask | ~np.isfinite(values).all(axis=1) | (np.abs(values) > 1e38).any(axis=1)
    good = [s for s in range(500 - 13 + 1) if not bad[s : s + 13].any() and np.diff(clock[s : s + 13]).max() < 0.15]
    assert windows.starts.tolist() == good
    assert windows.dropped["masked or missing samples"] > 0
    assert np.isfinite(windows.arrays()[0]).all()


def test_sliding_windows_with_horizon_split_into_past_and_future():
    recording = ramp()
    windows = sliding_windows(recording, length=5.0, step=2.0, horizon=1.0)
    X, y = windows.arrays([0, 3])
    assert y is not None
    assert X.shape == (2, 3, 50)
    assert y.shape == (2, 3, 10)
    both = np.concatenate([X, y], axis=2)
    np.testing.assert_array_equal(both[1], recording.values[60:120].T)
    assert windows.span == 60
    assert len(windows) == 8


def test_pixels_become_channels_whatever_the_order_of_dims():
    movie = xr.DataArray(
        np.random.default_rng(0).normal(size=(2, 40, 3)), dims=("y", "time", "x"), attrs={"sampling_rate": 1.0}
    )
    windows = sliding_windows(movie, length=4, step=4)
    np.testing.assert_array_equal(windows.arrays()[0], naive(movie, windows).astype(np.float32))
    assert windows.n_channels == 6


def test_windows_are_the_same_when_the_recording_does_not_fit_in_memory(monkeypatch):
    recording = ramp().chunk({"time": 17})
    inside = sliding_windows(recording, length=2.0, step=0.7, horizon=0.5)
    monkeypatch.setattr(sciml.data.samples, "LEAST_BYTES", 8 * 3 * 11)
    outside = sliding_windows(read_samples(recording, memory=0), length=2.0, step=0.7, horizon=0.5)
    assert outside.table_of_samples.values is None
    for a, b in zip(inside.arrays([4, 1]), outside.arrays([4, 1]), strict=True):
        np.testing.assert_array_equal(a, b)
    rows = [np.concatenate(list(w.samples([0, 1, 9]))) for w in (inside, outside)]
    np.testing.assert_array_equal(rows[0], rows[1])


def test_samples_cover_each_sample_of_the_chosen_windows_once():
    windows = sliding_windows(ramp(channels=1), length=2.0, step=0.5)
    got = np.concatenate(list(windows.samples([0, 1, 2, 20])))[:, 0]
    np.testing.assert_array_equal(got, [*range(30), *range(100, 120)])


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([10, 2, 10, 2], ("2", "10")),
        ([True, False, True, False], ("0", "1")),
        ([2.0, 1.0, 2.0, 1.0], ("1", "2")),
        (np.array(["b", "a", "b", "a"], dtype=object), ("a", "b")),
        (np.array([b"b", b"a", b"b", b"a"]), ("a", "b")),
    ],
)
def test_labels_of_any_kind_become_sorted_classes(labels, classes):
    windows = windows_around(ramp(), table([2.0, 4.0, 6.0, 8.0], labels), label="stimulus", before=0.0, length=1.0)
    assert windows.classes == classes
    assert windows.labels is not None
    assert windows.labels.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (["a", "a", "a", "a"], "got a: 4"),
        (["a", "a", "a", "b"], "got a: 3, b: 1"),
        ([0.5, 1.0, 0.5, 1.0], "such as 0.5"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(labels, text):
    with pytest.raises(DataError, match=text):
        windows_around(ramp(), table([2.0, 4.0, 6.0, 8.0], labels), label="stimulus", before=0.0, length=1.0)


def test_refusals_name_what_was_expected_and_what_came():
    events = table([2.0, 4.0, 6.0, 8.0], [0, 1, 0, 1])
    with pytest.raises(DataError, match=r"column 'kind' .* \['start_time', 'stimulus'\]"):
        windows_around(ramp(), events, label="kind", before=0.0, length=1.0)
    with pytest.raises(ConfigError, match="length of at least one sample"):
        windows_around(ramp(), events, label="stimulus", before=0.0, length=0.01)
    with pytest.raises(DataError, match=r"got none of 4 .*4 outside the recording"):
        windows_around(ramp(), events, label="stimulus", before=0.0, length=100.0)
    with pytest.raises(DataError, match="got none of 0"):
        sliding_windows(ramp(), length=100.0, step=1.0)
    with pytest.raises(DataError, match="complex"):
        sliding_windows(ramp().astype(complex), length=1.0, step=1.0)
    with pytest.raises(DataError, match="horizon"):
        WindowDataset(sliding_windows(ramp(), length=1.0, step=1.0), [0])
    clock = np.arange(200) / 10.0
    clock[100] = 0.0
    with pytest.raises(DataError, match="step back"):
        sliding_windows(ramp().drop_attrs().assign_coords(time=clock), length=1.0, step=1.0)


def test_a_dead_channel_is_named():
    recording = ramp()
    recording[:, 1] = np.nan
    with pytest.raises(DataError, match=r"1 of 3 channels .*numbers 1\)"):
        sliding_windows(recording, length=1.0, step=1.0)


def test_data_set_gives_items_and_batches_alike():
    recording = ramp()
    windows = windows_around(
        recording, table([2.0, 4.0, 6.0, 8.0], [0, 1, 0, 1]), label="stimulus", before=0.0, length=1.0
    )
    data = WindowDataset(windows, [3, 0, 1], transform=lambda X: X + 1)
    x, y = data.batch([0, 2])
    assert x.dtype == torch.float32
    assert y.tolist() == [1, 1]
    assert torch.equal(data[2][0], x[1])
    assert torch.equal(x[0], torch.from_numpy(recording.values[80:90].T + 1).float())
    assert data.targets is not None
    assert data.targets.tolist() == [1, 0, 1]
    loaded = list(torch.utils.data.DataLoader(data, batch_size=2))
    assert [len(batch[1]) for batch in loaded] == [2, 1]
    assert torch.equal(loaded[0][0], data.batch([0, 1])[0])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_loader_read_the_windows_of_a_file(tmp_path, method):
    counts = np.random.default_rng(0).integers(-99, 99, (400, 3), dtype=np.int16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=counts, chunks=(64, 3), compression="gzip")
        file["x"].attrs.update(sampling_rate=10.0, units="mV", scale_factor=0.5)
    recording = open_recording(tmp_path / "a.h5")
    recording[:2].load()  # the parent holds an open handle
    samples = read_samples(recording, memory=0)  # windows are read when they are asked for
    windows = sliding_windows(samples, length=2.0, step=1.0, horizon=1.0)
    data = WindowDataset(windows, np.arange(len(windows.starts)))
    loader = torch.utils.data.DataLoader(data, batch_size=7, num_workers=1, multiprocessing_context=method)
    got = torch.cat([x for x, _ in loader])
    expected = torch.from_numpy(naive(recording.load(), windows)).float()
    assert torch.equal(got, expected)


def halved(y: Any) -> Any:
    return (y - 7) / 2


def test_forecast_targets_can_be_increments():
    windows = sliding_windows(ramp(), length=5.0, step=2.0, horizon=1.0)
    X, y = windows.arrays([0, 3])
    assert y is not None
    plain = WindowDataset(windows, [0, 3], transform=lambda X: 0 * X, target_transform=halved)
    np.testing.assert_array_equal(plain.batch([0, 1])[1], (y - 7) / 2)
    relative = WindowDataset(windows, [0, 3], target_transform=halved, increments=True)
    np.testing.assert_allclose(relative.batch([0, 1])[1], (y - X[:, :, -1:]) / 2)
    np.testing.assert_array_equal(relative.batch([0, 1])[0], X)


def test_real_recording_gives_windows(data_dir):
    """62 neurons on jittering time stamps, as the worm file has them: read with h5py, to need no reader here."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(data_dir / "nwb_scholz2018_141721.nwb") as file:
        traces = sorted(name for name in file["acquisition"] if name.startswith("Activity_"))
        values = np.stack([file[f"acquisition/{name}/data"][:].ravel() for name in traces], axis=1)
        clock = file[f"acquisition/{traces[0]}/timestamps"][:].ravel()
    recording = xr.DataArray(values, dims=("time", "roi"), coords={"time": clock})
    windows = sliding_windows(recording, length=5.0, step=1.0, horizon=1.0)
    X, y = windows.arrays()
    assert y is not None
    assert X.shape[1] == y.shape[1] == 62
    elapsed = windows.stops - windows.times
    assert np.abs(elapsed - windows.span / windows.rate).max() < 2 / windows.rate


def test_classes_are_in_the_order_that_people_count_in() -> None:
    n = 40
    events = xr.Dataset(
        {
            "start_time": ("event", np.arange(n) * 2.0),
            "stop_time": ("event", np.arange(n) * 2.0 + 1),
            "angle": ("event", np.array(["180", "90", "0", "45"] * (n // 4))),
        }
    )
    made = xr.DataArray(np.zeros((1000, 2)), dims=("time", "channel"), attrs={"sampling_rate": 10.0})
    assert windows_around(made, events, label="angle", before=0.0, length=1.0).classes == ("0", "45", "90", "180")
