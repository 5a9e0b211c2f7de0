"""The size of the signal that each convolution of a net sees."""

from typing import Any

from torch import nn

from sciml.nn.structure import CONVOLUTIONS, TRANSPOSED, arguments_of, undisturbed

__all__ = ["grids"]


def grids(model: nn.Module, sample: Any) -> dict[str, tuple[int, ...]]:
    """Return, by the name of each convolution, the size of its input when the net is run once on a sample.

    Strides and pools make signals smaller on their way: the exact norm of a layer needs the size that it sees. The
    net is left as it is. A layer that is called several times has the size of its first call.

    Parameters
    ----------
    model
        A net.
    sample
        What it is called with: a tensor, a tuple of positional or a mapping of named arguments.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Conv1d(3, 8, 4, stride=4), nn.ReLU(), nn.Conv1d(8, 8, 3, padding=1))
    >>> grids(net, torch.zeros(1, 3, 64))
    {'0': (64,), '2': (16,)}
    """
    found: dict[str, tuple[int, ...]] = {}

    def remember(name: str, dims: int) -> Any:
        def hook(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            found.setdefault(name, tuple(inputs[0].shape[-dims:]))

        return hook

    layers = [(name, each) for name, each in model.named_modules() if isinstance(each, CONVOLUTIONS + TRANSPOSED)]
    handles = [each.register_forward_pre_hook(remember(name, len(each.kernel_size))) for name, each in layers]
    positional, named = arguments_of(model, sample)
    try:
        with undisturbed(model):
            model(*positional, **named)
    finally:
        for handle in handles:
            handle.remove()
    return found
