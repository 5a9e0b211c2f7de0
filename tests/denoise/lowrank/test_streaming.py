"""Learned block by block or at once: the same denoiser, from sums whose size does not grow."""

import pickle

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter

from sciml.denoise import Denoiser, StreamingDenoiser
from sciml.errors import ConfigError, DataError
from sciml.noise import Model, RunningNoiseFloor

N, T = 24, 3000


def recording(seed: int, phi: float = 0.0, n: int = T) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    noise = lfilter([np.sqrt(1 - phi**2)], [1, -phi], rng.normal(size=(n + 100, N)), axis=0)[100:]
    values = rng.normal(size=(n, 2)) @ rng.normal(size=(2, N)) / 2 + noise * np.linspace(0.5, 2, N) + 100
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 100.0, "units": "V"})


def stream(whole: xr.DataArray, **settings: object) -> StreamingDenoiser:
    denoiser = StreamingDenoiser(**settings)  # type: ignore[arg-type]
    for start in [0, 1, 9, 500, 1700, 2950]:
        stop = {0: 1, 1: 9, 9: 500, 500: 1700, 1700: 2950, 2950: T}[start]
        denoiser.partial_fit(whole.isel(time=slice(start, stop)))
    return denoiser


@pytest.mark.parametrize("model", ["white", "heteroscedastic"])
def test_after_all_blocks_it_is_the_denoiser_of_the_whole(model: Model) -> None:
    whole = recording(0) / (np.linspace(0.5, 2, N) if model == "white" else 1)
    whole.attrs = recording(0).attrs
    streamed = stream(whole, model=model, alpha=1e-3)
    batch = Denoiser(model=model, alpha=1e-3).fit(whole)
    assert streamed.rank_ == batch.rank_ == 2
    assert streamed.sigma_ == pytest.approx(batch.sigma_, rel=1e-9)
    expected = batch.transform(whole)
    np.testing.assert_allclose(streamed.transform(whole).values, expected.values, rtol=1e-6)
    assert streamed.transform(whole).attrs["units"] == "V"


def test_colored_noise_is_recognized_and_removed_as_in_the_whole() -> None:
    whole = recording(1, phi=0.7)
    streamed, batch = stream(whole), Denoiser().fit(whole)
    assert "colored" in streamed.floor_.model
    assert streamed.rank_ == batch.rank_ == 2
    # The spectra differ by the slowest waves alone: a share of 2 (7) / T of the dimensions of time.
    assert streamed.sigma_ == pytest.approx(batch.sigma_, rel=0.005)
    np.testing.assert_allclose(streamed.transform(whole).values, batch.transform(whole).values, atol=0.02)


def test_missing_values_and_excluded_channels_are_as_in_the_whole() -> None:
    whole = recording(2).copy()
    whole[5:9] = np.nan
    whole[100:400, 3] = np.nan
    whole[:, 7] = 1.5
    streamed, batch = stream(whole, model="heteroscedastic"), Denoiser(model="heteroscedastic").fit(whole)
    assert streamed.floor_.excluded == {7: "constant"}
    assert streamed.rank_ == batch.rank_
    assert streamed.sigma_ == pytest.approx(batch.sigma_, rel=0.01)


def test_memory_does_not_depend_on_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciml.noise.channels.subsample.SUBSAMPLE_BYTES", 200 * N * 4)
    monkeypatch.setattr("sciml.noise.channels.subsample.SHORTEST", 50)
    denoiser = StreamingDenoiser()
    whole, sizes = recording(0), []
    for start in range(0, T, 75):
        denoiser.partial_fit(whole.isel(time=slice(start, start + 75)))
        sizes.append(len(pickle.dumps(denoiser.running_)))
    # Five stretches and one that is open, as many means, one matrix, and the words around them.
    assert max(sizes) < (2 * 300 * 4 + N * 8) * N + 2e4 < whole.nbytes / 2
    assert denoiser.running_.n_samples == T


def test_forgetting_follows_a_signal_that_moves() -> None:
    first, second = recording(3), recording(4)
    forgetful, lasting = StreamingDenoiser(memory=500), StreamingDenoiser()
    for part in (first, second):
        for start in range(0, T, 250):
            block = part.isel(time=slice(start, start + 250))
            forgetful.partial_fit(block)
            lasting.partial_fit(block)
    assert lasting.rank_ == 4
    assert forgetful.rank_ == 2  # what came 3000 samples ago weighs exp(-6)
    assert forgetful.floor_.n_samples == 7 * 500


def test_pure_noise_gets_no_component_while_samples_fade() -> None:
    found = []
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=(1500, 60))
        found.append(StreamingDenoiser(memory=200, model="white").fit(noise).rank_ > 0)
    assert np.mean(found) <= 0.2  # level .05: more than four of twenty by chance in 3 of 1000


def test_what_cannot_be_streamed_is_refused() -> None:
    denoiser = StreamingDenoiser(model="counts").fit(recording(0))
    with pytest.raises(ConfigError, match="which need all samples at once"):
        denoiser.transform(recording(0))
    with pytest.raises(DataError, match="expected at least 8 samples, got 3"):
        _ = StreamingDenoiser().partial_fit(recording(0, n=3)).rank_
    with pytest.raises(DataError, match="expected a recording of 24 channels"):
        StreamingDenoiser().fit(recording(0)).partial_fit(recording(0).isel(channel=slice(5)))
    with pytest.raises(ConfigError, match="a memory of at least two samples"):
        StreamingDenoiser(memory=0).fit(recording(0))


def test_spectra_do_not_straddle_gaps_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow wave that starts anew after a gap: a stretch across it would see a jump, at all frequencies."""
    monkeypatch.setattr("sciml.noise.channels.subsample.SUBSAMPLE_BYTES", 400 * 8 * 4)  # 400 rows of eight channels
    monkeypatch.setattr("sciml.noise.channels.subsample.SHORTEST", 50)
    rng = np.random.default_rng(6)
    phase = np.tile(np.arange(250) / 250, 4)
    values = 50 * phase[:, None] * np.ones(8) + rng.normal(size=(1000, 8))
    whole = xr.DataArray(values, dims=("time", "channel"))
    clock = np.arange(1000) / 100 + np.repeat(np.arange(4), 250) * 5.0
    gappy = whole.assign_coords(time=clock)

    def spectrum(*parts: xr.DataArray) -> np.ndarray:
        running = RunningNoiseFloor()
        for part in parts:
            running.add(part)
        return np.asarray(running.floor("colored").psd)

    in_one, in_four = spectrum(gappy), spectrum(*(gappy[start : start + 250] for start in range(0, 1000, 250)))
    np.testing.assert_allclose(in_four, in_one, rtol=1e-9)
    assert in_one.shape == spectrum(whole).shape
    assert not np.allclose(in_one, spectrum(whole), rtol=0.05)
