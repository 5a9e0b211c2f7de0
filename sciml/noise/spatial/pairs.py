"""What a family of correlations between channels is: a function of the class that a pair of channels belongs to."""

from collections.abc import Sequence
from typing import Protocol

from sciml._typing import FloatArray, IntArray

__all__ = ["PairCorrelation"]


class PairCorrelation(Protocol):
    """Correlations that are equal for all pairs of a class, and depend on parameters (P,).

    Classes are lags of a grid, distances, or whatever two channels have in common.
    """

    @property
    def blocks(self) -> Sequence[IntArray]:
        """Channels that are near each other, all in some block: their likelihoods multiply."""
        ...

    def of_channels(self, channels: IntArray) -> "PairCorrelation":
        """Return the same correlation between some of the channels."""
        ...

    @property
    def pairs(self) -> IntArray:
        """The class of each pair of channels (N, N)."""
        ...

    def tables(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the correlation of each class (n_classes,), and its derivatives (1 + P, n_classes).

        The correlation of a channel with itself is one; the first derivative is along a factor of all covariances.
        """
        ...

    def sums(self, matrix: FloatArray) -> FloatArray:
        """Return the sums (n_classes,) of a matrix (N, N) over the pairs of each class."""
        ...

    def change(self, step: FloatArray) -> float:
        """Return by how much a step of the parameters changes the spectrum, relative."""
        ...
