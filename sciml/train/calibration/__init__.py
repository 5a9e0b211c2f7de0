"""Probabilities that mean what they say, and sets and intervals that hold the truth as often as they promise."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
