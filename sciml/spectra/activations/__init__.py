"""What the layers of a net read: the spectrum of its covariance, beside what random weights would give.

`activation_spectra` takes a sample of inputs through a net and looks at what each weight layer reads: the eigenvalues
of its covariance and their participation ratio, how many of them stand above units that share nothing, the law of
random weights for what that layer's source would give, and, with labels, how far classes have collapsed.
"""

from sciml.spectra.activations.collapse import Collapse, neural_collapse
from sciml.spectra.activations.result import ActivationSpectra, ActivationSpectrum
from sciml.spectra.activations.spectrum import activation_spectra, input_components

__all__ = [
    "ActivationSpectra",
    "ActivationSpectrum",
    "Collapse",
    "activation_spectra",
    "input_components",
    "neural_collapse",
]
