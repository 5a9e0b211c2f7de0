"""The spectra of a run's net: the net as it is and as it began, on the windows that it learned from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
