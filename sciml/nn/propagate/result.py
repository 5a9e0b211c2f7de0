"""Signal and gradient of a net over its depth, measured beside theory."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from sciml.result import Plots

__all__ = ["Propagation", "PropagationPoint"]


@dataclass(frozen=True)
class PropagationPoint:
    """One point of a net: the values that one of its functions gives.

    Attributes
    ----------
    name, kind
        Module or function, and what it is: "input", "affine", "activation", "norm", "branch" (the sum that closes a
        residual block), "pool", "scale", "shift".
    block
        The residual block that the point is inside of, or "".
    second
        Mean square of the values on the batch.
    gradient
        Mean squared norm of a random gradient, over that at the output.
    chi_1
        Factor by which the squared gradient grew on its way back to here from the next point of the same stream; NaN at
        the last.
    correlation
        Mean cosine of the values of two inputs; of two tokens of one input in a net with attention.
    singular_values
        Of the Jacobian from the input to here, on a few random directions, the largest first; () where not measured.
    second_theory, gradient_theory, correlation_theory, chi_1_theory
        What mean-field theory expects of wide nets with weights of these variances; NaN where it knows nothing.
    second_band, gradient_band
        (low, high): two standard deviations of the logarithm about a typical net of these widths.
    jacobian_theory, jacobian_band
        Mean squared singular value that theory expects of the Jacobian from the input to here, and its band.
    """

    name: str
    kind: str
    block: str
    second: float
    gradient: float
    chi_1: float
    correlation: float
    singular_values: tuple[float, ...]
    second_theory: float
    gradient_theory: float
    chi_1_theory: float
    correlation_theory: float
    second_band: tuple[float, float]
    gradient_band: tuple[float, float]
    jacobian_theory: float = math.nan
    jacobian_band: tuple[float, float] = (math.nan, math.nan)

    @property
    def second_typical(self) -> float:
        """What theory expects of a typical net of these widths, the middle of the band: less than the mean."""
        return math.sqrt(self.second_band[0] * self.second_band[1])

    @property
    def gradient_typical(self) -> float:
        """The same of the squared gradient."""
        return math.sqrt(self.gradient_band[0] * self.gradient_band[1])

    @property
    def jacobian(self) -> float:
        """Mean squared singular value of the Jacobian from the input to here, on the directions measured."""
        values = self.singular_values
        return sum(each**2 for each in values) / len(values) if values else math.nan


@dataclass(frozen=True, repr=False)
class Propagation:
    """What a batch and a gradient become on their way through a net, point by point.

    Attributes
    ----------
    points
        In order of execution, the input first.
    warnings
        In words: a net outside its trainable depth, a signal or gradient that changes by more than 1e3 from end to end,
        a ReLU that closes residual branches.
    notes
        What theory does not know of this net.
    """

    points: tuple[PropagationPoint, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    plot = Plots("propagation")

    @property
    def stream(self) -> tuple[PropagationPoint, ...]:
        """The points outside residual branches."""
        return tuple(point for point in self.points if not point.block)

    @property
    def growth(self) -> float:
        """Mean square of the output over that of the first point after the input."""
        first, last = self.stream[min(1, len(self.stream) - 1)], self.stream[-1]
        return last.second / first.second if first.second > 0 else math.nan

    @property
    def gradient_growth(self) -> float:
        """Squared norm of the gradient at the first point after the input over that at the output."""
        return self.stream[min(1, len(self.stream) - 1)].gradient

    def __repr__(self) -> str:
        return (
            f"Propagation({len(self.points)} points, signal {self.growth:.4g}, gradient {self.gradient_growth:.4g}, "
            f"{len(self.warnings)} warnings)"
        )

    def summary(self) -> str:
        """Return the points as a table, measured beside theory of a typical net, with warnings and notes in words."""
        head = (
            f"{'point':<30} {'E[x²]':>10} {'typical':>10} {'gradient²':>10} {'typical':>10} {'chi_1':>8} {'corr.':>7} "
            f"{'theory':>7} {'sing. values':>16}"
        )
        rows = [head, *(_row(point) for point in self.points)]
        return "\n".join([*rows, *(f"warning: {each}" for each in self.warnings), *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values; what is not known is None."""
        found = asdict(self)
        found["points"] = [{key: _plain(value) for key, value in point.items()} for point in found["points"]]
        return {**found, "growth": _plain(self.growth), "gradient_growth": _plain(self.gradient_growth)}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


def _row(point: PropagationPoint) -> str:
    name = ("  " if point.block else "") + point.name
    values = point.singular_values
    span = f"{values[-1]:.2g} to {values[0]:.2g}" if values else ""
    return (
        f"{name[-30:]:<30} {_short(point.second):>10} {_short(point.second_typical):>10} {_short(point.gradient):>10} "
        f"{_short(point.gradient_typical):>10} {_short(point.chi_1):>8} {_short(point.correlation, 2):>7} "
        f"{_short(point.correlation_theory, 2):>7} {span:>16}"
    )


def _short(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}g}" if math.isfinite(value) else "-"
