"""The floor in frequency: nominal on pure noise of any color, shared oscillations found in the right channels."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.signal
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import ConfigError, DataError
from sciml.noise import SpectralNoiseFloor, noise_floor, spectral_noise_floor
from sciml.noise.coherence.cross_spectra import sine_tapered

RATE = 250.0
Noise = Callable[[np.random.Generator], NDArray[np.generic]]


def recording(values: NDArray[np.generic], **attrs: object) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": RATE, "units": "V", **attrs})


def pink(rng: np.random.Generator, n_samples: int, n_channels: int) -> NDArray[np.float64]:
    f = np.fft.rfftfreq(n_samples)
    f[0] = f[1]
    noise = rng.normal(size=(len(f), n_channels)) + 1j * rng.normal(size=(len(f), n_channels))
    values = np.fft.irfft(noise / np.sqrt(f)[:, None], n_samples, axis=0)
    return np.asarray(values / values.std(axis=0))


def own_ar1(rng: np.random.Generator, n_samples: int, n_channels: int) -> NDArray[np.float64]:
    noise = rng.normal(size=(n_samples + 300, n_channels))
    phis = rng.uniform(0, 0.97, n_channels)
    return np.stack([scipy.signal.lfilter([1], [1, -p], x)[300:] for p, x in zip(phis, noise.T, strict=True)], axis=1)


def shared(seed: int = 0, n_samples: int = 5000, n_channels: int = 24, decibels: float = -12) -> NDArray[np.float64]:
    """A 40 Hz oscillation in channels 3, 7, 11, 20 of pink noise, each with its own phase."""
    values, t = pink(np.random.default_rng(seed), n_samples, n_channels), np.arange(n_samples) / RATE
    for k, channel in enumerate(CHANNELS):
        values[:, channel] += np.sqrt(2 * 10 ** (decibels / 10)) * np.cos(2 * np.pi * 40 * t + 0.5 * k)
    return values


CHANNELS = [3, 7, 11, 20]


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(lambda r: r.normal(size=(700, 12)), id="white"),
        pytest.param(lambda r: pink(r, 700, 12) * np.geomspace(1, 100, 12), id="pink, unequal channels"),
        pytest.param(lambda r: own_ar1(r, 700, 12), id="each channel its own AR(1)"),
        pytest.param(lambda r: pink(r, 300, 40), id="more channels than averages"),
        pytest.param(lambda r: r.normal(size=(700, 3)), id="three channels"),
        pytest.param(lambda r: r.normal(size=(400, 8)) + 1j * r.normal(size=(400, 8)), id="complex"),
        pytest.param(lambda r: np.cumsum(r.normal(size=(700, 8)), axis=0), id="brown"),
    ],
)
def test_pure_noise_has_something_in_common_at_no_more_than_the_nominal_rate(noise: Noise) -> None:
    draws, alpha = 60, 0.05
    found = sum(len(spectral_noise_floor(recording(noise(np.random.default_rng(s)))).bands) > 0 for s in range(draws))
    # Three binomial standard errors of 2.8 %.
    assert found / draws <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / draws)


def test_a_shared_oscillation_is_found_in_its_channels_and_nothing_else() -> None:
    floor = spectral_noise_floor(recording(shared()))
    assert len(floor.bands) == 1
    band = floor.bands[0]
    assert band.narrow
    assert band.frequency == pytest.approx(40, abs=0.05)
    assert sorted(band.channels) == CHANNELS
    assert band.p_value < 1e-6
    assert (floor.rank > 0).sum() < 6
    assert "40 Hz" in floor.summary()


def test_phase_and_amplitude_are_those_of_the_oscillation() -> None:
    mode = spectral_noise_floor(recording(shared(n_samples=10_000, decibels=-6))).bands[0].modes[0]
    phases = mode.phase[CHANNELS] - mode.phase[CHANNELS[0]]
    # Phase error of a channel is 1 / sqrt(2 n ratio) with a ratio above 10 and n = 40 averages: 0.04; four of it.
    np.testing.assert_allclose(np.angle(np.exp(1j * (phases - 0.5 * np.arange(4)))), 0, atol=0.15)
    np.testing.assert_allclose(mode.amplitude[CHANNELS], np.sqrt(10**-0.6), rtol=0.15)


def test_broad_activity_is_found_and_is_not_called_a_line() -> None:
    rng = np.random.default_rng(3)
    values, source = rng.normal(size=(6000, 16)), rng.normal(size=6000)
    sos = scipy.signal.butter(4, [60, 80], "bandpass", fs=RATE, output="sos")
    values[:, :6] += 1.0 * scipy.signal.sosfilt(sos, source)[:, None]
    floor = spectral_noise_floor(recording(values))
    band = max(floor.bands, key=lambda each: each.high - each.low)
    assert 50 < band.low < 65
    assert 75 < band.high < 90
    assert not band.narrow
    assert set(band.channels) >= set(range(6))


def test_two_modes_at_one_frequency_are_two() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(6000, 20))
    sos = scipy.signal.butter(3, [30, 34], "bandpass", fs=RATE, output="sos")
    for channels in (range(5), range(8, 14)):
        values[:, list(channels)] += 1.5 * scipy.signal.sosfilt(sos, rng.normal(size=6000))[:, None]
    band = max(spectral_noise_floor(recording(values)).bands, key=lambda each: len(each.modes))
    # Modes of nearly equal strength are told apart only up to a rotation: only the union of their channels is known.
    assert len(band.modes) == 2
    assert set(band.channels) == {*range(5), *range(8, 14)}


def test_a_line_that_two_of_many_channels_have_is_found() -> None:
    values, t = np.random.default_rng(1).normal(size=(3000, 60)), np.arange(3000) / RATE
    values[:, [10, 30]] += np.sin(2 * np.pi * 50 * t)[:, None]
    assert [sorted(band.channels) for band in spectral_noise_floor(recording(values)).bands] == [[10, 30]]


def test_a_line_in_one_channel_is_not_shared() -> None:
    values, t = np.random.default_rng(2).normal(size=(3000, 20)), np.arange(3000) / RATE
    values[:, 4] += 5 * np.sin(2 * np.pi * 50 * t)
    assert spectral_noise_floor(recording(values)).bands == ()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda x: x * 1e-21, id="strain"),
        pytest.param(lambda x: x * 1e21, id="huge"),
        pytest.param(lambda x: x + 1e3, id="offset"),
        pytest.param(lambda x: x * np.geomspace(1e-3, 1e3, x.shape[1]), id="gains"),
        pytest.param(lambda x: x.astype(np.float32), id="float32"),
        pytest.param(lambda x: np.round(x * 2000).astype(np.int16), id="integers"),
    ],
)
def test_eigenvalues_do_not_depend_on(change: Callable[[NDArray[np.float64]], NDArray[np.generic]]) -> None:
    plain, changed = (spectral_noise_floor(recording(x)) for x in (shared(), change(shared())))
    np.testing.assert_allclose(changed.eigenvalues, plain.eigenvalues, rtol=1e-2)
    np.testing.assert_array_equal(changed.rank, plain.rank)
    assert sorted(changed.bands[0].channels) == CHANNELS


def test_permuted_channels_give_permuted_channels() -> None:
    order = np.random.default_rng(0).permutation(24)
    floor = spectral_noise_floor(recording(shared()[:, order]))
    assert sorted(order[list(floor.bands[0].channels)]) == CHANNELS


def test_sums_over_blocks_give_what_held_transforms_give() -> None:
    whole = spectral_noise_floor(recording(shared()))
    lazy = recording(shared()).chunk({"time": 700})
    calls: list[int] = []
    summed = spectral_noise_floor(
        lazy, memory=2_000_000, segment=whole.segment, progress=lambda done, _: calls.append(done)
    )
    at = np.abs(summed.frequency - 40).argmin()
    assert summed.rank[at] == 1
    assert sorted(summed.bands[0].channels) == CHANNELS
    assert calls[-1] == 5000
    assert len(calls) > 1


def test_segments_straddle_no_gap_and_skip_missing_samples() -> None:
    time = np.arange(5000) / RATE
    time[2300:] += 11.0
    values = shared(decibels=-9)
    values[4000:4003, 5] = np.nan
    with_gap = xr.DataArray(values, dims=("time", "channel"), coords={"time": time})
    floor = spectral_noise_floor(with_gap)
    assert sorted(floor.bands[0].channels) == CHANNELS
    assert floor.n_segments < spectral_noise_floor(recording(shared())).n_segments


def test_constant_copied_and_referenced_channels_are_reported_and_not_shared_signal() -> None:
    values = np.random.default_rng(4).normal(size=(2000, 12))
    values -= values.mean(axis=1, keepdims=True)
    values = np.column_stack([values, -3 * values[:, 2], np.full(2000, 7.0)])
    floor = spectral_noise_floor(recording(values))
    assert floor.bands == ()
    text = " ".join(floor.warnings)
    assert "1 of 14 channels are constant" in text
    assert "12 of 2" in text
    assert "always zero" in text


def test_complex_recordings_have_frequencies_of_either_sign() -> None:
    rng, t = np.random.default_rng(0), np.arange(3000) / RATE
    values = rng.normal(size=(3000, 10)) + 1j * rng.normal(size=(3000, 10))
    values[:, :5] += 0.5 * np.exp(-2j * np.pi * 30 * t)[:, None]
    floor = spectral_noise_floor(recording(values))
    assert [round(band.frequency) for band in floor.bands] == [-30]


def test_movies_have_pixels_as_channels() -> None:
    movie = np.random.default_rng(0).normal(size=(400, 9, 8))
    movie[:, 2:5, 3:6] += np.sin(2 * np.pi * 60 * np.arange(400) / RATE)[:, None, None]
    floor = spectral_noise_floor(xr.DataArray(movie, dims=("time", "y", "x"), attrs={"sampling_rate": RATE}))
    found = {floor.names[i] for band in floor.bands for i in band.channels}
    assert found == {f"{y},{x}" for y in (2, 3, 4) for x in (3, 4, 5)}


@pytest.mark.parametrize("control", ["family", "fdr", "fdr-dependent"])
def test_every_control_finds_a_strong_oscillation(control: str) -> None:
    floor = spectral_noise_floor(recording(shared(decibels=-9)), control=control)  # type: ignore[arg-type]
    assert any(sorted(band.channels) == CHANNELS for band in floor.bands)


def test_sine_tapers_match_their_formula() -> None:
    length, k, center = 40, 3, 17
    x = np.random.default_rng(0).normal(size=(1, length, 2))
    padded = np.concatenate([np.zeros((1, 1, 2)), x], axis=1)
    transform = np.fft.rfft(padded, 2 * (length + 1), axis=1)
    t = np.arange(1, length + 1)
    phases = np.exp(-2j * np.pi * center * t / (2 * (length + 1)))
    for taper in range(1, k + 1):
        window = np.sqrt(2 / (length + 1)) * np.sin(np.pi * taper * t / (length + 1))
        naive = np.einsum("t,stc->sc", window * phases, x)
        np.testing.assert_allclose(sine_tapered(transform, center, k, length)[:, taper - 1], naive, atol=1e-12)


def test_the_dataset_holds_modes_by_channel() -> None:
    data = spectral_noise_floor(recording(shared())).to_dataset()
    assert data["mode_takes_part"].dims == ("mode", "channel")
    assert np.flatnonzero(data["mode_takes_part"][0]).tolist() == CHANNELS
    assert data["frequency"].attrs["units"] == "Hz"


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"alpha": 1.5}, ConfigError, "alpha between 0 and 1"),
        ({"control": "none"}, ConfigError, "expected control of family"),
        ({"bandwidth": -1.0}, ConfigError, "bandwidth to be a positive number"),
        ({"bandwidth": 2.0, "n_tapers": 5}, ConfigError, "got both"),
        ({"frequencies": (50, 20)}, ConfigError, "low < high"),
        ({"segment": 1000.0}, DataError, "longest run"),
    ],
)
def test_options_that_make_no_sense_are_named(options: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        spectral_noise_floor(recording(shared()), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "text"), [((5000, 1), "two channels"), ((20, 8), "longer recording"), ((70, 8), "longer recording")]
)
def test_too_little_is_refused_with_what_to_do(shape: tuple[int, int], text: str) -> None:
    with pytest.raises(DataError, match=text):
        spectral_noise_floor(recording(np.random.default_rng(0).normal(size=shape)))


def test_a_floor_says_what_it_is_of_and_its_answer_in_six_lines() -> None:
    floor = spectral_noise_floor(recording(shared()))
    first, answer, *rest = repr(floor).splitlines()
    assert first.startswith(f"SpectralNoiseFloor: {len(floor.used)} channels, {len(floor.frequency)} bands in ")
    assert answer.strip().startswith("Shared activity in ")
    assert len(rest) <= 4


def test_a_clock_is_needed() -> None:
    with pytest.raises(DataError, match="sampling_rate"):
        spectral_noise_floor(xr.DataArray(np.zeros((100, 3)), dims=("time", "channel")))


def test_the_covariance_floor_is_blind_to_what_the_floor_in_frequency_finds() -> None:
    weak = recording(shared(decibels=-16))
    assert noise_floor(weak).rank == 0
    assert isinstance(found := spectral_noise_floor(weak), SpectralNoiseFloor)
    assert found.bands
