r"""Shrinkage of singular values and eigenvalues: what a spike in noise looked like before the noise.

For an m x n matrix with m <= n, signal plus white noise of standard deviation sigma, singular values enter as
y = sv / (sigma sqrt(n)), with n the **long** side, and beta = m / n. A signal of strength x > beta^(1/4) shows up at

.. math:: y(x) = \sqrt{(x + 1/x)(x + \beta/x)} > 1 + \sqrt\beta,

everything else stays below the edge 1 + sqrt(beta) and shrinks to zero. Multiply the result by sigma sqrt(n).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import ConfigError, DataError
from sciml.rmt.checks import aspect_ratio, numbers, positive, shape, spectrum
from sciml.rmt.laws import MarchenkoPastur

__all__ = [
    "SHRINKERS",
    "OptShrink",
    "Overlaps",
    "Shrinkage",
    "debias_eigenvalue",
    "frobenius",
    "hard",
    "hard_threshold",
    "hard_threshold_unknown_sigma",
    "nuclear",
    "operator",
    "optshrink",
    "overlaps",
    "spike_strength",
    "spike_to_singular",
]

Shrinkage = Literal["frobenius", "operator", "nuclear", "hard", "none"]


@dataclass(frozen=True)
class Overlaps:
    """Squared cosines between the singular vectors of the data and those of the signal, by the side they live on."""

    short: FloatArray
    long: FloatArray


@dataclass(frozen=True)
class OptShrink:
    """Singular values after shrinkage, strength of each signal component before the noise, and overlaps.

    `shrunk`, `strength` and the standard error of the latter are in the units of the data; all arrays have one entry a
    component, strongest first.
    """

    shrunk: FloatArray
    strength: FloatArray
    standard_error: FloatArray
    overlaps: Overlaps


def operator(y: ArrayLike, beta: float) -> FloatArray:
    r"""Return the signal strength x(y), the best shrinkage in operator norm, and zero at and below the edge.

    .. math:: x^2 = \tfrac12 \Big(y^2 - \beta - 1 + \sqrt{(y^2 - \beta - 1)^2 - 4\beta}\Big)

    Parameters
    ----------
    y
        Singular values divided by sigma sqrt(long side).
    beta
        Short side over long side, in (0, 1].

    Raises
    ------
    ConfigError, DataError
        `beta` out of range; NaN.

    References
    ----------
    Gavish and Donoho (2017), doi:10.1109/TIT.2017.2653801.

    Examples
    --------
    >>> operator([1.0, 3.0], 1.0).round(8).tolist()
    [0.0, 2.61803399]
    """
    value, ratio = numbers("y", y), aspect_ratio(beta)
    gap = _gap(value, ratio)
    lam = np.where(gap > 0, value, 1 + np.sqrt(ratio)) ** 2
    return np.where(gap > 0, np.sqrt(_squared_strength(lam, gap, ratio)), 0.0)[()]


def frobenius(y: ArrayLike, beta: float) -> FloatArray:
    r"""Return the best shrinkage in Frobenius norm, and zero at and below the edge.

    .. math:: \eta(y) = \frac{\sqrt{(y^2 - \beta - 1)^2 - 4\beta}}{y}

    Parameters, errors and reference as for `operator`.

    Examples
    --------
    >>> frobenius([1.0, 3.0], 1.0).round(8).tolist()
    [0.0, 2.23606798]
    """
    value, ratio = numbers("y", y), aspect_ratio(beta)
    gap = _gap(value, ratio)
    return (gap / np.where(gap > 0, value, 1.0))[()]


def nuclear(y: ArrayLike, beta: float) -> FloatArray:
    r"""Return the best shrinkage in nuclear norm, and zero at and below the edge.

    .. math:: \eta(y) = \max\Big(0, \frac{x^4 - \beta - \sqrt\beta\, x y}{x^2 y}\Big)

    Parameters, errors and reference as for `operator`.

    Examples
    --------
    >>> nuclear([1.0, 3.0], 1.0).round(8).tolist()
    [0.0, 1.85410197]
    """
    value, ratio = numbers("y", y), aspect_ratio(beta)
    strength = operator(value, ratio)
    found = strength > 0
    x, top = np.where(found, strength, 1.0), np.where(found, value, 1.0)
    shrunk = (x**4 - ratio - np.sqrt(ratio) * x * top) / (x**2 * top)
    return np.where(found, np.maximum(shrunk, 0.0), 0.0)[()]


def hard(y: ArrayLike, beta: float) -> FloatArray:
    r"""Return y unchanged above `hard_threshold` and zero up to there.

    Parameters, errors as for `operator`; reference as for `hard_threshold`.

    Examples
    --------
    >>> hard([2.0, 3.0], 1.0).tolist()
    [0.0, 3.0]
    """
    value = numbers("y", y)
    return np.where(value > hard_threshold(beta), value, 0.0)[()]


def unshrunk(y: ArrayLike, beta: float) -> FloatArray:  # noqa: ARG001
    """Return y: components that are kept stay as strong as they are."""
    return numbers("y", y)[()]


SHRINKERS: dict[str, Callable[[ArrayLike, float], FloatArray]] = {
    "frobenius": frobenius,
    "operator": operator,
    "nuclear": nuclear,
    "hard": hard,
    "none": unshrunk,
}
"""What becomes of a singular value y in white noise, for the least error in a norm; all take (y, beta)."""


def check_shrinkage(shrinkage: str) -> None:
    """Refuse what is none of `Shrinkage`."""
    if shrinkage not in get_args(Shrinkage):
        raise ConfigError(f"expected a shrinkage of {', '.join(get_args(Shrinkage))}, got {shrinkage!r}")


def _gap(y: FloatArray, beta: float) -> FloatArray:
    """Return sqrt((y² - beta - 1)² - 4 beta), zero at and below the edge.

    As a product of differences it does not cancel next to the edge, and taken above the edge only it cannot let
    through the values below 1 - sqrt(beta), where the radicand is positive again.
    """
    root = np.sqrt(beta)
    above = np.maximum(y - (1 + root), 0.0)
    gap: FloatArray = np.sqrt(above * (y + 1 + root)) * np.sqrt(np.maximum(y**2 - (1 - root) ** 2, 0.0))
    return gap


def spike_to_singular(x: ArrayLike, beta: float) -> FloatArray:
    r"""Return where a signal of strength x appears among the singular values.

    .. math:: y = \sqrt{(x + 1/x)(x + \beta/x)} \text{ for } x > \beta^{1/4}, \text{ else } 1 + \sqrt\beta

    Parameters
    ----------
    x
        Singular values of the signal divided by sigma sqrt(long side).
    beta
        Short side over long side, in (0, 1].

    Raises
    ------
    ConfigError, DataError
        `beta` out of range; NaN.

    References
    ----------
    Benaych-Georges and Nadakuditi (2012), doi:10.1016/j.jmva.2012.04.019.

    Examples
    --------
    >>> float(spike_to_singular(2.0, 1.0))
    2.5
    """
    value, ratio = numbers("x", x), aspect_ratio(beta)
    strength = np.maximum(value, ratio**0.25)
    singular: FloatArray = np.sqrt((strength + 1 / strength) * (strength + ratio / strength))
    return singular[()]


def overlaps(x: ArrayLike, beta: float) -> Overlaps:
    r"""Return how well the singular vectors of the data align with those of a signal of strength x.

    .. math:: c^2_\text{short} = \frac{x^4 - \beta}{x^4 + \beta x^2}, \qquad
              c^2_\text{long} = \frac{x^4 - \beta}{x^4 + x^2}, \qquad 0 \text{ for } x \le \beta^{1/4}

    Parameters, errors and reference as for `spike_to_singular`.

    Examples
    --------
    >>> found = overlaps(4.0, 0.5)
    >>> round(float(found.short), 10), round(float(found.long), 10)
    (0.9678030303, 0.9393382353)
    """
    value, ratio = numbers("x", x), aspect_ratio(beta)
    found = value > ratio**0.25
    square = np.where(found, value, 1.0) ** 2
    # Divided by x^4, so that x^4 is never formed.
    top = 1 - ratio / square / square
    short, long = top / (1 + ratio / square), top / (1 + 1 / square)
    return Overlaps(np.where(found, short, 0.0)[()], np.where(found, long, 0.0)[()])


def debias_eigenvalue(lam: ArrayLike, gamma: float) -> FloatArray:
    r"""Return the population eigenvalue behind an eigenvalue of a sample covariance, noise variance being 1.

    .. math:: \ell = \tfrac12 \Big(\lambda + 1 - \gamma + \sqrt{(\lambda + 1 - \gamma)^2 - 4\lambda}\Big),
              \qquad \lambda > (1 + \sqrt\gamma)^2

    which solves lambda = l (1 + gamma / (l - 1)). At and below the edge nothing tells an eigenvalue from noise, and the
    result is 1.

    Parameters
    ----------
    lam
        Eigenvalues of X^H X / n_samples divided by the noise variance.
    gamma
        n_features / n_samples, any positive number.

    Raises
    ------
    ConfigError, DataError
        `gamma` not positive; NaN.

    References
    ----------
    Baik and Silverstein (2006), doi:10.1016/j.jmva.2005.08.003, inverted.

    Examples
    --------
    >>> debias_eigenvalue([2.0, 3.75], 0.5).tolist()
    [1.0, 3.0]
    """
    return (1 + spike_strength(lam, gamma))[()]


def spike_strength(lam: ArrayLike, gamma: float, *, below: ArrayLike = 0.0) -> FloatArray:
    r"""Return the squared strength of the spike behind an eigenvalue of a sample covariance, noise variance being 1.

    .. math:: x^2 = \tfrac12 \Big(\lambda - 1 - \gamma + \sqrt{(\lambda - 1 - \gamma)^2 - 4\gamma}\Big),
              \qquad \lambda > (1 + \sqrt\gamma)^2

    which solves lambda = (x² + 1)(x² + gamma) / x². The population eigenvalue is x² + 1.

    Parameters
    ----------
    lam
        Eigenvalues of X^H X / n_samples divided by the noise variance.
    gamma
        n_features / n_samples, any positive number.
    below
        What holds at and below the edge, where an eigenvalue says nothing of a spike: 0 for none, sqrt(gamma) for the
        detection limit, or numbers of the shape of `lam`.

    Raises
    ------
    ConfigError, DataError
        `gamma` not positive; NaN.

    References
    ----------
    Baik and Silverstein (2006), doi:10.1016/j.jmva.2005.08.003; Benaych-Georges and Nadakuditi (2012),
    doi:10.1016/j.jmva.2012.04.019, section 3.1.

    Examples
    --------
    >>> spike_strength([2.0, 3.75], 0.5).tolist(), spike_strength([2.0, 3.75], 0.25, below=0.5).round(3).tolist()
    ([0.0, 2.0], [0.5, 2.396])
    """
    value, ratio = numbers("lam", lam), positive("gamma", gamma)
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    found = value > high
    safe = np.where(found, value, high)
    squared = _squared_strength(safe, np.sqrt((safe - high) * (safe - low)), ratio)
    return np.where(found, squared, below)[()]


def _squared_strength(lam: FloatArray, gap: FloatArray, gamma: float) -> FloatArray:
    """Return x² from an eigenvalue and gap = sqrt((lam - gamma - 1)² - 4 gamma)."""
    return (lam - gamma - 1 + gap) / 2


def hard_threshold(beta: float) -> float:
    r"""Return the threshold on y that is best for keeping singular values unchanged, sigma known.

    .. math:: \lambda_*(\beta) = \sqrt{2 (\beta + 1) + \frac{8 \beta}{\beta + 1 + \sqrt{\beta^2 + 14 \beta + 1}}}

    Raises
    ------
    ConfigError
        `beta` out of (0, 1].

    References
    ----------
    Gavish and Donoho (2014), doi:10.1109/TIT.2014.2323359, eq. 11.

    Examples
    --------
    >>> round(hard_threshold(1.0), 10)
    2.3094010768
    """
    ratio = aspect_ratio(beta)
    return float(np.sqrt(2 * (ratio + 1) + 8 * ratio / (ratio + 1 + np.sqrt(ratio**2 + 14 * ratio + 1))))


def hard_threshold_unknown_sigma(beta: float) -> float:
    r"""Return the best hard threshold in units of the median of all min(m, n) singular values, sigma unknown.

    .. math:: \omega(\beta) = \lambda_*(\beta) / \sqrt{\mu_\beta}

    with mu_beta the median of the Marchenko-Pastur law, exactly (the published cubic fit is off by up to .015).

    Raises
    ------
    ConfigError
        `beta` out of (0, 1].

    References
    ----------
    Gavish and Donoho (2014), doi:10.1109/TIT.2014.2323359.

    Examples
    --------
    >>> round(hard_threshold_unknown_sigma(1.0), 10)
    2.8583624241
    """
    return hard_threshold(beta) / float(np.sqrt(MarchenkoPastur(aspect_ratio(beta)).median()))


def optshrink(
    singular_values: ArrayLike, rank: int, shape: tuple[int, int], *, complex_data: bool = False
) -> OptShrink:
    r"""Shrink the largest singular values by what the others say about the noise, of whatever distribution it is.

    With d_j the m - r values left after the r largest, :math:`\phi(y) = \langle y / (y^2 - d_j^2) \rangle` its mean
    over them, :math:`\tilde\phi` the same on the long side (n - m zeros added) and
    :math:`D = \phi \tilde\phi`, a singular value y is replaced by

    .. math:: \hat\eta = -2 D(y) / D'(y), \qquad \hat x = D(y)^{-1/2}, \qquad
              c^2_\text{short} = \frac{-2 \phi}{\hat x^2 D'}, \quad c^2_\text{long} = \frac{-2 \tilde\phi}{\hat x^2 D'}

    No noise level enters, and correlation of the noise along one side does no harm. Equals `frobenius` for white noise.

    The standard error follows from the equation that y solves, P Q = (1/x - R)², whose terms are quadratic forms of the
    signal's singular vectors: with a_j = y / (y² - d_j²) on the short and b_j on the long side, and kappa = 2 for real,
    1 for complex data,

    .. math:: \mathrm{Var} P = \frac{\kappa}{m} (\langle a^2 \rangle - \phi^2), \quad
              \mathrm{Var} Q = \frac{\kappa}{n} (\langle b^2 \rangle - \tilde\phi^2), \quad
              \mathrm{Var} R = \frac{\kappa}{2 m n} \sum_j \frac{d_j^2}{(y^2 - d_j^2)^2}

    .. math:: \mathrm{Var}\, \hat x = \frac{\tilde\phi^2 \mathrm{Var} P + \phi^2 \mathrm{Var} Q
              + 4 D\, \mathrm{Var} R}{4 D^3}

    Parameters
    ----------
    singular_values
        All min(shape) singular values of the data, in any order.
    rank
        Number of signal components, smaller than min(shape).
    shape
        The two sides of the data, in any order.

    Raises
    ------
    DataError
        A number of singular values that does not fit the shape, negative values, NaN.
    ConfigError
        A rank that leaves no noise.

    References
    ----------
    Nadakuditi (2014), doi:10.1109/TIT.2014.2311661; overlaps, and the equation that y solves (section 4):
    Benaych-Georges and Nadakuditi (2012), doi:10.1016/j.jmva.2012.04.019.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> signal = 10.0 * np.outer(rng.normal(size=100), rng.normal(size=200)) / np.sqrt(100)
    >>> values = np.linalg.svd(signal + rng.normal(size=(100, 200)), compute_uv=False)
    >>> result = optshrink(values, 1, (100, 200))
    >>> bool(result.shrunk[0] < result.strength[0] < values[0])
    True
    """
    values = spectrum("singular values", singular_values)
    short, long = _sides(values.size, shape)
    if not 0 <= rank < short:
        raise ConfigError(f"expected a rank from 0 to {short - 1}, so that noise is left, got {rank}")
    y, noise = values[:rank], values[rank:]
    # A signal value equal to the largest noise value is noise: D has a pole there, and shrinks it to zero.
    clear = y > noise[0]
    top = np.where(clear, y, 1.0)[:, None]
    spread = np.where(clear[:, None], top**2 - noise**2, 1.0)
    phi, phi_slope = (top / spread).mean(axis=1), (-(top**2 + noise**2) / spread**2).mean(axis=1)
    ratio, top = (short - rank) / (long - rank), top[:, 0]
    other, other_slope = ratio * phi + (1 - ratio) / top, ratio * phi_slope - (1 - ratio) / top**2
    transform, slope = phi * other, phi_slope * other + phi * other_slope
    kappa = 1.0 if complex_data else 2.0
    left, right = top[:, None] / spread, ratio * (top[:, None] / spread) ** 2
    of_short = kappa / short * np.maximum((left**2).mean(axis=1) - phi**2, 0)
    of_long = kappa / long * np.maximum(right.mean(axis=1) + (1 - ratio) / top**2 - other**2, 0)
    crossed = kappa / (2 * short * long) * (noise**2 / spread**2).sum(axis=1)
    variance = (other**2 * of_short + phi**2 * of_long + 4 * transform * crossed) / (4 * transform**3)
    return OptShrink(
        shrunk=np.where(clear, -2 * transform / slope, 0.0),
        strength=np.where(clear, 1 / np.sqrt(transform), 0.0),
        standard_error=np.where(clear, np.sqrt(variance), np.inf),
        overlaps=Overlaps(
            np.where(clear, -2 * phi * transform / slope, 0.0), np.where(clear, -2 * other * transform / slope, 0.0)
        ),
    )


def _sides(n_values: int, sides: tuple[int, int]) -> tuple[int, int]:
    short, long = sorted(shape(*sides))
    if n_values != short:
        raise DataError(f"expected all {short} singular values of a matrix of shape {sides}, got {n_values}")
    return short, long
