"""The step size over time, by name."""

from collections.abc import Mapping
from math import cos, pi

from sciml.train.config import TrainConfig

__all__ = ["SCHEDULES", "Schedule", "make_schedule"]

RISE = 0.3  # of the steps of one cycle
START, END = 25.0, 1e4  # times that one cycle starts below its peak, and ends below its start


class Schedule:
    r"""A constant rate after a linear rise of w steps: at step t, counted from 0.

    .. math:: \eta_t = \eta \min(1, (t + 1)/w)

    Parameters
    ----------
    config
        Its `lr` and `warmup`.
    total
        Steps that the run was planned with.

    Attributes
    ----------
    bound_by
        Why a run cannot be extended by more epochs; empty where it can.

    Examples
    --------
    >>> schedule = Schedule(TrainConfig(lr=1.0, warmup=0.5), total=4)
    >>> [schedule.rate(t) for t in range(4)]
    [0.5, 1.0, 1.0, 1.0]
    """

    bound_by = ""

    def __init__(self, config: TrainConfig, *, total: int) -> None:
        self.config, self.total = config, total
        self.rise = round(config.warmup * total)

    def rate(self, step: int) -> float:
        """Return the rate of a step, counted from 0."""
        if step < self.rise:
            return self.config.lr * (step + 1) / self.rise
        return self.config.lr * self.factor(step)

    def factor(self, step: int) -> float:  # noqa: ARG002 (other members ask for it)
        """Return what part of the largest rate a step after the rise has."""
        return 1.0

    def end_epoch(self, *, improved: bool) -> None:
        """Note whether an epoch was the best so far."""

    def state(self) -> dict[str, float]:
        """Return what the next rates depend on besides the step."""
        return {}

    def load(self, state: Mapping[str, float]) -> None:
        """Take over a stored state."""


class Cosine(Schedule):
    r"""A fall to zero as half a period of a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5).

    .. math:: \eta_t = \eta\; \tfrac12 (1 + \cos(\pi\,(t - w)/(T - w)))

    Examples
    --------
    >>> [round(Cosine(TrainConfig(lr=1.0, warmup=0.25), total=4).rate(t), 3) for t in range(4)]
    [1.0, 1.0, 0.75, 0.25]
    """

    bound_by = "the rate fell to zero over the steps that were planned"

    def factor(self, step: int) -> float:
        """Return the half period of a cosine."""
        return 0.5 * (1 + cos(pi * (step - self.rise) / max(self.total - self.rise, 1)))


class OneCycle(Schedule):
    """A rise over three tenths of all steps from a 25th of the rate, then a fall to 4e-6 of it, both as a cosine.

    The momentum stays as it is, and `warmup` has no part in it.

    References
    ----------
    Smith and Topin (2019), doi:10.1117/12.2520589.

    Examples
    --------
    >>> schedule = OneCycle(TrainConfig(lr=1.0), total=101)
    >>> [round(schedule.rate(t), 3) for t in (0, 10, 30, 65, 100)]
    [0.04, 0.29, 1.0, 0.492, 0.0]
    """

    bound_by = "one cycle ends with the steps that were planned"

    def rate(self, step: int) -> float:
        """Return the rate of a step, counted from 0."""
        peak, last = max(RISE * self.total - 1, 1e-9), self.total - 1
        if step <= peak:
            return _between(self.config.lr / START, self.config.lr, step / peak)
        return _between(self.config.lr, self.config.lr / START / END, (step - peak) / max(last - peak, 1e-9))


class Plateau(Schedule):
    """A rate that is multiplied by `plateau_factor` after more than `plateau_patience` epochs without a better one.

    Examples
    --------
    >>> schedule = Plateau(TrainConfig(lr=1.0, warmup=0.0, plateau_patience=1, plateau_factor=0.5), total=9)
    >>> for improved in (True, False, False):
    ...     schedule.end_epoch(improved=improved)
    >>> schedule.rate(5), schedule.state()
    (0.5, {'factor': 0.5, 'bad_epochs': 0})
    """

    reached, bad_epochs = 1.0, 0

    def factor(self, step: int) -> float:  # noqa: ARG002 (it follows the epochs)
        """Return what the rate was lowered to."""
        return self.reached

    def end_epoch(self, *, improved: bool) -> None:
        """Lower the rate if there was no better epoch for too long."""
        self.bad_epochs = 0 if improved else self.bad_epochs + 1
        if self.bad_epochs > self.config.plateau_patience:
            self.reached, self.bad_epochs = self.reached * self.config.plateau_factor, 0

    def state(self) -> dict[str, float]:
        """Return the factor reached and the epochs since."""
        return {"factor": self.reached, "bad_epochs": self.bad_epochs}

    def load(self, state: Mapping[str, float]) -> None:
        """Take over a stored state."""
        self.reached, self.bad_epochs = float(state["factor"]), int(state["bad_epochs"])


SCHEDULES: dict[str, type[Schedule]] = {
    "cosine": Cosine,
    "constant": Schedule,
    "one_cycle": OneCycle,
    "plateau": Plateau,
}


def make_schedule(config: TrainConfig, *, total: int) -> Schedule:
    """Return the schedule of a configuration for a run of `total` steps.

    Examples
    --------
    >>> make_schedule(TrainConfig(schedule="constant", lr=0.1), total=100).rate(50)
    0.1
    """
    return SCHEDULES[config.schedule](config, total=total)


def _between(first: float, second: float, part: float) -> float:
    """Return a value on the half cosine from the first to the second."""
    return second + (first - second) / 2 * (1 + cos(pi * part))
