"""A curvature matrix as what it does to vectors, summed over a data set."""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from sciml.errors import ConfigError, DataError
from sciml.spectra.curvature.operators.batches import Batch, as_batches
from sciml.spectra.curvature.operators.function import Function, differentiable
from sciml.spectra.curvature.operators.graphs import Graph, check_differentiable, loss_curvature, of_vectors
from sciml.spectra.curvature.operators.losses import Loss, as_loss
from sciml.spectra.curvature.operators.memory import Allocated, available
from sciml.spectra.curvature.operators.parameters import Blocks, Layout
from sciml.spectra.curvature.operators.processes import Processes
from sciml.wording import quantity

__all__ = ["Cost", "CurvatureOperator", "Options", "Term"]

AT_ONCE = 8  # vectors in one product; their graphs lie side by side in memory
DENSE = 5000  # most rows of a matrix that is written out
NOTHING = "expected data with items of positive weight, got none"


class Options(TypedDict, total=False):
    """What every operator takes.

    Attributes
    ----------
    parameters
        Names or patterns ("head.*") of the parameters; default all that require a gradient.
    blocks
        Zeros between blocks: "parameter", "layer", or names of blocks with the parameters in each.
    training
        Whether the model is in training mode: batch statistics of each batch, dropout drawn once. Default evaluation.
    batch_size
        Of data that are not in batches yet; default 128.
    memory
        Bytes that graphs may take: those of the batches that fit are kept between products, the others are built again
        each time. Default a part of what is free; 0 keeps none.
    group
        Processes that share the work, such as `torch.distributed.group.WORLD` under `torchrun`: every process is given
        the same model and data and takes every n-th batch. Default this process alone; a model whose parameters are
        sharded (FSDP2) brings its own.
    seed
        Of dropout and of data sets that draw at random: the same in every pass.
    """

    parameters: Any
    blocks: Blocks
    training: bool
    batch_size: int
    memory: int | None
    group: Any
    seed: int


@dataclass(frozen=True)
class Term:
    """What one batch brings: its graph, its summed loss, the weight of its items, and its summed gradient if known."""

    graph: Graph
    loss: float
    weight: float
    gradient: list[Tensor] | None = None


@dataclass(frozen=True)
class Cost:
    """What products will cost, measured on the first batch.

    Attributes
    ----------
    seconds
        Of one product.
    graph_bytes
        Of all graphs, if all were kept.
    memory
        Bytes that graphs may take.
    vector_bytes
        Of one vector.
    """

    seconds: float
    graph_bytes: int
    memory: int
    vector_bytes: int

    @property
    def kept_fraction(self) -> float:
        """Part of the data whose graphs are kept."""
        return min(1.0, self.memory / self.graph_bytes) if self.graph_bytes else 1.0

    def summary(self, n_products: int = 20) -> str:
        """Return time and memory of a number of products."""
        used = min(self.memory, self.graph_bytes) + n_products * self.vector_bytes
        return (
            f"{n_products} products: about {quantity(n_products * self.seconds, 's', digits=2)} and "
            f"{used / 2**20:,.0f} MiB (graphs of {100 * self.kept_fraction:.0f} % of the data kept)"
        )


Build = Callable[[Function, Loss, Batch, int], Term]


