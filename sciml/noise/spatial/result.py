"""What is said of noise that channels share: how strongly, and how far."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sciml._typing import AnyArray, FloatArray
from sciml.wording import quantity, series

__all__ = ["DistanceCorrelation", "GroupCorrelation", "LagCorrelation", "SpatialNoise", "along_grid"]

NONE = 0.02  # correlation below which neighbors share nothing worth a word
SHOWN = 3  # lags in words


@dataclass(frozen=True)
class LagCorrelation:
    """Correlation of the noise of channels `lags` apart, in `units`, along `dim`; the first is at lag zero: one.

    Of channels on a grid `dim` is one of its dims, and of others the distance between them.
    """

    dim: str
    lags: FloatArray
    correlation: FloatArray
    units: str = ""

    @property
    def neighbors(self) -> float:
        """Correlation of channels next to each other."""
        return float(self.correlation[1]) if len(self.correlation) > 1 else 0.0

    @property
    def range(self) -> float:
        """Largest lag at which noise is shared: correlations further on are below .02."""
        shared = np.flatnonzero(np.abs(self.correlation) >= NONE)
        return float(self.lags[shared[-1]]) if len(shared) else 0.0

    @property
    def reach(self) -> str:
        """The range in words."""
        return f"{quantity(self.range, self.units) if self.units else _steps(self.range)} along {self.dim}"

    def __str__(self) -> str:
        """Say how strong correlation is at the first lags: ".63 at 1 px, .19 at 2 px along x"."""
        if self.range == 0:
            return f"none along {self.dim}"
        some = range(1, 1 + min(SHOWN, int(np.searchsorted(self.lags, self.range))))
        lags = [quantity(float(self.lags[i]), self.units) if self.units else _steps(self.lags[i]) for i in some]
        return series(f"{self.correlation[i]:.2f} at {lag}" for i, lag in zip(some, lags, strict=True)) + (
            f" along {self.dim}"
        )


def _steps(lag: float) -> str:
    return "one step" if lag == 1 else f"{lag:g} steps"


@dataclass(frozen=True)
class GroupCorrelation(LagCorrelation):
    """Correlation of the noise of channels within each group, the second of two; `dim` says what groups are."""

    @property
    def reach(self) -> str:
        """The range in words."""
        return f"one {self.dim}"

    def __str__(self) -> str:
        """Say how strong correlation is within a group."""
        return f"{self.neighbors:.2f} within each {self.dim}" if self.range else f"none within each {self.dim}"


@dataclass(frozen=True)
class DistanceCorrelation(LagCorrelation):
    """Correlation of the noise of channels by the distance between them, whatever its direction."""

    @property
    def reach(self) -> str:
        """The range in words."""
        return f"a distance of {self._words(self.range)}"

    def __str__(self) -> str:
        """Say how strong correlation is at the first distances."""
        if self.range == 0:
            return "none at any distance"
        some = range(1, 1 + min(SHOWN, int(np.searchsorted(self.lags, self.range))))
        found = (f"{self.correlation[i]:.2f} at {self._words(float(self.lags[i]))}" for i in some)
        return f"by distance: {series(found)}"

    def _words(self, distance: float) -> str:
        return quantity(distance, self.units) if self.units else f"{distance:.3g}"


@dataclass(frozen=True)
class SpatialNoise:
    """Noise that channels share, along each dim of their grid, or by distance."""

    along: tuple[LagCorrelation, ...]
    note: str = ""

    @property
    def one_axis(self) -> LagCorrelation | None:
        """The only one of several axes along which noise is shared, as of a scanner that reads line by line."""
        shared = [each for each in self.along if each.range > 0]
        return shared[0] if len(shared) == 1 < len(self.along) else None

    def summary(self) -> str:
        """Return in one sentence how far noise is shared.

        Examples
        --------
        >>> x = LagCorrelation("x", np.arange(4.0), np.array([1.0, 0.63, 0.19, 0.0]))
        >>> y = LagCorrelation("y", np.arange(4.0), np.array([1.0, 0.0, 0.0, 0.0]))
        >>> SpatialNoise((y, x)).summary()
        'Neighboring channels share noise: correlation none along y; 0.63 at one step and 0.19 at 2 steps along x.'
        """
        note = f" ({self.note})" if self.note else ""
        return f"Neighboring channels share noise: correlation {'; '.join(map(str, self.along))}{note}."

    @property
    def caution(self) -> str:
        """What such noise hides."""
        shared = [each for each in self.along if each.range]
        reach = f" ({series(each.reach for each in shared)})" if shared else ""
        return (
            f"structure that repeats everywhere within the range of the noise{reach} counts as noise, and sigma "
            "includes it"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            each.dim: {
                "lags": each.lags.tolist(),
                "units": each.units,
                "correlation": each.correlation.tolist(),
                "range": each.range,
            }
            for each in self.along
        }


def along_grid(
    dims: Sequence[str], steps: Sequence[float], units: Sequence[str], correlations: Sequence[AnyArray]
) -> SpatialNoise:
    """Return what is said of a grid's noise, correlation by lag along each axis; NaN where no channels are that far."""
    found = []
    for dim, step, unit, correlation in zip(dims, steps, units, correlations, strict=True):
        known = np.isfinite(correlation)
        lags = np.arange(0.0, len(correlation)) * (step if unit else 1.0)
        found.append(LagCorrelation(dim, lags[known], correlation[known], unit))
    return SpatialNoise(tuple(found))
