"""The denoiser as a scikit-learn transformer: learned from one recording, applied to another."""

from typing import Any, Literal, Self

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sciml._typing import FloatArray
from sciml.denoise.lowrank.components import Basis, from_floor, from_sigma, with_rank
from sciml.denoise.lowrank.denoising import apply, make_denoiser
from sciml.errors import DataError
from sciml.noise import Model, NoiseFloor, noise_floor
from sciml.recording import TIME, n_features
from sciml.rmt.shrink import Shrinkage

__all__ = ["Denoiser", "LinearDenoisingTransformer"]


class LinearDenoisingTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # no types
    """What all denoisers share that learn `linear_denoiser_`, `rank_` and `sigma_`: arrays or recordings in and out."""

    def transform(self, X: Any) -> Any:
        """Return X without what is noise: an array for an array, a recording for a recording."""
        check_is_fitted(self)
        recording = self._recording(X, reset=False)
        cleaned = apply(recording, self.linear_denoiser_)
        if not isinstance(X, xr.DataArray):
            return cleaned.values
        return cleaned.assign_attrs({**recording.attrs, "noise_sigma": self.sigma_, "noise_rank": self.rank_})

    def _recording(self, X: Any, *, reset: bool) -> xr.DataArray:
        if isinstance(X, xr.DataArray):
            n = n_features(X)
            if reset:
                self.n_features_in_ = n
            elif n != self.n_features_in_:
                raise DataError(f"expected a recording of {self.n_features_in_} channels, as in fit, got {n}")
            return X
        kinds = [np.float64, np.float32]
        least = 2 if reset else 1  # a noise floor compares channels over samples
        values = validate_data(
            self,
            X,
            reset=reset,
            dtype=kinds,
            ensure_all_finite="allow-nan",
            ensure_min_samples=least,
            ensure_min_features=least,
        )
        return xr.DataArray(values, dims=(TIME, "channel"))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class Denoiser(LinearDenoisingTransformer):
    """Learn the noise floor of one recording and remove noise from others of the same channels.

    The map takes one sample at a time, so it may be learned on the train part and used anywhere.

    Parameters
    ----------
    model, alpha
        As for `sciml.noise.noise_floor`.
    rank, sigma, shrinkage
        As for `sciml.denoise.denoise`.

    Attributes
    ----------
    floor_
        The noise floor; None where sigma was given.
    linear_denoiser_
        The map, `sciml.denoise.LinearDenoiser`.
    rank_, sigma_
        Components kept and standard deviation of the noise, in units of the data.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.linear_model import Ridge
    >>> rng = np.random.default_rng(0)
    >>> time_course = rng.normal(size=2000)
    >>> X = np.outer(time_course, rng.normal(size=20)) + rng.normal(size=(2000, 20))
    >>> Denoiser().fit(X).rank_
    1
    >>> bool(make_pipeline(Denoiser(), Ridge()).fit(X, time_course).score(X, time_course) > 0.9)
    True
    """

    def __init__(
        self,
        *,
        model: Model | Literal["auto"] = "auto",
        alpha: float = 0.05,
        rank: int | None = None,
        sigma: float | FloatArray | None = None,
        shrinkage: Shrinkage = "frobenius",
    ) -> None:
        self.model = model
        self.alpha = alpha
        self.rank = rank
        self.sigma = sigma
        self.shrinkage = shrinkage

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002
        """Learn from samples X of shape (n_samples, n_features), or from a recording; missing values may be NaN."""
        recording = self._recording(X, reset=True)
        self.floor_: NoiseFloor | None = None
        basis = self._learned(recording)
        self.rank_ = basis.rank if self.rank is None else self.rank
        basis = with_rank(basis, recording, self.rank_)
        self.linear_denoiser_ = make_denoiser(basis, self.rank_, self.shrinkage)
        self.sigma_ = basis.sigma
        return self

    def _learned(self, recording: xr.DataArray) -> Basis:
        if self.sigma is not None:
            return from_sigma(recording, self.sigma, alpha=self.alpha)
        floor = noise_floor(recording, model=self.model, alpha=self.alpha)
        self.floor_ = floor
        return from_floor(floor)
