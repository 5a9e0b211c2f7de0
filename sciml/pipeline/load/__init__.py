"""Opening what a run learns from: files, the signals and trials in them, the events or the target that label them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
