"""Products of random matrices: the Jacobian of a deep net at its start.

`FussCatalan` is the law of deep linear Gaussian nets, `JacobianLaw` that of nets with any activation and Gaussian or
orthogonal weights, `ProductLaw` that of any plain net, its widths and activations unequal, all in the limit of wide
layers; `jacobian_fluctuation` says how single nets of finite width scatter.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
