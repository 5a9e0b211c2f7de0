"""Methods that make layers isometries: orthogonal matrices, in one tap of a convolution, and in pairs under ReLU."""

import math
from dataclasses import replace

from sciml.nn.init.mirror import mirrored_sigma_w2, odd_slope
from sciml.nn.init.rules import Law, Net, Plan, Rule, positive, usual
from sciml.nn.options import check_name
from sciml.nn.structure import Activation, Layer, Slot, Structure

__all__ = ["delta_orthogonal", "looks_linear", "orthogonal"]


def orthogonal(net: Net, *, gain: float = 1.0, conv: str = "reshape") -> Plan:
    """Haar orthogonal matrices, all singular values equal to `gain`; rows or columns orthonormal, whichever are fewer.

    Of a convolution the matrix (c_out, c_in · taps) is orthogonal (`conv="reshape"`), which leaves the operator itself
    with many singular values, or the central tap alone (`conv="delta"`), which makes the whole circular convolution an
    isometry times `gain` (c_out >= c_in). Saxe, McClelland, Ganguli (2014), arXiv:1312.6120; Xiao et al. (2018),
    arXiv:1806.05393, section 3.
    """
    check_name(conv, ("reshape", "delta"), what="conv")
    gain = positive("gain", gain)
    delta = conv == "delta"
    return Plan(
        lambda layer: usual(net, layer.slot) or _orthogonal(layer.slot, gain, delta=delta),
        notes=_strided(net) if delta else (),
    )


def delta_orthogonal(net: Net, *, gain: float = 1.0) -> Plan:
    """Orthogonal with `conv="delta"`: a kernel that is zero but for its central tap, an orthogonal matrix times `gain`.

    Any number of channels in and out, 1 to 3 spatial dims; with c_out >= c_in all singular values of the circular
    convolution are `gain`. A plain net with a smooth odd activation such as tanh then starts as an isometry as long as
    its signals are small. Xiao et al. (2018), arXiv:1806.05393, algorithm 1.
    """
    return orthogonal(net, gain=gain, conv="delta")


def looks_linear(net: Net, *, gain: float = 1.0, conv: str = "delta") -> Plan:
    r"""Mirrored blocks [[A, -A], [-A, A]] with A orthogonal times `gain`: a ReLU net that starts as a linear isometry.

    Units come in pairs z, -z, and φ(z) - φ(-z) = s z: s = 1 for ReLU, GELU and SiLU, 1 + a for a leaky ReLU of slope a,
    by which A is divided. Of a convolution A is the central tap (`conv="delta"`) or over all taps ("reshape"). The
    first layer is [A; -A], the last [A, -A]. An odd unit reads at random and is read by none. Layers whose activation
    has another odd part are orthogonal.

    Balduzzi, Frean, Leary, Lewis, Ma, McWilliams (2017), arXiv:1702.08591, section 4.
    """
    check_name(conv, ("reshape", "delta"), what="conv")
    gain = positive("gain", gain)
    pairs = _Pairs(net.structure)

    def rule(layer: Layer) -> Rule:
        return usual(net, layer.slot) or pairs.rule(layer, gain, delta=conv == "delta")

    return Plan(rule, notes=(*pairs.notes(), *(_strided(net) if conv == "delta" else ())))


def _orthogonal(slot: Slot, gain: float, *, delta: bool) -> Rule:
    law: Law = "delta" if delta and slot.kernel else "orthogonal"
    columns = slot.weight.shape[1] if law == "delta" else slot.weight[0].numel()
    taps = slot.weight[0].numel() / slot.fan_in  # 1 but in strided transposed convolutions
    return Rule(law, gain**2 * min(1.0, columns / slot.n_out) / taps, gain=gain)


def _strided(net: Net) -> tuple[str, ...]:
    """Say where a central tap alone passes over positions."""
    found = [
        layer.name
        for layer in net.structure.layers
        if math.prod(layer.slot.kernel) > 1 and math.prod(getattr(layer.slot.module, "stride", (1,))) > 1
    ]
    if not found:
        return ()
    return (f"the central tap of a strided convolution reads one position a stride and no other: {', '.join(found)}",)


class _Pairs:
    """Which values of a net can come in pairs z, -z."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.followed = {id(layer.activation) for layer in structure.layers if layer.activation is not None}
        self.branches = {branch.name for branch in structure.branches}
        # The residual stream comes in pairs unless an activation stands on it, or at the end of a branch.
        self.stream = not any(
            self._is_closed(branch.after) or branch.closing is not None for branch in structure.branches
        )
        # Pairs lie within the groups of every convolution.
        self.blocks = math.lcm(*(layer.slot.groups for layer in structure.layers))
        self.slopes: dict[int, float] = {}
        for layer in structure.layers:
            if layer.reads is not None and id(layer.reads) not in self.slopes and self._comes_in_pairs(layer):
                slope = odd_slope(layer.reads)
                if slope is not None:
                    self.slopes[id(layer.reads)] = slope
        self.last = {name for branch in structure.branches for name in branch.last}

    def rule(self, layer: Layer, gain: float, *, delta: bool) -> Rule:
        """Return the rule of a layer."""
        reads = id(layer.reads) in self.slopes and self._fits(layer.slot.weight.shape[1] * layer.slot.groups)
        gives = self._gives(layer) and self._fits(layer.slot.weight.shape[0])
        if not reads and not gives:
            return replace(
                _orthogonal(layer.slot, gain, delta=delta), note="" if layer.gives_output else "not in pairs"
            )
        slope = self.slopes[id(layer.reads)] if reads else 1.0
        mirror = self.blocks if reads else 0, self.blocks if gives else 0
        drawn = Rule("looks_linear", 0.0, mirror=mirror, gain=gain / slope, delta=delta)
        return replace(drawn, sigma_w2=mirrored_sigma_w2(layer.slot, drawn))

    def notes(self) -> tuple[str, ...]:
        """Say where pairs are not possible, and why."""
        found = []
        if not self.slopes:
            found.append("no layer reads an activation with φ(z) - φ(-z) = s z, such as ReLU: layers are orthogonal")
        if not self.stream:
            found.append(
                "an activation on the residual stream, or at the end of a branch, undoes the pairs of the stream"
            )
        narrow = [x.name for x in self.structure.layers if self._gives(x) and not self._fits(x.slot.weight.shape[0])]
        if narrow:
            found.append(f"grouped convolutions leave no pair within a group: {', '.join(narrow)}")
        return tuple(found)

    def _fits(self, width: int) -> bool:
        return width % self.blocks == 0 and width // self.blocks >= 2

    def _gives(self, layer: Layer) -> bool:
        if layer.activation is not None:
            return id(layer.activation) in self.slopes
        return (layer.name in self.last or layer.shortcut) and bool(set(self.slopes) - self.followed)

    def _comes_in_pairs(self, layer: Layer) -> bool:
        """Whether what the activation is of can come in pairs: one layer's output, or a stream of such outputs."""
        if len(layer.sources) != 1:
            return False
        return (layer.sources[0] in self.branches and self.stream) or id(layer.reads) in self.followed

    def _is_closed(self, after: Activation | None) -> bool:
        """Whether the next residual block adds to what this activation gave."""
        return after is not None and any(
            layer.reads is after and layer.branch is not None for layer in self.structure.layers
        )
