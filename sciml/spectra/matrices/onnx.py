"""The weights of an ONNX file, in the names and the order of torch, by the operations that use them.

Nothing of the file is executed. Initializers and constants are read where they lie, those in files beside it too.

References
----------
https://onnx.ai/onnx/repo-docs/IR.html; gates: https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html.
"""

import math
import mmap
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from sciml.errors import CheckpointError
from sciml.spectra.matrices.entries import Entry, problem_of
from sciml.spectra.matrices.protobuf import Message

__all__ = ["onnx_entries"]

DTYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float16, 11: torch.float64, 16: torch.bfloat16, 17: torch.float8_e4m3fn, 19: torch.float8_e5m2,
}  # fmt: skip
_TYPED = {1: (4, torch.float32), 11: (10, torch.float64)}  # fields of numbers that are not raw bytes
_DEEPEST = 30  # graphs within graphs
_PASSED = ("Identity", "Cast", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "DequantizeLinear")
# The gates as ONNX stacks them, in the order of torch.
_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_GATES = re.compile(r"weight_(ih|hh)(_l\d+)?(_reverse)?$")  # a recurrent layer, step by step
_ANONYMOUS = re.compile(r"^(onnx::.*|val_\d+|_?\d+|/.*|.*_output_\d+)$")


@dataclass(frozen=True)
class Node:
    """An operation of a graph: its type, what it reads and gives, its attributes of whole numbers."""

    operation: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: Mapping[str, list[int]]


@dataclass(frozen=True)
class Graph:
    """The tensors of a file by name, and its operations; names of inner graphs that exist already are made new ones."""

    tensors: dict[str, Entry] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def scope(self, defined: Sequence[str], outer: Mapping[str, str]) -> dict[str, str]:
        """Return the names that a graph sees: its own and those of the graph around it."""
        found = dict(outer)
        for name in defined:
            new = name
            while name and new in self.names:
                new = f"{name}#{len(self.names)}"
            self.names.add(new)
            found[name] = new
        return found


def onnx_entries(path: Path) -> tuple[Entry, ...]:
    """Return the weights of an ONNX file as a state dict of torch would have them.

    Raises
    ------
    CheckpointError
        Something else, a damaged file, or data that lie elsewhere than in a file beside it.
    """
    try:
        with path.open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    graph = Graph()
    for part in Message(content).parts(7):
        _collect(Message(part), graph, path, {}, 0)
    readers: dict[str, list[tuple[Node, int]]] = {}
    for node in graph.nodes:
        for i, name in enumerate(node.inputs):
            readers.setdefault(name, []).append((node, i))
    found: dict[str, Entry] = {}
    for entry in graph.tensors.values():
        for each in _used(entry, readers, graph):
            other = found.get(each.key)
            if other is not None and other.place != each.place:  # several operations of one layer
                each = replace(each, key=f"{each.layer}.{entry.key}.weight")
            found.setdefault(each.key, each)
    return tuple(found.values())


def _collect(message: Message, graph: Graph, path: Path, outer: Mapping[str, str], depth: int) -> None:
    if depth > _DEEPEST:
        raise CheckpointError(f"{path} has graphs within graphs, more than {_DEEPEST} deep: it is not read")
    tensors = [_tensor(Message(part), path) for part in message.parts(5)]
    operations = [Message(part) for part in message.parts(1)]
    defined = [each.key for each in tensors] + [name for each in operations for name in each.texts(2)]
    names = graph.scope(defined, outer)
    for entry in tensors:
        graph.tensors[names[entry.key]] = _named(entry, names[entry.key])
    for each in operations:
        _operation(each, graph, path, names, depth)


def _named(entry: Entry, name: str) -> Entry:
    return replace(entry, key=name, place=(name,))


def _operation(message: Message, graph: Graph, path: Path, names: Mapping[str, str], depth: int) -> None:
    values: dict[str, list[int]] = {}
    inputs, outputs = (tuple(names.get(each, each) for each in message.texts(at)) for at in (1, 2))
    for attribute in map(Message, message.parts(5)):
        values[attribute.text(1)] = attribute.numbers(8) or [attribute.number(3)]
        for inner in attribute.parts(6):
            _collect(Message(inner), graph, path, names, depth + 1)
        for tensor in attribute.parts(5) if message.text(4) == "Constant" and outputs else ():
            graph.tensors[outputs[0]] = _named(_tensor(Message(tensor), path), outputs[0])
    graph.nodes.append(Node(message.text(4), message.text(3), inputs, outputs, values))


