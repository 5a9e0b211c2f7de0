"""Limit laws of random-matrix spectra: Marchenko-Pastur and semicircle for the bulk, Tracy-Widom for its edge.

Each law of a bulk has `support`, `pdf`, `cdf`, `sf`, `ppf`, `median` and `stieltjes`. `free` adds and multiplies
spectra of matrices in general position.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
