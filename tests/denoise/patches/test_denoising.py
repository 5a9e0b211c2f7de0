"""Denoising by patches: right in every invariance, honest in its maps, quiet on noise, whole at every border."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from sciml.denoise import denoise_patches
from sciml.denoise.patches.grid import Grid
from sciml.errors import ConfigError, DataError
from sciml.rmt.sigma import median_edge_refit
from sciml.rmt.spectrum import Spectra
from sciml.simulate import Phantom, smooth_phantom

PATCH = {"z": 4, "y": 4, "x": 4}
MAPS = ["sigma", "rank", "variance", "removed", "coverage"]


def phantom(shape: tuple[int, ...] = (14, 12, 9), n_samples: int = 40, seed: int = 0, **options: Any) -> Phantom:
    return smooth_phantom(shape, n_samples=n_samples, seed=seed, **options)


def movie(values: NDArray[np.generic], **coords: object) -> xr.DataArray:
    attrs = {"units": "V", "history": "recorded"}
    return xr.DataArray(values, dims=("time", "y", "x")[-values.ndim :], coords=coords, attrs=attrs)


def noise(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def mean_square(values: object) -> float:
    return float(np.mean(np.abs(np.asarray(values)) ** 2))


@pytest.mark.parametrize(
    ("shape", "n_samples", "patch", "sigma"),
    [((20, 18, 10), 50, (5, 5, 5), 2.0), ((40, 40), 30, (7, 7), 0.5), ((30, 30), 200, (6, 6), 4.0)],
)
def test_error_map_sigma_and_noise_are_right_on_a_phantom(
    shape: tuple[int, ...], n_samples: int, patch: tuple[int, ...], sigma: float
) -> None:
    found = smooth_phantom(shape, n_samples=n_samples, sigma=sigma, rank=3, amplitude=4 * sigma, seed=1)
    dims = [str(dim) for dim in found.recording.dims if dim != "time"]
    result = denoise_patches(found.recording, patch=dict(zip(dims, patch, strict=True)))
    error = result["denoised"] - found.signal
    assert mean_square(error) < 0.12 * sigma**2
    covered = np.abs(error) < 1.96 * np.sqrt(result["variance"])
    assert 0.90 <= float(covered.mean()) <= 0.98
    assert abs(float(result["sigma"].mean()) / sigma - 1) < 0.01
    assert 0.85 < float(result["removed"].mean()) / sigma**2 < 1.0


@pytest.mark.parametrize("complex_data", [False, True])
def test_pure_noise_gives_almost_nothing_and_rank_zero(complex_data: bool) -> None:
    values = noise((60, 30, 30)) + (1j * noise((60, 30, 30), 1) if complex_data else 0)
    level = np.sqrt(2) if complex_data else 1.0
    result = denoise_patches(movie(values), patch={"y": 7, "x": 7})
    kept = result["denoised"] - values.mean(axis=0)
    assert mean_square(kept) < 0.02 * level**2
    # 64 patches at level .01: more than 4 with a component has a chance below 1e-3; a patch is 1/10 of a voxel's ranks
    assert float(result["rank"].mean()) < 4 / 64
    assert abs(float(result["sigma"].mean()) / level - 1) < 0.01
    error = np.abs(result["denoised"].values)
    assert mean_square(error) < 0.05 * level**2  # 1/60 for the mean


def test_patch_noise_is_that_of_its_spectrum() -> None:
    found = phantom((5, 5, 5)).recording.transpose("z", "y", "x", "time").astype(np.float64)
    result = denoise_patches(found, patch={"z": 5, "y": 5, "x": 5}, dtype="float64")
    X = found.values.reshape(125, -1)
    s = np.linalg.svd(X - X.mean(axis=1, keepdims=True), compute_uv=False)[:39] ** 2
    expected = float(median_edge_refit(Spectra(s[None], 125, 39)).sigma[0])
    np.testing.assert_allclose(result["sigma"], expected, rtol=1e-10)


def svd_of(recording: xr.DataArray) -> tuple[NDArray[np.float64], ...]:
    X = recording.values.reshape(64, -1)
    return np.linalg.svd(X - X.mean(axis=1, keepdims=True), full_matrices=False)


@pytest.mark.parametrize("n_samples", [12, 200])  # fewer samples than the 64 voxels of a patch, and more
def test_one_patch_is_shrunk_by_the_formula(n_samples: int) -> None:
    found = phantom((4, 4, 4), n_samples, amplitude=20.0).recording.transpose("z", "y", "x", "time").astype(np.float64)
    result = denoise_patches(found, patch=PATCH, sigma=2.0, shrinkage="operator")
    U, s, Vt = svd_of(found)
    short, long = sorted((64, n_samples - 1))
    beta, y = short / long, s / (2.0 * np.sqrt(long))
    y = y[: int(result["rank"].max())]
    a = y**2 - beta - 1
    x = np.sqrt((a + np.sqrt(a**2 - 4 * beta)) / 2) * 2.0 * np.sqrt(long)
    denoised = result["denoised"].values.reshape(64, -1)
    assert len(y) >= 1
    expected = (U[:, : len(y)] * x) @ Vt[: len(y)]
    np.testing.assert_allclose(denoised - denoised.mean(axis=1, keepdims=True), expected, atol=1e-8)


@pytest.mark.parametrize("n_samples", [12, 200])
def test_level_slopes_and_rest_of_a_component_are_shrunk_each_by_its_own_noise(n_samples: int) -> None:
    found = phantom((4, 4, 4), n_samples, amplitude=6.0, rank=1, seed=4).recording.transpose("z", "y", "x", "time")
    result = denoise_patches(found.astype(np.float64), patch=PATCH, sigma=2.0)
    U, s, Vt = svd_of(found.astype(np.float64))
    short, long = sorted((64, n_samples - 1))
    beta = short / long
    z, y, x = np.meshgrid(*[np.arange(4) - 1.5] * 3, indexing="ij")
    level = np.full((64, 1), 1 / 8)
    slopes = np.stack([axis.ravel() / np.linalg.norm(axis) for axis in (z, y, x)], axis=1)
    expected = np.zeros((64, n_samples))
    for u, each, v in zip(U.T, s[: int(result["rank"].max())], Vt, strict=False):
        a = (each / (2.0 * np.sqrt(long))) ** 2 - beta - 1
        power = (a + np.sqrt(a**2 - 4 * beta)) / 2
        overlaps = [(power**2 - beta) / (power**2 + beta * power), (power**2 - beta) / (power**2 + power)]
        cos_u, cos_v = overlaps if n_samples > 64 else overlaps[::-1]
        parts = [level @ level.T @ u, slopes @ slopes.T @ u]
        for part, size in zip([*parts, u - sum(parts)], (1, 3, 60), strict=True):
            share, noise = (part**2).sum(), size * (1 - cos_u) / 64
            gain = np.sqrt(power) * np.sqrt(cos_v / cos_u) * max(0.0, share - noise) / share
            expected += gain * 2.0 * np.sqrt(long) * np.outer(part, v)
    denoised = result["denoised"].values.reshape(64, -1)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(denoised - denoised.mean(axis=1, keepdims=True), expected, atol=1e-7)


def test_means_of_a_flat_patch_are_drawn_together_and_those_of_an_edge_are_not() -> None:
    values = noise((20, 6, 6)).astype(np.float64)
    flat = denoise_patches(movie(values), patch={"y": 6, "x": 6}, rank=0, sigma=1.0)["denoised"]
    assert float(flat.var("time").max()) < 1e-20
    assert mean_square(flat) < 0.4 * mean_square(values.mean(axis=0))
    values[:, :, 3:] += 100
    means = values.mean(axis=0)
    sharp = denoise_patches(movie(values), patch={"y": 6, "x": 6}, rank=0, sigma=1.0)["denoised"][0]
    factor = 1 - (36 - 3) / 20 / ((means - means.mean()) ** 2).sum()
    np.testing.assert_allclose(sharp, means.mean() + factor * (means - means.mean()), rtol=1e-10)


@pytest.mark.parametrize("scale", [1e-21, 1e21, -3.0])
def test_any_scale_and_sign(scale: float) -> None:
    recording = phantom().recording
    plain, scaled = (denoise_patches(each, patch=PATCH) for each in (recording, recording * np.float32(scale)))
    # the scale itself rounds every value, relative to an offset that is 50 times the noise
    np.testing.assert_allclose(scaled["denoised"] / scale, plain["denoised"], rtol=3e-6)
    np.testing.assert_allclose(scaled["sigma"] / abs(scale), plain["sigma"], rtol=1e-3)
    np.testing.assert_allclose(scaled["variance"] / scale**2, plain["variance"], rtol=2e-2)
    np.testing.assert_array_equal(scaled["rank"], plain["rank"])


def test_an_offset_of_many_sigma_costs_nothing() -> None:
    """At mean/sigma = 500 a float32 Gram matrix of data that was not demeaned has eigenvalues 11 % off."""
    values = noise((50, 16, 16)) * 2
    far = denoise_patches(movie(values + np.float32(1000)), patch={"y": 6, "x": 6})
    near = denoise_patches(movie(values), patch={"y": 6, "x": 6})
    np.testing.assert_allclose(far["sigma"], near["sigma"], rtol=1e-4)


def test_strong_signal_does_not_drown_the_noise_in_float32() -> None:
    """A component 10^6 times the noise eigenvalue: float32 alone would see noise a hundred times too strong."""
    wave = 3000 * np.sin(np.arange(80) / 4)[:, None, None]
    values = (noise((80, 12, 12)) + wave).astype(np.float32)
    result = denoise_patches(movie(values), patch={"y": 6, "x": 6})
    np.testing.assert_allclose(result["sigma"], 1.0, rtol=0.1)
    assert mean_square(result["denoised"] - wave) < 0.15


def test_transposed_and_mirrored_recordings_give_the_same() -> None:
    recording = phantom().recording
    plain = denoise_patches(recording, patch=PATCH)
    transformed = denoise_patches(recording.transpose("x", "time", "z", "y"), patch=PATCH)
    assert transformed["denoised"].dims == ("x", "time", "z", "y")
    xr.testing.assert_allclose(transformed.transpose(*plain.dims), plain, rtol=1e-3)
    # 14, 12 and 9 voxels with patches of 4 and strides of 2: mirrored grids coincide along z and y only
    mirrored = denoise_patches(recording.isel(z=slice(None, None, -1), y=slice(None, None, -1)), patch=PATCH)
    back = mirrored.isel(z=slice(None, None, -1), y=slice(None, None, -1))
    np.testing.assert_allclose(back["denoised"], plain["denoised"], rtol=1e-5)


@pytest.mark.parametrize("shrinkage", ["frobenius", "operator", "nuclear", "hard", "none"])
@pytest.mark.parametrize("weights", ["gaussian", "uniform", "rank"])
def test_every_choice_denoises_and_is_finite(shrinkage: str, weights: str) -> None:
    found = phantom()
    result = denoise_patches(found.recording, patch=PATCH, shrinkage=shrinkage, weights=weights)  # type: ignore[arg-type]
    assert mean_square(result["denoised"] - found.signal) < 0.15 * 4
    assert all(np.isfinite(result[name]).all() for name in ["denoised", *MAPS])


def test_complex_data_are_denoised_in_their_own_phase() -> None:
    found = phantom()
    rng = np.random.default_rng(5)
    other = 2 * rng.normal(size=found.signal.shape)
    turn = np.exp(0.7j)
    values = ((found.recording + 1j * other) * turn).astype(np.complex64)
    result = denoise_patches(values, patch=PATCH)
    assert result["denoised"].dtype == np.complex64
    assert mean_square(result["denoised"] / turn - found.signal) < 0.3 * 4
    assert abs(float(result["sigma"].mean()) / np.sqrt(8) - 1) < 0.01
    error = np.abs(result["denoised"] / turn - found.signal) ** 2
    assert 0.7 < float(error.mean() / result["variance"].mean()) < 1.4


def test_borders_are_covered_whatever_the_stride() -> None:
    for size, stride in ((11, 3), (12, 5), (5, 5), (3, 2)):
        values = noise((20, size, size))
        result = denoise_patches(movie(values), patch={"y": 5, "x": 5}, stride=stride)
        assert (result["coverage"] >= 1).all()
        assert np.isfinite(result["denoised"]).all()
    grid = Grid.cover((11,), (5,), (3,))
    assert grid.starts == ((0, 3, 6),)
    assert Grid.cover((12,), (5,), (3,)).starts == ((0, 3, 6, 7),)


def test_mask_keeps_the_outside_as_it_is_and_out_of_all_patches() -> None:
    found = phantom()
    mask = xr.DataArray(np.ones((14, 12, 9), bool), dims=("z", "y", "x"))
    mask[:3], mask[:, :, 7:] = False, False
    strong_outside = found.recording.where(mask, 1e6)
    inside, trimmed = (denoise_patches(each, patch=PATCH, mask=mask) for each in (strong_outside, found.recording))
    np.testing.assert_array_equal(inside["denoised"].where(~mask, 0), strong_outside.where(~mask, 0))
    np.testing.assert_array_equal(inside["denoised"].where(mask, 0), trimmed["denoised"].where(mask, 0))
    error = (inside["denoised"] - found.signal).where(mask)
    assert float((error**2).mean()) < 0.15 * 4
    for name in MAPS:
        assert np.isfinite(inside[name].values[mask.values]).all()
    assert inside["sigma"].isnull().values[~mask.values].all()


def test_missing_samples_stay_missing_and_cost_the_others_little() -> None:
    found = phantom()
    holed = found.recording.copy()
    holed[{"time": 3, "z": 5, "y": 5, "x": 5}] = np.nan
    holed[{"time": 4, "z": 0, "y": 0, "x": 0}] = np.inf
    whole, result = (denoise_patches(each, patch=PATCH) for each in (found.recording, holed))
    known = np.isfinite(holed)
    np.testing.assert_array_equal(result["denoised"].where(~known, 0), holed.where(~known, 0))
    error, least = ((each["denoised"] - found.signal).where(known) for each in (result, whole))
    assert float((error**2).mean()) < 1.01 * float((least**2).mean())
    voxel = {"z": 5, "y": 5, "x": 5}
    assert float(np.abs(result["denoised"][voxel] - found.signal[voxel]).mean()) < 1.0  # it was denoised: noise is 2
    assert all(np.isfinite(result[name]).all() for name in MAPS)
    assert result.attrs["n_untouched"] == 0


def test_no_value_that_is_known_changes_where_nothing_else_is_missing() -> None:
    """Far from what is missing, by more than two patches, values are the same to rounding."""
    found = phantom((30, 12, 9)).recording
    holed = found.copy()
    holed[{"time": 3, "z": 0, "y": 5, "x": 5}] = np.nan
    whole, result = (denoise_patches(each, patch=PATCH)["denoised"] for each in (found, holed))
    np.testing.assert_allclose(result[{"z": slice(12, None)}], whole[{"z": slice(12, None)}], rtol=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("how", ["missing", "masked"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_lost_frame_is_left_out_and_given_back(kind: type, how: str, chunked: bool) -> None:
    found = phantom()
    recording = (found.recording * (np.exp(0.3j) if kind is np.complex64 else 1)).astype(kind)
    others = [number for number in range(40) if number != 3]
    apart = denoise_patches(recording.isel(time=others), patch=PATCH)
    if how == "missing":
        lost = recording.copy()
        lost[{"time": 3}] = np.nan
    else:
        lost = recording.assign_coords(mask=("time", np.arange(40) == 3))
    result = denoise_patches(lost.chunk(z=7) if chunked else lost, patch=PATCH).compute()
    np.testing.assert_array_equal(result["denoised"].isel(time=3), lost.isel(time=3))
    np.testing.assert_allclose(result["denoised"].isel(time=others), apart["denoised"], rtol=2e-5, atol=2e-5)
    for name in MAPS:
        np.testing.assert_allclose(result[name], apart[name], rtol=2e-3)
    assert int(result["n_untouched"]) == 0


def test_filled_values_are_those_of_the_signal() -> None:
    """A tenth at random: filled to within the error of the values around them, and sigma right."""
    found = phantom((20, 18), n_samples=60)
    missing = np.random.default_rng(1).random(found.recording.shape) < 0.1
    dims = {str(dim): 6 for dim in found.recording.dims if dim != "time"}
    filled, left = (denoise_patches(found.recording.where(~missing), patch=dims, fill=fill) for fill in (True, False))
    known, gaps = ((filled["denoised"] - found.signal).values[where] for where in (~missing, missing))
    assert mean_square(gaps) < 2 * mean_square(known) < 0.2 * 4
    assert float(filled["sigma"].mean()) == pytest.approx(2, rel=0.02)
    np.testing.assert_array_equal(left["denoised"], filled["denoised"].where(~missing))


def test_a_value_that_hardly_another_speaks_for_is_filled_too() -> None:
    """One voxel of a patch alone carries a component: the plain iteration would take hundreds of fits."""
    rng = np.random.default_rng(0)
    weight = np.full((12, 12), 0.05)
    weight[6, 6] = 1.0
    signal = 60 * weight * np.sin(np.arange(50) / 3)[:, None, None]
    values = movie(signal + rng.normal(size=signal.shape))
    values[{"time": 20, "y": 6, "x": 6}] = np.nan
    filled = denoise_patches(values, patch={"y": 6, "x": 6}, fill=True)["denoised"]
    assert abs(float(filled[20, 6, 6]) - signal[20, 6, 6]) < 8  # the mean alone is off by 23


def test_a_region_that_is_missing_half_of_the_time_is_denoised_where_it_is_there() -> None:
    found = phantom((24, 24), n_samples=40)
    dims = [str(dim) for dim in found.recording.dims if dim != "time"]
    holed = found.recording.transpose("time", *dims).copy()
    holed[:18, 8:16, 8:16] = np.nan
    result = denoise_patches(holed, patch=dict.fromkeys(dims, 5))
    error = (result["denoised"] - found.signal).transpose("time", *dims).values
    assert mean_square(error[18:, 8:16, 8:16]) < 0.25 * 4
    assert np.isnan(error[:18, 8:16, 8:16]).all()
    assert np.isfinite(error[18:]).all()
    assert result.attrs["n_untouched"] == 0


def test_what_was_left_untouched_is_counted_and_all_of_it_is_an_error() -> None:
    values = noise((30, 12, 12))
    values[:, :, :3] = 0
    values[:20, 6, 6] = np.nan
    counted = 12 * 3 + 1
    whole = denoise_patches(movie(values), patch={"y": 5, "x": 5})
    lazy = denoise_patches(movie(values).chunk(y=6), patch={"y": 5, "x": 5})
    assert whole.attrs["n_untouched"] == int(lazy["n_untouched"]) == counted
    assert whole["denoised"].attrs["history"].endswith(f"{counted} of 144 voxels left as they were")
    left = (whole["coverage"] == 0).values
    np.testing.assert_array_equal(whole["denoised"].values[:, left], values[:, left])
    for empty in (np.full((30, 12, 12), np.nan), np.where(np.arange(30)[:, None, None] < 2, values, np.nan)):
        with pytest.raises(DataError, match="all 144 voxels are constant, masked or missing"):
            denoise_patches(movie(empty), patch={"y": 5, "x": 5})
        with pytest.raises(DataError, match="all 144 voxels"):
            denoise_patches(movie(empty).chunk(y=6), patch={"y": 5, "x": 5})["n_untouched"].compute()


def test_lone_voxels_of_a_mask_are_left_alone_with_maps_of_their_own() -> None:
    mask = xr.DataArray(np.zeros((12, 12), bool), dims=("y", "x"))
    mask[10, 10], mask[:4, :4] = True, True
    values = movie(noise((30, 12, 12)))
    result = denoise_patches(values, patch={"y": 4, "x": 4}, mask=mask)
    np.testing.assert_array_equal(result["denoised"][:, 6:], values[:, 6:])
    assert float(result["sigma"][10, 10]) == pytest.approx(float(values[:, 10, 10].std()), rel=1e-5)
    assert result.attrs["n_untouched"] == 144 - 16


@pytest.mark.parametrize("background", [0.0, 7.0, -0.1])
@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float32, np.float64])
def test_background_that_never_changes_is_given_back_and_enters_no_patch(kind: type, background: float) -> None:
    values: NDArray[Any] = (100 * noise((40, 16, 16))).astype(kind)
    values[:, :, :6] = background
    values[:, 12, 12] = background
    result = denoise_patches(movie(values), patch={"y": 7, "x": 7})
    still = np.zeros((16, 16), bool)
    still[:, :6], still[12, 12] = True, True
    np.testing.assert_array_equal(
        result["denoised"].values[:, still], values[:, still].astype(result["denoised"].dtype)
    )
    for name in ("sigma", "variance", "removed", "rank"):
        assert (result[name].values[still] == 0).all()
    np.testing.assert_allclose(result["sigma"].values[~still], 100, rtol=0.1)
    assert result.attrs["n_untouched"] == still.sum()


@pytest.mark.parametrize("kind", [np.int32, np.uint32, np.int64])
def test_integers_of_more_than_24_bits_are_computed_in_double_precision(kind: type) -> None:
    values = np.round(20 * noise((40, 16, 16)).astype(np.float64))
    low, high = (denoise_patches(movie((values + o).astype(kind)), patch={"y": 7, "x": 7}) for o in (1000, 10**9))
    assert high["denoised"].dtype == np.float64
    np.testing.assert_allclose(high["denoised"] - 10**9, low["denoised"] - 1000, atol=1e-5)
    np.testing.assert_allclose(high["sigma"], low["sigma"], rtol=1e-6)


def test_known_noise_as_a_number_and_as_a_map() -> None:
    found = phantom()
    level = xr.DataArray(np.linspace(0.5, 3, 14), dims="z").broadcast_like(found.signal.isel(time=0, drop=True))
    white = (found.recording - found.signal) / 2
    uneven = (found.signal + level * white).astype(np.float32)
    mapped = denoise_patches(uneven, patch=PATCH, sigma=level)
    np.testing.assert_allclose(mapped["sigma"], level, rtol=1e-6)
    error = mapped["denoised"] - found.signal
    assert float((error**2 / level**2).mean()) < 0.2
    assert 0.9 < float((np.abs(error) < 1.96 * np.sqrt(mapped["variance"])).mean()) <= 0.98
    given = denoise_patches(found.recording, patch=PATCH, sigma=2.0)
    np.testing.assert_allclose(given["sigma"], 2.0)


def test_rank_can_be_fixed() -> None:
    found = phantom()
    for rank in (0, 2, 1000):
        result = denoise_patches(found.recording, patch=PATCH, rank=rank)
        assert (result["rank"] == min(rank, 38)).all()


def test_more_dims_on_either_side() -> None:
    rng = np.random.default_rng(0)
    spectrum = np.outer(rng.normal(size=144), rng.normal(size=60)).reshape(12, 12, 3, 20)
    scan = xr.DataArray(spectrum + rng.normal(size=spectrum.shape), dims=("y", "x", "detector", "energy"))
    result = denoise_patches(scan, patch={"x": 5, "y": 5})
    assert result["denoised"].dims == scan.dims
    assert result["denoised"].dtype == np.float64
    assert mean_square(result["denoised"] - spectrum) < 0.15
    strip = denoise_patches(scan.isel(y=0), patch={"x": 5})
    assert mean_square(strip["denoised"] - spectrum[0]) < 0.6


def test_labels_units_and_history_survive() -> None:
    recording = movie((100 * noise((20, 9, 9))).astype(np.int16), time=np.arange(20) / 10.0, y=np.arange(9) * 2.0)
    result = denoise_patches(recording, patch={"y": 4, "x": 4})
    assert result["denoised"].dtype == np.float32
    assert result["denoised"].attrs["units"] == "V"
    assert result["sigma"].attrs["units"] == "V"
    assert result["variance"].attrs["units"] == "(V)^2"
    assert result["denoised"].attrs["history"].startswith("recorded\nsciml.denoise_patches")
    assert "(y 4, x 4)" in result["denoised"].attrs["history"]
    xr.testing.assert_equal(result["y"], recording["y"])
    xr.testing.assert_equal(result["time"], recording["time"])


def test_tiles_within_memory_and_chunks_give_the_whole() -> None:
    recording = phantom((24, 20, 9)).recording
    whole = denoise_patches(recording, patch=PATCH)
    chunked = denoise_patches(recording.chunk(z=7, y=20, x=5, time=13), patch=PATCH)
    assert chunked["denoised"].chunks is not None
    xr.testing.assert_allclose(chunked.compute(scheduler="synchronous"), whole, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(chunked["denoised"], whole["denoised"], rtol=1e-6)


def test_memory_too_small_for_one_patch_says_how_much_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"expected at least \d+MB of memory"):
        denoise_patches(phantom().recording, patch=PATCH, memory="1MB")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": {"y": 5, "w": 5}}, "expected the sizes of patches along some dims"),
        ({"patch": {"y": 1, "x": 2}}, "expected patches of at least 3 voxels"),
        ({"patch": {"y": 0, "x": 5}}, "expected a patch of one voxel or more"),
        ({"stride": 6}, "expected strides of at most the patch"),
        ({"stride": {"time": 2}}, "expected strides of one or more"),
        ({"shrinkage": "soft"}, "expected a shrinkage of frobenius"),
        ({"weights": "equal"}, "expected weights of gaussian"),
        ({"sigma": 0.0}, "expected a positive finite sigma"),
        ({"alpha": 1.0}, "expected alpha between 0 and 1"),
        ({"rank": -1}, "expected a rank of zero or more"),
        ({"dtype": "int16"}, "expected a dtype of float32 or float64"),
        ({"mask": xr.DataArray(np.ones(3, bool), dims="y")}, "expected mask as a DataArray over the dims"),
    ],
)
def test_wrong_arguments_are_refused_with_advice(options: dict[str, object], message: str) -> None:
    arguments = {"patch": {"y": 5, "x": 5}, **options}
    with pytest.raises(ConfigError, match=message):
        denoise_patches(movie(noise((20, 9, 9))), **arguments)  # type: ignore[arg-type]


def test_recordings_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(DataError, match="expected more than 3 samples"):
        denoise_patches(movie(noise((20, 9, 9))), patch={"time": 5, "y": 5, "x": 5})
    with pytest.raises(DataError, match="expected numbers"):
        denoise_patches(xr.DataArray(np.full((5, 5, 5), "a"), dims=("time", "y", "x")), patch={"y": 3, "x": 3})
    level = xr.DataArray(np.zeros((9, 9)), dims=("y", "x"))
    with pytest.raises(DataError, match="expected a positive sigma at every voxel"):
        denoise_patches(movie(noise((20, 9, 9))), patch={"y": 5, "x": 5}, sigma=level)


def test_two_photon_movie_leaves_a_residual_that_looks_like_noise(data_dir: Path) -> None:
    from sciml.io import open_recording

    recording = open_recording(data_dir / "sima_2p_example.h5", "imaging", dims=("y", "x", "time")).load()
    result = denoise_patches(recording, patch={"y": 7, "x": 7})
    residual = (recording - result["denoised"]).transpose("time", "y", "x").values
    assert all(np.isfinite(result[name]).all() for name in ["denoised", *MAPS])
    for moved in (residual[1:] * residual[:-1], residual[:, 1:] * residual[:, :-1]):
        assert abs(moved.mean()) < 0.06 * (residual**2).mean()  # 1/20 for the mean that was taken out
    assert 0.85 < float(result["removed"].mean() / (result["sigma"] ** 2).mean()) < 1


def test_diffusion_volumes_leave_a_residual_without_anatomy(data_dir: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    values = np.asarray(nibabel.load(data_dir / "dmri_small_64D.nii").dataobj)
    recording = xr.DataArray(values, dims=("x", "y", "z", "volume"))
    result = denoise_patches(recording, patch={"x": 5, "y": 5, "z": 5})
    residual = (recording - result["denoised"]).values
    assert all(np.isfinite(result[name]).all() for name in ["denoised", *MAPS])
    assert 0 < mean_square(residual) < 0.3 * float(recording.astype(float).var("volume").mean())
    # The scanner's noise was interpolated in the plane (x, y) before it came here: neighbors there share some of it,
    # with either method of shrinkage. Anatomy would reach farther, and across slices.
    for axis, step in ((0, 2), (1, 2), (2, 1), (2, 2)):
        low, high = (np.take(residual, np.arange(10 - step) + shift, axis=axis) for shift in (0, step))
        assert (low * high).mean() < 0.05 * mean_square(residual)
