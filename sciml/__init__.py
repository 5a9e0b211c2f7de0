"""sciml takes a laboratory recording in HDF5 to a model one can trust, and shows why.

The main verbs take a file, a recording, or an array with its rate:

>>> import numpy as np
>>> import sciml
>>> rng = np.random.default_rng(0)
>>> values = rng.normal(size=(2000, 1)) @ rng.normal(size=(1, 20)) + rng.normal(size=(2000, 20))
>>> sciml.noise_floor(values, sampling_rate=100.0).rank
1

Submodules load on first use, so that `import sciml` is instant:

>>> sciml.rmt.laws.MarchenkoPastur(gamma=0.25).support
((0.25, 2.25),)
"""

from importlib import metadata

import lazy_loader

from sciml._later import register_accessor

__version__ = metadata.version("sciml")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register_accessor()
