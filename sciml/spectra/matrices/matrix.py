"""One weight matrix of a net, whose values are read when asked for, and the list of all of them."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from sciml.errors import DataError

__all__ = ["LeftOut", "Matrices", "Matrix", "Norms", "NotFiniteError"]

Norms = tuple[float | None, float | None]
"""The exact norm of a layer as a linear map and an upper bound of it; None for what is not known."""


class NotFiniteError(DataError):
    """A matrix holds values that are not finite; `reason` says so without its name."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"layer {name!r}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Matrix:
    """One weight matrix of a net; the values stay where they are until `values` or `blocks` reads them.

    Attributes
    ----------
    name
        Dotted name: of the layer where it has one matrix, `lstm.weight_hh_l0[forget]` where it has several.
    layer, kind
        Name of the module that holds it, and its type: "Linear", "LSTM", "ConvTranspose1d". From a file, the type that
        names and shapes tell.
    part
        What it is of the layer: "" for all, "forget gate, hidden", "query", "query, head 3", "OV, head 3", "LoRA".
    shape
        As it is stored.
    matrix_shape
        (n_out, n_in / groups · taps): the shape of `values`.
    n_parameters
        Stored numbers that it is made of; 0 of derived ones.
    dtype
        Of the stored numbers.
    fan_in, fan_out
        Number of inputs that one output adds up, and of weights that one input meets.
    groups
        Groups of rows that belong to channels which do not see each other: `blocks` has one matrix for each.
    role
        "weight", "input", "recurrent", "projection", "query", "key", "value", "output", "lookup", "bilinear",
        "adapter".
    derived
        A part or product of other matrices (a head, QKᵀ, OV): shown, not counted among what was tested.
    note
        How the stored numbers became this matrix, in one sentence.
    factors, inner
        Of a product: reads its two factors (n_out, inner) and (inner, n_in), whose small products have the same
        singular values; None of others.
    base
        Of an adapter: reads the weight that it is added to, in `matrix_shape`, where the source has it.
    """

    name: str
    layer: str
    kind: str
    shape: tuple[int, ...]
    matrix_shape: tuple[int, int]
    n_parameters: int
    dtype: torch.dtype
    load: Callable[[], torch.Tensor] = field(repr=False, compare=False)
    part: str = ""
    fan_in: float = 0.0
    fan_out: float = 0.0
    groups: int = 1
    role: str = "weight"
    derived: bool = False
    note: str = ""
    norms: Callable[[], Norms] | None = field(default=None, repr=False, compare=False)
    factors: Callable[[], tuple[torch.Tensor, torch.Tensor]] | None = field(default=None, repr=False, compare=False)
    inner: int | None = None
    base: Callable[[], torch.Tensor] | None = field(default=None, repr=False, compare=False)

    def values(self) -> torch.Tensor:
        """Read the matrix: (n_out, n_in / groups · taps), on the CPU, in the dtype in which it is stored.

        Raises
        ------
        NotFiniteError
            Values that are not finite; a `DataError`.
        """
        found = _on_cpu(self.load()).reshape(self.matrix_shape)
        bad = int((~torch.isfinite(found)).sum())
        if bad:
            reason = f"expected finite weights, got {bad} of {found.numel()} that are not; take an earlier checkpoint"
            raise NotFiniteError(self.name, reason)
        return found

    def blocks(self) -> torch.Tensor:
        """Read one matrix a group: (groups, n_out / groups, n_in / groups · taps)."""
        return self.values().reshape(self.groups, self.matrix_shape[0] // self.groups, -1)

    @property
    def rank_limit(self) -> int:
        """Largest rank that the shape, or the factors of a product, allow."""
        return min(self.matrix_shape) if self.inner is None else min(*self.matrix_shape, self.inner)

    @property
    def is_operator(self) -> bool:
        """Whether the layer acts as this very matrix, so that its largest singular value is the norm of the layer."""
        return self.norms is None

    @cached_property
    def _norms(self) -> Norms:
        if self.norms is not None:
            return self.norms()
        largest = float(torch.linalg.matrix_norm(self.values().double(), 2))
        return largest, largest

    @property
    def operator_norm(self) -> float | None:
        """Norm of the layer as a linear map, where it is known exactly."""
        return self._norms[0]

    @property
    def operator_bound(self) -> float | None:
        """Upper bound of that norm; None where there is none, as for a convolution of unknown padding."""
        return self._norms[1]

    def rows(self, first: int, last: int, **changes: Any) -> "Matrix":
        """Return some of its rows as a matrix of their own; `changes` are fields that differ."""
        shape = (last - first, *self.matrix_shape[1:])
        n_parameters = round(self.n_parameters * (last - first) / self.matrix_shape[0])
        changes = {"shape": shape, "n_parameters": n_parameters, **changes}
        return replace(self, matrix_shape=shape, load=lambda: self.load().flatten(1)[first:last], **changes)

    def columns(self, first: int, last: int, **changes: Any) -> "Matrix":
        """Return some of its columns as a matrix of their own; `changes` are fields that differ."""
        shape = (self.matrix_shape[0], last - first)
        n_parameters = round(self.n_parameters * (last - first) / self.matrix_shape[1])
        changes = {"shape": shape, "n_parameters": n_parameters, **changes}
        return replace(self, matrix_shape=shape, load=lambda: self.load().flatten(1)[:, first:last], **changes)


@dataclass(frozen=True)
class LeftOut:
    """Numbers of two or more dims that are no matrix to analyze, and why."""

    name: str
    shape: tuple[int, ...]
    n_parameters: int
    reason: str


@dataclass(frozen=True, repr=False)
class Matrices:
    """The weight matrices of a net in the order of its layers, to be iterated as often as wanted.

    Attributes
    ----------
    items
        The matrices.
    left_out
        What has two or more dims and is not among them, with the reason.
    n_parameters
        Number of parameters of the whole source, biases and factors included.
    notes
        What is to be known of the reading: entries passed over, layers that share a weight, types that were guessed.
    """

    items: tuple[Matrix, ...]
    left_out: tuple[LeftOut, ...] = ()
    n_parameters: int = 0
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Matrix]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, name: str) -> Matrix:
        """Return the matrix of this name; KeyError if there is none."""
        found = next((each for each in self.items if each.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    @property
    def coverage(self) -> float:
        """Fraction of all parameters that the matrices are made of; the rest are vectors, and what is left out."""
        return sum(each.n_parameters for each in self.items) / self.n_parameters if self.n_parameters else 0.0

    def summary(self) -> str:
        """Return how many matrices there are, what they cover, and what is left out, as plain text."""
        n = sum(not each.derived for each in self.items)
        lines = [f"{n} matrices of {self.n_parameters} parameters cover {100 * self.coverage:.1f} %"]
        lines += [f"left out: {each.name} {each.shape}: {each.reason}" for each in self.left_out]
        return "\n".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """Return names, shapes and what is left out as plain values, without the weights."""
        plain = ("name", "layer", "kind", "part", "role", "n_parameters", "fan_in", "fan_out", "derived", "note")
        return {
            "matrices": [
                {key: getattr(each, key) for key in plain}
                | {"shape": list(each.shape), "matrix_shape": list(each.matrix_shape), "dtype": str(each.dtype)}
                for each in self.items
            ],
            "left_out": [{**vars(each), "shape": list(each.shape)} for each in self.left_out],
            "n_parameters": self.n_parameters,
            "coverage": self.coverage,
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        return f"Matrices({self.summary().splitlines()[0]})"


def taps(shape: Sequence[int]) -> int:
    """Return the number of taps of a weight (n_out, n_in, *kernel)."""
    return math.prod(shape[2:])


def _on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach()
    if hasattr(tensor, "full_tensor"):  # sharded over processes
        tensor = tensor.full_tensor()
    tensor = (tensor if tensor.layout == torch.strided else tensor.to_dense()).to("cpu")
    return tensor.float() if tensor.is_floating_point() and tensor.dtype.itemsize < 2 else tensor
