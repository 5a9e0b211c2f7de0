"""From a recorded graph to what a net is: layers, branches, and the chain of its steps."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from sciml.nn.structure.activations import Activation, constant, is_linear
from sciml.nn.structure.chain import chain_of
from sciml.nn.structure.declared import assign_declared
from sciml.nn.structure.graph import SUMS, Graph, Merge
from sciml.nn.structure.regions import Region, regions
from sciml.nn.structure.result import Branch, Layer, Structure
from sciml.nn.structure.slots import Slot

__all__ = ["Facts"]


class Facts:
    """Answers about a recorded graph, each found once."""

    def __init__(self, model: nn.Module, slots: Sequence[Slot], graph: Graph, named: Sequence[str] | None) -> None:
        self.model, self.slots, self.graph, self.named = model, tuple(slots), graph, named
        self.factors = {node: self._factors(merge) for node, merge in graph.merges.items()}
        self.regions = regions(graph, {index for found in self.factors.values() for index in found})
        self.by_name = {slot.name: slot for slot in self.slots}
        self.by_entry = {region.entry: region for region in self.regions.values()}
        self.innermost = {
            index: merge.node
            for merge in sorted(graph.merges.values(), key=lambda each: -len(each.inside))
            for index in merge.inside
        }
        self.uses: dict[str, list[int]] = {}
        for node in graph.nodes:
            for name in graph.slots(node.index):
                self.uses.setdefault(name, []).append(node.index)
        self.names = self._branch_names()

    def structure(self, *notes: str) -> Structure:
        """Return all of it."""
        order = {name: nodes[0] for name, nodes in self.uses.items()}
        reached = sorted((slot for slot in self.slots if slot.name in order), key=lambda slot: order[slot.name])
        missed = [slot for slot in self.slots if slot.name not in order]
        layers = self._layers(reached) + tuple(Layer(slot, uses=0) for slot in missed)
        branches = tuple(self._branch(merge) for merge in self.graph.merges.values())
        if self.named is not None:
            layers, branches = assign_declared(self.model, layers, self.named)
        steps, why = chain_of(self.graph, self.regions, self.names)
        unseen = [f"never called: {', '.join(slot.name for slot in missed)}"] if missed else []
        return Structure(layers, self.slots, branches, steps, notes=(*notes, *unseen, *why))

    def _layers(self, slots: Iterable[Slot]) -> tuple[Layer, ...]:
        activations, norms = self._activations(), self._norms()
        last = self._ends(self.graph.outputs)
        on_skip = {name for m in self.graph.merges.values() for i in m.shortcut for name in self.graph.slots(i)}
        return tuple(
            Layer(
                slot,
                activation=activations.get(slot.name),
                reads=self._reads(self.uses[slot.name][0]),
                sources=self._sources_of(slot),
                norm=norms.get(slot.name, ""),
                branch=self._innermost(self.uses[slot.name][0]),
                reads_input=self._reads_input(slot),
                gives_output=slot.name in last,
                shortcut=slot.name in on_skip,
                uses=len(self.uses[slot.name]),
            )
            for slot in slots
        )

    def _branch(self, merge: Merge) -> Branch:
        graph, inside = self.graph, merge.inside
        layers = tuple(dict.fromkeys(name for index in inside for name in graph.slots(index)))
        factors = self.factors[merge.node]
        norms = [index for index in inside if graph.nodes[index].kind == "norm"]
        last_affine = max(index for index in inside if graph.slots(index))
        return Branch(
            name=self.names[merge.node],
            layers=layers,
            depth=self._depth(merge),
            last=tuple(self._ends([merge.end], inside)),
            closing=self._closing(merge),
            after=self._after(merge),
            shortcut=tuple(name for index in merge.shortcut for name in graph.slots(index)),
            scale=tuple(p for index in (*factors, merge.node) for p in graph.nodes[index].params),
            shifts=self._shifts(merge),
            constant=self._constant(merge, factors),
            norms=tuple(graph.nodes[index].module or graph.nodes[index].name for index in norms),
            normed_end=any(index > last_affine for index in norms),
            normed_after=self._all_children(merge.node, "norm"),
            parent=self._innermost(merge.node),
        )

    def _passes(self, index: int) -> bool:
        """Whether a node only moves, shifts, scales, adds, normalizes or pools values."""
        node = self.graph.nodes[index]
        if index in self.graph.merges or index in self.regions or node.kind in ("affine", "input"):
            return False
        sums = node.kind == "pointwise" and node.name in SUMS  # of layers that no residual block closes
        return node.kind in ("norm", "shape", "pool") or is_linear(node) or sums or node.name == "clone"

    def _sources(self, index: int) -> tuple[int, ...]:
        """Return the node, or where its values come from if it only passes them on."""
        return self.graph.upstream(index, self._passes) if self._passes(index) else (index,)

    def _activations(self) -> dict[str, Activation]:
        found: dict[str, Activation] = {}
        for region in sorted(self.regions.values(), key=lambda each: -each.exit):  # the first one wins
            for source in self._sources(region.entry):
                found.update(dict.fromkeys(self._outer(source), region.activation))
        return found

    def _norms(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for node in self.graph.nodes:
            if node.kind == "norm" and node.index in self.graph.used:
                for source in self.graph.upstream(node.index, self._passes):
                    found.update(dict.fromkeys(self._outer(source), node.module or node.name))
        return found

    def _reads(self, index: int) -> Activation | None:
        found = {source for parent in self.graph.nodes[index].parents for source in self._sources(parent)}
        region: Region | None = self.regions.get(found.pop()) if len(found) == 1 else None
        return region.activation if region else None

    def _sources_of(self, slot: Slot) -> tuple[str, ...]:
        """Return what a slot reads, before the activation: layers, residual branches by their names, "input"."""
        index = self.uses[slot.name][0]
        found = {source for parent in self.graph.nodes[index].parents for source in self._sources(parent)}
        entries = [self.regions[each].entry if each in self.regions else each for each in found]
        return tuple(
            dict.fromkeys(name for entry in entries for each in self._sources(entry) for name in self._label(each))
        )

    def _label(self, index: int) -> tuple[str, ...]:
        if index in self.names:
            return (self.names[index],)
        node = self.graph.nodes[index]
        return self._outer(index) or ("input" if node.kind == "input" else node.module or node.name,)

    def _reads_input(self, slot: Slot) -> bool:
        index = self.uses[slot.name][0]
        if self._is_attention(index) and slot.role == "output":
            return False
        found = self.graph.upstream(index, self._between_layers)
        return any(self.graph.nodes[each].kind == "input" for each in found)

    def _between_layers(self, index: int) -> bool:
        return index not in self.graph.merges and self.graph.nodes[index].kind not in ("affine", "input")

    def _ends(self, indices: Iterable[int], inside: Iterable[int] | None = None) -> dict[str, None]:
        """Return the slots that give these values with no other slot between."""
        found: dict[str, None] = {}
        allowed = None if inside is None else set(inside)
        for index in indices:
            passing = self._between_layers(index)
            for source in self.graph.upstream(index, self._between_layers) if passing else (index,):
                if allowed is not None and source not in allowed:
                    continue
                merge = self.graph.merges.get(source)
                nested = self._ends([merge.end], merge.inside) if merge and allowed is not None else {}
                found.update(nested or dict.fromkeys(self._outer(source)))
        return found

    def _outer(self, index: int) -> tuple[str, ...]:
        """Return the slots of a node that give its values: of an attention the output projection alone."""
        names = self.graph.slots(index)
        return names[-1:] if self._is_attention(index) else names

    def _is_attention(self, index: int) -> bool:
        return self.graph.nodes[index].name == "multi_head_attention_forward"

    def _depth(self, merge: Merge) -> int:
        longest: dict[int, int] = {merge.fork: 0}
        for index in merge.inside:
            before = max(longest.get(parent, 0) for parent in self.graph.nodes[index].parents)
            longest[index] = before + self._n_matrices(index)
        return longest[merge.end]

    def _n_matrices(self, index: int) -> int:
        if not self.graph.slots(index):
            return 0
        if self._is_attention(index):
            return 2
        module: Any = self.by_name[self.graph.slots(index)[0]].module
        return int(getattr(module, "num_layers", 1))

    def _factors(self, merge: Merge) -> tuple[int, ...]:
        """Return the nodes at the end of a branch that multiply it by a constant or a parameter."""
        found, index, inside = [], merge.end, set(merge.inside)
        while index in inside and index not in self.graph.merges and len(self.graph.nodes[index].parents) == 1:
            node = self.graph.nodes[index]
            if is_linear(node) and ("mul" in node.name or "div" in node.name or node.name == "neg"):
                found.append(index)
            elif node.kind != "shape" and not is_linear(node):
                break
            (index,) = node.parents
        return tuple(found)

    def _constant(self, merge: Merge, factors: Iterable[int]) -> float:
        product = 1.0
        for index in factors:
            value = constant(self.graph.nodes[index])
            product *= 1.0 if value is None else value
        call = self.graph.nodes[merge.node].call
        alpha = call.kwargs.get("alpha", 1.0) if call else 1.0
        return product * (float(alpha) if isinstance(alpha, (int, float)) else 1.0)

    def _shifts(self, merge: Merge) -> tuple[str, ...]:
        """Return the parameters of one value that are added inside a branch, on its skip, or right after both."""
        after = self.graph.children[merge.node] if len(self.graph.children[merge.node]) == 1 else []
        added = [self.graph.nodes[index] for index in (*merge.inside, *merge.shortcut, *after)]
        names = [p for node in added if is_linear(node) and node.name in ("add", "iadd", "radd") for p in node.params]
        return tuple(dict.fromkeys(name for name in names if self.model.get_parameter(name).numel() == 1))

    def _closing(self, merge: Merge) -> Activation | None:
        found = [self.regions[each] for each in self._sources(merge.end) if each in self.regions]
        return found[0].activation if found and found[0].exit in merge.inside else None

    def _after(self, merge: Merge) -> Activation | None:
        children = set(self.graph.children[merge.node])
        region = self.by_entry.get(merge.node)
        alone = region is not None and children <= {region.exit, *region.activation.calls}
        return region.activation if region is not None and alone else None

    def _all_children(self, index: int, kind: str) -> bool:
        children = self.graph.children[index]
        return bool(children) and all(self.graph.nodes[each].kind == kind for each in children)

    def _innermost(self, index: int) -> str | None:
        merge = self.innermost.get(index)
        return None if merge is None else self.names[merge]

    def _branch_names(self) -> dict[int, str]:
        names: dict[int, str] = {}
        counts: dict[str, int] = {}
        for node, merge in self.graph.merges.items():
            paths = [self.graph.nodes[index].module for index in merge.inside]
            owners = [name for index in merge.inside for name in self.graph.slots(index)]
            name = _common(paths) or _common(owners) or "branch"
            counts[name] = counts.get(name, 0) + 1
            names[node] = f"{name}#{counts[name]}" if counts[name] > 1 else name
        return names


def _common(paths: Sequence[str]) -> str:
    """Return the longest dotted name that all begin with."""
    parts = [path.split(".") for path in paths]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return ".".join(shared)
