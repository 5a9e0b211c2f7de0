"""How to train: one frozen record of everything that decides the result."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from sciml.errors import ConfigError
from sciml.train.metrics import METRICS
from sciml.train.processes import ALONE, Processes

__all__ = ["TrainConfig", "differing_keys", "resolve_device"]

CHOICES = {
    "optimizer": ("adamw", "sgd", "muon"),
    "schedule": ("cosine", "constant", "one_cycle", "plateau"),
    "precision": ("fp32", "bf16", "fp16"),
    "loss": ("cross_entropy", "mse"),
    "nonfinite": ("stop", "skip"),
}
KINDS = {"cross_entropy": "class", "mse": "value"}  # of the metrics that a loss can be monitored by
EPOCHS, STEPS = 50, 800  # passes and steps at least where neither is given
ROUND = 20  # steps at least between two validations where no epochs are given
BATCHES = 16  # of the training part, where no batch size is given: fifty passes are then 800 steps
SMALLEST_BATCH, LARGEST_BATCH = 16, 64  # and these ends
# Keys that change nothing in the weights: when and where state is kept, who reads, how long others are waited for. They
# may differ on resume.
_FREE = ("checkpoint_every", "keep", "timeout", "workers")


@dataclass(frozen=True)
class Execution:
    """Where a run is computed and what of it is kept; see `TrainConfig`."""

    precision: str = "fp32"
    device: str = "auto"
    seed: int = 0
    deterministic: bool = True
    checkpoint_every: int | None = None
    keep: int = 2
    timeout: float = 60.0


@dataclass(frozen=True)
class Reading:
    """Who reads; see `TrainConfig`."""

    workers: int | None = None


@dataclass(frozen=True)
class Stepping:
    """How a step is taken besides its rate; see `TrainConfig`."""

    micro_batch: int | None = None
    nonfinite: str = "stop"
    compile: bool = False
    plateau_factor: float = 0.5
    plateau_patience: int = 5


@dataclass(frozen=True)
class TrainConfig(Stepping, Execution, Reading):
    """Settings of `fit`.

    Attributes
    ----------
    epochs, steps
        Passes over the training part at most, and steps at most, whichever end first; with neither, 800 steps or 50
        passes, whichever is more. Where `epochs` is None an epoch, after which the net is validated, is as many passes
        as take 20 steps at least, so that few windows are trained on as long as many.
    batch_size
        Windows in a step; None for a sixteenth of the training part, but from 16 to 64.
    lr, weight_decay, momentum
        Step size at its largest, decay of weights (those of norms and biases are left alone), momentum of SGD and Muon.
    optimizer
        "adamw", "sgd" (Nesterov), or "muon" for the matrices and kernels between the first and the last layer, AdamW
        for the rest.
    schedule, warmup
        "cosine" to zero, "constant" or "plateau", after a linear rise over that share of all steps; "one_cycle" has a
        rise of its own.
    plateau_factor, plateau_patience
        What "plateau" multiplies the rate by, after more than so many epochs without a better one.
    micro_batch
        Windows that go through the net at once, where a batch of them needs more memory than there is; their
        gradients are added. Where memory is exceeded it is halved while training.
    nonfinite
        What becomes of a step whose loss or gradient is not finite: "stop", or "skip", at most five in a row.
    compile
        Run the net through `torch.compile`; where that fails, as it is.
    average
        The weights that are validated and kept are an exponential average over the last steps, this fraction of all;
        0 for the last ones. A validation part of ten windows then no longer picks an epoch at random.
    patience, monitor
        Epochs without improvement of the validation part's "loss" or of one of `sciml.train.metrics.METRICS`, after
        which training stops; None for never. Equal scores are told apart by the loss. "auto" is the loss, but
        "balanced_accuracy" where the largest class of the training part is twice as large as the smallest.
    loss, label_smoothing
        "cross_entropy" or "mse"; fraction of the training targets that is spread over all classes. Few windows are soon
        fitted without it, and the net is then sure of whatever it says.
    class_weights
        In the loss: None, "balanced" or one weight a class; "sampled" draws windows of all classes equally often.
    clip_norm
        Largest norm of the gradient; None for no limit.
    precision
        "fp32", or "bf16" and "fp16" for autocast; of fp16 the loss is scaled, and a step whose gradient is beyond it is
        left out.
    device
        "auto" (cuda where there is one), "cpu", "cuda" or "cuda:1".
    seed
        Decides every random draw.
    deterministic
        Use only algorithms that give the same bits each time.
    checkpoint_every, keep
        Steps between checkpoints beside those at each epoch's end; how many to keep.
    timeout
        Of several processes: seconds without a sign of life after which one counts as lost, and the run ends.
    workers
        Processes that read ahead of the net; 0 for a thread that does, or nobody where all is in memory. None chooses:
        0 where all is in memory, else one for each core that the net leaves, four at most. The result does not depend
        on it.

    Raises
    ------
    ConfigError
        A value out of range or unknown.

    Examples
    --------
    >>> TrainConfig(loss="mse", monitor="accuracy")
    Traceback (most recent call last):
    ...
    sciml.errors.ConfigError: expected monitor 'loss' or one of r2, correlation, absolute_error with loss 'mse', got
    'accuracy'
    """

    epochs: int | None = None
    steps: int | None = None
    batch_size: int | None = None
    lr: float = 1e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    optimizer: str = "adamw"
    schedule: str = "cosine"
    warmup: float = 0.05
    average: float = 0.05
    patience: int | None = 10
    monitor: str = "auto"
    loss: str = "cross_entropy"
    label_smoothing: float = 0.1
    class_weights: str | tuple[float, ...] | None = None
    clip_norm: float | None = 1.0

    def __post_init__(self) -> None:
        for key, choices in CHOICES.items():
            if getattr(self, key) not in choices:
                raise ConfigError(f"expected {key} to be one of {', '.join(choices)}, got {getattr(self, key)!r}")
        for key in ("epochs", "steps", "batch_size", "micro_batch", "keep", "patience", "checkpoint_every"):
            value = getattr(self, key)
            if value is not None and not value >= 1:
                raise ConfigError(f"expected {key} of at least 1, got {value}")
        if self.workers is not None and self.workers < 0:
            raise ConfigError(f"expected workers of at least 0, got {self.workers}")
        self._check_ranges()
        self._check_monitor()

    def _check_monitor(self) -> None:
        known = [name for name, metric in METRICS.items() if metric.kind == KINDS[self.loss]]
        if self.monitor not in ("auto", "loss", *known):
            raise ConfigError(
                f"expected monitor 'loss' or one of {', '.join(known)} with loss {self.loss!r}, got {self.monitor!r}"
            )

    def _check_ranges(self) -> None:
        for key, low, high in (
            ("lr", 0, float("inf")),
            ("weight_decay", 0, float("inf")),
            ("momentum", 0, 1),
            ("warmup", 0, 1),
            ("average", 0, 1),
            ("label_smoothing", 0, 1),
            ("plateau_factor", 0, 1),
            ("plateau_patience", 0, float("inf")),
            ("timeout", 1, float("inf")),
        ):
            if not low <= getattr(self, key) < high:
                raise ConfigError(f"expected {key} in [{low}, {high}), got {getattr(self, key)}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ConfigError(f"expected clip_norm above 0 or None, got {self.clip_norm}")
        self._check_class_weights()

    def _check_class_weights(self) -> None:
        weights = self.class_weights
        if weights is None:
            return
        if self.loss != "cross_entropy":
            raise ConfigError(
                f"expected no class_weights with loss {self.loss!r}, which knows no classes, got {weights!r}"
            )
        numbers = isinstance(weights, tuple | list)
        if weights not in ("balanced", "sampled") and not (numbers and _are_weights(weights)):
            raise ConfigError(
                "expected class_weights None, 'balanced', 'sampled' or finite numbers, none of them negative and not "
                f"all 0, got {weights!r}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON knows them.

        Examples
        --------
        >>> TrainConfig(class_weights=(1.0, 2.0)).to_dict()["class_weights"]
        [1.0, 2.0]
        """
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content

    def batch(self, n: int) -> int:
        """Return the windows in a step, for n windows in the training part.

        Examples
        --------
        >>> TrainConfig().batch(40), TrainConfig().batch(5000), TrainConfig(batch_size=7).batch(40)
        (16, 64, 7)
        """
        return self.batch_size or min(max(n // BATCHES, SMALLEST_BATCH), LARGEST_BATCH)

    def extent(self, n_steps: int) -> tuple[int, int]:
        """Return passes in an epoch, and epochs at most, where a pass takes `n_steps` steps; the last may be shorter.

        Examples
        --------
        >>> TrainConfig().extent(3), TrainConfig().extent(500), TrainConfig(epochs=7).extent(3)
        ((7, 39), (1, 50), (1, 7))
        >>> TrainConfig(steps=200).extent(3), TrainConfig(steps=200).extent(500)
        ((4, 17), (1, 1))
        >>> TrainConfig(steps=9, epochs=7).extent(3)
        (1, 3)
        """
        if self.epochs is not None:
            return 1, min(self.epochs, -(-(self.steps or self.epochs * n_steps) // n_steps))
        steps = self.steps or max(STEPS, EPOCHS * n_steps)
        passes = -(-max(1, min(ROUND, steps // 20)) // n_steps)
        return passes, -(-steps // (passes * n_steps))


def _are_weights(values: Sequence[object]) -> bool:
    numbers = [value for value in values if isinstance(value, int | float) and 0 <= value < float("inf")]
    return len(numbers) == len(values) and sum(numbers) > 0


def differing_keys(stored: Mapping[str, Any], config: TrainConfig) -> list[str]:
    """Return which settings of a stored run differ from `config` in a way that changes the result, with both values.

    Examples
    --------
    >>> differing_keys(TrainConfig(lr=0.1, keep=5).to_dict(), TrainConfig(lr=0.2))
    ['lr (0.1, now 0.2)']
    """
    now = config.to_dict()
    keys = [key for key in sorted({*stored, *now}) if key not in _FREE]
    return [f"{key} ({stored.get(key)}, now {now.get(key)})" for key in keys if stored.get(key) != now.get(key)]


def resolve_device(name: str, processes: Processes = ALONE) -> torch.device:
    """Return the device of a name; "auto" is cuda where there is one. Each process of a machine has its own.

    Raises
    ------
    ConfigError
        A name that torch does not know, cuda where there is none, or one device for several processes.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"expected device auto, cpu or cuda, got {name!r}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("expected a CUDA device, but torch finds none; use device 'auto' or 'cpu'")
    return _own(device, processes) if device.type == "cuda" and processes.size > 1 else device


def _own(device: torch.device, processes: Processes) -> torch.device:
    """Return the device of this process among those of its machine."""
    found = torch.cuda.device_count()
    if device.index is not None or processes.local_size > found:
        raise ConfigError(
            f"expected one CUDA device for each of {processes.local_size} processes of a machine, got {device} of "
            f"{found}; use device 'cuda', and start as many processes as there are devices"
        )
    own = torch.device("cuda", processes.local_rank)
    torch.cuda.set_device(own)
    return own
