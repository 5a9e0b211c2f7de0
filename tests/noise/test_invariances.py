"""The noise floor against what its answer must not depend on: one grid of noise models by changes of the data."""

from collections.abc import Callable
from functools import cache
from typing import Any, get_args

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.noise import Model, NoiseFloor, noise_floor, spectral_noise_floor

N, T = 24, 600
Values = NDArray[Any]


def recording(values: Values) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 10.0, "units": "V"})


def with_components(shape: tuple[int, int] = (T, N), *, complex_data: bool = False, strength: float = 1.0) -> Values:
    """Two components, clear of the noise: unequal channels, correlated in time."""
    rng = np.random.default_rng(3)
    noise = rng.normal(size=shape) + (1j * rng.normal(size=shape) if complex_data else 0)
    noise[1:] += 0.5 * noise[:-1]
    sines = np.stack([np.sin(np.arange(shape[0]) * 2 * np.pi * k / shape[0] + k) for k in (3, 5)], axis=1)
    loadings = rng.normal(size=(2, shape[1]))
    return np.asarray((strength * sines * [4, 2] @ loadings + noise) * np.linspace(0.5, 2, shape[1]))


def counts(strength: float = 1.0) -> Values:
    """Poisson counts, a component of which half of the channels follow."""
    rng = np.random.default_rng(4)
    modulation = np.sin(np.arange(T) / 20)[:, None] * np.repeat([0.8, 0.0], N // 2)
    return rng.poisson(np.linspace(4, 12, N) * (1 + strength * modulation))


def data_of(model: str) -> Values:
    return counts() if model == "counts" else with_components()


@cache
def plain(model: str) -> NoiseFloor:
    return noise_floor(recording(data_of(model)), model=model)


GIVEN = {"spatial-groups", "reference"}  # models of what is known beside the values: positions, groups, noise alone
MODELS = [model for model in get_args(Model) if model not in GIVEN]
CONTINUOUS = [model for model in MODELS if model != "counts"]  # counts have no unit, sign, offset, or phase
Change = Callable[[Values], Values]
Read = Callable[..., NoiseFloor]

EVERY: dict[str, tuple[Change, list[str]]] = {
    "strain": (lambda x: x * 1e-21, CONTINUOUS),
    "huge": (lambda x: x * 1e21, CONTINUOUS),
    "offset": (lambda x: x + 1e4, CONTINUOUS),
    "sign": (lambda x: -x, CONTINUOUS),
    "integers": (lambda x: np.round(x * 1000).astype(np.int16), CONTINUOUS),
    "channels permuted": (lambda x: np.random.default_rng(0).permutation(x, axis=1), [*MODELS]),
    "time reversed": (lambda x: x[::-1], [*MODELS]),
    "float32": (lambda x: x.astype(np.float32), [*MODELS]),
    # Products of numbers in single precision with their mean left in are wrong by 10 % at 500 standard deviations.
    "float32, mean 500": (lambda x: (x + 500 * x.std()).astype(np.float32), CONTINUOUS),
}


def assert_same(unchanged: NoiseFloor, changed: NoiseFloor, *, factor: float = 1.0) -> None:
    assert changed.rank == unchanged.rank > 0
    np.testing.assert_allclose(changed.eigenvalues, unchanged.eigenvalues, rtol=2e-3, atol=1e-6)
    assert changed.edge == pytest.approx(unchanged.edge, rel=2e-3)
    assert changed.sigma == pytest.approx(unchanged.sigma * factor, rel=2e-3)


FACTORS = {"strain": 1e-21, "huge": 1e21, "integers": 1e3}


@pytest.mark.parametrize(("change", "model"), [(name, model) for name, row in EVERY.items() for model in row[1]])
def test_the_floor_does_not_depend_on(change: str, model: Model) -> None:
    changed = noise_floor(recording(EVERY[change][0](data_of(model))), model=model)
    assert_same(plain(model), changed, factor=FACTORS.get(change, 1.0))


@pytest.mark.parametrize("change", EVERY)
def test_the_choice_of_the_model_does_not_depend_on(change: str) -> None:
    changed = noise_floor(recording(EVERY[change][0](with_components())))
    assert changed.model == plain("auto").model
    assert_same(plain("auto"), changed, factor=FACTORS.get(change, 1.0))


@pytest.mark.parametrize("model", CONTINUOUS)
def test_a_phase_of_complex_data_does_not_matter(model: Model) -> None:
    values = with_components((150, 12), complex_data=True)
    turn = np.exp(1j * np.linspace(0, 6, 12))  # of each channel its own
    assert_same(noise_floor(recording(values), model=model), noise_floor(recording(values * turn), model=model))


def test_white_noise_model_is_invariant_under_rotation_of_the_channels() -> None:
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(N, N)))[0]
    assert_same(plain("white"), noise_floor(recording(with_components() @ rotation), model="white"))


