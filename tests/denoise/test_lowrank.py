"""Denoising beats the noise, truncation and the raw data; keeps what it must; and never invents signal."""

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from sciml.denoise import denoise, projector
from sciml.errors import ConfigError, DataError
from sciml.noise import noise_floor

N, T = 40, 1200


def recording(values: NDArray[np.generic], **coords: object) -> xr.DataArray:
    attrs = {"sampling_rate": 10.0, "units": "V", "history": "recorded"}
    return xr.DataArray(values, dims=("time", "channel"), coords=coords, attrs=attrs)


def clean(rng: np.random.Generator, strengths: tuple[float, ...] = (3.0, 1.0, 0.3)) -> NDArray[np.float64]:
    t = np.arange(T)
    waves = np.stack([np.sin(2 * np.pi * t * (5 + 3 * k) / T + k) for k in range(len(strengths))], axis=1)
    return np.asarray(waves * strengths @ rng.normal(size=(len(strengths), N)))


def ar1(rng: np.random.Generator, phi: float) -> NDArray[np.float64]:
    noise = rng.normal(size=(T, N)) * np.sqrt(1 - phi**2)
    for t in range(1, T):
        noise[t] += phi * noise[t - 1]
    return noise


def error(estimate: xr.DataArray, truth: NDArray[np.float64]) -> float:
    return float(((estimate.values - truth) ** 2).mean())


@pytest.mark.parametrize("phi", [0.0, 0.7])
def test_error_is_near_the_oracle_that_knows_the_truth(phi: float) -> None:
    rng = np.random.default_rng(0)
    truth = clean(rng)
    truth -= truth.mean(axis=0)
    noisy = truth + ar1(rng, phi)
    # The oracle scales the empirical singular triplets as the truth would have it: the best any shrinkage can do.
    U, _, Vt = np.linalg.svd(noisy - noisy.mean(axis=0), full_matrices=False)
    best = np.diag(U[:, :3].T @ truth @ Vt[:3].T)
    oracle = float((((U[:, :3] * best) @ Vt[:3] - truth) ** 2).mean())
    ours = error(denoise(recording(noisy)), truth)
    assert ours < 1.2 * oracle  # 1.2 leaves room for per-channel scales, which the oracle does not estimate
    assert ours < 0.15 * ((noisy - truth) ** 2).mean()


def test_optimal_shrinkage_beats_truncation() -> None:
    rng = np.random.default_rng(1)
    truth = clean(rng, (0.35, 0.3))
    noisy = recording(truth + rng.normal(size=(T, N)))
    floor = noise_floor(noisy)
    assert floor.rank == 2
    assert error(denoise(noisy, floor), truth) < error(denoise(noisy, floor, shrinkage="none"), truth)


def test_pure_noise_leaves_the_channel_means() -> None:
    values = np.random.default_rng(2).normal(size=(T, N)) + np.arange(N)
    result = denoise(recording(values))
    np.testing.assert_allclose(result.values, np.broadcast_to(values.mean(axis=0), (T, N)), rtol=1e-12)


def test_nothing_is_clipped_and_the_sign_is_kept() -> None:
    rng = np.random.default_rng(3)
    noisy = clean(rng) + 0.1 * rng.normal(size=(T, N))
    np.testing.assert_allclose(denoise(recording(-noisy)).values, -denoise(recording(noisy)).values, atol=1e-9)
    assert (denoise(recording(noisy)).values < 0).any()


@pytest.mark.parametrize("scale", [1e-21, 1e21])
def test_any_scale(scale: float) -> None:
    rng = np.random.default_rng(4)
    noisy = clean(rng) + rng.normal(size=(T, N))
    plain = denoise(recording(noisy)).values
    np.testing.assert_allclose(denoise(recording(noisy * scale)).values / scale, plain, rtol=1e-6, atol=1e-9)


def test_labels_units_and_history_survive() -> None:
    rng = np.random.default_rng(5)
    noisy = recording(clean(rng) + rng.normal(size=(T, N)), channel=[f"c{i}" for i in range(N)]).transpose()
    result = denoise(noisy)
    assert result.dims == ("channel", "time")
    assert result.attrs["units"] == "V"
    assert result.attrs["noise_rank"] == 3
    assert result.attrs["history"].startswith("recorded\nsciml.denoise: kept 3 components")
    assert result["channel"].equals(noisy["channel"])


def test_float32_stays_float32_and_integers_become_float() -> None:
    rng = np.random.default_rng(6)
    noisy = clean(rng) + rng.normal(size=(T, N))
    assert denoise(recording(noisy.astype(np.float32))).dtype == np.float32
    assert denoise(recording((100 * noisy).astype(np.int16))).dtype == np.float32


def test_movies_complex_and_chunked_recordings() -> None:
    rng = np.random.default_rng(7)
    noisy = clean(rng) + rng.normal(size=(T, N))
    plain = denoise(recording(noisy)).values
    movie = xr.DataArray(noisy.reshape(T, 5, 8), dims=("time", "y", "x"))
    np.testing.assert_allclose(denoise(movie).values.reshape(T, N), plain, rtol=1e-9)
    lazy = denoise(movie.chunk(time=100, y=5, x=4))
    assert lazy.chunks is not None
    np.testing.assert_allclose(lazy.values.reshape(T, N), plain, rtol=1e-9)
    turned = denoise(recording(noisy * np.exp(0.7j)))
    np.testing.assert_allclose(turned.values * np.exp(-0.7j), plain, atol=0.2)


def test_missing_values_stay_missing_and_harm_no_other_channel() -> None:
    rng = np.random.default_rng(8)
    truth = clean(rng)
    noisy = truth + rng.normal(size=(T, N))
    noisy[100:110, 3] = np.nan
    result = denoise(recording(noisy)).values
    assert np.isnan(result[100:110, 3]).all()
    assert np.isfinite(np.delete(result, 3, axis=1)).all()


def test_dead_channels_keep_their_value() -> None:
    rng = np.random.default_rng(9)
    noisy = clean(rng) + rng.normal(size=(T, N))
    noisy[:, 4] = 2.5
    np.testing.assert_allclose(denoise(recording(noisy)).values[:, 4], 2.5)


def test_the_projector_is_the_denoiser_as_one_matrix() -> None:
    rng = np.random.default_rng(10)
    noisy = clean(rng) + rng.normal(size=(T, N))
    floor = noise_floor(recording(noisy))
    project = projector(floor)
    by_matrix = (noisy - project.mean) @ project.matrix.T + project.mean
    np.testing.assert_allclose(denoise(recording(noisy), floor).values, by_matrix, rtol=1e-9)
    assert project.rank == np.linalg.matrix_rank(project.matrix) == 3


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(11)
    noisy = recording(clean(rng) + rng.normal(size=(T, N)))
    whole = denoise(noisy).values
    monkeypatch.setattr("sciml.denoise.lowrank.BLOCK_BYTES", 8 * N * 7)
    np.testing.assert_array_equal(denoise(noisy).values, whole)


def test_a_floor_of_another_recording_or_rank_is_refused() -> None:
    rng = np.random.default_rng(12)
    noisy = recording(clean(rng) + rng.normal(size=(T, N)))
    floor = noise_floor(noisy)
    with pytest.raises(DataError, match="expected a recording of 40 channels"):
        denoise(noisy.isel(channel=slice(10)), floor)
    with pytest.raises(ConfigError, match="expected a rank between 0 and the 3 components"):
        denoise(noisy, floor, rank=9)
    with pytest.raises(ConfigError, match="expected a shrinkage of 'optimal' or 'none'"):
        projector(floor, shrinkage="hard")  # type: ignore[arg-type]
