"""What a baseline gives, and what it is chosen among."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._typing import AnyArray

__all__ = ["BaselineResult", "Candidate", "Part"]

Part = tuple[AnyArray, NDArray[Any]]  # X (n, channel, time) and y: labels (n,), or values (n, channel, horizon)


@dataclass(frozen=True, eq=False, repr=False)
class BaselineResult:
    """Scores of a baseline on the test part.

    Attributes
    ----------
    metrics
        Scores of the test part.
    settings
        What was chosen, and how it scored on the validation part.
    predicted
        Labels (n,), or values (n, ...) as the targets.
    logits
        Shape (n, class), of a classifier that has probabilities; those of `majority` are the fractions in training.
    """

    name: str
    description: str
    metrics: dict[str, Any]
    settings: dict[str, Any]
    seconds: float
    predicted: NDArray[Any]
    logits: NDArray[np.float64] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all but the predictions."""
        names = ("name", "description", "metrics", "settings", "seconds")
        return {name: getattr(self, name) for name in names}

    def summary(self) -> str:
        """Return the name and its scores in one line."""
        scores = {name: value for name, value in self.metrics.items() if isinstance(value, float)}
        return f"{self.name}: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items())

    def __repr__(self) -> str:
        return f"BaselineResult({self.summary()})"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A fitted baseline: its validation loss, its predictions or logits of the test part, what was chosen."""

    loss: float
    predicted: NDArray[Any]
    settings: dict[str, Any]
