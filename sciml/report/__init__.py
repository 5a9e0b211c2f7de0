"""Reports: what was found, in words first, with the evidence, in one HTML file or one JSON document."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
