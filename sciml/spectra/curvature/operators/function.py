"""A model as a function of its parameters, that leaves no trace on the model."""

import functools
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from sciml.errors import ConfigError, NumericalError
from sciml.spectra.curvature.operators.batches import Batch, accepted
from sciml.spectra.curvature.operators.parameters import Blocks, Layout, layout

__all__ = ["Function", "differentiable"]


class Function:
    """Outputs of a model on a batch, as a function of named parameters.

    Mode, buffers, `.grad`, `requires_grad` and the global seeds of the model are as they were after each call: in
    training mode, running statistics are updated in copies. What is random (dropout) is drawn from (seed, batch), the
    same in every pass.
    """

    def __init__(self, model: nn.Module, subset: Any, blocks: Blocks, *, training: bool, seed: int) -> None:
        self.model = _plain(model)
        if isinstance(self.model, FSDPModule):
            self.model.reshard()  # FSDP leaves the outermost parameters whole after a forward pass
        self.named = dict(self.model.named_parameters())
        self.sharded = any(isinstance(each, DTensor) for each in self.named.values())
        self.layout: Layout = layout(self.named, subset, blocks)
        self.training = training
        self.seed = seed
        self.versions = self._versions()
        self.recurrent = any(isinstance(module, nn.RNNBase) for module in self.model.modules())
        self.parameters: list[Tensor] = []
        self.fixed: dict[str, Tensor] = {}
        self.device = _local(self.named[self.layout.names[0]]).device
        self.dtype = _widest(self.named[name].dtype for name in self.layout.names)
        if not self.sharded:
            self.gather()

    @property
    def group(self) -> Any:
        """The processes that hold the parameters in parts; None where this process holds them whole."""
        for each in self.named.values():
            if isinstance(each, DTensor):
                return each.device_mesh.get_group(0)
        return None

    def gather(self) -> None:
        """Take the parameters, whole, as leaves of a graph, in the model's memory if it holds them whole."""
        whole = {name: _whole(each) for name, each in self.named.items()}
        self.parameters = [whole.pop(name).requires_grad_(True) for name in self.layout.names]
        self.fixed = whole

    def release(self) -> None:
        """Let go of the whole parameters."""
        self.parameters, self.fixed = [], {}

    def _versions(self) -> list[tuple[int, int]]:
        return [(_local(each).data_ptr(), _local(each)._version) for each in self.named.values()]

    def check_unchanged(self) -> None:
        """Raise if the parameters are no longer those that the operator was made of."""
        if self._versions() != self.versions:
            raise ConfigError("the model's parameters have changed since this operator was made; make it again")

    def __call__(self, batch: Batch, index: int) -> Tensor:
        """Return the outputs of a batch, with their graph."""
        values = {**self.fixed, **dict(zip(self.layout.names, self.parameters, strict=True))}
        values.update({name: each.clone() for name, each in self.model.named_buffers()} if self.training else {})
        with torch.random.fork_rng(devices=_devices(self.device)), self._mode():
            torch.manual_seed(self.seed + index)
            with accepted("model", inputs=batch.inputs):
                output = functional_call(self.model, values, *_arguments(batch.inputs))
        if not isinstance(output, Tensor) or output.ndim == 0 or len(output) != batch.n_items:
            shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ConfigError(
                f"expected a model that returns a tensor of {batch.n_items} items, one an input, got {shape}; wrap the "
                "model in a module that returns the tensor the loss is of"
            )
        return output

    @contextmanager
    def _mode(self) -> Iterator[None]:
        before = {module: module.training for module in self.model.modules()}
        try:
            self.model.train(self.training)
            yield
        finally:
            for module, mode in before.items():
                module.training = mode

    def kernels(self) -> ExitStack:
        """Return a context in which operations have second derivatives where a slower kernel has them."""
        stack = ExitStack()
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if self.recurrent and self.device.type == "cuda":
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        return stack


def _plain(model: nn.Module) -> nn.Module:
    """Return the module inside what compiles or distributes it: those forbid second derivatives."""
    model = getattr(model, "_orig_mod", model)
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel) else model


def _local(parameter: Tensor) -> Tensor:
    return parameter._local_tensor if isinstance(parameter, DTensor) else parameter


def _whole(parameter: Tensor) -> Tensor:
    if isinstance(parameter, DTensor):
        with torch.no_grad():
            return parameter.full_tensor().detach()
    return parameter.detach()


def _widest(dtypes: Iterable[torch.dtype]) -> torch.dtype:
    return functools.reduce(torch.promote_types, dtypes)


def _devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, dict):
        return (), inputs
    return (tuple(inputs) if isinstance(inputs, list | tuple) else (inputs,)), {}


@contextmanager
def differentiable(what: str) -> Iterator[None]:
    """Say what torch cannot differentiate, and what to do about it."""
    try:
        yield
    except RuntimeError as error:
        words = ("is not implemented", "once_differentiable", "does not currently support double backward")
        if isinstance(error, NumericalError) or not any(word in str(error) for word in words):
            raise
        first = str(error).splitlines()[0]
        raise ConfigError(
            f"{what} needs a derivative that an operation of the model does not have ({first}); replace that operation "
            "by one made of differentiable parts, or use gauss_newton, which needs first derivatives alone"
        ) from error
