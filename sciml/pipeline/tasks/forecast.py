"""To forecast the next samples of all channels: errors by horizon beside persistence and ridge regression."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from sciml._typing import AnyArray, FloatArray
from sciml.data import Preprocess, Preprocessed, Split, Windows, sliding_windows
from sciml.data.layer import last_values
from sciml.errors import ConfigError
from sciml.pipeline.config import Config
from sciml.pipeline.evaluation import Tested, baseline_numbers, model_outputs, parts_for_baselines
from sciml.pipeline.evaluation.trust import against_mean, means_by_unit, worst
from sciml.pipeline.load import Loaded
from sciml.recording import feature_dims, sampling_rate, segments
from sciml.report import Evaluation, Forecast, Score
from sciml.train import baselines, metrics

__all__ = ["Forecaster", "Forecasting"]

LENGTH, HORIZON = 5.0, 1.0  # [s]
FEWEST = 10  # windows that do not overlap, in the longest segment of the recording
# a forecast begins at the last sample, and windows that follow each other are few and alike: end there, and stay small
OPTIONS: dict[str, dict[str, Any]] = {
    "fcn": {"pool": "last", "norm": "group", "width": 32, "dropout": 0.3},
    "tcn": {"pool": "last", "norm": "group", "width": 32, "dropout": 0.3},
}
ERROR = "squared error over variance"
SHOWN = ("mean_nrmse", "mean_r2", "mean_skill", "nrmse", "r2", "skill")  # of each model, in `metrics.json`


class Forecaster(Preprocessed):
    """Last sample plus what the net expects to change, in units of each channel's standard deviation.

    A net that says nothing repeats the last sample: persistence is where learning starts. The last sample of a channel
    is the last that is there, its mean where none is.
    """

    center: torch.Tensor
    spread: torch.Tensor

    def __init__(self, preprocess: Preprocess, net: nn.Module) -> None:
        super().__init__(preprocess.as_module(), net)
        self.register_buffer("center", torch.from_numpy(preprocess.mean).float())
        self.register_buffer("spread", torch.from_numpy(preprocess.scale).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, time) in the recording's units to standardized (batch, channel, horizon)."""
        last = (last_values(x) - self.center) / self.spread
        return torch.nan_to_num(last)[:, :, None] + super().forward(x)


