"""Noise that neighbors on a grid share: the same correlation at the same lag, everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sciml._typing import FloatArray, IntArray
from sciml.noise.channels.layout import Layout
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.models.base import Fit, Given, Methods, NoiseModel, Prepared, UnsuitableValuesError
from sciml.noise.spatial.lattice import Lattice
from sciml.noise.spatial.order import chosen_lags
from sciml.noise.spatial.result import SpatialNoise, along_grid
from sciml.noise.spatial.scatter import scatter_of, units
from sciml.noise.spatial.scoring import Scatter, SharedNoise, fit_shared_noise
from sciml.noise.spatial.whiten import WhitenedMatrix
from sciml.noise.spatial.wide import WideGrid
from sciml.rmt.variance_profile import VarianceProfile

__all__ = ["OnGrid", "OnWideGrid", "Spatial"]

MOST_CHANNELS = 640  # of which the likelihood of all pairs takes a second


class GridNoise(Prepared):
    """Channels on a grid, whitened by the noise that they share."""

    @property
    def is_shared(self) -> bool:
        """Whether channels share noise."""
        raise NotImplementedError

    def refitted(self, before: Fit | None, rank: int) -> "GridNoise":
        """Return the same with the noise fitted anew beside `rank` components."""
        raise NotImplementedError

    def along(self) -> Sequence[FloatArray]:
        """Return the correlation by lag along each axis."""
        raise NotImplementedError


@dataclass(frozen=True)
class OnGrid(GridNoise):
    """Whitened channels, `plain` ones, and the noise on a lattice, fitted to their scatter, that whitened them."""

    plain: Matrix = field(kw_only=True)
    lattice: Lattice = field(kw_only=True)
    noise: SharedNoise = field(kw_only=True)
    scatter: Scatter = field(kw_only=True)

    @classmethod
    def of(cls, plain: Matrix, places: IntArray, spectra: NoiseSpectra) -> "OnGrid":
        """Choose how far noise is shared, and whiten the channels by a first fit."""
        scatter = scatter_of(plain, spectra)
        chosen = chosen_lags(places, scatter)
        return cls._whitened(plain, Lattice(places, chosen.lags), chosen.noise, scatter)

    @classmethod
    def _whitened(cls, plain: Matrix, lattice: Lattice, noise: SharedNoise, scatter: Scatter) -> "OnGrid":
        whitening = noise.whitening(lattice, scatter.null).of_channels_in(units(plain))
        matrix = WhitenedMatrix(plain, whitening)
        return cls(matrix, whitening=whitening, plain=plain, lattice=lattice, noise=noise, scatter=scatter)

    @property
    def is_shared(self) -> bool:
        """Whether any lag is needed."""
        return len(self.lattice.lags) > 0

    def refitted(self, before: Fit | None, rank: int) -> "OnGrid":
        """Maximize the likelihood of what the components leave."""
        scatter = self.scatter if before is None else scatter_of(self.plain, before.spectra)
        noise = fit_shared_noise(self.lattice, scatter, self.noise, rank=rank)
        return self._whitened(self.plain, self.lattice, noise, scatter)

    def along(self) -> Sequence[FloatArray]:
        """Return it as fitted."""
        return self.lattice.along(self.noise.parameters)


@dataclass(frozen=True)
class OnWideGrid(GridNoise):
    """The same of very many channels."""

    grid: WideGrid = field(kw_only=True)
    spectra: NoiseSpectra = field(kw_only=True)

    @classmethod
    def of(cls, plain: Matrix, places: IntArray, spectra: NoiseSpectra) -> "OnWideGrid":
        """Find the noise that windows of the grid have in common, and whiten the channels by it."""
        grid = WideGrid.of(plain, places, spectra)
        return cls._whitened(grid, spectra, grid.scale(spectra, None, 0))

    @classmethod
    def _whitened(cls, grid: WideGrid, spectra: NoiseSpectra, scale: FloatArray) -> "OnWideGrid":
        matrix = grid.whitened(scale)
        return cls(matrix, whitening=matrix.whitening, grid=grid, spectra=spectra)

    @property
    def is_shared(self) -> bool:
        """Whether any lag is needed."""
        return self.grid.is_shared

    def refitted(self, before: Fit | None, rank: int) -> "OnWideGrid":
        """Take the scales of the channels from what the components leave; the correlation stays."""
        assert isinstance(self.matrix, WhitenedMatrix)  # noqa: S101
        spectra = self.spectra if before is None else before.spectra
        return self._whitened(self.grid, spectra, self.grid.scale(spectra, self.matrix, rank))

    def along(self) -> Sequence[FloatArray]:
        """Return it as fitted."""
        return [self.grid.correlation.along(axis) for axis in range(self.grid.places.shape[1])]


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
        "likelihood beside the components found. Channels were whitened by it; the largest eigenvalue of what is left "
        "follows a Tracy–Widom law (Tracy and Widom 1996) with the centering and scaling of El Karoui (2007).",
        ("bloomfield", "schwarz", "elkaroui", "tracy"),
        scaling="whitened by the noise that they share",
    )
    colored = True
    independent = False
    must_converge = "and noise that neighbors share does not converge"

    def prepare(self, matrix: Matrix, given: Given) -> Prepared:
        """Choose how far noise is shared, and whiten the channels by a first fit.

        Raises
        ------
        UnsuitableValuesError
            Nobody knows where channels are.
        """
        if given.layout is None:
            raise UnsuitableValuesError("expected channels on a grid; nothing says where these are")
        places = given.layout.places[matrix.statistics.used]
        spectra = matrix.spectra(matrix.total_scale, np.zeros((matrix.n_channels, 0)))
        kind = OnWideGrid if matrix.n_channels > MOST_CHANNELS else OnGrid
        return kind.of(matrix, places, spectra)

    def estimate_noise(
        self,
        prepared: Prepared,
        before: Fit | None,
        scale: FloatArray,  # noqa: ARG002
        rank: int,
    ) -> tuple[Prepared, FloatArray]:
        """Fit the correlation beside `rank` components, and whiten by it; the level is common to all."""
        assert isinstance(prepared, GridNoise)  # noqa: S101
        found = prepared.refitted(before, rank)
        return found, _level(found.matrix, rank)

    def possible(self, given: Given) -> bool:
        """Channels are on a grid."""
        return given.layout is not None and given.layout.is_grid

    def needed(self, prepared: Prepared) -> bool:
        """Neighbors share noise."""
        return isinstance(prepared, GridNoise) and prepared.is_shared

    def chosen(self, fit: Fit, prepared: Prepared) -> str:  # noqa: ARG002
        """Return that neighbors share noise."""
        return "neighbors on the grid share noise"

    def shared(self, prepared: Prepared, layout: Layout) -> SpatialNoise | None:
        """Return the correlation of the noise by lag along each axis."""
        assert isinstance(prepared, GridNoise)  # noqa: S101
        return along_grid(layout.dims, layout.spacing, layout.units, prepared.along())

    def variance_profile(self, spectra: NoiseSpectra, dof: int) -> VarianceProfile:
        """Return the spectrum averaged over whitened channels."""
        return spectra.profile(dof, common=True)


def _level(matrix: Matrix, rank: int) -> FloatArray:
    """Return the standard deviation that the whitened channels have in common beside `rank` components."""
    values = matrix.eigen(matrix.total_scale, 0).values
    dof = (matrix.n_channels - rank) * (1 - rank / matrix.dof)
    level = max(float(values[rank:].sum()) / dof, float(np.finfo(float).eps * values[0]))
    leakage = matrix.eigenvector_leakage(values[:rank] / level)
    return np.full(matrix.n_channels, np.sqrt(level * (1 + leakage)))
