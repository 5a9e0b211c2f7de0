"""Theory of wide networks: what mean-field theory says before any training.

`kernels` is loaded when it is asked for: it stands on torch, the rest does not.
"""

import importlib
from typing import Any

from sciml.theory import chain, fisher, landscape, meanfield, products, scan

__all__ = ["chain", "fisher", "kernels", "landscape", "meanfield", "products", "scan"]


def __getattr__(name: str) -> Any:
    if name == "kernels":
        return importlib.import_module("sciml.theory.kernels")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
