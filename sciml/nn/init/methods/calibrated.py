"""Methods that measure the net on data while they set it."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.init.methods.isometry import orthogonal
from sciml.nn.init.passes import run
from sciml.nn.init.rules import Finished, Net, Plan, Rule, positive
from sciml.nn.structure import Slot

__all__ = ["lsuv"]


def lsuv(net: Net, *, tolerance: float = 0.1, max_iterations: int = 10) -> Plan:
    r"""Orthogonal weights, then W <- W / std(output) layer by layer until each layer's output has variance 1.

    Needs a `sample`. One pass through the net: each layer is scaled when the pass reaches it, on what the layers before
    it, already scaled, give. The variance is over the batch and all units. Gates, attention projections and embeddings
    keep their own rules. Mishkin, Matas (2016), arXiv:1511.06422, algorithm 1.
    """
    tolerance = positive("tolerance", tolerance)
    if net.sample is None:
        raise ConfigError("method 'lsuv' scales layers by their outputs: give a sample, a batch of inputs")
    plan = orthogonal(net)

    def finish(net: Net) -> Finished:
        scaled = [x for x in net.structure.layers if x.slot.role in ("weight", "bilinear") and not x.slot.frozen]
        done = {x.name: _Scaling(x.slot, tolerance, max_iterations) for x in scaled}
        run(net.model, net.sample, {x.slot.module: done[x.name] for x in scaled})
        rules = {x.name: _scaled(plan.rule(x), done[x.name].factor) for x in scaled}
        missed = [f"{name} has variance {each.variance:.3g}" for name, each in done.items() if not each.reached]
        return Finished(rules, (f"not scaled to variance 1: {', '.join(missed)}",) if missed else ())

    return replace(plan, finish=finish)


def _scaled(rule: Rule, factor: float) -> Rule:
    gain = None if rule.gain is None else rule.gain * factor
    return replace(rule, sigma_w2=rule.sigma_w2 * factor**2, gain=gain, note=f"scaled by {factor:.4g}")


@dataclass
class _Scaling:
    """A hook that scales a layer when it is first called, and gives its new output."""

    slot: Slot
    tolerance: float
    max_iterations: int
    factor: float = 1.0
    variance: float = math.nan

    @property
    def reached(self) -> bool:
        return abs(self.variance - 1.0) <= self.tolerance

    def __call__(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        if not math.isnan(self.variance):  # a layer that is called again
            return output
        self.variance = float(output.double().var())
        for _ in range(self.max_iterations):
            if self.reached or not 0.0 < self.variance < math.inf:
                break
            self.slot.write(self.slot.weight.detach() / math.sqrt(self.variance))
            self.factor /= math.sqrt(self.variance)
            output = module.forward(*inputs)
            self.variance = float(output.double().var())
        return output