class CurvatureOperator:
    r"""A symmetric matrix (n, n) over the parameters, as its products: A = (1 / W) sum over batches.

    `operator @ V` takes a vector (n,) or vectors (n, k), as tensors or NumPy arrays. Parameters lie in `names` in the
    order of the model; `split` gives a vector back as tensors by name. Batches count by the weight of what is in them,
    whatever their size, and every pass sees the same. The model is not changed, and must not change while the operator
    is used.

    Attributes
    ----------
    kind
        "Hessian", "Gauss-Newton matrix", ...
    shape
        (n, n), n the number of values in the parameters.
    n_samples
        Number of items in the data.
    n_products
        Vectors multiplied so far.
    """

    def __init__(self, kind: str, model: nn.Module, loss: Any, data: Any, build: Build, options: Options) -> None:
        self.kind = kind
        self.loss_function = as_loss(loss)
        self.options = options
        seed = options.get("seed", 0)
        self.function = Function(
            model,
            options.get("parameters"),
            options.get("blocks"),
            training=options.get("training", False),
            seed=seed,
        )
        self.processes = Processes(options.get("group"), self.function)
        self.batches = as_batches(data, batch_size=options.get("batch_size", 128), seed=seed)
        self.own_part = self.processes.is_own_part(data)
        self.n_products = 0
        self._build = build
        self._kept: dict[int, Term] = {}
        self._sums: _Sums | None = None
        self._together = True

    def __repr__(self) -> str:
        return f"<{self.kind} of {self.layout.n:,} parameters over {self.n_samples:,} samples>"

    @property
    def layout(self) -> Layout:
        """How the parameters lie in a vector."""
        return self.function.layout

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of a vector."""
        return self.layout.names

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return self.layout.n, self.layout.n

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of vectors."""
        return self.function.dtype

    @property
    def device(self) -> torch.device:
        """Device of vectors."""
        return self.function.device

    @property
    def n_samples(self) -> int:
        """Number of items in the data."""
        return self._prepared().n_samples

    @property
    def loss(self) -> float:
        """Loss over the data."""
        sums = self._prepared()
        return sums.loss / sums.divisor(self.loss_function)

    @property
    def gradient(self) -> Tensor:
        """Gradient (n,) of the loss over the data."""
        sums = self._prepared()
        if sums.gradient is None:
            sums.gradient = self._gradient()
        return sums.gradient / sums.divisor(self.loss_function)

    def on(self, data: Any) -> "CurvatureOperator":
        """Return the same matrix over other data, of this process alone."""
        options = Options(**{**self.options, "group": None})
        return type(self)(self.kind, self.function.model, self.loss_function, data, self._build, options)

    def alone(self, what: str) -> None:
        """Refuse what is not made for several processes.

        Raises
        ------
        ConfigError
            The work is shared with other processes.
        """
        if self.processes.size > 1:
            raise ConfigError(
                f"expected one process for {what}, got {self.processes.size} that share the work; build the operator "
                "without a group, on one of them"
            )

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Return a vector (n,) as tensors by parameter name."""
        whole = self.processes.all_rows(torch.as_tensor(vector)[None])[0]
        return dict(zip(self.names, self.layout.split(whole), strict=True))

    def draw(self, n_columns: int, rng: np.random.Generator) -> Tensor:
        """Return standard normal vectors (n, n_columns)."""
        values = rng.standard_normal((self.layout.n, n_columns), dtype=np.float32)
        return self.processes.own_rows(torch.from_numpy(values).to(self.device, self.dtype))

    def __matmul__(self, block: Any, /) -> Any:
        """Return the product with a vector (n,) or vectors (n, k)."""
        if isinstance(block, np.ndarray):
            return (self @ torch.from_numpy(block)).double().cpu().numpy()
        vectors = block.to(self.device, self.dtype)
        if vectors.ndim == 1:
            return self._products(vectors[:, None])[:, 0]
        return self._products(vectors)

    def likely(self, rng: np.random.Generator) -> Tensor:
        r"""Return a random vector (n, 1) that holds eigenvectors of large eigenvalues: J^T M \xi, in one gradient.

        M is the curvature of the loss at the outputs, \xi standard normal, so that eigenvectors of the Gauss-Newton
        matrix weigh in it as their eigenvalues do.
        """
        seed = int(rng.integers(2**32))  # the same in every process
        total = torch.zeros(self.layout.n, dtype=self.dtype, device=self.device)
        with self.processes.gathered(self.function):
            for i, batch in self._own_batches():
                with self.function.kernels():
                    output = self.function(batch, i)
                    noise = np.random.default_rng((seed, i))
                    xi = torch.from_numpy(noise.standard_normal(tuple(output.shape))).to(output)
                    middle = loss_curvature(output, functools.partial(self._total, batch=batch))(xi)
                    total += self._pulled(output, middle)
        return self.processes.own_rows(self.processes.summed(total))[:, None]

    def _total(self, output: Tensor, batch: Batch) -> Tensor:
        return self.loss_function.total(output, batch.targets, batch.weights)[0]

    def _pulled(self, values: Tensor, vector: Tensor) -> Tensor:
        """Return J^T u of a batch."""
        at = self.function.parameters
        parts = torch.autograd.grad(values, at, vector, allow_unused=True, materialize_grads=True)
        return self.layout.join(parts).to(self.dtype)

    def inner_products(self, A: Tensor, B: Tensor) -> Any:
        """Return A^T B of vectors (n, k), as a NumPy array."""
        return self.processes.summed_parts(A.T @ B).double().cpu().numpy()

    def to_dense(self) -> Tensor:
        """Return the matrix (n, n), for n up to a few thousand."""
        n = self.layout.n
        if self.processes.sharded:
            raise ConfigError(
                "expected parameters that this process holds whole to write a matrix out, got sharded ones"
            )
        if n > DENSE:
            raise ConfigError(f"expected at most {DENSE} parameters to write a matrix out, got {n}; name fewer of them")
        matrix: Tensor = self @ torch.eye(n, dtype=self.dtype, device=self.device)
        return (matrix + matrix.T) / 2

    def cost(self) -> Cost:
        """Measure the first batch: what a product takes, and what graphs take in memory."""
        index, batch = next(self._own_batches(), (0, None))
        if batch is None:
            raise DataError(NOTHING)
        with self.processes.gathered(self.function):
            term, n_bytes, building = self._measured(batch, index)
            vectors = [torch.ones_like(each) for each in self.function.parameters]
            begin = time.perf_counter()
            with self.function.kernels(), differentiable(f"a {self.kind}"):
                term.graph.product(vectors)
            seconds = time.perf_counter() - begin
        n_items = sum(each.n_items for _, each in self._own_batches())
        whole = n_items / batch.n_items
        cost = Cost(seconds * whole, int(n_bytes * whole), self._memory(), 8 * self.layout.n)
        again = (1 - cost.kept_fraction) * building * whole
        return Cost(cost.seconds + again, cost.graph_bytes, cost.memory, self.layout.n * self.dtype.itemsize)

    # What follows is one pass over the data.

    def _memory(self) -> int:
        given = self.options.get("memory")
        return available(self.device) if given is None else given

    def _own_batches(self) -> Iterator[tuple[int, Batch]]:
        """Yield the batches of this process, each with its number."""
        for i, batch in enumerate(self.batches):
            if self.own_part or self.processes.takes(i):
                yield i, batch.to(self.device, self.dtype)

    def _term(self, batch: Batch, index: int) -> Term:
        with self.function.kernels(), differentiable(f"a {self.kind}"):
            return self._build(self.function, self.loss_function, batch, index)

    def _measured(self, batch: Batch, index: int) -> tuple[Term, int, float]:
        """Return a batch's term, its bytes and the seconds it took."""
        begin = time.perf_counter()
        if self.device.type == "cuda":
            before = torch.cuda.memory_allocated(self.device)
            term = self._term(batch, index)
            return term, torch.cuda.memory_allocated(self.device) - before, time.perf_counter() - begin
        with Allocated(self.function.parameters) as allocated:
            term = self._term(batch, index)
        return term, allocated.total, time.perf_counter() - begin

    def _prepared(self) -> "_Sums":
        """Pass once over the data: weights, loss, and the graphs that fit in memory."""
        if self._sums is not None:
            return self._sums
        sums, used, per_item, memory = _Sums(), 0.0, 0.0, self._memory()
        with self.processes.gathered(self.function):
            for i, batch in self._own_batches():
                if per_item:
                    term = self._term(batch, i)
                else:
                    term, n_bytes, _ = self._measured(batch, i)
                    with differentiable(f"a {self.kind}"):
                        check_differentiable(term.graph.first)
                    per_item = max(n_bytes, 1) / batch.n_items
                sums.add(term, batch, self.layout)
                used += per_item * batch.n_items
                if used <= memory and not self.processes.sharded:
                    self._kept[i] = term
        self._sums = sums.over(self.processes, self.device)
        if not self._sums.n_samples or not self._sums.weight > 0:
            raise DataError(NOTHING)
        return self._sums

    def _terms(self) -> Iterator[Term]:
        """Yield the terms of this process: those kept, the others built again."""
        missing = self._n_own() > len(self._kept)
        if not missing:
            yield from self._kept.values()
            return
        for i, batch in self._own_batches():
            yield self._kept[i] if i in self._kept else self._term(batch, i)

    def _n_own(self) -> int:
        return self._prepared().n_batches

    def _gradient(self) -> Tensor:
        total = torch.zeros(self.layout.n, dtype=self.dtype, device=self.device)
        with self.processes.gathered(self.function):
            for i, batch in self._own_batches():
                with self.function.kernels():
                    value = self._total(self.function(batch, i), batch)
                    total += self._pulled(value, torch.ones_like(value))
        return self.processes.own_rows(self.processes.summed(total))

    def _products(self, vectors: Tensor) -> Tensor:
        sums = self._prepared()
        self.function.check_unchanged()
        rows = self.processes.all_rows(vectors.T.contiguous())
        if rows.shape[1] != self.layout.n:
            raise ConfigError(f"expected vectors of {self.layout.n} values, got {rows.shape[1]}")
        total = torch.zeros_like(rows)
        with self.processes.gathered(self.function):
            for term in self._terms():
                for start in range(0, len(rows), AT_ONCE):
                    total[start : start + AT_ONCE] += self._of_batch(term, rows[start : start + AT_ONCE])
        self.n_products += len(rows)
        found = self.processes.summed(total).T / sums.divisor(self.loss_function)
        return self.processes.own_rows(found)

    def _of_batch(self, term: Term, rows: Tensor) -> Tensor:
        parts = self.layout.split(rows)
        with self.function.kernels(), differentiable(f"a {self.kind}"):
            if self._together and len(rows) > 1:
                try:
                    return self.layout.join(of_vectors(self._one(term.graph), parts, together=True), 1)
                except RuntimeError:
                    self._together = False  # an operation without a rule for several vectors at once
            return self.layout.join(of_vectors(self._one(term.graph), parts, together=False), 1)

    def _one(self, graph: Graph) -> Callable[[list[Tensor]], list[Tensor]]:
        blocks = self.layout.blocks
        if blocks is None:
            return graph.product

        def diagonal_blocks(vectors: list[Tensor]) -> list[Tensor]:
            found: dict[int, Tensor] = {}
            for members in blocks.values():
                found.update(zip(members, graph.block_product(vectors, members), strict=True))
            return [found[i] for i in range(len(vectors))]

        return diagonal_blocks


class _Sums:
    """Weights, loss and gradient summed over the data."""

    def __init__(self) -> None:
        self.n_samples = 0
        self.n_batches = 0
        self.loss = 0.0
        self.weight = 0.0
        self.gradient: Tensor | None = None

    def add(self, term: Term, batch: Batch, layout: Any) -> None:
        self.n_samples += batch.n_items
        self.n_batches += 1
        self.loss += term.loss
        self.weight += term.weight
        if term.gradient is not None:
            part = layout.join([each.detach() for each in term.gradient])
            self.gradient = part if self.gradient is None else self.gradient + part

    def divisor(self, loss: Loss) -> float:
        return self.weight if loss.mean else 1.0

    def over(self, processes: Processes, device: torch.device) -> "_Sums":
        """Return the sums over all processes."""
        numbers = processes.total([self.n_samples, self.loss, self.weight], device)
        self.n_samples, self.loss, self.weight = int(numbers[0]), numbers[1], numbers[2]
        if self.gradient is not None:
            self.gradient = processes.own_rows(processes.summed(self.gradient))
        return self
