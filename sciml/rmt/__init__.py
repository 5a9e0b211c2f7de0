"""Random-matrix laws of a one-dimensional spectrum and a shape: bulk, edge, noise level, shrinkage.

Conventions: X has `n_samples` rows and `n_features` columns, eigenvalues are those of X^H X / n_samples,
gamma = n_features / n_samples may be any positive number. A matrix seen by its singular values has
beta = short side / long side, in (0, 1]. Only `scaling` and some rules
of `rank` take matrices: they look at the data themselves.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
