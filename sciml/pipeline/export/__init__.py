"""A trained run as two files to hand on: weights as safetensors, and JSON that says what they are for."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