@pytest.mark.parametrize("model", CONTINUOUS)
def test_pure_noise_has_rank_zero_and_no_loadings(model: Model) -> None:
    noise = np.random.default_rng(5).normal(size=(T, N))
    floor = noise_floor(recording(noise), model=model)
    assert floor.rank == 0
    assert floor.components.shape == (N, 0)
    assert floor.strengths.size == 0
    np.testing.assert_allclose(floor.channel_scale, 1.0, rtol=0.2)  # of pure noise, the noise
    assert floor.sigma == pytest.approx(1.0, rel=0.05)


def test_pure_counts_have_rank_zero() -> None:
    assert noise_floor(recording(counts(strength=0.0)), model="counts").rank == 0


@pytest.mark.parametrize("shape", [(40, 90), (50, 50), (T, N)])
@pytest.mark.parametrize("model", CONTINUOUS)
def test_components_are_orthonormal_for_any_shape(model: Model, shape: tuple[int, int]) -> None:
    floor = noise_floor(recording(with_components(shape, strength=2.0)), model=model)
    assert floor.rank > 0
    np.testing.assert_allclose(floor.components.T @ floor.components, np.eye(floor.rank), atol=1e-9)
    assert np.isfinite(floor.p_values).all()
    assert floor.sigma > 0


UNUSED: dict[str, tuple[Change, str]] = {
    "constant": (lambda x: np.full(len(x), 7.0), "constant"),
    "missing": (lambda x: np.where(np.arange(len(x)) % 3 == 0, x[:, 2], np.nan), "missing"),
    "duplicate": (lambda x: -3 * x[:, 2], "duplicate of 2"),
    "nearly duplicate": (lambda x: x[:, 2] + 1e-4 * x[:, 2].std() * np.sin(np.arange(len(x))), "duplicate of 2"),
}


@pytest.mark.parametrize("kind", UNUSED)
@pytest.mark.parametrize("model", CONTINUOUS)
def test_a_channel_without_noise_of_its_own_is_named_and_changes_nothing(model: Model, kind: str, read: Read) -> None:
    values, (made, reason) = with_components(), UNUSED[kind]
    floor = read(recording(np.insert(values, 5, made(values), axis=1)), model)
    assert floor.excluded == {5: reason}
    np.testing.assert_array_equal(floor.used, np.delete(np.arange(N + 1), 5))
    assert not floor.components[5].any()
    assert_same(plain(model), floor)


def test_a_constant_channel_of_counts_is_named_and_changes_nothing() -> None:
    floor = noise_floor(recording(np.insert(counts(), 5, 7, axis=1)), model="counts")
    assert floor.excluded == {5: "constant"}
    assert not floor.components[5].any()
    assert_same(plain("counts"), floor)


def test_duplicates_of_counts_are_named() -> None:
    floor = noise_floor(recording(np.insert(counts(), 5, counts()[:, 2], axis=1)), model="counts")
    assert floor.excluded == {5: "duplicate of 2"}
    assert_same(plain("counts"), floor)


@pytest.mark.parametrize("model", CONTINUOUS)
def test_a_subtracted_reference_is_one_dimension_less_however_a_recording_is_read(model: Model, read: Read) -> None:
    values = with_components() / np.linspace(0.5, 2, N)  # equal channels: what is subtracted is the average of each
    referenced = recording(values - values.mean(axis=1, keepdims=True))
    floor = read(referenced, model)
    assert floor.n_null == 1
    assert not floor.excluded
    assert_same(noise_floor(referenced, model=model), floor)


@pytest.mark.parametrize("model", CONTINUOUS)
def test_missing_values_are_left_out(model: Model) -> None:
    values = with_components()
    values[40:60, 9] = np.nan
    floor = noise_floor(recording(values), model=model)
    assert floor.rank == plain(model).rank
    assert floor.sigma == pytest.approx(plain(model).sigma, rel=0.03)
    assert "% of the values are missing" in " ".join(floor.warnings)


def test_missing_counts_are_refused() -> None:
    values = counts().astype(float)
    values[3, 4] = np.nan
    with pytest.raises(DataError, match="missing"):
        noise_floor(recording(values), model="counts")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda x: -x, id="sign"),
        pytest.param(lambda x: x[::-1], id="time reversed"),
    ],
)
def test_the_spectral_floor_does_not_depend_on(change: Change) -> None:
    values = np.random.default_rng(0).normal(size=(2000, 8))
    values[:, :3] += 0.5 * np.sin(2 * np.pi * 2.0 * np.arange(2000) / 10)[:, None]
    for x in (values, change(values)):  # segments start at the first sample: reversed, their borders lie elsewhere
        (band,) = spectral_noise_floor(recording(x)).bands
        assert sorted(band.channels) == [0, 1, 2]
        assert band.frequency == pytest.approx(2.0, abs=0.1)
