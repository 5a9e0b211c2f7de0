"""What a net has learned, read from spectra: weights, activations and Jacobians against the laws of random matrices."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
