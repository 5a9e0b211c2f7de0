from .loaded import (
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
