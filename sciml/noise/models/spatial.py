"""Noise that neighbors on a grid share: the same correlation at the same lag, everywhere."""

from dataclasses import dataclass, field, replace

import numpy as np

from sciml._typing import AnyArray, FloatArray
from sciml.noise.channels.layout import Layout
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.models.base import Fit, Given, Methods, NoiseModel, Prepared, UnsuitableValuesError
from sciml.noise.spatial.isotropic import SharedByClass
from sciml.noise.spatial.lattice import Lattice
from sciml.noise.spatial.nested import SCALES, smooth_basis
from sciml.noise.spatial.order import chosen_lags
from sciml.noise.spatial.result import SpatialNoise, along_grid
from sciml.noise.spatial.scatter import Removed, Scatter, scatter_of, units
from sciml.noise.spatial.scoring import SharedNoise, fit_shared_noise
from sciml.noise.spatial.whiten import WhitenedMatrix, local_whitening
from sciml.rmt.variance_profile import VarianceProfile

__all__ = ["MOST_CHANNELS", "OnGrid", "Spatial", "level", "scatter_of_whitened", "whitened"]

ROUNDS = 2  # in which components and the noise given them are found in turn
FAR = 0.1  # correlation
MOST_PROJECTED = 450  # channels, of more the likelihood is taken in blocks, which know nothing of a projection
MOST_REWEIGHED = 640  # channels: of more, single frequencies scatter little
MOST_CHANNELS = 2048  # of which products of (N, N) matrices take seconds


@dataclass(frozen=True)
class OnGrid(Prepared):
    """Whitened channels, `plain` ones, and the noise on a lattice, fitted to their scatter, that whitened them."""

    plain: Matrix = field(kw_only=True)
    lattice: Lattice | SharedByClass = field(kw_only=True)
    noise: SharedNoise = field(kw_only=True)
    scatter: Scatter = field(kw_only=True)


class Spatial(NoiseModel):
    r"""Covariances s_i s_j c(x_i - x_j) S(f): stationary on the grid up to a scale a channel, separable from time.

    The logarithm of the spectrum over wavenumbers is a sum of cosines (Bloomfield 1973), as many as the data ask for;
    whitened channels have one spectrum in time, and the law of noise of that spectrum.
    """

    name = "spatial"
    words = "a variance per channel, a correlation by lag on the grid of the channels, one spectrum in time"
    methods = Methods(
        "Noise was taken as stationary over the grid of the channels up to a scale of each, with a common power "
        "spectrum in time; the logarithm of its spectrum over wavenumbers is a sum of cosines (Bloomfield 1973) whose "
        "number was chosen by the Bayesian information criterion (Schwarz 1978) and whose coefficients are of maximum "
        "likelihood given the components found. Channels were whitened by it; the largest eigenvalue of what is left "
        "follows a Tracy–Widom law (Tracy and Widom 1996) with the centering and scaling of El Karoui (2007).",
        ("bloomfield", "schwarz", "elkaroui", "tracy"),
        scaling="whitened by the noise that they share",
    )
    colored = True
    independent = False
    refined = "spatial-nonseparable"
    n_tests = 1 + len(SCALES)
    must_converge = "and noise that neighbors share does not converge"

    def prepare(self, matrix: Matrix, given: Given) -> Prepared:
        """Choose how far noise is shared, and whiten the channels by a first fit.

        Raises
        ------
        UnsuitableValuesError
            Nobody knows where channels are, or too many of which directions were projected out.
        """
        if given.layout is None:
            raise UnsuitableValuesError("expected channels on a grid; nothing says where these are")
        if matrix.null.shape[1] and matrix.n_channels > MOST_PROJECTED:
            raise UnsuitableValuesError(
                f"expected at most {MOST_PROJECTED} channels for shared noise of which directions were projected out, "
                f"got {matrix.n_channels}; take a part of the grid"
            )
        places = given.layout.places[matrix.statistics.used]
        scatter = scatter_of(matrix, matrix.spectra(matrix.total_scale, np.zeros((matrix.n_channels, 0))))
        chosen = chosen_lags(places, scatter)
        found = whitened(matrix, chosen.lattice, chosen.noise, scatter)
        costly = matrix.n_channels > MOST_REWEIGHED
        return found if costly else replace(found, scatter=scatter_of_whitened(found))

    def estimate_noise(
        self,
        prepared: Prepared,
        before: Fit | None,
        scale: FloatArray,  # noqa: ARG002
        rank: int,
    ) -> tuple[Prepared, FloatArray]:
        """Fit the correlation given `rank` components, and whiten by it; the level is common to all."""
        assert isinstance(prepared, OnGrid)  # noqa: S101
        scatter = prepared.scatter if before is None else scatter_of(prepared.plain, before.spectra)
        found = prepared
        for _ in range(ROUNDS if rank else 1):
            removed = _removed(found, rank) if rank else None
            noise = fit_shared_noise(found.lattice, scatter, found.noise, removed=removed)
            found = whitened(found.plain, found.lattice, noise, scatter)
        return found, level(found.matrix, rank)

    def subspaces(self, prepared: Prepared, fit: Fit) -> list[Prepared]:
        """Return the smoothest directions of all, in which a smooth component stands out that all hide."""
        assert isinstance(prepared, OnGrid) and prepared.whitening is not None  # noqa: PT018, S101
        assert isinstance(prepared.lattice, Lattice)  # noqa: S101
        if not _is_short(prepared.lattice, prepared.noise):
            return []
        places, directions = prepared.lattice.places, prepared.matrix.eigen(fit.scale, fit.rank).directions
        whiten = prepared.whitening.of_channels_in(1 / units(prepared.plain)).whiten
        bases = (smooth_basis(places, whiten, directions, part) for part in SCALES)
        return [_within(prepared, basis) for basis in bases if basis is not None]

    def possible(self, given: Given) -> bool:
        """Channels are on a grid."""
        return given.layout is not None and given.layout.is_grid

    def needed(self, prepared: Prepared) -> bool:
        """Neighbors share noise."""
        return isinstance(prepared, OnGrid) and len(prepared.noise.parameters) > 0

    def chosen(self, fit: Fit, prepared: Prepared) -> str:  # noqa: ARG002
        """Return that neighbors share noise."""
        return "neighbors on the grid share noise"

    def shared(self, prepared: Prepared, layout: Layout) -> SpatialNoise | None:
        """Return the correlation of the noise by lag along each axis."""
        assert isinstance(prepared, OnGrid)  # noqa: S101
        assert isinstance(prepared.lattice, Lattice)  # noqa: S101
        correlations = prepared.lattice.along(prepared.noise.parameters)
        return along_grid(layout.dims, layout.spacing, layout.units, correlations)

    def variance_profile(self, spectra: NoiseSpectra, prepared: Prepared) -> VarianceProfile:
        """Return the spectrum averaged over whitened channels."""
        return spectra.profile(prepared.matrix.dof, common=True)


