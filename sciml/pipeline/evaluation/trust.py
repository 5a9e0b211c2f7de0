"""How far scores can be trusted: what probabilities mean, coverage, scores of each unit, windows told worst."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sciml._typing import AnyArray, FloatArray
from sciml.data import Split, Windows
from sciml.report import Reliability, UnitScores
from sciml.train import (
    Calibration,
    ConformalIntervals,
    ConformalSets,
    calibrate,
    conformal_intervals,
    conformal_sets,
    metrics,
    reliability_table,
)

__all__ = [
    "FittedIntervals",
    "FittedProbabilities",
    "against_mean",
    "fit_intervals",
    "fit_probabilities",
    "interval_numbers",
    "means_by_unit",
    "reliability_of",
    "scores_by_unit",
    "worst",
]

CONFIDENCE = 0.9  # of conformal sets and intervals
SHOWN = 10  # windows that were told worst


@dataclass(frozen=True, eq=False)
class FittedProbabilities:
    """Of one fold: the temperature and the rule of sets, from the validation part; what they give on the test part."""

    calibration: Calibration
    rule: ConformalSets
    probability: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Return what a prediction needs, and how it was fitted."""
        return {"calibration": self.calibration.to_dict(), "sets": self.rule.to_dict()}


@dataclass(frozen=True, eq=False)
class FittedIntervals:
    """Of one fold: the rule of intervals, from the validation part; their coverage of each output on the test part."""

    rule: ConformalIntervals
    coverage: FloatArray
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Return what a prediction needs, and how it was fitted."""
        return {"intervals": self.rule.to_dict()}


def fit_probabilities(logits: AnyArray, labels: AnyArray, test_logits: AnyArray) -> FittedProbabilities:
    """Fit a temperature, and a rule of sets, to the validation part; the epoch was chosen on it too."""
    found = calibrate(logits, labels)
    rule = conformal_sets(found.apply(logits), labels, confidence=CONFIDENCE)
    return FittedProbabilities(found, rule, found.apply(test_logits))


def fit_intervals(
    predicted: AnyArray, target: AnyArray, test_predicted: AnyArray, test_target: AnyArray
) -> FittedIntervals:
    """Fit a rule of intervals to the validation part, and see what it covers of the test part."""
    rule = conformal_intervals(predicted, target, confidence=CONFIDENCE)
    return FittedIntervals(rule, rule.coverage(test_predicted, test_target), len(test_target))


def reliability_of(
    fitted: Sequence[FittedProbabilities], logits: AnyArray, labels: AnyArray
) -> tuple[Reliability, dict[str, Any]]:
    """Return what calibrated probabilities mean on the test parts of all folds, and the numbers of it."""
    probability = np.concatenate([each.probability for each in fitted])
    table = reliability_table(probability, labels)
    calibrated = np.log(np.maximum(probability, np.finfo(float).tiny))
    log_loss, brier = (
        (metrics.METRICS[name](logits, labels), metrics.METRICS[name](calibrated, labels))
        for name in ("log_loss", "brier")
    )
    found = Reliability(
        confidence=table.confidence,
        accuracy=table.accuracy,
        count=table.count,
        temperature=tuple(each.calibration.temperature for each in fitted),
        log_loss=log_loss,
        brier=brier,
    )
    numbers = {
        "folds": [each.to_dict() for each in fitted],
        "log_loss": log_loss,
        "brier": brier,
        "reliability": table.to_dict(),
        "sets": _coverage(fitted, labels),
    }
    return found, numbers


def _coverage(fitted: Sequence[FittedProbabilities], labels: AnyArray) -> dict[str, Any]:
    """Return which part of the test windows had their class in their set, and how many classes a set holds."""
    sets = np.concatenate([each.rule.sets(each.probability) for each in fitted])
    return {
        "confidence": CONFIDENCE,
        "coverage": float(sets[np.arange(len(labels)), labels].mean()),
        "mean_size": float(sets.sum(axis=1).mean()),
    }


def interval_numbers(fitted: Sequence[FittedIntervals]) -> dict[str, Any]:
    """Return the rules of all folds, and which part of the test windows their intervals covered, of each output."""
    n = [each.n for each in fitted]
    return {
        "folds": [each.to_dict() for each in fitted],
        "confidence": CONFIDENCE,
        "coverage": np.average([each.coverage for each in fitted], axis=0, weights=n),
    }


def scores_by_unit(
    name: str, outputs: AnyArray, targets: AnyArray, indices: AnyArray, split: Split
) -> UnitScores | None:
    """Return a score of each unit of independence with test windows; None of fewer than two.

    Parameters
    ----------
    name
        Of a score in `sciml.train.metrics.METRICS`.
    outputs, targets, indices
        Of the test windows of all folds.
    split
        One of them: all number their units alike.
    """
    metric = metrics.METRICS[name]

    def score(rows: AnyArray) -> float:
        return metric(outputs[rows], targets[rows])

    return _by_unit(name.replace("_", " "), score, indices, split, in_percent=name == "accuracy")


def against_mean(
    low: float | None, high: float | None, *, nothing: float, greater_is_better: bool
) -> tuple[bool | None, str]:
    """Return whether a score is better than that of who names the mean of the held-out windows, and that in words.

    Better, or worse, is what the whole 95 % interval is; None where units are too few for an interval.
    """
    if low is None or high is None:
        return None, "not testable: one unit of independence in the held-out part has no interval; more units, or folds"
    better, worse = (low > nothing, high < nothing) if greater_is_better else (high < nothing, low > nothing)
    what = f"than the mean of these windows, which scores {nothing:g}"
    if better:
        return True, f"better {what}"
    return False, f"worse {what}" if worse else f"not shown to be better {what}"


def means_by_unit(name: str, values: AnyArray, indices: AnyArray, split: Split) -> UnitScores | None:
    """Return the mean of a value of each window in each unit; None of fewer than two units."""
    return _by_unit(name, lambda rows: float(np.mean(values[rows])), indices, split)


def _by_unit(
    name: str, score: Callable[[AnyArray], float], indices: AnyArray, split: Split, *, in_percent: bool = False
) -> UnitScores | None:
    units = split.block[indices]
    present = np.unique(units)
    if len(present) < 2:
        return None
    values = np.array([score(units == unit) for unit in present])
    known = np.isfinite(values)
    return UnitScores(
        unit=split.unit,
        metric=name,
        names=tuple(split.blocks[unit].name or f"{split.unit} {unit + 1}" for unit in present[known].tolist()),
        values=values[known],
        count=np.array([np.count_nonzero(units == unit) for unit in present[known]]),
        whole=score(np.ones(len(units), dtype=np.bool_)),
        in_percent=in_percent,
    )


def worst(
    windows: Windows, indices: AnyArray, loss: AnyArray, said: Mapping[str, Sequence[Any]]
) -> tuple[dict[str, Any], ...]:
    """Return the windows of largest loss as rows: file, time, and what was said of them."""
    order = np.argsort(-loss, kind="stable")[:SHOWN]
    files = windows.units.get("file")
    source = str(windows.recording.attrs.get("source", ""))
    return tuple(
        {
            "file": source if files is None else str(files[indices[k]]),
            "start [s]": float(windows.times[indices[k]]),
            **{name: values[k] for name, values in said.items()},
        }
        for k in order.tolist()
    )
