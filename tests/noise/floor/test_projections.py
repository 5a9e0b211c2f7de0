"""Recordings of which directions were projected out: they are named, and noise is tested within what is left."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.signal
import xarray as xr

from sciml.denoise import denoise, linear_denoiser
from sciml.noise import NoiseFloor, noise_floor

Read = Callable[..., NoiseFloor]
SHAPES = [(600, 24, 2), (600, 24, 8), (1200, 60, 40)]  # samples, channels, directions projected out


def recording(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 10.0, "units": "V"})


def normal(rng: np.random.Generator, *shape: int, complex_data: bool = False) -> np.ndarray:
    return rng.normal(size=shape) + (1j * rng.normal(size=shape) if complex_data else 0)


def projector(rng: np.random.Generator, n: int, k: int, *, complex_data: bool = False) -> np.ndarray:
    out = np.linalg.qr(normal(rng, n, k, complex_data=complex_data))[0]
    return np.asarray(np.eye(n) - out @ out.conj().T)


def colored(rng: np.random.Generator, t: int, n: int) -> np.ndarray:
    return np.asarray(scipy.signal.lfilter([1], [1, -0.6], rng.normal(size=(t + 100, n)), axis=0)[100:])


def unequal(rng: np.random.Generator, t: int, n: int) -> np.ndarray:
    return rng.normal(size=(t, n)) * np.exp(rng.uniform(-1, 1, n))


def white(rng: np.random.Generator, t: int, n: int) -> np.ndarray:
    return rng.normal(size=(t, n))


def white_complex(rng: np.random.Generator, t: int, n: int) -> np.ndarray:
    return normal(rng, t, n, complex_data=True)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("draw", [white, colored, unequal, white_complex], ids=lambda draw: draw.__name__)
def test_pure_noise_has_no_component_and_what_was_projected_out_is_named(
    draw: Callable[..., np.ndarray], shape: tuple[int, int, int]
) -> None:
    t, n, k = shape
    draws = 12
    floors = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        values = draw(rng, t, n)
        floors.append(noise_floor(recording(values @ projector(rng, n, k, complex_data=np.iscomplexobj(values)))))
    # At the nominal 5 % more than three of 12 happen in 1 of 450 runs.
    assert sum(floor.rank > 0 for floor in floors) <= 3
    assert all(floor.n_null == k and floor.converged for floor in floors)
    assert f"{n} channels fill {n - k} dimensions" in floors[0].warnings[0]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_floor_of_projected_noise_is_the_same_however_it_is_read(
    read: Read, dtype: type, shape: tuple[int, int, int]
) -> None:
    t, n, k = shape
    rng = np.random.default_rng(5)
    noise = (rng.normal(size=(t, n)) @ projector(rng, n, k)).astype(dtype)
    floor = read(recording(noise))
    assert (floor.rank, floor.n_null, len(floor.eigenvalues)) == (0, k, n - k)
    assert floor.sigma == pytest.approx(np.sqrt(np.mean(noise**2)), rel=0.02)
    assert float(np.trapezoid(floor.psd, floor.frequency)) == pytest.approx(floor.sigma**2, rel=0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_offset_added_after_a_projection_does_not_hide_it(dtype: type) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(600, 24)) @ projector(rng, 24, 8) + 300 * rng.normal(size=24)
    floor = noise_floor(recording(values.astype(dtype)))
    assert (floor.rank, floor.n_null) == (0, 8)


def test_an_average_reference_of_unequal_channels_is_no_component() -> None:
    # The average carries the noise of the loudest channels into the quietest.
    found = 0
    for seed in range(12):
        values = unequal(np.random.default_rng(seed), 600, 24)
        floor = noise_floor(recording(values - values.mean(axis=1, keepdims=True)))
        assert floor.n_null == 1
        found += floor.rank > 0
    assert found <= 3


def test_fewer_dimensions_than_samples_are_recognized_of_more_channels() -> None:
    rng = np.random.default_rng(0)
    floor = noise_floor(recording(rng.normal(size=(200, 300)) @ projector(rng, 300, 240)))
    assert (floor.rank, floor.n_null, len(floor.eigenvalues)) == (0, 240, 60)


@pytest.mark.parametrize("draw", [white, unequal, white_complex], ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_component_is_found_and_denoising_stays_in_the_dimensions_left(
    draw: Callable[..., np.ndarray], shape: tuple[int, int, int]
) -> None:
    t, n, k = shape
    rng = np.random.default_rng(3)
    noise = draw(rng, t, n)
    is_complex = np.iscomplexobj(noise)
    left = projector(rng, n, k, complex_data=is_complex)
    loadings = normal(rng, n, complex_data=is_complex) @ left
    signal = np.outer(np.sin(np.arange(t) * 2 * np.pi * 7 / t), loadings / np.linalg.norm(loadings)) * np.sqrt(n) * 0.6
    noisy = recording(noise @ left + signal)
    floor = noise_floor(noisy)
    assert (floor.rank, floor.n_null) == (1, k)
    assert floor.strengths[0] == pytest.approx(0.6 * np.sqrt(n / 2), rel=0.15)
    clean = denoise(noisy, floor)
    assert float((np.abs(clean - signal) ** 2).mean()) < 0.3 * float((np.abs(noisy - signal) ** 2).mean())
    assert np.abs((clean - clean.mean("time")).values @ (np.eye(n) - left)).max() < 1e-9
    assert linear_denoiser(floor).rank == 1
