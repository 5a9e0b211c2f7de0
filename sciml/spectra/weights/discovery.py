"""False-discovery control over layers: how small a p-value must be, when there are many to be small by chance."""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike

from sciml._typing import FloatArray

__all__ = ["Discoveries", "discoveries"]


@dataclass(frozen=True)
class Discoveries:
    """Adjusted p-values of the layers, in order, and the p-value up to which one counts."""

    q_values: FloatArray
    cutoff: float


def discoveries(p_values: ArrayLike, alpha: float) -> Discoveries:
    r"""Control the expected fraction of false ones among the layers that are said to have learned.

    With R of L layers found (Benjamini and Hochberg), the p-values within these are compared with alpha R / L as well,
    which controls the expected average fraction of false directions over the layers found (Benjamini and Bogomolov).
    Valid for p-values that are independent or positively dependent. Where none is found the cutoff is alpha / L.

    References
    ----------
    Benjamini and Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x; Benjamini and Bogomolov (2014),
    doi:10.1111/rssb.12028, theorem 1.

    Examples
    --------
    >>> found = discoveries([1e-6, 0.02, 0.5, 0.9], 0.05)
    >>> found.q_values.round(6).tolist(), found.cutoff
    ([4e-06, 0.04, 0.666667, 0.9], 0.025)
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not p.size:
        return Discoveries(p, alpha)
    q = np.asarray(scipy.stats.false_discovery_control(p), dtype=np.float64)
    return Discoveries(q, alpha * max(1, int(np.count_nonzero(q <= alpha))) / p.size)
