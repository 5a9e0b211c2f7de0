"""Denoising beats the noise, truncation and the raw data; keeps what it must; and never invents signal."""

from typing import get_args

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from sciml.denoise import denoise, linear_denoiser
from sciml.errors import ConfigError, DataError, ScimlWarning
from sciml.noise import noise_floor
from sciml.rmt import shrink
from sciml.rmt.shrink import Shrinkage

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
    transformed = denoise(recording(noisy * np.exp(0.7j)))
    np.testing.assert_allclose(transformed.values * np.exp(-0.7j), plain, atol=0.2)


def test_missing_values_stay_missing_and_harm_no_other_channel() -> None:
    rng = np.random.default_rng(8)
    truth = clean(rng)
    noisy = truth + rng.normal(size=(T, N))
    noisy[100:110, 3] = np.nan
    result = denoise(recording(noisy)).values
    assert np.isnan(result[100:110, 3]).all()
    assert np.isfinite(np.delete(result, 3, axis=1)).all()


def test_excluded_channels_keep_their_value() -> None:
    rng = np.random.default_rng(9)
    noisy = clean(rng) + rng.normal(size=(T, N))
    noisy[:, 4] = 2.5
    np.testing.assert_allclose(denoise(recording(noisy)).values[:, 4], 2.5)


def test_the_linear_denoiser_is_the_denoiser_as_one_matrix() -> None:
    rng = np.random.default_rng(10)
    noisy = clean(rng) + rng.normal(size=(T, N))
    floor = noise_floor(recording(noisy))
    project = linear_denoiser(floor)
    by_matrix = (noisy - project.mean) @ project.matrix.T + project.mean
    np.testing.assert_allclose(denoise(recording(noisy), floor).values, by_matrix, rtol=1e-9)
    assert project.rank == np.linalg.matrix_rank(project.matrix) == 3


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(11)
    noisy = recording(clean(rng) + rng.normal(size=(T, N)))
    whole = denoise(noisy).values
    monkeypatch.setattr("sciml.denoise.lowrank.denoising.BLOCK_BYTES", 8 * N * 7)
    # Products of matrices round differently with their number of rows, on some processors.
    np.testing.assert_allclose(denoise(noisy).values, whole, rtol=1e-12, atol=1e-13)


def test_a_floor_of_another_recording_or_rank_is_refused() -> None:
    rng = np.random.default_rng(12)
    noisy = recording(clean(rng) + rng.normal(size=(T, N)))
    floor = noise_floor(noisy)
    with pytest.raises(DataError, match="expected a recording of 40 channels"):
        denoise(noisy.isel(channel=slice(10)), floor)
    with pytest.raises(ConfigError, match="expected a rank between 0 and the 3 components"):
        linear_denoiser(floor, rank=9)
    with pytest.raises(ConfigError, match="expected a rank from 0 to 39"):
        denoise(noisy, floor, rank=40)
    with pytest.raises(ConfigError, match="expected a shrinkage of frobenius"):
        linear_denoiser(floor, shrinkage="soft")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="floor or sigma, got both"):
        denoise(noisy, floor, sigma=1.0)
    with pytest.raises(ConfigError, match="expected sigma as one positive number or 40"):
        denoise(noisy, sigma=-1.0)


@pytest.mark.parametrize("norm", ["frobenius", "operator", "nuclear"])
def test_shrinkage_for_each_norm_is_that_of_gavish_and_donoho_where_noise_is_white(norm: str) -> None:
    rng = np.random.default_rng(13)
    noisy = clean(rng, (1.0, 0.5)) + rng.normal(size=(T, N))
    values = np.linalg.svd(noisy - noisy.mean(axis=0), compute_uv=False)[:2]
    expected = getattr(shrink, norm)(values / np.sqrt(T - 1), N / (T - 1)) * np.sqrt(T - 1)
    for settings, tolerance in (({"sigma": 1.0}, 1e-9), ({}, 0.02)):  # the floor estimates sigma to 1/sqrt(2NT) = .003
        result = denoise(recording(noisy), shrinkage=norm, **settings).values  # type: ignore[arg-type]
        found = np.linalg.svd(result - result.mean(axis=0), compute_uv=False)[:3]
        np.testing.assert_allclose(found[:2], expected, rtol=tolerance)
        assert found[2] < 1e-9 * found[0]


