"""Noise that neighbors on a grid share, slow noise farther than fast noise, or less far."""

from dataclasses import replace

import numpy as np

from sciml._typing import FloatArray
from sciml.noise.channels.layout import Layout
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.models.base import Fit, Given, Methods, Prepared
from sciml.noise.models.spatial import Spatial, level
from sciml.noise.spatial.result import SpatialNoise
from sciml.noise.spatial.separable import power_by_reach
from sciml.noise.spatial.whiten import WhitenedMatrix
from sciml.rmt.variance_profile import VarianceProfile

__all__ = ["NonseparableSpatial"]

N_EVEN, N_LOW = 20, 30  # bands of frequency, and ones that get finer towards zero
N_GROUPS = 12, 16  # of directions, and ones that get finer towards those that channels share most


class NonseparableSpatial(Spatial):
    r"""Channels whitened as by `spatial`, of a spectrum in time for each range over the grid: S(f, k).

    Whitened by one correlation, noise that reaches farther where it is slow is left with a variance for each frequency
    and each group of directions, from those that channels share least to those that they share most. These are taken
    from the recording with nothing removed: components, found by a law too narrow, would take what it should hold. The
    largest eigenvalue then follows the edge of that variance profile.
    """

    name = "spatial-nonseparable"
    words = "as spatial, with a spectrum in time for each range over the grid"
    methods = Methods(
        Spatial.methods.sentence.replace(
            "follows a Tracy–Widom law (Tracy and Widom 1996) with the centering and scaling of El Karoui (2007)",
            "follows a Tracy–Widom law (Tracy and Widom 1996) at the edge of a Gram matrix whose variances differ by "
            "frequency and by range over the channels (Alt et al. 2017)",
        ),
        ("bloomfield", "schwarz", "alt", "tracy"),
        scaling=Spatial.methods.scaling,
    )
    common_spectrum = False
    refined = ""
    n_tests = 1

    def prepare(self, matrix: Matrix, given: Given) -> Prepared:
        """Whiten by one correlation, and measure what it leaves, with nothing removed."""
        prepared = super().prepare(matrix, given)
        found = prepared.matrix
        assert isinstance(found, WhitenedMatrix)  # noqa: S101
        scale, none = level(found, 0), np.zeros((found.n_channels, 0))
        spectra = found.spectra(scale, none)
        return replace(prepared, reach=power_by_reach(found, spectra, scale, none, N_EVEN, N_LOW, N_GROUPS))

    def estimate_noise(
        self, prepared: Prepared, before: Fit | None, scale: FloatArray, rank: int
    ) -> tuple[Prepared, FloatArray]:
        """Fit the correlation as `spatial` does; what it leaves of each range stays."""
        found, scale = super().estimate_noise(prepared, before, scale, rank)
        return replace(found, reach=prepared.reach), scale

    def subspaces(self, prepared: Prepared, fit: Fit) -> list[Prepared]:  # noqa: ARG002
        """Return none: smooth directions are those of noise that reaches far."""
        return []

    def possible(self, given: Given) -> bool:  # noqa: ARG002
        """Nothing but `spatial` noise that is refused asks for it."""
        return False

    def chosen(self, fit: Fit, prepared: Prepared) -> str:  # noqa: ARG002
        """Return that one correlation is not enough."""
        return "neighbors on the grid share noise, and not equally far at all frequencies"

    def shared(self, prepared: Prepared, layout: Layout) -> SpatialNoise | None:
        """Return the correlation of the noise, every frequency counting alike."""
        found = super().shared(prepared, layout)
        return found and replace(found, note="every frequency counts alike; not all reach equally far")

    def variance_profile(self, spectra: NoiseSpectra, prepared: Prepared) -> VarianceProfile:
        """Return the spectrum averaged over whitened channels, times what each range has of it."""
        reach, common = prepared.reach, super().variance_profile(spectra, prepared)
        assert reach is not None  # noqa: S101
        middle = spectra.starts + np.diff(spectra.starts, append=len(reach.band)) // 2
        relative = reach.relative / np.average(reach.relative, axis=1, weights=reach.weights)[:, None]
        counts = reach.weights * (common.n_features / reach.weights.sum())
        values = common.values * relative[reach.band[middle]]
        return VarianceProfile(values, row_counts=common.row_counts, column_counts=counts)
