"""Reading while training: the parts of the data, in which order their items come, and batches of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
