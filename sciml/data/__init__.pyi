from .cutting import sliding_windows, windows_around
from .layer import Preprocessed, PreprocessLayer
from .preprocess import Preprocess
from .recordings.channels import agree, channel_names
from .recordings.concat import Piece, Spans, end_to_end
from .recordings.spikes import count_events, root_of_counts
from .splits import (
    Block,
    Split,
    folds_by,
    split_by,
    split_by_time,
    split_by_unit,
)
from .targets import values_at, with_targets
from .windows import WindowDataset, Windows

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
