"""What the user should know before trusting a noise floor."""

import numpy as np

from sciml.noise.channels.select import exclusion_words
from sciml.noise.floor.components import Components
from sciml.noise.floor.doubts import MANY, Verdict
from sciml.noise.floor.select_model import Choice
from sciml.noise.matrix.gram import Matrix

__all__ = ["cautions"]

SAME = 0.95  # of what a component's loadings have in common with the true ones, they have with a constant
LEAST_KNOWN = 0.3  # squared cosine with the true loadings, below which they say little
TINY = float(np.finfo(float).tiny)
REFERENCE_TOLERANCE = 0.05  # how far the weights of a null direction may be from equal to be an average reference


def cautions(choice: Choice, verdict: Verdict, components: Components) -> list[str]:
    """Say in words what the user should know before trusting the floor."""
    statistics, fit, matrix = choice.matrix.statistics, choice.fit, choice.matrix
    found = exclusion_words(statistics.excluded, statistics.n_features)
    if matrix.plain.null.shape[1] and choice.prepared.channel_scale is None:
        found.append(statistics.projected or _null_words(matrix.plain))
    found.extend(choice.prepared.cautions)
    if statistics.n_dropped:
        found.append(f"{statistics.n_dropped} samples at which most channels are missing or masked were left out")
    if statistics.fraction_present.min() < 1:
        found.append(
            f"{100 * (1 - statistics.fraction_present.mean()):.2g} % of the values are missing; they count as their "
            "channel's mean, which weakens components a little"
        )
    if statistics.level is not None:
        low, high = np.quantile(statistics.level, [0.005, 0.995])
        found.append(
            f"the noise is louder at some samples than at others (99 % lie within a factor {high / low:.2g}): each was "
            "divided by the level of the noise at its time, and strengths are those of weighed samples"
        )
    found += _smooth_words(choice)
    if statistics.n_unread:
        found.append(
            f"the floor is that of {len(statistics.used)} channels chosen at random from {statistics.n_features}; "
            "components were extended to the others"
        )
    if not fit.converged:
        found.append(
            f"the noise is not of this model ({choice.model.words}): ever more components stand out as found ones "
            "are removed; sigma and edge are upper bounds and the rank is a lower one; compare channels of one kind, "
            "or whiten each channel first (recording.sciml.whiten(), sciml preprocess --whiten), to find more"
        )
    if fit.converged and verdict.reason:
        found.append(
            f"the number of components is not determined: {verdict.reason}; sigma, edge and the components are of no "
            "more worth than the model of the noise"
        )
    elif fit.converged and fit.rank > MANY * min(matrix.n_channels, statistics.dof):
        found.append(
            f"{fit.rank} components in {min(matrix.n_channels, statistics.dof)} dimensions are many: noise that "
            "neighboring channels have in common looks the same, and then sigma is too low; compare channels that lie "
            "apart"
        )
    found.extend(_same_in_all_channels(components))
    if len(statistics.used) < 8:
        found.append(f"{len(statistics.used)} channels are few for the large-N laws; p-values are rough")
    return found


def _smooth_words(choice: Choice) -> list[str]:
    """Say among how many directions components stand out that do not among all."""
    if choice.whole is None:
        return []
    more, n = choice.fit.rank - choice.whole.fit.rank, choice.whole.matrix.n_channels
    return [f"{more} of the components stand out only among the smoothest {choice.matrix.n_channels} of {n} directions"]


def _same_in_all_channels(components: Components) -> list[str]:
    """Say which component is the same in all channels, in the units of the data or in those of each channel's noise."""
    maps = components.maps
    for k, overlap in enumerate(components.overlaps_channel):
        for loadings in (maps[:, k], maps[:, k] * components.channel_noise):
            same = abs(loadings.sum()) ** 2 / max(len(loadings) * float(np.sum(np.abs(loadings) ** 2)), TINY)
            if overlap > LEAST_KNOWN and same > SAME * overlap:
                return [
                    f"component {k + 1} has the same sign and size in all channels: a shared reference or a global "
                    'signal; the data cannot tell; patterns="common" takes it out'
                ]
    return []


def _null_words(matrix: Matrix) -> str:
    """Say which combinations of channels are constant: what was projected out."""
    null = matrix.projected_out(np.ones(matrix.n_channels))
    n, n_null = null.shape
    if n_null == 1:
        weights = np.abs(null[:, 0])
        if weights.std() < REFERENCE_TOLERANCE * weights.mean():
            return "the channels add up to a constant: their average was subtracted, one dimension fewer is tested"
    return (
        f"the {n} channels fill {n - n_null} dimensions: {n_null} combinations of them are constant (projected out, as "
        "by a reference, SSP, ICA or Maxwell filtering), and are not tested"
    )
