r"""The kernels of wide nets, in blocks that stay within a memory limit."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sciml.errors import ConfigError, DataError, NumericalError
from sciml.theory.kernels.covariance import Covariance, input_covariance
from sciml.theory.kernels.nets import Conv, Dense, Flatten, MeanPool, Net, Residual, Step, check_net
from sciml.theory.kernels.recursion import Layout, Pools, State, propagate

__all__ = ["MEMORY", "KernelMatrices", "checked_inputs", "kernel_diagonal", "kernel_matrices", "nngp", "ntk"]

MEMORY = 2**30  # bytes of intermediate arrays
ARRAYS, PER_TAP = 40, 4  # arrays of a block that are held at once, and more for each tap of a convolution
BLOCK = 768  # rows of a block at most: arrays that stay in the cache
Scales: TypeAlias = tuple[Tensor, Tensor]
LARGEST = 600.0  # logarithm of what is still said as it is


@dataclass(frozen=True, eq=False, repr=False)
class KernelMatrices:
    """The kernels of a wide net between rows and columns.

    Attributes
    ----------
    nngp
        Covariance of an output of the net at its start, shape (rows, columns), divided by exp(`log_scale_nngp`).
    ntk
        Sum over the parameters of products of derivatives of an output, divided by exp(`log_scale_ntk`); None where it
        was not asked for.
    log_scale_nngp, log_scale_ntk
        0 where the kernel is representable as it is or was not to be normalized.
    """

    nngp: Tensor
    ntk: Tensor | None
    log_scale_nngp: float
    log_scale_ntk: float

    def summary(self) -> str:
        """Return the shape and the scales in one line."""
        scale = f"nngp / e^{self.log_scale_nngp:.4g}" if self.log_scale_nngp else "nngp"
        tangent = "" if self.ntk is None else f", ntk / e^{self.log_scale_ntk:.4g}" if self.log_scale_ntk else ", ntk"
        return f"{scale}{tangent} of {self.nngp.shape[0]} by {self.nngp.shape[1]} inputs"

    def to_dict(self) -> dict[str, Any]:
        """Return the matrices and the logarithms of their scales."""
        names = ("nngp", "ntk", "log_scale_nngp", "log_scale_ntk")
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        return f"KernelMatrices({self.summary()})"


def nngp(
    net: Net,
    X: ArrayLike | Tensor,
    Y: ArrayLike | Tensor | None = None,
    *,
    normalize: bool = False,
    memory: int = MEMORY,
) -> Tensor:
    r"""Return the covariance of the outputs of a wide net at its start, a Gaussian process (NNGP).

    .. math:: K_1 = \sigma_w^2\, x \cdot x' / d + \sigma_b^2, \qquad
              K_{l+1} = \sigma_w^2 E[\varphi(u)\varphi(u')] + \sigma_b^2, \quad (u, u') \sim N(0, K_l).

    Parameters
    ----------
    net
        Steps, as `fully_connected`, `residual` and `convolutional` return. Hyper-parameters may be tensors whose
        gradient is wanted.
    X, Y
        Inputs (sample, feature), or (sample, channel, time) for nets with convolutions; Y is X by default.
    normalize
        Divide by the value of the kernel at an input of ones, so that no depth and no weight variance overflow.
    memory
        Bytes of intermediate arrays at most; the result itself, 8 bytes a pair, comes on top.

    Raises
    ------
    ConfigError
        A net whose pre-activations are not Gaussian, or a memory limit below what one pair of inputs needs.
    DataError
        Inputs that are not finite, or of shapes that do not fit.
    NumericalError
        A kernel beyond floating point (above e^600 or below e^-600): use `normalize`.

    References
    ----------
    Lee, Bahri, Novak, Schoenholz, Pennington, Sohl-Dickstein (2018), arXiv:1711.00165, Eq. 4-5; convolutions: Novak et
    al. (2019), arXiv:1810.05148, Eq. 7; Garriga-Alonso, Rasmussen, Aitchison (2019), arXiv:1808.05587.

    Examples
    --------
    >>> from sciml.theory.kernels import fully_connected
    >>> x = np.sqrt(2.0) * np.eye(2)
    >>> nngp(fully_connected(1), x).numpy().round(6).tolist()
    [[2.0, 0.63662], [0.63662, 2.0]]
    """
    found = kernel_matrices(net, X, Y, tangent=False, normalize=normalize, memory=memory)
    return _representable(found.nngp, found.log_scale_nngp, normalize=normalize)


def ntk(
    net: Net,
    X: ArrayLike | Tensor,
    Y: ArrayLike | Tensor | None = None,
    *,
    normalize: bool = False,
    memory: int = MEMORY,
) -> Tensor:
    r"""Return the neural tangent kernel of a wide net: products of the derivatives of an output by all parameters.

    .. math:: \Theta_1 = K_1, \qquad \Theta_{l+1} = K_{l+1} + \sigma_w^2\, \Theta_l \circ E[\varphi'(u)\varphi'(u')]

    in the parametrisation W = σ_w w / √n, b = σ_b β with w, β ~ N(0, 1). Parameters and errors as in `nngp`.

    References
    ----------
    Jacot, Gabriel, Hongler (2018), arXiv:1806.07572, theorem 1; convolutions: Arora et al. (2019), arXiv:1904.11955.

    Examples
    --------
    >>> from sciml.theory.kernels import fully_connected
    >>> ntk(fully_connected(2), np.sqrt(2.0) * np.eye(2)).numpy().round(6).tolist()
    [[6.0, 1.371417], [1.371417, 6.0]]
    """
    found = kernel_matrices(net, X, Y, normalize=normalize, memory=memory)
    assert found.ntk is not None  # noqa: S101 - asked for
    return _representable(found.ntk, found.log_scale_ntk, normalize=normalize)


def kernel_matrices(
    net: Net,
    X: ArrayLike | Tensor,
    Y: ArrayLike | Tensor | None = None,
    *,
    tangent: bool = True,
    normalize: bool = False,
    memory: int = MEMORY,
) -> KernelMatrices:
    """Return both kernels of a wide net at once, divided by stated scales where they would overflow.

    Parameters and errors as in `nngp`, but a kernel beyond floating point is no error: its scale is then that of its
    largest value.

    Examples
    --------
    >>> from sciml.theory.kernels import fully_connected
    >>> found = kernel_matrices(fully_connected(1000, sigma_w2=10.0), np.eye(2))
    >>> found.log_scale_nngp > 1600, bool(found.nngp.isfinite().all())
    (True, True)
    """
    check_net(net)
    rows = checked_inputs(X, net)
    columns = rows if Y is None else checked_inputs(Y, net, like=rows)
    run = _Run(net, rows, columns, tangent, memory)
    scales = _scales(net, rows, run, normalize=normalize)
    matrices = run.matrices(scales, symmetric=Y is None)
    return KernelMatrices(*matrices, *(float(each.detach()) for each in scales))


def kernel_diagonal(
    net: Net, X: ArrayLike | Tensor, *, tangent: bool = False, normalize: bool = False, memory: int = MEMORY
) -> Tensor:
    """Return the diagonal of the NNGP (or tangent) kernel, shape (sample,); as in `nngp`.

    Examples
    --------
    >>> from sciml.theory.kernels import fully_connected
    >>> kernel_diagonal(fully_connected(3), np.ones((2, 4)), tangent=True).numpy().round(12).tolist()
    [8.0, 8.0]
    """
    check_net(net)
    rows = checked_inputs(X, net)
    run = _Run(net, rows, rows, tangent, memory)
    log = run.own_rows.ntk if tangent else run.own_rows.nngp
    assert log is not None  # noqa: S101 - asked for
    scale = _scales(net, rows, run, normalize=normalize)[1 if tangent else 0]
    return _representable(torch.exp(log - scale), float(scale.detach()), normalize=normalize)


@dataclass(frozen=True, eq=False)
class _Own:
    """What inputs have with themselves: logarithms of both kernels (sample,), and of those of pooled signals."""

    nngp: Tensor
    ntk: Tensor | None
    pools: tuple[Tensor, ...]

    def at(self, part: slice) -> list[Tensor]:
        return [each[part] for each in self.pools]


class _Run:
    """A net, its inputs, and the size of blocks that the memory allows."""

    def __init__(self, net: Net, rows: Tensor, columns: Tensor, tangent: bool, memory: int) -> None:
        self.net, self.rows, self.columns, self.tangent = net, rows, columns, tangent
        self.layout = Layout(rows.shape[2] if rows.ndim == 3 else 1, every=_has(net, MeanPool))
        self.block = self._block(memory)
        self.own_rows = self._own(rows)
        self.own_columns = self.own_rows if columns is rows else self._own(columns)

    def matrices(self, scales: Scales, *, symmetric: bool) -> tuple[Tensor, Tensor | None]:
        shape = len(self.rows), len(self.columns)
        found = [self.rows.new_empty(shape) for _ in range(2 if self.tangent else 1)]
        for row in _parts(shape[0], self.block):
            for column in _parts(shape[1], self.block):
                if symmetric and column.start < row.start:
                    continue
                for matrix, block in zip(found, self._values(row, column, scales), strict=True):
                    diagonal = symmetric and column.start == row.start
                    matrix[row, column] = (block + block.mT) / 2.0 if diagonal else block
                    if symmetric and not diagonal:
                        matrix[column, row] = block.mT
        return found[0], found[1] if self.tangent else None

    def _values(self, row: slice, column: slice, scales: Scales) -> tuple[Tensor, ...]:
        if torch.is_grad_enabled() and _wants_gradient(self.net):
            # A block is computed anew on the way back: only the results are held.
            found: tuple[Tensor, ...] = checkpoint(self._pairs, row, column, scales, use_reentrant=False)
            return found
        return self._pairs(row, column, scales)

    def _pairs(self, row: slice, column: slice, scales: Scales) -> tuple[Tensor, ...]:
        pools = Pools(self.own_rows.at(row), self.own_columns.at(column), records=False)
        covariance = self._between(self.rows[row], self.columns[column])
        end = propagate(self.net, State(covariance, None, self.layout, self.tangent, pools))
        kernels = (end.nngp, end.ntk) if self.tangent else (end.nngp,)
        return tuple(each.values(scale) for each, scale in zip(kernels, scales, strict=False) if each is not None)

    def _between(self, rows: Tensor, columns: Tensor) -> Covariance:
        if rows.ndim == 2:
            return input_covariance(rows, columns)
        if self.layout.every:
            return input_covariance(*(each.mT.flatten(0, 1) for each in (rows, columns)))
        return input_covariance(*(each.permute(2, 0, 1) for each in (rows, columns)))

    def _own(self, inputs: Tensor) -> _Own:
        """Follow inputs with themselves alone, few at a time."""
        found = [self._own_part(inputs[part]) for part in _parts(len(inputs), max(1, self.block))]
        tangent = None if found[0].ntk is None else torch.cat([each.ntk for each in found if each.ntk is not None])
        pools = tuple(torch.cat(each) for each in zip(*(each.pools for each in found), strict=True))
        return _Own(torch.cat([each.nngp for each in found]), tangent, pools)

    def _own_part(self, inputs: Tensor) -> _Own:
        pools = Pools()
        if inputs.ndim == 2:
            covariance = input_covariance(inputs[:, None], inputs[:, None])
        elif self.layout.every:
            covariance = input_covariance(inputs.mT, inputs.mT)
        else:
            each = inputs.mT[:, :, None]
            covariance = input_covariance(each, each)
        end = propagate(self.net, State(covariance, None, self.layout, self.tangent, pools))
        tangent = None if end.ntk is None else end.ntk.log_row.reshape(len(inputs))
        return _Own(end.nngp.log_row.reshape(len(inputs)), tangent, tuple(pools.recorded))

    def _block(self, memory: int) -> int:
        n = self.layout.n_positions
        pair = 8 * (ARRAYS + PER_TAP * _longest(self.net)) * (n**2 if self.layout.every else n)
        if memory < pair:
            raise ConfigError(
                f"expected memory for one pair of inputs at least, {pair} bytes of {n} positions, got {memory}; "
                "give more, or use shorter signals or readout='flatten'"
            )
        return min(BLOCK, math.isqrt(memory // pair))


def _scales(net: Net, rows: Tensor, run: _Run, *, normalize: bool) -> Scales:
    """Return the logarithms that the NNGP and the tangent kernel are divided by."""
    own = run.own_rows
    if normalize:
        own = _Run(net, torch.ones_like(rows[:1]), rows[:1], run.tangent, MEMORY).own_rows
        return own.nngp[0], rows.new_zeros(()) if own.ntk is None else own.ntk[0]
    largest = [rows.new_zeros(()) if each is None else each.detach().max() for each in (own.nngp, own.ntk)]
    beyond = [torch.where((each.abs() > LARGEST) & (each > -1e5), each, 0.0) for each in largest]
    return beyond[0], beyond[1]


def _representable(values: Tensor, log_scale: float, *, normalize: bool) -> Tensor:
    if normalize or log_scale == 0.0:
        return values
    raise NumericalError(
        f"expected a kernel that floating point holds, got values of e^{log_scale:.5g}: the net lets signals "
        f"{'explode' if log_scale > 0 else 'vanish'}; use normalize=True, or kernel_matrices, which states the scale"
    )


def _parts(n: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def _has(net: Sequence[Step], *kinds: type) -> bool:
    return any(isinstance(step, kinds) or (isinstance(step, Residual) and _has(step.branch, *kinds)) for step in net)


def _longest(net: Sequence[Step]) -> int:
    """Return the taps of the longest convolution, 0 without one."""
    inner = [_longest(step.branch) for step in net if isinstance(step, Residual)]
    return max([step.kernel for step in net if isinstance(step, Conv)] + inner, default=0)


def _wants_gradient(net: Sequence[Step]) -> bool:
    given: list[Any] = []
    for step in net:
        if isinstance(step, Residual):
            given += [step.scale, _wants_gradient(step.branch)]
        elif isinstance(step, Dense | Conv):
            given += [step.sigma_w2, step.sigma_b2]
    return any(each is True or (isinstance(each, Tensor) and each.requires_grad) for each in given)


def checked_inputs(X: ArrayLike | Tensor, net: Net, like: Tensor | None = None) -> Tensor:
    """Return inputs in float64 if their shape is that of the net's."""
    x = X.detach().double() if isinstance(X, Tensor) else torch.from_numpy(np.array(X, dtype=np.float64))
    time = _has(net, Conv, MeanPool, Flatten)
    if x.ndim != (3 if time else 2) or 0 in x.shape:
        shape = "(sample, channel, time)" if time else "(sample, feature)"
        raise DataError(f"expected inputs {shape}, got shape {tuple(x.shape)}")
    if like is not None and x.shape[1:] != like.shape[1:]:
        raise DataError(f"expected inputs of one shape, got {tuple(like.shape[1:])} and {tuple(x.shape[1:])}")
    if not bool(x.isfinite().all()):
        raise DataError("expected finite inputs, got NaN or infinity; fill or drop missing values before")
    return x