def test_a_known_sigma_a_channel_stands_in_for_the_floor() -> None:
    rng = np.random.default_rng(14)
    sigma = np.geomspace(0.5, 2, N)
    truth = clean(rng)
    noisy = recording(truth + sigma * rng.normal(size=(T, N)))
    known, estimated = denoise(noisy, sigma=sigma), denoise(noisy)
    assert known.attrs["noise_rank"] == 3
    assert error(known, truth) < 1.05 * error(estimated, truth)
    assert denoise(noisy - truth, sigma=sigma).attrs["noise_rank"] == 0


def test_a_rank_above_the_floor_is_kept_with_a_warning() -> None:
    rng = np.random.default_rng(15)
    noisy = recording(clean(rng) + rng.normal(size=(T, N)))
    with pytest.warns(ScimlWarning, match="5 components were asked for, and 3 rise above the noise"):
        result = denoise(noisy, rank=5, shrinkage="none")
    U, s, Vt = np.linalg.svd(noisy.values - noisy.values.mean(axis=0), full_matrices=False)
    # Channels are scaled by their noise before they are decomposed: equal here but for its estimate.
    np.testing.assert_allclose(result.values - noisy.values.mean(axis=0), (U[:, :5] * s[:5]) @ Vt[:5], atol=0.3)
    assert np.linalg.matrix_rank(result.values - result.values.mean(axis=0), tol=1e-6) == 5


def test_a_planted_complex_component_comes_back_with_its_phases() -> None:
    rng = np.random.default_rng(16)
    time_course, channels = rng.normal(size=(2, T, 1)), rng.normal(size=(2, 1, N))
    truth = (time_course[0] + 1j * time_course[1]) * (channels[0] + 1j * channels[1]) / 2
    noisy = truth + (rng.normal(size=(T, N)) + 1j * rng.normal(size=(T, N))) / np.sqrt(2)
    result = denoise(recording(noisy))
    assert result.attrs["noise_rank"] == 1
    # One component of N + T unknowns among N T values of noise: error 1/N + 1/T and a quarter for the mean.
    assert (np.abs(result.values - truth) ** 2).mean() < 1.25 * (1 / N + 2 / T)


def test_missing_samples_are_filled_from_the_channels_that_are_there() -> None:
    rng = np.random.default_rng(17)
    truth = clean(rng)
    noisy = truth + rng.normal(size=(T, N))
    lost = rng.random((T, N)) < 0.1
    lost[7] = True
    holes = recording(np.where(lost, np.nan, noisy))
    kept, filled = denoise(holes), denoise(holes, fill=True)
    np.testing.assert_array_equal(np.isnan(kept.values), lost)
    np.testing.assert_array_equal(kept.values[~lost], filled.values[~lost])
    np.testing.assert_allclose(filled.values[7], np.nanmean(holes.values, axis=0), rtol=0.05, atol=0.05)
    lost[7] = False
    whole = error(denoise(recording(noisy)), truth)
    assert ((filled.values - truth)[lost] ** 2).mean() < 2 * whole


def test_filling_is_the_ridge_regression_on_the_channels_present() -> None:
    rng = np.random.default_rng(18)
    floor = noise_floor(recording(clean(rng) + rng.normal(size=(T, N))))
    project = linear_denoiser(floor)
    sample = floor.channel_mean + rng.normal(size=N)
    sample[5:20] = np.nan
    filled = project(sample[None], fill=True)
    np.testing.assert_allclose(project(np.where(np.isnan(sample), filled[0], sample)[None]), filled, rtol=1e-6)


