"""How many eigenvalues are more than noise: tests with p-values, thresholds, surrogates, and their consensus."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
