"""The method that chooses by structure and by data."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from sciml.errors import ConfigError
from sciml.nn.init.laws import draw
from sciml.nn.init.methods.isometry import looks_linear, orthogonal
from sciml.nn.init.methods.meanfield import critical
from sciml.nn.init.mirror import pair_rows
from sciml.nn.init.passes import Hook, run
from sciml.nn.init.rules import Finished, Net, Plan, Rule, positive, usual
from sciml.nn.init.spectral.calibration import Calibration, calibrate, weaken
from sciml.nn.init.spectral.readout import Readout, checked_targets, solve_readout
from sciml.nn.init.spectral.spread import spread_layers
from sciml.nn.init.spectral.subspace import first_weight, patches, signal_subspace
from sciml.nn.options import check_name
from sciml.nn.structure import CONVOLUTIONS, Layer
from sciml.theory import meanfield

__all__ = ["spectral"]

HEADS = ("solved", "zero", "random")
MOSTLY_LINEAR = 0.25  # variance of the squared singular values of the Jacobian over the depth, where they are 1


def spectral(
    net: Net,
    *,
    c: float = 2.0,
    isometry: bool = True,
    spread: bool = True,
    first: bool = True,
    noise_share: float = 0.1,
    head: str = "solved",
    calibration: bool = True,
) -> Plan:
    r"""Isometric stretches, residual branches of measured strength, a first layer on the signal, a solved last layer.

    - Plain stretches start as isometries: mirrored pairs under activations such as ReLU (`looks_linear`), orthogonal
      matrices at the critical point of a small q under smooth ones. Convolutions spread over their taps and are
      isometries still (paraunitary), as far as the length of the signal allows (`spread`).
    - Residual branches: each multiplies the mean square of signal and gradient by e^{c/L}, as measured on the sample;
      L branches of a stream by e^c. Weights in branches are mirrored, or orthogonal: where targets are given, whichever
      lets the last layer read more; else mirrored.
    - Norm layers set the scale themselves: then layers are orthogonal, and only the ends of branches are set.
    - First layer (`first`): its rows span the directions of its input above the noise floor of the sample, each divided
      by the deviation that new data have along it; `noise_share` of the variance comes from the other directions.
    - Last layer (`head`): ridge on the features at the start, the penalty by cross-validation, where that is clearly
      better than chance, else zero. "zero" and "random" leave the targets out.

    First, last and calibration need a `sample`, the solved last layer `targets` too: whole numbers are classes.

    Pennington, Schoenholz, Ganguli (2017), arXiv:1711.04735 (isometry); Balduzzi et al. (2017), arXiv:1702.08591
    (mirrored); Taki (2017), arXiv:1709.02956 (e^c); Mishkin, Matas (2016), arXiv:1511.06422 (calibration on data).
    """
    check_name(head, HEADS, what="head")
    c = positive("c", c)
    if not 0.0 <= noise_share <= 1.0:
        raise ConfigError(f"expected noise_share from 0 to 1, got {noise_share!r}")
    base = _base(net) if isometry else orthogonal(net, gain=_gain(net))
    rule = _spread(net, base.rule, c) if spread and isometry else base.rule
    scalars = {name: 1.0 for branch in net.structure.branches for name in branch.scale}
    net = replace(net, targets=checked_targets(net))
    last = None if head == "random" else _last(net)
    start = _Start(net, rule, c, noise_share if first else None, head, calibration, last)
    return Plan(start.rule, notes=base.notes, scalars=scalars, finish=lambda _: start.finish())


@dataclass
class _Start:
    """A net that is being started: what was chosen, and what is to be said of it."""

    net: Net
    base: Callable[[Layer], Rule]
    c: float
    noise_share: float | None
    head: str
    calibration: bool
    last: Layer | None = None
    rules: dict[str, Rule] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def rule(self, layer: Layer) -> Rule:
        if layer is self.last:
            return Rule("zero", 0.0, note="last layer: zero")
        return self.base(layer)

    def finish(self) -> Finished:
        if self.net.sample is None:
            return self.without_sample()
        if self.noise_share is not None:
            self.set_first(self.noise_share)
        last = self.solvable()
        rules = [self.base] if last is None else [self.base, *self.alternative()]
        candidates = [self.candidate(rule, last, redraw=number > 0) for number, rule in enumerate(rules)]
        chosen = min(candidates, key=lambda each: each.loss)
        chosen.restore()
        self.tell(chosen, candidates)
        if last is not None and chosen.readout is not None:
            self.set_last(last, chosen.readout)
        elif last is not None:
            self.notes.append("last layer: zero, for it gives more than one row of outputs an item")
        return Finished(self.rules, tuple(filter(None, self.notes)))

    def without_sample(self) -> Finished:
        """Make branches weaker by rule; there is nothing to measure or to learn from."""
        done = Calibration(weaken(self.net, self.c, self.net.structure.branches), {}, {})
        self.tell(_Candidate(self.base, done, None, {}, self.net), [])
        last = "" if self.last is None else ", and the last layer is zero"
        self.notes.append(
            f"no sample was given: the first layer is drawn as the others, branches are scaled by rule{last}"
        )
        return Finished(self.rules, tuple(filter(None, self.notes)))

    def set_first(self, noise_share: float) -> None:
        """Let the layers that read the input look at its signal."""
        layers = [layer for layer in self.net.structure.layers if self.is_first(layer)]
        inputs = _inputs(self.net, layers)
        for layer in layers:
            if layer.name not in inputs:
                continue
            found = signal_subspace(patches(inputs[layer.name], layer.slot))
            self.notes.append(found.summary())
            if found.rank == 0:
                continue
            rows, minus = pair_rows(layer.slot, self.base(layer))
            weight = torch.zeros(layer.slot.weight.shape, dtype=torch.float64)
            values = first_weight(found, len(rows), noise_share=noise_share, generator=self.net.generator).cpu()
            weight.view(len(weight), -1)[rows] = values
            if minus:
                weight.view(len(weight), -1)[minus] = -values[: len(minus)]
            layer.slot.write(weight.to(layer.slot.weight.device))
            self.set_rule(layer, "spans the signal of its input")

    def is_first(self, layer: Layer) -> bool:
        slot = layer.slot
        kind = isinstance(slot.module, (torch.nn.Linear, *CONVOLUTIONS)) and slot.groups == 1 and not slot.frozen
        return kind and layer.reads_input and not layer.gives_output and not layer.shortcut and layer.branch is None

    def solvable(self) -> Layer | None:
        """Return the layer that is solved, or None, and say why."""
        last, targets = self.last, self.net.targets
        if last is None:
            if self.head != "random":
                self.notes.append(
                    "last layer: as the others, for the output is not that of one linear layer of its own"
                )
            return None
        if self.head != "solved" or targets is None:
            self.notes.append(f"last layer: zero{'' if self.head == 'zero' else ', for no targets were given'}")
            return None
        n_outputs, shape = last.slot.weight.shape[0], tuple(targets.shape)
        if math.prod(shape[1:]) != (n_outputs if targets.is_floating_point() else 1):
            self.notes.append(f"last layer: zero, for targets of shape {shape} are not what {n_outputs} outputs say")
            return None
        return last

    def alternative(self) -> Iterator[Callable[[Layer], Rule]]:
        """Yield orthogonal branches beside mirrored ones."""
        branched = [layer for layer in self.net.structure.layers if layer.branch is not None]
        if any(self.base(layer).law == "looks_linear" for layer in branched):
            plain = orthogonal(self.net, gain=math.sqrt(2.0)).rule
            yield lambda layer: plain(layer) if layer.branch is not None else self.base(layer)

    def candidate(self, rule: Callable[[Layer], Rule], last: Layer | None, *, redraw: bool) -> "_Candidate":
        """Draw the branches by a rule, calibrate, and let the last layer read what the net then gives."""
        if redraw:
            for layer in self.net.structure.layers:
                if layer.branch is not None and not layer.slot.frozen:
                    draw(layer.slot, rule(layer), self.net.generator)
        inputs: dict[str, torch.Tensor] = {}
        hooks: dict[torch.nn.Module, Hook] = {} if last is None else {last.slot.module: _keep(inputs, last.name)}
        if self.calibration:
            done = calibrate(self.net, hooks, c=self.c, unit=self.unit())
        else:
            done = Calibration(weaken(self.net, self.c, self.net.structure.branches), {}, {})
            run(self.net.model, self.net.sample, hooks)
        readout = self.read(inputs.get(last.name), last) if last is not None else None
        weights = {name: each.detach().clone() for name, each in self.net.model.named_parameters()}
        return _Candidate(rule, done, readout, weights, self.net)

    def unit(self) -> Mapping[str, float]:
        """Return the layers of plain stretches that can be scaled freely, and the ratio that theory gives each."""
        if _has_norms(self.net):
            return {}
        found = {}
        for layer in self.net.structure.layers:
            rule, slot = self.base(layer), layer.slot
            free = rule.law in ("looks_linear", "orthogonal", "delta", "paraunitary") and not rule.sigma_b2
            homogeneous = layer.reads is None or layer.reads.slope is not None
            alone = layer.branch is None and not layer.gives_output and slot.rows is None and layer.uses == 1
            if free and homogeneous and alone and slot.role == "weight" and not slot.frozen and not layer.shortcut:
                found[layer.name] = min(1.0, slot.weight.shape[1] * slot.groups / slot.weight.shape[0])
        return found

    def read(self, features: torch.Tensor | None, last: Layer) -> Readout | None:
        targets = self.net.targets
        if features is None or targets is None or features.ndim != 2 or len(features) != len(targets):
            return None
        return solve_readout(features, targets, last.slot.weight.shape[0], groups=self.net.groups)

    def set_last(self, last: Layer, readout: Readout) -> None:
        self.notes.append(readout.summary())
        if readout.clearly_better:
            device = last.slot.weight.device
            last.slot.write(torch.from_numpy(readout.weight).to(device))
            last.slot.write_bias(torch.from_numpy(readout.bias).to(device))
            self.set_rule(last, f"solved, ridge penalty {readout.penalty:.2g}")

    def set_rule(self, layer: Layer, note: str) -> None:
        weight = layer.slot.weight.detach().double()
        self.rules[layer.name] = Rule("given", float(layer.slot.fan_in * weight.square().mean()), note=note)

    def tell(self, chosen: "_Candidate", candidates: list["_Candidate"]) -> None:
        """Set down the rules of what was chosen, and why it was."""
        for layer in self.net.structure.layers:
            factor = chosen.done.factors.get(layer.name, 1.0)
            if layer.name not in self.rules and (layer.branch is not None or factor != 1.0):
                self.rules[layer.name] = _scaled(chosen.rule(layer), factor)
        self.notes.append(chosen.done.summary(self.c))
        if len(candidates) > 1:
            losses = ", ".join(f"{each.name} {each.loss:.3f}" for each in candidates)
            self.notes.append(f"branches are {chosen.name}: cross-validated loss of the last layer {losses}")


@dataclass(frozen=True)
class _Candidate:
    """One way to start the branches: what calibration did, and how well the last layer then reads."""

    rule: Callable[[Layer], Rule]
    done: Calibration
    readout: Readout | None
    weights: Mapping[str, torch.Tensor]
    net: Net

    @property
    def loss(self) -> float:
        return math.inf if self.readout is None else self.readout.loss

    @property
    def name(self) -> str:
        laws = {self.rule(layer).law for layer in self.net.structure.layers if layer.branch is not None}
        return "mirrored" if "looks_linear" in laws else "orthogonal"

    @torch.no_grad()
    def restore(self) -> None:
        for name, parameter in self.net.model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(self.weights[name])


def _has_norms(net: Net) -> bool:
    """Return whether anything on the way through the net normalizes."""
    structure = net.structure
    return any(layer.norm for layer in structure.layers) or any(
        branch.norms or branch.normed_after for branch in structure.branches
    )


def _last(net: Net) -> Layer | None:
    """Return the one linear layer whose output is that of the net, where its weight is its own and plain."""
    found = [layer for layer in net.structure.layers if layer.gives_output]
    if len(found) != 1 or found[0].branch is not None:
        return None
    layer, slot = found[0], found[0].slot
    plain = slot.module._parameters.get(slot.parameter) is not None and not slot.frozen
    linear = isinstance(slot.module, (torch.nn.Linear, *CONVOLUTIONS)) and slot.rows is None
    return layer if net.owns(slot) and plain and linear and layer.uses == 1 and _is_output(net, layer) else None


def _is_output(net: Net, layer: Layer) -> bool:
    """Return whether nothing but a change of shape follows a layer, by its values where the net can be run."""
    steps = net.structure.steps
    after = next((i for i, step in enumerate(steps) if layer.name in step.layers), None)
    if after is not None:
        return all(step.kind in ("affine", "pool") for step in steps[after:])
    if net.sample is None:
        return False
    outputs: list[torch.Tensor] = []
    given = run(net.model, net.sample, {layer.slot.module: lambda _module, _inputs, output: outputs.append(output)})
    same = isinstance(given, torch.Tensor) and bool(outputs) and given.numel() == outputs[0].numel()
    return same and torch.equal(given.flatten(), outputs[0].flatten())


def _base(net: Net) -> Plan:
    """Return the rules for the structure: what keeps a stretch an isometry."""
    if _has_norms(net):
        told = (
            "norm layers set the scale themselves: layers are orthogonal, and only the ends of branches are made weaker"
        )
        return replace(orthogonal(net, gain=_gain(net)), notes=(told,))
    names = {each.name for each in net.structure.activations()}
    smooth = [each for each in net.structure.activations() if each.slope is None]
    pairs = looks_linear(net)
    mirrored = any(pairs.rule(layer).law == "looks_linear" for layer in net.structure.layers)
    if mirrored or not smooth:
        return pairs if mirrored else orthogonal(net, gain=_gain(net))
    if len(names) > 1:
        told = f"activations {', '.join(sorted(names))}: no one critical point, so layers are orthogonal with gain 1"
        return replace(orthogonal(net), notes=(told,))
    return _smooth(net)


def _smooth(net: Net) -> Plan:
    """Return the critical point of the largest q at which the Jacobian of the whole depth is near an isometry."""
    depth = max(1, sum(1 for layer in net.structure.layers if layer.activation is not None))
    for q in (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4):
        try:
            plan = critical(net, q=q, law="orthogonal")
        except ConfigError:
            continue
        if depth * (_slope_kurtosis(net, q) - 1.0) <= MOSTLY_LINEAR:
            return plan
    return critical(net, law="orthogonal")


def _slope_kurtosis(net: Net, q: float) -> float:
    from sciml.nn.init.methods.meanfield import activation_of_theory

    return meanfield.gaussian_moments(activation_of_theory(next(iter(net.structure.activations()))), q).slope_kurtosis


def _gain(net: Net) -> float:
    """Return the gain that keeps the second moment through the activation of the net: √2 for ReLU, 1 if unknown."""
    slopes = {each.slope for each in net.structure.activations()}
    slope = slopes.pop() if len(slopes) == 1 else None
    if slope is not None:
        return math.sqrt(2.0 / (1.0 + slope**2))
    names = {each.name for each in net.structure.activations()}
    return math.sqrt(2.0) if names & {"gelu", "silu", "elu"} else 1.0


def _spread(net: Net, base: Callable[[Layer], Rule], c: float) -> Callable[[Layer], Rule]:
    """Let convolutions of one tap spread over all, as far as the signal is long."""
    strength = {
        layer.name: c / len(net.structure.siblings(branch))
        for layer in net.structure.layers
        if (branch := net.structure.branch_of(layer.name)) is not None
    }
    chosen = spread_layers(net.structure, strength)

    def rule(layer: Layer) -> Rule:
        found = base(layer)
        if layer.name not in chosen or usual(net, layer.slot) is not None:
            return found
        return {"looks_linear": replace(found, paraunitary=True), "delta": replace(found, law="paraunitary")}.get(
            found.law, found
        )

    return rule


def _scaled(rule: Rule, factor: float) -> Rule:
    note = rule.note if factor == 1.0 else "; ".join(filter(None, (rule.note, f"scaled by {factor:.3g}")))
    gain = None if rule.gain is None else rule.gain * abs(factor)
    return replace(rule, sigma_w2=rule.sigma_w2 * factor**2, gain=gain, note=note)


def _keep(found: dict[str, torch.Tensor], name: str) -> Hook:
    def hook(_module: torch.nn.Module, inputs: Any, _output: Any) -> None:
        found[name] = inputs[0].detach()

    return hook


def _inputs(net: Net, layers: list[Layer]) -> dict[str, torch.Tensor]:
    inputs: dict[str, torch.Tensor] = {}
    if layers:
        run(net.model, net.sample, {layer.slot.module: _keep(inputs, layer.name) for layer in layers})
    return inputs
