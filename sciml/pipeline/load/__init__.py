"""Opening what a run learns from: files, the signals and trials in them, the events or the target that label them."""

from sciml.pipeline.load.loaded import (
    LABELED,
    GroundTruth,
    Loaded,
    check_column,
    check_files,
    check_inputs,
    ground_truth,
    labels,
    load,
)

__all__ = [
    "LABELED",
    "GroundTruth",
    "Loaded",
    "check_column",
    "check_files",
    "check_inputs",
    "ground_truth",
    "labels",
    "load",
]
