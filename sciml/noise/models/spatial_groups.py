"""Noise that channels share by how far apart they are, or by the group that they are in."""

from dataclasses import dataclass, field, replace

import numpy as np

from sciml._typing import FloatArray, IntArray
from sciml.noise.channels.layout import Layout
from sciml.noise.matrix.gram import Matrix
from sciml.noise.models.base import Fit, Given, Methods, Prepared, UnsuitableValuesError
from sciml.noise.models.spatial import MOST_CHANNELS, OnGrid, Spatial, level, scatter_of_whitened, whitened
from sciml.noise.spatial.isotropic import (
    SharedByClass,
    by_distance,
    by_group,
    constant_stands_out,
    n_needed,
)
from sciml.noise.spatial.order import fit_given_what_stands_out, restricted, with_information
from sciml.noise.spatial.result import DistanceCorrelation, GroupCorrelation, SpatialNoise
from sciml.noise.spatial.scatter import Scatter, scatter_of
from sciml.noise.spatial.scoring import SharedNoise, fit_shared_noise

__all__ = ["InGroups", "SpatialGroups"]

LIKE = 1e-3  # part of a constant that other directions leave, below which it is one of theirs


@dataclass(frozen=True)
class InGroups(OnGrid):
    """Whitened channels, and whether what all of them have in common is no noise of this kind."""

    constant_stands_out: bool = field(kw_only=True)


class SpatialGroups(Spatial):
    r"""Covariances s_i s_j c(|x_i - x_j|) S(f) of channels at any positions, or one correlation within each group.

    Channels of different groups share nothing. Where positions are known, c is that of isotropic noise, the logarithm
    of its spectrum over wavenumbers a sum of cosines; else all channels of a group share alike.
    """

    name = "spatial-groups"
    words = "a variance per channel, a correlation by distance or within groups of channels, one spectrum in time"
    methods = Methods(
        "Noise was taken as shared by channels according to their distance or to the group that they are in, up to a "
        "scale of each, with a common power spectrum in time; the logarithm of its spectrum over wavenumbers is a sum "
        "of cosines (Bloomfield 1973) whose number was chosen by the Bayesian information criterion (Schwarz 1978) and "
        "whose coefficients are of maximum likelihood given the components found. Channels were whitened by it; the "
        "largest eigenvalue of what is left follows a Tracy–Widom law (Tracy and Widom 1996) with the centering and "
        "scaling of El Karoui (2007).",
        ("bloomfield", "schwarz", "elkaroui", "tracy"),
        scaling="whitened by the noise that they share",
    )
    must_converge = "and noise that channels share by distance or group does not converge"
    n_tests = 1

    def prepare(self, matrix: Matrix, given: Given) -> Prepared:
        """Choose how closely the correlation follows the distance, and whiten the channels by a first fit.

        Raises
        ------
        UnsuitableValuesError
            Too many channels, or neither positions nor groups of them.
        """
        if matrix.n_channels > MOST_CHANNELS:
            raise UnsuitableValuesError(
                f"expected at most {MOST_CHANNELS} channels for noise that they share by distance or group, got "
                f"{matrix.n_channels}; take a part of them"
            )
        family = _family(given.layout, matrix)
        full = scatter_of(matrix, matrix.spectra(matrix.total_scale, np.zeros((matrix.n_channels, 0))))
        smaller, noise = _fitted(family, _without_constant(full))
        stands_out = constant_stands_out(smaller, noise, full, _constants(full))
        smaller, noise = (smaller, noise) if stands_out else _fitted(family, full)
        return InGroups(**vars(whitened(matrix, smaller, noise, full)), constant_stands_out=stands_out)

    def estimate_noise(
        self,
        prepared: Prepared,
        before: Fit | None,
        scale: FloatArray,
        rank: int,
    ) -> tuple[Prepared, FloatArray]:
        """Fit the correlation given `rank` components, and whiten by it; the level is common to all.

        What all channels have in common looks like noise of the longest wavelength: where that stands out, the fit does
        without that direction until a component is found.
        """
        assert isinstance(prepared, InGroups)  # noqa: S101
        if before is None:
            prepared = replace(prepared, scatter=scatter_of_whitened(prepared))
        if rank or not prepared.constant_stands_out:
            found, scale = super().estimate_noise(prepared, before, scale, rank)
        else:
            scatter = prepared.scatter if before is None else scatter_of(prepared.plain, before.spectra)
            noise = fit_shared_noise(prepared.lattice, _without_constant(scatter), prepared.noise)
            found = whitened(prepared.plain, prepared.lattice, noise, scatter)
            scale = level(found.matrix, rank)
        return InGroups(**vars(found), constant_stands_out=prepared.constant_stands_out), scale

    def subspaces(self, prepared: Prepared, fit: Fit) -> list[Prepared]:  # noqa: ARG002
        """Return nothing: the smoothest directions are those of a grid."""
        return []

    def chosen(self, fit: Fit, prepared: Prepared) -> str:  # noqa: ARG002
        """Return that channels share noise."""
        return "channels share noise by their distance or group"

    def shared(self, prepared: Prepared, layout: Layout) -> SpatialNoise | None:
        """Return the correlation of the noise by distance, or within a group."""
        assert isinstance(prepared, InGroups)  # noqa: S101
        family = prepared.lattice
        assert isinstance(family, SharedByClass)  # noqa: S101
        lags, correlation = family.by_step(prepared.noise.parameters)
        if family.step:
            return SpatialNoise((DistanceCorrelation("distance", lags, correlation, layout.position_units),))
        return SpatialNoise((GroupCorrelation(layout.grouped_by.removesuffix("_name"), lags, correlation),))

    def possible(self, given: Given) -> bool:
        """Channels have positions or groups, and are on no grid that says more."""
        layout = given.layout
        return layout is not None and not layout.is_grid and (layout.positions is not None or layout.groups is not None)


