"""A probe in the brain: a rhythm that reverses with depth, and neurons that fire."""

import numpy as np
from numpy.typing import NDArray

from sciml.simulate.noise import ar1_noise
from sciml.simulate.simulated import Simulated, check_positive, clock, simulated

__all__ = ["probe_recording"]

PITCH = 20.0  # between rows, and between the two columns of contacts [um]
DECAY = 30.0  # distance at which a spike has fallen to 1/e [um]
SPIKE = 4e-4  # width of a spike [s]


def probe_recording(
    *,
    n_channels: int = 32,
    n_units: int = 6,
    duration: float = 20.0,
    rate: float = 2000.0,
    rhythm: float = 8.0,
    noise: float = 10.0,
    seed: int = 0,
) -> Simulated:
    r"""Simulate a probe of two columns of contacts: a rhythm over depth, and spikes of single neurons.

    .. math:: X(t, c) = 60\,\mu V \cos(\pi z_c / L) \cos(2 \pi f t + \varphi(t))
              - \sum_{u} A_u e^{-|r_c - r_u| / 30 \mu m} \sum_k h(t - t_{uk}) + \varepsilon

    with h a Gaussian of 0.4 ms, spikes that come at random with a dead time of 2 ms, and noise that is independent in
    channels and correlated in time (AR(1), 0.5).

    Parameters
    ----------
    n_channels, n_units
        Contacts and neurons.
    duration, rate
        Length [s] and sampling rate [Hz].
    rhythm
        Frequency of the rhythm [Hz].
    noise
        Standard deviation of the noise [µV].
    seed
        Seed of all randomness.

    Returns
    -------
    Recording (time, channel) in µV with the places of contacts `rel_x`, `rel_y` [µm]; truth: `spike_times` [s] and
    `places` [µm] of the units, `rhythm` [Hz], `rank` of the signal.

    Raises
    ------
    ConfigError
        A size, rate or noise that is not above zero.

    Examples
    --------
    >>> probe = probe_recording(n_channels=8, n_units=2, duration=2.0)
    >>> probe.recording.sizes["channel"], probe.truth["rank"], len(probe.truth["spike_times"])
    (8, 3, 2)
    """
    check_positive(n_channels=n_channels, n_units=n_units, duration=duration, rate=rate, noise=noise)
    rng = np.random.default_rng(seed)
    time = np.arange(round(duration * rate)) / rate
    x, y = PITCH * (np.arange(n_channels) % 2), PITCH * (np.arange(n_channels) // 2)
    places = np.stack([rng.uniform(0, PITCH, n_units), rng.uniform(0, y.max() or PITCH, n_units)], axis=1)
    times = [_spike_times(duration, rng) for _ in range(n_units)]
    distance = np.hypot(x[:, None] - places[:, 0], y[:, None] - places[:, 1])
    maps = rng.uniform(120, 250, n_units) * np.exp(-distance / DECAY)
    trains = np.stack([_pulses(time, each) for each in times], axis=1)
    phase = 2 * np.pi * rhythm * time + np.cumsum(rng.normal(0, 0.5 / np.sqrt(rate), time.size))
    depth = np.cos(np.pi * y / (y.max() or 1.0))
    signal = 60.0 * np.outer(np.cos(phase), depth) - trains @ maps.T
    noisy = signal + ar1_noise(time.size, n_channels, phi=0.5, sigma=noise, rng=rng)
    coords = {
        "time": clock(time.size, rate),
        "rel_x": ("channel", x, {"units": "um"}),
        "rel_y": ("channel", y, {"units": "um"}),
    }
    truth = {"spike_times": times, "places": places, "rhythm": rhythm, "rank": n_units + 1}
    return simulated(signal, noisy, ("time", "channel"), coords, truth, units="uV", sampling_rate=rate)


def _spike_times(duration: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return times of spikes at 5 to 15 a second, with a dead time of 2 ms."""
    gaps = 2e-3 + rng.exponential(1 / rng.uniform(5, 15), int(20 * duration) + 10)
    times = np.cumsum(gaps)
    return np.asarray(times[times < duration])


def _pulses(time: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of Gaussians of the width of a spike at these times."""
    pulses, rate = np.zeros(time.size), 1 / (time[1] - time[0])
    reach = int(np.ceil(4 * SPIKE * rate))
    for each in times:
        part = slice(max(0, round(each * rate) - reach), round(each * rate) + reach + 1)
        pulses[part] += np.exp(-(((time[part] - each) / SPIKE) ** 2) / 2)
    return pulses
