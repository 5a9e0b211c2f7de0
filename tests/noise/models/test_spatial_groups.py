"""Noise that channels share by distance or group: nothing in noise alone, and what is there is found."""

from typing import Any

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special
import xarray as xr

from sciml.errors import DataError
from sciml.noise import NoiseFloor, noise_floor
from sciml.noise.spatial.isotropic import by_distance, by_group
from sciml.simulate import ar1_noise

NAMES = ("rel_x", "rel_y", "rel_z")


def random_positions(n: int, dims: int) -> np.ndarray:
    """Return places that keep half of a step from each other, about one step apart."""
    rng, found = np.random.default_rng(5), np.zeros((0, dims))
    while len(found) < n:
        place = rng.uniform(0, n ** (1 / dims), dims)
        if not (np.linalg.norm(found - place, axis=1) < 0.5).any():
            found = np.vstack([found, place])
    return found


def hexagons(n: int) -> np.ndarray:
    i, j = np.meshgrid(np.arange(n), np.arange(n))
    angle = 0.3  # so that rows lie on no axis
    x, y = (i + 0.5 * (j % 2)).ravel(), np.sqrt(0.75) * j.ravel()
    return np.stack([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y], axis=1)


POSITIONS = {"random": random_positions(64, 2), "hexagons": hexagons(8), "cloud": random_positions(60, 3)}
CORRELATIONS = {
    "exponential": lambda d: np.exp(-d / 1.1),
    "blurred": lambda d: np.exp(-(d**2) / 1.28),
    "with noise of its own": lambda d: np.where(d == 0, 1.0, 0.5 * np.exp(-d / 1.5)),
    "alternating": lambda d: np.exp(-d) * np.sinc(2.5 * d / np.pi),
}


def covariance(positions: np.ndarray, kind: str) -> np.ndarray:
    apart = scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(positions))
    return np.asarray(CORRELATIONS[kind](apart) + 1e-6 * np.eye(len(positions)))


def recording(values: np.ndarray, **table: Any) -> xr.DataArray:
    coords = {name: ("channel", np.asarray(column)) for name, column in table.items()}
    return xr.DataArray(values, dims=("time", "channel"), coords=coords, attrs={"sampling_rate": 10.0})


def placed(values: np.ndarray, positions: np.ndarray) -> xr.DataArray:
    return recording(values, **dict(zip(NAMES, positions.T, strict=False)))