def _tensor(message: Message, path: Path) -> Entry:
    shape, code = tuple(message.numbers(1)), message.number(2)
    dtype = DTYPES.get(code, torch.uint8)
    problem = problem_of(shape, dtype) if code in DTYPES else f"expected real floating-point weights, got type {code}"
    if min(shape, default=1) < 0:
        raise CheckpointError(f"{path} has a tensor of the shape {shape}: expected sizes of at least 0")
    return Entry(
        message.text(8), shape, dtype, lambda: _values(message, shape, dtype, path), math.prod(shape), problem=problem
    )


def _values(message: Message, shape: Sequence[int], dtype: torch.dtype, path: Path) -> torch.Tensor:
    parts = list(message.parts(9)) or [part for at, _ in _TYPED.values() for part in message.parts(at)]
    raw = _external(message, path) if message.number(14) == 1 else b"".join(bytes(each) for each in parts)
    if not raw and message.fields.get(5):  # half precision, as whole numbers
        raw = b"".join((each & 0xFFFF).to_bytes(2, "little") for each in message.numbers(5))
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise CheckpointError(
            f"{path}: expected {math.prod(shape) * dtype.itemsize} bytes of {message.text(8)!r}, got {len(raw)}; the "
            "file is damaged"
        )
    return torch.frombuffer(bytearray(raw), dtype=dtype).reshape(tuple(shape))


def _external(message: Message, path: Path) -> bytes:
    """Return bytes that lie in a file beside this one."""
    told = {each.text(1): each.text(2) for each in map(Message, message.parts(13))}
    name = told.get("location", "")
    place = path.parent / name
    if not name or Path(name).name != name or place.is_symlink() or not place.is_file():
        raise CheckpointError(f"{path} names the data {name!r}: expected a file beside it; fetch all its parts")
    offset, length = (int(told[key]) if told.get(key, "").isdigit() else None for key in ("offset", "length"))
    with place.open("rb") as file:
        file.seek(offset or 0)
        return file.read(min(length if length is not None else 2**62, place.stat().st_size))


def _used(entry: Entry, readers: Mapping[str, list[tuple[Node, int]]], graph: Graph) -> Iterator[Entry]:
    """Yield a tensor as the operations read it, each in the convention of torch; itself where none is known."""
    found = [each for each in _as_read(entry, entry.key, readers, graph, 0) if each is not None]
    yield from found or [entry]


def _as_read(
    entry: Entry, name: str, readers: Mapping[str, list[tuple[Node, int]]], graph: Graph, depth: int
) -> Iterator[Entry | None]:
    for node, place in readers.get(name, []):
        if node.operation in _PASSED and place == 0 and node.outputs and depth < _DEEPEST:
            passed = _through(entry, node, graph)
            if passed is not None:
                yield from _as_read(passed, node.outputs[0], readers, graph, depth + 1)
        elif (node.operation, place) in READERS and not entry.problem:
            yield from READERS[node.operation, place](entry, node, place)


def _through(entry: Entry, node: Node, graph: Graph) -> Entry | None:
    """Return what an operation that computes nothing makes of a weight."""
    if node.operation == "Transpose":
        order = tuple(node.numbers.get("perm", range(len(entry.shape))[::-1]))
        if sorted(order) != list(range(len(entry.shape))):
            return None
        shape = tuple(entry.shape[i] for i in order)
        return replace(entry, shape=shape, read=lambda: entry.read().permute(order))
    if node.operation == "DequantizeLinear":
        return _dequantized(entry, node, graph)
    return entry  # the same numbers in the same order: an operation that takes another shape brings it along


