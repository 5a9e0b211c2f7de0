"""Missing samples and padding: what is not there is NaN, costs what it is, and changes nothing else."""

import warnings

import numpy as np
import pytest
import torch
import xarray as xr

from sciml.data import Preprocess, Preprocessed, sliding_windows, windows_around
from sciml.data.layer import last_values
from sciml.data.samples import read_samples, unread_samples
from sciml.errors import ConfigError, DataError, ScimlWarning
from sciml.nn import models
from tests.nn.small import ONE_LENGTH as ONE_LENGTH_NAMES
from tests.nn.small import SMALL

torch.set_num_threads(1)


def electrodes(n=2000, channels=32, seed=0):
    values = np.random.default_rng(seed).normal(size=(n, channels))
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 10.0, "units": "V"})


def holed():
    """One electrode of 32 missing half the time, and 60 stray values."""
    wave = electrodes()
    wave[:1000, 5] = np.nan
    rng = np.random.default_rng(1)
    for row, column in zip(rng.integers(2000, size=60), rng.integers(32, size=60), strict=True):
        wave[int(row), int(column)] = np.nan
    return wave


def test_an_electrode_that_is_missing_half_the_time_costs_one_electrode():
    wave = holed()
    whole = len(sliding_windows(electrodes(), length=1.0, step=1.0))
    dropped = sliding_windows(wave, length=1.0, step=1.0)
    assert len(dropped) < 0.5 * whole
    windows = sliding_windows(wave, length=1.0, step=1.0, missing="mask")
    assert len(windows) == whole
    X, _ = windows.arrays()
    np.testing.assert_array_equal(X, wave.values.reshape(200, 10, 32).transpose(0, 2, 1).astype(np.float32))
    fitted = Preprocess.fit(windows, np.arange(len(windows)), missing="mask")
    np.testing.assert_allclose(fitted.mean, np.nanmean(wave.values, axis=0), rtol=1e-6)
    np.testing.assert_allclose(fitted.scale, np.nanstd(wave.values, axis=0), rtol=1e-6)
    z = fitted.apply(X)
    assert z.shape == (200, 64, 10)
    assert not np.isnan(z).any()
    np.testing.assert_array_equal(z[:, 32:], ~np.isnan(X))
    assert (z[:, :32][np.isnan(X)] == 0).all()
    np.testing.assert_array_equal(fitted.as_module()(torch.from_numpy(X)).numpy(), z)
    back = Preprocess.from_state(fitted.to_state())
    assert (back.missing, back.n_inputs) == ("mask", 64)
    np.testing.assert_array_equal(back.apply(X), z)


def test_the_denoiser_sees_zero_for_what_is_missing():
    wave = holed()
    windows = sliding_windows(wave, length=1.0, step=1.0, missing="mask")
    matrix = np.eye(32) - 1 / 32
    fitted = Preprocess.fit(windows, np.arange(len(windows)), matrix=matrix, missing="mask")
    X, _ = windows.arrays()
    centered = np.nan_to_num(X - fitted.mean[:, None])
    expected = np.einsum("ij,njt->nit", matrix, centered) / (fitted.scale / fitted.gain)[:, None]
    np.testing.assert_allclose(fitted.apply(X)[:, :32], np.where(np.isnan(X), 0, expected), atol=1e-5)
    np.testing.assert_allclose(fitted.as_module()(torch.from_numpy(X)).numpy(), fitted.apply(X), atol=1e-5)


def test_a_dead_electrode_is_refused_or_masked_and_never_all_of_them():
    wave = electrodes(channels=3)
    wave[:, 1] = np.nan
    with pytest.raises(DataError, match=r"1 of 3 channels .*data\.missing = 'mask'"):
        sliding_windows(wave, length=1.0, step=1.0)
    windows = sliding_windows(wave, length=1.0, step=1.0, missing="mask")
    with pytest.warns(ScimlWarning, match="no sample"):
        fitted = Preprocess.fit(windows, np.arange(10), missing="mask")
    assert (fitted.mean[1], fitted.scale[1]) == (0.0, 1.0)
    with pytest.raises(DataError, match="3 of 3 channels masked or missing"):
        read_samples(wave.where(False), "mask")


def test_all_windows_masked_is_said():
    wave = electrodes(n=40, channels=2)
    wave = wave.assign_coords(mask=("time", np.arange(40) % 5 == 0))
    with pytest.raises(DataError, match=r"dropped 4 masked or missing samples.*data.missing = 'mask'"):
        sliding_windows(wave, length=1.0, step=1.0)
    assert len(sliding_windows(wave, length=1.0, step=1.0, missing="mask")) == 4


