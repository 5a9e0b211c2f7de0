"""Methods for residual nets: branches that are weak, or silent, at the start."""

from collections.abc import Callable, Mapping

from sciml.errors import ConfigError
from sciml.nn.init.growth import expected_growth, has_mean
from sciml.nn.init.rules import Net, Plan, Rule, positive, usual
from sciml.nn.structure import Branch, Layer

__all__ = ["balanced", "fixup", "rezero", "skipinit", "taki"]

_PATH = ("weight", "bilinear", "value", "output")  # roles along which a branch carries values


def taki(net: Net, *, c: float = 2.0, depth_exponent: float | str = 1.0) -> Plan:
    r"""Depth-aware weights in residual branches, Var(w) = c / (n L^e); He elsewhere.

    From the paper: Var(w) = c / (n L), n the fan-in, proposed to hold signal and gradient together in nets with many
    residual blocks. L is read as the number of residual branches of the same stream.

    Derived here, for zero-mean weights and ReLU: a block x + W_m φ(... W_1 φ(x)) multiplies the mean square of signal
    and gradient by 1 + (n Var(w) / 2)^m. With one layer in a branch, m = 1, the rule of the paper gives
    (1 + c / 2L)^L -> e^{c/2} for any depth. With m layers it makes each branch O(L^-m) weak; `depth_exponent` = 1/m
    ("balanced": m counted in each branch) restores (1 + (c/2)^m / L)^L -> e^{(c/2)^m}. A ReLU at the end of a branch
    breaks all this, for it adds a mean to the stream at each block.

    Taki (2017), arXiv:1709.02956.
    """
    c, branches = positive("c", c), _branches(net)
    exponents = {branch.name: _exponent(branch, depth_exponent) for branch in branches}

    def inside(_: Layer, branch: Branch) -> Rule:
        return Rule("gaussian", c / len(net.structure.siblings(branch)) ** exponents[branch.name])

    rule = _in_branches(net, inside)
    return Plan(rule, notes=(f"L = {_counts(net)} residual branches, c = {c:g}", *_closed(net, rule), *_normed(net)))


def balanced(net: Net, *, c: float = 2.0) -> Plan:
    r"""Var(w) = c / (n L^{1/m}) in a branch of m layers: each of L branches adds (c/2)^m / L to signal and gradient.

    `taki` with `depth_exponent="balanced"`: growth (1 + (c/2)^m / L)^L -> e^{(c/2)^m} at any depth, with ReLU.
    """
    return taki(net, c=c, depth_exponent="balanced")


def fixup(net: Net) -> Plan:
    r"""He scaled by L^{-1/(2m-2)} in a branch of m layers but the last, which is zero, as the classifier is.

    Then L branches together change the function of the net by order one in the first steps. The branches want a scalar
    bias before each layer and activation, and a scalar factor at their end (set to 0 and 1 where the net has them):
    `sciml.nn.models.Residual(branch, scale=True)`. For nets without norm layers.

    Zhang, Dauphin, Ma (2019), arXiv:1901.09321, section 3.
    """
    branches = _branches(net)

    def inside(layer: Layer, branch: Branch) -> Rule:
        if layer.name in branch.last:
            return Rule("zero", 0.0, note="last layer of its branch: zero")
        weaker = len(net.structure.siblings(branch)) ** (-1.0 / max(1, branch.depth - 1))
        return Rule("gaussian", 2.0 * weaker)

    def rule(layer: Layer) -> Rule:
        found = _in_branches(net, inside)(layer)
        last = layer.gives_output and not layer.branch and net.owns(layer.slot)
        return Rule("zero", 0.0, note="last layer: zero") if last else found

    notes = [f"L = {_counts(net)} residual branches"]
    if not all(branch.scale for branch in branches):
        notes.append("the paper's branches end in a factor that is learned: use Residual(branch, scale=True)")
    if any(branch.norms for branch in branches):
        notes.append("the rule is for nets without norm layers, which these branches have")
    shifts = {name: 0.0 for branch in branches for name in branch.shifts}
    return Plan(rule, tuple(notes), {**shifts, **_factors(branches, 1.0)})


def skipinit(net: Net) -> Plan:
    """Blocks x + α F(x) with α = 0, and He inside: each starts as the identity. De, Smith (2020), arXiv:2002.10444."""
    return _silent(net, lambda _: Rule("gaussian", 2.0))


