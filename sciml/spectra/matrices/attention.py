r"""Attention: query, key, value and output apart, and per head with the two products in which they act.

Of head h the scores of tokens x and y are :math:`x^T W_Q^{h\,T} W_K^h y`, and what it writes is
:math:`W_O^h W_V^h y`: only these products, each of the rank of one head at most, do not change when the basis within a
head does.

References
----------
Vaswani and others (2017), arXiv:1706.03762, section 3.2; the two circuits: Elhage and others (2021),
https://transformer-circuits.pub/2021/framework.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from sciml.spectra.matrices.matrix import LeftOut, Matrix

__all__ = ["ROLES", "Heads", "with_heads"]

Heads = Callable[[str], tuple[int, int] | None]
"""Number of heads of queries, and of keys and values, in the module of a name; None where it is not known."""

ROLES = {
    "query": re.compile(r"(q|wq|query|to_q|(q|query)_(proj|lin|linear)(_weight)?|(lin|linear|proj)_?q)$", re.I),
    "key": re.compile(r"(k|wk|key|to_k|(k|key)_(proj|lin|linear)(_weight)?|(lin|linear|proj)_?k)$", re.I),
    "value": re.compile(r"(v|wv|value|to_v|(v|value)_(proj|lin|linear)(_weight)?|(lin|linear|proj)_?v)$", re.I),
}
_OUTPUT = ("out_proj", "o_proj", "wo", "o", "to_out", "to_out.0", "out_lin", "proj", "c_proj", "output", "dense")
_PACKED = re.compile(r"(in_proj_weight|qkv|c_attn|wqkv|qkv_proj|to_qkv|in_proj)$", re.I)
Items = Sequence[Matrix | LeftOut]


def with_heads(items: Items, heads: Heads) -> Iterator[Matrix | LeftOut]:
    """Yield the items with packed projections split, roles named, and the heads of each attention after it."""
    split = [part for each in items for part in _split(each)]
    groups = _groups(split)
    roles = {id(each): role for group in groups.values() for role, each in group.items()}
    place = {id(each): i for i, each in enumerate(split)}
    ends = {max(place[id(each)] for each in group.values()): parent for parent, group in groups.items()}
    for i, each in enumerate(split):
        role = roles.get(id(each))
        yield replace(each, role=role, part=each.part or role) if role and isinstance(each, Matrix) else each
        if i in ends:
            yield from _of_heads(ends[i], groups[ends[i]], heads(ends[i]))


def _split(item: Matrix | LeftOut) -> list[Matrix | LeftOut]:
    """Return query, key and value of a weight that has them one below the other."""
    if not isinstance(item, Matrix) or not _PACKED.search(item.name):
        return [item]
    if item.kind == "Parameter":
        item = replace(item, kind="MultiheadAttention")
    rows, columns = item.matrix_shape
    if columns == 3 * rows:  # stored (in, out)
        transposed = replace(
            item, matrix_shape=(columns, rows), load=lambda: item.load().mT, note=f"transposed; {item.note}"
        )
        return _split(transposed)
    if rows != 3 * columns:
        return [item]
    return [
        item.rows(
            i * columns, (i + 1) * columns, name=f"{item.name}[{role}]", part=role, role=role,
            fan_out=float(columns), note=f"the rows of the {role}; {item.note}",
        )
        for i, role in enumerate(ROLES)
    ]  # fmt: skip


def _groups(items: Items) -> dict[str, dict[str, Matrix]]:
    """Return the projections of each attention, by the name of its module: those that have query, key and value."""
    found: dict[str, dict[str, Matrix]] = {}
    for each in items:
        if isinstance(each, Matrix):
            parent, role = _place(each)
            if role:
                found.setdefault(parent, {})[role] = each
    groups = {parent: group for parent, group in found.items() if len(group) == len(ROLES)}
    by_layer = {each.layer: each for each in items if isinstance(each, Matrix)}
    for parent, group in groups.items():
        output = next((by_layer[name] for name in _outputs(parent) if name in by_layer), None)
        if output is not None and output.matrix_shape[1] % group["value"].matrix_shape[0] == 0:
            group["output"] = output
    return groups


def _place(item: Matrix) -> tuple[str, str]:
    """Return the attention that a matrix is a projection of, and which."""
    if item.role in ROLES:
        packed_layer = item.layer.rpartition(".")[0] if _PACKED.search(item.layer.rpartition(".")[2]) else item.layer
        return packed_layer, item.role
    parent, _, last = item.layer.rpartition(".")
    if item.name.rpartition(".")[2] != last:  # a parameter of the attention itself
        parent, last = item.layer, item.name.rpartition(".")[2]
    return parent, next((role for role, names in ROLES.items() if names.fullmatch(last)), "")


def _outputs(parent: str) -> Iterator[str]:
    yield from (f"{parent}.{name}".removeprefix(".") for name in _OUTPUT)
    yield f"{parent.rpartition('.')[0]}.output.dense".removeprefix(".")


def _of_heads(parent: str, group: dict[str, Matrix], heads: tuple[int, int] | None) -> Iterator[Matrix]:
    """Yield the heads of one attention: their four matrices, and both products."""
    if heads is None:
        return
    n_query, n_key = heads
    size = group["query"].matrix_shape[0] // n_query
    rows = {role: group[role].matrix_shape[0] for role in ROLES}
    if size * n_query != rows["query"] or size * n_key != rows["key"] or rows["value"] % n_key:
        return
    for h in range(n_query):
        shared = h * n_key // n_query  # keys and values that several queries share
        parts = {
            role: _head(group[role], role, h if role == "query" else shared, n_query if role == "query" else n_key)
            for role in ROLES
        }
        yield from (part for role, part in parts.items() if role == "query" or h == shared * n_query // n_key)
        yield _product(parent, f"QK, head {h}", parts["query"], parts["key"], first_transposed=True)
        if "output" in group:
            yield from _written(parent, h, group["output"], n_query, parts["value"])


def _written(parent: str, h: int, output: Matrix, n: int, value: Matrix) -> Iterator[Matrix]:
    """Yield what one head writes: its columns of the output, and their product with its value."""
    size = output.matrix_shape[1] // n
    part = f"output, head {h}"
    own = output.columns(
        h * size, (h + 1) * size, name=f"{output.name}[head {h}]", part=part, role="output", derived=True,
        n_parameters=0, fan_in=float(size), note="the columns of one head",
    )  # fmt: skip
    yield own
    if value.matrix_shape[0] == size:
        yield _product(parent, f"OV, head {h}", own, value)


def _head(item: Matrix, role: str, h: int, n: int) -> Matrix:
    size = item.matrix_shape[0] // n
    return item.rows(
        h * size, (h + 1) * size, name=f"{item.name}[head {h}]", part=f"{role}, head {h}", role=role, derived=True,
        n_parameters=0, fan_out=float(size), note="the rows of one head",
    )  # fmt: skip


def _product(parent: str, part: str, first: Matrix, second: Matrix, *, first_transposed: bool = False) -> Matrix:
    def factors() -> tuple[torch.Tensor, torch.Tensor]:
        left, right = first.values().double(), second.values().double()
        return (left.mT if first_transposed else left), right

    def load() -> torch.Tensor:
        left, right = factors()
        return left @ right

    rows = first.matrix_shape[1] if first_transposed else first.matrix_shape[0]
    shape = (rows, second.matrix_shape[1])
    words = "query of a head transposed times its key" if first_transposed else "output of a head times its value"
    return Matrix(
        f"{parent}[{part}]".removeprefix("."), parent, first.kind, shape, shape, 0, first.dtype, load, part=part,
        fan_in=float(shape[1]), fan_out=float(shape[0]), role="product", derived=True, note=words,
        factors=factors, inner=second.matrix_shape[0],
    )  # fmt: skip
