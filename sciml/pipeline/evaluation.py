"""What tasks share in evaluating a trained model on the part that nothing was chosen by, next to simpler models."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from sciml._typing import AnyArray, FloatArray
from sciml.data import Preprocess, Split, WindowDataset, Windows
from sciml.train.baselines import BaselineResult

__all__ = ["baseline_numbers", "model_outputs", "parts_for_baselines"]

BASELINE_VALUES = 2**28  # of a part that a baseline is fitted on; larger parts are thinned evenly
BATCH = 256


def model_outputs(model: nn.Module, windows: Windows, indices: AnyArray) -> FloatArray:
    """Return what a model says of windows, in float64: shape (n, class) or (n, channel, horizon)."""
    model.eval()
    device = next(model.parameters()).device
    found = []
    with torch.no_grad():
        for start in range(0, len(indices), BATCH):
            x = torch.from_numpy(windows.arrays(indices[start : start + BATCH])[0])
            found.append(model(x.to(device)).double().cpu().numpy())
    return np.concatenate(found)


def parts_for_baselines(
    windows: Windows, split: Split, preprocess: Preprocess | None
) -> tuple[dict[str, tuple[AnyArray, AnyArray]], tuple[str, ...]]:
    """Return inputs and targets of each part, the train part thinned to what fits in memory, and a note if it was."""
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


def baseline_numbers(found: BaselineResult, names: Sequence[str]) -> dict[str, Any]:
    """Return what `metrics.json` holds of a baseline: the scores of these names, and how it came to them."""
    scores = {name: found.metrics[name] for name in names}
    return {**scores, "description": found.description, "settings": found.settings, "seconds": found.seconds}
