"""Optimizers by name: which weights each moves, and a step that the device itself can leave out."""

from collections.abc import Callable, Container, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase  # of batch and instance norms, running or not

from sciml.errors import ConfigError
from sciml.train.config import TrainConfig

__all__ = ["OPTIMIZERS", "Optimizer", "make_optimizer"]

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
MATRICES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)  # layers whose weight is a matrix, or one by its rows
FUSED = ["cpu", "cuda", "xpu", "mps"]  # devices whose fused optimizers leave out a step that `found_inf` marks


class Optimizer:
    """Optimizers of torch that take one step together; each weight belongs to one of them.

    Parameters
    ----------
    parts
        The optimizers.
    parameters
        All weights that they move.

    Examples
    --------
    >>> net = nn.Linear(2, 1)
    >>> optimizer = make_optimizer(net, TrainConfig(optimizer="sgd", lr=0.1))
    >>> before = net.weight.detach().clone()
    >>> net(torch.ones(1, 2)).sum().backward()
    >>> optimizer.step(torch.tensor(True))  # left out
    >>> bool((net.weight == before).all())
    True
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer], parameters: Sequence[nn.Parameter]) -> None:
        self.parts, self.parameters = list(parts), list(parameters)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """All weights as one group: what a `torch.amp.GradScaler` asks for."""
        return [{"params": self.parameters}]

    @property
    def gradients(self) -> list[torch.Tensor]:
        """The gradients that there are."""
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def set_rate(self, lr: float) -> None:
        """Set the step size."""
        for group in chain.from_iterable(part.param_groups for part in self.parts):
            group["lr"] = lr

    def step(self, left_out: torch.Tensor) -> None:
        """Take a step, or leave weights and state as they are where `left_out`, shape (), is true."""
        for part in self.parts:
            if part.defaults.get("fused"):
                part.found_inf = left_out.float()  # type: ignore[attr-defined]  # as a GradScaler sets it
                part.step()
            else:
                _step_or_not(part, left_out)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each of the optimizers."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a stored state."""
        for part, stored in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(stored)


