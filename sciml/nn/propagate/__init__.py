"""How signals and gradients travel through a net: measured on a batch, beside what mean-field theory says of it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
