"""The matrices of a state dict: which layer each entry belongs to, as far as names and shapes tell."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from sciml.spectra.convolution import affordable_bound
from sciml.spectra.matrices.entries import Entry, Pool
from sciml.spectra.matrices.matrix import LeftOut, Matrix, Norms, taps
from sciml.spectra.matrices.parametrized import formed

__all__ = ["GATES", "gate_part", "left_of", "of_entries"]

GATES = {4: ("LSTM", ("input", "forget", "cell", "output")), 3: ("GRU", ("reset", "update", "new")), 1: ("RNN", ("",))}
_CONVOLUTIONS = {3: "Conv1d", 4: "Conv2d", 5: "Conv3d"}
_RECURRENT = re.compile(r"weight_(ih|hh|hr)(_l\d+(_reverse)?)?$")
_EMBEDDING = re.compile(r"(^|[._])(wte|wpe|emb|embed\w*|\w*embeddings?|tok_embeddings|lookup)\.weight$", re.I)
_TRANSPOSED = re.compile(r"transpose|deconv|(^|[._])(ups?|upsampl\w*|tconv|convt\w*)(\d*[._]|$)", re.I)
_NO_MATRIX = re.compile(r"(^|\.)(\w*(norm|ln|bn)\w*)\.(weight|bias)$", re.I)
_ADDED = re.compile(r"^(bias|(\w+_)?mask|tril|triu)$")
RESHAPED = "the weight reshaped to (c_out, c_in / groups · taps); its values are not those of the convolution operator"
PLAIN = "the weight matrix (n_out, n_in)"
Found = Iterator[Matrix | LeftOut]


def of_entries(pool: Pool) -> Found:
    """Yield what the entries of two or more dims are, in their order."""
    formed(pool)
    while pool.open:
        key = next(iter(pool.open))
        entry = pool.open[key]
        if len(entry.shape) < 2 and not entry.problem.startswith("expected weights with values"):
            pool.take(key)
        elif entry.problem:
            pool.take(key)
            yield left_of(entry, entry.problem)
        else:
            yield from next(found for family in FAMILIES if (found := family(entry, pool)) is not None)
            pool.take(key)


def left_of(entry: Entry, reason: str) -> LeftOut:
    """Return the record of an entry that is no matrix to analyze."""
    return LeftOut(entry.key, entry.shape, entry.n_parameters, reason)


def gate_part(gate: str | None, role: str) -> str:
    """Return the part of a recurrent layer in words: "forget gate, hidden"."""
    side = {"input": "input", "recurrent": "hidden"}.get(role, role)
    return f"{gate} gate, {side}" if gate else side


def _recurrent(entry: Entry, pool: Pool) -> list[Matrix] | None:
    found = _RECURRENT.search(entry.last)
    if found is None or len(entry.shape) != 2:
        return None
    if found[1] == "hr":
        return [_matrix(entry, "LSTM", part="projection", role="projection", note=PLAIN)]
    size = _state_size(entry, found[0], pool)
    if size is None or entry.shape[0] % size or entry.shape[0] // size not in GATES:
        return [_matrix(entry, "RNN", note=f"{PLAIN}; its gates cannot be told: the hidden weights are not there")]
    kind, gates = GATES[entry.shape[0] // size]
    role = "input" if found[1] == "ih" else "recurrent"
    whole = _matrix(entry, kind, role=role, part=gate_part(None, role), note=PLAIN)
    if len(gates) == 1:
        return [whole]
    note = _with(entry, "the rows of one gate, in the order in which torch stores them")
    return [
        whole.rows(
            i * size,
            (i + 1) * size,
            name=f"{entry.key}[{gate}]",
            part=gate_part(gate, role),
            fan_out=float(size),
            note=note,
        )
        for i, gate in enumerate(gates)
    ]


def _state_size(entry: Entry, name: str, pool: Pool) -> int | None:
    """Return the number of hidden units: columns of the hidden weights, or of the projection."""
    for key in ("hr", "hh"):
        sibling = pool.all.get(entry.key.removesuffix(name) + re.sub("ih|hh|hr", key, name))
        if sibling is not None and len(sibling.shape) == 2:
            return sibling.shape[1]
    return None


def _lookup(entry: Entry, pool: Pool) -> list[Matrix] | None:
    named = not entry.kind and _EMBEDDING.search(entry.key) and _bias(entry, pool) is None
    known = entry.kind == "Embedding" or named
    if len(entry.shape) != 2 or not known:
        return None
    n_rows, size = entry.shape
    table = _matrix(entry, "Embedding", role="lookup", note=_with(entry, "the table transposed: (n_out, n_rows)"))
    return [replace(table, matrix_shape=(size, n_rows), load=lambda: entry.read().mT, fan_in=1.0, fan_out=float(size))]


def _bias(entry: Entry, pool: Pool) -> int | None:
    """Return the number of entries of the bias of the same layer: the number of its outputs."""
    found = pool.all.get(f"{entry.layer}.bias".removeprefix("."))
    return found.shape[0] if found is not None and len(found.shape) == 1 else None


def _norm(entry: Entry, _pool: Pool) -> list[LeftOut] | None:
    if _ADDED.search(entry.last):
        return [left_of(entry, "a bias or a mask by its name: it is added, no signal is multiplied by it")]
    return [left_of(entry, "the factors of a normalization")] if _NO_MATRIX.search(entry.key) else None


def _linear(entry: Entry, pool: Pool) -> list[Matrix | LeftOut] | None:
    if len(entry.shape) != 2:
        return None
    kind = entry.kind or ("Linear" if entry.last == "weight" else "Parameter")
    # a linear layer stored (in, out), of the name Conv1D in transformers
    in_first = not entry.kind and entry.shape[0] != entry.shape[1] == _bias(entry, pool)
    if entry.kind == "Conv1D" or in_first:
        shape = entry.shape[::-1]
        note = _with(entry, f"the weight transposed: (n_out, n_in){', as its bias tells' if in_first else ''}")
        transposed = replace(entry, shape=shape, read=lambda: entry.read().mT)
        return [replace(_matrix(transposed, kind, note=note), shape=entry.shape)]
    if min(entry.shape) == 1 and entry.last != "weight" and "lora" not in entry.key.lower():
        return [left_of(entry, "a vector: one row or column")]
    return [_matrix(entry, kind, note=_with(entry, PLAIN))]


def _bilinear(entry: Entry, pool: Pool) -> list[Matrix] | None:
    if len(entry.shape) != 3 or entry.last != "weight" or "bilinear" not in entry.key.lower():
        return None
    n_out = _bias(entry, pool) or entry.shape[0]
    matrix = _matrix(entry, "Bilinear", role="bilinear", note=_with(entry, "reshaped to (n_out, n_in1 · n_in2)"))
    return [matrix] if n_out == entry.shape[0] else None


def _convolution(entry: Entry, pool: Pool) -> list[Matrix] | None:
    if len(entry.shape) not in _CONVOLUTIONS or entry.last not in ("weight", "kernel", "filter", "filters"):
        return None
    kind = _CONVOLUTIONS[len(entry.shape)]
    groups, reason = _transposed(entry, pool)
    if groups == 0:
        note = _with(entry, RESHAPED) + reason
        plain = replace(_matrix(entry, kind, note=note), groups=max(entry.groups, 1), norms=_bound(entry))
        return [replace(plain, fan_out=plain.fan_out / plain.groups)]
    first, second, *kernel = entry.shape
    shape = (second * groups, first // groups, *kernel)
    note = f"in and out exchanged to (c_out, c_in / groups · taps){reason}"
    whole = _matrix(replace(entry, shape=shape, read=lambda: swapped(entry.read(), groups)), kind, note=note)
    kind = kind.replace("Conv", "ConvTranspose")
    fan_out = whole.fan_out / groups
    return [replace(whole, kind=kind, shape=entry.shape, groups=groups, fan_out=fan_out, norms=_bound(entry))]


def _bound(entry: Entry) -> Callable[[], Norms]:
    """Return how to read a bound of the norm, where the file tells that zeros are padded."""
    if not (entry.kind.startswith("Conv") and entry.groups):
        return lambda: (None, None)
    return lambda: (None, affordable_bound(entry.read(), groups=entry.groups))


def _transposed(entry: Entry, pool: Pool) -> tuple[int, str]:
    """Return the groups of a transposed convolution, 0 for one that is not, and by what that is known."""
    if entry.kind.startswith("Conv") and entry.groups:
        return (entry.groups, "") if "Transpose" in entry.kind else (0, "")
    first, second = entry.shape[:2]
    named = bool(_TRANSPOSED.search(entry.key) or entry.kind.startswith("ConvTranspose"))
    n_out = _bias(entry, pool) or 0
    if n_out == first and not (named and first == second):
        return 0, ""
    if n_out and n_out % second == 0 and first % (n_out // second) == 0:
        return n_out // second, ", as its bias tells" if n_out != first else ", as its name tells"
    if named:
        return 1, ", as its name tells; the number of groups is not known"
    return 0, "; whether it is a transposed convolution is not told by the file" if not n_out else ""


def swapped(tensor: torch.Tensor, groups: int) -> torch.Tensor:
    """Exchange in and out of a weight (a, b / groups, *kernel) -> (b, a / groups, *kernel)."""
    return tensor.reshape(groups, tensor.shape[0] // groups, *tensor.shape[1:]).transpose(1, 2).flatten(0, 1)


def _squeezed(entry: Entry, _pool: Pool) -> list[Matrix | LeftOut]:
    """Return the matrix of a parameter of which two dims are larger than one."""
    shape = tuple(size for size in entry.shape if size > 1)
    if len(shape) < 2:
        return [left_of(entry, "a vector: one dim larger than one")]
    if len(shape) > 2:
        return [left_of(entry, f"{len(entry.shape)} dims, and no name that tells how it acts as a matrix")]
    note = _with(entry, "dims of size one left out")
    flat = replace(entry, shape=shape, read=lambda: entry.read().reshape(shape))
    return [replace(_matrix(flat, entry.kind or "Parameter", note=note), shape=entry.shape)]


def _with(entry: Entry, note: str) -> str:
    return f"{entry.note}; {note}" if entry.note else note


def _matrix(entry: Entry, kind: str, *, part: str = "", role: str = "weight", note: str) -> Matrix:
    rows, columns = entry.shape[0], entry.shape[1] * taps(entry.shape)
    name = (entry.layer or entry.key) if entry.last == "weight" else entry.key
    layer = entry.layer
    return Matrix(
        name, layer, kind, entry.shape, (rows, columns), entry.n_parameters, entry.dtype, entry.read,
        part=part, fan_in=float(columns), fan_out=float(rows * taps(entry.shape)), role=role, note=note,
    )  # fmt: skip


Family = Callable[[Entry, Pool], "list[Matrix | LeftOut] | list[Matrix] | list[LeftOut] | None"]
FAMILIES: tuple[Family, ...] = (_recurrent, _norm, _lookup, _linear, _bilinear, _convolution, _squeezed)
"""The first that knows an entry says what it is; the last takes all."""
