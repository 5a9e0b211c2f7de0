"""Products of random matrices: the Jacobian of a deep net at its start.

`FussCatalan` is the law of deep linear Gaussian nets, `JacobianLaw` that of nets with any activation and Gaussian or
orthogonal weights, both in the limit of wide layers; `jacobian_fluctuation` says how single nets of finite width
scatter.
"""

from sciml.theory.products.fluctuation import Fluctuation, jacobian_fluctuation
from sciml.theory.products.fuss_catalan import FussCatalan
from sciml.theory.products.jacobian import JacobianLaw

__all__ = ["Fluctuation", "FussCatalan", "JacobianLaw", "jacobian_fluctuation"]