def scatter_of_whitened(prepared: OnGrid) -> Scatter:
    """Return the scatter of samples weighed by the spectrum of whitened channels.

    Where channels share noise, their pooled power scatters at single frequencies as if it were colored; samples weighed
    by that would share less.
    """
    matrix = prepared.matrix
    return scatter_of(prepared.plain, matrix.spectra(matrix.total_scale, np.zeros((matrix.n_channels, 0))))


def whitened(plain: Matrix, lattice: Lattice | SharedByClass, noise: SharedNoise, scatter: Scatter) -> OnGrid:
    """Return channels whitened by a noise that was fitted to their scatter: by their neighbors where they are many."""
    if isinstance(lattice, Lattice) and plain.n_channels > MOST_CHANNELS:
        own = np.exp(noise.log_scale) / units(plain)
        whitening = local_whitening(lattice.correlation(noise.parameters), lattice.places, own)
    else:
        whitening = noise.whitening(lattice, scatter.null).of_channels_in(units(plain))
    matrix = WhitenedMatrix(plain, whitening)
    return OnGrid(matrix, whitening=whitening, plain=plain, lattice=lattice, noise=noise, scatter=scatter)


def _is_short(lattice: Lattice, noise: SharedNoise) -> bool:
    """Return whether noise reaches less far than smooth maps: else what is not known of it looks like one of these."""
    step = round(max(SCALES) ** (1 / max(sum(side > 1 for side in lattice.extent), 1)))
    return all(abs(each[min(step, len(each) - 1)]) < FAR for each in lattice.along(noise.parameters) if len(each) > 1)


def _within(prepared: OnGrid, basis: AnyArray) -> OnGrid:
    assert prepared.whitening is not None  # noqa: S101
    whitening = prepared.whitening.within(basis)
    return replace(prepared, matrix=WhitenedMatrix(prepared.plain, whitening), whitening=whitening)


def _removed(prepared: OnGrid, rank: int) -> Removed:
    """Return the strongest components of the whitened channels, in the units of their scatter."""
    assert prepared.whitening is not None  # noqa: S101
    directions = prepared.matrix.eigen(prepared.matrix.total_scale, rank).directions
    whitening = prepared.whitening.of_channels_in(1 / units(prepared.plain))
    return whitening.removal(directions, prepared.matrix.dof)


def level(matrix: Matrix, rank: int) -> FloatArray:
    """Return the standard deviation that the whitened channels have in common given `rank` components."""
    values = matrix.eigen(matrix.total_scale, 0).values
    dof = (matrix.n_channels - rank) * (1 - rank / matrix.dof)
    mean = max(float(values[rank:].sum()) / dof, float(np.finfo(float).eps * values[0]))
    leakage = matrix.eigenvector_leakage(values[:rank] / mean)
    return np.full(matrix.n_channels, np.sqrt(mean * (1 + leakage)))
