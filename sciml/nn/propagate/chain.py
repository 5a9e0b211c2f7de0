"""The chain of theory that a measured net is: each step with the variances of the weights that it has now."""

import math
from collections.abc import MutableMapping, Sequence
from typing import Any

import torch

from sciml.errors import ScimlError
from sciml.nn.propagate.measure import Measurement, Point
from sciml.nn.structure.result import Step as NetStep
from sciml.nn.structure.slots import CONVOLUTIONS, Slot
from sciml.theory import chain, meanfield

__all__ = ["Builder", "entry", "has_attention"]

_AVERAGES = ("mean", "avg_pool", "adaptive_avg_pool")
_NORMS = {"batch_norm": "batch", "layer_norm": "layer", "group_norm": "layer", "rms_norm": "rms"}
Log = MutableMapping[str, chain.Marked]


class Builder:
    """Turns the steps of a structure into steps of theory, a mark after each.

    A step that theory does not know, and one that cannot be followed, is taken as it was measured; `unknown` names it.
    """

    def __init__(self, measured: Measurement, log: Log) -> None:
        self.measured, self.log = measured, log
        self.slots = {slot.name: slot for slot in measured.structure.slots}
        self.unknown: list[str] = []
        self.mirrored: list[str] = []
        self.tokens = has_attention(measured)
        self._positions: tuple[int, ...] = ()
        self._mirrored: Slot | None = None
        self._channels_first = False

    def build(self) -> tuple[list[chain.Step], Point, tuple[int, ...]]:
        """Return the steps, what is known of the input, and its positions."""
        steps = self.measured.path.steps
        start = entry(self.measured, steps[0])
        if start not in self.measured.points:  # whole numbers, which an embedding looks up
            start, steps = steps[0].node, steps[1:]
        point = self.measured.points[start]
        self._positions = self._places(steps[0], point.shape)
        positions = self._positions
        found = [chain.Mark(str(start), self.log), *self._steps(steps)]
        return found, point, positions

    def correlation(self, point: Point) -> float:
        """Return the correlation of the pair that the chain follows: two tokens where there is attention."""
        value = point.positions if self.tokens else point.correlation
        return min(1.0, max(-1.0, value)) if math.isfinite(value) else 0.0

    def _steps(self, steps: Sequence[NetStep]) -> list[chain.Step]:
        found: list[chain.Step] = []
        for step in steps:
            before = self._positions
            try:
                found += self._step(step)
            except (ScimlError, KeyError, TypeError, ValueError):
                self._positions = before
                found += self._as_measured(step)
            found.append(chain.Mark(str(step.node), self.log))
        return found

    def _step(self, step: NetStep) -> list[chain.Step]:
        if step.kind != "activation":
            mirrored, self._mirrored = self._mirrored, None
            if step.kind == "affine":
                return self._affine(step, mirrored)
        found = getattr(self, f"_{step.kind}")(step)
        return list(found)

    def _affine(self, step: NetStep, mirrored: Slot | None) -> list[chain.Step]:
        if len(step.layers) > 1:
            return self._attention(step)
        slot = self.slots[step.layers[0]]
        if slot.role not in ("weight", "lookup", "output"):
            raise ValueError("a layer that no theory is known of")
        shape = self.measured.points[entry(self.measured, step)].shape
        moved = self._moved_to(self._places(step, shape), step)
        weights, self._positions = self._weights(slot, step, mirrored)
        self._mirrored = slot if _is_mirrored(slot, 0) else None
        return [*moved, weights]

    def _weights(self, slot: Slot, step: NetStep, mirrored: Slot | None) -> tuple[chain.Step, tuple[int, ...]]:
        after = self._places(step, step.shape)
        weight = slot.weight.detach().double()
        strength, law, taps = slot.fan_in * float(weight.square().mean()), "gaussian", None
        if isinstance(slot.module, CONVOLUTIONS):
            if _is_delta(slot):
                law = "orthogonal"
                taps = _taps(slot, delta=True)
            else:
                taps = _taps(slot, delta=False)
        elif _is_orthogonal(weight):
            law = "orthogonal"
        if mirrored is not None and _is_mirrored(slot, 1):
            slope = self._slope
            strength, law = strength * (1.0 + slope) ** 2 / (1.0 + slope**2), "orthogonal"
        n_in = weight.shape[1] * slot.groups
        affine = chain.Affine(strength, _bias(slot), n_in, weight.shape[0], law, taps)
        if taps is None and math.prod(after) != math.prod(self._positions):
            raise ValueError("positions that no taps explain")
        return affine, after

    def _attention(self, step: NetStep) -> list[chain.Step]:
        roles = {self.slots[name].role: self.slots[name] for name in step.layers}
        strengths = {
            role: slot.fan_in * float(slot.weight.detach().double().square().mean()) for role, slot in roles.items()
        }
        if set(roles) != {"query", "key", "value", "output"}:
            raise ValueError("a layer that no theory is known of")
        tokens = step.shape[0]  # (token, batch, feature) inside the module
        moved = self._moved_to((tokens,), step)
        width = roles["output"].weight.shape[0]
        query, key, value, out = (strengths[role] for role in ("query", "key", "value", "output"))
        return [*moved, chain.Attention(query, key, value, out, tokens, width)]

    def _activation(self, step: NetStep) -> list[chain.Step]:
        given = step.activation
        if given is None:
            raise ValueError("no activation")
        width = self._units(step)
        if self._mirrored is not None and given.slope is not None:
            # φ(u) and φ(-u) come together: no value of u is lost, and the next layer takes their difference.
            self._slope = given.slope
            gain = math.sqrt((1.0 + given.slope**2) / 2.0)
            self.mirrored.append(str(step.node))
            linear = meanfield.Activation(lambda x: gain * x, lambda x: gain + 0.0 * x, name=given.name)
            return [chain.Activate(linear)]
        self._mirrored = None
        if given.slope is not None:
            return [chain.Activate(meanfield.leaky_relu(given.slope), width)]
        if given.name in meanfield.ACTIVATIONS:
            return [chain.Activate(given.name, width)]
        kinks = meanfield.activation(given).kinks
        own = meanfield.Activation(given, given.derivative, kinks, given.name)
        return [chain.Activate(own, width)]

    def _norm(self, step: NetStep) -> list[chain.Step]:
        name = self.measured.graph.nodes[step.node].name
        scale, shift = _parameters(self.measured, step.params)
        kind = _NORMS[name]
        joint = name == "group_norm" or (kind != "batch" and len(scale.shape) > 1)
        found: list[chain.Step] = [chain.Normalize(kind, math.sqrt(_square(scale, 1.0)), joint)]
        offset = _square(shift, 0.0)
        return [*found, chain.Scale(shift2=offset)] if offset else found

    def _branch(self, step: NetStep) -> list[chain.Step]:
        before = self._positions
        skip = self._steps(step.shortcut)
        self._positions, after = before, self._positions
        inside = self._steps(step.steps)
        if self._positions != after:
            raise ValueError("positions of branch and skip differ")
        return [chain.Branch(tuple(inside), skip=tuple(skip), width=self._units(step))]

    def _pool(self, step: NetStep) -> list[chain.Step]:
        name = self.measured.graph.nodes[step.node].name
        n, left = math.prod(self._positions), math.prod(self._places(step, step.shape))
        if not name.startswith(_AVERAGES) or left != 1 or n < 2:
            raise ValueError("a pool that is no mean over all positions")
        before, after = self.measured.points[entry(self.measured, step)], self.measured.points[step.node]
        share = after.second / before.second
        self._positions = ()
        return [chain.Pool((share - 1.0 / n) / (1.0 - 1.0 / n), pair=self.correlation(after))]

    def _other(self, step: NetStep) -> list[chain.Step]:
        raise ValueError(f"no theory is known of {step.name}")

    def _scale(self, step: NetStep) -> list[chain.Step]:
        if step.value is not None:
            return [chain.Scale(step.value)]
        factor = self._parameter(step)
        return [chain.Scale(math.sqrt(float(factor.square().mean())))]

    def _shift(self, step: NetStep) -> list[chain.Step]:
        if step.value is not None:
            return [chain.Scale(shift2=step.value**2)]
        return [chain.Scale(shift2=float(self._parameter(step).square().mean()))]

    def _parameter(self, step: NetStep) -> torch.Tensor:
        (name,) = step.params
        return self.measured.model.get_parameter(name).detach().double()

    def _as_measured(self, step: NetStep) -> list[chain.Step]:
        self.unknown.append(step.name)
        self._mirrored = None
        before, after = self.measured.points[entry(self.measured, step)], self.measured.points[step.node]
        self._positions = self._places(step, after.shape)
        factor = before.gradient / after.gradient if after.gradient > 0 else 0.0
        factor = factor if math.isfinite(factor) else 0.0
        self._skip_marks(step)
        return [chain.Measured(after.second, self.correlation(after), factor, self._positions)]

    def _skip_marks(self, step: NetStep) -> None:
        for inner in _all((*step.steps, *step.shortcut)):
            self.log.pop(str(inner.node), None)

    def _moved_to(self, positions: tuple[int, ...], step: NetStep) -> list[chain.Step]:
        """Return what brings the signal to the positions that a step is given."""
        here, self._positions = self._positions, positions
        if here == positions:
            return []
        pads = [(b - a) // 2 for a, b in zip(here, positions, strict=False)]
        if len(here) == len(positions) and min(pads) >= 0 and self._is_padded(step):
            widths = tuple((low, b - a - low) for low, a, b in zip(pads, here, positions, strict=True))
            return [chain.Pad(widths)]
        return [chain.Reshape(positions)]

    def _is_padded(self, step: NetStep) -> bool:
        node = self.measured.graph.nodes[entry(self.measured, step)]
        return node.name in ("pad", "constant_pad_nd")

    def _places(self, step: NetStep, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the dims of a shape that are positions: all but batch and units."""
        return tuple(shape[2:] if self._channels_second(step) else shape[1:-1])

    def _channels_second(self, step: NetStep) -> bool:
        layers = step.layers or next((each.layers for each in _all(step.steps) if each.layers), ())
        if layers:
            self._channels_first = isinstance(self.slots[layers[0]].module, torch.nn.modules.conv._ConvNd)
        return self._channels_first

    def _units(self, step: NetStep) -> float:
        size = math.prod(step.shape[1:])
        return max(1.0, size / max(1, math.prod(self._positions)))


def entry(measured: Measurement, step: NetStep) -> int:
    """Return the node whose values a step is given."""
    if step.node in measured.path.entries:
        return measured.path.entries[step.node]
    if step.steps:
        return entry(measured, step.steps[0])
    if step.kind == "activation" and step.activation is not None:
        return step.activation.entry
    return measured.graph.nodes[step.node].parents[0]


def has_attention(measured: Measurement) -> bool:
    """Whether a step has several matrices: then the pair that theory follows are two tokens of one input."""
    return any(len(step.layers) > 1 for step in _all(measured.path.steps))


def _all(steps: Sequence[NetStep]) -> list[NetStep]:
    found = []
    for step in steps:
        found += [*_all(step.shortcut), *_all(step.steps), step]
    return found


def _bias(slot: Slot) -> float:
    vectors = [each.detach().double() for each in slot.bias_vectors()]
    return float(sum(each.square().mean() for each in vectors)) if vectors else 0.0


def _square(values: torch.Tensor, otherwise: float) -> float:
    return float(values.square().mean()) if values.numel() else otherwise


def _parameters(measured: Measurement, names: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weight and the bias of a norm, empty where it has none."""
    found = {name.rpartition(".")[2]: measured.model.get_parameter(name).detach().double() for name in names}
    empty = torch.zeros(0, dtype=torch.float64)
    return found.get("weight", empty), found.get("bias", empty)


def _taps(slot: Slot, *, delta: bool) -> chain.Taps | None:
    module: Any = slot.module
    size = (1,) * len(slot.kernel) if delta else slot.kernel
    if delta and all(each == 1 for each in module.stride):
        return None
    pads = module.padding
    spans = [(k - 1) * d for k, d in zip(slot.kernel, module.dilation, strict=True)]
    if pads == "same":
        widths = tuple((span // 2, span - span // 2) for span in spans)
    elif pads == "valid":
        widths = ((0, 0),) * len(spans)
    else:
        widths = tuple((each, each) for each in pads)
    if delta:  # the center of the kernel alone is read
        centers = [(k - 1) // 2 * d for k, d in zip(slot.kernel, module.dilation, strict=True)]
        widths = tuple(
            (low - center, high - (span - center))
            for (low, high), center, span in zip(widths, centers, spans, strict=True)
        )
        if any(min(each) < 0 for each in widths):
            raise ValueError("a central tap that leaves positions out")
    return chain.Taps(size, tuple(module.stride), tuple(module.dilation), widths, module.padding_mode != "zeros")


def _is_delta(slot: Slot) -> bool:
    """Whether only the central tap of a convolution is not zero, of a kernel of more than one."""
    weight = slot.weight.detach()
    if math.prod(slot.kernel) == 1:
        return False
    where: tuple[Any, ...] = (..., *((k - 1) // 2 for k in slot.kernel))
    center = weight[where]
    return bool(torch.isclose(center.square().sum(), weight.square().sum(), rtol=1e-12)) and bool(center.any())


def _is_orthogonal(weight: torch.Tensor) -> bool:
    """Whether the rows, or the columns, whichever are fewer, are orthogonal and of equal length."""
    matrix = weight.flatten(1)
    matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    probe = torch.ones(matrix.shape[0], 1, dtype=matrix.dtype, device=matrix.device)
    probe[::2] *= -0.5
    image = matrix @ (matrix.T @ probe)
    gain = float((image * probe).sum() / probe.square().sum())
    return gain > 0 and float((image - gain * probe).norm()) < 1e-4 * gain * float(probe.norm())


def _is_mirrored(slot: Slot, dim: int) -> bool:
    """Whether the second half of the rows (dim 0), or of the columns, is the first one with the other sign."""
    weight = slot.weight.detach()
    n = weight.shape[dim]
    if n < 2 or n % 2 or slot.groups != 1:
        return False
    first, second = weight.narrow(dim, 0, n // 2), weight.narrow(dim, n // 2, n // 2)
    return bool(torch.allclose(first, -second, rtol=1e-4, atol=1e-7)) and bool(first.any())
