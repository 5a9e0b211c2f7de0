"""Noise of a variance per channel, white in time."""

from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.models.base import Fit, Methods, NoiseModel, Prepared
from sciml.rmt.variance_profile import VarianceProfile
from sciml.wording import p_value

__all__ = ["HETEROSCEDASTIC", "TEST_LEVEL", "Heteroscedastic"]

TEST_LEVEL = 1e-3  # of the tests that choose the model: a wrong "colored" costs a little power, no false alarms


class Heteroscedastic(NoiseModel):
    r"""Variances S_i(f) = sigma_i² at all frequencies: Marchenko-Pastur bulk, Tracy-Widom edge (Johnstone 2001)."""

    name = "heteroscedastic"
    words = "a variance per channel, no correlation in time"
    methods = Methods(
        "Noise was taken as independent between channels and samples; its largest eigenvalue then follows a "
        "Tracy–Widom law (Tracy and Widom 1996) with the centering and scaling of Johnstone (2001).",
        ("johnstone", "tracy"),
    )

    def variance_profile(self, spectra: NoiseSpectra, prepared: Prepared) -> VarianceProfile:
        """Return one variance for all: each channel was divided by the standard deviation of its noise."""
        return VarianceProfile([[1.0]], row_counts=[prepared.matrix.dof], column_counts=[spectra.uniqueness.sum()])

    def ruled_out(self, matrix: Matrix) -> str | None:
        """Rule out noise that is correlated in time in the directions that hold nothing else."""
        quiet = matrix.quiet_spectra
        p_white = 1.0 if quiet is None else quiet.p_white()
        if p_white >= TEST_LEVEL:
            return None
        return f"the directions of least variance are correlated in time (deviance from flat, {p_value(p_white)})"

    def rejected(self, fit: Fit, prepared: Prepared) -> str | None:  # noqa: ARG002
        """Reject noise that is correlated in time."""
        p_white = fit.spectra.p_white()
        if p_white >= TEST_LEVEL:
            return None
        return f"the residual is correlated in time (deviance of its spectra from flat, {p_value(p_white)})"


HETEROSCEDASTIC = Heteroscedastic()
