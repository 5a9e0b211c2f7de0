"""The noise level: from a spectrum in which most eigenvalues are noise, or from what is known to be noise."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
