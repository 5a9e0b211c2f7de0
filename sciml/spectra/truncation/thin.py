"""A layer of low rank as two thin ones."""

from typing import Any

import torch
from torch import nn

from sciml.nn.structure import CONVOLUTIONS, TRANSPOSED, Slot
from sciml.spectra.truncation.part import Part

__all__ = ["Thin", "put_in_place", "thin_layer"]

_PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    nn.ConvTranspose1d: nn.Conv1d,
    nn.ConvTranspose2d: nn.Conv2d,
    nn.ConvTranspose3d: nn.Conv3d,
}


class Thin(nn.Sequential):
    """Two layers in the place of one of low rank: the first to a few channels, the second from them.

    Others may still read `weight` and `bias`: the product of both layers, of the shape that the one layer had.
    """

    def __init__(self, first: nn.Module, second: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__(first, second)
        self.shape = shape

    @property
    def weight(self) -> torch.Tensor:
        """The weight of the layer that the two replace."""
        parts: Any = tuple(self)
        first, second = (each.weight for each in parts)
        if isinstance(self[0], nn.Embedding):
            return torch.as_tensor(first @ second.mT)
        if isinstance(self[0], TRANSPOSED):
            return torch.einsum("ik...,ok->io...", first, second.flatten(1)).reshape(self.shape)
        return torch.as_tensor((second.flatten(1) @ first.flatten(1)).reshape(self.shape))

    @property
    def bias(self) -> torch.Tensor | None:
        """The bias of the second layer."""
        return getattr(self[1], "bias", None)


def thin_layer(slot: Slot, part: Part, shared: bool) -> Thin | str:
    """Return the two layers, or why one stays."""
    module = slot.module
    if module._forward_hooks or module._forward_pre_hooks or hasattr(module, "parametrizations"):
        return "the layer has hooks or a parametrization"
    make = next((each for types, each in _MAKERS if type(module) in types), None)
    if make is None:
        return f"a matrix of a {slot.kind} cannot be two layers"
    if part.rank == 0:
        return "nothing of it is above the noise: zeros"
    if slot.groups > 1:
        return "a grouped convolution cannot be two layers"
    if shared:
        return "the weight is shared with another layer"
    if part.rank * (part.left.shape[0] + part.right.shape[1]) >= slot.weight.numel():
        return "two layers would have more parameters"
    return _filled(make(module, part.rank), slot, part)


def _filled(layers: tuple[nn.Module, nn.Module], slot: Slot, part: Part) -> Thin:
    first: Any
    second: Any
    first, second = layers
    module: Any = slot.module
    like = module.weight
    found = Thin(first, second, tuple(like.shape)).to_empty(device=like.device).to(like.dtype)
    weight = part.right.reshape(part.rank, *slot.weight.shape[1:])
    with torch.no_grad():
        first.weight.copy_(weight.transpose(0, 1) if slot.transposed else weight)
        second.weight.copy_(part.left.reshape(second.weight.shape))
    if getattr(module, "bias", None) is not None:
        second.bias = module.bias
    for each in found.parameters():
        each.requires_grad_(like.requires_grad)
    return found.train(module.training)


def _linear(module: Any, rank: int) -> tuple[nn.Module, nn.Module]:
    return (
        nn.Linear(module.in_features, rank, bias=False, device="meta"),
        nn.Linear(rank, module.out_features, bias=False, device="meta"),
    )


def _convolution(module: Any, rank: int) -> tuple[nn.Module, nn.Module]:
    options = {"stride": module.stride, "padding": module.padding, "dilation": module.dilation}
    if isinstance(module, TRANSPOSED):
        options["output_padding"] = module.output_padding
    kind: Any = type(module)
    options |= {"padding_mode": module.padding_mode, "bias": False, "device": "meta"}
    first = kind(module.in_channels, rank, module.kernel_size, **options)
    last: Any = _PLAIN.get(kind, kind)
    return first, last(rank, module.out_channels, 1, bias=False, device="meta")


def _table(module: Any, rank: int) -> tuple[nn.Module, nn.Module]:
    return (
        nn.Embedding(module.num_embeddings, rank, padding_idx=module.padding_idx, device="meta"),
        nn.Linear(rank, module.embedding_dim, bias=False, device="meta"),
    )


_MAKERS = (((nn.Linear,), _linear), (CONVOLUTIONS + TRANSPOSED, _convolution), ((nn.Embedding,), _table))


def put_in_place(model: nn.Module, name: str, layer: nn.Module) -> nn.Module:
    """Return the model with the module of this name replaced."""
    if not name:
        return layer
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)
    return model
