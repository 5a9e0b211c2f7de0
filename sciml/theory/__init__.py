"""Theory of wide networks: what mean-field theory says before any training.

`kernels` is loaded when it is asked for: it stands on torch, the rest does not.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
