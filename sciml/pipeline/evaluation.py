"""Judging a trained model on the part that nothing was chosen by, beside chance and beside simpler models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml.data import Preprocess, Split, WindowDataset, Windows
from sciml.report import Forecast, Score
from sciml.train import baselines, metrics

__all__ = ["Judgment", "judge", "outputs"]

BASELINE_VALUES = 2**28  # of a part that a baseline is fitted on; larger parts are thinned evenly
BATCH = 256

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Judgment:
    """Scores on the held-out part: the net's first, then those of the baselines; `numbers` is what JSON gets."""

    metric: str
    greater_is_better: bool
    scores: tuple[Score, ...]
    n_test: int
    numbers: Mapping[str, Any]
    chance_level: float | None = None
    chance_band: tuple[float, float] | None = None
    chance_p_value: float | None = None
    confusion: NDArray[np.int64] | None = None
    forecast: Forecast | None = None
    warnings: tuple[str, ...] = field(default=())


def judge(model: nn.Module, preprocess: Preprocess, windows: Windows, split: Split, *, seed: int) -> Judgment:
    """Score a model on the test part.

    Parameters
    ----------
    model
        From windows in the recording's units to logits, or to standardized forecasts.
    preprocess
        What was fitted on the train part; classifying baselines see what the net sees behind it.
    seed
        Of the permutations of labels.
    """
    if windows.labels is None:
        return _judge_forecast(model, preprocess, windows, split)
    return _judge_labels(model, preprocess, windows, split, seed=seed)


def outputs(model: nn.Module, windows: Windows, indices: Array) -> NDArray[np.float64]:
    """Return what a model says of windows, in float64: shape (n, class) or (n, channel, horizon)."""
    model.eval()
    device = next(model.parameters()).device
    found = []
    with torch.no_grad():
        for start in range(0, len(indices), BATCH):
            x = torch.from_numpy(windows.arrays(indices[start : start + BATCH])[0])
            found.append(model(x.to(device)).double().cpu().numpy())
    return np.concatenate(found)


def _judge_labels(model: nn.Module, preprocess: Preprocess, windows: Windows, split: Split, *, seed: int) -> Judgment:
    parts, thinned = _parts(windows, split, preprocess)
    labels, n_classes = parts["test"][1], len(windows.classes)
    predicted = outputs(model, windows, split.test).argmax(axis=1)
    scores = metrics.classification_scores(labels, predicted, n_classes=n_classes)
    rng = np.random.default_rng(seed)
    permuted = metrics.permutation_test(labels, predicted, blocks=split.block[split.test], rng=rng)
    others = [
        baselines.linear_classifier(*parts.values(), n_classes=n_classes),
        baselines.covariance_classifier(*parts.values(), n_classes=n_classes),
        baselines.majority(parts["train"], parts["test"], n_classes=n_classes),
    ]
    band = (scores.chance.low, scores.chance.high)
    chance = {"level": scores.chance.level, "band": band, "p_value": permuted.p_value, "test": permuted.note}
    net = {"accuracy": scores.accuracy, "interval": scores.interval, "balanced_accuracy": scores.balanced_accuracy}
    return Judgment(
        metric="accuracy",
        greater_is_better=True,
        scores=(_accuracy("net", scores.accuracy, scores.interval, "model"), *map(_baseline, others)),
        n_test=scores.n,
        numbers={
            "net": {**net, "above_chance": scores.above_chance},
            "chance": chance,
            "baselines": {each.name: _shown(each, "accuracy", "interval", "balanced_accuracy") for each in others},
            "confusion": scores.confusion,
        },
        chance_level=scores.chance.level,
        chance_band=band,
        chance_p_value=permuted.p_value if np.isfinite(permuted.p_value) else None,
        confusion=scores.confusion,
        warnings=(*thinned, *((permuted.note,) if not np.isfinite(permuted.p_value) else ())),
    )


def _accuracy(name: str, value: float, interval: Any, role: Any) -> Score:
    return Score(name=name, value=value, low=float(interval[0]), high=float(interval[1]), role=role)


def _baseline(found: baselines.BaselineResult) -> Score:
    return _accuracy(found.name, found.metrics["accuracy"], found.metrics["interval"], "baseline")


def _shown(found: baselines.BaselineResult, *names: str) -> dict[str, Any]:
    scores = {name: found.metrics[name] for name in names}
    return {**scores, "description": found.description, "settings": found.settings, "seconds": found.seconds}


def _judge_forecast(model: nn.Module, preprocess: Preprocess, windows: Windows, split: Split) -> Judgment:
    parts, thinned = _parts(windows, split, None)
    X, y = parts["test"]
    predicted = preprocess.restore(outputs(model, windows, split.test))
    scores = metrics.forecast_scores(y, predicted, last=X[:, :, -1])
    others = [baselines.persistence(parts["test"]), baselines.ridge_forecaster(*parts.values())]
    errors = {"net": scores.nrmse**2} | {each.name: np.square(each.metrics["nrmse"]) for each in others}
    names = ("mean_nrmse", "mean_r2", "mean_skill", "nrmse", "r2", "skill")
    return Judgment(
        metric="squared error over variance",
        greater_is_better=False,
        scores=tuple(
            Score(name=name, value=float(error.mean()), role="model" if name == "net" else "baseline")
            for name, error in errors.items()
        ),
        n_test=scores.n,
        numbers={
            "net": {**{name: getattr(scores, name) for name in names}, "error": float(errors["net"].mean())},
            "baselines": {
                each.name: {**_shown(each, *names), "error": float(errors[each.name].mean())} for each in others
            },
        },
        forecast=Forecast(horizon=(np.arange(windows.horizon) + 1) / windows.rate, mse=errors),
        warnings=thinned,
    )


def _parts(
    windows: Windows, split: Split, preprocess: Preprocess | None
) -> tuple[dict[str, tuple[Array, Array]], tuple[str, ...]]:
    """Return inputs and targets of each part, the train part thinned to what fits in memory."""
    most = max(1, BASELINE_VALUES // (windows.n_channels * windows.span))
    found, notes = {}, []
    for name, indices in split.parts.items():
        kept = indices
        if name == "train" and len(indices) > most:
            kept = indices[np.linspace(0, len(indices) - 1, most).astype(np.int64)]
            notes.append(f"the baselines learned from {most} of {len(indices)} train windows, to fit in memory")
        data = WindowDataset(windows, kept, transform=None if preprocess is None else preprocess.apply)
        X, y = data.batch(np.arange(len(kept)))
        found[name] = (X.numpy(), y.numpy())
    return found, tuple(notes)
