from .adapted import AdapterSpectrum, adapter_spectra
from .matrix import LeftOut, Matrices, Matrix, NotFiniteError
from .read import Source, matrices

__all__ = [
    "AdapterSpectrum",
    "LeftOut",
    "Matrices",
    "Matrix",
    "NotFiniteError",
    "Source",
    "adapter_spectra",
    "matrices",
]
