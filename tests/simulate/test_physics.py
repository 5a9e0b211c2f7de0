"""Simulated detectors obey the physics that they name."""

import numpy as np
import pytest
from scipy.signal import periodogram

from sciml import simulate
from sciml.errors import ConfigError

MAKERS = {
    "probe": lambda seed: simulate.probe_recording(n_channels=6, duration=2.0, seed=seed),
    "movie": lambda seed: simulate.two_photon_movie((16, 16), n_samples=40, seed=seed),
    "diffusion": lambda seed: simulate.diffusion_phantom((8, 8), n_directions=12, seed=seed),
    "fiber": lambda seed: simulate.fiber_recording(n_channels=8, duration=3.0, seed=seed),
    "strain": lambda seed: simulate.inspiral_strain(duration=4.0, seed=seed),
    "frames": lambda seed: simulate.photon_frames((8, 8), n_frames=30, seed=seed),
    "pulses": lambda seed: simulate.germanium_pulses(n_pulses=10, seed=seed),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_equal_seeds_give_equal_recordings(make):
    first, second, other = make(0), make(0), make(1)
    assert first.recording.identical(second.recording)
    assert not np.array_equal(first.recording.values, other.recording.values)
    assert first.recording.dims == first.signal.dims
    assert np.isfinite(first.recording.values).all()


def test_strain_has_the_stated_ratio_in_the_stated_noise():
    strain = simulate.inspiral_strain(snr=12.0, duration=16.0)
    rate, wave = strain.recording.attrs["sampling_rate"], strain.signal.values
    frequency, psd = periodogram(strain.recording.values - wave, rate)
    x = frequency[frequency >= 40] / 150
    model = 9e-46 * ((4.49 * x) ** -56 + 0.16 * x**-4.52 + 0.52 + 0.32 * x**2)
    # a periodogram over its expectation is exponential: the mean of n has error 1/sqrt(n)
    ratio = psd[frequency >= 40][:-1] / model[:-1]
    assert ratio.mean() == pytest.approx(1, abs=5 / np.sqrt(ratio.size))
    power = np.abs(np.fft.rfft(wave) / rate)[frequency >= 40] ** 2
    assert np.sqrt(4 * np.sum(power / model) * frequency[1]) == pytest.approx(12.0, rel=1e-6)


def test_chirp_sweeps_as_two_masses_do():
    strain = simulate.inspiral_strain(duration=16.0, chirp_mass=28.0)
    wave, rate, end = strain.signal.values, 2048.0, strain.truth["coalescence"]
    crossings = np.flatnonzero(np.diff(np.signbit(wave))) / rate
    before = end - np.array([0.1, 0.4])
    measured = [np.sum(np.abs(crossings - each) < 0.05) / 2 / 0.1 for each in before]
    # f grows as (time to coalescence)^(-3/8)
    assert measured[0] / measured[1] == pytest.approx(4 ** (3 / 8), rel=0.12)


def test_photons_are_poisson():
    frames = simulate.photon_frames((16, 16), n_frames=400)
    excess = (frames.recording.values - frames.signal.values) ** 2 / frames.signal.values
    assert excess.mean() == pytest.approx(1, abs=5 * np.sqrt(2.5 / excess.size))


def test_neutrons_obey_bragg():
    events = simulate.neutron_events(n_events=50_000)
    theta = events["two_theta"].values[events["pixel"].values] / 2
    d = 3956.034 * events["time_of_flight"].values / events.attrs["path"] / (2 * np.sin(theta))
    near = [np.sum(np.abs(d / each - 1) < 0.01) for each in events.attrs["d_spacings"]]
    # a sixteenth of all events in each peak, 95 % of them within two standard deviations
    assert min(near) > 0.9 * 50_000 / 16


def test_pulses_reach_their_energy():
    pulses = simulate.germanium_pulses(n_pulses=50)
    assert np.allclose(pulses.signal.max("time") / pulses.truth["energy"], 1, atol=0.02)


def test_diffusion_is_slow_along_no_gradient_and_fast_along_the_fiber():
    phantom = simulate.diffusion_phantom((8, 8), snr=1e6)
    g, angle = phantom.truth["directions"], phantom.truth["angle"][0, 0]
    along = np.abs(g[:, 0] * np.cos(angle) + g[:, 1] * np.sin(angle))
    values = phantom.recording.values[:, 0, 0]
    assert np.allclose(values, np.exp(-1.0 * (0.3 + 1.4 * along**2)), atol=1e-4)
    assert np.allclose(np.linalg.norm(g, axis=1), 1)


def test_the_front_on_the_fiber_moves_with_its_velocity():
    fiber = simulate.fiber_recording(velocity=3000.0)
    peak = fiber.signal["time"].values[fiber.signal.values.argmax(axis=0)]
    assert np.allclose(peak, fiber.truth["arrival"], atol=0.5 / 200.0 + 1e-9)


def test_sizes_below_one_are_refused():
    with pytest.raises(ConfigError, match="above zero"):
        simulate.two_photon_movie(n_cells=0)
    with pytest.raises(ConfigError, match="above zero"):
        simulate.particle_images(noise=-1.0)
