from .effective import effective_samples, estimate_effective_samples
from .estimators import (
    OAS,
    AnalyticNonlinearShrinkage,
    LedoitWolf,
    QuadraticInverseShrinkage,
    RotationallyInvariant,
    SpikedCovariance,
)
from .nonlinear import analytic, qis, rie
from .population import (
    PopulationSpectrum,
    population_moments,
    population_spectrum,
)
from .spiked import LOSSES, spiked

__all__ = [
    "LOSSES",
    "OAS",
    "AnalyticNonlinearShrinkage",
    "LedoitWolf",
    "PopulationSpectrum",
    "QuadraticInverseShrinkage",
    "RotationallyInvariant",
    "SpikedCovariance",
    "analytic",
    "effective_samples",
    "estimate_effective_samples",
    "population_moments",
    "population_spectrum",
    "qis",
    "rie",
    "spiked",
]
