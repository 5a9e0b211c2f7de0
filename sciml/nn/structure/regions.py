"""Where a recorded graph applies activations: groups of pointwise nodes that are a function of one node's values."""

from collections.abc import Iterable
from dataclasses import dataclass

from sciml.nn.structure.activations import Activation, activation_of, is_linear
from sciml.nn.structure.graph import Graph

__all__ = ["Region", "regions"]


@dataclass(frozen=True)
class Region:
    """An activation where it stands: of the values of `entry`, given by `exit`."""

    entry: int
    exit: int
    activation: Activation


def regions(graph: Graph, scales: Iterable[int] = ()) -> dict[int, Region]:
    """Return the activations of a graph by the node that gives their values.

    `scales` are factors at the end of residual branches, which belong to no activation.
    """
    apart = set(scales) | set(graph.merges) | (set(range(len(graph.nodes))) - graph.used)
    found: dict[int, Region] = {}
    covered: set[int] = set()
    for node in reversed(graph.nodes):
        if node.index in covered or node.index in apart or not graph.is_nonlinear(node.index):
            continue
        inside = _function_of_one(graph, node.index, apart)
        if inside is None:
            continue
        entry = _entry(graph, inside)
        covered |= inside
        exit_ = _extended(graph, node.index, inside, apart)
        ordered = [graph.nodes[index] for index in sorted(inside)]
        found[exit_] = Region(entry, exit_, activation_of(ordered, entry))
    return found


def _function_of_one(graph: Graph, end: int, apart: set[int]) -> set[int] | None:
    """Return the pointwise nodes that make `end` a function of one node; as many as the chain has."""
    inside = _minimal(graph, end, apart)
    while inside is not None:
        entry = _entry(graph, inside)
        if entry in apart or not set(graph.children[entry]) <= inside:
            break
        if graph.is_nonlinear(entry):
            more = _minimal(graph, entry, apart)
        else:
            more = {entry} if _is_constant(graph, entry) else None
        if more is None:
            break
        inside |= more
    return inside


def _minimal(graph: Graph, end: int, apart: set[int]) -> set[int] | None:
    """Return the fewest pointwise nodes that make `end` a function of one node's values."""
    if graph.nodes[end].call is None:
        return None
    inside, frontier = {end}, set(graph.nodes[end].parents)
    while len(frontier) > 1:
        latest = max(frontier)
        node = graph.nodes[latest]
        if node.kind != "pointwise" or node.call is None or latest in apart:
            return None
        inside.add(latest)
        frontier = (frontier | set(node.parents)) - inside
    return inside


def _entry(graph: Graph, inside: set[int]) -> int:
    (entry,) = {parent for index in inside for parent in graph.nodes[index].parents} - inside
    return entry


def _extended(graph: Graph, end: int, inside: set[int], apart: set[int]) -> int:
    """Take in the constant factors and shifts that follow; return the last of them."""
    while len(graph.children[end]) == 1:
        child = graph.children[end][0]
        if child in apart or not _is_constant(graph, child):
            break
        inside.add(child)
        end = child
    return end


def _is_constant(graph: Graph, index: int) -> bool:
    node = graph.nodes[index]
    return is_linear(node) and node.call is not None and not node.params
