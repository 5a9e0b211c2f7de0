"""A population of neurons under calcium imaging: stimuli, latent responses, spontaneous activity and noise."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from sciml.errors import ConfigError
from sciml.simulate.noise import ar1_noise
from sciml.simulate.signals import direction_tuning, evoked, low_rank_signal

__all__ = ["NoiseTruth", "Simulation", "population_recording"]

TRIAL = 1.0  # duration of a stimulus [s]
PAUSE = 0.8  # shortest pause between stimuli [s]; the jitter adds up to as much again
SLOT = 2.2  # shortest mean interval from onset to onset [s]
RESPONSE = (0.2, 0.4)  # time constants of the first and the last latent's response [s]
SPONTANEOUS = 0.5  # correlation time of spontaneous activity [s]
GAIN_SPREAD = 0.3  # standard deviation of the logarithm of a trial's gain
SIGMA = (0.05, 0.2)  # noise of the quietest and the noisiest neuron [dF/F]
SPACING = 20.0  # mean distance of neighboring neurons [um]


@dataclass(frozen=True)
class NoiseTruth:
    """The noise of a simulated recording: Gaussian AR(1) in time, independent between neurons.

    Attributes
    ----------
    phi
        Correlation of neighboring samples of each neuron, shape (n_neurons,).
    sigma
        Standard deviation of a sample of each neuron [unit of the recording], shape (n_neurons,).
    """

    phi: NDArray[np.float64]
    sigma: NDArray[np.float64]


@dataclass(frozen=True)
class Simulation:
    """A recording and the truth behind it.

    Attributes
    ----------
    recording
        Signal plus noise, dims (time, roi), in dF/F.
    signal
        The clean signal, same shape and coordinates.
    events
        Stimuli, dim `event`: `start_time`, `stop_time` [s] and the class name `stimulus`.
    rank
        Rank of the signal.
    strengths
        Eigenvalues of SᵀS/T for the signal S with each neuron divided by its noise sigma, descending, shape (rank,).
        The noise alone would have eigenvalues around 1.
    noise
        Parameters of the noise.
    seed
        Seed that the recording was drawn with.
    """

    recording: xr.DataArray
    signal: xr.DataArray
    events: xr.Dataset
    rank: int
    strengths: NDArray[np.float64]
    noise: NoiseTruth
    seed: int


def population_recording(
    *,
    n_neurons: int = 64,
    duration: float = 600.0,
    rate: float = 20.0,
    n_classes: int = 4,
    rank: int = 3,
    snr: float = 0.15,
    spontaneous: float = 0.6,
    phi: ArrayLike = 0.85,
    seed: int = 0,
) -> Simulation:
    r"""Simulate a calcium-imaging recording in which every number that an analysis estimates is known.

    .. math:: X_{ti} = \sigma_i \sum_{j=1}^{r} \sqrt{\ell_j}\, z_j(t)\, v_{ij} + \sigma_i\, \varepsilon_{ti}

    - Stimuli of 1 s move in one of n_classes directions; each direction comes once in every n_classes trials, in
      random order, after a pause of 0.8 to 1.6 s.
    - The latents z_j answer as `direction_tuning` says, with a smooth transient (`evoked`) and a gain that varies
      from trial to trial; to this comes spontaneous activity within the same latent space.
    - Random orthonormal loadings v mix the latents into the neurons. The strengths ℓ sum to n_neurons * snr.
    - Noise ε is AR(1) in time; σ runs from 0.05 to 0.2 dF/F over the neurons, in random order.

    Parameters
    ----------
    n_neurons
        Number of neurons, at least `rank`.
    duration
        Length of the recording [s], enough for one trial of each class (2.2 s a trial).
    rate
        Sampling rate [Hz].
    n_classes
        Number of stimulus directions, at least 2.
    rank
        Rank of the signal. Two latents tell all directions apart, one does not.
    snr
        Variance of the signal over variance of the noise, mean over the neurons.
    spontaneous
        Share of the latents' variance that is not locked to stimuli, 0 to 1.
    phi
        Correlation of neighboring noise samples: one number, or one for each neuron.
    seed
        Seed of all randomness: equal arguments give an equal recording.

    Raises
    ------
    ConfigError
        An argument out of range; the message says which.

    Examples
    --------
    >>> simulation = population_recording(n_neurons=16, duration=60.0)
    >>> dict(simulation.recording.sizes), simulation.rank, simulation.events.sizes["event"]
    ({'time': 1200, 'roi': 16}, 3, 24)
    """
    _check(n_neurons=n_neurons, rank=rank, n_classes=n_classes, duration=duration, rate=rate)
    if not (snr > 0 and 0 <= spontaneous <= 1):
        raise ConfigError(f"expected snr > 0 and spontaneous from 0 to 1, got snr={snr}, spontaneous={spontaneous}")
    rng = np.random.default_rng(seed)
    time = np.arange(round(duration * rate)) / rate
    onsets, classes = _trials(duration, n_classes, rng)
    latents = _latents(time, onsets, direction_tuning(n_classes, rank)[classes], rate, spontaneous, rng)
    weights = np.linspace(1.25, 0.75, rank) if rank > 1 else np.ones(1)
    strengths = n_neurons * snr * weights / weights.sum()
    sigma = rng.permutation(np.geomspace(*SIGMA, n_neurons))
    signal = sigma * low_rank_signal(latents, n_channels=n_neurons, strengths=strengths, rng=rng)
    noise = ar1_noise(time.size, n_neurons, phi=phi, sigma=sigma, rng=rng)
    frame = _frame(time, rate, n_neurons, rng)
    return Simulation(
        recording=frame.copy(data=signal + noise),
        signal=frame.copy(data=signal).rename("signal"),
        events=_events(onsets, classes, n_classes),
        rank=rank,
        strengths=strengths,
        noise=NoiseTruth(phi=np.broadcast_to(np.asarray(phi, dtype=np.float64), (n_neurons,)).copy(), sigma=sigma),
        seed=seed,
    )


def _check(*, n_neurons: int, rank: int, n_classes: int, duration: float, rate: float) -> None:
    """Raise ConfigError where the sizes do not fit each other."""
    if not 1 <= rank <= n_neurons:
        raise ConfigError(f"expected 1 <= rank <= n_neurons, got rank={rank} and n_neurons={n_neurons}")
    if n_classes < 2:
        raise ConfigError(f"expected at least 2 classes, got n_classes={n_classes}")
    if not (rate > 0 and duration >= SLOT * n_classes):
        raise ConfigError(
            f"expected rate > 0 and a duration of at least {SLOT * n_classes:g} s (one trial of each of {n_classes} "
            f"classes), got rate={rate} and duration={duration}"
        )


def _trials(duration: float, n_classes: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return onset times [s] and class numbers of the trials: equal slots, a jittered onset within each."""
    n_blocks = int(duration / SLOT) // n_classes
    n_trials = n_blocks * n_classes
    slot = duration / n_trials
    jitter = rng.uniform(0, min(slot - TRIAL - PAUSE, PAUSE), n_trials)
    onsets = np.arange(n_trials) * slot + PAUSE / 2 + jitter
    classes = rng.permuted(np.tile(np.arange(n_classes), (n_blocks, 1)), axis=1).ravel()
    return onsets, classes


