"""A callback of training that measures spectra at some steps and keeps to a budget of time."""

import copy
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from torch import nn

from sciml.errors import ConfigError
from sciml.spectra.tracking.measures import Measure, Weights
from sciml.spectra.tracking.track import Row, SpectrumTrack
from sciml.train.callbacks import Callback, TrainState
from sciml.wording import count, percent

__all__ = ["SpectrumTracker", "TrackStore"]

_SAVING = "saving"  # beside the names of measures
FIRST_SAVE = 1.0  # seconds that the first is expected to take, with the library that it loads


class TrackStore(Protocol):
    """Where a track is kept between sessions."""

    def read(self) -> SpectrumTrack:
        """Return what was kept; an empty track where there is nothing."""

    def write(self, track: SpectrumTrack) -> None:
        """Keep a track in place of what was there."""


class SpectrumTracker(Callback):
    """Callback of `sciml.train.fit` that follows spectra of the net while it trains.

    Nothing that is measured changes training: the weights at every step are those of a run without it. What it costs
    stays within the budget: a measurement waits, or is passed over, until training has taken long enough for it. The
    start is measured from a copy, as soon as there is time.

    Parameters
    ----------
    what
        "weights", a `Hessian(loss, data)`, or measures of one's own: objects with a `name`, `cost(model)` in seconds
        as far as it can be told, and `measure(model)` that returns variables.
    every
        Steps between measurements; each epoch if None. The start and the last step are measured too.
    budget
        Largest fraction of the time of training that measuring takes.
    store
        Where the track is kept while it grows, and read from on resume; None keeps it in memory alone.
    clock
        Seconds, for tests.

    Attributes
    ----------
    track
        What was measured so far.
    seconds
        Time spent on it.
    n_skipped
        Measurements that the budget left out.

    Raises
    ------
    ConfigError
        An unknown name, `every` below 1 or a budget not between 0 and 1.

    Examples
    --------
    >>> tracker = SpectrumTracker(what=["weights"], every=10, budget=0.05)
    >>> tracker.track.steps
    []
    """

    def __init__(
        self,
        what: Sequence[str | Measure] = ("weights",),
        *,
        every: int | None = None,
        budget: float = 0.05,
        store: TrackStore | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if (every is not None and every < 1) or not 0.0 < budget <= 1.0 or not what:
            raise ConfigError(
                f"expected something to measure, every >= 1 and 0 < budget <= 1; got {list(what)}, {every}, {budget}"
            )
        self.measures = [_measure(each) for each in what]
        self.every, self.budget, self.store, self.clock = every, budget, store, clock
        self.track = SpectrumTrack()
        self.seconds, self.n_skipped = 0.0, 0
        self._costs: dict[str, float] = {}
        self._start: nn.Module | None = None
        self._due: list[Measure] = []  # at the start
        self._measured: set[str] = set()
        self._unsaved = False
        self._began = 0.0

    def summary(self) -> str:
        """Return at how many steps spectra were measured, and what the budget left out, in a line."""
        left = f"; {self.n_skipped} left out to keep within {percent(self.budget, 0)}" if self.n_skipped else ""
        return f"spectra followed at {count(len(self.track.steps), 'step')}{left}"

    def on_fit_start(self, state: TrainState) -> None:
        """Take up the track of a run that goes on, or keep a copy of the start."""
        self._began, self.seconds = self.clock(), 0.0
        if self.store is not None:
            self.track = self.store.read().before(state.step)
        if state.step == 0:
            began = self.clock()
            self._start, self._due = copy.deepcopy(state.model), list(self.measures)
            self.seconds += self.clock() - began

    def on_step_end(self, state: TrainState) -> None:
        """Measure where a step is due and there is time."""
        if self._start is not None:
            self._due = [each for each in self._due if not self._measure(each, self._start, 0)]
            self._start = self._start if self._due else None
        every = self.every or state.steps_per_epoch
        last = state.step == state.epochs * state.steps_per_epoch
        if state.step % every == 0 or last:
            done = [self._measure(each, state.model, state.step) for each in self.measures]
            self.n_skipped += done.count(False)

    def on_epoch_end(self, state: TrainState) -> None:  # noqa: ARG002 (the track has the steps)
        """Keep what was measured, where there is time; a process that is killed loses what came after."""
        if self._unsaved and self._affords(self._costs.get(_SAVING, FIRST_SAVE)):
            self._save()

    def on_fit_end(self, state: TrainState) -> None:  # noqa: ARG002
        """Keep what was measured, and forget the copy of the start."""
        self._start = None
        if self._unsaved:
            self._save()

    def _measure(self, measure: Measure, model: nn.Module, step: int) -> bool:
        """Measure if there is time; return whether there was."""
        name = measure.name
        if name not in self._costs:
            self._costs[name] = measure.cost(model)
        if not self._affords(self._costs[name]):
            return False
        began = self.clock()
        values = measure.measure(model)
        self.track = self.track.with_row(Row(step, values))
        self._unsaved = self.store is not None
        self._spent(name, began)
        return True

    def _save(self) -> None:
        began = self.clock()
        if self.store is not None:
            self.store.write(self.track)
        self._unsaved = False
        self._spent(_SAVING, began)

    def _spent(self, what: str, began: float) -> None:
        """Note what something cost; a first time, with all that it loads and tabulates, does not count for the next."""
        cost = self.clock() - began
        self.seconds += cost
        self._costs[what] = cost if what not in self._measured else min(self._costs[what], cost)
        self._measured.add(what)

    def _affords(self, cost: float) -> bool:
        training = self.clock() - self._began - self.seconds
        return self.seconds + cost <= self.budget * training


def _measure(given: str | Measure) -> Measure:
    if not isinstance(given, str):
        return given
    if given != Weights.name:
        raise ConfigError(f"expected 'weights' or measures such as Hessian(loss, data), got {given!r}")
    return Weights()
