"""Recordings with a known truth: signal of known rank in noise of known spectrum, and files that carry both."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
