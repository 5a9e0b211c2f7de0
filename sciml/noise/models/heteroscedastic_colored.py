"""Noise of a variance and a spectrum in time per channel."""

from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.models.base import Methods, NoiseModel, Prepared
from sciml.rmt.variance_profile import VarianceProfile

__all__ = ["HeteroscedasticColored"]


class HeteroscedasticColored(NoiseModel):
    r"""Any variances S_i(f): the edge of a Gram matrix with a variance profile (Alt, Erdos and Krueger 2017)."""

    name = "heteroscedastic+colored"
    words = "a variance and a spectrum in time per channel"
    methods = Methods(
        "Noise was taken as independent between channels, each with a power spectrum of its own, estimated from "
        "what remains of the recording after the found components, rank and spectra being re-estimated until they "
        "agreed; its largest eigenvalue then follows a Tracy–Widom law (Tracy and Widom 1996) at the edge of a "
        "Gram matrix with a variance profile (Alt et al. 2017).",
        ("alt", "tracy"),
    )
    colored = True
    common_spectrum = False
    must_converge = "and one spectrum for each channel does not converge"

    def variance_profile(self, spectra: NoiseSpectra, prepared: Prepared) -> VarianceProfile:
        """Return the spectrum of each channel."""
        return spectra.profile(prepared.matrix.dof, common=False)
