"""Hidden values tell which denoiser is nearest to the truth, as if the truth were known."""

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter

from sciml.denoise import compare, denoise, denoise_patches
from sciml.errors import ConfigError, DataError
from sciml.simulate import smooth_phantom

N, T = 30, 1500


def recording(seed: int, phi: float) -> tuple[xr.DataArray, np.ndarray]:
    rng = np.random.default_rng(seed)
    noise = lfilter([np.sqrt(1 - phi**2)], [1, -phi], rng.normal(size=(T + 100, N)), axis=0)[100:]
    time_courses = np.stack([np.sin(np.arange(T) / 3), rng.normal(size=T)], axis=1)
    truth = time_courses @ rng.normal(size=(2, N)) / 1.5
    return xr.DataArray(truth + noise, dims=("time", "channel"), attrs={"sampling_rate": 10.0, "units": "V"}), truth


@pytest.mark.parametrize("phi", [0.0, 0.6])
def test_the_held_out_error_is_the_true_one_and_the_variance_of_the_noise(phi: float) -> None:
    noisy, truth = recording(0, phi)
    table = compare(noisy, methods=["optimal", "smoothing"])
    assert table.denoiser.values.tolist() == ["optimal", "smoothing"]
    optimal = table.sel(denoiser="optimal")
    true_error = float(((denoise(noisy).values - truth) ** 2).mean())
    # Half of the fit's noise comes from the value itself, which is hidden here: the error is a little larger.
    assert float(optimal["excess"]) == pytest.approx(true_error, abs=3 * float(optimal["error_se"]) + 0.05)
    assert float(table["excess"].sel(denoiser="smoothing")) > 0.3
    assert int(optimal["residual_rank"]) == 0
    assert int(table["residual_rank"].sel(denoiser="smoothing")) > 0
    assert table.attrs["margin"] == 0 if phi == 0 else table.attrs["block"] == 3 * table.attrs["margin"] > 9


def test_methods_of_ones_own_see_nothing_of_what_is_held_out() -> None:
    noisy, _ = recording(1, 0.0)
    noisy = noisy + 1000.0
    noisy[20:25, 4] = np.nan
    table = compare(noisy, methods={"as it is": lambda part: part, "mean": lambda part: part * 0 + part.mean("time")})
    # A method that keeps all of its input cannot do so with hidden values: interpolating neighbors is 1.5 sigma².
    assert float(table["excess"].sel(denoiser="as it is")) > 0.5
    assert table["residual_psd"].dims == ("denoiser", "frequency")
    assert float(table["removed"].sel(denoiser="as it is")) == 0
    assert float(table["removed"].sel(denoiser="mean")) == pytest.approx(1, abs=0.01)


def test_patches_take_part_and_frames_need_no_clock() -> None:
    phantom = smooth_phantom((16, 16), n_samples=24, seed=3)
    frames = phantom.recording.rename(time="frame").assign_coords(frame=np.arange(24) * 7)
    table = compare(frames, methods=["pca", "smoothing"], patch={"y": 5, "x": 5}, model="white", n_draws=1)
    assert table.denoiser.values[0] == "patches"
    assert table.attrs["model"] == "white"
    assert table.attrs["margin"] == 0
    with pytest.raises(DataError, match="expected a dim named 'time'"):
        compare(frames)


def test_a_clear_signal_is_filled_in_until_it_stands() -> None:
    """Interpolation is far off here; a method that looks for components sees it as one, and takes many fillings.

    A line of rank 1 and 20 to 40 sigma changes sign every sample: after two fillings, several sigma² are left of that;
    at the end sigma² (the standard error of it is .06) and the .07 that rank 1 costs.
    """
    rng = np.random.default_rng(4)
    time_course = 20 * (-1.0) ** np.arange(400) * rng.choice([1.0, 2.0], 400)
    noisy = xr.DataArray(time_course[:, None] * np.ones(16) + rng.normal(size=(400, 16)), dims=("time", "channel"))
    table = compare(
        noisy, methods={"patches": lambda part: denoise_patches(part, patch={"channel": 16})["denoised"]}, model="white"
    )
    assert float(table["excess"][0]) == pytest.approx(0, abs=0.2)


def test_a_short_colored_recording_is_told_what_it_lacks() -> None:
    noisy, _ = recording(5, 0.97)
    with pytest.raises(DataError, match='model="heteroscedastic"'):
        compare(noisy[:9], methods=["pca"], model="colored")
    assert compare(noisy[:9], methods=["pca"], model="heteroscedastic").attrs["block"] == 1


def test_a_large_recording_is_cropped_and_mistakes_are_named() -> None:
    noisy, _ = recording(2, 0.0)
    rng = np.random.default_rng(2)
    movie = xr.DataArray(rng.normal(size=(100, 40, 30)), dims=("time", "y", "x"))
    shapes = []

    def as_it_is(part: xr.DataArray) -> xr.DataArray:
        shapes.append(part.shape)
        return part.transpose(..., "time")

    compare(movie, methods={"as it is": as_it_is}, n_draws=1)
    assert set(shapes) == {(100, 20, 25)}
    with pytest.raises(ConfigError, match="expected methods of optimal, truncation"):
        compare(noisy, methods=["magic"])
    with pytest.raises(DataError, match="expected a method that returns a recording"):
        compare(noisy, methods={"half": lambda part: part.isel(time=slice(10))})


def test_noise_that_neighbors_share_does_not_speak_for_what_is_held_out() -> None:
    rng = np.random.default_rng(0)
    white = rng.normal(size=(150, 20, 22))
    # Noise of three pixels along x: the mean of both neighbors says something about the noise of a pixel.
    movie = xr.DataArray(white[:, :, 2:] + white[:, :, 1:-1] + white[:, :, :-2], dims=("time", "y", "x"))

    def of_neighbors(part: xr.DataArray) -> xr.DataArray:
        values = np.pad(part.values, ((0, 0), (0, 0), (1, 1)), mode="edge")
        return part.copy(data=(values[:, :, 2:] + values[:, :, :-2]) / 2)

    methods = {"neighbors": of_neighbors, "zero": lambda part: 0 * part}
    honest = compare(movie, methods=methods, patch={"y": 7, "x": 7}, model="white")
    assert honest["denoiser"].values[0] != "neighbors"
    fooled = compare(movie, methods=methods, model="white")
    assert fooled["denoiser"].values[0] == "neighbors"
