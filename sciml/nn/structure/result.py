"""What is known of a net's structure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from sciml.nn.structure.activations import Activation
from sciml.nn.structure.slots import Slot

__all__ = ["Branch", "Layer", "Step", "Structure"]


@dataclass(frozen=True)
class Layer:
    """A weight matrix where it stands in the net.

    Attributes
    ----------
    slot
        The matrix.
    activation
        The activation of its output, or None: the end of a branch or of the net, a product, a pool.
    reads
        The activation that its input is the output of, or None: the input of the net, a residual stream.
    sources
        What it reads, before that activation: names of layers, of residual branches whose stream it is, "input", or of
        other functions; () where it is not known.
    norm
        Module or function that normalizes its output before the activation, or "".
    branch
        Name of the innermost residual branch that it is in, or None.
    reads_input, gives_output
        Whether no other matrix and no residual block stands before, or after, it.
    shortcut
        Whether it is the projection on the skip of a residual block.
    uses
        How often the net calls it in one pass: 0 where it was never reached.
    """

    slot: Slot
    activation: Activation | None = None
    reads: Activation | None = None
    sources: tuple[str, ...] = ()
    norm: str = ""
    branch: str | None = None
    reads_input: bool = False
    gives_output: bool = False
    shortcut: bool = False
    uses: int = 1

    @property
    def name(self) -> str:
        """Name of the slot."""
        return self.slot.name


@dataclass(frozen=True)
class Branch:
    """A residual branch: what is added to the stream that it was computed from.

    Attributes
    ----------
    name
        Dotted name of the smallest module that does all of it, with a number where one module adds several times.
    layers
        Names of its slots, nested branches included, in order of execution.
    depth
        Number of matrices along its longest path; an attention counts two, value and output.
    last
        The slots that nothing but factors, norms and activations separates from the addition.
    closing
        The activation between the last slot and the addition, or None. ReLU there adds a mean at each block.
    after
        The activation of the stream after the addition, or None.
    shortcut
        Slots on the skip: a projection; () where it is the identity.
    scale
        Parameters that multiply the end of the branch: one value each, or one a channel.
    shifts
        Parameters of one value that are added inside, on the skip, or right after the addition.
    constant
        Product of the constant factors at its end.
    norms
        Modules or functions that normalize inside, in order of execution.
    normed_end
        Whether the last slot's output is normalized before it is added.
    normed_after
        Whether the stream is normalized after the addition, before anything else.
    parent
        The innermost branch that this one is in, or None.
    """

    name: str
    layers: tuple[str, ...]
    depth: int
    last: tuple[str, ...]
    closing: Activation | None = None
    after: Activation | None = None
    shortcut: tuple[str, ...] = ()
    scale: tuple[str, ...] = ()
    shifts: tuple[str, ...] = ()
    constant: float = 1.0
    norms: tuple[str, ...] = ()
    normed_end: bool = False
    normed_after: bool = False
    parent: str | None = None


@dataclass(frozen=True)
class Step:
    """One thing that a net does to what the step before it gave.

    Attributes
    ----------
    kind
        "affine" (a layer), "activation", "norm", "branch" (a residual block, its own steps inside), "pool", "scale" (a
        factor), "shift", or "other": what no theory knows, of those who go on behind it.
    name
        Of the module, branch or function.
    layers
        Slots of an affine step: one, or those of an attention or a recurrent layer.
    activation
        Of a step of this kind.
    steps, shortcut
        What a branch, and the skip beside it, do.
    shape
        Of the values after it, (batch, ...).
    params
        Parameters of the step, such as the factor of a scale.
    value
        The constant of a scale or shift that is one number and no parameter.
    node
        Node of the recorded graph that gives its values.
    """

    kind: Literal["affine", "activation", "norm", "branch", "pool", "scale", "shift", "other"]
    name: str
    activation: Activation | None = None
    layers: tuple[str, ...] = ()
    steps: "tuple[Step, ...]" = ()
    shortcut: "tuple[Step, ...]" = ()
    shape: tuple[int, ...] = ()
    params: tuple[str, ...] = ()
    value: float | None = None
    node: int = field(default=-1, compare=False)


@dataclass(frozen=True, repr=False)
class Structure:
    """The weight matrices of a net, what follows each, and its residual branches.

    Attributes
    ----------
    layers
        In order of execution; matrices that the pass never reached come last.
    slots
        In the order of the modules: the order in which initializations draw.
    branches
        In order of execution.
    steps
        The net as a chain from input to output, or () where it is none: then `notes` says at which function.
    traced
        Whether a pass through the net told this, and not the order of its modules.
    notes
        What is not known, and why.
    """

    layers: tuple[Layer, ...]
    slots: tuple[Slot, ...]
    branches: tuple[Branch, ...] = ()
    steps: tuple[Step, ...] = ()
    traced: bool = True
    notes: tuple[str, ...] = ()
    _by_name: dict[str, Layer] = field(default_factory=dict, compare=False)
    _branches: dict[str, Branch] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        self._by_name.update({layer.name: layer for layer in self.layers})
        self._branches.update({branch.name: branch for branch in self.branches})

    def layer(self, name: str) -> Layer:
        """Return the layer of this name; KeyError if there is none."""
        return self._by_name[name]

    def branch(self, name: str | None) -> Branch | None:
        """Return the branch of this name, or None."""
        return None if name is None else self._branches.get(name)

    def branch_of(self, name: str) -> Branch | None:
        """Return the innermost branch that a layer is in, or None."""
        return self.branch(self._by_name[name].branch)

    def siblings(self, branch: Branch) -> tuple[Branch, ...]:
        """Return the branches of the same stream, itself included: their number is the L of depth-aware rules."""
        return tuple(each for each in self.branches if each.parent == branch.parent)

    def activations(self) -> Iterator[Activation]:
        """Yield the activations between layers, each kind once."""
        found = {each.name: each for layer in self.layers for each in (layer.activation, layer.reads) if each}
        yield from found.values()

    def summary(self) -> str:
        """Return layers, activations and branches as a table of plain text."""
        rows = [f"{'layer':<32} {'kind':<18} {'reads':<12} {'gives':<12} branch"]
        for layer in self.layers:
            reads = layer.reads.name if layer.reads else "input" if layer.reads_input else ""
            gives = layer.activation.name if layer.activation else "output" if layer.gives_output else ""
            rows.append(f"{layer.name:<32} {layer.slot.kind:<18} {reads:<12} {gives:<12} {layer.branch or ''}")
        return "\n".join([*rows, *self.notes])

    def __repr__(self) -> str:
        return f"Structure({len(self.layers)} layers, {len(self.branches)} residual branches)"
