"""sciml takes a laboratory recording in HDF5 to a model one can trust, and shows why.

Submodules load on first use, so that `import sciml` is instant:

>>> import sciml
>>> sciml.rmt.laws.MarchenkoPastur(gamma=0.25).support
((0.25, 2.25),)
"""

from importlib import import_module, metadata
from types import ModuleType

__version__ = metadata.version("sciml")

_SUBMODULES = (
    "data",
    "datasets",
    "denoise",
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
)

__all__ = ["__version__", *_SUBMODULES]


def __getattr__(name: str) -> ModuleType:
    """Import a submodule when it is first asked for."""
    if name in _SUBMODULES:
        return import_module(f"sciml.{name}")
    raise AttributeError(f"module 'sciml' has no attribute {name!r}; its rooms are {', '.join(_SUBMODULES)}")


def __dir__() -> list[str]:
    return sorted(__all__)
