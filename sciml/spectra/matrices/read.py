"""The weight matrices of whatever holds a net: a module, a state dict, a file."""

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sciml.errors import ConfigError, DataError
from sciml.spectra.matrices.adapters import with_adapters
from sciml.spectra.matrices.attention import with_heads
from sciml.spectra.matrices.entries import Entry, Pool, of_state, state_in
from sciml.spectra.matrices.layers import of_entries
from sciml.spectra.matrices.matrix import LeftOut, Matrices, Matrix
from sciml.spectra.matrices.modules import Grid, of_module
from sciml.spectra.matrices.storage import Stored, stored

__all__ = ["Source", "matrices"]

Source = nn.Module | Mapping[str, Any] | str | PathLike[str]
_HEADS = ("num_heads", "n_heads", "num_attention_heads", "n_head", "nhead", "heads", "h")
_KEY_HEADS = ("num_key_value_heads", "num_kv_heads", "n_kv_heads", "n_kv_head")
_BYTES = 3 * 8  # a number of a matrix that is analyzed: stored, in double precision, and what an SVD needs


def matrices(source: Source, *, grid: Grid = None, memory: float | None = None) -> Matrices:
    """Return every weight matrix of a net, and what of two or more dims is none, with the reason.

    Nothing is built and nothing is run. Values are read when a matrix is asked for them, of files one tensor at a time.

    Parameters
    ----------
    source
        A module; a state dict, also one inside a checkpoint (`{"model": {...}, "optimizer": ...}`); the path of a
        `.safetensors` file, of the `.safetensors.index.json` of a sharded one or its folder, or of what `torch.save`
        wrote of a state dict.
    grid
        Size of the signal that the convolutions see, for their exact norms as operators: one for all, or by the names
        of layers, as `sciml.spectra.convolution.grids` finds them on a sample.
    memory
        Bytes that the analysis of one matrix may take; larger ones are left out and listed.

    Raises
    ------
    ConfigError
        A source without any parameter of two or more dims.
    DataError
        None of its matrices can be analyzed.
    CheckpointError
        A file that is missing, damaged or holds no weights.

    Examples
    --------
    >>> [each.name for each in matrices(nn.GRU(3, 4))][:2]
    ['weight_ih_l0[reset]', 'weight_ih_l0[update]']
    >>> found = matrices({"norm.weight": torch.ones(4), "head.weight": torch.ones(2, 4)})
    >>> found["head"].values().shape, round(found.coverage, 3)
    (torch.Size([2, 4]), 0.667)
    """
    notes: list[str] = []
    if isinstance(source, nn.Module):
        items = list(of_module(source, grid, notes))
        n = sum(_size(each) for each in source.parameters())
        found = _assembled(items, n, notes, Stored(()), source)
    else:
        kept = _kept(source)
        pool = Pool(iter(_once(kept.entries, notes)))
        items = list(of_entries(pool))
        n = sum(each.n_parameters for each in pool.all.values())
        found = _assembled(items, n, [*kept.notes, *notes], kept, None)
    return _checked(_limited(found, memory), source)


def _kept(source: Mapping[str, Any] | str | PathLike[str]) -> Stored:
    if isinstance(source, Mapping):
        tensors, notes = state_in(source)
        return Stored(tuple(of_state(tensors)), notes)
    return stored(Path(source))


def _once(entries: Sequence[Entry], notes: list[str]) -> list[Entry]:
    """Return the entries without those whose tensor in memory is that of an earlier one."""
    first_of: dict[tuple[Any, ...], str] = {}
    found = []
    for each in entries:
        place = each.place
        if place is not None and place in first_of:
            if len(each.shape) > 1:
                notes.append(f"{each.key} has the weight of {first_of[place]}: counted once, there")
        else:
            found.append(each)
            if place is not None:
                first_of[place] = each.key
    return found


def _assembled(
    items: Sequence[Matrix | LeftOut], n: int, notes: Sequence[str], kept: Stored, model: nn.Module | None
) -> Matrices:
    modules = dict(model.named_modules()) if model is not None else {}
    heads = kept.heads()
    scale = kept.scale if model is None else lambda key, rank: _scale_of(modules.get(key[0]), key[1], rank)
    whole = list(with_adapters(items, scale))
    whole = list(with_heads(whole, lambda name: _heads_of(modules.get(name)) if model is not None else heads))
    return Matrices(
        tuple(each for each in whole if isinstance(each, Matrix)),
        tuple(each for each in whole if isinstance(each, LeftOut)),
        n,
        tuple(notes),
    )


def _heads_of(module: nn.Module | None) -> tuple[int, int] | None:
    """Return the numbers of heads that a module says it has."""
    for holder in (module, getattr(module, "config", None)):
        n = _number(holder, _HEADS)
        if n is not None:
            return n, _number(holder, _KEY_HEADS) or n
    return None


def _number(holder: Any, names: Sequence[str]) -> int | None:
    found = (getattr(holder, name, None) for name in names)
    return next((each for each in found if isinstance(each, int) and each > 0), None)


def _scale_of(module: nn.Module | None, adapter: str, rank: int) -> tuple[float, str]:
    """Return the factor that a layer with adapters says it has."""
    value = getattr(module, "scaling", None)
    if isinstance(value, Mapping):
        value = value.get(adapter or "default")
    if isinstance(value, (int, float)):
        return float(value), f"times {value:g}"
    alpha = getattr(module, "lora_alpha", getattr(module, "alpha", None))
    return (
        (alpha / rank, f"times {alpha / rank:g}")
        if isinstance(alpha, (int, float))
        else (1.0, "unscaled: no factor known")
    )


def _limited(found: Matrices, memory: float | None) -> Matrices:
    if memory is None:
        return found
    large = [each for each in found if _BYTES * math.prod(each.matrix_shape) > memory]
    kept = tuple(each for each in found if not any(each is other for other in large))
    left = (LeftOut(each.name, each.shape, each.n_parameters, _too_large(each, memory)) for each in large)
    return Matrices(kept, (*found.left_out, *left), found.n_parameters, found.notes)


def _too_large(matrix: Matrix, memory: float) -> str:
    needed = _BYTES * math.prod(matrix.matrix_shape)
    return f"needs {needed / 2**20:.0f} MiB where {memory / 2**20:.0f} MiB are allowed; raise memory"


def _checked(found: Matrices, source: Source) -> Matrices:
    if found.items:
        return found
    if found.left_out:
        first = found.left_out[0]
        raise DataError(f"layer {first.name!r}: {first.reason}")
    what = f"the file {source}" if isinstance(source, (str, PathLike)) else f"a {type(source).__name__}"
    raise ConfigError(
        f"expected a net with weights, or a state dict or file with parameters of two or more dims; got {what} "
        "without any"
    )


def _size(parameter: torch.Tensor) -> int:
    return 0 if nn.parameter.is_lazy(parameter) else parameter.numel()
