"""Detectors of photons, gamma rays and neutrons: counts in pixels, pulses of charge, events with a time of flight."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtr

from sciml.simulate.simulated import Simulated, check_positive, clock, simulated

__all__ = ["germanium_pulses", "neutron_events", "photon_frames"]

LINES = (1460.8, 2614.5)  # of potassium 40 and thallium 208 [keV]
TAIL = 50e-6  # decay of the preamplifier [s]
H_OVER_M = 3956.034  # Planck's constant over the neutron's mass [m/s Å]


def photon_frames(
    shape: tuple[int, int] = (32, 32), *, n_frames: int = 500, rate: float = 100.0, flux: float = 4.0, seed: int = 0
) -> Simulated:
    r"""Simulate a photon-counting detector: two diffraction rings whose brightness changes over time.

    .. math:: X(t, r) \sim \mathrm{Poisson}\big( \Phi \{ 0.3 + a_1(t) R_1(r) + a_2(t) R_2(r) \} \big)

    with R Gaussian rings, a_1 rising as a phase transition goes on while a_2 falls.

    Parameters
    ----------
    shape
        Pixels along y and x.
    n_frames, rate
        Frames, and frames a second.
    flux
        Φ, photons a pixel and frame where a ring is brightest.
    seed
        Seed of all randomness.

    Returns
    -------
    Recording (time, y, x) in counts; truth: `transition` [s], `rank` 1 of what changes (both rings change together).

    Raises
    ------
    ConfigError
        A size, rate or flux that is not above zero.

    Examples
    --------
    >>> frames = photon_frames((12, 12), n_frames=20)
    >>> frames.recording.dtype.kind, frames.truth["rank"]
    ('i', 1)
    """
    check_positive(height=shape[0], width=shape[1], n_frames=n_frames, rate=rate, flux=flux)
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    rings = [np.exp(-(((np.hypot(y, x) - radius) / 0.08) ** 2)) for radius in (0.45, 0.75)]
    time, transition = np.arange(n_frames) / rate, n_frames / rate / 2
    done = ndtr((time - transition) / (0.1 * n_frames / rate))
    signal = flux * (0.3 + np.multiply.outer(0.4 + 0.6 * done, rings[0]) + np.multiply.outer(1 - 0.6 * done, rings[1]))
    coords = {"time": clock(n_frames, rate)}
    truth = {"transition": transition, "rank": 1}
    return simulated(signal, rng.poisson(signal), ("time", "y", "x"), coords, truth, units="counts", sampling_rate=rate)


def germanium_pulses(
    *, n_pulses: int = 300, n_samples: int = 512, rate: float = 50e6, noise: float = 12.0, seed: int = 0
) -> Simulated:
    r"""Simulate the charge pulses of a germanium detector: a drift that takes its time, then a slow decay.

    .. math:: X(t) = E\, \Phi\Big( \frac{t - t_0}{s_d} \Big) e^{-(t - t_0)_+ / \tau} + \varepsilon

    with E from two gamma lines and a continuum, drift times s_d of 50 to 250 ns, τ = 50 µs, and noise that is
    correlated from sample to sample (a band-limited amplifier).

    Parameters
    ----------
    n_pulses, n_samples
        Number of pulses, samples of each.
    rate
        Sampling rate [Hz].
    noise
        Standard deviation of the noise [keV].
    seed
        Seed of all randomness.

    Returns
    -------
    Recording (time, pulse) in keV; truth: `energy` [keV] and `drift` [s] of each pulse, `lines` [keV].

    Raises
    ------
    ConfigError
        A size, rate or noise that is not above zero.

    Examples
    --------
    >>> pulses = germanium_pulses(n_pulses=10)
    >>> pulses.recording.shape, pulses.truth["energy"].shape
    ((512, 10), (10,))
    """
    check_positive(n_pulses=n_pulses, n_samples=n_samples, rate=rate, noise=noise)
    rng = np.random.default_rng(seed)
    time = np.arange(n_samples) / rate
    energy = np.where(rng.random(n_pulses) < 0.6, rng.choice(LINES, n_pulses), rng.uniform(200, 2600, n_pulses))
    drift = rng.uniform(50e-9, 250e-9, n_pulses)
    since = time[:, None] - 0.4 * time[-1]
    signal = energy * ndtr(since / drift) * np.exp(-np.maximum(since, 0) / TAIL)
    white = rng.normal(size=(n_samples + 1, n_pulses)) * noise / np.sqrt(2)
    truth = {"energy": energy, "drift": drift, "lines": LINES}
    coords = {"time": clock(n_samples, rate)}
    noisy = signal + white[1:] + white[:-1]
    return simulated(signal, noisy, ("time", "pulse"), coords, truth, units="keV", sampling_rate=rate)


def neutron_events(
    *, n_events: int = 200_000, n_pixels: int = 40, path: float = 20.0, pulses: int = 200, seed: int = 0
) -> xr.Dataset:
    r"""Simulate events of a neutron powder diffractometer: Bragg peaks over a smooth spectrum of the source.

    .. math:: t = \frac{L}{h / m_n} \lambda, \qquad \lambda = 2 d \sin\theta

    for the spacings d of aluminum (a = 4.0495 Å: 111, 200, 220, 311), a quarter of all events being peaks.

    Parameters
    ----------
    n_events
        Number of events.
    n_pixels
        Pixels, at scattering angles of 60 to 120 degrees.
    path
        Length of flight L [m].
    pulses
        Pulses of the source, at 10 Hz.
    seed
        Seed of all randomness.

    Returns
    -------
    Dataset of dim `event`: `time_of_flight` [s], `pixel`, `pulse_time` [s]; coordinate `two_theta` (pixel) [rad];
    attributes `path` [m] and `d_spacings` [Å].

    Raises
    ------
    ConfigError
        A number that is not above zero.

    Examples
    --------
    >>> events = neutron_events(n_events=100)
    >>> events.sizes["event"], [round(d, 3) for d in events.attrs["d_spacings"]]
    (100, [2.338, 2.025, 1.432, 1.221])
    """
    check_positive(n_events=n_events, n_pixels=n_pixels, path=path, pulses=pulses)
    rng = np.random.default_rng(seed)
    d = 4.0495 / np.sqrt([3, 4, 8, 11])
    two_theta = np.linspace(np.pi / 3, 2 * np.pi / 3, n_pixels)
    pixel = rng.integers(n_pixels, size=n_events)
    wavelength = _wavelengths(d, two_theta[pixel], rng)
    return xr.Dataset(
        {
            "time_of_flight": ("event", wavelength * path / H_OVER_M, {"units": "s"}),
            "pixel": ("event", pixel),
            "pulse_time": ("event", np.sort(rng.integers(pulses, size=n_events)) / 10.0, {"units": "s"}),
        },
        coords={"two_theta": ("pixel_id", two_theta, {"units": "rad"})},
        attrs={"path": path, "d_spacings": tuple(d.tolist())},
    )


def _wavelengths(
    d: NDArray[np.float64], two_theta: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return wavelengths [Å]: Bragg's for a quarter of the events, smeared by 0.5 %, else those of the source."""
    bragg = 2 * rng.choice(d, two_theta.size) * np.sin(two_theta / 2) * rng.normal(1, 0.005, two_theta.size)
    return np.where(rng.random(two_theta.size) < 0.25, bragg, rng.gamma(6.0, 0.5, two_theta.size))