def noise(seed: int, n: int, of: np.ndarray, phi: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scale = np.exp(0.2 * rng.normal(size=len(of)))
    return np.asarray(ar1_noise(n, len(of), phi=phi, rng=rng) @ np.linalg.cholesky(of).T * scale)


@pytest.mark.parametrize("kind", CORRELATIONS)
@pytest.mark.parametrize("layout", POSITIONS)
def test_noise_shared_by_distance_has_no_component(layout: str, kind: str) -> None:
    positions = POSITIONS[layout]
    values = noise(1, 1500, covariance(positions, kind), phi=0.5 if layout == "random" else 0.0)
    floor = noise_floor(placed(values, positions))
    assert floor.model == "spatial-groups"
    assert floor.converged
    assert floor.rank == 0
    assert floor.bulk_ratio == pytest.approx(1, abs=0.02)
    assert floor.spatial is not None
    (found,) = floor.spatial.along
    assert found.dim == "distance"
    assert f"by distance: {found.neighbors:.2f} at {found.lags[1]:.3g}" in floor.spatial.summary()
    expected = CORRELATIONS[kind](found.lags[1])
    assert found.neighbors == pytest.approx(float(expected), abs=0.06)


@pytest.mark.parametrize("shape", ["all channels", "a few neighbors", "any channels"])
def test_a_component_is_found_in_it(shape: str) -> None:
    positions, n = POSITIONS["random"], 1500
    of = covariance(positions, "exponential")
    near = np.argsort(np.linalg.norm(positions - positions.mean(axis=0), axis=1))[:8]
    loadings = {
        "all channels": np.ones(64),
        "a few neighbors": np.isin(np.arange(64), near).astype(float),
        "any channels": np.random.default_rng(3).normal(size=64),
    }[shape]
    limit = (64 / n) ** 0.25 / np.sqrt(loadings @ np.linalg.solve(of, loadings))
    values = noise(2, n, of)
    time_course = np.random.default_rng(4).normal(size=(n, 1))
    floor = noise_floor(placed(values + 1.8 * limit * time_course * loadings * values.std(axis=0), positions))
    assert floor.rank == 1
    assert floor.converged
    found = floor.components[:, 0] * floor.channel_scale
    cosine = (
        abs(found @ (loadings * values.std(axis=0))) / np.linalg.norm(found) / np.linalg.norm(loadings * values.std(0))
    )
    assert cosine**2 > 0.5


def of_tetrodes(rho: float) -> np.ndarray:
    group = np.repeat(np.arange(8), 4)
    return np.asarray(np.where(group[:, None] == group, rho, 0.0) + (1 - rho) * np.eye(32))


@pytest.mark.parametrize("rho", [0.5, -0.2])
def test_tetrodes_share_noise_within_each(rho: float) -> None:
    names = [f"tetrode{i // 4}" for i in range(32)]
    floor = noise_floor(recording(noise(3, 2000, of_tetrodes(rho)), group_name=names))
    assert floor.model == "spatial-groups"
    assert floor.rank == 0
    assert floor.converged
    assert floor.spatial is not None
    assert floor.spatial.along[0].neighbors == pytest.approx(rho, abs=0.03)
    assert f"correlation {floor.spatial.along[0].neighbors:.2f} within each group" in floor.spatial.summary()
    assert "range of the noise (one group)" in floor.spatial.caution


def test_shanks_with_the_same_positions_share_nothing_with_each_other() -> None:
    depth = np.tile(np.arange(16) + np.random.default_rng(0).uniform(0, 0.5, 16), 2)
    shank = np.repeat([0, 1], 16)
    of = np.exp(-np.abs(depth[:, None] - depth)) * (shank[:, None] == shank)
    floor = noise_floor(recording(noise(5, 1500, of), rel_y=depth, shank=shank), model="spatial-groups")
    assert floor.rank == 0
    assert floor.converged


@pytest.mark.parametrize("seed", range(3))
def test_white_noise_shares_nothing(seed: int) -> None:
    positions = POSITIONS["random"]
    values = np.random.default_rng(seed).normal(size=(800, 64))
    assert noise_floor(placed(values, positions)).model == "white"
    plain = noise_floor(recording(values))
    shared: NoiseFloor = noise_floor(placed(values, positions), model="spatial-groups")
    assert shared.rank == plain.rank
    assert shared.sigma == pytest.approx(plain.sigma, rel=2e-3)


def test_nothing_known_is_refused_with_what_to_give() -> None:
    values = np.random.default_rng(0).normal(size=(100, 8))
    with pytest.raises(DataError, match="positions or groups of channels, got neither"):
        noise_floor(recording(values), model="spatial-groups")
    with pytest.raises(DataError, match="some are unknown"):
        noise_floor(recording(values, rel_x=[np.nan, *range(7)]), model="spatial-groups")


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_correlations_are_positive_whatever_the_parameters(dims: int) -> None:
    rng = np.random.default_rng(dims)
    family = by_distance(rng.normal(size=(40, dims)), n_parameters=4)
    for _ in range(5):
        table, _ = family.tables(3 * rng.normal(size=4))
        assert np.linalg.eigvalsh(np.take(table, family.pairs)).min() > -1e-9


def test_slopes_are_derivatives() -> None:
    rng = np.random.default_rng(0)
    for family in (by_distance(rng.normal(size=(20, 2)), n_parameters=3), by_group(np.arange(20) // 5)):
        at = rng.normal(size=len(family.features))
        table, slopes = family.tables(at)
        step = 1e-6
        for k in range(len(at)):
            moved, _ = family.tables(at + step * (np.arange(len(at)) == k))
            # Tables are divided by the variance, slopes are not: the constant makes up for that.
            expected = (moved - table) / step
            assert np.allclose(expected, slopes[k + 1] - slopes[k + 1, 0] * table, atol=1e-5)
