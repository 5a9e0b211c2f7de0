"""What a baseline gives, and what it is chosen among."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BaselineResult", "Candidate", "Part"]

Array = NDArray[np.floating[Any]]
Part = tuple[Array, NDArray[Any]]  # X (n, channel, time) and y: labels (n,), or values (n, channel, horizon)


@dataclass(frozen=True, eq=False)
class BaselineResult:
    """Scores of a baseline on the test part; `predicted` are its labels (n,) or values (n, channel, horizon)."""

    name: str
    description: str
    metrics: dict[str, Any]
    settings: dict[str, Any]
    seconds: float
    predicted: NDArray[Any] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A fitted baseline: its validation loss, its predictions of the test part, what was chosen."""

    loss: float
    predicted: NDArray[Any]
    settings: dict[str, Any]
