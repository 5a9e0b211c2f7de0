"""Noise that neighboring voxels share is taken out of patches before they are decomposed."""

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from numpy.typing import NDArray

from sciml.denoise import denoise_patches, denoise_patches_to_file
from sciml.errors import ConfigError
from sciml.io import open_recording
from sciml.noise.spatial.correlation import LatticeCorrelation
from sciml.rmt import shrink

PATCH = {"y": 7, "x": 7}
BLUR = LatticeCorrelation((7, 7), np.array([[0, 1], [1, 0], [0, 2], [2, 0]]), np.array([0.8, 0.8, -0.2, -0.2]))


def filtered(white: NDArray[np.inexact], kind: str) -> NDArray[np.inexact]:
    """Return noise of variance one that neighbors share along the last axes, of white noise with a margin of 6."""
    axes = range(1, white.ndim)
    kernel = {"blur": None, "negative": [-0.35, 1.0, -0.35], "line scan": [0.3, 1.0, 0.7]}[kind]
    shared = white
    for axis in [axes[-1]] if kind == "line scan" else axes:
        if kernel is None:
            shared = scipy.ndimage.gaussian_filter1d(shared.real, 0.7, axis=axis) + (
                1j * scipy.ndimage.gaussian_filter1d(shared.imag, 0.7, axis=axis) if np.iscomplexobj(white) else 0
            )
        else:
            shared = scipy.ndimage.convolve1d(shared, kernel, axis=axis)
    inner = shared[(slice(None), *(slice(6, -6) for _ in axes))]
    return np.asarray(inner / np.sqrt(np.mean(np.abs(inner) ** 2)))


