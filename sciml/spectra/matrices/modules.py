"""The matrices of a module, each with the geometry that its layer knows."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.utils import parametrize

from sciml.nn.structure import CONVOLUTIONS, NORMS, TRANSPOSED, Slot, weight_slots
from sciml.spectra.convolution import layer_norms
from sciml.spectra.matrices.entries import Entry, Pool, of_tensor
from sciml.spectra.matrices.layers import PLAIN, RESHAPED, Found, gate_part, of_entries, swapped
from sciml.spectra.matrices.matrix import LeftOut, Matrix, Norms, taps
from sciml.spectra.matrices.parametrized import form

__all__ = ["Grid", "of_module"]

Grid = int | Sequence[int] | Mapping[str, int | Sequence[int]] | None
_HOOKS = ("", "_g", "_v", "_orig")  # endings of the parameters of a weight with a hook


def of_module(model: nn.Module, grid: Grid, notes: list[str]) -> Found:
    """Yield the matrices of a net, module by module; what is shared is said in `notes`."""
    slots: dict[int, list[Slot]] = {}
    for slot in weight_slots(model):
        slots.setdefault(id(slot.module), []).append(slot)
    first_of: dict[tuple[int, tuple[int, int] | None], str] = {}
    for name, module in model.named_modules():
        for slot in slots.get(id(module), []):
            first = _first(slot, first_of)
            if first is not None:
                notes.append(f"{slot.name} has the weight of {first}: counted once, there")
            else:
                yield _of_slot(slot, name, grid)
        yield from _others(name, module, slots.get(id(module), []), first_of, notes)


def _first(slot: Slot, first_of: dict[tuple[int, tuple[int, int] | None], str]) -> str | None:
    """Return the name of the matrix that has the same parameter, or None for the first that has it."""
    key = (id(_stored(slot)[0]), slot.rows)
    if key in first_of:
        return first_of[key]
    first_of[key] = slot.name
    return None


def _others(
    name: str,
    module: nn.Module,
    slots: Sequence[Slot],
    first_of: dict[tuple[int, tuple[int, int] | None], str],
    notes: list[str],
) -> Found:
    """Yield the parameters that no known type of layer explains, by what their names tell."""
    known = {id(each) for slot in slots for each in _stored(slot)}
    if type(module).__name__ == "ParametrizationList":
        return
    entries: list[Entry] = []
    for key, tensor in module._parameters.items():
        if tensor is None or id(tensor) in known:
            continue
        full = f"{name}.{key}".removeprefix(".")
        if (id(tensor), None) in first_of:
            notes.append(f"{full} has the weight of {first_of[id(tensor), None]}: counted once, there")
            continue
        first_of[id(tensor), None] = full
        entries.append(of_tensor(full, tensor, kind=getattr(module, "original_name", type(module).__name__)))
    for found in of_entries(Pool(iter(entries))):
        is_norm = isinstance(module, NORMS) and isinstance(found, Matrix)
        yield (
            LeftOut(found.name, found.shape, found.n_parameters, "the factors of a normalization") if is_norm else found
        )


def _of_slot(slot: Slot, layer: str, grid: Grid) -> Matrix | LeftOut:
    stored = _stored(slot)
    if any(nn.parameter.is_lazy(each) or each.is_meta for each in stored):
        return LeftOut(slot.name, (), 0, "expected weights with values, got a lazy or meta tensor; load them")
    weight = _read(slot)
    entry = of_tensor(slot.name, weight)
    shape = _stored_shape(slot, weight)
    whole = _whole(slot)
    n_parameters = round(sum(each.numel() for each in stored) * weight.numel() / max(whole, 1))
    if entry.problem:
        return LeftOut(slot.name, shape, n_parameters, entry.problem)
    rows, columns = weight.shape[0], weight[0].numel()
    return Matrix(
        slot.name, layer, _kind(slot), shape, (rows, columns), n_parameters, weight.dtype, lambda: _read(slot),
        part=_part(slot), role=slot.role, groups=slot.groups, note=_note(slot),
        fan_in=_fan_in(slot, columns), fan_out=float(rows // slot.groups * taps(weight.shape)),
        norms=None if _acts_as_matrix(slot, weight) else lambda: _convolution_norms(slot, layer, grid),
    )  # fmt: skip


def _acts_as_matrix(slot: Slot, weight: torch.Tensor) -> bool:
    """Return whether the layer applies this matrix to each sample: no kernel, no groups, no padding that copies."""
    module = slot.module
    if not isinstance(module, CONVOLUTIONS + TRANSPOSED):
        return True
    return taps(weight.shape) == 1 and slot.groups == 1 and module.padding_mode == "zeros"


def _kind(slot: Slot) -> str:
    return slot.kind.replace("NonDynamicallyQuantizable", "")


def _stored_shape(slot: Slot, weight: torch.Tensor) -> tuple[int, ...]:
    if slot.role == "bilinear":
        return (weight.shape[0], slot.module.in1_features, slot.module.in2_features)  # type: ignore[return-value]
    return tuple(swapped(weight, slot.groups).shape if slot.transposed else weight.shape)


def _whole(slot: Slot) -> int:
    """Return the size of the parameter, of which the matrix may be some rows."""
    with torch.no_grad(), _still(slot.module):
        return int(getattr(slot.module, slot.parameter).numel())


def _stored(slot: Slot) -> list[torch.Tensor]:
    """Return the parameters that a weight is made of: itself, or those behind its parametrization or hook."""
    parametrized = getattr(slot.module, "parametrizations", {})
    if slot.parameter in parametrized:
        return list(parametrized[slot.parameter].parameters())
    own = slot.module._parameters
    return [each for ending in _HOOKS if (each := own.get(slot.parameter + ending)) is not None]


@torch.no_grad()
def _read(slot: Slot) -> torch.Tensor:
    """Return the weight (n_out, n_in / groups, *kernel) that the next pass would form; the layer stays as it is."""
    with _still(slot.module):
        parts = {key: each for key, each in _own(slot.module).items() if each is not None}
        whole = form(parts, slot.parameter)  # a hook forms it in the pass: what stands there now may be old
        tensor = getattr(slot.module, slot.parameter) if whole is None else whole
        tensor = tensor.detach() if slot.rows is None else tensor.detach()[slice(*slot.rows)]
    if slot.role == "bilinear":
        return tensor.flatten(1)
    return swapped(tensor, slot.groups) if slot.transposed else tensor


def _own(module: nn.Module) -> dict[str, torch.Tensor | None]:
    return {**module._parameters, **module._buffers}


@contextmanager
def _still(module: nn.Module) -> Iterator[None]:
    """Read parametrizations in eval mode, in which a spectral norm does not advance its directions."""
    active = [each for each in getattr(module, "parametrizations", nn.Module()).modules() if each.training]
    for each in active:
        each.training = False
    try:
        with parametrize.cached():
            yield
    finally:
        for each in active:
            each.training = True


def _part(slot: Slot) -> str:
    if slot.gate or slot.role in ("input", "recurrent"):
        return gate_part(slot.gate, slot.role)
    return "" if slot.role in ("weight", "lookup", "bilinear") else slot.role


def _fan_in(slot: Slot, columns: int) -> float:
    if slot.role == "lookup":
        return 1.0
    stride = slot.module.stride if isinstance(slot.module, TRANSPOSED) else ()
    for each in stride:
        columns = columns / each  # type: ignore[assignment]
    return float(columns)


def _note(slot: Slot) -> str:
    if isinstance(slot.module, TRANSPOSED):
        return "in and out exchanged to (c_out, c_in / groups · taps); its values are not those of the operator"
    if isinstance(slot.module, CONVOLUTIONS):
        return RESHAPED
    if slot.gate:
        return "the rows of one gate"
    return {"lookup": "the table transposed: (n_out, n_rows)", "bilinear": "reshaped to (n_out, n_in1 · n_in2)"}.get(
        slot.role, PLAIN
    )


def _convolution_norms(slot: Slot, layer: str, grid: Grid) -> Norms:
    module = slot.module
    size = grid.get(layer) if isinstance(grid, Mapping) else grid
    weight = _read(slot)
    return layer_norms(module, swapped(weight, slot.groups) if slot.transposed else weight, size)
