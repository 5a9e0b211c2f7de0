"""Noise of one spectrum in time for all channels."""

from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.models.base import Fit, Methods, NoiseModel, Prepared
from sciml.noise.models.heteroscedastic import TEST_LEVEL
from sciml.rmt.variance_profile import VarianceProfile
from sciml.wording import p_value

__all__ = ["Colored"]


class Colored(NoiseModel):
    r"""Variances S_i(f) = sigma_i² S(f): generalized Marchenko-Pastur bulk, El Karoui's edge (2007)."""

    name = "colored"
    words = "a variance per channel, one spectrum in time for all channels"
    methods = Methods(
        "Noise was taken as independent between channels with a common power spectrum in time, estimated from "
        "what remains of the recording after the found components, rank and spectrum being re-estimated until they "
        "agreed; its largest eigenvalue then follows a Tracy–Widom law (Tracy and Widom 1996) with the centering "
        "and scaling of El Karoui (2007).",
        ("elkaroui", "tracy"),
    )
    colored = True
    must_converge = "and one spectrum for all channels does not converge"

    def variance_profile(self, spectra: NoiseSpectra, prepared: Prepared) -> VarianceProfile:
        """Return the spectrum averaged over channels."""
        return spectra.profile(prepared.matrix.dof, common=True)

    def rejected(self, fit: Fit, prepared: Prepared) -> str | None:  # noqa: ARG002
        """Reject channels whose spectra differ."""
        p_equal = fit.spectra.p_equal()
        return f"and the channels differ in spectrum ({p_value(p_equal)})" if p_equal < TEST_LEVEL else None

    def chosen(self, fit: Fit, prepared: Prepared) -> str:  # noqa: ARG002
        """Spectra agree."""
        return f"alike in all channels ({p_value(fit.spectra.p_equal())})"
