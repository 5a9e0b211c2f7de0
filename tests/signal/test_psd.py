"""Power spectra against SciPy, Parseval, and white noise of known density."""

import numpy as np
import pytest
import scipy.signal
import xarray as xr

from sciml.errors import DataError
from sciml.signal import correlation, psd


def recording(values: np.ndarray, rate: float = 100.0, **coords: object) -> xr.DataArray:
    dims = ("time", "channel")[: values.ndim]
    return xr.DataArray(values, dims=dims, coords=coords, attrs={"sampling_rate": rate, "units": "V"})


def test_power_spectrum_equals_scipy_welch() -> None:
    values = np.random.default_rng(0).normal(size=(3000, 2))
    ours = psd.power_spectrum(recording(values), segment=2.56)
    frequency, theirs = scipy.signal.welch(values, fs=100.0, nperseg=256, axis=0)
    np.testing.assert_allclose(ours["frequency"], frequency)
    np.testing.assert_allclose(ours.values, theirs, rtol=1e-12)
    assert ours.attrs["units"] == "(V)^2/Hz"


def test_white_noise_of_variance_s2_has_density_2_s2_over_rate() -> None:
    values = 3.0 * np.random.default_rng(1).normal(size=100_000)
    density = psd.power_spectrum(recording(values), segment=1.0)
    # about 1333 effective averages at each of 48 bins: standard error 0.4 %
    assert float(density[1:-1].mean()) == pytest.approx(2 * 9 / 100.0, rel=0.02)


def test_blocks_do_not_change_the_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).normal(size=(4096, 2))
    whole = psd.power_spectrum(recording(values), segment=0.64)
    monkeypatch.setattr(psd, "BLOCK_BYTES", 8 * 2 * 512)
    parts = psd.power_spectrum(recording(values), segment=0.64)
    assert parts.attrs["n_segments"] == 8 * 15  # segments across block borders are not taken
    np.testing.assert_allclose(parts.mean(), whole.mean(), rtol=0.02)


def test_segments_never_straddle_a_gap() -> None:
    rate, n = 100.0, 1000
    time = np.arange(2 * n) / rate
    time[n:] += 50.0
    values = np.where(np.arange(2 * n) < n, 0.0, 1e6)  # a step at the gap is not broadband power
    density = psd.power_spectrum(xr.DataArray(values, dims="time", coords={"time": time}), segment=1.0)
    assert float(density[1:].max()) < 1e-9


def test_missing_samples_leave_their_segments_out() -> None:
    values = np.random.default_rng(3).normal(size=(2000, 2))
    values[500:600, 0] = np.nan
    density = psd.power_spectrum(recording(values), segment=1.0)
    assert np.isfinite(density).all()
    np.testing.assert_allclose(density[:, 1], scipy.signal.welch(values[:, 1], fs=100.0, nperseg=100)[1], rtol=1e-12)


def test_masked_samples_are_left_out() -> None:
    values = np.random.default_rng(4).normal(size=2000)
    values[700] = 1e9
    masked = recording(values).assign_coords(mask=("time", np.arange(2000) == 700))
    assert float(psd.power_spectrum(masked, segment=1.0).max()) < 1.0


def test_spectrogram_finds_when_a_tone_starts() -> None:
    time = np.arange(4000) / 100.0
    values = np.where(time > 20, np.sin(2 * np.pi * 10 * time), 0.0)
    power = psd.spectrogram(recording(values), segment=1.0).sel(frequency=10.0)
    assert float(power.where(power.time < 19, drop=True).max()) < 1e-12
    assert float(power.where(power.time > 21, drop=True).min()) > 0.1


@pytest.mark.parametrize(
    ("segment", "text"), [(1e6, "expected a segment between"), (0.001, "expected a segment between")]
)
def test_unusable_segments_say_which_would_do(segment: float, text: str) -> None:
    with pytest.raises(DataError, match=text):
        psd.power_spectrum(recording(np.zeros(1000)), segment=segment)


def test_complex_recordings_are_refused_with_the_remedy() -> None:
    with pytest.raises(DataError, match=r"\.real and \.imag"):
        psd.power_spectrum(recording(np.zeros(100, dtype=complex)))


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_correlation_samples_of_ar1_match_the_closed_form(phi: float) -> None:
    frequency = np.arange(20_000) / 20_000
    psd = 1 / np.abs(1 - phi * np.exp(-2j * np.pi * frequency)) ** 2
    assert correlation.correlation_samples(psd) == pytest.approx((1 + phi**2) / (1 - phi**2), rel=1e-9)
