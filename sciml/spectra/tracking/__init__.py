"""Spectra followed while a net trains, within a budget of its time."""

from sciml.spectra.tracking.measures import Hessian, Measure, Weights
from sciml.spectra.tracking.track import SpectrumTrack
from sciml.spectra.tracking.tracker import SpectrumTracker, TrackStore

__all__ = ["Hessian", "Measure", "SpectrumTrack", "SpectrumTracker", "TrackStore", "Weights"]
