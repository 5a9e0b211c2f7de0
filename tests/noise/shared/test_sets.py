"""Time courses that sets of channels, or neighboring samples, have in common: false alarms, power, doors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.signal
import xarray as xr

from sciml.errors import ConfigError, DataError
from sciml.noise import shared_between, shared_between_halves, shared_over_time


def recording(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"))


def colored(rng: np.random.Generator, n: int, n_channels: int, phi: float = 0.8, rho: float = 0.6) -> np.ndarray:
    """Noise of memory phi in time, which neighboring channels share."""
    mixing = np.linalg.cholesky(rho ** np.abs(np.subtract.outer(np.arange(n_channels), np.arange(n_channels))))
    white = rng.normal(size=(n + 200, n_channels))
    return scipy.signal.lfilter([1.0], [1.0, -phi], white, axis=0)[200:] @ mixing.T


@pytest.mark.parametrize("whiten", [True, False])
def test_sets_with_nothing_in_common_are_rarely_given_anything(whiten: bool) -> None:
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a, b = (recording(colored(rng, 400, 10)) for _ in range(2))
        found.append(shared_between(a, b, whiten=whiten, rng=rng).n_shared)
    assert np.count_nonzero(found) <= 8  # 5 % of 60 are 3, with a standard deviation of 1.7


def test_what_two_sets_share_is_found_with_its_loadings() -> None:
    rng = np.random.default_rng(1)
    shared = colored(rng, 800, 2, rho=0.0)
    loadings = rng.normal(size=(2, 2, 12))
    a, b = (recording(colored(rng, 800, 12) + shared @ each) for each in loadings)
    found = shared_between(a, b)
    assert found.n_shared == 2
    assert found.p_values[1] <= 0.05 < found.p_values[2]
    assert (np.diff(found.p_values) >= 0).all()
    assert (found.correlations[:2] > 0.5).all()
    assert "or a noise level that changes in both at once" in found.summary()
    basis = np.linalg.qr(found.loadings[0])[0]
    inside = np.linalg.norm(basis.T @ (loadings[0] / a.values.std(axis=0)).T, axis=0) ** 2
    total = np.sum((loadings[0] / a.values.std(axis=0)) ** 2, axis=1)
    assert (inside / total > 0.8).all()


def test_halves_count_what_all_channels_share() -> None:
    counts = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = colored(rng, 600, 20, rho=0.0) + 2 * rng.normal(size=(600, 3)) @ rng.normal(size=(3, 20))
        found = shared_between_halves(recording(values), rng=rng)
        counts.append(found.n_shared)
    assert min(counts) == 3
    assert np.count_nonzero(np.array(counts) > 3) <= 4  # the fourth is tested at 5 %: of 20 draws, 1 with deviation 1
    assert found.summary().startswith("At least 3 time courses are common to two random halves of the 20 channels")
    first, second = found.loadings
    assert second is not None
    assert not ((first != 0).any(axis=1) & (second != 0).any(axis=1)).any()


def test_gaps_units_missing_values_and_complex_values_are_no_matter() -> None:
    rng = np.random.default_rng(3)
    a, b = (colored(rng, 600, 8) + 0j for _ in range(2))
    common = rng.normal(size=(600, 1)) + 1j * rng.normal(size=(600, 1))
    a, b = a + 2 * common, 1e6 * (b + 2 * common * np.exp(0.7j))
    a[rng.random(a.shape) < 0.05] = np.nan
    a[:, 3] = 5.0
    clock = {"time": np.where(np.arange(600) < 300, 0.0, 100.0) + 0.1 * np.arange(600)}
    found = shared_between(*(recording(each).assign_coords(clock) for each in (a, b)))
    assert found.n_shared == 1
    assert abs(found.loadings[0][3, 0]) < 1e-12


def test_slow_noise_without_a_mean_is_not_shared() -> None:
    """Two ends of a recording that drifts are no neighbors: Fourier's basis would find their step in both sets."""
    found = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        a, b = (recording(np.cumsum(rng.normal(size=(400, 8)), axis=0)) for _ in range(2))
        found.append(shared_between(a, b).n_shared)
    assert np.count_nonzero(found) <= 5  # 5 % of 30 are 1.5, with a standard deviation of 1.2