class Forecasting:
    """What comes next, in each channel."""

    loss = "mse"
    score = "error"
    greater_is_better = False
    columns: tuple[str, ...] = ("model", "error / variance", "skill over persistence")

    def labels(self, config: Config) -> tuple[str, str]:
        """Return no table: the recording is its own target."""
        given = [name for name in ("weights", "target") if getattr(config.data, name)]
        if given:
            raise ConfigError(f"data.{given[0]}: a forecast has no events and is its own target; leave it out")
        return "", ""

    def defaults(self, config: Config, loaded: Loaded) -> Config:
        """Take 5 s to forecast 1 s, or less of a short recording.

        Do not denoise, for noise correlated in time can be forecast like signal.
        """
        chosen = config.windows
        if isinstance(chosen.length, str):
            raise ConfigError(f"windows.length: expected seconds for a forecast, got {chosen.length!r}; set it")
        scale = min(1.0, _longest(loaded.recording) / (FEWEST * (LENGTH + HORIZON)))
        horizon = chosen.horizon or scale * HORIZON
        return config.decided(
            windows={"length": chosen.length or scale * LENGTH, "horizon": horizon, "step": chosen.step or horizon},
            denoise=False,
            options=OPTIONS.get(config.model.name, {}),
        )

    def windows(self, config: Config, loaded: Loaded) -> Windows:
        """Cut windows one after the other, each followed by its horizon."""
        asked = config.windows
        length, step, horizon = (float(value or 0.0) for value in (asked.length, asked.step, asked.horizon))
        samples = loaded.samples(config.data.missing)
        return sliding_windows(samples, length=length, step=step, horizon=horizon, missing=config.data.missing)

    def output_shape(self, windows: Windows) -> list[int]:
        """Return one value a channel and step ahead."""
        return [windows.n_channels, windows.horizon]

    def target(self, windows: Windows) -> dict[str, Any]:
        """Return the samples ahead of a window, in the recording's unit."""
        return {"dims": ["window", "channel", "ahead"], "unit": str(windows.recording.attrs.get("units", ""))}

    def assemble(self, preprocess: Preprocess, net: nn.Module) -> nn.Module:
        """Return the net's forecast of the change since the last sample."""
        return Forecaster(preprocess, net)

    def test(
        self,
        model: nn.Module,
        preprocess: Preprocess,
        windows: Windows,
        split: Split,
        *,
        seed: int,  # noqa: ARG002 (nothing is drawn)
    ) -> Tested:
        """Return the samples ahead in the recording's units, as the net, persistence and a ridge regression tell."""
        parts = parts_for_baselines(windows, split, None)
        X, y = parts.test
        return Tested(
            split.test,
            y,
            preprocess.restore(model_outputs(model, windows, split.test)),
            (parts.validation[1], preprocess.restore(model_outputs(model, windows, split.validation))),
            (
                baselines.persistence(parts.test),
                baselines.ridge_forecaster(*parts.all),
                baselines.mean_forecaster(parts.train, parts.test),
            ),
            last=baselines.last_values(X),
            notes=parts.notes,
        )

    def evaluate(
        self,
        tested: Tested,
        windows: Windows,
        splits: Sequence[Split],
        *,
        seed: int,
    ) -> Evaluation:
        """Compare squared errors over variance with those of baselines; intervals are by bootstrap over units."""
        last, units, rng = np.asarray(tested.last), splits[0].block[tested.indices], np.random.default_rng(seed)
        scores = metrics.forecast_scores(tested.targets, tested.outputs, last=last)
        others = {
            each.name: metrics.forecast_scores(tested.targets, each.predicted, last=last) for each in tested.baselines
        }
        errors = {"net": scores.nrmse**2} | {name: each.nrmse**2 for name, each in others.items()}
        means = {name: float(error.mean()) for name, error in errors.items()}
        said = {"net": tested.outputs, **{each.name: each.predicted for each in tested.baselines}}
        each_window = {name: _errors(tested.targets, predicted) for name, predicted in said.items()}
        ends = {name: _interval(each, units, rng) for name, each in each_window.items()}
        above, verdict = against_mean(*ends["net"], nothing=1.0, greater_is_better=False)
        return Evaluation(
            metric=ERROR,
            greater_is_better=False,
            scores=tuple(_score(name, value, ends[name]) for name, value in means.items()),
            n_test=scores.n,
            numbers={
                "net": {**_shown(scores), "error": means["net"], "above_chance": above},
                "verdict": verdict,
                "baselines": {
                    each.name: {**baseline_numbers(each, _shown(others[each.name])), "error": means[each.name]}
                    for each in tested.baselines
                },
            },
            by_unit=means_by_unit(ERROR, each_window["net"], tested.indices, splits[0]),
            worst=worst(
                windows,
                tested.indices,
                each_window["net"],
                {f"{name}, {ERROR}": values.tolist() for name, values in each_window.items()},
            ),
            verdict=verdict,
            forecast=Forecast(horizon=(np.arange(windows.horizon) + 1) / windows.rate, mse=errors),
            warnings=tested.notes,
        )

    def predict(
        self,
        outputs: AnyArray,
        windows: Windows,
        *,
        preprocess: Preprocess,
        classes: tuple[str, ...],  # noqa: ARG002 (a forecast has none)
        labels: AnyArray | None,  # noqa: ARG002
        fitted: Mapping[str, Any],  # noqa: ARG002
    ) -> xr.Dataset:
        """Return the samples ahead in the recording's units."""
        recording = windows.recording
        ahead = (np.arange(outputs.shape[2]) + 1) / windows.rate
        attrs = {"units": str(recording.attrs.get("units", ""))}
        found = xr.Dataset(
            {"forecast": (("window", "channel", "ahead"), preprocess.restore(outputs), attrs)},
            coords={"ahead": ("ahead", ahead, {"units": "s", "long_name": "time after the last sample of the window"})},
        )
        dims = feature_dims(recording)
        if len(dims) == 1 and dims[0] in recording.coords:
            found = found.assign_coords(channel=[str(name) for name in recording[dims[0]].values.tolist()])
        return found

    def question(self, config: Config, windows: Windows) -> tuple[str, str]:  # noqa: ARG002 (windows say it all)
        """Ask how well the next samples are forecast."""
        signal = windows.recording.attrs.get("signal", "the recording")
        length, ahead = (f"{n / windows.rate:.3g} s" for n in (windows.length, windows.horizon))
        question = f"How well do the last {length} of {windows.n_channels} channels foretell the next {ahead}?"
        return f"The next {ahead} of {signal}", question

    def row(self, found: Mapping[str, Any]) -> tuple[str, ...]:
        """Return error and skill."""
        return tuple("-" if found[name] is None else f"{found[name]:.4g}" for name in ("error", "mean_skill"))


def _errors(target: AnyArray, predicted: AnyArray) -> FloatArray:
    """Return the squared error of each window over the variance of its channel, mean over channels and steps, (n,)."""
    y = target.astype(np.float64)
    variance = np.nanvar(y, axis=(0, 2))
    varies = variance > 0
    error = (predicted - y)[:, varies] ** 2 / variance[varies, None]
    there = ~np.isnan(error)
    return np.asarray(np.where(there, error, 0.0).sum(axis=(1, 2)) / np.maximum(there.sum(axis=(1, 2)), 1))


def _interval(errors: FloatArray, units: AnyArray, rng: np.random.Generator) -> tuple[float | None, float | None]:
    """Return the ends of the interval of their mean when whole units are drawn again; None of fewer than two units."""
    ends = metrics.bootstrap_interval(lambda w: float(w @ errors / w.sum()), units, rng=rng, limits=(0, np.inf))
    low, high = ends.tolist()
    return (low, high) if np.isfinite(low) else (None, None)


def _score(name: str, value: float, ends: tuple[float | None, float | None]) -> Score:
    return Score(name=name, value=value, low=ends[0], high=ends[1], role="model" if name == "net" else "baseline")


def _longest(recording: xr.DataArray) -> float:
    """Return the duration of the longest segment of the clock without a gap [s]."""
    return float(max(each.stop - each.start for each in segments(recording)) / sampling_rate(recording))


def _shown(scores: metrics.ForecastScores) -> dict[str, Any]:
    return {name: getattr(scores, name) for name in SHOWN}
