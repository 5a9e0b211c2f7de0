"""A slot: one weight matrix of a net, whatever layer holds it, to be read and set."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

__all__ = ["CONVOLUTIONS", "TRANSPOSED", "Slot"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Slot:
    """One weight matrix of a net: of a linear or convolutional layer, a gate, a projection, a table of embeddings.

    Attributes
    ----------
    name
        Dotted name: of the module where it has one matrix, `lstm.weight_hh_l0[forget]` where it has several.
    module
        The module that holds it.
    parameter
        Attribute of the module: "weight", "weight_hh_l0", "in_proj_weight".
    role
        "weight", or what a matrix of several is for: "input", "recurrent", "projection" (recurrent layers), "query",
        "key", "value", "output" (attention), "lookup" (embeddings: one row is read at a time), "bilinear".
    gate
        Gate of a recurrent layer: "input", "forget", "cell", "output"; "reset", "update", "new".
    rows
        The rows of the parameter that are this matrix, or None for all.
    biases
        Attributes of the module that are added to what this matrix gives (the same rows of them).
    """

    name: str
    module: nn.Module
    parameter: str = "weight"
    role: str = "weight"
    gate: str | None = None
    rows: tuple[int, int] | None = None
    biases: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Name of the layer's type, such as "Conv1d"."""
        name = type(self.module).__name__
        return name.removeprefix("Parametrized") or name

    @property
    def transposed(self) -> bool:
        """Whether torch keeps the matrix as (in, out): transposed convolutions and tables of embeddings."""
        return isinstance(self.module, TRANSPOSED) or self.role == "lookup"

    @property
    def groups(self) -> int:
        """Number of groups of channels that do not see each other; 1 but in convolutions."""
        return int(getattr(self.module, "groups", 1)) if isinstance(self.module, CONVOLUTIONS + TRANSPOSED) else 1

    @property
    def tensor(self) -> torch.Tensor:
        """The parameter's rows as torch keeps them."""
        whole: torch.Tensor = getattr(self.module, self.parameter)
        return whole if self.rows is None else whole[slice(*self.rows)]

    @property
    def weight(self) -> torch.Tensor:
        """The weight (n_out, n_in / groups, *kernel), whatever the order in which torch keeps it."""
        tensor = self.tensor
        if self.role == "bilinear":
            return tensor.flatten(1)
        return _swapped(tensor, self.groups) if self.transposed else tensor

    @property
    def kernel(self) -> tuple[int, ...]:
        """Taps along each dim of a convolution; () in other layers."""
        return tuple(self.weight.shape[2:])

    @property
    def fan_in(self) -> float:
        """Number of inputs that one output adds up: n_in / groups times the taps of the kernel.

        Of an embedding 1: one row is read at a time. A transposed convolution of stride s reaches an output with one
        in s taps along each dim, on average.
        """
        if self.role == "lookup":
            return 1
        taps = self.weight[0].numel()
        stride = math.prod(self.module.stride) if isinstance(self.module, TRANSPOSED) else 1
        return taps if stride == 1 else taps / stride

    @property
    def fan_out(self) -> float:
        """Number of weights that one input meets: n_out / groups times the taps of the kernel."""
        return self.n_out * math.prod(self.kernel)

    @property
    def n_out(self) -> int:
        """Number of outputs (channels) of one group."""
        return self.weight.shape[0] // self.groups

    @property
    def frozen(self) -> bool:
        """Whether no optimizer changes it: each parameter that it is made of has `requires_grad=False`."""
        return not any(each.requires_grad for each in self.parameters())

    def blocks(self) -> torch.Tensor:
        """Return the weight as one matrix a group: (groups, n_out, n_in / groups times taps)."""
        return self.weight.detach().reshape(self.groups, self.n_out, -1)

    def parameters(self) -> list[nn.Parameter]:
        """Return the parameters that the weight is made of: itself, or those behind its parametrization."""
        own = self.module._parameters
        if own.get(self.parameter) is not None:
            return [own[self.parameter]]  # type: ignore[list-item]
        parametrized = getattr(self.module, "parametrizations", {})
        if self.parameter in parametrized:
            return list(parametrized[self.parameter].parameters())
        return [each for name, each in own.items() if name.startswith(f"{self.parameter}_") and each is not None]

    @torch.no_grad()
    def write(self, weight: torch.Tensor) -> str:
        """Set the weight (n_out, n_in / groups, *kernel), through its parametrization where it has one.

        Returns
        -------
        str
            Why the weight is not what was given, or "".
        """
        value = _swapped(weight, self.groups) if self.transposed else weight
        value = value.reshape(self.tensor.shape)
        plain = self.module._parameters.get(self.parameter)
        if plain is not None:
            (plain if self.rows is None else plain[slice(*self.rows)]).copy_(value)
            return ""
        return self._write_parametrized(value)

    def bias_vectors(self) -> list[nn.Parameter]:
        """Return the bias parameters, whole; `rows` says which of their entries belong to this matrix."""
        found = [self.module._parameters.get(name) for name in self.biases]
        return [each for each in found if each is not None]

    @torch.no_grad()
    def write_bias(self, values: torch.Tensor | float) -> None:
        """Set every bias of this matrix that an optimizer changes."""
        for each in self.bias_vectors():
            if each.requires_grad:
                part = each if self.rows is None else each[slice(*self.rows)]
                part.copy_(torch.as_tensor(values))

    def _write_parametrized(self, value: torch.Tensor) -> str:
        whole: torch.Tensor = getattr(self.module, self.parameter).detach().clone()
        (whole if self.rows is None else whole[slice(*self.rows)]).copy_(value)
        gain, direction = self._weight_norm()
        if gain is not None and direction is not None:
            norms = _norms(whole, gain.shape)
            direction.copy_(torch.where(norms > 0.0, whole, direction))  # zero has no direction: it keeps its own
            gain.copy_(norms)
            if self.parameter in vars(self.module):  # the weight norm that is a hook
                setattr(self.module, self.parameter, whole)
            return ""
        try:
            setattr(self.module, self.parameter, whole)
        except (NotImplementedError, RuntimeError, ValueError, AttributeError, TypeError) as error:
            return f"its parametrization cannot be set: {str(error) or type(error).__name__}"
        return _difference(self.tensor, value)

    def _weight_norm(self) -> tuple[nn.Parameter | None, nn.Parameter | None]:
        """Return gain and direction of a weight norm, be it a parametrization or a hook."""
        own: Any = self.module._parameters
        found: Any = getattr(self.module, "parametrizations", {})
        if self.parameter in found:
            each = found[self.parameter]
            is_norm = len(each) == 1 and type(each[0]).__name__ == "_WeightNorm"
            return (each.original0, each.original1) if is_norm else (None, None)
        return own.get(f"{self.parameter}_g"), own.get(f"{self.parameter}_v")


def _swapped(tensor: torch.Tensor, groups: int) -> torch.Tensor:
    """Exchange in and out of a weight (a, b / groups, *kernel) -> (b, a / groups, *kernel)."""
    split = tensor.reshape(groups, tensor.shape[0] // groups, *tensor.shape[1:])
    return split.transpose(1, 2).flatten(0, 1)


def _norms(weight: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return the norms of the slices of a weight that have one gain each."""
    dims: Any = [i for i, size in enumerate(shape) if size == 1] if len(shape) == weight.ndim else None
    norms: torch.Tensor = torch.linalg.vector_norm(weight, dim=dims, keepdim=True)
    return norms.reshape(shape)


def _difference(weight: torch.Tensor, value: torch.Tensor) -> str:
    wanted = value.to(weight.device, weight.dtype)
    scale = float(torch.linalg.vector_norm(wanted)) or 1.0
    error = float(torch.linalg.vector_norm(weight - wanted)) / scale
    tolerance = 100 * torch.finfo(weight.dtype).eps
    return "" if error <= tolerance else f"its parametrization changes what is set by {100 * error:.2g} %"
