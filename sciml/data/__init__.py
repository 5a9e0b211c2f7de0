"""From recordings to what a net is trained on: channels by name, windows, splits that do not leak, the first layer.

The only room that knows both xarray and torch. Names load on first use, so that files are opened before torch is.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
