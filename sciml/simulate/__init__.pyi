from .noise import ar1_noise
from .nwb import write_nwb
from .phantom import Phantom, smooth_phantom
from .population import NoiseTruth, Simulation, population_recording
from .signals import direction_tuning, evoked, low_rank_signal

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
