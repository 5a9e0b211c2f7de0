"""Covariance estimates for about as many features as samples, with the contract of `sklearn.covariance`.

The functions shrink the eigenvalues of a sample covariance; the estimators put them on its eigenvectors. Which one:

- `QuadraticInverseShrinkage`: any spectrum, independent rows. `AnalyticNonlinearShrinkage` is about as good, and the
  best for rows that are correlated in time. `RotationallyInvariant` is the physicists' form, and less accurate for more
  features than samples.
- `SpikedCovariance`: few directions in noise of one level, and the best for the loss that it is told.
- `LedoitWolf`, `OAS` (scikit-learn's own): one number for the whole spectrum; safe, and behind where the spectrum is
  broad or has outliers.

Rows that are correlated in time are worth fewer samples than they are: `n_effective="auto"`. That is for noise with
power at all frequencies. A recording that was low-pass filtered has rows that follow from each other, and eigenvalues
many decades below the others, which make the precision useless for more features than effective samples: take every
k-th row first.
"""

from typing import TYPE_CHECKING

import lazy_loader

from sciml.rmt.covariance.effective import effective_samples, estimate_effective_samples
from sciml.rmt.covariance.nonlinear import analytic, qis, rie
from sciml.rmt.covariance.population import PopulationSpectrum, population_moments, population_spectrum
from sciml.rmt.covariance.spiked import LOSSES, spiked

if TYPE_CHECKING:
    from sciml.rmt.covariance.estimators import (
        OAS,
        AnalyticNonlinearShrinkage,
        LedoitWolf,
        QuadraticInverseShrinkage,
        RotationallyInvariant,
        SpikedCovariance,
    )

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

# When they are first asked for: scikit-learn takes longer to load than all the laws.
__getattr__, _, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "estimators": [
            "OAS",
            "AnalyticNonlinearShrinkage",
            "LedoitWolf",
            "QuadraticInverseShrinkage",
            "RotationallyInvariant",
            "SpikedCovariance",
        ]
    },
)
