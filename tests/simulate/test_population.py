import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom
from sklearn.linear_model import RidgeClassifierCV

from sciml import recording as contract
from sciml.errors import ConfigError
from sciml.simulate import Simulation, population_recording


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return population_recording()


def standardized(simulation: Simulation, which: str) -> np.ndarray:
    return getattr(simulation, which).values / simulation.noise.sigma


def test_default_is_ten_minutes_of_at_least_48_neurons_and_200_trials_of_four_classes(simulation):
    recording = contract.check(simulation.recording)
    assert recording.dims == ("time", "roi")
    assert recording.sizes["roi"] >= 48
    assert recording.sizes["time"] / contract.sampling_rate(recording) == 600.0
    names, counts = np.unique(simulation.events["stimulus"].values, return_counts=True)
    assert names.tolist() == ["0 deg", "180 deg", "270 deg", "90 deg"]
    assert counts.sum() >= 200
    assert np.ptp(counts) == 0


def test_trials_lie_inside_the_recording_and_pauses_last_at_least_0_8_s(simulation):
    start, stop = simulation.events["start_time"].values, simulation.events["stop_time"].values
    np.testing.assert_allclose(stop - start, 1.0)
    pauses = start[1:] - stop[:-1]
    assert pauses.min() >= 0.8 - 1e-9
    assert pauses.std() > 0.1  # onsets are jittered
    assert start[0] > 0
    assert stop[-1] < 600.0


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 6])
def test_signal_has_the_stated_rank_and_strengths(rank):
    simulation = population_recording(n_neurons=12, duration=60.0, rank=rank)
    signal = standardized(simulation, "signal")
    lam = np.linalg.eigvalsh(signal.T @ signal / len(signal))[::-1]
    # both sides are exact; the tolerance is rounding of sums over 1200 samples in float64
    np.testing.assert_allclose(lam[:rank], simulation.strengths, rtol=1e-10)
    np.testing.assert_allclose(lam[rank:], 0, atol=1e-10)
    assert np.linalg.matrix_rank(simulation.signal.values) == simulation.rank == rank


def test_noise_has_the_stated_variance_and_correlation(simulation):
    noise = simulation.recording.values - simulation.signal.values
    n, phi = len(noise), 0.85
    # variance of the sample variance of AR(1) noise: 2 sigma^4 (1 + phi^2) / (1 - phi^2) / n; 4.5 sigma for 64 draws
    se = np.sqrt(2 * (1 + phi**2) / (1 - phi**2) / n)
    np.testing.assert_allclose(noise.var(axis=0) / simulation.noise.sigma**2, 1.0, atol=4.5 * se)
    rho = (noise[1:] * noise[:-1]).mean(axis=0) / noise.var(axis=0)
    np.testing.assert_allclose(rho, phi, atol=4.5 * np.sqrt((1 - phi**2) / n))
    assert simulation.noise.sigma.max() / simulation.noise.sigma.min() >= 4


def colored_edge(n: int, p: int, phi: float) -> float:
    """Mean of the largest eigenvalue of p AR(1) channels of n samples: El Karoui (2007), naive sums over a grid."""
    psd = (1 - phi**2) / np.abs(1 - phi * np.exp(-2j * np.pi * np.arange(4096) / 4096)) ** 2
    c = brentq(lambda c: n / p * np.mean((psd * c / (1 - psd * c)) ** 2) - 1, 1e-9, (1 - 1e-9) / psd.max())
    return (1 + n / p * np.mean(psd * c / (1 - psd * c))) / c * p / n


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_true_components_stand_above_twice_the_colored_edge_and_a_white_test_is_fooled(seed):
    simulation = population_recording(seed=seed)
    X = standardized(simulation, "recording")
    n, p = X.shape
    lam = np.linalg.eigvalsh(X.T @ X / n)[::-1]
    edge = colored_edge(n, p, 0.85)
    assert (lam > 2 * edge).sum() == simulation.rank
    # the largest noise eigenvalue has its mean near the edge; its Tracy-Widom spread is below 2 % at this size
    assert (lam > 1.06 * edge).sum() == simulation.rank
    assert (lam > (1 + np.sqrt(p / n)) ** 2).sum() > simulation.rank


def windows(simulation: Simulation) -> np.ndarray:
    X = standardized(simulation, "recording")
    starts = np.round(simulation.events["start_time"].values * 20).astype(int)
    return np.stack([X[start : start + 20] for start in starts])


def test_population_tells_the_classes_apart_but_no_single_neuron_does(simulation):
    X, y = windows(simulation), simulation.events["stimulus"].values
    train, test = slice(0, 200), slice(200, None)

    def accuracy(features: np.ndarray) -> float:
        model = RidgeClassifierCV(np.logspace(0, 5, 6)).fit(features[train], y[train])
        return float(model.score(features[test], y[test]))

    chance = binom(y[test].size, 0.25).ppf(0.999) / y[test].size
    population = accuracy(X.reshape(len(X), -1))
    assert max(chance, 0.7) < population < 1.0
    assert max(accuracy(X[:, :, i]) for i in range(X.shape[2])) < population - 0.1


def test_equal_seeds_give_equal_recordings_and_others_differ():
    one, two, other = (population_recording(n_neurons=8, duration=20.0, seed=seed) for seed in (5, 5, 6))
    assert one.recording.identical(two.recording)
    assert one.events.identical(two.events)
    assert not np.allclose(one.recording, other.recording)


def test_noise_may_differ_between_channels():
    phi = np.array([0.0, 0.5, 0.9])
    simulation = population_recording(n_neurons=3, duration=2000.0, rank=2, phi=phi)
    noise = (simulation.recording - simulation.signal).values
    rho = (noise[1:] * noise[:-1]).mean(axis=0) / noise.var(axis=0)
    np.testing.assert_allclose(rho, phi, atol=4.5 * np.sqrt(1 / len(noise)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0}, "rank=0"),
        ({"rank": 9, "n_neurons": 8}, "n_neurons=8"),
        ({"n_classes": 1}, "n_classes=1"),
        ({"duration": 3.0}, "8.8 s"),
        ({"rate": 0.0}, "rate=0"),
        ({"snr": 0.0}, "snr=0"),
        ({"spontaneous": 1.5}, "spontaneous=1.5"),
        ({"phi": 1.0}, "-1 < phi < 1"),
        ({"phi": [0.1, 0.2]}, "one a channel"),
    ],
)
def test_an_argument_out_of_range_is_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        population_recording(**arguments)
