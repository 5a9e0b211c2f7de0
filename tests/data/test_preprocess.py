"""Preprocessing: learned from the train part alone, the same in numpy and torch, refused by other recordings."""

import io
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from sciml.data import Preprocess, sliding_windows
from sciml.errors import DataError, ScimlWarning

torch.set_num_threads(1)


def noise(scale=1.0, offset=0.0, n=400, channels=4, seed=0):
    rng = np.random.default_rng(seed)
    values = offset + scale * rng.normal(size=(n, channels)) * np.arange(1, channels + 1)
    return xr.DataArray(
        values,
        dims=("time", "channel"),
        coords={"channel": [f"c{k}" for k in range(channels)]},
        attrs={"sampling_rate": 10.0, "units": "V"},
    )


@pytest.mark.parametrize("scale", [1.0, 1e-21, 1e9])
def test_mean_and_scale_are_those_of_the_train_samples(scale):
    recording = noise(scale, offset=3 * scale)
    windows = sliding_windows(recording, length=2.0, step=0.5)
    fitted = Preprocess.fit(windows, [0, 1, 2, 20])
    covered = recording.values[[*range(30), *range(100, 120)]]
    np.testing.assert_allclose(fitted.mean, covered.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(fitted.scale, covered.std(axis=0), rtol=1e-6)
    assert fitted.n_samples == 50


def test_samples_outside_the_train_part_change_nothing():
    recording = noise()
    windows = sliding_windows(recording, length=2.0, step=2.0)
    before = Preprocess.fit(windows, np.arange(10))
    recording[200:] = 1e6
    after = Preprocess.fit(sliding_windows(recording, length=2.0, step=2.0), np.arange(10))
    np.testing.assert_array_equal(before.mean, after.mean)
    np.testing.assert_array_equal(before.scale, after.scale)


def test_applied_train_samples_have_mean_zero_and_variance_one():
    windows = sliding_windows(noise(offset=5.0), length=2.0, step=2.0)
    train = np.arange(0, len(windows), 2)
    z = Preprocess.fit(windows, train).apply(windows.arrays(train)[0])
    np.testing.assert_allclose(z.mean(axis=(0, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=(0, 2)), 1, atol=1e-6)


def denoiser(channels=4, seed=1):
    direction = np.linalg.qr(np.random.default_rng(seed).normal(size=(channels, 2)))[0]
    return direction @ direction.T


def test_denoising_is_the_formula():
    windows = sliding_windows(noise(offset=5.0), length=2.0, step=2.0)
    P = denoiser()
    fitted = Preprocess.fit(windows, np.arange(len(windows)), matrix=P)
    X = windows.arrays([3])[0]
    want = fitted.gain * P @ (X[0] - fitted.mean[:, None]) / fitted.scale[:, None]
    np.testing.assert_allclose(fitted.apply(X)[0], want, atol=1e-5)
    z = fitted.apply(windows.arrays()[0])
    assert z.var(axis=(0, 2)).mean() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("scale", [1.0, 1e-21])
@pytest.mark.parametrize("matrix", [None, denoiser()], ids=["plain", "denoised"])
def test_layer_equals_apply_and_travels_in_a_state_dict(scale, matrix):
    windows = sliding_windows(noise(scale), length=2.0, step=2.0)
    fitted = Preprocess.fit(windows, np.arange(10), matrix=matrix)
    X = windows.arrays()[0]
    net = torch.nn.Sequential(fitted.as_module(), torch.nn.Flatten())
    assert not list(net.parameters())
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = Preprocess.fit(windows, [0, 1, 2], matrix=None if matrix is None else np.eye(4))
    fresh = torch.nn.Sequential(other.as_module(), torch.nn.Flatten())
    fresh.load_state_dict(torch.load(file, weights_only=True))
    got = fresh(torch.from_numpy(X)).numpy().reshape(X.shape)
    # float32 rounding of a sum over four channels
    np.testing.assert_allclose(got, fitted.apply(X), atol=1e-5)


def test_layer_keeps_its_digits_under_bfloat16():
    windows = sliding_windows(noise(), length=2.0, step=2.0)
    layer = Preprocess.fit(windows, np.arange(10), matrix=denoiser()).as_module()
    x = torch.from_numpy(windows.arrays()[0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = layer(x)
    assert torch.equal(inside, layer(x))


def test_standardize_and_restore_are_inverse():
    windows = sliding_windows(noise(offset=2.0), length=2.0, step=2.0, horizon=0.5)
    fitted = Preprocess.fit(windows, np.arange(10), matrix=denoiser())
    y: Any = windows.arrays()[1]
    np.testing.assert_allclose(np.asarray(fitted.restore(fitted.standardize(y))), y, atol=1e-5)
    want = (y - fitted.mean[:, None]) / fitted.scale[:, None]
    np.testing.assert_allclose(fitted.standardize(y), want, atol=1e-5)


def test_state_comes_back_through_weights_only_loading():
    windows = sliding_windows(noise(), length=2.0, step=2.0)
    fitted = Preprocess.fit(windows, np.arange(10), matrix=denoiser())
    file = io.BytesIO()
    torch.save(fitted.to_state(), file)
    file.seek(0)
    back = Preprocess.from_state(torch.load(file, weights_only=True))
    for name in ("mean", "scale", "matrix"):
        np.testing.assert_array_equal(getattr(back, name), getattr(fitted, name))
    assert (back.units, back.sampling_rate, back.labels, back.gain, back.n_samples) == (
        "V",
        10.0,
        ("c0", "c1", "c2", "c3"),
        fitted.gain,
        fitted.n_samples,
    )


def test_other_recordings_are_refused_naming_both():
    recording = noise()
    fitted = Preprocess.fit(sliding_windows(recording, length=2.0, step=2.0), np.arange(10))
    fitted.check(recording)
    with pytest.raises(DataError, match="units 'V' as in training, got 'mV'"):
        fitted.check(recording.assign_attrs(units="mV"))
    with pytest.raises(DataError, match="10 Hz as in training, got 20 Hz"):
        fitted.check(recording.assign_attrs(sampling_rate=20.0))
    with pytest.raises(DataError, match="4 channels as in training, got 3"):
        fitted.check(recording[:, :3])
    with pytest.raises(DataError, match="channel 'c0' as in training, got 'c1'"):
        fitted.check(recording[:, [1, 0, 2, 3]])


def test_constant_channels_are_said_and_give_zeros():
    recording = noise()
    recording[:, 2] = 0.1
    windows = sliding_windows(recording, length=2.0, step=2.0)
    with pytest.warns(ScimlWarning, match=r"1 of 4 channels \(c2\) are constant"):
        fitted = Preprocess.fit(windows, np.arange(10))
    np.testing.assert_allclose(fitted.apply(windows.arrays()[0])[:, 2], 0, atol=1e-7)
    with pytest.raises(DataError, match="got 4 constant channels"):
        Preprocess.fit(sliding_windows(recording * 0 + 7.3, length=2.0, step=2.0), np.arange(10))


def test_a_mean_that_hides_the_variation_from_float32_is_said():
    windows = sliding_windows(noise(offset=1e6, channels=1), length=2.0, step=2.0)
    with pytest.warns(ScimlWarning, match="subtract it first"):
        Preprocess.fit(windows, np.arange(10))


def test_a_matrix_of_another_shape_is_refused():
    windows = sliding_windows(noise(), length=2.0, step=2.0)
    with pytest.raises(DataError, match=r"shape \(4, 4\), got shape \(3, 3\)"):
        Preprocess.fit(windows, [0], matrix=np.eye(3))
    with pytest.raises(DataError, match="at least one train window"):
        Preprocess.fit(windows, [])