@pytest.mark.parametrize("compare", ["bands", "neighbors"])
@pytest.mark.parametrize("is_complex", [False, True])
def test_noise_of_any_covariance_is_rarely_shared_over_time(compare: str, is_complex: bool) -> None:
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        mixing = np.linalg.qr(rng.normal(size=(16, 16)))[0] * np.geomspace(1, 30, 16)
        white = rng.normal(size=(300, 16)) + (1j * rng.normal(size=(300, 16)) if is_complex else 0)
        found.append(shared_over_time(recording(white @ mixing.T), compare=compare).n_shared)  # type: ignore[arg-type]
    assert np.count_nonzero(found) <= 8  # as above


@pytest.mark.parametrize("compare", ["bands", "neighbors"])
def test_channels_that_add_up_to_nothing_or_repeat_are_no_matter(compare: str) -> None:
    found, slow = [], scipy.signal.lfilter([1.0], [1.0, -0.99], np.random.default_rng(0).normal(size=(400, 1)), axis=0)
    for seed in range(30):
        values = np.random.default_rng(seed).normal(size=(400, 12)) * np.geomspace(1, 30, 12)
        values = np.hstack([values - values.mean(axis=1, keepdims=True), values[:, :1]])
        values -= values.mean(axis=1, keepdims=True)
        found.append(shared_over_time(recording(values), compare=compare).n_shared)  # type: ignore[arg-type]
    assert np.count_nonzero(found) <= 5  # 5 % of 30 are 1.5, with a standard deviation of 1.2
    weights = np.linspace(-1, 1, 13)
    values += 10 * slow * weights
    every, fewer = (
        shared_over_time(recording(each), compare=compare)  # type: ignore[arg-type]
        for each in (values, values[:, 1:])  # the first is minus the sum of the others
    )
    assert every.n_shared >= 1
    assert every.p_values == pytest.approx(fewer.p_values, rel=1e-6, abs=1e-12)
    assert abs(every.loadings[0][:, 0] @ weights) / np.linalg.norm(weights) > 0.95


def test_bands_find_a_slow_component_that_neighbors_miss() -> None:
    counts = {"bands": 0, "neighbors": 0}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        mixing = np.linalg.qr(rng.normal(size=(64, 64)))[0] * np.geomspace(1, 30, 64)
        slow = np.sqrt(0.5) * scipy.signal.lfilter([np.sqrt(0.19)], [1.0, -0.9], rng.normal(size=(1100, 1)), axis=0)
        values = (rng.normal(size=(1000, 64)) + slow[100:] * rng.normal(size=64) / 8) @ mixing.T
        for compare in counts:
            counts[compare] += shared_over_time(recording(values), compare=compare).n_shared > 0  # type: ignore[arg-type]
    assert counts["bands"] >= 9
    assert counts["neighbors"] <= 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: shared_between(x, x.isel(time=slice(50))), "same samples"),
        (lambda x: shared_between(x, x * 0), "vary in both sets"),
        (lambda x: shared_between(x, x, alpha=0.001), "alpha from 0.005"),
        (lambda x: shared_between_halves(x.isel(channel=slice(3))), "at least 4 channels"),
        (lambda x: shared_over_time(x, compare="other"), "bands, neighbors"),  # type: ignore[arg-type]
        (lambda x: shared_over_time(x.isel(time=slice(36)), compare="neighbors"), "more than 36 samples"),
    ],
    ids=["samples", "constant", "alpha", "few", "comparison", "short"],
)
def test_what_cannot_be_compared_is_refused_with_advice(call: Callable[[Any], object], message: str) -> None:
    values = recording(np.random.default_rng(0).normal(size=(100, 8)))
    with pytest.raises((ConfigError, DataError), match=message):
        call(values)
