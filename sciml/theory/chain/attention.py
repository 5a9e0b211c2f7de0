"""Self-attention at its start."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sciml.errors import ConfigError
from sciml.theory.chain.signal import Gradient, Signal
from sciml.theory.chain.steps import Backward

__all__ = ["Attention"]

_Z, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
_WEIGHTS = _WEIGHTS / math.sqrt(2.0 * math.pi)
_LOG_T = np.linspace(-40.0, 20.0, 1201)


@dataclass(frozen=True)
class Attention:
    r"""Softmax self-attention with independent projections, of scores q·k / √d; the pair of the chain are two tokens.

    With x of second moment q and cross moment p between tokens, the scores of a query scatter over the keys with
    variance τ² = σ_Q² q · σ_K² (q - p). Let S = E[Σ_j a_j²] be the share that the weights a of T tokens keep of
    independent values, and S₂ ≈ S^{p/q} T^{p/q - 1} that of two queries. Then

    .. math::
        q' = \sigma_V^2 \sigma_O^2 (S q + (1 - S) p), \qquad p' = \sigma_V^2 \sigma_O^2 (S_2 q + (1 - S_2) p)

    and a squared gradient, of tokens with independent gradients, is multiplied by

    .. math:: \sigma_V^2 \sigma_O^2 (S + D \sigma_Q^2 \sigma_K^2 [(q - p)^2 + q (q - p)]), \qquad
              D = E\Big[\sum_j a_j^2 \Big(1 - 2 a_j + \sum_i a_i^2\Big)\Big]

    by way of the values, the queries and the keys. In the limit of wide heads, and for tokens of which any two are
    correlated alike: those of few dimensions are not, and their mixtures differ more than this says.

    Attributes
    ----------
    query, key, value, out
        fan_in · Var(w) of the four projections.
    tokens
        Number T of tokens that a query sees.
    width
        Units of the stream, for the fluctuation.

    References
    ----------
    Noci et al. (2022), arXiv:2206.03126, for uniform attention and the collapse of rank.
    """

    query: float
    key: float
    value: float
    out: float
    tokens: int
    width: float = math.inf

    def __post_init__(self) -> None:
        if min(self.query, self.key, self.value, self.out) < 0 or self.tokens < 1:
            raise ConfigError(f"expected variances >= 0 and at least one token, got {self}")

    def forward(self, signal: Signal) -> tuple[Signal, Backward]:
        """Return the mixture of the tokens."""
        q, p = float(signal.second.mean()), float(signal.cross.mean())
        apart, scores = q - p, self.query * self.key
        kept, cubes, square = participation(scores * q * apart, self.tokens)
        common = kept ** (p / q) * self.tokens ** (p / q - 1.0) if q > 0 and p > 0 else 1.0 / self.tokens
        gain = self.value * self.out
        after = Signal(
            np.zeros_like(signal.second),
            gain * (kept * signal.second + (1.0 - kept) * signal.cross),
            gain * (common * signal.second + (1.0 - common) * signal.cross),
            variance=(1.0 + signal.variance) * (1.0 + 2.0 / self.width) ** 2 - 1.0,
            elasticity=signal.elasticity,
            n_draws=signal.n_draws,
            outer=signal.outer,
        )
        factor = gain * (kept + (kept - 2.0 * cubes + square) * scores * (apart**2 + q * apart))
        noise = (1.0 + 2.0 / self.width) ** 2
        return after, lambda g: Gradient(g.power * factor, (1.0 + g.variance) * noise - 1.0, outer=g.outer)


@lru_cache(maxsize=4096)
def participation(variance: float, tokens: int) -> tuple[float, float, float]:
    r"""Return E[Σ a²], E[Σ a³] and E[(Σ a²)²] of a = softmax of independent Gaussian scores.

    .. math:: E\Big[\frac{\sum w_j^k}{(\sum w_j)^k}\Big] = T \int_0^\infty \frac{t^{k-1}}{(k-1)!}
              E[w^k e^{-tw}]\, E[e^{-tw}]^{T-1} dt

    Examples
    --------
    >>> round(participation(0.0, 8)[0], 12)
    0.125
    """
    if tokens == 1 or variance <= 1e-12:
        return 1.0 / tokens, 1.0 / tokens**2, 1.0 / tokens**2
    w = np.exp(math.sqrt(variance) * _Z)
    t = np.exp(_LOG_T)[:, None]
    decay = np.exp(-t * w)
    # E[(t w)^k e^{-tw}], k = 0, 2, 3, 4; dt = t d(ln t)
    none, two, three, four = (((t * w) ** k * decay) @ _WEIGHTS for k in (0, 2, 3, 4))
    rest = none ** (tokens - 1)
    pairs = (tokens - 1) * two**2 * none ** max(0, tokens - 2)
    integrals = [
        np.trapezoid(tokens * f, _LOG_T) for f in (two * rest, three * rest / 2.0, (four * rest + pairs) / 6.0)
    ]
    second, third, square = (float(value) for value in integrals)
    return second, third, square
