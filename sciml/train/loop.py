"""The training loop: resumable to the bit, stopped by a part the net never trained on.

Every random draw is seeded by (seed, stream, epoch or step), so that a run which was killed and resumed takes the
same draws as one that was not, and no state of a generator has to be kept.
"""

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml import files
from sciml.errors import CheckpointError, ConfigError, DataError, DivergedError, InterruptedRunError, StorageError
from sciml.train import checkpoint
from sciml.train.callbacks import EpochRecord, TrainState
from sciml.train.config import TrainConfig, resolve_device
from sciml.train.extension import check_settings
from sciml.train.interrupt import Interrupts
from sciml.train.monitor import monitor
from sciml.train.objective import objective, sampling_chances
from sciml.train.processes import Processes, spread_over, started
from sciml.train.reading import FitData, Reader, as_batches, batch_order, deaths_understood, draw_keys, fingerprint, key
from sciml.train.result import FitResult
from sciml.train.steps import (
    EpochSums,
    RunningSums,
    Stepper,
    WeightAverage,
    autocast,
    cause_in,
    make_optimizer,
    make_schedule,
    seed_generators,
)
from sciml.train.surroundings import check_environment, check_shares, environment, surroundings
from sciml.train.validation import Validation

__all__ = ["fit"]

CHECKPOINTS = "checkpoints"  # folder of a run directory


def fit(
    model: nn.Module,
    data: FitData,
    config: TrainConfig | None = None,
    callbacks: Sequence[object] = (),
    *,
    run_dir: str | Path | None = None,
    resume: bool = False,
    extra_state: Mapping[str, Any] | None = None,
) -> FitResult:
    """Train a model, stop when the validation part says so, and leave it with the weights of its best epoch.

    With a run directory the state is kept in `checkpoints/`: at the start, at each epoch's end and every
    `checkpoint_every` steps. A run killed at any moment and resumed ends with the same weights, bit for bit, on the
    same device type, with as many threads and the same version of torch.

    Parameters
    ----------
    model
        Maps (batch, channel, time) to logits (batch, class), or to (batch, ...) as many values as the target has.
    data
        Training and validation part.
    config
        Settings; default `TrainConfig()`.
    callbacks
        Objects with some of the methods of `Callback`.
    run_dir
        Directory of the run; None keeps nothing.
    resume
        Go on from the newest whole checkpoint. A finished run returns its result at once.
    extra_state
        Tensors, numbers and strings to store in each checkpoint beside the model: what a prediction needs.

    Raises
    ------
    CheckpointError
        Nothing to resume from, or a checkpoint of another model, configuration or data.
    ConfigError
        Settings, model and data that do not fit each other, or a batch beyond the GPU's memory.
    DivergedError
        A loss or gradient that is not finite: names step, epoch, lr and the items of the batch.
    InterruptedRunError
        SIGINT (exit code 75) or SIGTERM (143) with a run directory, after the state was saved.
    StorageError
        Checkpoints of another run are in the way, or the disk is full; the last good checkpoint stays.
    WorkerError
        A process that reads was killed (exit code 71); the last good checkpoint stays.
    DataError
        A file that changed or was cut while it was read.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(64, 2, 8)).astype("float32")
    >>> y = (X[:, 0].mean(axis=1) > 0).astype(int)
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    >>> result = fit(net, FitData((X[:48], y[:48]), (X[48:], y[48:])), TrainConfig(epochs=20, lr=0.05, device="cpu"))
    >>> result.history[-1].train_accuracy > 0.9
    True
    """
    config = TrainConfig() if config is None else config
    with started(timeout=config.timeout) as processes, Interrupts(enabled=run_dir is not None) as interrupts:
        device = resolve_device(config.device, processes)
        with surroundings(device, config):
            run = _Run(model, data, config, callbacks, run_dir, extra_state, interrupts, processes)
            run.prepare(resume=resume)
            run.execute()
            return run.result()


BEST = ("best_epoch", "best_value", "best_loss", "best_step")  # the state of the best epoch
# what a checkpoint to resume from holds
KINDS: dict[str, Any] = {
    **dict.fromkeys(("model", "optimizer", "stepper", "schedule", "average", "sums", "config", "environment"), dict),
    **dict.fromkeys(("best_epoch", "best_step"), int | None),
    **dict.fromkeys(("finished", "stopped_early"), bool),
    **dict.fromkeys(("best_value", "best_loss"), float | None),
    "seconds": float,
    **dict.fromkeys(("step", "planned"), int),
    "history": list,
    "data": str,
}


