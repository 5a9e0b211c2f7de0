"""To tell numbers from a window: one of each event, or the values of another signal at the window's end."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from torch import nn

from sciml._typing import AnyArray
from sciml.data import Preprocess, Preprocessed, Split, Windows, sliding_windows, windows_around, with_targets
from sciml.data.samples import read_samples
from sciml.errors import ConfigError
from sciml.pipeline.config import Config
from sciml.pipeline.evaluation import Tested, baseline_numbers, model_outputs, parts_for_baselines
from sciml.pipeline.evaluation.trust import against_mean, fit_intervals, interval_numbers, scores_by_unit, worst
from sciml.pipeline.load import Loaded, check_column, labels
from sciml.pipeline.tasks.durations import trial_length
from sciml.recording import sampling_rate
from sciml.report import Evaluation, Regression, Score
from sciml.train import baselines, metrics

__all__ = ["Regress"]

LENGTH, SAMPLES, STEPS = 2.0, 16, 4  # a window: [s], but at least so many samples; how many begin in its length
SHOWN = ("mean_r2", "mean_correlation", "r2", "correlation", "absolute_error")  # of each model, in `metrics.json`


class Regress:
    """Which number, of a window around an event or at the end of a window."""

    loss = "mse"
    score = "mean_r2"
    greater_is_better = True
    columns: tuple[str, ...] = ("model", "R²", "correlation")

    def labels(self, config: Config) -> tuple[str, str]:
        """Return the table and the column that `data.labels` names; none where the target is a signal."""
        if bool(config.data.target) == bool(config.data.labels):
            given = "both" if config.data.target else "neither"
            raise ConfigError(
                f"expected data.labels (TABLE:COLUMN, a number of each event) or data.target (a signal), got {given}; "
                "give one of them"
            )
        return ("", "") if config.data.target else labels(config)

    def defaults(self, config: Config, loaded: Loaded) -> Config:
        """Take the median trial, or 2 s four times overlapping; do not denoise, for weak components may tell much."""
        if loaded.events is not None:
            check_column(loaded.events, loaded.label)
            length, typical = trial_length(config, loaded.events)
            windows = {"length": length, "step": None, "horizon": None}
            return config.decided(windows=windows, denoise=False, options={}, typical=typical)
        asked, rate = config.windows.length, sampling_rate(loaded.recording)
        if isinstance(asked, str):
            raise ConfigError(f"windows.length: expected seconds, for a signal has no trials; got {asked!r}; set it")
        span = asked or max(LENGTH, SAMPLES / rate)
        step = config.windows.step or max(span / STEPS, 1 / rate)
        return config.decided(windows={"length": span, "step": step, "horizon": None}, denoise=False, options={})

    def windows(self, config: Config, loaded: Loaded) -> Windows:
        """Cut a window around each event, or one after the other with the target at their ends."""
        asked = config.windows
        if loaded.events is not None:
            return windows_around(
                loaded.samples(config.data.missing),
                loaded.events,
                label=loaded.label,
                before=asked.before,
                length=asked.length or 0.0,
                numbers=True,
                weight=config.data.weights or "",
                missing=config.data.missing,
            )
        assert loaded.target is not None  # noqa: S101 - loaded with the recording
        assert not isinstance(asked.length, str)  # noqa: S101 - decided before
        samples = loaded.samples(config.data.missing)
        cut = sliding_windows(samples, length=asked.length or 0.0, step=asked.step or 0.0, missing=config.data.missing)
        target = read_samples(loaded.target, memory=loaded.memory)
        return with_targets(cut, target, lag=config.data.target_lag, derivative=config.data.target_derivative)

    def output_shape(self, windows: Windows) -> list[int]:
        """Return one value a number."""
        return [len(windows.target_names)]

    def target(self, windows: Windows) -> dict[str, Any]:
        """Return the numbers of a window, in their units."""
        return {"dims": ["window", "output"], "unit": ", ".join(dict.fromkeys(windows.target_units))}

    def assemble(self, preprocess: Preprocess, net: nn.Module) -> nn.Module:
        """Return preprocessing and net, one after the other."""
        return Preprocessed(preprocess.as_module(), net)

    def test(self, model: nn.Module, preprocess: Preprocess, windows: Windows, split: Split, *, seed: int) -> Tested:
        """Return numbers in their units, as the net and baselines behind the preprocessing tell."""
        parts = parts_for_baselines(windows, split, preprocess)
        weights = parts.weights
        found = (
            baselines.linear_regressor(*parts.all, weights=weights),
            baselines.covariance_regressor(*parts.all, weights=weights),
            baselines.kernel_regressor(*parts.all, weights=weights, seed=seed),
            baselines.gaussian_regressor(*parts.all, weights=weights, seed=seed),
            baselines.mean_predictor(parts.train, parts.test, weights=weights),
        )
        test, validation = (
            preprocess.restore_target(model_outputs(model, windows, part)) for part in (split.test, split.validation)
        )
        known, target = parts.validation[1], parts.test[1]
        fitted = fit_intervals(validation, known, test, target)
        return Tested(split.test, target, test, (known, validation), found, (fitted,), notes=parts.notes)

    def evaluate(self, tested: Tested, windows: Windows, splits: Sequence[Split], *, seed: int) -> Evaluation:
        """Compare R2, with intervals over units, with those of baselines."""
        unit, rng = splits[0].block[tested.indices], np.random.default_rng(seed)
        said = {"net": tested.outputs, **{each.name: each.predicted for each in tested.baselines}}
        found = {
            name: metrics.regression_scores(tested.targets, values, units=unit, rng=rng)
            for name, values in said.items()
        }
        ends = {name: _interval(tested.targets, values, unit, rng) for name, values in said.items()}
        above, verdict = against_mean(*ends["net"], nothing=0.0, greater_is_better=True)
        return Evaluation(
            metric="R²",
            greater_is_better=True,
            scores=tuple(_score(name, scores, ends[name]) for name, scores in found.items()),
            n_test=len(tested.indices),
            numbers={
                "net": {**_shown(found["net"]), "above_chance": above},
                "verdict": verdict,
                "outputs": list(windows.target_names),
                "baselines": {each.name: baseline_numbers(each, _shown(found[each.name])) for each in tested.baselines},
                "intervals": interval_numbers(tested.fitted),
            },
            by_unit=scores_by_unit("r2", tested.outputs, tested.targets, tested.indices, splits[0]),
            worst=_worst(tested, windows),
            verdict=verdict,
            regression=Regression(
                names=windows.target_names,
                units=windows.target_units,
                time=windows.times[tested.indices],
                measured=tested.targets,
                told=tested.outputs,
            ),
            warnings=tested.notes,
        )

    def predict(
        self,
        outputs: AnyArray,
        windows: Windows,  # noqa: ARG002 (other tasks ask the recording)
        *,
        preprocess: Preprocess,
        classes: tuple[str, ...],  # noqa: ARG002 (numbers have none)
        labels: AnyArray | None,
        fitted: Mapping[str, Any],
    ) -> xr.Dataset:
        """Return the numbers in their units with their intervals, and the measured ones where there are some."""
        told = preprocess.restore_target(outputs)
        assert preprocess.target is not None  # noqa: S101 - fitted with the windows
        attrs = {"units": preprocess.target.units}
        found = xr.Dataset(
            {"predicted_value": (("window", "output"), told, attrs)}, coords={"output": list(preprocess.target.labels)}
        )
        if "intervals" in fitted:
            half = np.array([np.inf if each is None else each for each in fitted["intervals"]["half_width"]])
            attrs = {**attrs, "confidence": fitted["intervals"]["confidence"]}
            for name, sign in (("predicted_low", -1), ("predicted_high", 1)):
                found[name] = (("window", "output"), told + sign * half, attrs)
        if labels is not None:
            measured = np.asarray(labels, dtype=np.float64).reshape(len(told), -1)
            found["measured_value"] = (("window", "output"), measured, attrs)
        return found

    def question(self, config: Config, windows: Windows) -> tuple[str, str]:
        """Ask how well the numbers are told from a window."""
        signal = windows.recording.attrs.get("signal", "the recording")
        _, column = self.labels(config)
        what = column or str(config.data.target).rpartition("/")[2]
        length = f"{windows.length / windows.rate:.3g} s"
        lag = config.data.target_lag
        when = f", {abs(lag):.3g} s {'after' if lag > 0 else 'before'} the end of the window" if lag else ""
        change = "the rate of change of " if config.data.target_derivative else ""
        question = f"How well is {change}{what} told from {length} of {windows.n_channels} channels of {signal}{when}?"
        return f"{what[:1].upper()}{what[1:]} from {signal}", question

    def row(self, found: Mapping[str, Any]) -> tuple[str, ...]:
        """Return R2 and correlation."""
        return tuple(_cell(found[name]) for name in ("mean_r2", "mean_correlation"))


def _worst(tested: Tested, windows: Windows) -> tuple[dict[str, Any], ...]:
    """Return the windows whose numbers were missed most, in units of their spread."""
    spread = np.maximum(tested.targets.std(axis=0), np.finfo(np.float32).tiny)
    loss = np.sqrt(np.square((tested.outputs - tested.targets) / spread).mean(axis=1))
    said = {
        f"{name}, {what} [{unit or 'no unit'}]": values[:, k].tolist()
        for k, (name, unit) in enumerate(zip(windows.target_names, windows.target_units, strict=True))
        for what, values in (("measured", tested.targets), ("told", tested.outputs))
    }
    return worst(windows, tested.indices, loss, said)


def _cell(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.3f}"


def _shown(scores: metrics.RegressionScores) -> dict[str, Any]:
    return {name: getattr(scores, name) for name in SHOWN} | {"intervals": dict(scores.intervals)}


def _interval(
    target: AnyArray, told: AnyArray, units: AnyArray, rng: np.random.Generator
) -> tuple[float | None, float | None]:
    """Return the ends of the interval of the mean R2 over outputs; None of fewer than two units."""
    r2 = metrics.METRICS["r2"]
    statistic = r2.prepare(*r2.arrays(told, target))
    ends = metrics.bootstrap_interval(lambda w: float(np.mean(statistic(w))), units, rng=rng, limits=r2.limits)
    low, high = ends.tolist()
    return (low, high) if np.isfinite(low) else (None, None)


def _score(name: str, scores: metrics.RegressionScores, ends: tuple[float | None, float | None]) -> Score:
    return Score(
        name=name, value=scores.mean_r2, low=ends[0], high=ends[1], role="model" if name == "net" else "baseline"
    )
