r"""Singular values of the Jacobians of a net on real inputs, beside the law of random weights.

.. math:: J(x) = \frac{\partial f(x)}{\partial x}, \qquad f \text{ from the input, or a module's output, to another's}

Every product with J or its transpose is formed by reverse differentiation alone, which group norms, attention and
recurrent layers have too.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
