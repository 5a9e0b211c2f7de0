"""Which weight matrices each type of layer holds."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from sciml.nn.structure.slots import CONVOLUTIONS, TRANSPOSED, Slot

__all__ = ["KINDS", "NORMS", "slots_of", "weight_slots"]

NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.LocalResponseNorm)
_LSTM, _GRU = ("input", "forget", "cell", "output"), ("reset", "update", "new")


def _one(name: str, module: nn.Module) -> Iterator[Slot]:
    role = "output" if isinstance(module, nn.modules.linear.NonDynamicallyQuantizableLinear) else "weight"
    yield Slot(name, module, role=role, biases=("bias",))


def _bilinear(name: str, module: nn.Module) -> Iterator[Slot]:
    yield Slot(name, module, role="bilinear", biases=("bias",))


def _lookup(name: str, module: nn.Module) -> Iterator[Slot]:
    yield Slot(name, module, role="lookup")


def _gate_names(module: nn.Module) -> tuple[str, ...]:
    if isinstance(module, (nn.LSTM, nn.LSTMCell)):
        return _LSTM
    return _GRU if isinstance(module, (nn.GRU, nn.GRUCell)) else ("",)


def _gates(name: str, module: Any, suffix: str) -> Iterator[Slot]:
    """Yield the input and the recurrent matrix of each gate of one layer and direction."""
    gates = _gate_names(module)
    size = getattr(module, f"weight_ih{suffix}").shape[0] // len(gates)
    for role, key in (("input", "ih"), ("recurrent", "hh")):
        for i, gate in enumerate(gates):
            parameter = f"weight_{key}{suffix}"
            yield Slot(
                f"{name}.{parameter}[{gate}]".removeprefix(".") if gate else f"{name}.{parameter}".removeprefix("."),
                module,
                parameter,
                role,
                gate or None,
                rows=(i * size, (i + 1) * size) if gate else None,
                biases=(f"bias_{key}{suffix}",),
            )


def _recurrent(name: str, module: Any) -> Iterator[Slot]:
    for layer in range(module.num_layers):
        for direction in ("", "_reverse")[: 1 + module.bidirectional]:
            suffix = f"_l{layer}{direction}"
            yield from _gates(name, module, suffix)
            if module.proj_size:
                yield Slot(f"{name}.weight_hr{suffix}".removeprefix("."), module, f"weight_hr{suffix}", "projection")


def _cell(name: str, module: Any) -> Iterator[Slot]:
    yield from _gates(name, module, "")


def _attention(name: str, module: Any) -> Iterator[Slot]:
    """Yield query, key and value; the output projection is a Linear of its own."""
    size = module.embed_dim
    for i, role in enumerate(("query", "key", "value")):
        rows, biases = (i * size, (i + 1) * size), ("in_proj_bias",)
        if module._qkv_same_embed_dim:
            key = f"{name}.in_proj_weight[{role}]".removeprefix(".")
            yield Slot(key, module, "in_proj_weight", role, rows=rows, biases=biases)
        else:
            parameter = f"{role[0]}_proj_weight"
            # one bias for all three, set with the first
            yield Slot(f"{name}.{parameter}".removeprefix("."), module, parameter, role, biases=biases[: not i])


KINDS: dict[tuple[type[nn.Module], ...], Callable[[str, Any], Iterator[Slot]]] = {
    (nn.Linear, *CONVOLUTIONS, *TRANSPOSED): _one,
    (nn.Bilinear,): _bilinear,
    (nn.Embedding, nn.EmbeddingBag): _lookup,
    (nn.RNNBase,): _recurrent,
    (nn.RNNCellBase,): _cell,
    (nn.MultiheadAttention,): _attention,
}


def slots_of(name: str, module: nn.Module) -> Iterator[Slot]:
    """Yield the weight matrices that one module itself holds."""
    for types, find in KINDS.items():
        if isinstance(module, types):
            yield from find(name, module)
            return


def weight_slots(model: nn.Module) -> tuple[Slot, ...]:
    """Return every weight matrix of a net in the order of its modules; a module that occurs twice counts once.

    Linear and (transposed) convolutional layers, each gate of LSTM, GRU and RNN, query, key, value and output of
    `MultiheadAttention`, embeddings, and bilinear layers.

    Examples
    --------
    >>> [(slot.name, slot.kind, slot.fan_in) for slot in weight_slots(nn.Sequential(nn.Conv1d(3, 8, 5)))]
    [('0', 'Conv1d', 15)]
    >>> [slot.name for slot in weight_slots(nn.GRU(3, 4))][:2]
    ['weight_ih_l0[reset]', 'weight_ih_l0[update]']
    """
    return tuple(slot for name, module in model.named_modules() for slot in slots_of(name, module))
