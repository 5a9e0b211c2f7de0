"""Calibration on a batch: each residual branch, and each layer of a plain stretch, as strong as theory wants it."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.autograd import forward_ad

from sciml.nn.init.passes import Hook, PreHook, run
from sciml.nn.init.rules import Net
from sciml.nn.structure import Branch, Layer, Slot

__all__ = ["Calibration", "calibrate"]

LARGEST_FACTOR = 4.0
Products = tuple[float, float]  # <x, f> / <x, x> and <f, f> / <x, x>


@dataclass(frozen=True)
class Calibration:
    """What a calibrating pass did.

    Attributes
    ----------
    factors
        By which each layer was multiplied, by name.
    signal, gradient
        Mean square of the stream after a block over that before it, and the mean squared singular value of the block's
        Jacobian (one random probe), by name of the branch, with the branch as strong as it was left.
    by_rule
        Layers at the ends of branches that were scaled by rule, for the branch could not be measured.
    """

    factors: Mapping[str, float]
    signal: Mapping[str, float]
    gradient: Mapping[str, float]
    by_rule: tuple[str, ...] = ()

    def summary(self, c: float) -> str:
        """Say what was measured, in one sentence."""
        return "; ".join(filter(None, (self._measured(c), self._by_rule())))

    def _by_rule(self) -> str:
        if not self.by_rule:
            return ""
        named = ", ".join(self.by_rule[:3]) + (", ..." if len(self.by_rule) > 3 else "")
        return f"{len(self.by_rule)} ends of residual branches made weaker by rule, not measured: {named}"

    def _measured(self, c: float) -> str:
        if not self.signal:
            return ""
        signal, gradient = (math.fsum(map(math.log, each.values())) for each in (self.signal, self.gradient))
        told = "" if not self.gradient else f", and of one random direction a block by e^{gradient:.2f}"
        return (
            f"{len(self.signal)} residual branches calibrated on the sample: block by block they multiply the "
            f"mean square of the signal by e^{signal:.2f}{told} (wanted: e^{c:g} a stream; a gradient through all "
            "blocks is not random within them, and may differ)"
        )


def calibrate(net: Net, hooks: Mapping[nn.Module, Hook], *, c: float, unit: Mapping[str, float]) -> Calibration:
    r"""Set the strength of each residual branch and plain layer in one pass through the net.

    A branch adds s f(x) to x. With a random tangent v, J the Jacobian of f, a = <v, J v> / <v, v> and
    b = <J v, J v> / <v, v>, squared gradients are multiplied by 1 + 2 s a + s² b: the s of either sign is found that
    makes this e^{c/L}, L the number of branches of the stream. The signal x itself meets 1 + 2 s a' + s² b', with
    a' = <x, f> / <x, x>, which is not small where a few directions carry it; of the two signs the one is taken that
    keeps its growth so far nearest to what is wanted, so that it does not walk away. Products are in forward mode;
    where an operation has none, b' takes the place of b, and a is zero.

    Parameters
    ----------
    net
        With a sample.
    hooks
        Further hooks of the pass.
    c
        Wanted growth of each stream, as the exponent.
    unit
        Wanted ratio of the mean square of a layer's output to that of the layer before it, by name: the layers of plain
        stretches, without biases.

    Raises
    ------
    DataError
        A sample that is not finite.
    """
    left = [branch for branch in net.structure.branches if not _is_measured(net, branch)]
    by_rule = weaken(net, c, left)
    done = _with_tangents(net, hooks, c, unit)
    missed = [x for x in net.structure.branches if x not in left and x.name not in done.signal]
    if missed:  # an end that is not called as a module, as that of an attention
        by_rule |= weaken(net, c, missed)
        again = _with_tangents(net, hooks, c, unit)
        factors = {name: done.factors.get(name, 1.0) * factor for name, factor in again.factors.items()}
        done = Calibration(factors, again.signal, again.gradient)
    return Calibration({**done.factors, **by_rule}, done.signal, done.gradient, tuple(by_rule))


def _with_tangents(net: Net, hooks: Mapping[nn.Module, Hook], c: float, unit: Mapping[str, float]) -> Calibration:
    before = {name: each.detach().clone() for name, each in net.model.named_parameters()}
    try:
        with warnings.catch_warnings(), forward_ad.dual_level():
            warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)  # torch's own, at its first tangent
            return _pass(net, hooks, c, unit, tangents=True)
    except (NotImplementedError, RuntimeError) as error:
        if "forward AD" not in str(error) and "forward-mode" not in str(error):
            raise
    with torch.no_grad():
        for name, each in net.model.named_parameters():
            each.copy_(before[name])
    return _pass(net, hooks, c, unit, tangents=False)


def _pass(
    net: Net, hooks: Mapping[nn.Module, Hook], c: float, unit: Mapping[str, float], *, tangents: bool
) -> Calibration:
    modules = dict(net.model.named_modules())
    streams: dict[str | None, list[float]] = {branch.parent: [] for branch in net.structure.branches}
    blocks = [
        _Block(net, branch, c, tangents, streams[branch.parent])
        for branch in net.structure.branches
        if _is_measured(net, branch)
    ]
    plain = _Plain(unit)
    after: dict[nn.Module, Hook] = dict(hooks)
    for layer in net.structure.layers:
        if layer.name in unit:
            after[layer.slot.module] = plain.hook(layer)
    for block in blocks:
        after[block.end] = block.set
    before: dict[nn.Module, PreHook] = {modules[block.branch.name]: block.begin for block in blocks}
    leave: dict[nn.Module, Hook] = {modules[block.branch.name]: block.leave for block in blocks}
    run(net.model, net.sample, after | {module: hook for module, hook in leave.items() if module not in after}, before)
    factors = plain.factors | {name: block.factor for block in blocks for name in block.branch.last}
    measured = [block for block in blocks if block.signal is not None]
    return Calibration(
        factors,
        {block.branch.name: block.signal for block in measured if block.signal},
        {block.branch.name: block.gradient for block in measured if block.gradient},
    )


def weaken(net: Net, c: float, branches: Sequence[Branch]) -> dict[str, float]:
    r"""Scale the ends of residual branches by rule; return the factors by name.

    A branch whose layers are isometries adds as much as the stream carries; times :math:`\sqrt{e^{c/L} - 1}` it
    multiplies the mean square by e^{c/L}.
    """
    factors = {}
    for branch in branches:
        if not branch.normed_end:
            factor = math.sqrt(math.expm1(c / len(net.structure.siblings(branch))))
            for name in branch.last:
                slot = net.structure.layer(name).slot
                if not slot.frozen:
                    slot.write(slot.weight.detach() * factor)
                    factors[name] = factor
    return factors


def end_of(net: Net, branch: Branch) -> nn.Module | None:
    """Return the module whose weight sets the strength of a branch: its last layer, or the norm that ends it."""
    if branch.normed_end:
        module = dict(net.model.named_modules()).get(branch.norms[-1])
        return module if isinstance(getattr(module, "weight", None), nn.Parameter) else None
    return net.structure.layer(branch.last[0]).slot.module if len(branch.last) == 1 else None


def _is_measured(net: Net, branch: Branch) -> bool:
    """Whether the branch has a module of its own, whose input is the stream, and one end that can be made weaker."""
    module, end = dict(net.model.named_modules()).get(branch.name), end_of(net, branch)
    slot = net.structure.layer(branch.last[0]).slot if branch.last else None
    whole = slot is not None and slot.rows is None and slot.parameter == "weight" and not slot.frozen
    return module is not None and end is not None and module is not end and branch.closing is None and whole


@dataclass
class _Block:
    """The hooks of one residual block: what goes in, what the branch adds, what is done to it."""

    net: Net
    branch: Branch
    c: float
    tangents: bool
    stream_so_far: list[float]  # logarithms of growth, shared by the branches of a stream
    factor: float = 1.0
    signal: float | None = None
    gradient: float | None = None
    stream: tuple[torch.Tensor, torch.Tensor | None] | None = None
    end: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        end = end_of(self.net, self.branch)
        assert end is not None  # noqa: S101 - `_is_measured` said so
        self.end = end

    def begin(self, _module: nn.Module, inputs: Any) -> Any:
        x = inputs[0] if inputs and isinstance(inputs[0], torch.Tensor) else None
        if x is None or self.signal is not None or not x.is_floating_point():
            return None
        x = _primal(x)
        if not self.tangents:
            self.stream = (x.clone(), None)
            return None
        v = torch.randn(x.shape, generator=self.net.generator, device=self.net.generator.device).to(x)
        self.stream = (x.clone(), v)  # an activation in place would change x
        return (forward_ad.make_dual(x, v), *inputs[1:])  # type: ignore[no-untyped-call]

    def set(self, module: nn.Module, _inputs: Any, output: Any) -> Any:
        if self.stream is None or self.signal is not None or not isinstance(output, torch.Tensor):
            return None
        x, v = self.stream
        f, jv = (_primal(output), _tangent(output)) if self.tangents else (output, None)
        if f.shape != x.shape:  # the skip is a projection: its strength is its own
            return None
        signal = _products(x, self.branch.constant * f)
        gradient = None if jv is None or v is None else _products(v, self.branch.constant * jv)
        found = self._chosen(signal, gradient)
        if found is None:
            return None
        self.factor, self.signal = found, _growth(found, signal)
        self.gradient = None if gradient is None else _growth(found, gradient)
        self.stream_so_far.append(math.log(self.signal))
        _multiply(module, self.factor)
        return self.factor * output

    def _chosen(self, signal: Products, gradient: Products | None) -> float | None:
        """Return the s of the sign that keeps the signal nearest to its way."""
        step = self.c / len(self.net.structure.siblings(self.branch))
        a, b = (0.0, signal[1]) if gradient is None else gradient
        signs = (1.0,) if self.branch.normed_end else (1.0, -1.0)
        found = [sign * s for sign in signs if (s := _factor(sign * a, b, math.exp(step))) is not None]
        found = [s for s in found if _growth(s, signal) > 0.0]
        off = math.fsum(self.stream_so_far) - step * (len(self.stream_so_far) + 1)
        return min(found, key=lambda s: abs(off + math.log(_growth(s, signal))), default=None)

    def leave(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        return _primal(output) if self.tangents and isinstance(output, torch.Tensor) else None


class _Plain:
    """The hooks of layers in a row: each is scaled so that its output is as large as theory says."""

    def __init__(self, unit: Mapping[str, float]) -> None:
        self.unit = unit
        self.factors: dict[str, float] = {}
        self.before: float | None = None

    def hook(self, layer: Layer) -> Hook:
        def set_scale(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor | None:
            power = float(_primal(output).double().square().mean())
            if layer.name in self.factors or not 0.0 < power < math.inf:
                return None
            wanted = power if self.before is None else self.unit[layer.name] * self.before
            factor = min(max(math.sqrt(wanted / power), 1.0 / LARGEST_FACTOR), LARGEST_FACTOR)
            self.before, self.factors[layer.name] = power * factor**2, factor
            layer.slot.write(layer.slot.weight.detach() * factor)
            return factor * output

        return set_scale


def _factor(a: float, b: float, wanted: float) -> float | None:
    """Return s >= 0 with 1 + 2 s a + s² b = wanted."""
    if not (0.0 < b < math.inf and math.isfinite(a)):
        return None
    return (-a + math.sqrt(a * a + b * (wanted - 1.0))) / b


def _growth(s: float, products: Products) -> float:
    a, b = products
    return 1.0 + 2.0 * s * a + s * s * b


def _products(x: torch.Tensor, f: torch.Tensor) -> Products:
    """Return <x, f> / <x, x> and <f, f> / <x, x>."""
    x, f = x.double().flatten(), f.double().flatten()
    square = float(x @ x)
    return (float(x @ f) / square, float(f @ f) / square) if square > 0 else (math.nan, math.nan)


@torch.no_grad()
def _multiply(module: Any, factor: float) -> None:
    slot = Slot("", module)
    slot.write(slot.weight.detach() * factor)
    if isinstance(getattr(module, "bias", None), nn.Parameter):
        module.bias.mul_(factor)


def _primal(x: torch.Tensor) -> torch.Tensor:
    if forward_ad._current_level < 0:
        return x
    primal: torch.Tensor = forward_ad.unpack_dual(x).primal  # type: ignore[no-untyped-call]
    return primal


def _tangent(x: torch.Tensor) -> torch.Tensor | None:
    tangent: torch.Tensor | None = forward_ad.unpack_dual(x).tangent  # type: ignore[no-untyped-call]
    return tangent
