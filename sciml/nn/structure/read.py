"""The structure of a net: its weight matrices, what follows each of them, and its residual branches."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.structure.declared import declared
from sciml.nn.structure.facts import Facts
from sciml.nn.structure.graph import Graph
from sciml.nn.structure.inputs import Arguments, arguments_of, made_up, undisturbed, unwrapped
from sciml.nn.structure.kinds import weight_slots
from sciml.nn.structure.recorder import Recorder
from sciml.nn.structure.result import Structure
from sciml.nn.structure.slots import Slot

__all__ = ["owners", "structure"]


def structure(model: nn.Module, sample: Any = None, *, branches: Sequence[str] | None = None) -> Structure:
    """Return the weight matrices of a net in order of execution, its activations, norms and residual branches.

    The net is run once, as in evaluation and without gradients, and the functions that it calls are recorded; so its
    own forward may call modules, functions, or operators. It is left as it was: modes, buffers, gradients, and the
    global random state.

    Parameters
    ----------
    model
        Any net.
    sample
        A batch: a tensor, or a tuple or a mapping of what the net is called with. Without one a batch is made up from
        what the net says of its input (`input_shape`) or from its first layer; where none fits, modules are taken in
        their order and residual branches are those of `sciml.nn.models.Residual`: `Structure.notes` then says so.
    branches
        Names of modules that are residual branches, in place of those found.

    Raises
    ------
    ConfigError
        A net without weight matrices, or whose weights have no shape yet; a branch that names no module.

    Examples
    --------
    >>> class Block(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.inner, self.outer = nn.Linear(8, 8), nn.Linear(8, 8)
    ...     def forward(self, x):
    ...         return x + self.outer(torch.relu(self.inner(x)))
    >>> found = structure(nn.Sequential(nn.Linear(3, 8), Block(), nn.Tanh(), nn.Linear(8, 2)))
    >>> [(layer.name, layer.activation and layer.activation.name, layer.branch) for layer in found.layers]
    [('0', None, None), ('1.inner', 'relu', '1'), ('1.outer', None, '1'), ('3', None, None)]
    >>> found.branches[0].after.name
    'tanh'
    """
    model = unwrapped(model)
    slots = weight_slots(model)
    _check(model, slots)
    if sample is not None:
        return _of_sample(model, slots, arguments_of(model, sample), branches)
    for batch in made_up(model):
        try:
            graph = _record(model, slots, arguments_of(model, batch))
        except Exception:  # noqa: S112 - whatever a net says of a batch that it was not made for
            continue
        note = f"traced on a batch made up as {tuple(batch.shape)}: give a sample to be sure"
        return Facts(model, slots, graph, branches).structure(note)
    return declared(model, slots, branches, why="no sample was given, and no batch made up for its first layer fits")


def _of_sample(
    model: nn.Module, slots: Sequence[Slot], arguments: Arguments, branches: Sequence[str] | None
) -> Structure:
    try:
        graph = _record(model, slots, arguments)
    except Exception as error:
        _run(model, arguments)  # raises what the net itself makes of the sample
        return declared(model, slots, branches, why=f"a pass on the sample cannot be recorded ({error})")
    return Facts(model, slots, graph, branches).structure()


def _check(model: nn.Module, slots: Sequence[Slot]) -> None:
    for module_name, module in model.named_modules():
        for each in module._parameters.values():
            if isinstance(each, nn.parameter.UninitializedParameter):
                raise ConfigError(f"layer {module_name!r} is lazy and has no shape yet; pass one batch through the net")
    if not slots:
        raise ConfigError(f"expected a net with weight layers such as Linear, got {type(model).__name__} without any")


def owners(model: nn.Module, slots: Sequence[Slot]) -> dict[str, tuple[str, ...]]:
    """Return the names of the slots that each parameter is part of."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    by_param: dict[str, tuple[str, ...]] = {}
    for slot in slots:
        for each in slot.parameters():
            name = names[id(each)]
            by_param[name] = (*by_param.get(name, ()), slot.name)
    return by_param


def _record(model: nn.Module, slots: Sequence[Slot], arguments: Arguments) -> Graph:
    by_param = owners(model, slots)
    recorder = Recorder(model, by_param)
    args, kwargs = arguments
    handles = list(recorder.hooks(model))
    try:
        recorder.enter(each for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor))
        recorder.leave(_run(model, arguments, recorder))
    finally:
        for handle in handles:
            handle.remove()
    return Graph(recorder.nodes, recorder.outputs, by_param)


def _run(model: nn.Module, arguments: Arguments, recorder: AbstractContextManager[object] | None = None) -> object:
    with undisturbed(model):
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        with recorder or nullcontext():
            return torch.func.functional_call(model, buffers, *arguments)
