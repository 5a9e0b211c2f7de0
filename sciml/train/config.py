"""How to train: one frozen record of everything that decides the result."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from sciml.errors import ConfigError

__all__ = ["TrainConfig", "differing_keys", "resolve_device"]

CHOICES = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("cosine", "constant"),
    "monitor": ("loss", "accuracy"),
    "precision": ("fp32", "bf16"),
    "loss": ("cross_entropy", "mse"),
}
# Keys that decide when and where state is kept, and change nothing in the weights: they may differ on resume.
_FREE = ("checkpoint_every", "keep")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of `fit`.

    Attributes
    ----------
    epochs, batch_size
        Passes over the training part at most; windows in a step.
    lr, weight_decay, momentum
        Step size at its largest, decay of weights of two and more dims (biases and norms are left alone), momentum
        of SGD.
    optimizer
        "adamw" or "sgd" (Nesterov).
    schedule, warmup
        "cosine" to zero or "constant", after a linear rise over that share of all steps.
    patience, monitor
        Epochs without improvement of the validation "loss" or "accuracy" after which training stops; None for never.
    loss, label_smoothing, class_weights
        "cross_entropy" or "mse"; smoothing of the training targets; None, "balanced" or one weight a class.
    clip_norm
        Largest norm of the gradient; None for no limit.
    precision
        "fp32", or "bf16" for autocast to bfloat16.
    device
        "auto" (cuda where there is one), "cpu", "cuda" or "cuda:1".
    seed
        Decides every random draw.
    deterministic
        Use only algorithms that give the same bits each time.
    checkpoint_every, keep
        Steps between checkpoints beside those at each epoch's end; how many to keep.

    Raises
    ------
    ConfigError
        A value out of range or unknown.

    Examples
    --------
    >>> TrainConfig(loss="mse", monitor="accuracy")
    Traceback (most recent call last):
    sciml.errors.ConfigError: expected monitor 'loss' with loss 'mse', got 'accuracy'; a forecast has no accuracy
    """

    epochs: int = 50
    batch_size: int = 64
    lr: float = 1e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    optimizer: str = "adamw"
    schedule: str = "cosine"
    warmup: float = 0.05
    patience: int | None = 10
    monitor: str = "loss"
    loss: str = "cross_entropy"
    label_smoothing: float = 0.0
    class_weights: str | tuple[float, ...] | None = None
    clip_norm: float | None = 1.0
    precision: str = "fp32"
    device: str = "auto"
    seed: int = 0
    deterministic: bool = True
    checkpoint_every: int | None = None
    keep: int = 2

    def __post_init__(self) -> None:
        for key, choices in CHOICES.items():
            if getattr(self, key) not in choices:
                raise ConfigError(f"expected {key} to be one of {', '.join(choices)}, got {getattr(self, key)!r}")
        for key, low in (("epochs", 1), ("batch_size", 1), ("keep", 1), ("patience", 1), ("checkpoint_every", 1)):
            value = getattr(self, key)
            if value is not None and not value >= low:
                raise ConfigError(f"expected {key} of at least {low}, got {value}")
        self._check_ranges()
        if self.loss == "mse" and self.monitor == "accuracy":
            raise ConfigError("expected monitor 'loss' with loss 'mse', got 'accuracy'; a forecast has no accuracy")

    def _check_ranges(self) -> None:
        for key, low, high in (
            ("lr", 0, float("inf")),
            ("weight_decay", 0, float("inf")),
            ("momentum", 0, 1),
            ("warmup", 0, 1),
            ("label_smoothing", 0, 1),
        ):
            if not low <= getattr(self, key) < high:
                raise ConfigError(f"expected {key} in [{low}, {high}), got {getattr(self, key)}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ConfigError(f"expected clip_norm above 0 or None, got {self.clip_norm}")
        if isinstance(self.class_weights, str) and self.class_weights != "balanced":
            raise ConfigError(f"expected class_weights None, 'balanced' or numbers, got {self.class_weights!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON knows them.

        Examples
        --------
        >>> TrainConfig(class_weights=(1.0, 2.0)).to_dict()["class_weights"]
        [1.0, 2.0]
        """
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content


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


def resolve_device(name: str) -> torch.device:
    """Return the device of a name; "auto" is cuda where there is one.

    Raises
    ------
    ConfigError
        A name that torch does not know, or cuda where there is none.

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
    return device