def test_masked_samples_are_nan_however_they_are_read():
    wave = electrodes(n=60, channels=2)
    wave[7, 0], wave[8, 1] = np.inf, 1e300
    wave = wave.assign_coords(mask=("time", np.arange(60) == 20))
    held = sliding_windows(wave, length=2.0, step=2.0, missing="mask").arrays()[0]
    read = sliding_windows(read_samples(wave, "mask", memory=0), length=2.0, step=2.0, missing="mask").arrays()[0]
    np.testing.assert_array_equal(held, read)
    assert np.isnan(held).sum() == 4


def trials(lengths, start=1.0, step=10.0):
    starts = start + step * np.arange(len(lengths))
    labels = ["a", "b"] * (len(lengths) // 2)
    return xr.Dataset(
        {
            "start_time": ("event", starts),
            "stop_time": ("event", starts + np.asarray(lengths)),
            "kind": ("event", labels[: len(lengths)]),
        }
    )


def test_trials_of_unequal_length_are_padded_or_cropped():
    wave, lengths = electrodes(channels=2), [1.0, 4.0, 2.5, 3.0]
    padded = windows_around(wave, trials(lengths), label="kind", before=0.5, length="trial")
    assert padded.length == 45
    assert padded.lengths is not None
    assert padded.lengths.tolist() == [15, 45, 30, 35]
    np.testing.assert_allclose(padded.stops - padded.times, [1.5, 4.5, 3.0, 3.5])
    X, _ = padded.arrays()
    for row, (start, n) in enumerate(zip(padded.starts, padded.lengths, strict=True)):
        np.testing.assert_array_equal(X[row, :, :n], wave.values[start : start + n].T.astype(np.float32))
        assert np.isnan(X[row, :, n:]).all()
    assert sum(len(rows) for rows in padded.samples(np.arange(4))) == 125
    cropped = windows_around(wave, trials(lengths), label="kind", before=0.5, length="crop")
    assert (cropped.length, cropped.lengths) == (15, None)
    equal = windows_around(wave, trials([2.0] * 4), label="kind", before=0.0, length="trial")
    assert (equal.length, equal.lengths) == (20, None)


def test_a_last_trial_at_the_end_of_the_recording_is_padded_not_dropped():
    wave = electrodes(n=400, channels=2)
    windows = windows_around(wave, trials([1.0, 9.0, 2.0, 9.0]), label="kind", before=0.0, length="trial")
    assert windows.starts.tolist() == [10, 110, 210, 310]
    table = trials([1.0, np.nan, 2.0, 3.0, 3.0, 2.0], step=5.0)
    assert windows_around(wave, table, label="kind", before=0.0, length="trial").dropped == {
        "end of the trial missing": 1
    }


NETS = [
    ("fcn", {"norm": "batch"}),
    ("fcn", {"norm": "group", "pool": "last"}),
    ("fcn", {"norm": "none", "kernels": [4, 3]}),
    ("resnet1d", {"norm": "group", "blocks": 2}),
    ("resnet1d", {"norm": "batch", "blocks": 2}),
    ("resnet", {"widths": [4, 8, 8]}),
    ("resnet", {"widths": [4, 8, 8], "norm": "group", "pool": "last"}),
    ("tcn", {"blocks": 2, "kernel": 4, "channel_dropout": 0.0}),
    ("tcn", {"blocks": 2, "kernel": 4, "channel_dropout": 0.0, "norm": "group"}),
    ("inceptiontime", {"kernels": [6, 4, 3], "width": 3}),
    ("gru", {}),
    ("gru", {"layers": 2, "pool": "mean"}),
]
UNDROPPED = {"linear": {}, "atcnet": {"dropout": 0.0, "attention_dropout": 0.0}}
ONE_LENGTH = [(name, SMALL[name] | UNDROPPED.get(name, {"dropout": 0.0})) for name in ONE_LENGTH_NAMES]


def _sized(name, options):
    return options if name in (*ONE_LENGTH_NAMES, "resnet") else {"width": 8, **options}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(("name", "options"), [*NETS, *ONE_LENGTH], ids=str)
def test_a_result_does_not_depend_on_how_much_padding_a_batch_has(name, options, training):
    """Equal to rounding: sums over 20 to 60 values of order one in single precision are exact to about 1e-6."""
    fitted = Preprocess(mean=np.array([0.5, -1.0]), scale=np.array([2.0, 1.0]))
    torch.manual_seed(0)
    net = models.build(name, n_channels=2, n_times=20, n_outputs=3, **_sized(name, options))
    model = Preprocessed(fitted.as_module(), net).train(training)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    x = torch.randn(4, 2, 20)
    x[0, :, 9:], x[2, :, 15:] = torch.nan, torch.nan
    found = []
    for more in (0, 1, 40):
        model.load_state_dict(state)
        padded = torch.cat([x, torch.full((4, 2, more), torch.nan)], dim=2)
        out = model(padded)
        found.append((out, {key: value.clone() for key, value in model.state_dict().items()}))
    for out, buffers in found[1:]:
        torch.testing.assert_close(out, found[0][0], rtol=1e-4, atol=2e-5)
        for key, value in buffers.items():
            torch.testing.assert_close(value, found[0][1][key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "options"), NETS, ids=str)
def test_a_padded_window_says_what_it_says_alone(name, options):
    """Without padding torch's own layers run; masked ones agree with them."""
    fitted = Preprocess(mean=np.zeros(2), scale=np.ones(2))
    torch.manual_seed(0)
    net = models.build(name, n_channels=2, n_times=20, n_outputs=3, **_sized(name, options))
    model = Preprocessed(fitted.as_module(), net).eval()
    x = torch.randn(3, 2, 20)
    x[1, :, 12:] = torch.nan
    together = model(x)
    alone = torch.cat([model(x[:1]), model(x[1:2, :, :12]), model(x[2:])])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("name", "options"), NETS, ids=str)