def _family(layout: Layout | None, matrix: Matrix) -> SharedByClass:
    known = None if layout is None else layout.of_channels(matrix.statistics.used)
    if known is None or (known.positions is None and known.groups is None):
        raise UnsuitableValuesError(
            "expected positions or groups of channels, got neither; add coordinates of the channels to the recording, "
            'as rel_x and rel_y or group: recording.assign_coords(group=("channel", names))'
        )
    if known.positions is not None and np.isfinite(known.positions).all():
        return by_distance(known.positions, groups=_groups_needed(known), unit=known.position_units)
    if known.groups is None:
        raise UnsuitableValuesError("expected positions of all channels, some are unknown; leave these channels out")
    return by_group(known.groups, known.grouped_by.removesuffix("_name").removesuffix("_id"))


def _fitted(family: SharedByClass, scatter: Scatter) -> tuple[SharedByClass, SharedNoise]:
    """Return the family of as many features as the noise needs, and the noise."""
    noise = fit_given_what_stands_out(family, scatter, len(family.features))
    noise = with_information(family, noise, scatter)
    n_kept = n_needed(family, noise, scatter)
    return family.first(n_kept), restricted(noise, np.arange(len(family.features)) < n_kept)


def _groups_needed(layout: Layout) -> IntArray | None:
    """Return the groups where positions count within each of them only: two channels cannot be at one place."""
    assert layout.positions is not None  # noqa: S101
    repeated = len(np.unique(layout.positions, axis=0)) < len(layout.positions)
    return layout.groups if repeated else None


def _without_constant(scatter: Scatter) -> Scatter:
    """Return the scatter less what is equal in all channels, in the units of the data or in those of each channel."""
    basis, size, _ = np.linalg.svd(np.concatenate([scatter.null, _constants(scatter)], axis=1), full_matrices=False)
    return replace(scatter, null=basis[:, size > LIKE])


def _constants(scatter: Scatter) -> FloatArray:
    """Return unit directions (N, 2) of what is equal in all channels, in the units of the data or of each channel."""
    own = np.sqrt(scatter.variances)
    constant = np.stack([np.ones(len(own)), own], axis=1)
    return np.asarray(constant / np.linalg.norm(constant, axis=0))
