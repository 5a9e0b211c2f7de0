from .analysis import PARTS, analyze, read_track
from .curvature import CurvatureSettings
from .dataset import read_dataset, save_spectra, to_dataset
from .truncating import save_weights, truncate_run

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
