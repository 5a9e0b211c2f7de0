"""Spectra of symmetric operators that are known by their products alone: ends, densities, traces, diagonals.

An operator is anything with `shape` (n, n) and `operator @ V` for V of shape (n, k): a NumPy array, a torch tensor, a
SciPy `LinearOperator`, a curvature operator of `sciml.spectra`. Long vectors stay what the operator's products are (in
memory or on a GPU); what is projected is small and in double precision.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
