"""Curvature of the loss: Hessian, Gauss-Newton matrix, Fisher information, as operators; their spectra."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
