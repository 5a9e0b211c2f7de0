"""sciml takes a laboratory recording in HDF5 to a model one can trust, and shows why.

Submodules load on first use, so that `import sciml` is instant:

>>> import sciml
>>> sciml.rmt.laws.MarchenkoPastur(gamma=0.25).support
((0.25, 2.25),)
"""

from importlib import metadata

import lazy_loader

__version__ = metadata.version("sciml")

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "data",
        "datasets",
        "denoise",
        "environment",
        "errors",
        "io",
        "linalg",
        "nn",
        "noise",
        "pipeline",
        "recording",
        "report",
        "rmt",
        "signal",
        "simulate",
        "spectra",
        "theory",
        "train",
    ],
)
