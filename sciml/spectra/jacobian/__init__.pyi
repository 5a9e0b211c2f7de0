from .result import JacobianSpectrum
from .spectrum import jacobian_spectrum

__all__ = [
    "JacobianSpectrum",
    "jacobian_spectrum",
]
