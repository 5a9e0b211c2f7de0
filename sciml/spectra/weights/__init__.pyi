from .change import Alignment, LayerChange, alignment
from .layers import LayerFacts, LayerSpectrum
from .noise import NoiseTest
from .outliers import Outliers
from .power_law import PowerLaw, power_law
from .result import WeightSpectra, weight_spectra
from .verdict import Verdict

__all__ = [
    "Alignment",
    "LayerChange",
    "LayerFacts",
    "LayerSpectrum",
    "NoiseTest",
    "Outliers",
    "PowerLaw",
    "Verdict",
    "WeightSpectra",
    "alignment",
    "power_law",
    "weight_spectra",
]
