"""Products of random matrices: the Jacobian of a deep net at its start.

`FussCatalan` is the law of deep linear Gaussian nets, `JacobianLaw` that of nets with any activation and Gaussian or
orthogonal weights, `ProductLaw` that of any plain net, its widths and activations unequal, all in the limit of wide
layers; `jacobian_fluctuation` says how single nets of finite width scatter.
"""

from sciml.theory.products.chain import Factor, Gaussian, Isometry, ProductLaw, Slopes, slopes_of
from sciml.theory.products.fluctuation import Fluctuation, jacobian_fluctuation
from sciml.theory.products.fuss_catalan import FussCatalan
from sciml.theory.products.jacobian import JacobianLaw

__all__ = [
    "Factor",
    "Fluctuation",
    "FussCatalan",
    "Gaussian",
    "Isometry",
    "JacobianLaw",
    "ProductLaw",
    "Slopes",
    "jacobian_fluctuation",
    "slopes_of",
]
