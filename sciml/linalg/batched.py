"""Many small matrices at once, as torch tensors on CPU threads or on a GPU: the same calls for both.

torch is imported when a function here is called, not before: who only reads recordings never waits for it.
Shapes: `(batch, row, column)`; eigenvalues descend.
"""

import importlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sciml._typing import AnyArray
from sciml.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor as Tensor

__all__ = [
    "check_device",
    "cholesky",
    "double",
    "eigh",
    "eigvalsh",
    "inverse_lower",
    "ordered_map",
    "scatter_matrix",
    "stack",
    "sum_rows",
    "take_rows",
    "to_numpy",
    "to_tensor",
]

Task = TypeVar("Task")
Result = TypeVar("Result")


def _torch() -> Any:
    return importlib.import_module("torch")


def check_device(name: str | None) -> str:
    """Return the name of a device that this machine has; None is the CPU.

    Raises
    ------
    ConfigError
        torch does not know such a device, or the machine lacks it.

    Examples
    --------
    >>> check_device(None)
    'cpu'
    """
    torch = _torch()
    try:
        device = torch.device("cpu" if name is None else name)
    except RuntimeError as error:
        raise ConfigError(f"expected a device as 'cpu', 'cuda' or 'cuda:1', got {name!r}") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"expected a device of this machine, got {name!r} with {torch.cuda.device_count()} GPUs here")
    return str(device)


def to_tensor(values: AnyArray, device: str = "cpu") -> "Tensor":
    """Return an array as a tensor on a device; on the CPU they share their memory.

    Examples
    --------
    >>> tuple(to_tensor(np.zeros((2, 3))).shape)
    (2, 3)
    """
    return _torch().from_numpy(values).to(device)  # type: ignore[no-any-return]


def to_numpy(values: "Tensor") -> AnyArray:
    """Return a tensor as an array in the memory of the CPU.

    Examples
    --------
    >>> to_numpy(to_tensor(np.array([1.0, 2.0])))
    array([1., 2.])
    """
    return np.asarray(values.cpu().numpy())


def double(values: "Tensor") -> "Tensor":
    """Return values in double precision.

    Examples
    --------
    >>> double(to_tensor(np.ones(1, np.float32))).dtype
    torch.float64
    """
    torch = _torch()
    return values.to(torch.complex128 if values.is_complex() else torch.float64)


def stack(columns: "Sequence[Tensor]") -> "Tensor":
    """Return tensors of one shape side by side along a new last axis.

    Examples
    --------
    >>> stack([to_tensor(np.zeros(2)), to_tensor(np.ones(2))]).tolist()
    [[0.0, 1.0], [0.0, 1.0]]
    """
    return _torch().stack(list(columns), -1)  # type: ignore[no-any-return]


def scatter_matrix(X: "Tensor", *, rows: bool) -> "Tensor":
    """Return X X^H (`rows`) or X^H X of every matrix of a batch.

    Examples
    --------
    >>> scatter_matrix(to_tensor(np.ones((5, 2, 3))), rows=True)[0].tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """
    return X @ X.mH if rows else X.mH @ X


def eigvalsh(G: "Tensor") -> "Tensor":
    """Return the eigenvalues (batch, n) of Hermitian matrices (batch, n, n), largest first.

    Examples
    --------
    >>> eigvalsh(to_tensor(np.diag([1.0, 4.0])[None])).tolist()
    [[4.0, 1.0]]
    """
    return _torch().linalg.eigvalsh(G).flip(-1)  # type: ignore[no-any-return]


def eigh(G: "Tensor") -> tuple["Tensor", "Tensor"]:
    """Return eigenvalues (batch, n) and eigenvectors (batch, n, n) as columns, largest first.

    Examples
    --------
    >>> values, vectors = eigh(to_tensor(np.diag([1.0, 4.0])[None]))
    >>> values.tolist(), vectors[0].abs().tolist()
    ([[4.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]])
    """
    values, vectors = _torch().linalg.eigh(G)
    return values.flip(-1), vectors.flip(-1)


def cholesky(G: "Tensor") -> "Tensor":
    """Return the lower Cholesky factors of positive-definite matrices (batch, n, n): G = L L^H.

    Examples
    --------
    >>> cholesky(to_tensor(np.diag([4.0, 9.0]))).tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    return _torch().linalg.cholesky(G)  # type: ignore[no-any-return]


def inverse_lower(L: "Tensor") -> "Tensor":
    """Return the inverses of lower triangular matrices (batch, n, n).

    Examples
    --------
    >>> inverse_lower(to_tensor(np.array([[2.0, 0.0], [1.0, 1.0]]))).tolist()
    [[0.5, 0.0], [-0.5, 1.0]]
    """
    eye = L.new_ones(L.shape[-1]).diag()
    return _torch().linalg.solve_triangular(L, eye, upper=False)  # type: ignore[no-any-return]


def take_rows(values: "Tensor", index: "Tensor") -> "Tensor":
    """Return `values[index]`, several times faster than indexing does it.

    Examples
    --------
    >>> take_rows(to_tensor(np.arange(3.0)), to_tensor(np.array([[2, 0]]))).tolist()
    [[2.0, 0.0]]
    """
    return values.index_select(0, index.flatten()).reshape(*index.shape, *values.shape[1:])


def sum_rows(values: "Tensor", source: "Tensor", first: "Tensor", weights: "Tensor | None" = None) -> "Tensor":
    r"""Return sums of rows of a table: row i of the result is the sum over its part of `source`.

    .. math:: R_i = \sum_{j = f_i}^{f_{i+1} - 1} w_j\, V_{s_j}

    A scatter-add turned around, so that it is deterministic and fast on both CPU and GPU.

    Parameters
    ----------
    values
        V, shape (n_rows, n_columns), real or complex.
    source
        Row numbers s, those of one result after those of the one before.
    first
        Where the part f_i of each result begins in `source`.
    weights
        Real weights w of `source`; default ones.

    Examples
    --------
    >>> table = to_tensor(np.array([[1.0], [10.0], [100.0]]))
    >>> sum_rows(table, to_tensor(np.array([0, 2, 1])), to_tensor(np.array([0, 2]))).tolist()
    [[101.0], [10.0]]
    """
    torch = _torch()
    table = torch.view_as_real(values).flatten(-2) if values.is_complex() else values
    summed = torch.nn.functional.embedding_bag(source, table, first, mode="sum", per_sample_weights=weights)
    return torch.view_as_complex(summed.unflatten(-1, (-1, 2))) if values.is_complex() else summed  # type: ignore[no-any-return]


def ordered_map(
    function: Callable[[Task], Result], tasks: Iterable[Task], *, device: str = "cpu", workers: int | None = None
) -> Iterator[Result]:
    """Yield `function(task)` in order, computed on all cores (on a GPU one after the other).

    torch and LAPACK work through a batch of small matrices one by one, on one core. Here each worker takes a batch of
    its own, and torch's threads are held at one meanwhile. At most two tasks a worker are in flight, so that results
    do not pile up.

    Examples
    --------
    >>> list(ordered_map(lambda n: n * n, [1, 2, 3], workers=2))
    [1, 4, 9]
    """
    if device != "cpu":
        yield from map(function, tasks)
        return
    count = workers or _n_cores()
    with _SINGLE_THREADED, ThreadPoolExecutor(count) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(function, task))
                if len(waiting) >= 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class _SingleThreaded:
    """Holds torch at one thread while anyone is inside, and gives the threads back when the last has left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 1

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = _torch().get_num_threads()
            self._inside += 1
            _torch().set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                _torch().set_num_threads(self._before)


_SINGLE_THREADED = _SingleThreaded()


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
