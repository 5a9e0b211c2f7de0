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

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
