"""From one validated configuration to a run directory, and from there to predictions.

Names load on first use, so that a mistake in a configuration is found before torch is loaded.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
