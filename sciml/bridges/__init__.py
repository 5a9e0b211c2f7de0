"""From and to other packages: recordings of theirs become recordings of ours, with unit, rate, names and start."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
