from .batch import BatchRefit, refit
from .edge_refit import (
    EdgeRefit,
    median_edge_refit,
    residual_variance,
)
from .estimate import SigmaEstimate
from .samples import (
    from_differences,
    from_high_band,
    from_noise,
    known,
)

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
