"""Which bands are one, what each holds of the recording, and what lies in a stop band."""

import numpy as np
import pytest
import scipy.signal
import xarray as xr
from numpy.typing import NDArray

from sciml.noise import SpectralNoiseFloor, spectral_noise_floor

RATE = 500.0
Values = NDArray[np.float64]


def floor_of(values: Values) -> SpectralNoiseFloor:
    made = xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": RATE, "units": "V"})
    return spectral_noise_floor(made)


def oscillation(rng: np.random.Generator, low: float, high: float, n: int, t: int) -> Values:
    """Return n courses of unit variance in a band [Hz]."""
    sos = scipy.signal.butter(4, (low, high), "bandpass", fs=RATE, output="sos")
    courses = scipy.signal.sosfilt(sos, rng.normal(size=(t + 4000, n)), axis=0)[4000:]
    return np.asarray(courses / courses.std(axis=0))


def test_one_broadband_signal_is_one_band() -> None:
    rng = np.random.default_rng(0)
    t, n = 30_000, 48
    innovations = rng.normal(size=(t, 2))
    courses = scipy.signal.lfilter([1], [1, -0.95], innovations, axis=0) * 0.5
    found = floor_of(courses @ rng.normal(size=(2, n)) * 0.35 + rng.normal(size=(t, n)))
    assert len(found.bands) == 1
    assert len(found.bands[0].modes) == 2
    assert found.bands[0].low < 2
    assert found.bands[0].high > 20


def test_two_rhythms_of_other_channels_are_two_bands() -> None:
    rng = np.random.default_rng(1)
    t, n = 30_000, 32
    values = rng.normal(size=(t, n))
    values[:, :12] += 0.8 * oscillation(rng, 9, 12, 1, t)
    values[:, 16:28] += 0.8 * oscillation(rng, 16, 20, 1, t)
    found = floor_of(values)
    assert len(found.bands) == 2
    assert set(found.bands[0].channels) <= set(range(12))
    assert set(found.bands[1].channels) <= set(range(16, 28))


def test_a_rhythm_and_its_harmonic_are_two_bands_though_their_pattern_is_one() -> None:
    rng = np.random.default_rng(2)
    t, n = 30_000, 32
    values = rng.normal(size=(t, n))
    values += (oscillation(rng, 9, 11, 1, t) + oscillation(rng, 19, 21, 1, t)) * rng.normal(size=n) * 0.6
    assert [round(band.frequency, -1) for band in floor_of(values).bands] == [10, 20]


def test_the_share_of_a_band_is_its_part_of_the_power() -> None:
    rng = np.random.default_rng(3)
    t, n = 40_000, 24
    shared = oscillation(rng, 20, 30, 1, t) * rng.normal(size=n)
    scale = np.geomspace(1e-6, 1e-4, n)  # loud channels weigh as much as they hold
    values = (shared + 0.3 * rng.normal(size=(t, n))) * scale
    (band,) = floor_of(values).bands
    f, power = scipy.signal.welch(values, RATE, nperseg=4096, axis=0)
    total = power.sum(axis=1)
    inside = (f >= band.low) & (f <= band.high)
    assert band.share == pytest.approx(total[inside].sum() / total.sum(), rel=0.1)
    assert band.is_held


@pytest.mark.parametrize("kind", ["low-pass", "high-pass"])
def test_what_is_shared_in_a_stop_band_is_below_what_the_recording_holds(kind: str) -> None:
    rng = np.random.default_rng(4)
    t, n = 30_000, 24
    edge = 60.0 if kind == "low-pass" else 120.0
    sos = scipy.signal.cheby2(10, 90, edge, "low" if kind == "low-pass" else "high", fs=RATE, output="sos")
    passed = scipy.signal.sosfilt(sos, rng.normal(size=(t + 2000, n)), axis=0)[2000:]
    numerical = 1e-5 * oscillation(rng, 150, 200, 1, t) if kind == "low-pass" else 1e-5 * oscillation(rng, 20, 40, 1, t)
    found = floor_of(passed + numerical)
    assert found.bands
    assert not found.held_bands
    assert not any(band.is_held for band in found.bands)
    words = found.summary()
    assert words.startswith("No oscillation is shared")
    assert "below what the recording holds" in words


def test_steep_spectra_without_a_filter_are_no_stop_bands() -> None:
    rng = np.random.default_rng(5)
    t, n = 30_000, 24
    values = np.cumsum(rng.normal(size=(t, n)), axis=0)  # f^-2
    values = values - values.mean(axis=0)
    quiet = np.abs(np.fft.rfft(values, axis=0)[int(40 * t / RATE)]).mean() / np.sqrt(t)
    values += 6 * quiet * oscillation(rng, 35, 45, 1, t)
    found = floor_of(values)
    assert any(30 < band.frequency < 50 and band.is_held for band in found.bands)


def test_bands_are_named_by_their_range_and_lines_by_their_frequency() -> None:
    rng = np.random.default_rng(6)
    t, n = 30_000, 24
    values = rng.normal(size=(t, n)) + 0.5 * np.sin(2 * np.pi * 50 * np.arange(t) / RATE)[:, None]
    values[:, :10] += oscillation(rng, 8, 14, 1, t)
    words = floor_of(values).summary()
    assert "strongest at" in words
    assert "line at 50 Hz" in words
    assert "of the recording's power" in words
