"""How the scatter over nets of finite width passes a residual block."""

import math
from dataclasses import dataclass
from typing import Protocol

from sciml._typing import FloatArray

__all__ = ["Stream", "pass_block"]


@dataclass(frozen=True)
class Stream:
    """What single nets have in common with themselves from block to block.

    Attributes
    ----------
    memory
        Covariance of ln E[x²] with the deviation, of unit variance, of how the units are made up: of ReLU, how much of
        their power is that of positive ones. Blocks find it much as the block before did.
    mean_variance, mean_covariance
        Variance of the mean over the units, and its covariance with ln E[x²].
    """

    memory: float
    mean_variance: float
    mean_covariance: float


class _Moments(Protocol):
    @property
    def mean(self) -> FloatArray: ...
    @property
    def second(self) -> FloatArray: ...
    @property
    def variance(self) -> float: ...
    @property
    def elasticity(self) -> float: ...
    @property
    def composition(self) -> float: ...


def pass_block(
    before: _Moments, stream: Stream | None, branch: _Moments, *, scale: float, width: float
) -> tuple[float, Stream]:
    r"""Return the relative variance of E[y²] over nets, y = x + s f(x), and the state of the stream behind.

    To first order in deviations r of ln q and μ of the mean m, with M = s E[f], F = s² E[f²], e = d ln F / d ln q:

    .. math::
        q' r' = (q + eF + e m M) r + 2 M \mu + F c\, \delta + \nu, \qquad \mu' = \mu + \tfrac{e}{2} M r + \nu_m

    with fresh parts of Var(ν) = F² Var(f) + 4 q (F - M²) / n, Var(ν_m) = (F - M²) / n, Cov(ν, ν_m) = 2 m (F - M²) / n,
    and δ the composition of the stream, whose memory falls by the correlation √(q / q') of units before and after.

    Parameters
    ----------
    before
        The stream x, its `variance` r² over nets.
    stream
        What came with it; None where no block was before.
    branch
        f, whose variance, elasticity e and composition c count from the start of the block.
    scale, width
        s, and the number n of units.
    """
    q, m = float(before.second.mean()), float(before.mean.mean())
    M, F, e = scale * float(branch.mean.mean()), scale**2 * float(branch.second.mean()), branch.elasticity
    stream = stream or Stream(0.0, q / width, 0.0)
    total = q + F + 2.0 * m * M
    if total <= 0.0:
        return before.variance, stream
    free = max(0.0, F - M * M) / width
    a, b, c = (q + e * F + e * m * M) / total, 2.0 * M / total, F * branch.composition / total
    g = 0.5 * e * M
    r, mu, cov = before.variance, stream.mean_variance, stream.mean_covariance
    fresh = (F * F * branch.variance + 4.0 * q * free) / total**2
    variance = a * a * r + 2.0 * a * b * cov + b * b * mu + 2.0 * c * stream.memory
    return (1.0 + variance) * (1.0 + fresh) - 1.0, Stream(
        memory=math.sqrt(min(1.0, q / total)) * (a * stream.memory + c),
        mean_variance=mu + 2.0 * g * cov + g * g * r + free,
        mean_covariance=a * (cov + g * r) + b * (mu + g * cov) + 2.0 * m * free / total,
    )
