r"""Singular values of the Jacobians of a net on real inputs, beside the law of random weights.

.. math:: J(x) = \frac{\partial f(x)}{\partial x}, \qquad f \text{ from the input, or a module's output, to another's}

Every product with J or its transpose is formed by reverse differentiation alone, which group norms, attention and
recurrent layers have too.
"""

from sciml.spectra.jacobian.result import JacobianSpectrum
from sciml.spectra.jacobian.spectrum import jacobian_spectrum

__all__ = ["JacobianSpectrum", "jacobian_spectrum"]
