"""The neural tangent kernel of a model on its data, as an operator over items and outputs."""

from collections.abc import Iterator
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from sciml.errors import ConfigError
from sciml.spectra.curvature.operators.batches import Batch, as_batches
from sciml.spectra.curvature.operators.function import Function, differentiable
from sciml.spectra.curvature.operators.graphs import JacobianGraph
from sciml.spectra.curvature.operators.memory import Allocated, available
from sciml.spectra.curvature.operators.operator import DENSE, Options

__all__ = ["TangentKernel", "ntk"]


class TangentKernel:
    r"""The matrix \Theta = J J^T over all outputs of all items, as its products.

    `kernel @ U` takes (m,) or (m, k) with m = items times outputs, the outputs of one item together.

    Attributes
    ----------
    shape
        (m, m).
    n_samples, n_outputs
        Items, and outputs of each.
    """

    kind = "neural tangent kernel"
    loss = float("nan")

    def __init__(self, model: nn.Module, data: Any, options: Options) -> None:
        seed = options.get("seed", 0)
        if options.get("group") is not None or options.get("blocks") is not None:
            raise ConfigError("expected no group and no blocks for the tangent kernel: it is a matrix over items")
        self.function = Function(
            model, options.get("parameters"), None, training=options.get("training", False), seed=seed
        )
        pairs = (data, torch.zeros(len(data))) if isinstance(data, Tensor) else data
        self.batches = as_batches(pairs, batch_size=options.get("batch_size", 128), seed=seed)
        given = options.get("memory")
        self.memory = available(self.device) if given is None else given
        self._kept: dict[int, JacobianGraph] = {}
        self._sizes: list[int] | None = None
        self.n_outputs = 0

    def __repr__(self) -> str:
        return f"<{self.kind} of {self.n_samples:,} samples and {self.n_outputs:,} outputs>"

    @property
    def shape(self) -> tuple[int, int]:
        """(m, m)."""
        m = sum(self._prepared()) * self.n_outputs
        return m, m

    @property
    def n_samples(self) -> int:
        """Number of items."""
        return sum(self._prepared())

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of vectors."""
        return self.function.dtype

    @property
    def device(self) -> torch.device:
        """Device of vectors."""
        return self.function.device

    def draw(self, n_columns: int, rng: np.random.Generator) -> Tensor:
        """Return standard normal vectors (m, n_columns)."""
        values = rng.standard_normal((self.shape[0], n_columns), dtype=np.float32)
        return torch.from_numpy(values).to(self.device, self.dtype)

    def __matmul__(self, block: Any, /) -> Any:
        """Return the product with (m,) or (m, k)."""
        if isinstance(block, np.ndarray):
            return (self @ torch.from_numpy(block)).double().cpu().numpy()
        vectors = block.to(self.device, self.dtype)
        if vectors.ndim == 1:
            return self._product(vectors)
        return torch.stack([self._product(column) for column in vectors.T], 1)

    def to_dense(self) -> Tensor:
        """Return the matrix (m, m), for m up to a few thousand."""
        m = self.shape[0]
        if m > DENSE:
            raise ConfigError(f"expected at most {DENSE} rows to write a matrix out, got {m}; give fewer samples")
        matrix: Tensor = self @ torch.eye(m, dtype=self.dtype, device=self.device)
        return (matrix + matrix.T) / 2

    def _prepared(self) -> list[int]:
        """Pass once over the data: sizes of batches, and the graphs that fit in memory."""
        if self._sizes is None:
            sizes, used, per_item = [], 0.0, 0.0
            for i, batch in enumerate(self.batches):
                with Allocated(self.function.parameters) as allocated:
                    graph = self._graph(batch.to(self.device, self.dtype), i)
                per_item = per_item or allocated.total / batch.n_items
                used += per_item * batch.n_items
                if used <= self.memory:
                    self._kept[i] = graph
                sizes.append(batch.n_items)
                self.n_outputs = graph.values.numel() // batch.n_items
            self._sizes = sizes
        return self._sizes

    def _graph(self, batch: Batch, index: int) -> JacobianGraph:
        with self.function.kernels(), differentiable("a tangent kernel"):
            return JacobianGraph(self.function(batch, index), self.function.parameters)

    def _graphs(self) -> Iterator[JacobianGraph]:
        if len(self._kept) == len(self._prepared()):
            yield from self._kept.values()
            return
        for i, batch in enumerate(self.batches):
            yield self._kept[i] if i in self._kept else self._graph(batch.to(self.device, self.dtype), i)

    def _product(self, vector: Tensor) -> Tensor:
        sizes = [n * self.n_outputs for n in self._prepared()]
        self.function.check_unchanged()
        parts = torch.split(vector, sizes)
        total = [torch.zeros_like(each) for each in self.function.parameters]
        for graph, part in zip(self._graphs(), parts, strict=True):
            with self.function.kernels():
                found = graph.backward(part.reshape(graph.values.shape))
            total = [a + b for a, b in zip(total, found, strict=True)]
        with self.function.kernels():
            return torch.cat([graph.forward(total).flatten() for graph in self._graphs()])


def ntk(model: nn.Module, data: Any, **options: Unpack[Options]) -> TangentKernel:
    r"""Return the neural tangent kernel of a model on some inputs, as an operator.

    .. math:: \Theta_{(i a)(j b)} = \nabla_\theta f_a(x_i) \cdot \nabla_\theta f_b(x_j)

    Its eigenvalues are, but for zeros, those of the Gauss-Newton matrix of half the squared error times the number of
    items. Gradient descent on that mean error is stable below a rate of 2 N / \lambda_max.

    Parameters
    ----------
    model
        As for `hessian`.
    data
        Inputs (n, ...), or whatever `as_batches` takes; targets are not used.
    **options
        As for `hessian`; blocks and groups of processes are not for it.

    References
    ----------
    Jacot, Gabriel, Hongler (2018), arXiv:1806.07572.

    Examples
    --------
    >>> X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> ntk(nn.Linear(2, 1, bias=False), X).to_dense().tolist()
    [[5.0, 11.0], [11.0, 25.0]]
    """
    return TangentKernel(model, data, options)