class _Run:
    """One training run: what is carried from step to step."""

    def __init__(
        self,
        model: nn.Module,
        data: FitData,
        config: TrainConfig,
        callbacks: Sequence[object],
        run_dir: str | Path | None,
        extra_state: Mapping[str, Any] | None,
        interrupts: Interrupts,
        processes: Processes,
    ) -> None:
        self.config, self.interrupts, self.processes = config, interrupts, processes
        self.callbacks = callbacks if processes.is_first else ()
        self.device = resolve_device(config.device, processes)
        self.folder = None if run_dir is None else Path(run_dir) / CHECKPOINTS
        self.extra_state = dict(extra_state or {})
        self.train, held_out = as_batches(data.train, "train"), as_batches(data.validation, "validation")
        self.reader, self.held_out = (
            Reader(part, self.device, self.processes, workers=config.workers) for part in (self.train, held_out)
        )
        self.data_hash = fingerprint([self.train, held_out])
        processes.check_same(self.data_hash, "train or validation part")
        self.objective = objective(config, self.train, self.device)
        self.model = model.to(self.device)
        self.probe()
        check_shares(self.model, self.batch_size, processes)
        self.monitor = monitor(config, self.train)
        self.chances = sampling_chances(config, self.train)
        self.optimizer = make_optimizer(model, config)
        spread = spread_over(self.model, processes, self.loss_of_one)
        self.stepper = Stepper(spread, self.optimizer, self.objective, config, self.device, processes, self.train)
        self.validation = Validation(self.model, self.held_out, self.objective, self.monitor, config)
        n_steps = len(self.one_pass(0))
        self.passes, self.epochs = config.extent(n_steps)
        self.steps_per_epoch = self.passes * n_steps
        self.plan(self.total)
        self.step, self.history, self.sums = 0, list[EpochRecord](), RunningSums(self.device)
        self.best_epoch: int | None = None
        self.best_value: float | None = None
        self.best_loss: float | None = None
        self.best_step: int | None = None
        self.best_weights: dict[str, torch.Tensor] = {}
        self.finished = self.stopped_early = False
        self.resumed_from: int | None = None
        self.seconds_before, self.started = 0.0, time.perf_counter()

    # ---- before the first step

    def plan(self, total: int) -> None:
        """Lay out rate and average over so many steps: those that the run began with, also if it is extended."""
        self.planned = total
        self.schedule = make_schedule(self.config, total=total)
        self.average = WeightAverage(self.model, window=self.config.average * total)

    def probe(self) -> None:
        """Pass one item through the model, to refuse what does not fit before an epoch is spent."""
        seed_generators(self.device, key(self.config.seed, "probe", 0))
        self.model.eval()
        with torch.no_grad(), autocast(self.config, self.device):
            batch = self.held_out.read(np.array([0]))
            output = self.model(batch.x)
        self.objective.check(output, batch.y)
        known = [getattr(part, "targets", None) for part in (self.train, self.held_out.part)]
        self.objective = self.objective.checked(known, output.shape[1] if output.ndim > 1 else 1)

    def prepare(self, *, resume: bool) -> None:
        """Restore a stored state, or start one."""
        if self.folder is None:
            if resume:
                raise CheckpointError("expected a run_dir to resume from, got none; pass run_dir")
            return
        found = self.processes.share(self.processes.first(lambda: self.find(resume=resume)))
        if found is None:
            self.save()
            return
        with checkpoint.understood(found.path):
            self.restore(found)

    def find(self, *, resume: bool) -> checkpoint.Checkpoint | None:
        """Return the state to go on from, None where there is none yet."""
        assert self.folder is not None  # noqa: S101 (checked by `prepare`)
        stored = bool(checkpoint.paths(self.folder))
        if resume and not self.folder.parent.is_dir():
            raise CheckpointError(f"expected a run to resume in {self.folder.parent}, but there is no such folder")
        if stored and not resume:
            raise StorageError(
                f"{self.folder} holds the checkpoints of a run; resume it, or choose another run directory"
            )
        if not stored:
            return None
        files.remove_leftovers(self.folder)
        return checkpoint.load_latest(self.folder)

    def restore(self, found: checkpoint.Checkpoint) -> None:
        """Take over a stored state, if it is one of this run."""
        state = found.state
        checkpoint.check_kinds(state, KINDS)
        checkpoint.check_kinds(state["sums"], dict.fromkeys(EpochSums().to_state(), int | float))
        done, self.stopped_early = len(state["history"]), state["stopped_early"]
        check_settings(found.path, state["config"], self.config, done=done, stopped=self.stopped_early)
        if state["data"] != self.data_hash:
            raise CheckpointError(
                f"expected the data that {found.path} was made with, got others (sizes or windows differ); "
                "resume with the same recording, windows and split"
            )
        if self.processes.is_first:
            check_environment(state["environment"], environment(self.device, self.processes), self.model)
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as error:
            raise CheckpointError(f"{found.path} was made for another model: {error}") from error
        self.optimizer.load_state_dict(state["optimizer"])
        self.stepper.load(state["stepper"])
        self.plan(state["planned"])
        self.schedule.load(state["schedule"])
        self.average.load(state["average"])
        self.step, self.sums = state["step"], RunningSums(self.device, EpochSums.from_state(state["sums"]))
        self.history = [EpochRecord(**record) for record in state["history"]]
        for name in BEST:
            setattr(self, name, state[name])
        self.best_weights = {} if found.best is None else found.best["model"]
        self.finished = self.stopped_early or done >= self.epochs  # more epochs may be asked for than before
        self.seconds_before, self.resumed_from = state["seconds"], self.step

    # ---- training

    def execute(self) -> None:
        """Run the epochs that are left."""
        if self.finished:
            return
        try:
            self.notify("on_fit_start")
            with deaths_understood(self.reader.n_workers), self.processes.understood():
                while not self.finished:
                    self.run_epoch()
        except torch.OutOfMemoryError as error:
            raise ConfigError(
                f"batches of {self.batch_size} need more memory than {self.device} has (step {self.step}); "
                "halve batch_size, or use precision 'bf16'"
            ) from error
        finally:
            self.reader.close()
            self.held_out.close()
            self.call("on_fit_end")

    def run_epoch(self) -> None:
        """Take the steps that are left of the current epoch, then validate and save."""
        epoch, every = len(self.history), self.config.checkpoint_every
        self.model.train()
        plan, keys = self.order(epoch)
        done = self.step - epoch * self.steps_per_epoch
        for batch in self.reader.batches(plan[done:], keys=keys[done:]):
            self.stepper.take(batch, self.sums, number=self.step, epoch=epoch, lr=self.lr)
            self.step += 1
            self.average.update(self.step)
            self.processes.at(self.step)
            self.notify("on_step_end")
            self.pause_if_asked()
            if every and self.step % every == 0:
                self.save()
        self.end_epoch(epoch)
        self.save()
        self.notify("on_epoch_end")
        self.pause_if_asked()

    def end_epoch(self, epoch: int) -> None:
        """Validate, record, keep the weights if they are the best, and decide whether to stop."""
        self.stepper.check()
        trained, (sums, value) = self.sums.read(), self.validate()
        if not np.isfinite(sums.mean):
            raise DivergedError(
                f"training diverged: validation loss {sums.mean} after step {self.step} (epoch {epoch + 1}, "
                f"lr {self.lr:g}); of the validation part {cause_in(self.held_out.part, self.batch_size)}"
            )
        if trained.n_items and not trained.weight > 0:
            raise DataError(
                "expected targets in the train part, got none that counts: all are missing or weigh nothing"
            )
        last, accuracies = self.schedule.rate(self.step - 1), (trained.accuracy, sums.accuracy)
        self.history.append(
            EpochRecord(epoch + 1, self.step, last, trained.mean, sums.mean, *accuracies, trained.gradient_norm, value)
        )
        self.sums = RunningSums(self.device)
        best = None if self.best_value is None or self.best_loss is None else (self.best_value, self.best_loss)
        improved = self.monitor.better((value, sums.mean), best)
        self.schedule.end_epoch(improved=improved)
        if improved:
            self.keep_best(epoch + 1, value, sums.mean)
        patience = self.config.patience
        self.stopped_early = patience is not None and epoch + 1 - (self.best_epoch or 0) >= patience
        self.finished = self.stopped_early or len(self.history) >= self.epochs

    def validate(self) -> tuple[EpochSums, float]:
        """Return the sums of loss and accuracy over the validation part, and the value that is monitored."""
        self.processes.level([*self.model.buffers(), *self.average.values.values()])  # batch norms see their own share
        with self.average.applied():
            at_once = min(self.stepper.micro_batch or self.batch_size, self.batch_size)
            found = self.validation.run(at_once, interrupted=self.interrupted)
        if found is None:  # the model has its own weights again, for they are saved
            self.pause()
        return found

    def keep_best(self, epoch: int, value: float, loss: float) -> None:
        """Keep a copy of the weights, on the disk too: the checkpoint that follows refers to it by its step."""
        self.best_epoch, self.best_value, self.best_loss, self.best_step = epoch, value, loss, self.step
        kept = {**self.model.state_dict(), **self.average.values}
        self.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in kept.items()}
        if (folder := self.folder) is not None:
            state = {"model": self.best_weights, "epoch": epoch, "value": value, "config": self.config.to_dict()}
            state["extra"] = self.extra_state
            self.processes.first(lambda: checkpoint.save(folder, state, step=self.step, kind="best"))

    # ---- state

    def save(self) -> None:
        """Write a checkpoint, then delete the oldest."""
        if (folder := self.folder) is None:
            return
        state = self.state()

        def write() -> None:
            checkpoint.save(folder, state, step=self.step)
            checkpoint.prune(folder, keep=self.config.keep)

        self.processes.first(write)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds; its sums are those of all processes."""
        return {
            "model": self.model.state_dict(),
            "stepper": self.stepper.state(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state(),
            "planned": self.planned,
            "average": self.average.values,
            "sums": self.sums.read().to_state(),
            "history": [asdict(record) for record in self.history],
            **{name: getattr(self, name) for name in BEST},
            "finished": self.finished,
            "stopped_early": self.stopped_early,
            "seconds": self.seconds,
            "config": self.config.to_dict(),
            "data": self.data_hash,
            "environment": environment(self.device, self.processes),
            "extra": self.extra_state,
        }

    def interrupted(self) -> bool:
        """Return whether a signal came to one of the processes; without a run directory none is waited for."""
        return self.folder is not None and self.processes.any(self.interrupts.received is not None)

    def pause_if_asked(self) -> None:
        """Save and leave if a signal came."""
        if self.interrupted():
            self.pause()

    def pause(self) -> NoReturn:
        """Save and leave."""
        self.save()
        received = self.interrupts.received
        by = "a signal to another process" if received is None else received.name
        raise InterruptedRunError(
            f"stopped by {by} after step {self.step} of {self.total} (epoch {len(self.history) + 1}); "
            f"the state is saved in {self.folder}; resume to go on",
            exit_code=143 if received is signal.SIGTERM else 75,
        )

    def result(self) -> FitResult:
        """Put the best weights into the model and gather what was measured."""
        with checkpoint.understood(self.folder or Path()):
            self.model.load_state_dict(self.best_weights)
        self.model.eval()
        if self.best_epoch is None or self.best_value is None:
            raise CheckpointError(f"{self.folder} says it is finished but names no best epoch; start the run anew")
        return FitResult(
            self.model,
            tuple(self.history),
            self.best_epoch,
            self.best_value,
            len(self.history),
            self.stopped_early,
            self.seconds,
            str(self.device),
            self.resumed_from,
            self.monitor.name,
            self.batch_size,
            self.stepper.micro_batch,
            self.stepper.guard.skipped,
            self.stepper.guard.overflowed,
            self.processes.size,
            None if self.planned == self.total else self.planned,
        )

    # ---- small things

    @property
    def total(self) -> int:
        steps = self.steps_per_epoch * self.epochs
        return min(steps, self.config.steps or steps)

    @property
    def batch_size(self) -> int:
        return self.config.batch(len(self.train))

    @property
    def lr(self) -> float:
        return self.schedule.rate(self.step)

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started

    def order(self, epoch: int) -> tuple[list[NDArray[np.int64]], list[NDArray[np.uint64]]]:
        """Return the items of each batch of an epoch, of one pass or several, and the seeds of their draws."""
        passes = {number: self.one_pass(number) for number in range(epoch * self.passes, (epoch + 1) * self.passes)}
        plan = [batch for one in passes.values() for batch in one]
        drawn = [draw_keys(one, seed=self.config.seed, number=number) for number, one in passes.items()]
        left = self.total - epoch * self.steps_per_epoch
        return plan[:left], [keys for one in drawn for keys in one][:left]

    def one_pass(self, number: int) -> list[NDArray[np.int64]]:
        n, seed = len(self.train), self.config.seed
        chances, blocks = self.chances, self.reader.blocks
        return batch_order(n, self.batch_size, seed=seed, epoch=number, chances=chances, blocks=blocks)

    def loss_of_one(self) -> torch.Tensor:
        """Return the loss of one item, to see which parameters it depends on."""
        batch = self.reader.read(np.zeros(1, np.int64))
        total: torch.Tensor = self.objective.total(self.model(batch.x), batch.y, batch.weights, training=False)[0]
        return total

    def notify(self, method: str) -> None:
        """Call the callbacks, while the other processes wait."""
        self.processes.first(lambda: self.call(method))

    def call(self, method: str) -> None:
        """Call a method of the callbacks that have it."""
        called = [each for callback in self.callbacks if (each := getattr(callback, method, None)) is not None]
        if not called:
            return
        state = TrainState(
            self.model,
            self.config,
            self.device,
            len(self.history),
            self.step,
            self.steps_per_epoch,
            self.lr,
            self.stepper.last_loss,
            self.epochs,
            tuple(self.history),
            self.best_epoch,
            self.best_value,
        )
        for each in called:
            each(state)
        self.model.train()  # a callback may look at it in eval mode
