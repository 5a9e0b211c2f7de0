"""Applying a trained run to other recordings: where to look, what the net says there, how far that can be trusted."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
