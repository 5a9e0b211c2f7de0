"""The steps of a net from input to output, those included that no chain of layers and blocks knows."""

from dataclasses import dataclass, field

from sciml.nn.structure.chain import Chain, NotAChainError
from sciml.nn.structure.facts import Facts
from sciml.nn.structure.result import Step

__all__ = ["Path", "path_of"]


@dataclass(frozen=True)
class Path:
    """Steps from the input to the first output; `entries` says by its node what each of kind "other" is given."""

    steps: tuple[Step, ...]
    entries: dict[int, int] = field(default_factory=dict)


def path_of(facts: Facts) -> Path:
    """Return the steps of a net, () where inputs that have no common source meet.

    Where values of several nodes meet (a gate, channels put together), one step of kind "other" leads from what they
    all come from to where they meet.
    """
    walk = _Walk(facts)
    try:
        return Path(walk.steps(facts.graph.outputs[0], None), walk.entries)
    except (NotAChainError, IndexError):
        return Path(())


class _Walk(Chain):
    """A chain that goes on behind what it does not know."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts.graph, facts.regions, facts.names)
        self.entries: dict[int, int] = {}

    def step(self, index: int) -> tuple[Step | None, int]:
        try:
            return super().step(index)
        except NotAChainError:
            return self._other(index)

    def _other(self, index: int) -> tuple[Step, int]:
        node = self.graph.nodes[index]
        source = self._common(node.parents)
        self.entries[index] = source
        return Step("other", node.module or node.name, shape=node.shape, node=index), source

    def _common(self, parents: tuple[int, ...]) -> int:
        """Return the last executed node that all of these are, or come from, by every way."""
        if not parents:
            raise NotAChainError("an input of its own")
        frontier = set(parents)
        while len(frontier) > 1:
            latest = max(frontier)
            above = self.graph.nodes[latest].parents
            if not above:
                raise NotAChainError("inputs of their own")
            frontier = (frontier - {latest}) | set(above)
        return frontier.pop()