def _latents(
    time: NDArray[np.float64],
    onsets: NDArray[np.float64],
    tuning: NDArray[np.float64],
    rate: float,
    spontaneous: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return trajectories of shape (n_samples, rank): responses to trials plus spontaneous activity."""
    rank = tuning.shape[1]
    gains = tuning * rng.lognormal(-(GAIN_SPREAD**2) / 2, GAIN_SPREAD, (onsets.size, 1))
    responses = evoked(time, onsets, gains=gains, time_constants=np.linspace(*RESPONSE, rank))
    power = responses.var(axis=0)
    responses *= np.sqrt((1 - spontaneous) / np.where(power > 0, power, 1.0))
    # a latent that no stimulus drives is spontaneous altogether
    fraction = np.where(power > 0, spontaneous, 1.0)
    phi = np.exp(-1 / (SPONTANEOUS * rate))
    return responses + ar1_noise(time.size, rank, phi=phi, sigma=np.sqrt(fraction), rng=rng)


def _frame(time: NDArray[np.float64], rate: float, n_neurons: int, rng: np.random.Generator) -> xr.DataArray:
    """Return an empty recording: its dims, clock, positions of the neurons and units."""
    side = int(np.ceil(np.sqrt(n_neurons)))
    row, column = np.divmod(np.arange(n_neurons), side)
    place = (np.stack([column, row], axis=1) + rng.uniform(0.3, 0.7, (n_neurons, 2))) * SPACING
    return xr.DataArray(
        np.empty((time.size, n_neurons)),
        dims=("time", "roi"),
        coords={
            "time": ("time", time, {"units": "s"}),
            "roi": ("roi", np.arange(n_neurons)),
            "x": ("roi", place[:, 0], {"units": "um"}),
            "y": ("roi", place[:, 1], {"units": "um"}),
        },
        name="recording",
        attrs={"units": "dF/F", "sampling_rate": float(rate), "source": "sciml.simulate.population_recording"},
    )


def _events(onsets: NDArray[np.float64], classes: NDArray[np.int64], n_classes: int) -> xr.Dataset:
    """Return the table of trials: classes are named by their direction of motion."""
    names = np.array([f"{360 * k / n_classes:g} deg" for k in range(n_classes)])
    return xr.Dataset(
        {
            "start_time": ("event", onsets, {"units": "s"}),
            "stop_time": ("event", onsets + TRIAL, {"units": "s"}),
            "stimulus": ("event", names[classes]),
        }
    )
