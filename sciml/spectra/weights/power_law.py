r"""Power laws in the upper tail of a spectrum: exponent with interval, goodness of fit, and what else would do.

.. math:: f(x) = \frac{\alpha - 1}{x_{\min}} \Big(\frac{x}{x_{\min}}\Big)^{-\alpha}, \qquad
          \hat\alpha = 1 + \frac{n - 2}{\sum_i \ln(x_i / x_{\min})}

over the n values from x_min on, of which the smallest is x_min itself; with n - 2 the estimate of α - 1 has no bias.
x_min is where the longest tail begins that a power law is not refuted for (Kolmogorov-Smirnov, level 10 %). The
interval and the p-value come from samples that are drawn from the fit and go through the same choice of x_min.

Values are taken as independent. Eigenvalues repel each other, which makes them scatter less: intervals are then too
wide rather than too narrow.

References
----------
Clauset, Shalizi and Newman (2009), doi:10.1137/070710111; log-normal alternative: del Castillo and Puig (1999),
doi:10.1080/01621459.1999.10474153; Malevergne, Pisarenko and Sornette (2011), doi:10.1103/PhysRevE.83.036111;
comparisons: Vuong (1989), doi:10.2307/1912557.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.optimize
import scipy.stats
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import ConfigError, DataError
from sciml.rmt.laws import HighTemperature

__all__ = ["PowerLaw", "PowerLawVerdict", "power_law"]

PowerLawVerdict = Literal["power law", "not a power law", "undetermined"]

LEAST = 20  # values in a tail: fewer refute nothing
CANDIDATES = 60  # starts of the tail that are tried
# Kolmogorov-Smirnov distance times (sqrt(n) + 0.26 + 0.5 / sqrt(n)) that exponential values of estimated mean exceed
# with probability 10 % (Stephens 1974, doi:10.1080/01621459.1974.10480196, table 1.2).
CRITICAL = 0.990
TWO_SIDED = 1.959964  # standard deviations of a 95 % interval
BOUNDS = (np.array([math.log(0.05), -700.0]), np.array([math.log(200.0), 700.0]))  # of ln κ and of ln unit
LEVEL = 0.10  # at which a power law counts as refuted, and another law as better
EQUAL = 1e-6  # mean logarithm of x / x_min: below it values are equal but for rounding, and follow no power law


@dataclass(frozen=True)
class PowerLaw:
    """A power law fitted to the upper tail of positive values.

    Attributes
    ----------
    verdict
        "power law": it describes half of the values or more, and no other law does so better. "not a power law": it is
        refuted, or another law is better, each at level 0.1. "undetermined": what it describes is too short a tail to
        tell.
    alpha
        Exponent of the density; None where no tail of 20 values is described.
    low, high
        95 % interval, the choice of x_min included.
    x_min, n_tail, n_values
        Start of the tail, number of values in it, and of all values above zero.
    p_value
        Fraction of samples drawn from the fit whose distance from theirs is larger.
    against
        For each other law the p-value of the hypothesis that it describes the tail no better than the power law; the
        high-temperature law is asked last, and only where the others left the power law standing.
    reason
        What the verdict rests on.
    """

    verdict: PowerLawVerdict
    alpha: float | None
    low: float | None
    high: float | None
    x_min: float | None
    n_tail: int
    n_values: int
    p_value: float | None
    against: Mapping[str, float]
    reason: str

    def summary(self) -> str:
        """Return verdict and exponent in one line."""
        if self.alpha is None:
            return f"{self.verdict}: {self.reason}"
        return (
            f"{self.verdict} (exponent {self.alpha:.2f}, {self.low:.2f} to {self.high:.2f}, for {self.n_tail} of "
            f"{self.n_values} values): {self.reason}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {**vars(self), "against": dict(self.against)}

    def __repr__(self) -> str:
        return f"PowerLaw({self.summary()})"


@dataclass(frozen=True)
class _Tail:
    """Ascending logarithms of the values over x_min, the exponent less one, and the distance of the fit."""

    logs: FloatArray
    slope: float
    distance: float
    start: int


def power_law(
    values: ArrayLike, *, gamma: float | None = None, n_draws: int = 200, rng: np.random.Generator | None = None
) -> PowerLaw:
    """Fit a power law to the upper tail of positive values, such as the squared singular values of a weight matrix.

    Parameters
    ----------
    values
        (n,), not negative; zeros are left out.
    gamma
        Short side over long side of the matrix whose eigenvalues these are: the high-temperature Marchenko-Pastur law
        of that ratio is one of the alternatives then.
    n_draws
        Samples for interval and p-value.
    rng
        Default `np.random.default_rng(0)`: the same values give the same interval.

    Raises
    ------
    DataError
        Values that are negative or not finite.
    ConfigError
        Fewer than 20 draws.

    References
    ----------
    See the module.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> fit = power_law(rng.pareto(2.5, size=500) + 1, n_draws=50)
    >>> fit.verdict, round(fit.alpha, 1), fit.low < 3.5 < fit.high
    ('power law', 3.6, True)
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(x).all() or (x < 0).any():
        raise DataError("expected finite values of zero or more; pass squared singular values")
    if n_draws < 20:
        raise ConfigError(f"expected at least 20 draws, got {n_draws}")
    x = np.sort(x[x > 0])
    tail = _longest_tail(np.log(x))
    if tail is None:
        text = f"no tail of {LEAST} values or more follows one (level {LEVEL:g})"
        return PowerLaw("not a power law", None, None, None, None, 0, x.size, None, {}, text)
    draws = _redrawn(np.log(x), tail, n_draws, rng or np.random.default_rng(0))
    spread = TWO_SIDED * float(np.std([math.log(each.slope) for each in draws], ddof=1))
    p_value = float(np.mean([each.distance >= tail.distance for each in draws]))
    against = _comparisons(tail, x, gamma, decided=p_value < LEVEL)
    verdict, reason = _verdict(tail, x.size, p_value, against)
    return PowerLaw(
        verdict,
        1 + tail.slope,
        1 + tail.slope * math.exp(-spread),
        1 + tail.slope * math.exp(spread),
        float(x[tail.start]),
        tail.logs.size,
        x.size,
        p_value,
        against,
        reason,
    )


