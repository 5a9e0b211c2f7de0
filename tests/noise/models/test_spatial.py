"""Noise that neighbors on a grid share: no component in noise alone, and what is there is found, with its numbers."""

import numpy as np
import pytest
import xarray as xr

from sciml.noise import NoiseFloor, noise_floor
from sciml.simulate import ar1_noise

Shape = tuple[int, ...]
DIMS = {1: ("distance",), 2: ("y", "x"), 3: ("z", "y", "x")}


def covariance(shape: Shape, *correlations: float) -> np.ndarray:
    """Return correlations r^|steps| along each axis."""
    places = np.indices(shape).reshape(len(shape), -1).T
    steps = np.abs(places[:, None] - places)
    return np.asarray(np.prod([r ** steps[..., d] for d, r in enumerate(correlations)], axis=0))


def noise(rng: np.random.Generator, n: int, of: np.ndarray, phi: float = 0.0) -> np.ndarray:
    return np.asarray(ar1_noise(n, len(of), phi=phi, rng=rng) @ np.linalg.cholesky(of).T)


def recording(values: np.ndarray, shape: Shape) -> xr.DataArray:
    return xr.DataArray(
        values.reshape(-1, *shape), dims=("time", *DIMS[len(shape)]), attrs={"sampling_rate": 10.0, "units": "V"}
    )


def limit(of: np.ndarray, loadings: np.ndarray, n: int) -> float:
    """Return the weakest standard deviation of unit loadings that stands out of white noise after whitening."""
    return float((len(of) / n) ** 0.25 / np.sqrt(loadings @ np.linalg.solve(of, loadings)))


def cell(shape: Shape) -> np.ndarray:
    places = np.indices(shape).reshape(len(shape), -1).T
    near = np.argsort(((places - np.array(shape) / 2.3) ** 2).sum(axis=1))[:12]
    return np.asarray(np.isin(np.arange(len(places)), near) / np.sqrt(12))


CASES: dict[str, tuple[int, Shape, tuple[float, ...], float]] = {
    "line": (2000, (48,), (0.5,), 0.0),
    "line, slow": (3000, (48,), (0.4,), 0.6),
    "plane": (400, (10, 12), (0.4, 0.6), 0.0),
    "line scan": (400, (10, 12), (0.0, 0.65), 0.0),
    "alternating": (2000, (48,), (-0.4,), 0.0),
    "volume": (600, (4, 5, 6), (0.3, 0.4, 0.3), 0.0),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(2))
def test_shared_noise_alone_has_no_component(name: str, seed: int) -> None:
    n, shape, correlations, phi = CASES[name]
    values = noise(np.random.default_rng(seed), n, covariance(shape, *correlations), phi)
    floor = noise_floor(recording(values, shape), alpha=0.01)  # of 12 draws one in eight times one would have one
    assert floor.model == "spatial"
    assert floor.converged
    assert floor.rank == 0
    assert floor.sigma == pytest.approx(1, abs=0.03)
    assert floor.bulk_ratio == pytest.approx(1, abs=0.02)
    assert floor.spatial is not None
    assert [each.neighbors for each in floor.spatial.along] == pytest.approx(list(correlations), abs=0.04)


@pytest.mark.parametrize("name", CASES)
def test_a_cell_at_twice_the_limit_is_found(name: str) -> None:
    n, shape, correlations, phi = CASES[name]
    rng, of, loadings = np.random.default_rng(7), covariance(shape, *correlations), cell(shape)
    strength = 2.5 * limit(of, loadings, n)
    time_course = ar1_noise(n, 1, phi=phi, rng=rng)
    time_course /= np.sqrt(np.mean(time_course**2))
    values = noise(rng, n, of, phi) + strength * time_course * loadings
    floor = noise_floor(recording(values, shape))
    assert (floor.model, floor.rank, floor.converged) == ("spatial", 1, True)
    low, high = floor.strength_intervals[0]
    assert low < strength < high
    overlap = float(floor.components[:, 0] @ loadings) ** 2
    assert overlap == pytest.approx(floor.overlaps_channel[0], abs=0.2)
    assert float(floor.filters[:, 0] @ floor.components[:, 0]) == pytest.approx(1)


def test_white_noise_has_the_floor_that_it_has_without_a_grid() -> None:
    values = np.random.default_rng(0).normal(size=(500, 60)) + 0.4 * np.random.default_rng(1).normal(size=(500, 1))
    on_grid, plain = (
        noise_floor(recording(values, (6, 10))),
        noise_floor(xr.DataArray(values, dims=("time", "channel"))),
    )
    assert on_grid.model == plain.model == "white"
    np.testing.assert_array_equal(on_grid.eigenvalues, plain.eigenvalues)
    assert on_grid.sigma == plain.sigma


