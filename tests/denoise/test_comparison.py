"""Hidden values tell which denoiser is nearest to the truth, as if the truth were known."""

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter

from sciml.denoise import compare, denoise
from sciml.errors import ConfigError, DataError

N, T = 30, 1500


def recording(seed: int, phi: float) -> tuple[xr.DataArray, np.ndarray]:
    rng = np.random.default_rng(seed)
    noise = lfilter([np.sqrt(1 - phi**2)], [1, -phi], rng.normal(size=(T + 100, N)), axis=0)[100:]
    courses = np.stack([np.sin(np.arange(T) / 3), rng.normal(size=T)], axis=1)
    truth = courses @ rng.normal(size=(2, N)) / 1.5
    return xr.DataArray(truth + noise, dims=("time", "channel"), attrs={"sampling_rate": 10.0, "units": "V"}), truth


@pytest.mark.parametrize("phi", [0.0, 0.6])
def test_the_held_out_error_is_the_true_one_and_the_variance_of_the_noise(phi: float) -> None:
    noisy, truth = recording(0, phi)
    table = compare(noisy, ["optimal", "smoothing"])
    assert table.denoiser.values.tolist() == ["optimal", "smoothing"]
    optimal = table.sel(denoiser="optimal")
    true_error = float(((denoise(noisy).values - truth) ** 2).mean())
    # Half of the fit's noise comes from the value itself, which is hidden here: the error is a little larger.
    assert float(optimal["excess"]) == pytest.approx(true_error, abs=3 * float(optimal["error_se"]) + 0.05)
    assert float(table["excess"].sel(denoiser="smoothing")) > 0.3
    assert int(optimal["residual_rank"]) == 0
    assert int(table["residual_rank"].sel(denoiser="smoothing")) > 0
    assert table.attrs["margin"] == 0 if phi == 0 else table.attrs["block"] == 3 * table.attrs["margin"] > 9


def test_methods_of_ones_own_see_nothing_of_what_is_hidden() -> None:
    noisy, _ = recording(1, 0.0)
    noisy = noisy + 1000.0
    noisy[20:25, 4] = np.nan
    table = compare(noisy, {"as it is": lambda part: part, "mean": lambda part: part * 0 + part.mean("time")})
    # A method that keeps all of its input cannot do so with hidden values: interpolating neighbors is 1.5 sigma².
    assert float(table["excess"].sel(denoiser="as it is")) > 0.5
    assert table["residual_psd"].dims == ("denoiser", "frequency")
    assert float(table["removed"].sel(denoiser="as it is")) == 0
    assert float(table["removed"].sel(denoiser="mean")) == pytest.approx(1, abs=0.01)


def test_a_large_recording_is_cropped_and_mistakes_are_named() -> None:
    noisy, _ = recording(2, 0.0)
    rng = np.random.default_rng(2)
    movie = xr.DataArray(rng.normal(size=(100, 40, 30)), dims=("time", "y", "x"))
    seen = []
    compare(movie, {"as it is": lambda part: (seen.append(part.shape), part.transpose(..., "time"))[1]}, n_draws=1)
    assert set(seen) == {(100, 20, 25)}
    with pytest.raises(ConfigError, match="expected methods of optimal, truncation"):
        compare(noisy, ["magic"])
    with pytest.raises(DataError, match="expected a method that returns a recording"):
        compare(noisy, {"half": lambda part: part.isel(time=slice(10))})