def _dequantized(entry: Entry, node: Node, graph: Graph) -> Entry | None:
    scale = graph.tensors.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if scale is None:
        return None
    zero = graph.tensors.get(node.inputs[2]) if len(node.inputs) > 2 else None
    axis = node.numbers.get("axis", [1])[0]

    def along(other: Entry) -> torch.Tensor:
        values = other.read().float()
        sizes = [-1 if i == axis % len(entry.shape) else 1 for i in range(len(entry.shape))]
        return values.reshape(sizes) if values.numel() > 1 else values.reshape(())

    def read() -> torch.Tensor:
        codes = entry.read().float()
        return (codes - along(zero) if zero is not None else codes) * along(scale)

    note = f"{entry.dtype} codes times their scale"
    return replace(entry, read=read, dtype=torch.float32, problem=problem_of(entry.shape, torch.float32), note=note)


def _layer(entry: Entry, node: Node) -> str:
    """Return the name of the layer: of the weight, or of the operation where the weight has none."""
    if not _ANONYMOUS.match(entry.key):
        return re.sub(r"\.?weight$", "", entry.key)
    path = node.name.strip("/").split("/")[:-1]
    return ".".join(path) or entry.key


def _as_torch(entry: Entry, node: Node, kind: str, order: Sequence[int] | None = None, groups: int = 1) -> Entry:
    key = entry.key if _GATES.search(entry.key) else f"{_layer(entry, node)}.weight".removeprefix(".")
    note = "; ".join(part for part in (entry.note, f"read by {node.operation}") if part)
    if order is None:
        return replace(entry, key=key, kind=kind, note=note, groups=groups)
    shape = tuple(entry.shape[i] for i in order)
    return replace(entry, key=key, kind=kind, note=note, shape=shape, read=lambda: entry.read().permute(tuple(order)))


def _of_convolution(entry: Entry, node: Node, _place: int) -> Iterator[Entry]:
    dims = len(entry.shape) - 2
    if 1 <= dims <= 3:
        kind = "ConvTranspose" if node.operation == "ConvTranspose" else "Conv"
        yield _as_torch(entry, node, f"{kind}{dims}d", groups=node.numbers.get("group", [1])[0])


def _of_product(entry: Entry, node: Node, _place: int) -> Iterator[Entry]:
    stored_out_first = node.operation == "Gemm" and node.numbers.get("transB", [0])[0] != 0
    if len(entry.shape) == 2:
        yield _as_torch(entry, node, "Linear", None if stored_out_first else (1, 0))


def _of_table(entry: Entry, node: Node, _place: int) -> Iterator[Entry]:
    if len(entry.shape) == 2:
        yield _as_torch(entry, node, "Embedding")


def _of_gates(entry: Entry, node: Node, place: int) -> Iterator[Entry]:
    """Yield the weights of each direction, the gates in the order of torch."""
    order = _ORDER[node.operation]
    directions = entry.shape[0] if len(entry.shape) == 3 else 1  # (direction, gates · units, n_in)
    rows, columns = entry.shape[-2:]
    if directions not in (1, 2) or rows % len(order):
        return
    size, side = rows // len(order), "ih" if place == 1 else "hh"
    layer = ".".join(node.name.strip("/").split("/")[:-1]) or node.name or node.operation
    for direction in range(directions):

        def read(at: int = direction) -> torch.Tensor:
            gates = entry.read().reshape(directions, len(order), size, columns)[at]
            return gates[list(order)].reshape(rows, columns)

        key = f"{layer}.weight_{side}_l0{'_reverse' if direction else ''}"
        note = f"one direction of {node.operation}, its gates in the order of torch"
        n = rows * columns
        where = (entry.key, direction)
        yield replace(entry, key=key, shape=(rows, columns), read=read, n_parameters=n, note=note, place=where)


READERS: dict[tuple[str, int], Callable[[Entry, Node, int], Iterator[Entry]]] = {
    ("Conv", 1): _of_convolution,
    ("ConvTranspose", 1): _of_convolution,
    ("Gemm", 1): _of_product,
    ("MatMul", 1): _of_product,
    ("Gather", 0): _of_table,
    **{(kind, place): _of_gates for kind in _ORDER for place in (1, 2)},
}
"""How an operation reads the weight at one of its inputs."""
