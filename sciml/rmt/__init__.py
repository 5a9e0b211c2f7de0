"""Random-matrix laws of a one-dimensional spectrum and a shape: bulk, edge, noise level, shrinkage.

Conventions: X has `n_samples` rows and `n_features` columns, eigenvalues are those of X^H X / n_samples,
gamma = n_features / n_samples may be any positive number. A matrix seen by its singular values has
beta = short side / long side, in (0, 1]. Only `scaling`, `surrogates` and `parallel`
take matrices: they look at the data themselves.
"""

from sciml.rmt import edges, laws, parallel, rank, scaling, shrink, sigma, surrogates, thresholds

__all__ = ["edges", "laws", "parallel", "rank", "scaling", "shrink", "sigma", "surrogates", "thresholds"]
