"""The noise floor of a recording: what pure noise of this size and color would look like, and what rises above it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
