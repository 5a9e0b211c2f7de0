"""White noise of one variance for all channels: a special case of a variance per channel."""

import numpy as np
import scipy.stats

from sciml._typing import FloatArray
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.models.base import Fit, Methods, NoiseModel, Prepared
from sciml.noise.models.heteroscedastic import HETEROSCEDASTIC, TEST_LEVEL
from sciml.rmt.variance_profile import VarianceProfile
from sciml.wording import p_value

__all__ = ["White"]


class White(NoiseModel):
    r"""Variances S_i(f) = sigma²: Marchenko-Pastur bulk, Tracy-Widom edge (Johnstone 2001)."""

    name = "white"
    words = "one variance for all channels, no correlation in time"
    methods = Methods(
        HETEROSCEDASTIC.methods.sentence,
        HETEROSCEDASTIC.methods.cites,
        scaling="scaled by one common noise standard deviation",
    )
    equal_variances = True

    def variance_profile(self, spectra: NoiseSpectra, prepared: Prepared) -> VarianceProfile:
        """Return one variance for all."""
        return HETEROSCEDASTIC.variance_profile(spectra, prepared)

    def ruled_out(self, matrix: Matrix) -> str | None:
        """Rule out what rules out a variance per channel."""
        return HETEROSCEDASTIC.ruled_out(matrix)

    @property
    def tested_on(self) -> NoiseModel:
        """A variance per channel is fitted, and the variances are compared."""
        return HETEROSCEDASTIC

    def rejected(self, fit: Fit, prepared: Prepared) -> str | None:
        """Reject noise that is correlated in time, samples of unequal weight, and variances that differ."""
        colored = HETEROSCEDASTIC.rejected(fit, prepared)
        if colored is not None:
            return colored
        # Samples of unequal weight are a matrix of unequal variances, whatever the channels are.
        if prepared.matrix.statistics.row_weights is not None:
            return "white in time; old samples weigh less"
        p_equal = _equal_variance_p_value(fit.scale, prepared.matrix.dof * fit.spectra.effective_fraction)
        if p_equal < TEST_LEVEL:
            return f"white in time, but variances differ between channels (Bartlett's test, {p_value(p_equal)})"
        return None

    def chosen(self, fit: Fit, prepared: Prepared) -> str:  # noqa: ARG002
        """Nothing speaks against it."""
        return "white in time and of equal variance over channels"


def _equal_variance_p_value(scale: FloatArray, dof: FloatArray) -> float:
    """Bartlett's test (1937, doi:10.1098/rspa.1937.0109) that independent channels have equal variances."""
    variances, n = scale**2, len(scale)
    pooled = np.average(variances, weights=dof)
    statistic = dof.sum() * np.log(pooled) - dof @ np.log(variances)
    correction = 1 + (np.sum(1 / dof) - 1 / dof.sum()) / (3 * (n - 1))
    return float(scipy.stats.chi2.sf(statistic / correction, n - 1))
