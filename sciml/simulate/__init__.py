"""Recordings with a known truth: signal of known rank in noise of known spectrum, and files that carry both."""

from sciml.simulate.noise import ar1_noise
from sciml.simulate.nwb import write_nwb
from sciml.simulate.phantom import Phantom, smooth_phantom
from sciml.simulate.population import NoiseTruth, Simulation, population_recording
from sciml.simulate.signals import direction_tuning, evoked, low_rank_signal

__all__ = [
    "NoiseTruth",
    "Phantom",
    "Simulation",
    "ar1_noise",
    "direction_tuning",
    "evoked",
    "low_rank_signal",
    "population_recording",
    "smooth_phantom",
    "write_nwb",
]
