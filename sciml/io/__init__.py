"""Recordings in and out of HDF5: open lazily in physical values with clock and tables, and save without loss.

Which formats are read, and which of them were tried on files of laboratories, is in `docs/formats.md`; how another is
added, in `CONTRIBUTING.md`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
