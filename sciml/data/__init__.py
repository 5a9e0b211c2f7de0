"""From recordings to what a net is trained on: windows, splits that do not leak, and the net's first layer.

The only room that knows both xarray and torch.
"""

from sciml.data.preprocess import Preprocess, PreprocessLayer
from sciml.data.splits import Block, Split, folds_by, split_by, split_by_time, split_by_unit
from sciml.data.targets import values_at, with_targets
from sciml.data.windows import WindowDataset, Windows, sliding_windows, windows_around

__all__ = [
    "Block",
    "Preprocess",
    "PreprocessLayer",
    "Split",
    "WindowDataset",
    "Windows",
    "folds_by",
    "sliding_windows",
    "split_by",
    "split_by_time",
    "split_by_unit",
    "values_at",
    "windows_around",
    "with_targets",
]
