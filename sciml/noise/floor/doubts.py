"""Whether what components leave is noise of the model: where it is not, no number of components is claimed."""

from dataclasses import dataclass

import numpy as np

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.noise.floor.parts import RankIs, bulk_distance
from sciml.noise.floor.select_model import Choice
from sciml.noise.floor.stationarity import HARMFUL_SHIFT, over_time
from sciml.noise.models.base import Fit
from sciml.noise.models.heteroscedastic import TEST_LEVEL
from sciml.noise.models.spatial import OnGrid
from sciml.noise.spatial.lattice import Lattice
from sciml.noise.spatial.order import unresolved
from sciml.rmt.variance_profile import VarianceProfile
from sciml.wording import p_value

__all__ = ["Verdict", "neighbors_correlate", "verdict_of"]

LARGEST_Z = 5.0  # standard deviations; of some hundred simulated floors of the right model the largest came to 3.5
FEWEST_PAIRS = 8
BULK_STEPS = 5.5  # of the cdf of the bulk: 2 to 4 in noise of the right model, whose eigenvalues repel
CORRELATED = 0.2  # (tau - 1) N / T, from which the law of the bulk is known less well
MANY = 0.25  # of the dimensions
# Part of the dimensions beyond which the last component has to exceed the first eigenvalue of the noise by this factor.
LEAST_GAP = {0.4: 1.5, MANY: 1.1}
LEAST_LEFT = 1e-6
LEAST_OF_CHANNEL = 0.01  # of which less is left, that is rounding


@dataclass(frozen=True)
class Verdict:
    """What the rank is, and why in words ("" where it is determined)."""

    rank_is: RankIs = "determined"
    reason: str = ""


def verdict_of(choice: Choice, shape: tuple[int, ...]) -> Verdict:
    """Test what is left against the model of the noise: `shape` is that of the channels, row by row."""
    choice = choice.whole or choice
    rejected = (
        choice.prepared.doubt
        or _not_told(choice)
        or _not_separable(choice)
        or neighbors_correlate(choice, shape)
        or over_time(choice)
        or _no_bulk(choice)
    )
    if rejected:
        return Verdict("not determined", rejected)
    if choice.fit.converged:
        return Verdict()
    reason = "ever more components stand out as found ones are removed, so the noise is not of this model"
    return Verdict("lower bound" if choice.fit.rank else "not determined", reason)


# ---- over channels


def neighbors_correlate(choice: Choice, shape: tuple[int, ...], *, least: float = 0.0) -> str:
    """Say so where neighboring channels of what is left correlate more than the removed components make them.

    By `least` or more: bursts make independent channels correlate a little.
    """
    used, prepared = choice.matrix.statistics.used, choice.prepared
    # Combinations of channels are nowhere, what few samples of a reference whitened correlates by chance, and noise
    # that does not reach equally far at all frequencies is left correlated, which its law allows for.
    if choice.matrix.n_channels != len(used) or prepared.finite is not None or prepared.reach is not None:
        return ""
    found = [_neighbor_correlation(choice, *pairs) for pairs in _neighbors(used, shape) if len(pairs[0])]
    z, correlation = max(found, default=(0.0, 0.0), key=lambda each: abs(each[0]))
    if abs(z) < LARGEST_Z or abs(correlation) < max(least, _harmless_correlation(choice)):
        return ""
    return f"neighboring channels of what is left correlate ({correlation:+.2g}), as noise that they share does"


def _harmless_correlation(choice: Choice) -> float:
    """Return what neighbors may still correlate after whitening: next to nothing where samples are many.

    Correlations c of neighbors on both sides move the edge of N channels and T samples by 2 c² / gamma N^{2/3} of its
    width, gamma = N / T.
    """
    if choice.prepared.whitening is None:
        return 0.0
    n, tau = choice.matrix.n_channels, choice.fit.spectra.tau
    return float(np.sqrt(HARMFUL_SHIFT * n * tau / choice.matrix.dof * n ** (-2 / 3) / 2))


def _neighbors(used: IntArray, shape: tuple[int, ...]) -> list[tuple[IntArray, IntArray]]:
    """Return pairs of used channels that are next to each other, for each dim of the channels."""
    place = np.full(int(np.prod(shape)), -1)
    place[used] = np.arange(len(used))
    grid, found = place.reshape(shape), []
    for axis, size in enumerate(shape):
        first, second = (np.moveaxis(grid, axis, 0)[part].ravel() for part in (slice(None, size - 1), slice(1, None)))
        both = (first >= 0) & (second >= 0)
        if np.count_nonzero(both) >= FEWEST_PAIRS:
            found.append((first[both], second[both]))
    return found


