"""The noise level: from a spectrum in which most eigenvalues are noise, or from what is known to be noise."""

from sciml.rmt.sigma.batch import BatchRefit, refit
from sciml.rmt.sigma.edge_refit import EdgeRefit, median_edge_refit, residual_variance
from sciml.rmt.sigma.estimate import SigmaEstimate
from sciml.rmt.sigma.samples import from_differences, from_high_band, from_noise, known

__all__ = [
    "BatchRefit",
    "EdgeRefit",
    "SigmaEstimate",
    "from_differences",
    "from_high_band",
    "from_noise",
    "known",
    "median_edge_refit",
    "refit",
    "residual_variance",
]
