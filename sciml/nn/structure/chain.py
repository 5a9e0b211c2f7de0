"""A recorded graph as a chain of steps, where it is one."""

from collections.abc import Mapping
from typing import Literal

from sciml.nn.structure.activations import constant, is_linear
from sciml.nn.structure.graph import Graph
from sciml.nn.structure.regions import Region
from sciml.nn.structure.result import Step

__all__ = ["Chain", "NotAChainError", "chain_of"]


class NotAChainError(Exception):
    """Values of several nodes meet where no residual block closes."""


def chain_of(
    graph: Graph, regions: Mapping[int, Region], names: Mapping[int, str]
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Return the steps from input to output, or () and the reason why there are none."""
    try:
        if len(graph.outputs) != 1:
            raise NotAChainError(f"{len(graph.outputs)} outputs")
        return Chain(graph, regions, names).steps(graph.outputs[0], None), ()
    except NotAChainError as reason:
        return (), (f"not a chain of layers and residual blocks: {reason}",)


class Chain:
    """Walks back from the output of a graph, step by step."""

    def __init__(self, graph: Graph, regions: Mapping[int, Region], names: Mapping[int, str]) -> None:
        self.graph, self.regions, self.names = graph, regions, names

    def steps(self, end: int, stop: int | None) -> tuple[Step, ...]:
        """Return what leads from `stop`, or the input, to `end`."""
        found: list[Step] = []
        index = end
        while index != stop and not (stop is None and self.graph.nodes[index].kind == "input"):
            step, index = self.step(index)
            if step is not None:
                found.append(step)
        return tuple(reversed(found))

    def step(self, index: int) -> tuple[Step | None, int]:
        """Return the step that ends in a node, and the node that it starts from."""
        node = self.graph.nodes[index]
        if index in self.graph.merges:
            return self._block(index)
        if index in self.regions:
            region = self.regions[index]
            return Step(
                "activation", region.activation.name, region.activation, shape=node.shape, node=index
            ), region.entry
        if len(node.parents) != 1:
            raise NotAChainError(f"{node.name} of {node.module or 'the net'} has {len(node.parents)} inputs")
        name = node.module or node.name
        layers = self.graph.slots(index)
        if layers:
            step = Step("affine", name, layers=layers, shape=node.shape, params=node.params, node=index)
            return step, node.parents[0]
        if is_linear(node):
            factor = "mul" in node.name or "div" in node.name or node.name == "neg"
            value = constant(node)
            kind: Literal["scale", "shift"] = "scale" if factor else "shift"
            return Step(kind, name, shape=node.shape, params=node.params, value=value, node=index), node.parents[0]
        if node.kind == "shape":
            return None, node.parents[0]
        if node.kind in ("norm", "pool"):
            return Step(node.kind, name, shape=node.shape, params=node.params, node=index), node.parents[0]
        raise NotAChainError(f"{node.name} of {node.module or 'the net'} is no layer, norm, pool or activation")

    def _block(self, index: int) -> tuple[Step, int]:
        merge = self.graph.merges[index]
        step = Step(
            "branch",
            self.names[index],
            steps=self.steps(merge.end, merge.fork),
            shortcut=self.steps(merge.skip, merge.fork),
            shape=self.graph.nodes[index].shape,
            node=index,
        )
        return step, merge.fork
