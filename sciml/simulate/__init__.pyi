from .detectors import germanium_pulses, neutron_events, photon_frames
from .electrodes import probe_recording
from .images import particle_images
from .imaging import diffusion_phantom, two_photon_movie
from .noise import ar1_noise
from .nwb import write_nwb
from .phantom import Phantom, smooth_phantom
from .population import NoiseTruth, Simulation, population_recording
from .signals import direction_tuning, evoked, low_rank_signal
from .simulated import Simulated
from .waves import fiber_recording, inspiral_strain

__all__ = [
    "NoiseTruth",
    "Phantom",
    "Simulated",
    "Simulation",
    "ar1_noise",
    "diffusion_phantom",
    "direction_tuning",
    "evoked",
    "fiber_recording",
    "germanium_pulses",
    "inspiral_strain",
    "low_rank_signal",
    "neutron_events",
    "particle_images",
    "photon_frames",
    "population_recording",
    "probe_recording",
    "smooth_phantom",
    "two_photon_movie",
    "write_nwb",
]
