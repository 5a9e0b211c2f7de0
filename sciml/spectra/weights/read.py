"""The weights of a net, or of a state dict, as matrices to test."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sciml.errors import DataError
from sciml.nn.structure import CONVOLUTIONS, weight_slots
from sciml.spectra import convolution

__all__ = ["Weight", "from_modules", "from_state"]

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
_KINDS = {2: "Linear", 3: "Conv1d", 4: "Conv2d", 5: "Conv3d"}


@dataclass(frozen=True)
class Weight:
    """A weight as it is tested: its layer, the tensor, and the norms of the layer as an operator where known."""

    name: str
    kind: str
    tensor: torch.Tensor
    operator_norm: float | None = None
    operator_bound: float | None = None
    note: str = ""


def from_state(state: Mapping[str, torch.Tensor]) -> Iterator[Weight]:
    """Yield the weights of a state dict: entries named `weight` of two to five dims."""
    for key, tensor in state.items():
        prefix, _, last = key.rpartition(".")
        if last == "weight" and getattr(tensor, "ndim", None) in _KINDS:
            name = prefix or key
            _check(name, tensor)
            # The type of the layer is read off the number of dims; a state dict does not tell it.
            yield Weight(name, _KINDS[tensor.ndim], tensor.detach(), note=_note(tensor))


def from_modules(model: nn.Module, grid: int | Sequence[int] | None) -> Iterator[Weight]:
    """Yield the weights of a net, layer by layer."""
    for layer in weight_slots(model):
        if not isinstance(layer.module, (nn.Linear, *CONVOLUTIONS)):
            continue
        _check(layer.name, layer.tensor)
        module, tensor = layer.module, layer.weight.detach()
        norm, bound = _convolution_norms(module, grid) if isinstance(module, CONVOLUTIONS) else (None, None)
        yield Weight(layer.name, layer.kind, tensor, norm, bound, note=_note(tensor))


def _check(name: str, tensor: torch.Tensor) -> None:
    if nn.parameter.is_lazy(tensor) or tensor.is_meta:
        raise DataError(f"layer {name!r}: expected weights with values, got a lazy or meta tensor; load them")
    if not tensor.is_floating_point():
        raise DataError(f"layer {name!r}: expected real floating-point weights, got {tensor.dtype}; convert them first")
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise DataError(f"layer {name!r}: expected finite weights, got {bad} of {tensor.numel()} that are not")
    if tensor.numel() == 0:
        raise DataError(f"layer {name!r}: expected weights, got the empty shape {tuple(tensor.shape)}")


def _note(tensor: torch.Tensor) -> str:
    if tensor.ndim == 2:
        return "the weight matrix (n_out, n_in)"
    return "the weight reshaped to (c_out, c_in / groups · taps); its values are not those of the convolution operator"


def _convolution_norms(module: Convolution, grid: int | Sequence[int] | None) -> tuple[float | None, float | None]:
    """Return the exact norm and an upper bound of it, None for what is not known."""
    if module.padding_mode not in ("zeros", "circular"):
        return None, None  # reflected or replicated samples add to the norm
    bound = convolution.norm_bound(module.weight, groups=module.groups)
    if grid is None or not _is_circulant(module):
        return None, bound
    norm = convolution.operator_norm(module.weight, grid, groups=module.groups, dilation=module.dilation)
    return norm, max(bound, norm)


def _is_circulant(module: Convolution) -> bool:
    if module.padding_mode != "circular" or any(step != 1 for step in module.stride):
        return False
    spans = [step * (taps - 1) for step, taps in zip(module.dilation, module.kernel_size, strict=True)]
    return module.padding == "same" or [2 * pad for pad in module.padding] == spans
