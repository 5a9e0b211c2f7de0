from .arrays import from_numpy

__all__ = ["from_numpy"]
