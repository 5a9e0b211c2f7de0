from .collapse import Collapse, neural_collapse
from .result import ActivationSpectra, ActivationSpectrum
from .spectrum import activation_spectra, input_components

__all__ = [
    "ActivationSpectra",
    "ActivationSpectrum",
    "Collapse",
    "activation_spectra",
    "input_components",
    "neural_collapse",
]
