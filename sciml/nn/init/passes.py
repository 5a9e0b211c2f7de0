"""Passes through a net while it is set: with batch statistics, without gradients, and without a trace."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from sciml.nn.structure import NORMS, arguments_of, check_sample, undisturbed

__all__ = ["run"]

Hook = Callable[[nn.Module, Any, torch.Tensor], Any]
PreHook = Callable[[nn.Module, Any], Any]


def run(
    model: nn.Module, sample: Any, hooks: Mapping[nn.Module, Hook], before: Mapping[nn.Module, PreHook] | None = None
) -> Any:
    """Run the net on a sample with hooks after, and before, some of its modules; return its output.

    Norms use the statistics of the batch, as in training; all else, dropout above all, acts as in evaluation. Modes,
    buffers and the random state stay as they were.
    """
    args, kwargs = arguments_of(model, sample)
    check_sample((*args, *kwargs.values()))
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    handles += [module.register_forward_pre_hook(hook) for module, hook in (before or {}).items()]
    try:
        with undisturbed(model), _batch_statistics(model):
            buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
            return torch.func.functional_call(model, buffers, args, kwargs)
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _batch_statistics(model: nn.Module) -> Iterator[None]:
    for module in model.modules():
        module.training = isinstance(module, NORMS)
    yield  # `undisturbed` restores the modes
