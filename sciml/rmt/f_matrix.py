r"""F-matrices: the scatter of one set of samples in units of another's, whatever covariance both share.

With X (n samples) and R (m samples) of the same p channels and the same covariance A, the roots of
X^H X v = nu R^H R v do not depend on A. theta = nu / (1 + nu) are those of two white matrices (a Jacobi ensemble).
Squared canonical correlations of independent sets of p and q channels over t samples are the theta of n = q and
m = t - q.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import ConfigError, DataError
from sciml.rmt.checks import numbers
from sciml.rmt.laws import TracyWidom

__all__ = ["RootLaw", "edge", "greatest_root", "spike"]


@dataclass(frozen=True)
class RootLaw:
    """The largest root theta of an F-matrix without signal: (logit theta - center) / scale is Tracy-Widom.

    Examples
    --------
    >>> law = RootLaw(center=-1.0, scale=0.1, beta=1)
    >>> round(float(law.p_value(law.threshold(0.05))), 9)
    0.05
    """

    center: float
    scale: float
    beta: Literal[1, 2]

    def p_value(self, theta: ArrayLike) -> FloatArray:
        """Return the probability that noise alone reaches a root of `theta`, in [0, 1], or more."""
        values = numbers("roots", theta)
        if values.size and not (values.min() >= 0 and values.max() <= 1):
            raise DataError(f"expected roots theta = nu / (1 + nu) in [0, 1], got {values.min():g} to {values.max():g}")
        with np.errstate(divide="ignore"):
            logit = np.log(values) - np.log1p(-values)
        return TracyWidom(self.beta).sf((logit - self.center) / self.scale)

    def threshold(self, alpha: float) -> float:
        """Return the root theta that noise alone exceeds with probability `alpha`."""
        if not 0 < alpha < 1:
            raise ConfigError(f"expected alpha between 0 and 1, got {alpha!r}")
        logit = self.center + self.scale * float(TracyWidom(self.beta).isf(alpha))
        return float(1 / (1 + np.exp(-logit)))


def greatest_root(p: int, m: float, n: float, *, complex_data: bool = False) -> RootLaw:
    r"""Law of the largest root theta of (X^H X + R^H R)^-1 X^H X: n and m degrees of freedom, p channels.

    Real data, with sin²(g / 2) = (min(p, n) - 1/2) / (m + n - 1) and sin²(f / 2) = (max(p, n) - 1/2) / (m + n - 1):

    .. math:: \mu = 2 \log \tan \frac{f + g}{2}, \qquad
              s^3 = \frac{16}{(m + n - 1)^2} \frac{1}{\sin^2(f + g) \sin f \sin g}

    Complex data: the means, weighted by 1 / s, of these for p, n and for p - 1, n - 1 with 1/2 added instead of taken.

    Parameters
    ----------
    p
        Channels, fewer than m.
    m, n
        Degrees of freedom of the reference R and of the samples X; fractions where samples correlate.

    Raises
    ------
    ConfigError
        No more degrees of freedom in the reference than channels, or fewer than one elsewhere.

    References
    ----------
    Johnstone (2008), doi:10.1214/08-AOS605, theorem 1 (real) and its complex counterpart.

    Examples
    --------
    >>> law = greatest_root(64, m=500, n=1000)
    >>> round(law.threshold(0.05), 3)
    0.847
    """
    if not (p >= 1 and n >= 1 and m > p):
        raise ConfigError(
            f"expected p >= 1 channels, n >= 1 and m > p degrees of freedom, got p = {p}, m = {m:g}, n = {n:g}; "
            "take a longer reference or fewer channels"
        )
    short, long = min(p, n), max(p, n)
    if not complex_data:
        center, scale = _center_scale(short - 0.5, long - 0.5, m + n - 1)
        return RootLaw(center, scale, 1)
    first = _center_scale(short + 0.5, long + 0.5, m + n + 1)
    second = _center_scale(max(short - 0.5, 0.5), long - 0.5, m + n - 1)
    weights = np.array([1 / first[1], 1 / second[1]])
    center = float(weights @ [first[0], second[0]] / weights.sum())
    return RootLaw(center, float(2 / weights.sum()), 2)


def _center_scale(short: float, long: float, total: float) -> tuple[float, float]:
    """Return center and scale of the logit of the largest root."""
    g, f = (2 * np.arcsin(np.sqrt(min(each / total, 1.0))) for each in (short, long))
    center = 2 * np.log(np.tan((f + g) / 2))
    cube = 16 / (total**2 * np.sin(f + g) ** 2 * np.sin(f) * np.sin(g))
    return float(center), float(np.cbrt(cube))


def edge(gamma: float, c: float) -> float:
    r"""Upper edge of the eigenvalues of (R^H R / m)^-1 X^H X / n: ((1 + h) / (1 - c))², h² = gamma + c - gamma c.

    Parameters
    ----------
    gamma, c
        Channels per sample of X, p / n, and of the reference, p / m, below one.

    References
    ----------
    Wachter (1980), doi:10.1214/aos/1176345134; Wang and Yao (2017), doi:10.1214/16-AOS1463.

    Examples
    --------
    >>> round(edge(0.25, 0.2), 2)
    4.16
    """
    gamma, c = _ratios(gamma, c)
    return float(((1 + np.sqrt(gamma + c - gamma * c)) / (1 - c)) ** 2)


def spike(eigenvalue: ArrayLike, gamma: float, c: float) -> FloatArray:
    r"""Return the population eigenvalue l of a component from its eigenvalue in an F-matrix.

    A component l > (1 + h) / (1 - c), h as for `edge`, has the eigenvalue l (l - 1 + gamma) / (l - 1 - c l): this is
    its inverse, the larger root. Eigenvalues up to the edge say nothing, and are given 1.

    Parameters
    ----------
    gamma, c
        As for `edge`.

    References
    ----------
    Nadakuditi and Silverstein (2010), doi:10.1109/JSTSP.2009.2038310; Wang and Yao (2017),
    doi:10.1214/16-AOS1463.

    Examples
    --------
    >>> l = 6.0
    >>> round(float(spike(l * (l - 1 + 0.25) / (l - 1 - 0.2 * l), 0.25, 0.2)), 9)
    6.0
    """
    gamma, c = _ratios(gamma, c)
    values = numbers("eigenvalues", eigenvalue)
    half = (1 - gamma + (1 - c) * values) / 2
    root = np.sqrt(np.maximum(half**2 - values, 0.0))
    return np.asarray(np.where(values > edge(gamma, c), half + root, 1.0))


def _ratios(gamma: float, c: float) -> tuple[float, float]:
    if not (gamma > 0 and 0 <= c < 1):
        raise ConfigError(f"expected gamma = p / n above 0 and c = p / m in [0, 1), got {gamma!r} and {c!r}")
    return float(gamma), float(c)
