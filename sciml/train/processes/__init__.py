"""Several processes that train one net together, as `torchrun` starts them; one alone where there are none."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