def rezero(net: Net) -> Plan:
    """Blocks x + α F(x) with α = 0, attention too; He for layers that read ReLU, else Var(w) = 1 / fan_in.

    Needs no norm layers. Bachlechner, Majumder, Mao, Cottrell, McAuley (2021), arXiv:2003.04887.
    """

    def inside(layer: Layer) -> Rule:
        kinked = layer.reads is not None and layer.reads.name in ("relu", "leaky_relu", "gelu", "silu")
        return Rule("gaussian", 2.0 if kinked else 1.0)

    return _silent(net, inside)


def _silent(net: Net, inside: Callable[[Layer], Rule]) -> Plan:
    """Return the plan whose branches all start with a factor of zero."""
    branches = _branches(net)
    without = [branch.name for branch in branches if not branch.scale]
    if without:
        raise ConfigError(
            f"expected residual branches that end in a factor that is a parameter, x + α f(x), got none in "
            f"{', '.join(without[:3])}{' ...' if len(without) > 3 else ''}; use sciml.nn.models.Residual(branch, "
            "scale=True), resnet1d with branch_scale=True, or multiply by a parameter in your own class"
        )
    return Plan(
        lambda layer: usual(net, layer.slot) or inside(layer),
        (f"{len(branches)} residual branches begin with the factor 0",),
        _factors(branches, 0.0),
    )


def _in_branches(net: Net, inside: Callable[[Layer, Branch], Rule]) -> Callable[[Layer], Rule]:
    """Return a rule by branch; He outside of branches."""

    def rule(layer: Layer) -> Rule:
        branch = net.structure.branch_of(layer.name)
        if branch is not None and layer.slot.role in _PATH:
            return inside(layer, branch)
        return usual(net, layer.slot) or Rule("gaussian", 2.0, note="outside the branches: He")

    return rule


def _closed(net: Net, rule: Callable[[Layer], Rule]) -> tuple[str, ...]:
    """Say that an activation with a mean, such as ReLU, at the end of branches breaks the rule."""
    names = {branch.closing.name for branch in net.structure.branches if branch.closing and has_mean(branch.closing)}
    if not names:
        return ()
    wanted = {layer.name: rule(layer) for layer in net.structure.layers}
    growth = expected_growth(net.structure, {name: (r.sigma_w2, r.sigma_b2) for name, r in wanted.items()}, {})
    expected = "" if growth is None else f": the mean square of the signal is multiplied by {growth.signal:.3g} or so"
    return (
        f"branches end in {', '.join(sorted(names))}, which adds a mean to the stream at each block; the rule does not "
        f"hold for the signal{expected}",
    )


def _normed(net: Net) -> tuple[str, ...]:
    """Say where norms after the last layer of a branch take its strength out of the weights' hands."""
    normed = [branch.name for branch in net.structure.branches if branch.normed_end]
    if not normed:
        return ()
    return (
        f"{len(normed)} branches end in a norm layer, which sets their strength whatever the weights: the rule does "
        "not apply to them",
    )


def _branches(net: Net) -> tuple[Branch, ...]:
    found = net.structure.branches
    if not found:
        told = "" if net.structure.traced else "; give a sample, for the net could not be traced without one"
        raise ConfigError(
            "expected a net with residual branches (an addition of x and what was computed from x, or named by "
            f"branches=[...]), got none{told}; use method 'he' or 'critical'"
        )
    return found


def _counts(net: Net) -> str:
    counts = sorted({len(net.structure.siblings(branch)) for branch in net.structure.branches})
    return " and ".join(str(count) for count in counts)


def _exponent(branch: Branch, exponent: float | str) -> float:
    """Return the exponent of L in a branch; "balanced" is one over the layers of the branch."""
    if exponent == "balanced":
        return 1.0 / max(1, branch.depth)
    if isinstance(exponent, str) or not 0.0 <= exponent < float("inf"):
        raise ConfigError(f"expected depth_exponent >= 0 or 'balanced', got {exponent!r}")
    return float(exponent)


def _factors(branches: tuple[Branch, ...], value: float) -> Mapping[str, float]:
    return {name: value for branch in branches for name in branch.scale}
