"""Gaussian-process and tangent kernels of wide nets: what a net of infinite width is before and during training."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
