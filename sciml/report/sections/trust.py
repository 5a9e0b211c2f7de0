"""What probabilities, sets and intervals of a net mean on the held-out part, in words."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sciml.report.record import Evaluation, Reliability
from sciml.wording import percent, series

__all__ = ["trust_text"]

CAUTION = (
    "windows of a session resemble each other, so this is what was measured here, not what is guaranteed elsewhere"
)


def trust_text(scored: Evaluation) -> str:
    """Return sentences on calibration and coverage; empty where there is neither."""
    return "".join(f"\n\n{sentence}" for sentence in _sentences(scored))


def _sentences(scored: Evaluation) -> Iterator[str]:
    if scored.reliability is not None:
        yield _calibration(scored.reliability)
    sets = scored.numbers.get("calibration", {}).get("sets")
    if sets is not None:
        yield _sets(sets)
    intervals = scored.numbers.get("intervals")
    if intervals is not None:
        yield _intervals(intervals, scored)


def _calibration(found: Reliability) -> str:
    temperatures = series(f"{each:.3g}" for each in found.temperature)
    one = "one temperature" if len(found.temperature) == 1 else "one temperature a fold"
    return (
        f"Probabilities were calibrated by {one} ({temperatures}), fitted on the validation part. On the held-out part "
        f"the log loss went from {found.log_loss[0]:.3g} to {found.log_loss[1]:.3g}, the Brier score from "
        f"{found.brier[0]:.3g} to {found.brier[1]:.3g}."
    )


def _sets(found: Mapping[str, Any]) -> str:
    return (
        f"Sets of classes meant to hold the true one in {percent(found['confidence'])} of windows held it in "
        f"{percent(found['coverage'])} of the held-out ones, with {found['mean_size']:.3g} classes on average; "
        f"{CAUTION}."
    )


def _intervals(found: Mapping[str, Any], scored: Evaluation) -> str:
    names = () if scored.regression is None else scored.regression.names
    covered = np.atleast_1d(found["coverage"]).tolist()
    each = series(f"{percent(value)} ({name})" for name, value in zip(names, covered, strict=True))
    return (
        f"Intervals meant to hold the true value in {percent(found['confidence'])} of windows held it in {each} of the "
        f"held-out ones; {CAUTION}."
    )
