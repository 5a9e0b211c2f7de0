"""What tasks share in evaluating a trained model: what it says of held-out windows, and how far that can be trusted."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
