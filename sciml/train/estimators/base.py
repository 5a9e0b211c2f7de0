"""What the classifier and the regressor share: they check, split, standardize, train, and put out in float64."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.nn import models
from sciml.train.config import TrainConfig
from sciml.train.estimators.inner_split import inner_split
from sciml.train.estimators.inputs import Masked, Scaling, as_windows, has_gaps
from sciml.train.loop import fit
from sciml.train.reading import FitData

__all__ = ["SignalEstimator"]

AT_ONCE = 256  # windows of a prediction


class SignalEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The common part of `SignalClassifier` and `SignalRegressor`."""

    _loss: str

    def __init__(
        self,
        model: str = "fcn",
        random_state: Any = None,
        *,
        model_options: Mapping[str, Any] | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        lr: float = 1e-3,
        validation_fraction: float = 0.2,
        device: str = "auto",
        train_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.random_state = random_state
        self.model_options = model_options
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.validation_fraction = validation_fraction
        self.device = device
        self.train_options = train_options

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator: windows may have three dims, and missing values."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags

    # ---- fitting

    def _train(
        self, X: AnyArray, y: AnyArray, labels: AnyArray | None, sample_weight: Any, groups: Any, n_outputs: int
    ) -> tuple[AnyArray, AnyArray]:
        """Train the net on windows and targets; return the held-out part, its outputs and its items."""
        windows, n = as_windows(X), len(X)
        if not 0 <= self.validation_fraction < 1:
            raise ConfigError(f"expected validation_fraction in [0, 1), got {self.validation_fraction}")
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        rng = np.random.default_rng(seed)
        train, validation = inner_split(labels, _groups(groups, n), n=n, fraction=self.validation_fraction, rng=rng)
        self.scaling_ = Scaling.fit(windows[train])
        scaled = self.scaling_.apply(windows).astype(np.float32)
        net = self._build(scaled, seed, n_outputs, gives_mask=has_gaps(scaled))
        parts = [_part(scaled, y, weights, rows) for rows in (train, validation)]
        result = fit(net, FitData(*parts), self._config(seed))
        self.net_ = result.model.double().cpu()
        self.history_ = [asdict(record) for record in result.history]
        self.best_epoch_, self.monitor_, self.n_iter_ = result.best_epoch, result.monitor, result.epochs_run
        self.n_dims_ = X.ndim
        self.n_times_ = None if self._takes(scaled.shape[1], X.shape[-1] + 1) else X.shape[-1]
        return self._outputs_of(scaled[validation]), validation

    def _build(self, scaled: AnyArray, seed: int, n_outputs: int, *, gives_mask: bool) -> Masked:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = models.build(
                self.model,
                n_channels=scaled.shape[1] * (2 if gives_mask else 1),
                n_times=scaled.shape[2],
                n_outputs=n_outputs,
                **(self.model_options or {}),
            )
        return Masked(net, gives_mask=gives_mask)

    def _takes(self, n_channels: int, n_times: int) -> bool:
        """Return whether the net takes windows of that length: one that averages over time takes any."""
        try:
            self._outputs_of(np.zeros((1, n_channels, n_times)))
        except Exception:  # whatever a net of the user's says
            return False
        return True

    def _config(self, seed: int) -> TrainConfig:
        options = dict(self.train_options or {})
        known = set(TrainConfig.__dataclass_fields__) - {"loss", "seed", "steps", "batch_size", "lr", "device"}
        if unknown := sorted(set(options) - known):
            raise ConfigError(f"expected train_options among {', '.join(sorted(known))}, got {', '.join(unknown)}")
        named = {name: getattr(self, name) for name in ("steps", "batch_size", "lr", "device")}
        return TrainConfig(loss=self._loss, seed=seed, **named, **options)

    # ---- predicting

    def _outputs(self, X: Any) -> FloatArray:
        """Return what the net puts out for new windows, in float64."""
        check_is_fitted(self, "net_")
        X = self._checked(X)
        return self._outputs_of(self.scaling_.apply(as_windows(X)))

    def _outputs_of(self, scaled: AnyArray) -> FloatArray:
        # in float64: a window gives the same bits, but for rounding at 1e-15, whatever stands beside it in a batch
        x = torch.from_numpy(np.asarray(scaled, dtype=np.float64))
        with torch.no_grad():
            found = [self.net_(x[i : i + AT_ONCE]) for i in range(0, len(x), AT_ONCE)]
        return np.asarray(torch.cat(found).numpy())

    # ---- checking

    def _checked(self, X: Any, y: Any = "no_validation", **options: Any) -> Any:
        """Return X as an array of two or three dims (and y) after scikit-learn's checks."""
        new = isinstance(y, str) and y == "no_validation"
        shape: tuple[int, ...] = getattr(X, "shape", ())
        if new and len(shape) == 3 and self.n_dims_ == 2 and shape[1] == 1:
            X = X[:, 0]  # one channel, as in training
        settings = {"allow_nd": True, "ensure_all_finite": "allow-nan", "dtype": np.float64, **options}
        found = validate_data(self, X, y, reset=not new, ensure_min_samples=1 if new else 2, **settings)
        array = found if new else found[0]
        if array.ndim > 3 or not array.shape[-1]:
            raise DataError(f"expected X of shape (sample, channel, time) or (sample, time), got {array.shape}")
        if new and array.ndim != self.n_dims_:
            raise DataError(f"expected X of {self.n_dims_} dims, as in training, got shape {array.shape}")
        if new and self.n_times_ not in (None, array.shape[-1]):
            raise DataError(
                f"expected windows of {self.n_times_} samples, as in training, got {array.shape[-1]}: the net "
                f"{self.model} takes no others; cut them, or pad them with NaN"
            )
        return found

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train a net."""
        raise NotImplementedError


def _part(scaled: AnyArray, y: AnyArray, weights: AnyArray | None, rows: NDArray[np.int64]) -> tuple[AnyArray, ...]:
    part = (scaled[rows], y[rows])
    return part if weights is None else (*part, weights[rows])


def _groups(groups: Any, n: int) -> AnyArray | None:
    if groups is None:
        return None
    array = np.asarray(groups)
    if array.shape != (n,):
        raise DataError(f"expected one group for each of {n} samples, got shape {array.shape}")
    return array