def _verdict(tail: _Tail, n: int, p_value: float, against: Mapping[str, float]) -> tuple[PowerLawVerdict, str]:
    better = min(against, key=lambda name: against[name])
    if p_value < LEVEL:
        return "not a power law", f"the tail does not follow it (p = {p_value:.2g}, level {LEVEL:g})"
    if against[better] < LEVEL:
        return "not a power law", f"{better} describes the tail better (p = {against[better]:.2g}, level {LEVEL:g})"
    if 2 * tail.logs.size < n:
        return (
            "undetermined",
            f"it describes {tail.logs.size} of {n} values, and other laws do as well in so short a tail",
        )
    return "power law", "no other law describes the values better"


def _longest_tail(logs: FloatArray) -> _Tail | None:
    """Return the longest tail that a power law is not refuted for."""
    if logs.size < LEAST:
        return None
    starts = np.unique((logs.size - np.geomspace(LEAST, logs.size, CANDIDATES)).astype(int))
    for start in starts:
        tail = _tail(logs, int(start))
        root = math.sqrt(tail.logs.size)
        if tail.distance * (root + 0.26 + 0.5 / root) < CRITICAL:
            return tail
    return None


def _tail(logs: FloatArray, start: int) -> _Tail:
    above = logs[start:] - logs[start]
    n = above.size
    slope = (n - 2) / max(float(above.sum()), EQUAL * n)
    # The first value is x_min by choice: the others are compared with the law.
    cdf, steps = -np.expm1(-above[1:] * slope), np.arange(n) / (n - 1)
    return _Tail(above, slope, float(max(np.max(steps[1:] - cdf), np.max(cdf - steps[:-1]))), start)


