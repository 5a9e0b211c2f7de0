"""Steps of an optimizer: which one, how large, on what, and what is added up over an epoch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
