"""The spectra of a run's net: the net as it is and as it began, on the windows that it learned from."""

from sciml.pipeline.spectra.analysis import PARTS, analyze, read_track
from sciml.pipeline.spectra.curvature import CurvatureSettings
from sciml.pipeline.spectra.dataset import read_dataset, save_spectra, to_dataset
from sciml.pipeline.spectra.truncating import save_weights, truncate_run

__all__ = [
    "PARTS",
    "CurvatureSettings",
    "analyze",
    "read_dataset",
    "read_track",
    "save_spectra",
    "save_weights",
    "to_dataset",
    "truncate_run",
]