def scene(
    kind: str, shape: tuple[int, ...] = (30, 30), n: int = 200, *, amplitude: float = 0.5, complex_data: bool = False
) -> tuple[xr.DataArray, NDArray[np.floating]]:
    """Return a movie and its signal: cells of 3 x 4 voxels and a smooth background, with slow time courses."""
    rng = np.random.default_rng(0)
    white: NDArray[np.inexact] = rng.normal(size=(n, *(size + 12 for size in shape)))
    if complex_data:
        white = (white + 1j * rng.normal(size=white.shape)) / np.sqrt(2)
    noise = white[(slice(None), *(slice(6, -6) for _ in shape))] if kind == "white" else filtered(white, kind)
    place = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    maps = [np.exp(-2 * sum(axis**2 for axis in place))]
    for _ in range(int(np.prod(shape)) // 100):
        maps.append(np.zeros(shape))
        corner = [int(rng.integers(0, size - 4)) for size in shape]
        maps[-1][tuple(slice(start, start + 3) for start in corner)] = 1
    times = scipy.ndimage.gaussian_filter1d(rng.normal(size=(n, len(maps))), 3, axis=0)
    signal = amplitude * np.tensordot(times / times.std(axis=0), np.array(maps), 1)
    dims = ("time", "z", "y", "x")
    return xr.DataArray((signal + noise), dims=(dims[0], *dims[-len(shape) :])), signal


def error(found: xr.Dataset, signal: NDArray[np.floating]) -> float:
    return float(np.nanmean(np.abs(found["denoised"].values - signal) ** 2))


@pytest.mark.parametrize(
    ("kind", "shape", "patch", "complex_data", "bound"),
    [
        ("blur", (30, 30), PATCH, False, 0.3),
        ("line scan", (30, 30), PATCH, False, 0.4),
        ("negative", (30, 30), PATCH, False, 0.4),
        ("blur", (9, 9, 9), {"z": 5, "y": 5, "x": 5}, False, 0.4),
        ("blur", (400,), {"x": 40}, False, 0.5),
        ("blur", (30, 30), PATCH, True, 0.4),
    ],
    ids=["blur", "line scan", "negative", "volume", "line", "complex"],
)
def test_shared_noise_is_removed_and_sigma_is_right(
    kind: str, shape: tuple[int, ...], patch: dict[str, int], complex_data: bool, bound: float
) -> None:
    movie, signal = scene(kind, shape, complex_data=complex_data)
    before = denoise_patches(movie, patch=patch, noise="independent")
    after = denoise_patches(movie, patch=patch)
    assert error(after, signal) <= bound * error(before, signal)
    assert abs(float(after["sigma"].mean()) - 1) < 0.02
    assert "correlates by" in after.attrs["history"]


def test_pure_shared_noise_leaves_nothing() -> None:
    movie, _ = scene("blur", amplitude=0.0)
    found = denoise_patches(movie, patch=PATCH)
    # 81 patches at level .01: more than 5 with a component have a chance below 2e-3
    assert float(found["rank"].mean()) < 5 / 81
    assert error(found, np.zeros(movie.shape)) < 0.005
    first = found.attrs["noise_correlation_y"][1], found.attrs["noise_correlation_x"][1]
    # exp(-1/(4 * .7²)) is .600 for a continuous kernel, and that of the sampled one .584
    np.testing.assert_allclose(first, 0.584, atol=0.02)


@pytest.mark.parametrize("amplitude", [0.0, 0.5, 2.0])
def test_white_noise_gives_the_result_of_independent_noise_to_the_bit(amplitude: float) -> None:
    movie, _ = scene("white", amplitude=amplitude)
    xr.testing.assert_identical(
        denoise_patches(movie, patch=PATCH).drop_attrs(),
        denoise_patches(movie, patch=PATCH, noise="independent").drop_attrs(),
    )


@pytest.mark.parametrize("how", ["single values", "blocks", "dead voxels", "mask"])
def test_shared_noise_is_removed_where_values_are_missing(how: str) -> None:
    movie, signal = scene("blur")
    rng = np.random.default_rng(1)
    known = np.ones(movie.shape, bool)
    mask = None
    if how == "single values":
        known = rng.random(movie.shape) > 0.1
    elif how == "blocks":
        for frame, corner in zip(known, rng.integers(0, 24, size=(len(known), 2)), strict=True):
            frame[corner[0] : corner[0] + 6, corner[1] : corner[1] + 6] = False
    elif how == "dead voxels":
        movie.values[:, rng.random((30, 30)) < 0.05] = 3.0
    else:
        mask = xr.DataArray(rng.random((30, 30)) > 0.1, dims=("y", "x"))
    missing = movie.where(known)
    before = denoise_patches(missing, patch=PATCH, noise="independent", mask=mask)
    after = denoise_patches(missing, patch=PATCH, mask=mask)
    used = (after["coverage"] > 0).values
    errors = [float(np.nanmean(((each["denoised"].values - signal) ** 2)[:, used])) for each in (before, after)]
    assert errors[1] < 0.35 * errors[0]
    assert abs(float(after["sigma"].values[used].mean()) - 1) < 0.04


def test_a_whitened_patch_is_that_of_plain_linear_algebra() -> None:
    movie, _ = scene("blur", (7, 7), amplitude=2.0)
    found = denoise_patches(movie, patch=PATCH, noise=BLUR, shrinkage="operator", weights="uniform", sigma=1.0)
    X = movie.values.reshape(len(movie), -1).T
    mean = X.mean(axis=1, keepdims=True)
    places = np.indices((7, 7)).reshape(2, -1).T
    root = np.linalg.cholesky(BLUR.between(places) + 1e-6 * np.eye(49)) / np.sqrt(1 + 1e-6)
    U, s, Vh = np.linalg.svd(np.linalg.solve(root, X - mean), full_matrices=False)
    rank = int(found["rank"].values[0, 0])
    long = np.sqrt(len(movie) - 1)
    shrunk = long * shrink.operator(s[:rank] / long, 49 / (len(movie) - 1))
    # means are drawn together: only what varies is compared
    expected = root @ (U[:, :rank] * shrunk) @ Vh[:rank]
    kept = found["denoised"].values.reshape(len(movie), -1).T
    np.testing.assert_allclose(kept - kept.mean(axis=1, keepdims=True), expected, atol=1e-9)
    assert rank >= 1


@pytest.mark.parametrize("amplitude", [0.3, 0.7, 1.5])
def test_intervals_hold_in_shared_noise(amplitude: float) -> None:
    movie, signal = scene("blur", amplitude=amplitude)
    found = denoise_patches(movie, patch=PATCH)
    inside = np.abs(found["denoised"].values - signal) < 1.96 * np.sqrt(found["variance"].values)
    assert 0.9 <= float(inside.mean()) <= 0.98


def test_tiles_chunks_and_files_give_the_whole(tmp_path: Path) -> None:
    movie, _ = scene("blur", (40, 24), 60)
    whole = denoise_patches(movie, patch=PATCH, noise=BLUR)
    chunked = denoise_patches(movie.chunk(y=20, x=12), patch=PATCH, noise=BLUR).compute(scheduler="synchronous")
    np.testing.assert_allclose(chunked["denoised"], whole["denoised"], atol=1e-9)
    denoise_patches_to_file(movie, tmp_path / "clean.nc", patch=PATCH, noise=BLUR)
    written = open_recording(tmp_path / "clean.nc")
    np.testing.assert_allclose(written, whole["denoised"], atol=1e-6)
    assert "correlates by" in written.attrs["history"]


@pytest.mark.parametrize("how", ["mask", "blanked", "mask of the recording"])
def test_shared_noise_is_found_where_the_corners_are_not_used(how: str) -> None:
    movie, _ = scene("blur", (64, 64), amplitude=0.0)
    y, x = np.indices((64, 64)) - 31.5
    disk = xr.DataArray(y**2 + x**2 < 24**2, dims=("y", "x"))
    if how == "blanked":
        found = denoise_patches(movie.where(disk, 0.0), patch=PATCH)
    elif how == "mask":
        found = denoise_patches(movie, patch=PATCH, mask=disk)
    else:
        found = denoise_patches(movie.assign_coords(mask=~disk), patch=PATCH)
    first = found.attrs["noise_correlation_y"][1], found.attrs["noise_correlation_x"][1]
    np.testing.assert_allclose(first, 0.584, atol=0.02)
    assert float(found["rank"].mean()) < 0.05
    assert "findings" not in found.attrs


def test_too_few_voxels_for_a_window_are_said() -> None:
    movie, _ = scene("blur", (40, 40), 100, amplitude=0.0)
    y, x = np.indices((40, 40)) - 19.5
    ring = xr.DataArray(np.abs(np.hypot(y, x) - 15) < 1.2, dims=("y", "x"))
    found = denoise_patches(movie, patch=PATCH, mask=ring)
    assert any("could not be tested" in each and "independent" in each for each in found.attrs["findings"])


def test_noise_of_another_kind_is_refused() -> None:
    movie, _ = scene("white", (12, 12), 20)
    with pytest.raises(ConfigError, match="expected noise as"):
        denoise_patches(movie, patch=PATCH, noise="colored")  # type: ignore[arg-type]
    for other, name in ((None, "None"), (np.eye(7), "ndarray")):
        with pytest.raises(ConfigError, match=f"expected noise as .*got {name}"):
            denoise_patches(movie, patch=PATCH, noise=other)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="got one of 1 dims"):
        denoise_patches(movie, patch=PATCH, noise=LatticeCorrelation((7,), np.array([[1]]), np.array([0.5])))
