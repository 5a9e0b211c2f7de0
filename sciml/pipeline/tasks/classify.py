"""To name the class of a window around an event: labels, accuracy beside chance, linear baselines."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from torch import nn

from sciml._typing import AnyArray
from sciml.data import Preprocess, Preprocessed, Split, Windows, windows_around
from sciml.data.permutation import PermutationTest, exchangeable, permutation_test
from sciml.pipeline.config import Config
from sciml.pipeline.evaluation import Tested, baseline_numbers, model_outputs, parts_for_baselines
from sciml.pipeline.evaluation.trust import fit_probabilities, reliability_of, scores_by_unit, worst
from sciml.pipeline.load import Loaded, check_column, labels
from sciml.pipeline.tasks.durations import trial_length
from sciml.report import Chance, Evaluation, Score
from sciml.train import baselines, metrics, probabilities
from sciml.wording import percent

__all__ = ["Classify"]

# of each model, in `metrics.json`
SHOWN = ("accuracy", "interval", "balanced_accuracy", "auc", "log_loss", "brier", "intervals")


class Classify:
    """Which class, of a window around an event."""

    loss = "cross_entropy"
    score = "accuracy"
    greater_is_better = True
    columns: tuple[str, ...] = ("model", "accuracy", "95 % interval")

    def labels(self, config: Config) -> tuple[str, str]:
        """Return the table and the column that `data.labels` names."""
        return labels(config)

    def defaults(self, config: Config, loaded: Loaded) -> Config:
        """Take the median trial as the length of a window; denoise; leave the net as it is."""
        assert loaded.events is not None  # noqa: S101 - loaded with the table of labels
        check_column(loaded.events, loaded.label)
        length, typical = trial_length(config, loaded.events)
        return config.decided(
            windows={"length": length, "step": None, "horizon": None},
            denoise=True,
            options={},
            typical=typical,
        )

    def windows(self, config: Config, loaded: Loaded) -> Windows:
        """Cut a window around each event."""
        assert loaded.events is not None  # noqa: S101 - loaded with the table of labels
        return windows_around(
            loaded.samples(config.data.missing),
            loaded.events,
            label=loaded.label,
            before=config.windows.before,
            length=config.windows.length or 0.0,
            weight=config.data.weights or "",
            least=config.data.labels_min,
            missing=config.data.missing,
        )

    def output_shape(self, windows: Windows) -> list[int]:
        """Return one logit a class."""
        return [len(windows.classes)]

    def target(self, windows: Windows) -> dict[str, Any]:  # noqa: ARG002 (other tasks ask the recording)
        """Return one class a window."""
        return {"dims": ["window"], "unit": "class"}

    def assemble(self, preprocess: Preprocess, net: nn.Module) -> nn.Module:
        """Return preprocessing and net, one after the other."""
        return Preprocessed(preprocess.as_module(), net)

    def test(self, model: nn.Module, preprocess: Preprocess, windows: Windows, split: Split, *, seed: int) -> Tested:
        """Return logits, and the classes that baselines behind the preprocessing name."""
        parts = parts_for_baselines(windows, split, preprocess)
        n_classes, weights, known = len(windows.classes), parts.weights, parts.validation[1]
        test, validation = (model_outputs(model, windows, part) for part in (split.test, split.validation))
        return Tested(
            split.test,
            parts.test[1],
            test,
            (known, validation),
            (
                baselines.linear_classifier(*parts.all, n_classes=n_classes, weights=weights),
                baselines.covariance_classifier(*parts.all, n_classes=n_classes, weights=weights),
                baselines.kernel_classifier(*parts.all, n_classes=n_classes, weights=weights, seed=seed),
                baselines.gaussian_classifier(*parts.all, n_classes=n_classes, weights=weights, seed=seed),
                baselines.majority(parts.train, parts.test, n_classes=n_classes),
            ),
            (fit_probabilities(validation, known, test),),
            notes=parts.notes,
        )

    def evaluate(self, tested: Tested, windows: Windows, splits: Sequence[Split], *, seed: int) -> Evaluation:
        """Compare accuracy with that of labels exchanged at the unit of independence, with chance, with baselines."""
        labels, units, rng = tested.targets, splits[0].block[tested.indices], np.random.default_rng(seed)
        predicted = tested.outputs.argmax(axis=1)
        permuted = permutation_test(labels, predicted, exchangeable(windows, splits), rng=rng)
        said = {"net": (predicted, tested.outputs)} | {
            each.name: (each.predicted, each.logits) for each in tested.baselines
        }
        others = {
            name: metrics.classification_scores(
                labels, named, n_classes=len(windows.classes), logits=logits, units=units, rng=rng
            )
            for name, (named, logits) in said.items()
        }
        scores = others.pop("net")
        chance = _chance(scores, permuted)
        reliability, calibration = reliability_of(tested.fitted, tested.outputs, labels)
        return Evaluation(
            metric="accuracy",
            greater_is_better=True,
            in_percent=True,
            scores=(_score("net", scores, "model"), *(_score(name, each) for name, each in others.items())),
            n_test=scores.n,
            chance=chance,
            confusion=scores.confusion,
            classes=windows.classes,
            numbers={
                "net": {**_shown(scores), "above_chance": chance.above},
                "chance": _chance_numbers(chance),
                "baselines": {
                    each.name: baseline_numbers(each, _shown(others[each.name])) for each in tested.baselines
                },
                "confusion": scores.confusion,
                "calibration": calibration,
            },
            reliability=reliability,
            by_unit=scores_by_unit("accuracy", tested.outputs, labels, tested.indices, splits[0]),
            worst=_worst(tested, windows),
            warnings=(*tested.notes, *((permuted.note,) if chance.above is None else ())),
        )

    def predict(
        self,
        outputs: AnyArray,
        windows: Windows,  # noqa: ARG002 (other tasks ask the recording)
        *,
        preprocess: Preprocess,  # noqa: ARG002
        classes: tuple[str, ...],
        labels: AnyArray | None,
        fitted: Mapping[str, Any],
    ) -> xr.Dataset:
        """Return logits, calibrated probabilities, the most probable class and a set of them, and the label if any."""
        temperature = fitted.get("calibration", {}).get("temperature", 1.0)
        probability = probabilities(outputs / temperature)
        names, said = np.array(classes, dtype=str), {"temperature": temperature}
        found = xr.Dataset(
            {
                "logits": (("window", "class"), outputs),
                "probabilities": (("window", "class"), probability, said),
                "predicted": ("window", names[outputs.argmax(axis=1)]),
            },
            coords={"class": names},
        )
        if "sets" in fitted:
            rule = fitted["sets"]
            least = -np.inf if rule["threshold"] is None else rule["threshold"]
            found["in_set"] = (("window", "class"), probability >= least, {"confidence": rule["confidence"]})
        if labels is not None:
            found["label"] = ("window", np.array([_name(label) for label in labels.tolist()], dtype=str))
        return found

    def question(self, config: Config, windows: Windows) -> tuple[str, str]:
        """Ask whether the class can be told from the window."""
        signal = windows.recording.attrs.get("signal", "the recording")
        _, column = self.labels(config)
        before = config.windows.before
        start = f", from {before:.3g} s before the event" if before else ""
        length = f"{windows.length / windows.rate:.3g} s"
        question = f"Can {column} ({', '.join(windows.classes)}) be told from {length} of {signal}{start}?"
        return f"{column.capitalize()} from {signal}", question

    def row(self, found: Mapping[str, Any]) -> tuple[str, ...]:
        """Return accuracy, and its interval where there are units enough for one."""
        low, high = found["interval"]
        interval = "too few units" if low is None else f"{percent(low)} to {percent(high)}"
        return percent(found["accuracy"]), interval


def _worst(tested: Tested, windows: Windows) -> tuple[dict[str, Any], ...]:
    """Return the windows whose class was given the least probability."""
    probability = np.concatenate([each.probability for each in tested.fitted])
    own = probability[np.arange(len(probability)), tested.targets]
    said = {
        "class": [windows.classes[k] for k in tested.targets],
        "told": [windows.classes[k] for k in probability.argmax(axis=1)],
        "probability of its class": own.tolist(),
    }
    return worst(windows, tested.indices, -own, said)


def _score(name: str, found: metrics.ClassificationScores, role: Any = "baseline") -> Score:
    low, high = (end if np.isfinite(end) else None for end in found.interval)
    return Score(name=name, value=found.accuracy, low=low, high=high, role=role)


def _shown(scores: metrics.ClassificationScores) -> dict[str, Any]:
    return {name: getattr(scores, name) for name in SHOWN}


def _chance(scores: metrics.ClassificationScores, permuted: PermutationTest) -> Chance:
    """Return the level and band of guessing, and whether labels are told better than exchanged ones."""
    chance, above = scores.chance, permuted.above_chance
    below = f"; to name always one class is right in {percent(chance.level)}" if scores.accuracy < chance.level else ""
    return Chance(
        level=chance.level,
        low=chance.low,
        high=chance.high,
        above=above,
        p_value=None if above is None else permuted.p_value,
        note=f"{permuted.note}{below}",
    )


def _chance_numbers(chance: Chance) -> dict[str, Any]:
    named = {"level": chance.level, "band": chance.band, "p_value": chance.p_value}
    return {**named, "test": chance.note, "verdict": chance.verdict}


def _name(label: Any) -> str:
    """Return a label as training names its classes."""
    if isinstance(label, bytes):
        return label.decode()
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)
