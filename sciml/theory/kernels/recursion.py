r"""The recursion of the NNGP kernel K and the tangent kernel Θ through the steps of a net.

.. math::
    K' = \sigma_w^2 \hat\varphi(K) + \sigma_b^2, \qquad \Theta' = K' + \sigma_w^2\, \Theta \circ \dot\varphi(K)

with the mean over the taps of a convolution in between, and sums at the end of residual branches.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sciml.errors import ConfigError
from sciml.theory.kernels.covariance import Covariance, constant, hadamard, mix
from sciml.theory.kernels.duals import dual_of
from sciml.theory.kernels.nets import Conv, Dense, Flatten, MeanPool, Nonlinear, Number, Residual, Step, plain

__all__ = ["Layout", "Pools", "State", "propagate"]

TINY = 1e-290  # a bias variance of zero whose derivative is wanted


@dataclass(frozen=True)
class Layout:
    """Where the positions of signals stand.

    `n_positions` is 1 of inputs without time. Where all positions meet all (`every`), rows are (sample, position) and
    columns too; else each position is a batch of its own, (..., position, row, column).
    """

    n_positions: int
    every: bool


@dataclass(frozen=True, eq=False)
class State:
    """Both kernels between steps; no tangent kernel before the first layer, or where it is not wanted."""

    nngp: Covariance
    ntk: Covariance | None
    layout: Layout
    wants_ntk: bool
    pools: "Pools"


class Pools:
    """Logarithms of the second moments of means over time, which inputs have with themselves.

    A block of pairs does not hold them: they are recorded where inputs meet themselves, in the order of the steps, and
    read where rows meet columns.
    """

    def __init__(self, rows: Sequence[Tensor] = (), columns: Sequence[Tensor] = (), *, records: bool = True) -> None:
        self.recorded: list[Tensor] = []
        self.records = records
        self._known = iter(list(zip(rows, columns, strict=True)))

    def read(self) -> tuple[Tensor, Tensor]:
        """Return those of rows (rows, 1) and columns (1, columns)."""
        row, column = next(self._known)
        return row[:, None], column[None, :]


def propagate(net: Sequence[Step], state: State) -> State:
    """Return both kernels at the end of a net."""
    for step in net:
        state = _STEPS[type(step)](step, state)
    return state


def _dense(step: Dense, state: State) -> State:
    weights, bias = _log(step.sigma_w2, state), _log_bias(step.sigma_b2, state)
    nngp = _layer(state.nngp, weights, bias)
    if not state.wants_ntk:
        return replace(state, nngp=nngp)
    return replace(state, nngp=nngp, ntk=nngp if state.ntk is None else mix([nngp, state.ntk.scaled(weights)]))


def _conv(step: Conv, state: State) -> State:
    left = (step.kernel - 1) // 2
    taps = [(k - left) * step.dilation for k in range(step.kernel)]

    def averaged(kernel: Covariance) -> Covariance:
        shifted = [_shift(kernel, tap, state.layout, circular=step.padding == "circular") for tap in taps]
        return _strided(mix([each.scaled(-math.log(step.kernel)) for each in shifted]), step.stride, state.layout)

    ntk = None if state.ntk is None else averaged(state.ntk)
    layout = replace(state.layout, n_positions=-(-state.layout.n_positions // step.stride))
    inner = replace(state, nngp=averaged(state.nngp), ntk=ntk, layout=layout)
    return _dense(Dense(step.sigma_w2, step.sigma_b2), inner)


def _nonlinear(step: Nonlinear, state: State) -> State:
    found = dual_of(step.activation).through(state.nngp)
    ntk = state.ntk
    if ntk is not None:
        ntk = hadamard(ntk, found.log_slope_row, found.log_slope_column, found.slope_gap)
    return replace(state, nngp=found.value, ntk=ntk)


def _residual(step: Residual, state: State) -> State:
    branch = propagate(step.branch, state)
    if plain(step.scale) == 0.0:
        return state
    log_scale = _log(step.scale * step.scale, state)
    nngp = mix([state.nngp, branch.nngp.scaled(log_scale)])
    if branch.ntk is None:
        return replace(state, nngp=nngp)
    ntk = branch.ntk.scaled(log_scale)
    return replace(state, nngp=nngp, ntk=ntk if state.ntk is None else mix([state.ntk, ntk]))


def _flatten(step: Flatten, state: State) -> State:  # noqa: ARG001 (one signature for all steps)
    _needs_time(state, "Flatten")
    layout = Layout(1, every=False)
    return replace(
        state,
        nngp=_mean_of_batches(state.nngp),
        ntk=None if state.ntk is None else _mean_of_batches(state.ntk),
        layout=layout,
    )


def _mean_of_batches(kernel: Covariance) -> Covariance:
    """Return the mean over positions, each with weights of its own: a sum of independent variables."""
    n = kernel.gap.shape[-3]

    def part(k: int) -> Covariance:
        return Covariance(
            *(each.select(-3, k) for each in (kernel.log_row, kernel.log_column, kernel.gap, kernel.cogap))
        ).scaled(-math.log(n))

    return mix([part(k) for k in range(n)])


def _mean_pool(step: MeanPool, state: State) -> State:  # noqa: ARG001 (one signature for all steps)
    _needs_time(state, "MeanPool")
    mean = _own_mean if state.pools.records else _mean_of_pairs
    nngp = mean(state.nngp, state.layout.n_positions, state.pools)
    ntk = None if state.ntk is None else mean(state.ntk, state.layout.n_positions, state.pools)
    return replace(state, nngp=nngp, ntk=ntk, layout=Layout(1, every=False))


def _own_mean(kernel: Covariance, n: int, pools: Pools) -> Covariance:
    """Return the second moments of the mean over positions, of inputs with themselves (input, position, position)."""
    largest = kernel.log_row.amax(dim=-2, keepdim=True)
    mean = kernel.values(largest).sum(dim=(-2, -1), keepdim=True) / n**2
    log_mean = torch.log(mean.clamp(min=1e-300)) + largest
    pools.recorded.append(log_mean[:, 0, 0])
    zero = torch.zeros_like(log_mean)
    return Covariance(log_mean, log_mean, zero, zero + 2.0)


def _mean_of_pairs(kernel: Covariance, n: int, pools: Pools) -> Covariance:
    log_row, log_column = pools.read()
    row = torch.exp((split(kernel.log_row, 0, n) - log_row[:, None]) / 2.0).flatten(0, 1)
    column = torch.exp((split(kernel.log_column, 1, n) - log_column[:, :, None]) / 2.0).flatten(1, 2)
    pairs = split(split(row * kernel.correlation * column, 1, n).sum(dim=2), 0, n).sum(dim=1)
    rho = (pairs / n**2).clamp(-1.0, 1.0)
    return Covariance(log_row, log_column, 1.0 - rho, 1.0 + rho)


def _needs_time(state: State, name: str) -> None:
    if state.nngp.gap.ndim < 3 and not state.layout.every:
        raise ConfigError(f"expected signals (sample, channel, time) before {name}, got inputs without time")


def _layer(kernel: Covariance, weights: Tensor, bias: Tensor | None) -> Covariance:
    scaled = kernel.scaled(weights)
    return scaled if bias is None else mix([scaled, constant(scaled, bias)])


def _log(value: Number, state: State) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64, device=state.nngp.gap.device).log()


def _log_bias(sigma_b2: Number, state: State) -> Tensor | None:
    if plain(sigma_b2) > 0.0:
        return _log(sigma_b2, state)
    return _log(sigma_b2 + TINY, state) if isinstance(sigma_b2, Tensor) else None


def split(x: Tensor, dim: int, n: int) -> Tensor:
    """Return a dim of (sample, position) as two."""
    found: Tensor = x.unflatten(dim, (-1, n))  # type: ignore[no-untyped-call]
    return found


def _shift(kernel: Covariance, offset: int, layout: Layout, *, circular: bool) -> Covariance:
    """Return the covariance of what stands `offset` positions later; beyond the ends there is nothing, log 0."""
    if offset == 0:
        return kernel

    def moved(x: Tensor, dims: Sequence[int], fill: float) -> Tensor:
        for dim in dims:
            x = torch.roll(x, -offset, dim) if circular else _padded(x, dim, offset, fill)
        return x

    return _by_position(kernel, layout, moved)


def _padded(x: Tensor, dim: int, offset: int, fill: float) -> Tensor:
    n = x.shape[dim]
    size = min(abs(offset), n)
    shape = list(x.shape)
    shape[dim] = size
    nothing = x.new_full(shape, fill)
    kept = x.narrow(dim, size if offset > 0 else 0, n - size)
    return torch.cat([kept, nothing] if offset > 0 else [nothing, kept], dim)


def _strided(kernel: Covariance, stride: int, layout: Layout) -> Covariance:
    if stride == 1:
        return kernel

    def moved(x: Tensor, dims: Sequence[int], fill: float) -> Tensor:  # noqa: ARG001 (as in _shift)
        for dim in dims:
            x = x.index_select(dim, torch.arange(0, x.shape[dim], stride, device=x.device))
        return x

    return _by_position(kernel, layout, moved)


def _by_position(
    kernel: Covariance, layout: Layout, moved: Callable[[Tensor, Sequence[int], float], Tensor]
) -> Covariance:
    """Apply what acts on the dims of positions to all arrays of a covariance."""
    if not layout.every:
        log = (moved(each, (-3,), -math.inf) for each in (kernel.log_row, kernel.log_column))
        return Covariance(*log, *(moved(each, (-3,), 1.0) for each in (kernel.gap, kernel.cogap)))
    n = layout.n_positions
    row = moved(split(kernel.log_row, -2, n), (-2,), -math.inf).flatten(-3, -2)
    column = moved(split(kernel.log_column, -1, n), (-1,), -math.inf).flatten(-2, -1)
    pairs = (
        moved(split(split(each, -1, n), -3, n), (-3, -1), 1.0).flatten(-2, -1).flatten(-3, -2)
        for each in (kernel.gap, kernel.cogap)
    )
    return Covariance(row, column, *pairs)


_STEPS: dict[type, Callable[[Any, State], State]] = {
    Dense: _dense,
    Conv: _conv,
    Nonlinear: _nonlinear,
    Residual: _residual,
    Flatten: _flatten,
    MeanPool: _mean_pool,
}
