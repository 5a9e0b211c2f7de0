"""Where noise ends: the law of the largest eigenvalue of a sample covariance that holds nothing but noise."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import scipy.optimize
from numpy.typing import ArrayLike

from sciml._typing import FloatArray, IntArray
from sciml.errors import ConfigError, DataError
from sciml.rmt.checks import numbers, shape, spectrum
from sciml.rmt.laws import TracyWidom

__all__ = ["EdgeLaw", "TraceRatioLaw", "colored", "heteroscedastic", "trace_ratio", "white"]

STEP = 1e-2  # of the second derivative of the Tracy-Widom tail: error 1e-4 of a term that is itself small


@dataclass(frozen=True)
class EdgeLaw:
    """The largest noise eigenvalue: (lam - center) / scale follows the Tracy-Widom law of index beta.

    Examples
    --------
    >>> edge = EdgeLaw(center=2.25, scale=0.05, beta=1)
    >>> round(edge.threshold(0.05), 10)
    2.2989658027
    >>> round(float(edge.p_value(edge.threshold(1e-6))) / 1e-6, 9)
    1.0
    """

    center: float
    scale: float
    beta: Literal[1, 2]

    def p_value(self, lam: ArrayLike) -> FloatArray:
        """Return the probability that noise alone reaches an eigenvalue of `lam` or more."""
        return TracyWidom(self.beta).sf((numbers("eigenvalues", lam) - self.center) / self.scale)

    def threshold(self, alpha: float) -> float:
        """Return the eigenvalue that noise alone exceeds with probability `alpha`."""
        if not 0 < alpha < 1:
            raise ConfigError(f"expected alpha between 0 and 1, got {alpha!r}")
        return self.center + self.scale * _quantile(self.beta, alpha)


@lru_cache(maxsize=1024)
def _quantile(beta: Literal[1, 2], alpha: float) -> float:
    """Return what the Tracy-Widom law exceeds with probability alpha: inverted once, whatever the number of edges."""
    return float(TracyWidom(beta).isf(alpha))


@dataclass(frozen=True)
class TraceRatioLaw:
    r"""The largest eigenvalue of white noise of unknown variance, over the mean of all: r = lam_1 / (tr / n_features).

    The trace moves with the largest eigenvalue and takes from its scatter, which the Tracy-Widom law alone ignores:

    .. math:: P(r > \mu + s z) \approx \bar F_\beta(z) + \kappa F_\beta''(z), \qquad
              \kappa = \frac{1}{\beta n p} \Big(\frac{\mu}{s}\Big)^2

    used as :math:`\bar F \exp(\kappa F'' / \bar F)`, the same to this order and positive in the far tail.

    Examples
    --------
    >>> law = trace_ratio(n_features=10, n_samples=40)
    >>> round(float(law.p_value(2.6)), 4), round(float(law.edge.p_value(2.6)), 4)
    (0.0027, 0.0073)
    """

    edge: EdgeLaw
    kappa: float

    def p_value(self, ratio: ArrayLike) -> FloatArray:
        """Return the probability that white noise reaches a ratio of `ratio` or more."""
        z = (numbers("ratios", ratio) - self.edge.center) / self.edge.scale
        return ratio_tail(z, self.kappa, self.edge.beta)

    def threshold(self, alpha: float) -> float:
        """Return the ratio that white noise exceeds with probability `alpha`."""
        upper = (self.edge.threshold(alpha) - self.edge.center) / self.edge.scale
        z = scipy.optimize.brentq(
            lambda z: float(ratio_tail(z, self.kappa, self.edge.beta)) - alpha, upper - 3, upper + 1, xtol=1e-10
        )
        return self.edge.center + self.edge.scale * float(z)


def ratio_tail(z: ArrayLike, kappa: ArrayLike, beta: Literal[1, 2]) -> FloatArray:
    """Return the tail of `TraceRatioLaw` at standardized ratios z."""
    law, point = TracyWidom(beta), np.asarray(z, dtype=np.float64)
    log_tail = law.logsf(point)
    # F'' = -(sf)'', relative to sf.
    curvature = np.exp(law.logsf(point - STEP) - log_tail) - 2 + np.exp(law.logsf(point + STEP) - log_tail)
    return np.asarray(np.exp(np.minimum(log_tail - np.asarray(kappa) * curvature / STEP**2, 0.0)))


def trace_ratio(n_features: int, n_samples: int, *, complex_data: bool = False) -> TraceRatioLaw:
    """Law of the largest eigenvalue of white noise divided by the mean of its n_features eigenvalues.

    Raises
    ------
    ConfigError
        A side below one.

    References
    ----------
    Nadler (2011), doi:10.1016/j.jmva.2010.10.005, eq. 1.7.

    Examples
    --------
    >>> round(trace_ratio(64, 1000).threshold(0.05), 4)
    1.5858
    """
    edge = white(n_features, n_samples, complex_data=complex_data)
    dof = (2 if complex_data else 1) * n_features * n_samples
    return TraceRatioLaw(edge, (edge.center / edge.scale) ** 2 / dof)


def white(n_features: int, n_samples: int, *, complex_data: bool = False) -> EdgeLaw:
    r"""Law of the largest eigenvalue of X^H X / n_samples for white noise of unit variance.

    .. math:: \mu = \frac{(\sqrt{n} + \sqrt{p})^2}{n_\text{samples}}, \qquad
              s = \frac{\sqrt{n} + \sqrt{p}}{n_\text{samples}} \Big(\frac1{\sqrt n} + \frac1{\sqrt p}\Big)^{1/3}

    Complex data: n = n_samples, p = n_features. Real data: one half less in both (Ma 2012), which makes the law
    accurate to second order and, unlike Johnstone's n - 1, the same for X and its transpose. Real size of the 5 % test,
    12000 and more draws, half | n - 1 | plain: (p, n) = (5, 100): 4.6 | 3.4 | 2.8 %; (20, 400): 4.8 | 3.9 | 3.6 %;
    (50, 50): 4.8 | 4.8 | 3.6 %; (64, 1000): 4.7 | 4.1 | 3.9 %.

    Raises
    ------
    ConfigError
        A side below one.

    References
    ----------
    Johnstone (2001), doi:10.1214/aos/1009210544, theorem 1.1; Ma (2012), arXiv:1203.0839;
    complex: Johansson (2000), doi:10.1007/s002200050027.

    Examples
    --------
    >>> edge = white(n_features=64, n_samples=1000)
    >>> round(edge.center, 4), round(edge.threshold(0.05), 4)
    (1.5669, 1.5878)
    """
    p, n = shape(n_features, n_samples)
    center, scale = scatter_edges(np.array([p]), np.array([n]), complex_data=complex_data)
    return EdgeLaw(float(center[0] / n), float(scale[0] / n), 2 if complex_data else 1)


def scatter_edges(p: IntArray, n: IntArray, *, complex_data: bool = False) -> tuple[FloatArray, FloatArray]:
    """Return center and scale of the largest eigenvalue of X^H X (not divided by anything) for many shapes of X."""
    shift = 0.0 if complex_data else 0.5
    root_p, root_n = np.sqrt(p - shift), np.sqrt(n - shift)
    return (root_n + root_p) ** 2, (root_n + root_p) * (1 / root_n + 1 / root_p) ** (1 / 3)


def colored(psd: ArrayLike, n_features: int, n_samples: int, *, complex_data: bool = False) -> EdgeLaw:
    r"""Law of the largest eigenvalue of X^H X / n_samples for independent channels of one power spectrum.

    Each channel has the covariance B over time, whose eigenvalues are the values S of its power spectrum. With
    g = n_samples / n_features, omega(f) = c S(f) / (1 - c S(f)) and c in (0, 1 / max S) such that
    :math:`g \langle \omega^2 \rangle = 1`,

    .. math:: \mu = \frac{1 + g \langle \omega \rangle}{c\, g}, \qquad
              s = \frac{(1 + g \langle \omega^3 \rangle)^{1/3}}{c\, g\, n_\text{features}^{2/3}}

    A constant S gives `white`, its half shifts for real data included. The law holds in the limit of many channels
    and samples; where the spectrum is so peaked that few frequencies carry it, the true fluctuations are a little
    smaller than s, and the test errs on the safe side. Real size of the 5 % test for AR(1) noise of known spectrum,
    2000 draws: (N, T, phi) = (64, 1000, .5): 4.6 %; (64, 1000, .9): 3.5 %; (16, 2000, .97): 4.2 %;
    (64, 1000, .97): 2.5 %.

    Parameters
    ----------
    psd
        Values of the power spectrum on a regular two-sided grid of frequencies (or any sample of the eigenvalues of B),
        with mean equal to the variance of a channel. Any number of them, any scale, zeros allowed.

    Raises
    ------
    DataError
        Values that are negative, not finite, or all zero.
    ConfigError
        A side below one.

    References
    ----------
    El Karoui (2007), doi:10.1214/009117906000000917, theorem 1, with n channels and p samples; for real data
    Lee and Schnelli (2016), doi:10.1214/16-AAP1193.

    Examples
    --------
    >>> frequency = np.arange(1000) / 1000
    >>> ar1 = (1 - 0.9**2) / np.abs(1 - 0.9 * np.exp(-2j * np.pi * frequency)) ** 2
    >>> edge = colored(ar1, n_features=64, n_samples=1000)
    >>> round(edge.center, 4), round(white(64, 1000).center, 4)
    (3.5422, 1.5669)
    """
    p, n = shape(n_features, n_samples)
    density = spectrum("power spectrum", psd)
    if density[0] == 0:
        raise DataError("expected a power spectrum with values above zero, got only zeros; leave out constant channels")
    shift = 0.0 if complex_data else 0.5
    rows, g = p - shift, (n - shift) / (p - shift)
    weight, omega = _edge_weights(density / density[0], g)
    inverse_c = density[0] * (1 + weight) / weight
    center = inverse_c * (1 + g * np.mean(omega)) * rows / n
    scale = inverse_c * np.cbrt((1 + g * np.mean(omega**3)) * rows) / n
    return EdgeLaw(float(center), float(scale), 2 if complex_data else 1)


def heteroscedastic(variances: ArrayLike, n_samples: int, *, complex_data: bool = False) -> EdgeLaw:
    """Law of the largest eigenvalue of X^H X / n_samples for independent noise of a variance per feature.

    The transpose of `colored`: the variances of features stand where the power spectrum stood.

    Raises
    ------
    DataError, ConfigError
        As `colored`.

    References
    ----------
    El Karoui (2007), doi:10.1214/009117906000000917, theorem 1.

    Examples
    --------
    >>> law = heteroscedastic(np.full(64, 4.0), n_samples=1000)
    >>> round(law.center / 4, 4), round(white(64, 1000).center, 4)
    (1.5669, 1.5669)
    """
    population = spectrum("variances", variances)
    transposed = colored(population, n_samples, population.size, complex_data=complex_data)
    ratio = population.size / n_samples
    return EdgeLaw(transposed.center * ratio, transposed.scale * ratio, transposed.beta)


def _edge_weights(relative: FloatArray, g: float) -> tuple[float, FloatArray]:
    """Return w = c max S / (1 - c max S) and omega for values relative to the largest.

    omega = t w / (1 + w (1 - t)) with t <= 1 has no difference of near numbers, and w is bracketed: omega <= w for all,
    with equality for at least one of the values.
    """

    def weights(log_w: float) -> FloatArray:
        w = np.exp(log_w)
        return np.asarray(relative * w / (1 + w * (1 - relative)))

    def excess(log_w: float) -> float:
        return float(np.log(g * np.mean(weights(log_w) ** 2)))

    low, high = -np.log(g) / 2, (np.log(relative.size) - np.log(g)) / 2
    root = float(scipy.optimize.brentq(excess, low - 1e-6, high + 1e-6, xtol=1e-14, rtol=1e-14))
    return float(np.exp(root)), weights(root)
