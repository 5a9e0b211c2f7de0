"""The transformer keeps scikit-learn's contract, and denoises recordings it was not fitted on."""

import warnings

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from sciml.denoise import Denoiser, StreamingDenoiser, denoise
from sciml.errors import DataError


def samples(seed: int, n: int = 800) -> tuple[np.ndarray, np.ndarray]:
    mixing = np.random.default_rng(99).normal(size=(2, 20))
    rng = np.random.default_rng(seed)
    time_courses = rng.normal(size=(n, 2))
    return time_courses @ mixing, time_courses @ mixing + rng.normal(size=(n, 20))


@pytest.mark.parametrize("estimator", [Denoiser(), StreamingDenoiser()], ids=["whole", "streaming"])
def test_it_keeps_the_contract_of_scikit_learn(estimator: Denoiser | StreamingDenoiser) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks warn of what this machine does not let them check
        check_estimator(estimator, on_skip=None)


def test_what_was_learned_on_one_recording_denoises_another() -> None:
    truth, noisy = samples(1)
    denoiser = Denoiser().fit(samples(0)[1])
    assert denoiser.rank_ == 2
    assert denoiser.sigma_ == pytest.approx(1, rel=0.02)
    # Noise is left along two of twenty directions.
    assert ((denoiser.transform(noisy) - truth) ** 2).mean() < 1.3 * 2 / 20
    fast = denoiser.transform(noisy.astype(np.float32))
    assert fast.dtype == np.float32


def test_a_recording_comes_back_as_a_recording() -> None:
    noisy = xr.DataArray(samples(0)[1].reshape(800, 4, 5), dims=("time", "y", "x"), attrs={"units": "V"})
    result = Denoiser(rank=1, shrinkage="none").fit_transform(noisy)
    np.testing.assert_allclose(result.values, denoise(noisy, rank=1, shrinkage="none").values)
    assert result.attrs == {"units": "V", "noise_sigma": result.attrs["noise_sigma"], "noise_rank": 1}
    with pytest.raises(DataError, match="expected a recording of 20 channels, as in fit, got 15"):
        Denoiser().fit(noisy).transform(noisy.isel(x=[0, 1, 2], y=[0, 1, 2, 3, 0]))


def test_it_works_in_a_pipeline_and_with_a_known_sigma() -> None:
    truth, noisy = samples(2)
    model = make_pipeline(Denoiser(sigma=1.0), Ridge()).fit(noisy, truth[:, 0])
    assert model.score(noisy, truth[:, 0]) > 0.85
    assert clone(model[0]).get_params()["sigma"] == 1.0
    assert model[0].floor_ is None
