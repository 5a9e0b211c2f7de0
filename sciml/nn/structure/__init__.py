"""What a net is made of: every weight matrix, the activation and norm that follow it, the residual branches.

`structure(model, sample)` runs the net once and records the functions that it calls, so that a net of any classes is
understood, not only those of this package. `weight_slots(model)` lists the matrices alone, without running it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
