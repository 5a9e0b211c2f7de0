"""Squared singular values of the input-output Jacobian of a deep net at its start."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import ConfigError, NumericalError
from sciml.theory.meanfield import AnyActivation, activation, critical_point, gaussian_moments
from sciml.theory.meanfield.gaussian import slope_law

__all__ = ["JacobianLaw"]

_LAWS = {"gaussian": 1.0, "orthogonal": 0.0}
_POINTS = 2400
_MISSING = 0.02  # of the mass, below the smallest point that floating point or the quadrature of slopes reaches
_NEWTON = 60


@dataclass(frozen=True)
class JacobianLaw:
    r"""Limit law of the squared singular values of J = D_L W_L ... D_1 W_1, D = diag φ'(h), at a fixed point q.

    The S-transforms of free factors multiply. With M(w) = E[φ'² / (w - φ'²)], h ~ N(0, q), and g = 1 for Gaussian
    weights, 0 for orthogonal ones, the point z of the law and its Stieltjes transform are

    .. math::
        z = \frac{1 + m}{m} \big(\sigma_w^2 (1 + m)^{g - 1} m\, w\big)^L, \qquad m = M(w), \qquad
        G(z) = \frac{1 + m}{z}, \qquad f(x) = -\frac1\pi \mathrm{Im}\, G(x + i0)

    Mean χ₁^L, variance L χ₁^{2L} (μ₂/μ₁² - 1 - s₁), μ_k = E[φ'^{2k}], s₁ = -1 for Gaussian and 0 for orthogonal
    weights.

    Parameters
    ----------
    given
        The activation: a name in `meanfield.ACTIVATIONS`, an `Activation`, or a function of an array.
    depth
        Number L of layers.
    sigma_w2, q
        Weight variance times fan-in, and the second moment of the pre-activations of every layer; those of the critical
        point (`meanfield.critical_point`) where both are None.
    weights
        "gaussian" or "orthogonal".

    Raises
    ------
    ConfigError
        An unknown activation or kind of weights, a depth below 1, or one of `sigma_w2` and `q` alone.

    References
    ----------
    Pennington, Schoenholz, Ganguli (2017), arXiv:1711.04735, Eq. 13-19; (2018), arXiv:1802.09979.

    Examples
    --------
    >>> law = JacobianLaw("tanh", 16, sigma_w2=1.760955, q=0.570048, weights="orthogonal")
    >>> round(law.mean, 3), round(law.variance, 2)
    (1.0, 5.48)
    """

    given: AnyActivation
    depth: int
    sigma_w2: float | None = None
    q: float | None = None
    weights: str = "gaussian"

    def __post_init__(self) -> None:
        if self.weights not in _LAWS:
            raise ConfigError(f"expected weights among {', '.join(_LAWS)}, got {self.weights!r}")
        if self.depth < 1:
            raise ConfigError(f"expected depth >= 1, got {self.depth}")
        if (self.sigma_w2 is None) != (self.q is None):
            raise ConfigError("expected sigma_w2 and q together, or neither for the critical point")
        if self.sigma_w2 is None:
            point = critical_point(self.given)
            object.__setattr__(self, "sigma_w2", point.sigma_w2)
            object.__setattr__(self, "q", point.q)
        if not (self.sigma_w2 or 0.0) > 0.0:
            raise ConfigError(f"expected sigma_w2 > 0, got {self.sigma_w2}")

    @property
    def chi_1(self) -> float:
        """Growth of a squared gradient per layer."""
        return float(self.sigma_w2 or 0.0) * gaussian_moments(self.given, float(self.q or 0.0)).slope

    @property
    def mean(self) -> float:
        """Mean squared singular value, χ₁^L."""
        return float(self.chi_1**self.depth)

    @property
    def variance(self) -> float:
        """Variance of the squared singular values, L χ₁^{2L} (μ₂/μ₁² - 1 - s₁)."""
        spread = gaussian_moments(self.given, float(self.q or 0.0)).slope_kurtosis - 1.0 + _LAWS[self.weights]
        return float(self.depth * self.mean**2 * spread)

    @property
    def atom(self) -> float:
        """Mass at zero: the part of the units without slope, 1/2 for ReLU."""
        values, weights = self._slopes
        return float(weights[values == 0.0].sum())

    @property
    def support(self) -> tuple[tuple[float, float], ...]:
        """The interval (low, high) that holds all mass beside the atom, up to the upper edge."""
        if self._single is not None:
            return ((self._single, self._single),)
        if self._is_slope_law:
            values = float(self.sigma_w2 or 0.0) * self._slopes[0]
            return ((float(values.min()), float(values.max())),)
        return ((0.0, math.exp(self._log_z(self._edge())[0].real)),)

    def pdf(self, x: ArrayLike) -> FloatArray:
        """Density at x, without the atom; interpolated between 2400 points, to about 1e-4 of itself inside."""
        self._needs_density()
        points, density = self._curve
        value = np.asarray(x, dtype=np.float64)
        log = np.log(np.where(value > 0, value, 1.0))
        found = np.interp(log, np.log(points), density * points, right=0.0) / np.where(value > 0, value, 1.0)
        return np.where(value > 0, found, 0.0)[()]

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Probability of a squared singular value of at most x, the atom included."""
        value = np.asarray(x, dtype=np.float64)
        if self._single is not None:
            return np.where(value >= self._single, 1.0, 0.0)[()]
        points, mass = self._masses
        if self._is_slope_law:
            return np.append(0.0 if self.atom == 0 else self.atom, mass)[np.searchsorted(points, value, side="right")]
        found = np.interp(np.log(np.where(value > 0, value, points[0] / 2)), np.log(points), mass)
        return np.where(value < 0, 0.0, np.where(value == 0, self.atom, found))[()]

    def ppf(self, p: ArrayLike) -> FloatArray:
        """Smallest x with cdf(x) >= p; 0 up to the atom."""
        level = np.asarray(p, dtype=np.float64)
        if self._single is not None:
            return np.full_like(level, self._single)[()]
        points, mass = self._masses
        return np.where(level <= self.atom, 0.0, np.exp(np.interp(level, mass, np.log(points))))[()]

    @property
    def _single(self) -> float | None:
        """The only squared singular value, where there is one: an orthogonal linear net is an isometry."""
        values, _ = self._slopes
        flat = self.weights == "orthogonal" and float(np.ptp(values)) < 1e-12 * float(values.max())
        return float((float(self.sigma_w2 or 0.0) * values.max()) ** self.depth) if flat else None

    @property
    def _is_slope_law(self) -> bool:
        return self.depth == 1 and self.weights == "orthogonal"

    def _needs_density(self) -> None:
        if self._is_slope_law:
            raise NumericalError("the law of one orthogonal layer is that of the slopes, known by its cdf alone")
        if self._single is not None:
            raise NumericalError(f"the law has a single value, {self._single:.6g}, and no density; see support")

    @cached_property
    def _slopes(self) -> tuple[FloatArray, FloatArray]:
        return slope_law(activation(self.given), float(self.q or 0.0))

    @cached_property
    def _masses(self) -> tuple[FloatArray, FloatArray]:
        """Return points and the probability up to each, such that the whole is one."""
        if self._is_slope_law:
            values, weights = self._slopes
            used = values > 0
            return float(self.sigma_w2 or 0.0) * values[used], np.cumsum(weights)[used]
        points, density = self._curve
        mass = np.concatenate([[0.0], np.cumsum(_trapezoids(points, density))])
        return points, np.maximum.accumulate(np.clip(1.0 - mass[-1] + mass, self.atom, 1.0))

    @cached_property
    def _curve(self) -> tuple[FloatArray, FloatArray]:
        """Return points, ascending, and the density at each: a root of z(w) = x followed down from the upper edge."""
        top = self._edge()
        edge = self._log_z(top)[0].real
        depths = np.geomspace(1e-6, min(28.0 * (self.depth + 1), 660.0 + edge), _POINTS)
        bend = (self._log_z(top * (1.0 + 1e-6))[1].real - self._log_z(top)[1].real) / (top.real * 1e-6)
        w, before, found = top + 1j * math.sqrt(2e-6 / bend), edge - 1e-6, []
        for depth in depths:
            following = self._follow(w, before, edge - depth)
            if following is None:
                break
            w, before = following, edge - depth
            density = -(1.0 + self._m(w)).imag / math.pi * math.exp(-before)
            found.append((math.exp(before), max(0.0, density)))
        points, density = np.array(found[::-1]).T
        self._check_mass(float(_trapezoids(points, density).sum()))
        return points, density

    def _check_mass(self, mass: float) -> None:
        if abs(mass + self.atom - 1.0) > _MISSING:
            raise NumericalError(
                f"the law of the Jacobian of {activation(self.given).name} at depth {self.depth} came out with the "
                f"mass {mass + self.atom:.4g} instead of 1; use its mean and variance"
            )

    def _m(self, w: complex) -> complex:
        values, weights = self._slopes
        return complex(weights @ (values / (w - values)))

    def _log_z(self, w: complex) -> tuple[complex, complex]:
        """Return ln z and its derivative by w."""
        values, weights = self._slopes
        share = values / (w - values)
        m, slope = complex(weights @ share), -complex(weights @ (share / (w - values)))
        g, L = _LAWS[self.weights], self.depth
        log = (1.0 + L * (g - 1.0)) * np.log(1.0 + m) + (L - 1.0) * np.log(m) + L * np.log(w)
        derivative = (1.0 + L * (g - 1.0)) * slope / (1.0 + m) + (L - 1.0) * slope / m + L / w
        return complex(log + L * math.log(float(self.sigma_w2 or 1.0))), complex(derivative)

    def _edge(self) -> complex:
        """Return the w of the upper edge: the largest real one above all slopes at which z(w) has its minimum."""
        highest = float(self._slopes[0].max())
        w = highest * (1.0 + np.geomspace(1e9, 1e-9, 361))
        falls = next((i for i, each in enumerate(w) if self._log_z(complex(each))[1].real < 0.0), None)
        if falls is None or falls == 0:
            raise NumericalError(f"the law of the Jacobian at depth {self.depth} has no upper edge; use its moments")
        low, high = float(w[falls]), float(w[falls - 1])
        for _ in range(100):
            middle = (low + high) / 2.0
            low, high = (middle, high) if self._log_z(complex(middle))[1].real < 0.0 else (low, middle)
        return complex(high)

    def _follow(self, w: complex, before: float, after: float) -> complex | None:
        """Follow the root from ln x = before to after, in steps as small as Newton's method needs; None at an end."""
        here, step = before, min(after - before, -1e-9)
        while here > after:
            target = max(after, here + step)
            found = self._newton(w, target)
            if found is None:
                step /= 2.0
                if abs(step) < 1e-7:
                    return None
                continue
            w, here = found, target
        return w

    def _newton(self, w: complex, target: float) -> complex | None:
        # Just above the real axis of z: at an edge two roots meet, and a small imaginary part keeps them apart.
        goal, start = complex(target, 1e-7), w
        for _ in range(_NEWTON):
            value, slope = self._log_z(w)
            error = complex(value - goal)
            error = complex(error.real, (error.imag + math.pi) % (2.0 * math.pi) - math.pi)
            move = error / slope
            size = abs(move) / (0.3 * abs(w))
            w -= move / max(1.0, size)
            if abs(error) < 1e-11:
                close = abs(w - start) < 0.25 * abs(start) and w.imag > -1e-12
                return w if close else None
        return None


def _trapezoids(points: FloatArray, density: FloatArray) -> FloatArray:
    """Return the mass between neighboring points, ascending, integrated over ln x."""
    return np.asarray(np.diff(np.log(points)) * (density[1:] * points[1:] + density[:-1] * points[:-1]) / 2.0)