@pytest.mark.parametrize("kind", ["dead pixels", "complex", "referenced", "unequal", "missing"])
def test_a_component_is_found_on(kind: str) -> None:
    n, shape, correlations, _ = CASES["plane"]
    rng, of, loadings = np.random.default_rng(3), covariance(shape, *correlations), cell(shape)
    values = noise(rng, n, of) + 3 * limit(of, loadings, n) * rng.normal(size=(n, 1)) * loadings
    if kind == "dead pixels":
        values[:, rng.permutation(120)[:15]] = 7.0
    elif kind == "complex":
        values = values + 1j * noise(np.random.default_rng(5), n, of)
    elif kind == "referenced":
        values -= values.mean(axis=1, keepdims=True)
    elif kind == "unequal":
        values *= np.exp(0.5 * rng.normal(size=120))
    elif kind == "missing":
        values[rng.uniform(size=values.shape) < 0.001] = np.nan
    floor = noise_floor(recording(values, shape))
    assert (floor.model, floor.rank, floor.converged) == ("spatial", 1, True)
    assert floor.n_null == (kind == "referenced")


def streamed(values: xr.DataArray) -> NoiseFloor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sciml.noise.channels.read.MEMORY", 1)
        patch.setattr("sciml.noise.channels.read.BLOCK_BYTES", 8 * 48 * 170)
        return noise_floor(values)


def test_a_recording_that_is_not_held_has_the_same_floor() -> None:
    n, shape, correlations, _ = CASES["line"]
    values = recording(noise(np.random.default_rng(0), n, covariance(shape, *correlations)), shape)
    held, read = noise_floor(values), streamed(values)
    assert held.model == read.model == "spatial"
    np.testing.assert_allclose(read.eigenvalues, held.eigenvalues, rtol=2e-3)
    assert read.sigma == pytest.approx(held.sigma, rel=2e-3)


def test_channels_in_any_order_are_not_taken_for_a_grid() -> None:
    n, shape, correlations, _ = CASES["line"]
    values = noise(np.random.default_rng(0), n, covariance(shape, *correlations))
    with pytest.warns(match="not determined"):
        assert noise_floor(xr.DataArray(values, dims=("time", "channel"))).model != "spatial"


def test_very_many_channels_are_whitened_by_their_neighbors() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(60, 48, 49))
    noise = noise[..., 1:] + 0.5 * noise[..., :-1]
    course = np.sin(np.arange(60) / 5)
    blob = np.exp(-((np.arange(48)[:, None] - 20) ** 2 + (np.arange(48) - 24) ** 2) / 20)
    floor = noise_floor(xr.DataArray(noise + 3 * course[:, None, None] * blob, dims=("time", "y", "x")))
    assert floor.model == "spatial"
    assert floor.rank == 1
    assert abs(floor.sigma / np.sqrt(1.25) - 1) < 0.01
    assert floor.spatial is not None
    y, x = floor.spatial.along
    assert abs(x.neighbors - 0.4) < 0.03
    assert abs(y.neighbors) < 0.03
    shape = blob.ravel() / np.linalg.norm(blob)
    assert abs(floor.components[:, 0] @ shape) > 0.8
    scores = ((noise + 3 * course[:, None, None] * blob).reshape(60, -1) - floor.channel_mean) / floor.channel_scale
    assert abs(np.corrcoef(scores @ floor.filters[:, 0], course)[0, 1]) > 0.95


def test_a_smooth_component_below_the_limit_of_all_directions_is_found_among_smooth_ones() -> None:
    n, shape, rng = 1000, (128,), np.random.default_rng(0)
    of, places = covariance(shape, 0.4), np.arange(128)
    bump = np.exp(-((places - 50) ** 2) / (2 * 16**2))
    bump /= np.linalg.norm(bump)
    time_course = rng.normal(size=(n, 1))
    time_course /= np.sqrt(np.mean(time_course**2))
    strength = 0.9 * limit(of, bump, n)
    floor = noise_floor(recording(noise(rng, n, of) + strength * time_course * bump, shape))
    assert (floor.rank, floor.converged) == (1, True)
    assert "1 of the components stand out only among the smoothest" in " ".join(floor.warnings)
    assert float(floor.components[:, 0] @ bump) ** 2 > 0.5
    assert float(floor.filters[:, 0] @ floor.components[:, 0]) == pytest.approx(1)
    low, high = floor.strength_intervals[0]
    assert low < strength < high
    assert floor.sigma == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("kind", ["rows", "charge sharing", "long range", "registered"])
def test_other_kinds_of_shared_noise_have_no_component(kind: str) -> None:
    rng = np.random.default_rng(2)
    shape: Shape
    if kind == "rows":  # a reader that takes row by row adds one value to each
        values, shape = rng.normal(size=(400, 12, 15)) + 0.5 * rng.normal(size=(400, 12, 1)), (12, 15)
    elif kind == "charge sharing":
        strips = rng.normal(size=(2000, 50))
        values, shape = 0.7 * strips[:, 1:-1] + 0.2 * (strips[:, :-2] + strips[:, 2:]), (48,)
        values += 0.3 * rng.normal(size=values.shape)
    elif kind == "long range":
        values, shape = noise(rng, 1000, covariance((96,), 0.9)), (96,)
    else:  # frames interpolated to their places
        frames, shift = rng.normal(size=(400, 12, 13)), rng.uniform(size=(400, 1, 1))
        values, shape = (1 - shift) * frames[:, :, 1:] + shift * frames[:, :, :-1], (12, 12)
    floor = noise_floor(recording(values, shape), alpha=0.01)
    assert (floor.model, floor.rank) == ("spatial", 0)
