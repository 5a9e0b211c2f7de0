"""Spectra of noise: what a taper is for, gaps, slow waves of long recordings, and never more than the recording."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import scipy.signal
import xarray as xr
from numpy.typing import NDArray

from sciml.io import open_recording
from sciml.noise import NoiseFloor, noise_floor
from sciml.noise.channels import read, subsample
from sciml.signal.psd import power_spectrum

Values = NDArray[np.float64]


def recording(values: Values, rate: float = 1.0) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": rate, "units": "uV"})


def power_law(rng: np.random.Generator, slope: float, shape: tuple[int, int]) -> Values:
    """Return noise of the power f^-slope down to a quarter of the lowest frequency of the recording."""
    t, n = shape
    frequency = np.fft.rfftfreq(4 * t)
    frequency[0] = frequency[1]
    half = rng.normal(size=(len(frequency), n)) + 1j * rng.normal(size=(len(frequency), n))
    return np.asarray(scipy.fft.irfft(half * frequency[:, None] ** (-slope / 2), 4 * t, axis=0)[:t])


def low_passed(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """Return white noise above half of whose band nothing is left but 100 dB less."""
    t, n = shape
    sos = scipy.signal.cheby2(12, 100, 0.5, output="sos")
    return np.asarray(scipy.signal.sosfilt(sos, rng.normal(size=(t + 2000, n)), axis=0)[2000:])


def excess(floor: NoiseFloor, of: xr.DataArray) -> float:
    """Return the largest ratio of the noise's power to the recording's, band by band of a third octave."""
    welch = power_spectrum(of)
    f, power = welch["frequency"].values, welch.values[:, floor.used].mean(axis=1)
    noise = np.interp(f, floor.frequency, floor.psd)
    edges = f[-1] * 2.0 ** (-np.arange(24) / 3)[::-1]
    bands = [(f > low) & (f <= high) & (f >= 2 * f[1]) for low, high in pairwise(edges)]
    return float(max(noise[band].mean() / power[band].mean() for band in bands if band.any()))


@pytest.mark.parametrize("planted", [0, 3])
@pytest.mark.parametrize("kind", ["white", "f^-2", "f^-4", "low-passed"])
@pytest.mark.parametrize("shape", [(100, 300), (2200, 60), (20_000, 8)])
def test_noise_is_never_above_the_recording(kind: str, shape: tuple[int, int], planted: int) -> None:
    rng = np.random.default_rng(3)
    slopes = {"white": 0.0, "f^-2": 2.0, "f^-4": 4.0}
    values = low_passed(rng, shape) if kind == "low-passed" else power_law(rng, slopes[kind], shape)
    slow = power_law(rng, 2.0, (shape[0], planted)) if planted else np.zeros((shape[0], 0))
    slow = slow / np.maximum(slow.std(axis=0), 1e-300)
    made = recording(values + 3 * values.std() * slow @ rng.normal(size=(planted, shape[1])))
    floor = noise_floor(made)
    assert (floor.psd <= floor.recording_psd * (1 + 1e-12)).all()
    assert excess(floor, made) <= 1.1


@pytest.mark.parametrize("n", [2048, 2047, 600])
def test_the_densities_are_those_of_welch_to_the_last_frequency(n: int) -> None:
    made = recording(power_law(np.random.default_rng(6), 1.0, (n, 12)), rate=50.0)
    floor, welch = noise_floor(made), power_spectrum(made)
    above = welch["frequency"].values > floor.frequency[0] * 60
    expected = welch.values[above].mean(axis=1)
    found = np.interp(welch["frequency"].values[above], floor.frequency, floor.recording_psd)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_stop_band_is_shown_as_deep_as_it_is() -> None:
    made = recording(low_passed(np.random.default_rng(0), (8000, 20)))
    floor = noise_floor(made)
    passed, stopped = floor.frequency < 0.2, floor.frequency > 0.3
    assert floor.psd[stopped].max() < 1e-9 * floor.psd[passed].mean()  # 100 dB are 1e-10; a periodogram shows 1e-5


def test_the_spectrum_of_steep_noise_has_its_slope() -> None:
    floor = noise_floor(recording(power_law(np.random.default_rng(1), 4.0, (4000, 40))))
    inside = (floor.frequency > 0.03) & (floor.frequency < 0.4)
    slope = np.polyfit(np.log(floor.frequency[inside]), np.log(floor.psd[inside]), 1)[0]
    assert slope == pytest.approx(-4, abs=0.1)


@pytest.mark.parametrize("broken", ["gaps of the clock", "dropped samples"])
def test_a_gap_does_not_leak(broken: str) -> None:
    values = 100 + power_law(np.random.default_rng(2), 4.0, (9000, 30))
    values[3000:] += 50 * values.std()  # what happens meanwhile is not known
    time = np.arange(9000.0)
    if broken == "dropped samples":
        values[2990:3010] = np.nan
    else:
        time[3000:] += 500
    made = xr.DataArray(values, dims=("time", "channel"), coords={"time": time})
    floor = noise_floor(made)
    fast = floor.frequency > 0.1
    unbroken = noise_floor(recording(values[3010:]))
    expected = np.interp(floor.frequency[fast], unbroken.frequency, unbroken.psd)
    assert floor.psd[fast].mean() == pytest.approx(expected.mean(), rel=0.2)


@pytest.mark.parametrize("slope", [0.0, 2.0, -2.0])
def test_a_long_recording_has_the_spectrum_of_one_that_is_held(slope: float, monkeypatch: pytest.MonkeyPatch) -> None:
    values = power_law(np.random.default_rng(4), slope, (60_000, 12))
    values[:20_000] *= 3  # a few segments do not say how loud the whole is
    held = noise_floor(recording(values), model="heteroscedastic+colored")
    monkeypatch.setattr(read, "MEMORY", 1)
    monkeypatch.setattr(subsample, "SUBSAMPLE_BYTES", 2**17 * 12)
    monkeypatch.setattr(read, "BLOCK_BYTES", 2**17)
    streamed = noise_floor(recording(values), model="heteroscedastic+colored")
    for low, high in ((2e-4, 2e-3), (2e-3, 2e-2), (2e-2, 0.1), (0.1, 0.5)):
        inside = [(f > low) & (f < high) for f in (held.frequency, streamed.frequency)]
        powers = [
            np.trapezoid(floor.psd[part], floor.frequency[part])
            for floor, part in zip((held, streamed), inside, strict=True)
        ]
        assert powers[1] == pytest.approx(powers[0], rel=0.35), (low, high)


def test_complex_noise_has_a_two_sided_spectrum() -> None:
    rng = np.random.default_rng(5)
    t = np.arange(3000)
    noise = rng.normal(size=(3000, 16)) + 1j * rng.normal(size=(3000, 16))
    noise += 8 * np.exp(2j * np.pi * (0.2 * t[:, None] + rng.uniform(size=16)))  # each its own phase, at + 0.2 only
    floor = noise_floor(xr.DataArray(noise, dims=("time", "channel"), attrs={"sampling_rate": 10.0}), model="colored")
    assert floor.frequency[0] < -4.9
    assert floor.frequency[-1] > 4.9
    assert np.trapezoid(floor.recording_psd, floor.frequency) == pytest.approx(np.mean(np.abs(noise) ** 2), rel=0.02)
    near = [float(np.interp(f, floor.frequency, floor.recording_psd)) for f in (2.0, -2.0)]
    assert near[0] > 20 * near[1]


REAL = [
    ("nwb_scholz2018_141721.nwb", "acquisition/Activity_*"),
    ("nwb_openephys_tetrodes_rate.nwb", "acquisition/ElectricalSeries"),
    ("nwb_suite2p_pixelmask.nwb", "processing/ophys/Fluorescence/Neuropil"),
    ("mcs_8ch_2014.h5", "Data/Recording_0/AnalogStream/Stream_0"),
    ("legend_hpge_LDQTA_r117.lh5", "geds/raw/waveform"),
    ("das_silixa.hdf5", "Acoustic"),
    ("tomo_aps_tooth.h5", "exchange/data"),
]


@pytest.mark.parametrize(("file", "signal"), REAL)
def test_noise_is_never_above_a_measured_recording(data_dir: Path, file: str, signal: str) -> None:
    made = open_recording(data_dir / file, signal)
    made = made.rename(frame="time") if "time" not in made.dims else made
    floor = noise_floor(made)
    clock = made if "time" in made.coords or "sampling_rate" in made.attrs else made.assign_attrs(sampling_rate=1.0)
    welch = power_spectrum(clock)
    power = welch.values.reshape(len(welch), -1)[:, floor.used].mean(axis=1)
    noise, whole = np.interp(welch["frequency"].values, floor.frequency, floor.psd)[2:], power[2:]
    assert (noise[whole > 0] <= 1.1 * whole[whole > 0]).all()
