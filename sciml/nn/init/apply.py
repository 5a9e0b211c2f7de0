"""Setting the weights of a net by a method, in place."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from sciml.nn.init.growth import expected_growth
from sciml.nn.init.laws import draw
from sciml.nn.init.methods import METHODS
from sciml.nn.init.report import InitReport, layer_row, preactivations
from sciml.nn.init.rules import Finished, Net, Plan, Rule
from sciml.nn.options import check_name, check_options
from sciml.nn.structure import NORMS, Slot, Structure, structure, unwrapped

__all__ = ["initialize"]


def initialize(
    model: nn.Module,
    method: str,
    *,
    sample: Any = None,
    targets: torch.Tensor | None = None,
    branches: Sequence[str] | None = None,
    forget_bias: float = 1.0,
    groups: Sequence[int] | None = None,
    generator: torch.Generator | None = None,
    **options: Any,
) -> InitReport:
    r"""Draw the weights of a net anew, in place, and report how each of its weight matrices started.

    The net is understood by one pass through it (`sciml.nn.structure`): its layers are whatever holds a weight matrix
    (linear, convolutional, transposed, recurrent by gate, attention by projection, embeddings), its activations and
    residual branches those that its own forward uses. Parametrized weights, weight norm for one, are set through their
    parametrization.

    Parameters
    ----------
    model
        Any net.
    method
        A name in `METHODS`.
    sample
        A batch of inputs: a tensor, or a tuple or mapping of what the net is called with. The report then carries the
        mean square of each layer's output on it, with batch norm using the statistics of the batch and dropout off.
        The net's mode, buffers and gradients stay as they were. `lsuv` needs it.
    targets
        What the net should say of the sample, for methods that use it.
    branches
        Names of modules that are residual branches, in place of those found.
    forget_bias
        Bias of the forget gates of LSTMs.
    groups
        Unit of independence of each item of the sample, for methods that cross-validate: items of one unit, such as
        neighboring windows of a session, stay together.
    generator
        Where the randomness comes from; None is a fresh generator with seed 0, so that two calls agree.
    **options
        What the method takes; see its docstring in `METHODS`.

    Returns
    -------
    InitReport
        With the target and the measured fan_in · Var(w) of each matrix, and its largest singular value beside the edge
        σ_w (1 + √(n_out / n_in)) that a matrix of independent entries has; what was left untouched; and in words where
        the rule does not apply, or lets signal or gradient grow by more than 1e3.

    Raises
    ------
    ConfigError
        An unknown method or option, a net without weight matrices or whose shapes are not yet known (lazy layers), or
        a net that the method is not for.
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
    model = unwrapped(model)
    generator = generator or torch.Generator().manual_seed(0)
    known = structure(model, sample, branches=branches)
    net = Net(model, known, sample, targets, generator, forget_bias, groups)
    plan = METHODS[method](net, **options)
    rules = _apply(net, plan, renew=method != "default")
    finished = plan.finish(net) if plan.finish else Finished()
    rules |= finished.rules
    moments = {} if sample is None else preactivations(model, known.slots, sample)
    rows = tuple(layer_row(known.layer(slot.name), rules[slot.name], moments) for slot in known.slots)
    untouched = _untouched(net, plan)
    return InitReport(
        method=method,
        options=options | _given(branches=branches, forget_bias=None if forget_bias == 1.0 else forget_bias),
        layers=rows,
        n_blocks=len(known.branches),
        untouched=tuple(untouched),
        untouched_fraction=sum(untouched.values()) / sum(each.numel() for each in model.parameters()),
        notes=(*plan.notes, *finished.notes, *_growth_note(net, rules, rows), *_told(known, plan)),
    )


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that were given."""
    found = {key: value for key, value in options.items() if value is not None}
    return {key: list(value) if isinstance(value, (list, tuple)) else value for key, value in found.items()}


def _apply(net: Net, plan: Plan, *, renew: bool) -> dict[str, Rule]:
    """Draw each matrix by its rule, in the order of the modules; return what was done, by name."""
    rules: dict[str, Rule] = {}
    owners = _owners(net.structure.slots)
    wanted = {slot.name: plan.rule(net.structure.layer(slot.name)) for slot in net.structure.slots}
    for slot in net.structure.slots:
        rule, owner = wanted[slot.name], owners[slot.name]
        if owner != slot.name:
            rule = Rule("kept", wanted[owner].sigma_w2, rule.sigma_b2, note=f"shares its weight with {owner}")
        elif slot.frozen:
            rule = Rule("kept", rule.sigma_w2, rule.sigma_b2, note="frozen: left as it was")
        elif rule.law not in ("kept", "given"):
            why = draw(slot, rule, net.generator)
            rule = replace(rule, note="; ".join(filter(None, (rule.note, why)))) if why else rule
        rules[slot.name] = rule
    _set_scalars(net, plan.scalars)
    if renew:
        _renew_norms(net.model)
    return rules


def _owners(slots: Sequence[Slot]) -> dict[str, str]:
    """Return, for each matrix, the one by whose rule it is drawn: the first of those that share a weight.

    A table of embeddings comes last: its unit variance would make the outputs of a linear layer large.
    """
    first: dict[tuple[object, ...], str] = {}
    keys = {slot.name: (*map(id, slot.parameters()), slot.rows) for slot in slots}
    for slot in sorted(slots, key=lambda each: each.role == "lookup"):
        first.setdefault(keys[slot.name], slot.name)
    return {slot.name: first[keys[slot.name]] for slot in slots}


@torch.no_grad()
def _set_scalars(net: Net, scalars: Mapping[str, float]) -> None:
    for name, value in scalars.items():
        parameter = net.parameter(name)
        if parameter.requires_grad:
            parameter.fill_(value)


def _renew_norms(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, NORMS) and all(parameter.requires_grad for parameter in module.parameters()):
            renew: Any = getattr(module, "reset_parameters", None)
            if renew is not None:
                renew()


def _untouched(net: Net, plan: Plan) -> dict[str, int]:
    """Return the parameters that no rule covers, with their number of values."""
    known = {id(net.parameter(name)) for name in plan.scalars}
    for slot in net.structure.slots:
        known |= {id(each) for each in (*slot.parameters(), *slot.bias_vectors()) if each.requires_grad}
    for module in net.model.modules():
        if isinstance(module, NORMS):
            known |= {id(each) for each in module.parameters(recurse=False) if each.requires_grad}
    return {name: each.numel() for name, each in net.model.named_parameters() if id(each) not in known}


def _growth_note(net: Net, rules: Mapping[str, Rule], rows: Sequence[Any]) -> tuple[str, ...]:
    variances = {row.name: (row.measured, rules[row.name].sigma_b2) for row in rows}
    names = [name for branch in net.structure.branches for name in branch.scale]
    scales = {name: float(net.parameter(name).detach().double().square().mean()) for name in names}
    paired = {name for name, rule in rules.items() if rule.law == "looks_linear" and rule.mirror[0]}
    growth = expected_growth(net.structure, variances, scales, paired)
    if growth is None or not growth.is_large:
        return ()
    instead = "taki, balanced, fixup" if net.structure.branches else "critical, or looks_linear for ReLU"
    return (
        f"the net is expected to change the mean square of signals by {growth.signal:.1e} and of gradients by "
        f"{growth.gradient:.1e} from end to end, and will hardly train; try method {instead}",
    )


def _told(known: Structure, plan: Plan) -> tuple[str, ...]:
    """Return what the structure has to say where it matters to the method."""
    return known.notes if not known.traced or (known.branches and plan.scalars) else ()
