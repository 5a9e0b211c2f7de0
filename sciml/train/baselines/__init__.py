"""What a net must beat: chance or the mean, linear models, covariances, random kernels, wide nets, the last sample.

All take arrays (n, channel, time), NaN where a value is missing. Settings are chosen on the validation part, never on
the test part.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
