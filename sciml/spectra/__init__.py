"""What a net has learned, read from spectra: weights, activations and Jacobians against the laws of random matrices."""

from sciml.spectra import activations, convolution, curvature, jacobian, matrices, truncation, weights
from sciml.spectra.activations import ActivationSpectra, ActivationSpectrum, activation_spectra, neural_collapse
from sciml.spectra.curvature import (
    CurvatureOperator,
    TopEigenvalues,
    as_loss,
    fisher,
    gauss_newton,
    gradient_covariance,
    hessian,
    top_eigenvalues,
)
from sciml.spectra.jacobian import JacobianSpectrum, jacobian_spectrum
from sciml.spectra.truncation import Truncation, truncate
from sciml.spectra.weights import LayerSpectrum, WeightSpectra, weight_spectra

__all__ = [
    "ActivationSpectra",
    "ActivationSpectrum",
    "CurvatureOperator",
    "JacobianSpectrum",
    "LayerSpectrum",
    "TopEigenvalues",
    "Truncation",
    "WeightSpectra",
    "activation_spectra",
    "activations",
    "as_loss",
    "convolution",
    "curvature",
    "fisher",
    "gauss_newton",
    "gradient_covariance",
    "hessian",
    "jacobian",
    "jacobian_spectrum",
    "matrices",
    "neural_collapse",
    "top_eigenvalues",
    "truncate",
    "truncation",
    "weight_spectra",
    "weights",
]
