"""What a net has learned, read from spectra: its weight matrices against the laws of noise."""

from sciml.spectra import convolution, matrices, weights
from sciml.spectra.weights import LayerSpectrum, WeightSpectra, weight_spectra

__all__ = ["LayerSpectrum", "WeightSpectra", "convolution", "matrices", "weight_spectra", "weights"]