def test_padding_changes_nothing_in_half_precision(name, options):
    """Convolutions in bfloat16 keep 8 bits, so that two layers differ by a few parts in 100."""
    torch.manual_seed(0)
    net = models.build(name, n_channels=2, n_times=20, n_outputs=3, **_sized(name, options))
    model = Preprocessed(Preprocess(mean=np.zeros(2), scale=np.ones(2)).as_module(), net).eval()
    x = torch.randn(3, 2, 20)
    padded = torch.cat([x, torch.full((3, 2, 400), torch.nan)], dim=2)
    with torch.autocast("cpu", torch.bfloat16):
        plain, masked = model(x).float(), model(padded).float()
    torch.testing.assert_close(masked, plain, rtol=0.05, atol=0.05)


def test_batches_without_padding_are_bit_equal_to_the_plain_chain():
    fitted = Preprocess(mean=np.array([0.5, -1.0]), scale=np.array([2.0, 1.0]))
    net = models.build("resnet1d", n_channels=2, n_times=20, n_outputs=3, width=8).eval()
    x = torch.randn(3, 2, 20)
    plain = net((x - fitted.as_module().mean) / fitted.as_module().scale)
    assert torch.equal(Preprocessed(fitted.as_module(), net)(x), plain)


def test_masked_batch_statistics_are_those_of_the_samples_that_are_there():
    from sciml.nn.models.masked import masked

    norm, x = torch.nn.BatchNorm1d(2), torch.randn(3, 2, 7)
    valid = torch.arange(7)[None] < torch.tensor([7, 4, 2])[:, None]
    found = masked(norm, x, valid)
    rows = x.permute(0, 2, 1)[valid]
    other = torch.nn.BatchNorm1d(2)
    torch.testing.assert_close(found.permute(0, 2, 1)[valid], other(rows), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.running_var, other.running_var)
    torch.testing.assert_close(norm.running_mean, other.running_mean)


def test_a_net_that_knows_no_padding_is_not_given_any():
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 2))
    model = Preprocessed(Preprocess(mean=np.zeros(2), scale=np.ones(2)).as_module(), plain)
    model(torch.zeros(1, 2, 3))
    with pytest.raises(ConfigError, match=r"set windows.length to seconds"):
        model(torch.tensor([[[1.0, 1.0, torch.nan], [1.0, 1.0, torch.nan]]]))
    linear = models.build("linear", n_channels=1, n_times=3, n_outputs=2)
    with pytest.raises(DataError, match="at most 3 samples, as in training, got 5"):
        linear(torch.zeros(1, 1, 6), torch.arange(6)[None] < 5)


def test_the_last_value_is_the_last_that_is_there():
    x = torch.tensor([[[1.0, 2.0, 3.0], [4.0, torch.nan, torch.nan], [torch.nan] * 3]])
    assert last_values(x)[0, :2].tolist() == [3.0, 4.0]
    assert last_values(x)[0, 2].isnan()


