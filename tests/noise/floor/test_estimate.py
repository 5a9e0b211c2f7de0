"""The noise floor: nominal size on pure noise, components found, and the invariances of a spectrum."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import ConfigError, DataError
from sciml.noise import NoiseFloor, RunningNoiseFloor, noise_floor

N, T = 48, 1500


def recording(values: NDArray[np.generic], **attrs: object) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 10.0, "units": "V", **attrs})


def ar1(rng: np.random.Generator, phi: float, shape: tuple[int, int] = (T, N)) -> NDArray[np.float64]:
    noise = rng.normal(size=shape) * np.sqrt(1 - phi**2)
    noise[0] /= np.sqrt(1 - phi**2)
    for t in range(1, shape[0]):
        noise[t] += phi * noise[t - 1]
    return noise


def true_components(
    rng: np.random.Generator, strengths: list[float], shape: tuple[int, int] = (T, N)
) -> NDArray[np.float64]:
    """Components with given covariance eigenvalues, in random directions, smooth in time."""
    t = np.arange(shape[0])
    sines = np.stack([np.sin(2 * np.pi * t * (3 + 2 * k) / shape[0] + k) for k in range(len(strengths))], axis=1)
    loadings = np.linalg.qr(rng.normal(size=(shape[1], len(strengths))))[0]
    return np.asarray(sines * np.sqrt(2 * np.array(strengths)) @ loadings.T)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, 0.97])
def test_pure_noise_has_a_component_at_the_nominal_rate(phi: float) -> None:
    draws, alpha = 120, 0.05
    found = sum(noise_floor(recording(ar1(np.random.default_rng(seed), phi))).rank > 0 for seed in range(draws))
    # Never above nominal beyond three binomial standard errors (2 %); conservative is allowed.
    assert found / draws <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / draws)


def test_the_white_model_has_its_size() -> None:
    draws, alpha = 200, 0.05
    noise = (recording(np.random.default_rng(seed).normal(size=(400, 40))) for seed in range(draws))
    found = sum(noise_floor(each, model="white").rank > 0 for each in noise)
    assert found / draws <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / draws)


def test_many_equal_components_do_not_hide_each_other() -> None:
    rng = np.random.default_rng(0)
    values = true_components(rng, [30.0] * 12) + ar1(rng, 0.6)
    assert noise_floor(recording(values)).rank == 12


def test_the_marchenko_pastur_edge_calls_every_colored_recording_signal() -> None:
    floors = [noise_floor(recording(ar1(np.random.default_rng(seed), 0.9))) for seed in range(10)]
    assert all(floor.mp_rank > 0 for floor in floors)
    assert all(floor.model == "colored" for floor in floors)


@pytest.mark.parametrize("phi", [0.0, 0.8])
@pytest.mark.parametrize("unequal", [False, True])
def test_true_components_are_found(phi: float, unequal: bool) -> None:
    rng = np.random.default_rng(7)
    scale = np.exp(rng.uniform(-1.5, 1.5, N)) if unequal else np.ones(N)
    values = (true_components(rng, [30.0, 20.0, 12.0, 8.0]) + ar1(rng, phi)) * scale
    floor = noise_floor(recording(values))
    expected = "colored" if phi else "heteroscedastic" if unequal else "white"
    assert (floor.rank, floor.model, floor.converged) == (4, expected, True)
    assert floor.sigma == pytest.approx(np.sqrt(np.mean(scale**2)), rel=0.05)
    assert (floor.p_values[:4] < 1e-4).all()


@pytest.mark.parametrize("shape", [(1500, 48), (60, 400), (300, 300)])
def test_sigma_of_white_noise_is_within_its_standard_error(shape: tuple[int, int]) -> None:
    floor = noise_floor(recording(2.5 * np.random.default_rng(11).normal(size=shape)), model="white")
    assert floor.sigma == pytest.approx(2.5, abs=4 * floor.sigma_se + 2.5 / min(shape) ** 2)


def test_correlation_time_is_that_of_the_noise() -> None:
    floor = noise_floor(recording(ar1(np.random.default_rng(5), 0.9, (6000, 40))))
    assert floor.correlation_time == pytest.approx((1 + 0.81) / (1 - 0.81) / 10.0, rel=0.1)
    # one-sided density over 0..5 Hz integrates to the variance
    assert float(np.trapezoid(floor.psd, floor.frequency)) == pytest.approx(floor.sigma**2, rel=0.03)


def spiked(seed: int = 3) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return true_components(rng, [20.0, 10.0]) + ar1(rng, 0.7) * np.linspace(0.5, 2, N)


def test_complex_noise_is_tested_with_its_own_law() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(800, 40)) + 1j * rng.normal(size=(800, 40))
    assert noise_floor(recording(noise)).rank == 0
    sine = np.exp(2j * np.pi * np.arange(800) / 40)[:, None] * rng.normal(size=40)
    assert noise_floor(recording(noise + sine)).rank == 1


def test_more_channels_than_samples() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(80, 500))
    assert noise_floor(recording(noise)).rank == 0
    signal = np.sin(np.arange(80) / 5)[:, None] * rng.normal(size=500)
    floor = noise_floor(recording(noise + signal))
    assert floor.rank == 1
    overlap = np.abs(floor.components[:, 0] @ signal[10] / np.linalg.norm(signal[10]))
    assert overlap > 0.9


def test_movies_count_pixels_as_channels() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(900, 48)) + np.sin(np.arange(900) / 9)[:, None] * rng.normal(size=48)
    movie = xr.DataArray(values.reshape(900, 6, 8), dims=("time", "y", "x"))
    np.testing.assert_allclose(
        noise_floor(movie.transpose("y", "time", "x")).eigenvalues, noise_floor(recording(values)).eigenvalues
    )


def test_reading_in_blocks_gives_the_floor_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = noise_floor(recording(spiked()), model="heteroscedastic")
    monkeypatch.setattr("sciml.noise.channels.read.MEMORY", 1)
    monkeypatch.setattr("sciml.noise.channels.read.BLOCK_BYTES", 8 * N * 400)
    parts = noise_floor(recording(spiked()), model="heteroscedastic")
    np.testing.assert_allclose(parts.eigenvalues, whole.eigenvalues, rtol=1e-9)
    assert noise_floor(recording(spiked()), model="colored").rank == 2


def test_excluded_channels_and_missing_samples_are_named() -> None:
    values = spiked()
    values[:, 5] = 3.0
    values[:1000, 7] = np.nan
    values[40:60, 9] = np.nan
    floor = noise_floor(recording(values))
    assert floor.excluded == {5: "constant", 7: "missing"}
    assert floor.rank == 2
    assert floor.n_samples == T
    assert "2 of 48 channels are constant or mostly missing" in floor.warnings[0]
    assert "% of the values are missing" in floor.warnings[1]
    assert not floor.components[[5, 7]].any()


def test_masked_samples_are_left_out() -> None:
    values = spiked()
    values[300:310] = 1e6
    masked = recording(values).assign_coords(mask=("time", np.abs(np.arange(T) - 304.5) < 6))
    assert noise_floor(masked).rank == 2


def test_a_floor_that_did_not_converge_says_so_and_keeps_the_upper_bound() -> None:
    rng = np.random.default_rng(3)
    # Every second channel is slow, the others white: one spectrum for all is the wrong model.
    slow, fast = ar1(rng, 0.999, (T, N // 2)), rng.normal(size=(T, N // 2))
    floor = noise_floor(recording(np.concatenate([slow, fast], axis=1)), model="colored")
    if not floor.converged:
        assert "not of this model" in " ".join(floor.warnings)
        assert floor.sigma == pytest.approx(1.0, rel=0.35)
    assert floor.rank <= 24


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.zeros((100, 4)), "at least two channels that vary, got 0 of 4"),
        (np.full((100, 4), np.nan), "samples at which the channels have values, found 0 of 100"),
        (np.random.default_rng(0).normal(size=(100, 1)), "at least two channels that vary, got 1 of 1"),
        (np.zeros((0, 4)), "at least 2 time samples"),
        (np.array([["a", "b"], ["c", "d"]]), "expected numbers"),
    ],
)
def test_what_has_no_floor_says_why(values: NDArray[np.generic], text: str) -> None:
    with pytest.raises(DataError, match=text):
        noise_floor(recording(values))


def test_missing_values_scattered_over_all_channels_cost_little() -> None:
    values = spiked()
    values[np.random.default_rng(4).random(values.shape) < 0.1] = np.nan
    floor = noise_floor(recording(values))
    assert floor.rank == 2
    whole = noise_floor(recording(spiked()))
    assert floor.sigma == pytest.approx(whole.sigma, rel=0.03)
    assert np.abs(floor.components[:, 0] @ whole.components[:, 0]) > 0.98


def test_unknown_models_and_levels_are_refused() -> None:
    noise = recording(np.random.default_rng(0).normal(size=(100, 4)))
    with pytest.raises(ConfigError, match="expected a noise model of auto, counts, white"):
        noise_floor(noise, model="pink")
    with pytest.raises(ConfigError, match="alpha between 0 and 1"):
        noise_floor(noise, alpha=2.0)


def test_a_floor_says_what_it_is_of_and_its_answer_in_six_lines() -> None:
    floor = noise_floor(recording(spiked()), model="colored")
    first, answer, *rest = repr(floor).splitlines()
    n = f"{floor.n_features} channels, {floor.n_samples:,} samples"
    assert first == f"NoiseFloor: {n}, colored noise"
    assert answer.strip().startswith("2 components above the noise floor")
    assert len(rest) <= 4


def test_components_are_a_table_of_pandas() -> None:
    floor = noise_floor(recording(spiked()), model="colored")
    found = floor.to_dataframe()
    assert list(found.index) == [1, 2]
    np.testing.assert_array_equal(found["strength"], floor.strengths)


def test_coordinates_of_channels_are_kept() -> None:
    placed = recording(spiked())
    place = np.arange(placed.sizes["channel"]) * 20.0
    found = noise_floor(placed.assign_coords(rel_x=("channel", place))).to_dataset()
    np.testing.assert_array_equal(found["rel_x"], place)
    assert found["rel_x"].dims == ("channel",)


def test_dataset_and_dict_carry_the_numbers() -> None:
    floor = noise_floor(recording(spiked(), source="file.nwb"))
    data = floor.to_dataset()
    assert int(data["rank"]) == floor.rank
    np.testing.assert_array_equal(data["p_values"], floor.p_values)
    assert data.attrs["source"] == "file.nwb"
    assert floor.to_dict()["eigenvalues"] == floor.eigenvalues.tolist()
    assert floor.summary().startswith("2 components above the noise floor (colored noise")


@pytest.fixture
def worm(data_dir: Path) -> NoiseFloor:
    import sciml.io

    path = data_dir / "nwb_scholz2018_141721.nwb"
    return noise_floor(sciml.io.open_recording(path, "acquisition/Activity_*"))


def test_whole_brain_calcium_of_a_worm_holds_two_components_where_marchenko_pastur_says_nine(worm: NoiseFloor) -> None:
    assert worm.model == "heteroscedastic+colored"
    assert worm.mp_rank == 9
    assert 1 <= worm.rank <= 3


def test_loading_the_noise_floor_loads_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, sciml.noise, sciml.denoise; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("model", ["auto", "white", "heteroscedastic", "heteroscedastic+colored"])
def test_of_fewer_samples_than_channels_the_floor_is_the_same_however_they_are_read(
    read: Callable[..., NoiseFloor], model: str
) -> None:
    rng = np.random.default_rng(0)
    few = recording(rng.normal(size=(40, 60)) * np.linspace(1, 2, 60) + 4 * rng.normal(size=(40, 1)))
    floor, held = read(few, model), noise_floor(few, model=model)
    assert (floor.rank, len(floor.eigenvalues)) == (held.rank, 39)
    assert floor.rank >= 1
    # Spectra come from a subsample in single precision where the values are not held.
    np.testing.assert_allclose(floor.eigenvalues, held.eigenvalues, rtol=1e-4)
    assert floor.sigma == pytest.approx(held.sigma, rel=1e-5)


def test_complex_samples_after_real_ones_are_refused() -> None:
    values = np.random.default_rng(0).normal(size=(50, 6))
    running = RunningNoiseFloor()
    running.add(recording(values))
    with pytest.raises(DataError, match="expected real values, as in the samples before, got complex ones"):
        running.add(recording(values + 1j * values[::-1]))
    assert running.n_samples == 50
