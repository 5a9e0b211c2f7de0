"""Questions to a recorded graph: who is whose ancestor, which nodes lie between, where the residual branches are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sciml.nn.structure.activations import is_linear
from sciml.nn.structure.recorder import Node

__all__ = ["SUMS", "Graph", "Merge"]


SUMS = {"add", "iadd", "radd", "sub", "isub", "rsub", "addcmul"}
_PARTS = {"getitem", "chunk", "split", "split_with_sizes", "tensor_split", "unbind", "narrow", "select"}


@dataclass(frozen=True)
class Merge:
    """An addition that closes a residual block.

    Attributes
    ----------
    node
        The addition.
    fork
        Where branch and skip part.
    end
        The operand of the addition that the branch gives.
    skip
        The other operand: the fork itself where the skip is the identity.
    inside
        Nodes of the branch, from the fork (left out) to its end.
    shortcut
        Nodes of the skip, () where it is the identity.
    """

    node: int
    fork: int
    end: int
    skip: int
    inside: tuple[int, ...]
    shortcut: tuple[int, ...] = ()


class Graph:
    """Nodes in the order of execution, the slots that each reads, and what follows from both."""

    def __init__(self, nodes: Sequence[Node], outputs: Iterable[int], slots: Mapping[str, tuple[str, ...]]) -> None:
        self.nodes = tuple(nodes)
        self.outputs = tuple(outputs)
        self._slots = dict(slots)
        # Only what reaches the output counts.
        self.used = self._used()
        self.children: list[list[int]] = [[] for _ in nodes]
        for node in self.nodes:
            for parent in node.parents if node.index in self.used else ():
                self.children[parent].append(node.index)
        self._found = tuple(self._slots_of(node.index) for node in self.nodes)
        self.merges: dict[int, Merge] = {}
        self._find_merges()

    def slots(self, node: int) -> tuple[str, ...]:
        """Return the names of the slots that a node multiplies by."""
        return self._found[node]

    def _slots_of(self, node: int) -> tuple[str, ...]:
        if self.nodes[node].kind != "affine":
            return ()
        found = dict.fromkeys(name for p in self.nodes[node].params for name in self._slots.get(p, ()))
        # Where layers share a parameter, the one that is running.
        module = self.nodes[node].module
        own = tuple(name for name in found if name == module or name.startswith((f"{module}.", f"{module}[")))
        return own or tuple(found)

    def between(self, start: int, end: int) -> tuple[int, ...]:
        """Return the nodes on the paths from `start` (left out) to `end`; () where there is none."""
        above = self._above(end, lowest=start)
        if start not in above:
            return ()
        below = {start}
        for index in sorted(above):
            if any(parent in below for parent in self.nodes[index].parents):
                below.add(index)
        return tuple(sorted(below - {start}))

    def upstream(self, node: int, passes: Callable[[int], bool]) -> tuple[int, ...]:
        """Return the nearest ancestors that do not let pass, through those that do."""
        found: dict[int, None] = {}
        todo, visited = list(self.nodes[node].parents), set[int]()
        while todo:
            index = todo.pop()
            if index in visited:
                continue
            visited.add(index)
            if passes(index):
                todo += self.nodes[index].parents
            else:
                found[index] = None
        return tuple(found)

    def _above(self, node: int, lowest: int) -> set[int]:
        """Return the node and those of its ancestors that were not executed before `lowest`."""
        found, todo = {node}, [node]
        while todo:
            for parent in self.nodes[todo.pop()].parents:
                if parent >= lowest and parent not in found:
                    found.add(parent)
                    todo.append(parent)
        return found

    def _used(self) -> set[int]:
        found, todo = set(self.outputs), list(self.outputs)
        while todo:
            for parent in self.nodes[todo.pop()].parents:
                if parent not in found:
                    found.add(parent)
                    todo.append(parent)
        return found

    def _find_merges(self) -> None:
        for node in self.nodes:
            if node.kind == "pointwise" and node.name in SUMS and len(node.parents) == 2 and node.index in self.used:
                found = self._identity(node) or self._projection(node)
                if found is not None:
                    self.merges[node.index] = found

    def _identity(self, node: Node) -> Merge | None:
        """Return the merge whose skip is the other operand itself, or what that was before it was added to."""
        end, skip = max(node.parents), min(node.parents)
        fork: int | None = skip
        while fork is not None:
            inside = self.between(fork, end)
            if any(self.slots(index) for index in inside):
                return Merge(node.index, fork, end, skip, inside)
            # parallel branches, x + f(x) + g(x): the second starts where the first did
            fork = self.merges[fork].fork if fork in self.merges and not inside else None
        return None

    def _projection(self, node: Node) -> Merge | None:
        """Return the merge of two ways from one node, of which one is at most a single linear layer."""
        fork = self._nearest_common(*node.parents)
        if fork is None:
            return None
        ways = sorted((self.between(fork, end) for end in node.parents), key=self._n_slots)
        shortcut, inside = ways
        short, long = (self._slots_in(way) for way in ways)
        # A projection is linear, and what it stands beside is not: else both are parts of one linear map.
        bends = [any(self.is_nonlinear(index) or self.nodes[index].kind == "other" for index in way) for way in ways]
        plain = not short or bends == [False, True]
        if not plain or len(short) > 1 or len(long) <= len(short) or short & long or node.index in inside:
            return None
        if all(self.nodes[index].name in _PARTS for index in inside if fork in self.nodes[index].parents):
            return None  # two parts of what one layer gave
        return Merge(node.index, fork, inside[-1], shortcut[-1] if shortcut else fork, inside, shortcut)

    def is_nonlinear(self, node: int) -> bool:
        """Whether a node is pointwise and more than a factor or a shift."""
        each = self.nodes[node]
        return each.kind == "pointwise" and node not in self.merges and not is_linear(each) and each.name != "clone"

    def _n_slots(self, way: Iterable[int]) -> int:
        return len(self._slots_in(way))

    def _slots_in(self, way: Iterable[int]) -> set[str]:
        return {name for index in way for name in self.slots(index)}

    def _nearest_common(self, a: int, b: int) -> int | None:
        """Return the last executed node that is an ancestor of both."""
        lower, upper = sorted((a, b))
        above_lower, above_upper = {lower}, {upper}
        for index in range(upper, -1, -1):
            in_lower, in_upper = index in above_lower, index in above_upper
            if in_lower and in_upper:
                return index
            if in_lower:
                above_lower.update(self.nodes[index].parents)
            if in_upper:
                above_upper.update(self.nodes[index].parents)
        return None
