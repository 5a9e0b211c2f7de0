"""Waves: along a fiber in the ground, and through space-time."""

import numpy as np
from numpy.typing import NDArray

from sciml.simulate.noise import ar1_noise
from sciml.simulate.simulated import Simulated, check_positive, clock, simulated

__all__ = ["fiber_recording", "inspiral_strain"]

SUN = 4.925490947e-6  # G M_sun / c^3 [s]
LOW = 40.0  # below it noise keeps the density that it has there, and nothing counts for the signal-to-noise ratio [Hz]


def fiber_recording(
    *,
    n_channels: int = 96,
    spacing: float = 10.0,
    duration: float = 8.0,
    rate: float = 200.0,
    velocity: float = 2400.0,
    noise: float = 1.0,
    seed: int = 0,
) -> Simulated:
    r"""Simulate distributed acoustic sensing of an earthquake: a wave front over distance, and the laser's own noise.

    .. math:: X(t, x) = 6 w\big(t - t_0 - \sqrt{(x - x_0)^2 + h^2} / v\big) + n_c(t) + \varepsilon(t, x)

    with w a Ricker wavelet of 10 Hz, h = 200 m, n_c common to all channels (the interrogator's) and ε AR(1) in time.

    Parameters
    ----------
    n_channels, spacing
        Channels and their distance [m].
    duration, rate
        Length [s] and sampling rate [Hz].
    velocity
        v [m/s].
    noise
        Standard deviation of ε, nanostrain; that of n_c is half of it.
    seed
        Seed of all randomness.

    Returns
    -------
    Recording (time, distance) in nanostrain; truth: `velocity`, `arrival` (distance,) [s].

    Raises
    ------
    ConfigError
        A size, rate, velocity or noise that is not above zero.

    Examples
    --------
    >>> fiber = fiber_recording(n_channels=8, duration=4.0)
    >>> fiber.recording.dims, fiber.truth["velocity"]
    (('time', 'distance'), 2400.0)
    """
    check_positive(n_channels=n_channels, spacing=spacing, duration=duration, rate=rate, velocity=velocity, noise=noise)
    rng = np.random.default_rng(seed)
    time, distance = np.arange(round(duration * rate)) / rate, spacing * np.arange(n_channels)
    arrival = 0.4 * duration + np.hypot(distance - distance.mean() / 2, 200.0) / velocity
    phase = (np.pi * 10.0 * (time[:, None] - arrival)) ** 2
    signal = 6 * noise * (1 - 2 * phase) * np.exp(-phase)
    common = ar1_noise(time.size, 1, phi=0.9, sigma=noise / 2, rng=rng)
    noisy = signal + common + ar1_noise(time.size, n_channels, phi=0.3, sigma=noise, rng=rng)
    coords = {"time": clock(time.size, rate), "distance": ("distance", distance, {"units": "m"})}
    truth = {"velocity": velocity, "arrival": arrival}
    return simulated(signal, noisy, ("time", "distance"), coords, truth, units="nanostrain", sampling_rate=rate)


def inspiral_strain(
    *, chirp_mass: float = 28.0, snr: float = 20.0, duration: float = 16.0, rate: float = 2048.0, seed: int = 0
) -> Simulated:
    r"""Simulate the strain of two black holes that spiral into each other, in the noise of a detector.

    .. math:: f(\tau) = \frac{1}{\pi} \Big( \frac{5}{256 \tau} \Big)^{3/8} \mathcal{M}^{-5/8}, \qquad
              h(\tau) \propto f^{2/3} \cos \Phi, \qquad \rho^2 = 4 \int \frac{|\tilde h(f)|^2}{S(f)}\, df

    with τ the time to coalescence, the chirp mass in seconds (G M / c³), up to 300 Hz, at the optimal
    signal-to-noise ratio ρ above 40 Hz, and Gaussian noise of the design spectrum of initial LIGO, flat below 40 Hz.

    Parameters
    ----------
    chirp_mass
        In solar masses.
    snr
        ρ.
    duration, rate
        Length [s] and sampling rate [Hz].
    seed
        Seed of all randomness.

    Returns
    -------
    Recording (time,) of strain; truth: `coalescence` [s], `chirp_mass`, `snr`.

    Raises
    ------
    ConfigError
        A mass, ratio, length or rate that is not above zero.

    References
    ----------
    Sathyaprakash and Schutz (2009), Living Rev. Relativ. 12, 2, doi:10.12942/lrr-2009-2: table 1 (spectrum); Cutler
    and Flanagan (1994), Phys. Rev. D 49, 2658, doi:10.1103/PhysRevD.49.2658 (chirp at the lowest order).

    Examples
    --------
    >>> strain = inspiral_strain(duration=8.0)
    >>> strain.recording.size, strain.truth["coalescence"]
    (16384, 5.6)
    """
    check_positive(chirp_mass=chirp_mass, snr=snr, duration=duration, rate=rate)
    rng = np.random.default_rng(seed)
    n, end = round(duration * rate), round(0.7 * duration, 9)
    frequencies = np.fft.rfftfreq(n, 1 / rate)
    psd = _initial_ligo(np.maximum(frequencies, LOW))
    wave = _chirp(np.arange(n) / rate, end, chirp_mass * SUN)
    band = frequencies >= LOW
    power = 4 * np.sum(np.abs(np.fft.rfft(wave)[band] / rate) ** 2 / psd[band]) / duration
    wave *= snr / np.sqrt(power)
    draws = rng.normal(size=(2, frequencies.size))
    noise = np.fft.irfft(np.sqrt(psd * n * rate / 4) * (draws[0] + 1j * draws[1]), n)
    truth = {"coalescence": end, "chirp_mass": chirp_mass, "snr": snr}
    return simulated(wave, wave + noise, ("time",), {"time": clock(n, rate)}, truth, units="strain", sampling_rate=rate)


def _initial_ligo(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the design spectrum of initial LIGO [1/Hz], Sathyaprakash and Schutz (2009), table 1."""
    x = frequency / 150.0
    return np.asarray(9e-46 * ((4.49 * x) ** -56 + 0.16 * x**-4.52 + 0.52 + 0.32 * x**2))


def _chirp(time: NDArray[np.float64], end: float, mass: float) -> NDArray[np.float64]:
    """Return the wave up to 300 Hz, largest at its end; `mass` is the chirp mass in seconds."""
    last = 5 / 256 * mass ** (-5 / 3) * (np.pi * 300.0) ** (-8 / 3)  # time to coalescence at 300 Hz
    left = np.where(time <= end, end - time + last, np.inf)
    frequency = (5 / (256 * left)) ** (3 / 8) * mass ** (-5 / 8) / np.pi
    phase = -2 * (np.minimum(left, 1e6) / (5 * mass)) ** (5 / 8)
    return np.where(time <= end, (frequency / 300.0) ** (2 / 3) * np.cos(phase), 0.0)
