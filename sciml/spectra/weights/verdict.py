"""What a layer's test comes to, in one of five verdicts."""

import math
from typing import Literal

import numpy as np

from sciml._typing import FloatArray
from sciml.spectra.weights.noise import NoiseTest
from sciml.wording import count

__all__ = ["Verdict", "effective_rank", "is_tested", "reason_of", "stable_rank", "verdict_of", "words_of"]

Verdict = Literal[
    "like its initialization",
    "directions learned on a noise bulk",
    "no noise bulk left",
    "orthogonal: nothing to test",
    "undetermined",
]

# Distance of the bulk from the Marchenko-Pastur law up to which it is called noise. Gates of trained recurrent nets,
# with 14 to 70 directions on a clean bulk of 256, have 0.03 to 0.07.
NOISE_DISTANCE = 0.1
FEW = 5  # singular values, of which no bulk can be told


def fits_noise(test: NoiseTest) -> bool:
    """Return whether the bulk follows the law of noise, as far as so few values can tell."""
    short = len(test.tested)
    return test.bulk_distance is not None and test.bulk_distance <= max(
        NOISE_DISTANCE, (2 + math.log(short) / 2) / short
    )


def is_tested(test: NoiseTest) -> bool:
    """Return whether the p-values mean something: there is a bulk, and it is noise."""
    return test.p_values is not None and fits_noise(test)


def verdict_of(test: NoiseTest, rank: int | None, *, significant: bool) -> Verdict:
    """Return the verdict, from the test and the number of outliers that count after false-discovery control.

    `significant` says whether any value stands out at the level of the layer by itself.
    """
    if test.orthogonal:
        return "orthogonal: nothing to test"
    if test.no_bulk:
        return "no noise bulk left"
    if test.p_values is None:
        return "undetermined"
    if not fits_noise(test):
        return "no noise bulk left" if significant else "undetermined"
    if rank:
        return "directions learned on a noise bulk"
    return "like its initialization" if len(test.tested) >= FEW else "undetermined"


def reason_of(verdict: Verdict, test: NoiseTest) -> str:
    """Return why there is no number of directions, or ""; what leaves a verdict open is among the warnings."""
    return test.reason or (test.warnings[0] if verdict == "undetermined" and test.warnings else "")


def words_of(verdict: Verdict, rank: int | None, reason: str = "") -> str:
    """Return the verdict, with the number of directions, or with what leaves it open (its reason up to the colon)."""
    if verdict == "undetermined" and reason:
        return f"{verdict} ({reason.partition(':')[0]})"
    if verdict != "directions learned on a noise bulk" or rank is None:
        return verdict
    return f"{count(rank, 'direction')} learned on a noise bulk"


def stable_rank(values: FloatArray) -> float:
    r"""Return the squared Frobenius norm over the squared spectral norm, :math:`\sum s^2 / s_1^2`; 0 for zeros."""
    return float(values @ values) / float(values[0]) ** 2 if values[0] > 0 else 0.0


def effective_rank(values: FloatArray) -> float:
    """Return the exponential of the entropy of singular values divided by their sum; 0 for zeros.

    References
    ----------
    Roy and Vetterli (2007), doi:10.5281/zenodo.40430.
    """
    weights = values[values > 0] / max(float(values.sum()), np.finfo(np.float64).tiny)
    return float(np.exp(-(weights * np.log(weights)).sum())) if weights.size else 0.0
