"""What a layer's test comes to, in one of five verdicts."""

import math
from typing import Literal

from sciml.spectra.weights.noise import NoiseTest

__all__ = ["Verdict", "is_tested", "verdict_of"]

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