def counts(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    rate = rng.gamma(1.0, size=(200, 5)) @ rng.gamma(1.0, size=(5, 400))
    rate *= np.exp(0.5 * rng.normal(size=(200, 1))) * np.exp(0.5 * rng.normal(size=400))
    rate *= 3 / rate.mean()
    return rate, rng.poisson(rate).astype(np.float64)


def test_counts_are_denoised_better_than_their_square_roots() -> None:
    rate, noisy = counts(0)
    result = denoise(recording(noisy))
    assert result.attrs["noise_rank"] == 4  # beside the expectation of independent counts: rank five
    root = 2 * np.sqrt(noisy + 3 / 8)
    U, s, Vt = np.linalg.svd(root - root.mean(axis=0), full_matrices=False)
    kept = shrink.frobenius(s / 20, 0.5) * 20
    peer = np.maximum((((U * kept) @ Vt + root.mean(axis=0)) / 2) ** 2 - 1 / 8, 0)
    assert error(result, rate) < 0.9 * ((peer - rate) ** 2).mean()  # ratio .83 in ten draws


def test_independent_counts_are_left_with_their_expectation() -> None:
    rng = np.random.default_rng(19)
    noisy = rng.poisson(np.outer(rng.gamma(3.0, size=300), rng.gamma(2.0, size=40))).astype(np.float64)
    noisy[:, 7] = 0
    expected = np.outer(noisy.sum(axis=1), noisy.sum(axis=0)) / noisy.sum()
    np.testing.assert_allclose(denoise(recording(noisy)).values, expected, rtol=1e-9)


def test_whitening_along_time_lowers_the_error_in_colored_noise() -> None:
    rng = np.random.default_rng(20)
    left, right = (np.linalg.qr(rng.normal(size=(size, 3)))[0] for size in (200, N))
    truth = np.sqrt(200) * (left * [5.0, 3.0, 2.0]) @ right.T
    noisy = recording(truth + ar1(rng, 0.7)[-200:])
    plain, whitened = denoise(noisy), denoise(noisy, whiten="time")
    assert error(whitened, truth) < 0.9 * error(plain, truth)
    assert whitened.attrs["units"] == "V"
    assert "frobenius, whitened" in whitened.attrs["history"]
    with pytest.raises(DataError, match="without missing values"):
        denoise(noisy.where(noisy < noisy.max()), whiten="time")


@pytest.mark.parametrize("known", [{}, {"sigma": 1.0}], ids=["estimated", "known"])
@pytest.mark.parametrize("shrinkage", get_args(Shrinkage))
def test_every_shrinkage_keeps_less_than_none_does(shrinkage: Shrinkage, known: dict[str, float]) -> None:
    rng = np.random.default_rng(0)
    noisy = recording(clean(rng) + rng.normal(size=(T, N)))
    kept = denoise(noisy, shrinkage=shrinkage, **known)  # type: ignore[arg-type]
    plain = denoise(noisy, shrinkage="none", **known)  # type: ignore[arg-type]
    assert 0 < float(kept.var("time").sum()) <= float(plain.var("time").sum()) * (1 + 1e-12)
    assert f"shrinkage {shrinkage}" in kept.attrs["history"]


@pytest.mark.parametrize("known", [{}, {"sigma": 1.0}], ids=["estimated", "known"])
def test_hard_shrinkage_leaves_out_what_is_found_but_too_weak_to_help(known: dict[str, float]) -> None:
    # Square data: seen from a singular value of 2 sqrt(n) on, worth keeping from 4 / sqrt(3) on (Gavish and Donoho).
    rng, n = np.random.default_rng(1), 200
    u, v = np.linalg.qr(rng.normal(size=(n, 2)))[0], np.linalg.qr(rng.normal(size=(n, 2)))[0]
    values = (u * np.array([6.0, 1.35]) * np.sqrt(n)) @ v.T + rng.normal(size=(n, n))
    noisy = xr.DataArray(values, dims=("time", "channel"))
    floor = {} if known else {"floor": noise_floor(noisy, model="white")}
    hard, plain = (
        denoise(noisy, rank=2, shrinkage=each, **known, **floor)  # type: ignore[arg-type]
        for each in ("hard", "none")
    )
    ranks = [np.linalg.matrix_rank((each - each.mean("time")).values, tol=1e-6 * n) for each in (hard, plain)]
    assert ranks == [1, 2]