class MatrixMuon(torch.optim.Muon):
    """Muon for weights of any dims, each as the matrix of its rows: a kernel (out, in, time) as (out, in * time).

    torch's own takes matrices alone. The matrices share the memory of the weights.
    """

    def __init__(self, weights: Sequence[nn.Parameter], **options: Any) -> None:
        self.weights = list(weights)
        self.matrices = [weight.detach().view(len(weight), -1) for weight in self.weights]
        super().__init__(self.matrices, **options)

    def step(self, closure: Any = None) -> Any:
        """Take a step by the gradients of the weights."""
        for weight, matrix in zip(self.weights, self.matrices, strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.reshape(matrix.shape)
        return super().step(closure)  # type: ignore[no-untyped-call]


def make_optimizer(model: nn.Module, config: TrainConfig) -> Optimizer:
    """Return the optimizer of a configuration for the weights of a model that require a gradient.

    Weights of norms and biases are not decayed.

    Raises
    ------
    ConfigError
        There is no such weight.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1))
    >>> [type(part).__name__ for part in make_optimizer(net, TrainConfig(optimizer="muon")).parts]
    ['MatrixMuon', 'AdamW']
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ConfigError("expected a model with parameters to train, got none that requires a gradient")
    return Optimizer(OPTIMIZERS[config.optimizer](model, config), parameters)


def _adamw(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Return AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2)."""
    return [_adamw_of(_groups(model, config), config)]


def _sgd(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Return SGD with the momentum of Nesterov."""
    groups, momentum = _groups(model, config), config.momentum
    found = torch.optim.SGD(groups, lr=config.lr, momentum=momentum, nesterov=momentum > 0, fused=_fused(groups))
    if momentum > 0:
        for parameter in chain.from_iterable(group["params"] for group in groups):
            # a first step that is left out would leave memory that nothing was written to
            found.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return [found]


def _muon(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Return Muon for the hidden matrices, and AdamW for the rest.

    Its steps are scaled to the size of those of AdamW (Liu et al. 2025, arXiv:2502.16982, eq. 4), so that one `lr` and
    one `weight_decay` hold for both. A kernel is the matrix of its rows, as in Jordan et al. (2024).
    """
    inner = inner_matrices(model)
    own = {id(weight) for weight in inner}
    rest = _groups(model, config, without=own)
    settings = {"lr": config.lr, "weight_decay": config.weight_decay, "momentum": config.momentum}
    muon = [MatrixMuon(inner, **settings, adjust_lr_fn="match_rms_adamw")] if inner else []
    return [*muon, *([_adamw_of(rest, config)] if rest else [])]


OPTIMIZERS: dict[str, Callable[[nn.Module, TrainConfig], list[torch.optim.Optimizer]]] = {
    "adamw": _adamw,
    "sgd": _sgd,
    "muon": _muon,
}


def inner_matrices(model: nn.Module) -> list[nn.Parameter]:
    """Return the weights of the linear and convolution layers between the first and the last, as the model lists them.

    Convolutions in groups are left out: their rows do not act on the same inputs.

    Examples
    --------
    >>> [tuple(w.shape) for w in inner_matrices(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4), nn.Linear(4, 1)))]
    [(4, 3)]
    """
    found_in = (module for module in model.modules() if isinstance(module, MATRICES))
    # a weight that a parametrization computes is no parameter: what it is computed from is left to AdamW
    layers = [module for module in found_in if "weight" in module._parameters and module.weight.requires_grad]
    outer = {id(layer.weight) for layer in (*layers[:1], *layers[-1:])}  # also where another layer shares their weight
    found: dict[int, Any] = {id(layer.weight): layer.weight for layer in layers if _is_matrix(layer)}
    return [weight for key, weight in found.items() if key not in outer]


def _is_matrix(layer: nn.Module) -> bool:
    weight: Any = layer.weight
    return getattr(layer, "groups", 1) == 1 and weight.is_contiguous() and weight.is_floating_point()


def _groups(model: nn.Module, config: TrainConfig, *, without: Container[int] = ()) -> list[Any]:
    """Return the weights that decay and those that do not."""
    norms = {id(p) for module in model.modules() if isinstance(module, NORMS) for p in module.parameters()}
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad and id(p) not in without}
    kept = [p for name, p in trained.items() if p.ndim <= 1 or id(p) in norms or _is_bias(name)]
    unique = {id(p) for p in kept}
    decayed = [p for p in trained.values() if id(p) not in unique]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _is_bias(name: str) -> bool:
    return name.rpartition(".")[2].startswith("bias")


def _adamw_of(groups: list[Any], config: TrainConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=config.lr, fused=_fused(groups))


def _fused(groups: list[Any]) -> bool:
    """Return whether the fused form of an optimizer takes the weights."""
    parameters = chain.from_iterable(group["params"] for group in groups)
    return all(each.device.type in FUSED and each.is_floating_point() for each in parameters)


def _step_or_not(optimizer: torch.optim.Optimizer, left_out: torch.Tensor) -> None:
    """Take a step, and put back weights and state where it is left out: what has no fused form."""
    before = {id(tensor): tensor.clone() for tensor in _tensors(optimizer)}
    optimizer.step()
    with torch.no_grad():
        for tensor in _tensors(optimizer):
            old = before.get(id(tensor))
            old = torch.zeros_like(tensor) if old is None else old  # a state begins at zero with the first step
            tensor.copy_(torch.where(left_out, old, tensor))


def _tensors(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Return the weights of an optimizer and its state on their device; a count of steps may be elsewhere."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state = [value for each in optimizer.state.values() for value in each.values() if isinstance(value, torch.Tensor)]
    return [*weights, *(value for value in state if value.device == weights[0].device)]
