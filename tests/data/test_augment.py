"""Windows that are changed stay windows of their part, and noise that is added is that of the recording."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import signal

from sciml.data import WindowDataset, sliding_windows, with_targets
from sciml.data.parts.augment import Augment, NoiseSource, room_to_shift
from sciml.data.samples import read_samples
from sciml.errors import ConfigError

RATE = 100.0


def wave(n: int = 2000, **coords: object) -> xr.DataArray:
    values = np.arange(2.0 * n).reshape(n, 2)
    return xr.DataArray(values, dims=("time", "channel"), coords=coords, attrs={"sampling_rate": RATE})


def dataset(augment: Augment, recording: xr.DataArray | None = None, *, memory: int = 2**31) -> WindowDataset:
    """Windows of 20 samples, the middle ones of which are chosen."""
    samples = read_samples(wave() if recording is None else recording, memory=memory)
    windows = sliding_windows(samples, length=0.19, step=0.2, horizon=0.01)
    return WindowDataset(windows, np.arange(30, 60), augment=augment)


def test_shifted_windows_hold_the_samples_from_where_they_begin() -> None:
    part = dataset(Augment(shift=0.05))
    items = np.arange(30)
    x, y = part.batch(items, key=4)
    first = x[:, 0, 0].numpy() / 2  # the recording counts its samples
    shifts = first - part.starts
    np.testing.assert_array_equal(x[:, 0].numpy() / 2, first[:, None] + np.arange(19))
    np.testing.assert_array_equal(y[:, 0, 0].numpy() / 2, first + 19)
    assert -5 <= shifts.min() < 0 < shifts.max() <= 5


def test_shifts_are_even_over_the_room_that_there_is() -> None:
    part = dataset(Augment(shift=0.05))
    shifts = np.array([part.batch([7], key=k)[0][0, 0, 0].item() / 2 - part.starts[7] for k in range(1100)])
    counts = np.bincount((shifts + 5).astype(int), minlength=11)
    assert ((counts - 100) ** 2 / 100).sum() < 29.6  # chi squared of 10 degrees of freedom, P = 1e-3


def test_no_shift_reaches_another_part() -> None:
    part = dataset(Augment(shift=1.0))
    own = part.windows.starts[part.indices]
    for key in range(50):
        first = part.batch(np.arange(30), key=key)[0][:, 0, 0].numpy() / 2
        assert first.min() >= own.min()
        assert first.max() <= own.max()


def test_no_shift_meets_a_gap_or_a_missing_sample() -> None:
    clock = np.arange(2000) / RATE
    clock[900:] += 3.0
    recording = wave(time=clock).drop_attrs()
    recording[{"time": 730}] = np.nan
    part = dataset(Augment(shift=0.5), recording)
    for key in range(50):
        x = part.batch(np.arange(len(part)), key=key)[0].numpy()
        assert np.isfinite(x).all()
        assert (np.diff(x[:, 0], axis=1) == 2).all()
        assert not ((x[:, 0, 0] < 1800) & (x[:, 0, -1] >= 1800)).any()


def test_a_window_that_overlaps_another_part_stays() -> None:
    samples = read_samples(wave(100))
    own, others = np.array([[10, 20], [40, 50]]), np.array([[15, 25], [60, 70]])
    before, behind = room_to_shift(own, others, samples, most=30)
    assert (before.tolist(), behind.tolist()) == ([0, 15], [0, 10])


@pytest.mark.parametrize("memory", [2**31, 2000])
def test_draws_depend_on_key_and_item_alone(memory: int) -> None:
    part = dataset(Augment(0.05, 0.3, 0.5, NoiseSource(np.ones(2), RATE)), memory=memory)
    one = part.batch([3, 9, 21], key=8)[0].numpy()
    again = np.concatenate([part.batch([item], key=8)[0].numpy() for item in (3, 9, 21)])
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, part.batch([3, 9, 21], key=9)[0].numpy(), equal_nan=True)
    np.testing.assert_array_equal(part.batch([3])[0].numpy(), dataset(Augment()).batch([3])[0].numpy())


def test_channels_are_dropped_with_their_probability_but_never_all() -> None:
    X = np.ones((4000, 3, 2), np.float32)
    found = Augment(channel_dropout=0.4).changed(X, range(4000), key=0)
    missing = np.isnan(found)
    gone = np.logical_and.reduce(missing, axis=2)
    np.testing.assert_array_equal(np.logical_or.reduce(missing, axis=2), gone)
    assert gone.sum(axis=1).max() == 2
    expected = 0.4 - 0.4**3 / 3  # where all three were to go, one stays
    assert gone.mean() == pytest.approx(expected, abs=5 * np.sqrt(expected * (1 - expected) / 12_000))


@pytest.mark.parametrize("n", [2, 3])
def test_each_channel_that_is_there_is_as_likely_to_stay(n: int) -> None:
    X = np.ones((6000, 3, 2), np.float32)
    X[:, n:] = np.nan  # a dead electrode stays nobody
    gone = np.isnan(Augment(channel_dropout=0.5).changed(X, range(6000), key=1)[:, :n, 0])
    expected = 0.5 - 0.5**n / n
    assert gone.sum(axis=1).max() == n - 1
    np.testing.assert_allclose(gone.mean(axis=0), expected, atol=5 * np.sqrt(expected * (1 - expected) / 6000))


def periodograms(*args: Any, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    at, found = signal.welch(*args, **settings)
    return np.asarray(at), np.asarray(found)


def test_noise_has_the_spectrum_and_the_strength_of_its_source() -> None:
    frequency = np.linspace(0, RATE / 2, 201)
    psd = 1 / (1 + (frequency / 8) ** 2)
    source = NoiseSource(np.array([1.0, 0.5, 0.0]), RATE, frequency, psd)
    drawn = np.concatenate([source.draw(np.random.default_rng(k), 500) for k in range(400)], axis=1)
    np.testing.assert_allclose(drawn.std(axis=1), [1.0, 0.5, 0.0], rtol=0.02)
    at, found = periodograms(drawn[0].reshape(400, 500), RATE, nperseg=250)
    expected = np.interp(at, frequency, psd)
    inside = (at > 2) & (at < 48)
    ratio = found[:, inside].mean(axis=0) / expected[inside]
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.15)  # of 1200 periodograms, tapered: 3 % and leakage


def test_noise_keeps_what_is_constant_in_the_recording() -> None:
    null = np.full((4, 1), 0.5)
    drawn = NoiseSource(np.ones(4), RATE, null=null).draw(np.random.default_rng(0), 1000)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=1e-6)


def test_noise_adds_its_factor_times_the_source() -> None:
    X = np.zeros((1, 2, 50_000), np.float32)
    source = NoiseSource(np.array([2.0, 6.0]), RATE)
    found = Augment(noise=0.5, source=source).changed(X, [0], key=1)
    np.testing.assert_allclose(found[0].std(axis=1), [1.0, 3.0], rtol=0.02)


def test_what_cannot_be_augmented_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"channel_dropout in \[0, 1\), got 1"):
        Augment(channel_dropout=1.0)
    one = sliding_windows(wave()[:, :1], length=0.2, step=0.2, horizon=0.01)
    with pytest.raises(ConfigError, match=r"expected channels.*got one; set augment\.channel_dropout to 0"):
        WindowDataset(one, [0], augment=Augment(channel_dropout=0.1))
    with pytest.raises(ConfigError, match="noise floor"):
        Augment(noise=1.0)
    told = with_targets(sliding_windows(wave(), length=0.2, step=0.2), wave())
    with pytest.raises(ConfigError, match=r"set augment\.shift to 0"):
        WindowDataset(told, [0], augment=Augment(shift=0.1))