def _neighbor_correlation(choice: Choice, first: IntArray, second: IntArray) -> tuple[float, float]:
    r"""Return the sum of correlations of pairs, less what it should be, over its standard deviation; and their mean.

    Of white noise in the dimensions that a projection M leaves, correlations are those of M; with L = 1 at the pairs
    and tau samples worth one, tr L (C - M) has the variance 2 tau / T |M L M|² (complex 1). Channels of which next to
    nothing is left have no correlation.
    """
    matrix, fit = choice.matrix, choice.fit
    basis = matrix.removal(fit.scale, matrix.eigen(fit.scale, fit.rank).directions).basis
    every = np.arange(len(basis))
    both = np.concatenate([first, every]), np.concatenate([second, every])
    left, removed = matrix.residual_covariance(fit.scale, basis, *both), _products(basis, *both)
    share = 1 - removed[len(first) :]
    level = left[len(first) :] / np.maximum(share, LEAST_LEFT)
    known = np.flatnonzero((np.minimum(share, level) > LEAST_OF_CHANNEL)[[first, second]].all(axis=0))
    if len(known) < FEWEST_PAIRS:
        return 0.0, 0.0
    first, second = first[known], second[known]
    correlation = np.clip(left[known] / np.sqrt(level[first] * level[second]), -1, 1) + removed[known]
    neighbors = np.zeros_like(basis)
    np.add.at(neighbors, first, basis[second])
    np.add.at(neighbors, second, basis[first])
    inside = basis.conj().T @ neighbors
    square = 2 * len(first) - 2 * np.sum(np.abs(neighbors) ** 2) + np.sum(np.abs(inside) ** 2)
    tau = fit.spectra.tau if choice.model.colored else 1.0
    variance = (1 if matrix.is_complex else 2) * tau / (matrix.dof - fit.rank) * max(float(square), LEAST_LEFT)
    return float(2 * correlation.sum() / np.sqrt(variance)), float(correlation.mean())


def _not_told(choice: Choice) -> str:
    """Say so where channels are too few to tell how far noise is shared, and what longer lags hold moves the edge."""
    prepared, n = choice.prepared, choice.matrix.n_channels
    if not isinstance(prepared, OnGrid) or not isinstance(prepared.lattice, Lattice):
        return ""
    harmful = HARMFUL_SHIFT * n ** (1 / 3) * choice.fit.spectra.tau / choice.matrix.dof
    if unresolved(prepared.lattice, prepared.noise.parameters) < harmful:
        return ""
    return "neighbors share noise in more ways than so few channels can tell"


def _not_separable(choice: Choice) -> str:
    """Say so where whitened noise is not of one spectrum in the directions that channels share most and least."""
    found = choice.separability
    if found is None or found.p_value >= TEST_LEVEL:
        return ""
    wide, narrow = ("slow", "fast") if found.wider_at_low_frequencies else ("fast", "slow")
    return f"{wide} noise reaches farther over the channels than {narrow} noise ({p_value(found.p_value)})"


def _products(basis: AnyArray, first: IntArray, second: IntArray) -> FloatArray:
    return np.asarray(np.einsum("ik,ik->i", basis[first], basis[second].conj()).real)


def _no_bulk(choice: Choice) -> str:
    """Say so where components trail down to the edge in great number, or the bulk does not follow its law.

    Neighbors are of no help where channels come in any order.
    """
    fit, matrix = choice.fit, choice.matrix
    n_dimensions = min(matrix.n_dimensions, matrix.dof)
    if not fit.converged or fit.rank < 3:
        return ""
    gap = fit.eigenvalues[fit.rank - 1] / max(fit.eigenvalues[fit.rank], np.finfo(float).tiny)
    clear = next((least for part, least in LEAST_GAP.items() if fit.rank > part * n_dimensions), 0.0)
    if gap < clear:
        return (
            f"{fit.rank} components in {n_dimensions} dimensions trail down to the noise without a gap, as noise that "
            "channels share does"
        )
    tau = fit.spectra.tau if choice.model.colored else 1.0
    if (tau - 1) * matrix.n_dimensions > CORRELATED * matrix.dof or _bulk_steps(fit, matrix.dof) < BULK_STEPS:
        return ""
    return "the eigenvalues that are left do not follow the law of this noise, as of noise that channels share"


def _bulk_steps(fit: Fit, dof: int) -> float:
    """Return how far the cdf of what is left is from its law, in steps of one eigenvalue.

    Components take rows of time too.
    """
    bulk, rows = fit.eigenvalues[fit.rank :], fit.profile.row_counts * (1 - fit.rank / dof)
    profile = VarianceProfile(fit.profile.values, row_counts=rows, column_counts=fit.profile.column_counts)
    return bulk_distance(bulk, profile) * len(bulk)
