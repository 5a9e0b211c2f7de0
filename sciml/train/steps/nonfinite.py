"""Losses and gradients that are not finite: left out on the device, named when the run next waits for it."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sciml.errors import DivergedError, ScimlWarning
from sciml.train.config import TrainConfig
from sciml.train.reading import Batches, in_sequence

__all__ = ["Guard", "StepRecord", "cause", "cause_in"]

IN_A_ROW = {"stop": 0, "skip": 5}  # steps that may be left out one after another
OVERFLOWS = 40  # the same of fp16: from its largest scale, 2^24 and more, to far below one
EVERY = 100  # steps at most until they are looked at


@dataclass(frozen=True, eq=False)
class StepRecord:
    """A step and its batch: `number` and `epoch` from 0, the rate, the items and their weight."""

    number: int
    epoch: int
    lr: float
    items: NDArray[np.int64]
    weight: torch.Tensor

    def __str__(self) -> str:
        return f"step {self.number} (epoch {self.epoch + 1}, lr {self.lr:g})"


class Guard:
    """Leaves out steps whose loss or gradient is not finite, without waiting for the device to say so.

    A step that must not be taken changes neither weights nor state of the optimizer, and once there were too many in a
    row, none is taken any more: `check` raises when it next reads what happened.

    Parameters
    ----------
    config
        Its policy `nonfinite`, and whether its precision scales the loss: gradients beyond fp16 are then expected.
    device
        Where loss and gradient are.
    explain
        From the items of a batch to what in it is to blame.

    Examples
    --------
    >>> guard = Guard(TrainConfig(nonfinite="skip"), torch.device("cpu"), lambda items: "lower lr")
    >>> step = StepRecord(3, 0, 0.1, np.array([7]), torch.tensor(1.0))
    >>> guard.left_out(step, torch.tensor(float("nan")), torch.tensor(1.0))
    tensor(True)
    """

    def __init__(self, config: TrainConfig, device: torch.device, explain: Callable[[NDArray[np.int64]], str]) -> None:
        self.policy, self.scaled, self.explain = config.nonfinite, config.precision == "fp16", explain
        self.device, self.limits = device, [IN_A_ROW[self.policy], OVERFLOWS]
        self.in_a_row, self.skipped, self.overflowed = [0, 0], 0, 0
        self.recent = list[tuple[StepRecord, torch.Tensor, torch.Tensor]]()
        self._begin()

    def _begin(self) -> None:
        """Count on the device too, from where this is."""
        self._in_a_row = [torch.tensor(n, device=self.device) for n in self.in_a_row]
        self._failed = torch.zeros((), dtype=torch.bool, device=self.device)

    def left_out(self, step: StepRecord, total: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
        """Return whether a step must not be taken, shape (), by its summed loss and the norm of its gradient."""
        self.recent.append((step, total, norm))
        if not self.scaled:
            both = total + norm
            return self._too_many(0, both - both != 0)  # zero of what is finite: half the operations of isfinite
        # an infinite gradient of a finite loss is for the scaler of fp16; a loss that is not finite is for nobody
        broken = ~torch.isfinite(total)
        return self._too_many(0, broken) | self._too_many(1, ~broken & ~torch.isfinite(norm))

    def _too_many(self, kind: int, bad: torch.Tensor) -> torch.Tensor:
        """Count a step of a kind; return whether it is to be left out: if it is bad, or there were too many."""
        if self.limits[kind]:
            self._in_a_row[kind] = (self._in_a_row[kind] + 1) * bad
            self._failed = self._failed | (self._in_a_row[kind] > self.limits[kind])
            return self._failed | bad
        self._failed = self._failed | bad
        return self._failed

    def check(self) -> None:
        """Read how the steps since the last check went, warn of each that was left out, or raise.

        Raises
        ------
        DivergedError
            More of them in a row than the policy allows.
        """
        recent, self.recent = self.recent, []
        if not recent:
            return
        values = torch.stack([value for step, *both in recent for value in (*both, step.weight)]).tolist()
        for (step, *_), total, norm, weight in zip(recent, values[::3], values[1::3], values[2::3], strict=True):
            self._count(step, total / weight, norm)

    def check_sometimes(self) -> None:
        """Check where there are many steps that nobody looked at."""
        if len(self.recent) >= EVERY:
            self.check()

    def _count(self, step: StepRecord, loss: float, norm: float) -> None:
        broken = not math.isfinite(loss) or not (self.scaled or math.isfinite(norm))
        overflow = not broken and not math.isfinite(norm)
        self.in_a_row = [self.in_a_row[0] + 1 if broken else 0, self.in_a_row[1] + 1 if overflow else 0]
        self.skipped, self.overflowed = self.skipped + broken, self.overflowed + overflow
        if not broken and self.in_a_row[1] <= self.limits[1]:
            return
        what = f"gradient norm {norm}" if math.isfinite(loss) else f"loss {loss}"
        found = f"{what} at {step}, batch of {len(step.items)}: {self.explain(step.items)}"
        if self.in_a_row[0] <= self.limits[0] and broken:
            warnings.warn(f"a step was left out: {found}", ScimlWarning, stacklevel=6)
            return
        n = max(self.in_a_row)
        raise DivergedError(f"training diverged: {f'{n} steps in a row were not finite, the last: ' * (n > 1)}{found}")

    def state(self) -> dict[str, int]:
        """Return the counts of steps that were left out, after a check."""
        self.check()
        names = ("skipped_in_a_row", "overflowed_in_a_row", "skipped", "overflowed")
        return dict(zip(names, (*self.in_a_row, self.skipped, self.overflowed), strict=True))

    def load(self, state: Mapping[str, int]) -> None:
        """Take over stored counts."""
        self.in_a_row = [int(state["skipped_in_a_row"]), int(state["overflowed_in_a_row"])]
        self.skipped, self.overflowed = int(state["skipped"]), int(state["overflowed"])
        self._begin()


def cause(part: Batches | None, items: NDArray[np.int64]) -> str:
    """Return what in a batch is to blame for a loss that is not finite: where its worst value is, by name.

    Parameters
    ----------
    part
        Whose items they are, read again; its `describe(item, channel=, sample=)` names a place, if it has one.

    Examples
    --------
    >>> from sciml.train.reading import as_batches
    >>> X = np.ones((4, 2, 3), np.float32)
    >>> X[2, 1, 0] = np.nan
    >>> cause(as_batches((X, np.zeros(4)), "train"), np.array([3, 2]))
    'the input holds 1 value that is not finite, the first in item 2, channel 1, sample 0; mend it or leave it out'
    """
    if part is None:
        return "lower lr"
    x, y = (np.asarray(tensor.numpy(), dtype=np.float64) for tensor in part.batch(items))
    bad = ~np.isfinite(x)
    if bad.any():
        first = np.unravel_index(int(bad.argmax()), bad.shape)
        n = int(bad.sum())
        what = "1 value that is" if n == 1 else f"{n} values that are"
        return f"the input holds {what} not finite, the first in {_place(part, items, first)}; mend it or leave it out"
    if np.isinf(y).any():
        item = int(items[np.argwhere(np.isinf(y))[0][0]])
        return f"the target of item {item} is infinite; mend it or leave it out"
    largest = np.unravel_index(int(np.abs(x).argmax()), x.shape)
    where = _place(part, items, largest)
    return f"the input is finite, its largest magnitude {abs(x[largest]):.3g} in {where}; lower lr"


def cause_in(part: Batches, batch_size: int) -> str:
    """Return what in a whole part is to blame: that of its first batch with a value that is not finite.

    Examples
    --------
    >>> from sciml.train.reading import as_batches
    >>> X = np.ones((4, 2, 3), np.float32)
    >>> X[3, 1, 0] = np.inf
    >>> cause_in(as_batches((X, np.zeros(4)), "train"), 2)
    'the input holds 1 value that is not finite, the first in item 3, channel 1, sample 0; mend it or leave it out'
    """
    for items in in_sequence(len(part), batch_size):
        x, y = part.batch(items)
        if not torch.isfinite(x).all() or torch.isinf(y).any():
            return cause(part, items)
    return "inputs and targets are finite; lower lr"


def _place(part: Batches, items: NDArray[np.int64], index: tuple[np.intp, ...]) -> str:
    """Return in words where a value of a batch is."""
    item, *rest = int(items[index[0]]), *(int(k) for k in index[1:])
    describe = getattr(part, "describe", None)
    if len(rest) != 2:
        return f"item {item}, at {tuple(rest)}"
    if describe is None:
        return f"item {item}, channel {rest[0]}, sample {rest[1]}"
    return str(describe(item, channel=rest[0], sample=rest[1]))
