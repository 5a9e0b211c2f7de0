"""What tasks share in evaluating a trained model on the part that nothing was chosen by, next to simpler models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml._typing import AnyArray, FloatArray
from sciml.data import Preprocess, Split, WindowDataset, Windows
from sciml.data.leakage import SessionTest, session_test
from sciml.train.baselines import BaselineResult, Part, covariance_classifier

__all__ = [
    "BaselineParts",
    "Tested",
    "baseline_numbers",
    "covariances_by_session",
    "model_outputs",
    "outputs_of",
    "parts_for_baselines",
    "pool",
    "rows_at_once",
]

BASELINE_VALUES = 2**28  # of a part that a baseline is fitted on; larger parts are thinned evenly
BATCH = 64
COVARIANCE = "covariance"  # name of the baseline that the session test is made with
ACTIVATIONS, WIDTH = 2**23, 256  # values of one layer of a net as wide as this


@dataclass(frozen=True, eq=False)
class Tested:
    """What a model and its baselines say of windows that nothing was chosen by.

    Attributes
    ----------
    indices
        The windows, shape (n,).
    targets, outputs
        What is to be told of them, shape (n, ...), and what the model puts out, in units that the task knows.
    validation
        Targets and outputs of the validation part.
    baselines
        What simpler models say of the same windows.
    fitted
        What was fitted to the validation part of each fold, to say how sure the model is.
    last
        The last sample of each window, shape (n, channel), where the next ones are to be told.
    notes
        What the reader should know of it.
    """

    indices: NDArray[np.int64]
    targets: AnyArray
    outputs: AnyArray
    validation: tuple[AnyArray, AnyArray]
    baselines: tuple[BaselineResult, ...] = ()
    fitted: tuple[Any, ...] = ()
    last: AnyArray | None = None
    notes: tuple[str, ...] = ()


def pool(folds: Sequence[Tested]) -> Tested:
    """Return what was said in all folds, one after the other; what is one fold stays what it is."""
    if len(folds) == 1:
        return folds[0]
    return Tested(
        indices=np.concatenate([each.indices for each in folds]),
        targets=np.concatenate([each.targets for each in folds]),
        outputs=np.concatenate([each.outputs for each in folds]),
        validation=_both([each.validation for each in folds]),
        baselines=tuple(_pooled(same) for same in zip(*(each.baselines for each in folds), strict=True)),
        fitted=tuple(fitted for each in folds for fitted in each.fitted),
        last=None if folds[0].last is None else np.concatenate([np.asarray(each.last) for each in folds]),
        notes=tuple(dict.fromkeys(note for each in folds for note in each.notes)),
    )


def _both(parts: Sequence[tuple[AnyArray, AnyArray]]) -> tuple[AnyArray, AnyArray]:
    targets, outputs = zip(*parts, strict=True)
    return np.concatenate(targets), np.concatenate(outputs)


def _pooled(same: Sequence[BaselineResult]) -> BaselineResult:
    """Return one baseline over all folds; its scores are left to who evaluates it."""
    return BaselineResult(
        same[0].name,
        same[0].description,
        metrics={},
        settings={f"fold {k}": each.settings for k, each in enumerate(same, start=1)},
        seconds=sum(each.seconds for each in same),
        predicted=np.concatenate([each.predicted for each in same]),
        logits=None if same[0].logits is None else np.concatenate([np.asarray(each.logits) for each in same]),
    )


def covariances_by_session(
    windows: Windows, tested: Tested, splits: Sequence[Split], preprocess: Preprocess, *, seed: int
) -> SessionTest | None:
    """Return how covariances score on the split that is used, and with whole sessions held out.

    None where windows have no classes, the task has no such baseline, or no session has windows in two parts.
    """
    known = next((each for each in tested.baselines if each.name == COVARIANCE), None)
    if known is None or windows.labels is None:
        return None

    def classify(*parts: tuple[AnyArray, NDArray[Any]]) -> NDArray[Any]:
        clean = [(preprocess.apply(X), y) for X, y in parts]
        return covariance_classifier(*clean, n_classes=len(windows.classes)).predicted

    on_split = float(np.mean(known.predicted == tested.targets))
    return session_test(windows, splits, classify, on_split=on_split, seed=seed)


def model_outputs(model: nn.Module, windows: Windows, indices: AnyArray) -> FloatArray:
    """Return what a model says of windows, in float64: shape (n, class) or (n, channel, horizon)."""
    rows = rows_at_once(windows)
    return np.concatenate(
        [
            outputs_of(model, windows.arrays(indices[start : start + rows])[0], rows)
            for start in range(0, len(indices), rows)
        ]
    )


def rows_at_once(windows: Windows) -> int:
    """Return how many windows a net is given at once: few of long ones, whose activations would not fit."""
    return int(np.clip(ACTIVATIONS // (windows.length * max(windows.n_channels, WIDTH)), 1, BATCH))


def outputs_of(model: nn.Module, X: NDArray[np.float32], rows: int) -> FloatArray:
    """Return what a model says of windows (n, channel, time), in float64.

    The model is always given `rows` windows, the last ones for filling up: of how many others a window is in a batch
    would else change the last digits of what is said of it.
    """
    model.eval()
    device = next(model.parameters()).device
    full = np.concatenate([X, np.repeat(X[-1:], rows - len(X), axis=0)]) if len(X) < rows else X
    with torch.no_grad():
        found: FloatArray = model(torch.from_numpy(full).to(device)).double().cpu().numpy()
    return found[: len(X)]


@dataclass(frozen=True, eq=False)
class BaselineParts:
    """Inputs and targets of each part, how much each train window counts (None: alike), and what is to be known."""

    train: Part
    validation: Part
    test: Part
    weights: FloatArray | None
    notes: tuple[str, ...]

    @property
    def all(self) -> tuple[Part, Part, Part]:
        """The three parts."""
        return self.train, self.validation, self.test


def parts_for_baselines(windows: Windows, split: Split, preprocess: Preprocess | None) -> BaselineParts:
    """Return what baselines learn from and are tested on, the train part thinned to what fits in memory."""
    most, kept = max(1, BASELINE_VALUES // (windows.n_channels * windows.span)), split.train
    notes: tuple[str, ...] = ()
    if len(kept) > most:
        kept = kept[np.linspace(0, len(kept) - 1, most).astype(np.int64)]
        notes = (f"the baselines learned from {most} of {len(split.train)} train windows, to fit in memory",)
    transform = None if preprocess is None else preprocess.scaled
    weights = None if windows.weights is None else windows.weights[kept]
    train, validation, test = (
        _arrays(WindowDataset(windows, each, transform=transform)) for each in (kept, split.validation, split.test)
    )
    return BaselineParts(train, validation, test, weights, notes)


def _arrays(part: WindowDataset) -> Part:
    X, y = part.batch(np.arange(len(part)))
    return X.numpy(), y.numpy()


def baseline_numbers(found: BaselineResult, scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `metrics.json` holds of a baseline: its scores, and how it came to them."""
    return {**scores, "description": found.description, "settings": found.settings, "seconds": found.seconds}
