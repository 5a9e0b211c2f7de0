"""One step of the optimizer, in as many pieces as fit in memory, without waiting for the device."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml.errors import ConfigError, ScimlWarning
from sciml.nn.models import constrain
from sciml.train.config import TrainConfig
from sciml.train.objective import Objective
from sciml.train.processes import ALONE, Processes
from sciml.train.reading import Batch, Batches, key
from sciml.train.steps.nonfinite import Guard, StepRecord, cause
from sciml.train.steps.optimizers import Optimizer
from sciml.train.steps.sums import RunningSums, summands

__all__ = ["Stepper", "autocast", "seed_generators"]

SMALLEST_WEIGHT = 1e-12  # of a batch: one whose items all weigh nothing has loss zero
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Stepper:
    """Takes steps of an optimizer on batches, whose loss is a mean over the items of all processes.

    The model is to be in training mode.

    Nothing of it reads a value from the device: what a step gave stays there until `check` or `state` is asked for, or
    a number is made of `last_loss`. A batch goes through the net in pieces of at most `micro_batch` items, whose
    gradients are added: batch normalization and dropout then work within a piece. Where memory is exceeded the pieces
    are halved and the step is taken again, with the same items and the same seed.

    Parameters
    ----------
    model
        What is called with a batch: the net, or what spreads it over processes.
    optimizer, objective, config
        How.
    device
        Where the net is.
    processes
        Those that share each batch.
    part
        What the batches come from, to name what is wrong with one.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        objective: Objective,
        config: TrainConfig,
        device: torch.device,
        processes: Processes = ALONE,
        part: Batches | None = None,
    ) -> None:
        self.model, self.optimizer, self.objective = model, optimizer, objective
        self.config, self.device, self.processes = config, device, processes
        self.micro_batch = config.micro_batch
        self.guard = Guard(config, device, partial(self._cause, part))
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self.buffers = _Buffers(model)
        self._alone: Callable[[], AbstractContextManager[Any]] | None = getattr(model, "no_sync", None)
        self.constrained = any(getattr(module, "max_norms", None) for module in model.modules())
        self.forward: Any = torch.compile(model) if config.compile else model
        self._last = torch.full((1,), torch.nan), torch.ones(())
        self._outputs: torch.Size | None = None

    @property
    def last_loss(self) -> torch.Tensor:
        """The loss of the last step, shape (), on the device."""
        numbers, weight = self._last
        return numbers[0] / weight

    def take(self, batch: Batch, sums: RunningSums, *, number: int, epoch: int, lr: float) -> None:
        """Take step `number` of an epoch, both counted from 0, and add what it gave to the sums.

        Raises
        ------
        ConfigError
            A single item needs more memory than the device has.
        DivergedError
            Steps before it were not finite, see `Guard`.
        """
        self.optimizer.set_rate(lr)
        weight = self.processes.sum(self.objective.weight(batch.y, batch.weights).clamp(min=SMALLEST_WEIGHT))
        numbers = self.processes.sum(self.fitting(batch, weight, number))
        self._last = numbers, weight
        norm = self.clip()
        left_out = self.guard.left_out(StepRecord(number, epoch, lr, batch.whole, weight), numbers[0], norm)
        self.optimizer.step(left_out)
        if self.constrained:
            constrain(self.model)
        self.scaler.update()
        self.buffers.restore(left_out)
        sums.add(numbers, norm)
        self.guard.check_sometimes()

    # ---- the gradient

    def fitting(self, batch: Batch, weight: torch.Tensor, number: int) -> torch.Tensor:
        """Return what `accumulate` does of a batch, in smaller pieces where it does not fit, uncompiled if need be."""
        self.buffers.keep()
        before = self.micro_batch
        while True:
            try:
                found = self.accumulate(batch, weight, number)
                self.report_smaller(before, len(batch.x))
                return found
            except torch.OutOfMemoryError as error:
                self.halve(len(batch.x), error)
            except Exception as error:
                if self.forward is self.model:
                    raise
                self.run_uncompiled(error)
            self.begin_again()

    def accumulate(self, batch: Batch, weight: torch.Tensor, number: int) -> torch.Tensor:
        """Leave the gradient of a batch's mean loss in the net; return its summands, of this process alone.

        `weight` is that of the batch in all processes.
        """
        seed_generators(self.device, key(self.config.seed, _stream(self.processes.rank), number))
        self.optimizer.clear()
        divisor = weight / self.processes.size  # gradients are averaged over processes
        found: list[torch.Tensor] = []
        for piece, last in pieces(batch, self.micro_batch):
            with self.apart(last=last):
                found.append(self.differentiate(piece, divisor))
        return found[0] if len(found) == 1 else torch.stack(found).sum(dim=0)

    def differentiate(self, piece: Batch, divisor: torch.Tensor) -> torch.Tensor:
        """Add the gradient of a piece, whose summed loss is divided by the same as that of the others."""
        with autocast(self.config, self.device):
            output = self.forward(piece.x)
        self._outputs = output.shape[1:]
        total, weight = self.objective.total(output, piece.y, piece.weights, training=True)
        self.scaler.scale(total / divisor).backward()  # type: ignore[no-untyped-call]
        return summands(total, weight, self.objective.right(output, piece.y), piece.n_items)

    def apart(self, *, last: bool) -> AbstractContextManager[Any]:
        """Return the block in which gradients stay with their process: all pieces of a batch but the last."""
        return nullcontext() if last or self._alone is None else self._alone()

    def clip(self) -> torch.Tensor:
        """Limit the norm of the gradient; return what it was."""
        self.scaler.unscale_(self.optimizer)  # type: ignore[arg-type]  # it asks for the weights alone
        gradients = self.optimizer.gradients
        norm: torch.Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if self.config.clip_norm is not None:
            torch._foreach_mul_(gradients, self.config.clip_norm / norm.clamp(min=self.config.clip_norm))
        return norm

    # ---- what does not work at the first try

    def halve(self, n_items: int, error: torch.OutOfMemoryError) -> None:
        """Halve the pieces of a batch."""
        now = min(self.micro_batch or n_items, n_items)
        if now == 1 or self.processes.size > 1:
            raise ConfigError(self._too_large(now)) from error
        self.micro_batch = -(-now // 2)

    def report_smaller(self, before: int | None, n_items: int) -> None:
        """Say that the pieces of a batch of so many items are smaller from now on, if they are."""
        if self.micro_batch != before:
            warnings.warn(
                f"a batch of {n_items} needs more memory than {self.device} has: from now on its items go through the "
                f"net {self.micro_batch} at a time (train.micro_batch = {self.micro_batch}); a step stays one of all",
                ScimlWarning,
                stacklevel=2,
            )

    def _too_large(self, n_items: int) -> str:
        if n_items == 1:
            what, advice = "one item needs", "use precision 'bf16', a smaller net or shorter windows"
        else:
            what, advice = f"{n_items} items at once need", f"set micro_batch to {n_items // 2} or less"
        return f"{what} more memory than {self.device} has; {advice}"

    def run_uncompiled(self, error: Exception) -> None:
        """Run the net as it is from now on."""
        self.forward = self.model
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        warnings.warn(f"torch.compile failed, the net runs uncompiled: {first[:200]}", ScimlWarning, stacklevel=2)

    def begin_again(self) -> None:
        """Undo what half a step did."""
        self.buffers.restore()
        self.optimizer.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _cause(self, part: Batches | None, items: NDArray[np.int64]) -> str:
        """Return what in a batch is to blame, or raise if its targets do not fit the net."""
        if part is not None and self._outputs is not None:
            y = part.batch(items)[1]
            self.objective.check(torch.empty((len(y), *self._outputs), device="meta"), y)
        return cause(part, items)

    # ---- state

    def check(self) -> None:
        """Look at the steps so far: read from the device, once for all."""
        self.guard.check()

    def state(self) -> dict[str, Any]:
        """Return what the next step depends on besides weights, optimizer and number.

        Raises
        ------
        DivergedError
            As `check`: nothing is stored of a run that diverged.
        """
        return {"micro_batch": self.micro_batch, "guard": self.guard.state(), "scaler": self.scaler.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over a stored state."""
        self.micro_batch = state["micro_batch"]
        self.guard.load(state["guard"])
        if state["scaler"]:
            self.scaler.load_state_dict(dict(state["scaler"]))


class _Buffers:
    """The buffers of a model as they were before a step, such as the statistics of batch normalization."""

    def __init__(self, model: nn.Module) -> None:
        self.tensors = [tensor.detach() for tensor in model.buffers() if tensor.numel()]
        self.before = [tensor.clone() for tensor in self.tensors]

    def keep(self) -> None:
        """Copy them."""
        if self.tensors:
            torch._foreach_copy_(self.before, self.tensors)

    def restore(self, left_out: torch.Tensor | None = None) -> None:
        """Put them back; with `left_out`, shape (), where it is true."""
        for tensor, before in zip(self.tensors, self.before, strict=True):
            tensor.copy_(before if left_out is None else torch.where(left_out, before, tensor))


def pieces(batch: Batch, most: int | None) -> Iterator[tuple[Batch, bool]]:
    """Yield a batch in pieces of nearly equal size, none of more than `most` items, and whether it is the last."""
    n = len(batch.x)
    n_pieces = -(-n // min(most or n, n))
    if n_pieces == 1:
        yield batch, True
        return
    for start, stop in pairwise(np.linspace(0, n, n_pieces + 1).round().astype(int).tolist()):
        yield _slice(batch, start, stop), stop == n


def _slice(batch: Batch, start: int, stop: int) -> Batch:
    here = slice(start, stop)
    weights = None if batch.weights is None else batch.weights[here]
    n_items = min(max(batch.n_items - start, 0), stop - start)
    return replace(batch, items=batch.items[here], x=batch.x[here], y=batch.y[here], weights=weights, n_items=n_items)


def autocast(config: TrainConfig, device: torch.device) -> AbstractContextManager[Any]:
    """Return the block in which a net computes in the precision of a configuration."""
    kind = AUTOCAST.get(config.precision)
    return nullcontext() if kind is None else torch.autocast(device.type, dtype=kind)


def seed_generators(device: torch.device, seed: int) -> None:
    """Seed the generators that a step draws from: those of the CPU and of the device in use.

    `torch.manual_seed` gives the same draws, but formats the Python stack for each kind of device that is not there.

    Examples
    --------
    >>> seed_generators(torch.device("cpu"), 3)
    >>> here = torch.rand(2)
    >>> bool((here == torch.rand(2, generator=torch.Generator().manual_seed(3))).all())
    True
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index: int | None = device.index
        torch.cuda.default_generators[torch.cuda.current_device() if index is None else index].manual_seed(seed)
    elif device.type not in ("cpu", "meta"):
        torch.manual_seed(seed)


def _stream(rank: int) -> str:
    """Return the name of the draws of a process: dropout must not drop the same units in all."""
    return "step" if rank == 0 else f"step of process {rank}"