def _redrawn(logs: FloatArray, tail: _Tail, n_draws: int, rng: np.random.Generator) -> list[_Tail]:
    """Return the fits to samples of the same size: the power law from x_min on, below it the values themselves."""
    n, body = logs.size, logs[: tail.start]
    found = []
    for _ in range(n_draws):
        n_tail = n if not body.size else int(rng.binomial(n, tail.logs.size / n))
        below = rng.choice(body, size=n - n_tail) if n > n_tail else body[:0]
        sample = np.concatenate([below, logs[tail.start] + rng.exponential(1 / tail.slope, size=n_tail)])
        fit = _longest_tail(np.sort(sample))
        if fit is not None:
            found.append(fit)
    return found


def _comparisons(tail: _Tail, x: FloatArray, gamma: float | None, *, decided: bool) -> dict[str, float]:
    """Return for each other law the p-value of the hypothesis that it is no better than the power law.

    The high-temperature law takes seconds to fit: it is not asked where the power law has lost already.
    """
    own = math.log(tail.slope) - tail.slope * tail.logs  # log density of the logarithm
    others = {name: _vuong(fit(tail, x), own) for name, fit in _OTHERS.items()}
    found = {"log-normal": _log_normal(tail), **others}
    if gamma is not None and not decided and min(found.values()) >= LEVEL:
        found["high-temperature Marchenko-Pastur"] = min(
            1.0, 2 * min(_vuong(_high_temperature(tail, x, gamma, inverse=inverse), own) for inverse in (False, True))
        )
    return found


def _log_normal(tail: _Tail) -> float:
    """Return the p-value against a log-normal tail: its logarithms scatter less than exponential ones.

    The coefficient of variation of n exponential values is 1 with standard deviation 1 / sqrt(n).
    """
    n = tail.logs.size - 1
    above = tail.logs[1:]
    ratio = float(above.std(ddof=1) / above.mean())
    # The mean of the ratio in samples of n is 1 - 1 / n, to first order.
    return float(scipy.stats.norm.cdf((ratio - 1 + 1 / n) * math.sqrt(n)))


def _vuong(other: FloatArray, own: FloatArray) -> float:
    gain = other - own
    spread = float(gain.std(ddof=1)) * math.sqrt(gain.size)
    return float(scipy.stats.norm.sf(gain.sum() / spread)) if spread > 0 else 1.0


def _exponential(tail: _Tail, x: FloatArray) -> FloatArray:
    """Return log densities of the logarithms, the values being exponential from x_min on."""
    above = x[tail.start :]
    scale = float((above - above[0]).sum()) / (above.size - 1)
    return np.asarray(np.log(above / scale) - (above - above[0]) / scale)


def _high_temperature(tail: _Tail, x: FloatArray, gamma: float, *, inverse: bool) -> FloatArray:
    """Return log densities of the logarithms under the high-temperature law that fits the tail best."""
    above = x[tail.start :]

    def log_density(parameters: FloatArray) -> FloatArray:
        kappa, unit = np.exp(np.clip(parameters, *BOUNDS))
        law = HighTemperature(gamma, float(kappa), inverse=inverse)
        mass = max(float(law.sf(above[0] / unit)), 1e-12)
        return np.asarray(np.log(np.maximum(law.pdf(above / unit), 1e-300)) + np.log(above / unit) - math.log(mass))

    def cost(parameters: FloatArray) -> float:
        return -float(log_density(parameters).sum())

    start = np.array([math.log(10.0), math.log(float(x.mean()))])
    found = scipy.optimize.minimize(cost, start, method="Nelder-Mead", options={"maxfev": 60})
    return log_density(np.asarray(found.x))


_OTHERS: dict[str, Callable[[_Tail, FloatArray], FloatArray]] = {"exponential": _exponential}
