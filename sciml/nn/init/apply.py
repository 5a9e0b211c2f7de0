"""Drawing the weights of a net by a method, in place."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from sciml.errors import ConfigError
from sciml.nn.init.branches import branches_of
from sciml.nn.init.methods import METHODS
from sciml.nn.init.report import InitReport, layer_row, preactivations
from sciml.nn.init.rules import Plan, Rule, draw
from sciml.nn.layers import NORMS, WeightLayer, weight_layers
from sciml.nn.options import check_name, check_options

__all__ = ["initialize"]


def initialize(
    model: nn.Module,
    *,
    method: str,
    sample: torch.Tensor | None = None,
    generator: torch.Generator | None = None,
    **options: Any,
) -> InitReport:
    r"""Draw the weights of a net anew, in place, and report how each layer started.

    Parameters
    ----------
    model
        A net of `Linear` and `Conv1d/2d/3d` layers, as plain parameters.
    method
        A name in `METHODS`.
    sample
        A batch of inputs. The report then carries the mean square of each layer's output on it, with batch norm using
        the statistics of the batch and dropout off. The net's mode, buffers and gradients stay as they were.
    generator
        Where the randomness comes from; None is a fresh generator with seed 0, so that two calls agree.
    **options
        What the method takes: `gain`, `conv` (orthogonal); `c`, `depth_exponent`, `branches` (taki); `activation`,
        `sigma_b2`, `q`, `law` (critical).

    Returns
    -------
    InitReport
        With the target and the measured fan_in · Var(w) of each layer, and its largest singular value beside the edge
        σ_w (1 + √(n_out / n_in)) that a matrix of independent entries has.

    Raises
    ------
    ConfigError
        An unknown method or option, a net without weight layers, or weights that are computed from others
        (parametrizations, weight norm) or not yet there (lazy layers).
    DataError
        A sample, or an output on it, that is not finite.

    References
    ----------
    The methods name theirs. Edge: Geman (1980), doi:10.1214/aop/1176994775.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(400, 100), nn.ReLU(), nn.Linear(100, 10))
    >>> report = initialize(net, method="orthogonal", gain=2.0)
    >>> [round(row.largest_singular_value, 6) for row in report.layers]
    [2.0, 2.0]
    """
    check_name(method, METHODS, what="method")
    check_options(METHODS[method], options, what=f"method {method!r}")
    layers = _layers(model)
    plan = METHODS[method](model, **options)
    generator = generator or torch.Generator().manual_seed(0)
    rules = _apply(model, layers, plan, generator, renew=method != "default")
    moments = {} if sample is None else preactivations(model, layers, sample)
    branches = branches_of(model, options.get("branches"))
    return InitReport(
        method=method,
        options=dict(options),
        layers=tuple(layer_row(layer, rules[layer.name], branches, moments) for layer in layers),
        n_blocks=len(branches),
        untouched=_untouched(model, layers),
        notes=plan.notes,
    )


def _layers(model: nn.Module) -> list[WeightLayer]:
    layers = list(weight_layers(model))
    if not layers:
        raise ConfigError(f"expected a net with Linear or ConvNd layers, got {type(model).__name__} without any")
    for layer in layers:
        if isinstance(layer.weight, nn.parameter.UninitializedParameter):
            raise ConfigError(f"layer {layer.name!r} is lazy and has no shape yet; pass one batch through the net")
        if parametrize.is_parametrized(layer.module) or not isinstance(layer.weight, nn.Parameter):
            raise ConfigError(
                f"expected plain parameters, got a parametrized weight in layer {layer.name!r}; "
                "initialize first and add weight norm or other parametrizations after"
            )
    return layers


def _apply(
    model: nn.Module, layers: Sequence[WeightLayer], plan: Plan, generator: torch.Generator, *, renew: bool
) -> dict[str, Rule]:
    """Draw each layer by its rule; return what was done, layer by layer."""
    rules: dict[str, Rule] = {}
    owners: dict[int, str] = {}
    for layer in layers:
        rule = plan.rule(layer)
        owner = owners.setdefault(id(layer.weight), layer.name)
        if owner != layer.name:
            rule = Rule("kept", rules[owner].sigma_w2, rule.sigma_b2, note=f"shares its weight with {owner}")
        elif not layer.weight.requires_grad:
            rule = Rule("kept", rule.sigma_w2, rule.sigma_b2, note="frozen: left as it was")
        elif rule.law != "kept":
            draw(layer, rule, generator)
        rules[layer.name] = rule
    if renew:
        for module in model.modules():
            if isinstance(module, NORMS) and all(parameter.requires_grad for parameter in module.parameters()):
                module.reset_parameters()
    return rules


def _untouched(model: nn.Module, layers: Sequence[WeightLayer]) -> tuple[str, ...]:
    covered = [layer.module for layer in layers] + [each for each in model.modules() if isinstance(each, NORMS)]
    known = {id(p) for module in covered for p in module.parameters(recurse=False) if p.requires_grad}
    return tuple(name for name, parameter in model.named_parameters() if id(parameter) not in known)