def test_windows_beyond_the_training_range_are_flagged_at_the_rate_that_is_stated():
    """Exchangeable windows: each of five numbers is the most extreme of n + 1 with probability 1 / (n + 1)."""
    rng = np.random.default_rng(0)
    wave = xr.DataArray(rng.normal(size=(12000, 3)), dims=("time", "channel"), attrs={"sampling_rate": 10.0})
    windows = sliding_windows(wave, length=2.0, step=2.0)
    n, flagged = 60, []
    for first in range(0, 540, 60):
        train = np.arange(first, first + n)
        fitted = Preprocess.fit(windows, train)
        rest = np.setdiff1d(np.arange(600), train)
        z = fitted.standardize(windows.arrays(rest)[0])
        assert fitted.range is not None
        flagged.append(fitted.range.beyond(z).mean())
    bound = 5 / (n + 1)
    # nine training parts; each rate has a standard deviation below its bound
    assert np.mean(flagged) < bound * (1 + 2 / np.sqrt(9))
    X, _ = windows.arrays(np.arange(550, 560))
    assert fitted.range is not None
    for changed in (X * 10, X + 5, X * 0.01, np.where(np.arange(20) < 10, np.nan, X)):
        assert fitted.range.beyond(fitted.standardize(changed.astype(np.float32))).all()


def test_unread_samples_find_the_same_windows_and_read_no_others():
    wave = electrodes(n=500, channels=2)
    table = trials([1.0, 2.0, 1.5, 2.0], step=8.0)
    read = windows_around(wave, table, label="kind", before=0.3, length=2.0)
    from sciml.data.cutting import windows_at

    unread = windows_at(unread_samples(wave), table, before=0.3, length=2.0)
    np.testing.assert_array_equal(unread.starts, read.starts)
    np.testing.assert_array_equal(unread.times, read.times)
    np.testing.assert_array_equal(unread.arrays()[0], read.arrays()[0])
    assert "clock" not in unread.table_of_samples.__dict__


def test_nearest_samples_of_a_regular_clock_are_those_of_a_search():
    wave = electrodes(n=300, channels=1).assign_coords(time=100.0 + np.arange(300) / 10)
    times = np.random.default_rng(0).uniform(99, 131, 200)
    regular = unread_samples(wave)
    found = regular.nearest(times)
    searched = unread_samples(wave)
    _ = searched.clock
    np.testing.assert_array_equal(found, searched.nearest(times))
    np.testing.assert_array_equal(regular.times(found), wave.time.values[found])


def test_preprocessing_without_missing_samples_is_what_it_was():
    wave = electrodes(channels=3)
    windows = sliding_windows(wave, length=1.0, step=1.0)
    fitted = Preprocess.fit(windows, np.arange(50))
    block = wave.values[:500].astype(np.float32)
    mean = block.sum(axis=0, dtype=np.float64) / 500
    centered = block.astype(np.float64) - mean
    np.testing.assert_array_equal(fitted.mean, mean)
    np.testing.assert_array_equal(fitted.scale, np.sqrt(np.einsum("tc,tc->c", centered, centered) / 500))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Preprocess.fit(windows, np.arange(50), missing="mask")


def test_a_long_clock_that_lies_in_a_file_is_read_in_parts_and_says_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    clock = 5.0 + np.cumsum(0.1 * (1 + 0.2 * rng.uniform(-1, 1, 3000)) + np.where(np.arange(3000) % 700 == 699, 9, 0))
    wave = electrodes(n=3000, channels=2).drop_attrs().assign_attrs(units="V")
    held = wave.assign_coords(time=clock)
    unread = wave.assign_coords(xr.Coordinates({"time": ("time", clock)}, indexes={}))
    table = trials([2.0] * 40, start=10.0, step=7.0)
    expected = windows_around(held, table, label="kind", before=0.3, length=2.0)
    monkeypatch.setattr("sciml.recording.UNREAD", 1000)
    monkeypatch.setattr("sciml.recording.CLOCK_BLOCK", 64 * 41)
    from sciml.data.cutting import windows_at
    from sciml.recording import check, sampling_rate, unread_clock

    assert unread_clock(unread)
    assert not unread_clock(held)
    # the median of some steps: jitter of a fifth is known to a few parts in a hundred from 2624 of them
    assert sampling_rate(unread) == pytest.approx(sampling_rate(held), rel=0.02)
    samples = unread_samples(check(unread))
    found = windows_at(samples, table, before=0.3, length=2.0)
    assert found.length == expected.length
    np.testing.assert_array_equal(found.starts, expected.starts)
    np.testing.assert_array_equal(found.times, expected.times)
    assert dict(found.dropped) == dict(expected.dropped)
    assert not {"clock", "segment"} & set(samples.__dict__)
    backward = clock.copy()
    backward[1234] = 0.0
    with pytest.warns(ScimlWarning, match="time runs backward at 1 of 3000 samples"):
        check(wave.assign_coords(xr.Coordinates({"time": ("time", backward)}, indexes={})))
