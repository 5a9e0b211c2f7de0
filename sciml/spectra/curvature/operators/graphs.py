"""The graph of one batch from which products come: Hessian, Gauss-Newton, sums of squared gradients, Jacobians."""

import warnings
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.autograd import grad

__all__ = ["Graph", "HessianGraph", "JacobianGraph", "check_differentiable", "loss_curvature", "of_vectors"]

Tensors = list[Tensor]


class Graph(Protocol):
    """What one batch adds to a product: maps vectors, as tensors of the parameters' shapes, to the same.

    `first` are the first derivatives, of which products are derivatives.
    """

    first: Tensors

    def product(self, vectors: Tensors) -> Tensors:
        """Return the product with one vector."""

    def block_product(self, vectors: Tensors, members: Sequence[int]) -> Tensors:
        """Return the part of a block times the part of one vector in it."""


def _derivative(outputs: Tensors, inputs: Tensors, vectors: Tensors, *, create: bool = False) -> Tensors:
    """Return sum_i v_i d outputs_i / d inputs; zeros where nothing depends."""
    pairs = [(out, vector.to(out.dtype)) for out, vector in zip(outputs, vectors, strict=True) if out.requires_grad]
    if not pairs:
        return [torch.zeros_like(each) for each in inputs]
    found = grad(
        [out for out, _ in pairs],
        inputs,
        [vector for _, vector in pairs],
        retain_graph=True,
        create_graph=create,
        allow_unused=True,
        materialize_grads=True,
    )
    return list(found)


class HessianGraph:
    """The gradient of a batch's loss with its graph: products by double backward."""

    def __init__(self, loss: Tensor, parameters: Tensors) -> None:
        self.parameters = parameters
        self.first = _derivative([loss], parameters, [torch.ones_like(loss)], create=True)

    def product(self, vectors: Tensors) -> Tensors:
        """Return H v."""
        return _derivative(self.first, self.parameters, vectors)

    def block_product(self, vectors: Tensors, members: Sequence[int]) -> Tensors:
        """Return H_bb v_b."""
        chosen = [self.parameters[i] for i in members]
        return _derivative([self.first[i] for i in members], chosen, [vectors[i] for i in members])


class JacobianGraph:
    r"""J of a batch's values z and a middle M: products J^T M J v, by double backward.

    J v is the derivative of J^T u with respect to u, which does not depend on u: the forward pass and the graph of
    J^T u are kept, and each product takes four matrix products a layer.

    Parameters
    ----------
    values
        z, any shape, with its graph.
    middle
        Maps J v to M J v; None is the identity.
    """

    def __init__(self, values: Tensor, parameters: Tensors, middle: Callable[[Tensor], Tensor] | None = None) -> None:
        self.values = values
        self.parameters = parameters
        self.middle = middle
        self.dummy = torch.zeros_like(values, requires_grad=True)
        self.first = _derivative([values], parameters, [self.dummy], create=True)

    def forward(self, vectors: Tensors, members: Sequence[int] | None = None) -> Tensor:
        """Return J v, of the shape of z."""
        chosen = range(len(vectors)) if members is None else members
        return _derivative([self.first[i] for i in chosen], [self.dummy], [vectors[i] for i in chosen])[0]

    def backward(self, values: Tensor, members: Sequence[int] | None = None) -> Tensors:
        """Return J^T u."""
        chosen = self.parameters if members is None else [self.parameters[i] for i in members]
        return _derivative([self.values], chosen, [values])

    def product(self, vectors: Tensors) -> Tensors:
        """Return J^T M J v."""
        return self.backward(self._middle(self.forward(vectors)))

    def block_product(self, vectors: Tensors, members: Sequence[int]) -> Tensors:
        """Return J_b^T M J_b v_b."""
        return self.backward(self._middle(self.forward(vectors, members)), members)

    def _middle(self, values: Tensor) -> Tensor:
        return values if self.middle is None else self.middle(values)


def check_differentiable(first: Tensors) -> None:
    """Raise where a first derivative has no derivative itself: torch would leave that part out without a word."""
    pending = [each.grad_fn for each in first if each.grad_fn is not None]
    met = set(pending)
    while pending:
        node = pending.pop()
        if type(node).__name__ == "Error":
            raise RuntimeError("a function marked once_differentiable")
        new = {each for each, _ in node.next_functions if each is not None} - met
        met |= new
        pending += new


def loss_curvature(output: Tensor, total: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return the product with the Hessian of a loss with respect to the outputs."""
    z = output.detach().requires_grad_(True)
    slope = _derivative([total(z)], [z], [torch.ones((), dtype=z.dtype, device=z.device)], create=True)
    return lambda values: _derivative(slope, [z], [values])[0]


def of_vectors(function: Callable[[Tensors], Tensors], vectors: Tensors, *, together: bool) -> Tensors:
    """Return a product for vectors (k, ...): together by `vmap`, or one after the other."""
    if together:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop")
            found: Tensors = list(torch.func.vmap(lambda each: tuple(function(list(each))))(tuple(vectors)))
        return found
    columns = [function([each[i] for each in vectors]) for i in range(len(vectors[0]))]
    return [torch.stack(parts) for parts in zip(*columns, strict=True)]
