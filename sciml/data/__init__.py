"""From recordings to what a net is trained on: channels by name, windows, splits that do not leak, the first layer.

The only room that knows both xarray and torch. Names load on first use, so that files are opened before torch is.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from sciml.data.cutting import sliding_windows, windows_around
    from sciml.data.layer import Preprocessed, PreprocessLayer
    from sciml.data.preprocess import Preprocess
    from sciml.data.recordings.channels import agree, channel_names
    from sciml.data.recordings.concat import Piece, Spans, end_to_end
    from sciml.data.recordings.spikes import count_events, root_of_counts
    from sciml.data.splits import Block, Split, folds_by, split_by, split_by_time, split_by_unit
    from sciml.data.targets import values_at, with_targets
    from sciml.data.windows import WindowDataset, Windows

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "recordings.channels": ["agree", "channel_names"],
        "recordings.concat": ["Piece", "Spans", "end_to_end"],
        "cutting": ["sliding_windows", "windows_around"],
        "layer": ["PreprocessLayer", "Preprocessed"],
        "preprocess": ["Preprocess"],
        "recordings.spikes": ["count_events", "root_of_counts"],
        "splits": ["Block", "Split", "folds_by", "split_by", "split_by_time", "split_by_unit"],
        "targets": ["values_at", "with_targets"],
        "windows": ["WindowDataset", "Windows"],
    },
)

__all__ = [
    "Block",
    "Piece",
    "Preprocess",
    "PreprocessLayer",
    "Preprocessed",
    "Spans",
    "Split",
    "WindowDataset",
    "Windows",
    "agree",
    "channel_names",
    "count_events",
    "end_to_end",
    "folds_by",
    "root_of_counts",
    "sliding_windows",
    "split_by",
    "split_by_time",
    "split_by_unit",
    "values_at",
    "windows_around",
    "with_targets",
]
