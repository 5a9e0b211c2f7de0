"""What a net starts from: a batch of train windows as the net sees them, and what it should say of each."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml.data import Preprocess, Split, Windows
from sciml.errors import ConfigError
from sciml.nn import init
from sciml.nn.structure import weight_slots
from sciml.pipeline.config import Config
from sciml.pipeline.tasks.base import get_task

__all__ = ["FirstBatch", "first_batch", "start"]

SAMPLE = 64  # train windows that a start is measured on
LEARNED_FROM = 1024  # train windows, at most, that a start learns from
MAX_VALUES = 2**24  # of them together


@dataclass(frozen=True, eq=False)
class FirstBatch:
    """Train windows as a net sees them (n, channel, time), what it should put out, and the unit each belongs to."""

    sample: torch.Tensor
    targets: torch.Tensor | None
    groups: NDArray[np.intp]


def first_batch(config: Config, windows: Windows, preprocess: Preprocess, split: Split) -> FirstBatch:
    """Return the train windows that the method of initialization is given.

    Methods that only measure are given the first 64; `spectral`, which learns from them, up to 1024, evenly taken.
    """
    if config.init.method == "spectral":
        fitting = max(2, MAX_VALUES // (windows.n_channels * windows.length))
        n = min(len(split.train), LEARNED_FROM, fitting)
        chosen = split.train[np.linspace(0, len(split.train) - 1, n).round().astype(int)]
    else:
        chosen = split.train[:SAMPLE]
    X, y = windows.arrays(chosen)
    targets = None if y is None else _targets(config, windows, preprocess, X, y)
    return FirstBatch(torch.from_numpy(preprocess.apply(X)), targets, np.asarray(split.block)[chosen])


def start(net: nn.Module, method: str, batch: FirstBatch, *, seed: int, options: dict[str, Any]) -> init.InitReport:
    """Start a net by a method, from the seed of a run.

    "auto" is `critical`; or `glorot` where that does not apply; or how its class draws it, where no method knows one of
    its weights.
    """
    if method != "auto":
        return _started(net, method, batch, seed, options)
    try:
        return _started(net, "critical", batch, seed, options)
    except ConfigError as error:
        if options:
            raise
        found = _started(net, "glorot", batch, seed, {}) if weight_slots(net) else _as_drawn(net)
        return replace(found, notes=(f"method critical does not apply: {error}", *found.notes))


def _as_drawn(net: nn.Module) -> init.InitReport:
    names = tuple(name for name, _ in net.named_parameters())
    return init.InitReport("default", {}, (), untouched=names, untouched_fraction=1.0)


def _started(net: nn.Module, method: str, batch: FirstBatch, seed: int, options: dict[str, Any]) -> init.InitReport:
    generator = torch.Generator().manual_seed(seed)
    return init.initialize(
        net,
        method,
        sample=batch.sample,
        targets=batch.targets,
        groups=batch.groups.tolist(),
        generator=generator,
        **options,
    )


def _targets(
    config: Config, windows: Windows, preprocess: Preprocess, X: NDArray[np.float32], y: NDArray[Any]
) -> torch.Tensor:
    """Return labels as they are; of numbers, what the net itself has to add to what its model says without it."""
    if y.dtype.kind != "f":
        return torch.from_numpy(y)
    wanted = torch.from_numpy(preprocess.standardize_target(y))
    silent = get_task(config.task).assemble(preprocess, _Silent(get_task(config.task).output_shape(windows)))
    with torch.no_grad():
        said: torch.Tensor = silent.eval()(torch.from_numpy(X))
    return (wanted - said.reshape(wanted.shape)).double()


class _Silent(nn.Module):
    """A net that says zero."""

    def __init__(self, shape: list[int]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:  # noqa: ARG002
        return x.new_zeros(len(x), *self.shape)
