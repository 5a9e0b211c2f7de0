"""What a net has learned, read from spectra: weights, activations and Jacobians against the laws of random matrices."""

from sciml.spectra import activations, convolution, jacobian, matrices, truncation, weights
from sciml.spectra.activations import ActivationSpectra, ActivationSpectrum, activation_spectra, neural_collapse
from sciml.spectra.jacobian import JacobianSpectrum, jacobian_spectrum
from sciml.spectra.truncation import Truncation, truncate
from sciml.spectra.weights import LayerSpectrum, WeightSpectra, weight_spectra

__all__ = [
    "ActivationSpectra",
    "ActivationSpectrum",
    "JacobianSpectrum",
    "LayerSpectrum",
    "Truncation",
    "WeightSpectra",
    "activation_spectra",
    "activations",
    "convolution",
    "jacobian",
    "jacobian_spectrum",
    "matrices",
    "neural_collapse",
    "truncate",
    "truncation",
    "weight_spectra",
    "weights",
]
