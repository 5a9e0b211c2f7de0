"""The configuration of a run: its tables and keys, and how it is read, checked and written."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
