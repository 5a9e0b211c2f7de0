"""What initializations make of one net on the same data: results to be set side by side."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sciml.nn.propagate.result import Propagation
from sciml.result import Plots

__all__ = ["InitComparison", "InitTrial", "RateTrial"]


@dataclass(frozen=True)
class RateTrial:
    """A few steps of training at one learning rate: losses after them, NaN where training diverged."""

    lr: float
    train_loss: float
    held_out_loss: float


@dataclass(frozen=True, repr=False)
class InitTrial:
    """What one initialization makes of a net.

    Attributes
    ----------
    method
        Its name.
    found
        Signal and gradient over depth; None where the method does not apply.
    notes
        What the method said of itself.
    problem
        Why it does not apply, or "".
    rates
        Training from this start, one entry a learning rate; () where nothing was trained.
    """

    method: str
    found: Propagation | None = None
    notes: tuple[str, ...] = ()
    problem: str = ""
    rates: tuple[RateTrial, ...] = ()

    def __repr__(self) -> str:
        return f"InitTrial({self.method!r}, {self.problem or self.found!r})"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with this start, in words."""
        return () if self.found is None else self.found.warnings

    @property
    def best(self) -> RateTrial | None:
        """The learning rate of the smallest train loss, as one would choose it without the held-out part."""
        known = [each for each in self.rates if math.isfinite(each.train_loss)]
        return min(known, key=lambda each: each.train_loss, default=None)


@dataclass(frozen=True, repr=False)
class InitComparison:
    """Initializations of one net side by side, on the same batch and, with `steps`, the same training batches.

    Attributes
    ----------
    net, data
        What was initialized, and on what, in words.
    trials
        One `InitTrial` a method.
    steps
        Steps of training at each learning rate, 0 for none.
    settings
        The configuration as it was used.
    """

    net: str
    data: str
    trials: tuple[InitTrial, ...]
    steps: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    plot = Plots("propagation")

    def __repr__(self) -> str:
        return f"InitComparison({self.net}, {len(self.trials)} methods)"

    def summary(self) -> str:
        """Return one line a method, with its warnings in words."""
        lines = [f"{self.net} on {self.data}"]
        for trial in self.trials:
            if trial.found is None:
                lines.append(f"{trial.method}: does not apply: {trial.problem}")
                continue
            lines.append(
                f"{trial.method}: signal {trial.found.growth:.3g}, squared gradient {trial.found.gradient_growth:.3g}"
                f"{_loss(trial.best)}"
            )
            lines += [f"  warning: {each}" for each in trial.warnings]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "net": self.net,
            "data": self.data,
            "steps": self.steps,
            "methods": [_plain(trial) for trial in self.trials],
        }


def _loss(best: RateTrial | None) -> str:
    if best is None:
        return ""
    return f", train loss {best.train_loss:.4g} and held-out {best.held_out_loss:.4g} at rate {best.lr:g}"


def _plain(trial: InitTrial) -> dict[str, Any]:
    return {
        "method": trial.method,
        "problem": trial.problem,
        "notes": list(trial.notes),
        "rates": [asdict(each) for each in trial.rates],
        "propagation": None if trial.found is None else trial.found.to_dict(),
    }
