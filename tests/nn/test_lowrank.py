"""The layer does what the denoiser does, wherever it is moved, and nothing trains it."""

import numpy as np
import pytest
import torch
import xarray as xr

from sciml.denoise import Denoiser
from sciml.errors import ConfigError
from sciml.nn import LowRankDenoiser


def fitted() -> tuple[Denoiser, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 12)) + rng.normal(size=(600, 12)) + np.arange(12)
    return Denoiser().fit(X), X


def test_the_layer_is_the_denoiser() -> None:
    denoiser, X = fitted()
    layer = LowRankDenoiser.of(denoiser.linear_denoiser_, dtype=torch.float64)
    batch = torch.as_tensor(X.reshape(3, 200, 12).swapaxes(1, 2))
    result = layer(batch).numpy().swapaxes(1, 2).reshape(600, 12)
    np.testing.assert_allclose(result, denoiser.transform(X), rtol=1e-10)
    recording = xr.DataArray(X, dims=("time", "channel"))
    np.testing.assert_allclose(result, denoiser.transform(recording).values, rtol=1e-10)


def test_its_numbers_are_saved_and_never_trained() -> None:
    layer = LowRankDenoiser.of(fitted()[0].linear_denoiser_)
    other = LowRankDenoiser.of(fitted()[0].linear_denoiser_)
    other.mean.zero_()
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.mean, layer.mean)
    assert not list(layer.parameters())
    assert layer.to(torch.float16).encode.dtype == torch.float16
    x = torch.randn(2, 12, 5, requires_grad=True)
    other(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_a_missing_value_counts_as_the_mean() -> None:
    layer = LowRankDenoiser.of(fitted()[0].linear_denoiser_)
    x = layer.mean[None, :, None].clone()
    x[0, 3, 0] = torch.nan
    torch.testing.assert_close(layer(x)[0, :, 0], layer.mean)


def test_factors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected shapes"):
        LowRankDenoiser([0.0, 0.0], [[1.0]], [[1.0]], [1.0])
    with pytest.raises(ConfigError, match="complex"):
        LowRankDenoiser([0.0], [[1.0j]], [[1.0]], [1.0])
