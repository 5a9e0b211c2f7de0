"""The generalized Marchenko-Pastur law: sample eigenvalues of any population spectrum."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import ComplexArray, FloatArray
from sciml.errors import DataError
from sciml.rmt.checks import points, positive
from sciml.rmt.laws.discrete import MANY, DiscreteLaw, atoms, grouped
from sciml.rmt.laws.subordination import Subordination

__all__ = ["GeneralizedMarchenkoPastur"]

NOTHING = 1e-100  # of the largest value: zero, since its square is none that a float holds
TINY = 1e-300  # u = 0 belongs to the edge at zero that gamma = 1 has


@dataclass(frozen=True, eq=False)
class GeneralizedMarchenkoPastur(DiscreteLaw):
    r"""Limit law of the eigenvalues of X^H X / n_samples for rows of X whose covariance has the spectrum {t_k, w_k}.

    .. math:: z = u + \gamma \sum_k w_k \frac{t_k u}{u - t_k}, \qquad
              f(x) = \frac{1}{\pi\gamma}\, \mathrm{Im}\Big(-\frac1{u}\Big), \qquad
              1 - F(x) = \frac1{\pi\gamma} \mathrm{Im}\Big[(1 - \gamma) \log u + \gamma \sum_k w_k \log(u - t_k)
              + \frac{x}{u}\Big]

    with u the root of z(u) = x in the upper half plane (u = -1/v, v the companion Stieltjes transform). The edges are
    z at the real roots of z'(u) = 0. The law holds for real and for complex data.

    Parameters
    ----------
    values
        Population eigenvalues t_k >= 0, shape (k,): one to some 1e5 of them, in any order and of any scale, zeros
        allowed, equal ones are merged; for instance the values of a power spectrum.
    weights
        Weight of each value, shape (k,), normalized here; equal if None.
    gamma
        n_features / n_samples, any positive number.

    Raises
    ------
    DataError
        Values that are negative, not finite or all zero.
    ConfigError
        Weights that do not fit, gamma not positive and finite.

    References
    ----------
    Marchenko and Pastur (1967), doi:10.1070/SM1967v001n04ABEH001994; Silverstein and Choi (1995),
    doi:10.1006/jmva.1995.1058 (equations 1.3 and theorem 4.1: edges). The distribution function is the imaginary part
    of the logarithmic potential, integrated from -v(z) = 1/u, dz = z'(u) du.

    Examples
    --------
    >>> law = GeneralizedMarchenkoPastur([1.0, 10.0], gamma=0.1)
    >>> [(round(low, 8), round(high, 8)) for low, high in law.support]
    [(0.5608978, 1.42725952), (6.08525686, 15.02658582)]
    >>> law.masses.round(12).tolist()
    [0.5, 0.5]
    >>> law.pdf([1.0, 10.0]).round(9).tolist()
    [0.693931455, 0.071039538]
    """

    values: ArrayLike
    weights: ArrayLike | None = None
    gamma: float = float("nan")

    def __post_init__(self) -> None:
        positive("gamma", self.gamma)
        values, weights = atoms(self.values, self.weights)
        if values[0] < 0 or values[-1] <= 0:
            raise DataError(
                f"expected population eigenvalues of zero or more, not all zero, got {values[0]:g} to {values[-1]:g}"
            )
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "weights", weights)

    @cached_property
    def _positive(self) -> tuple[FloatArray, FloatArray]:
        """Values above zero in units of the largest, and their weights, which sum to one."""
        values, weights = np.asarray(self.values), np.asarray(self.weights)
        here = values > NOTHING * values[-1]
        return values[here] / values[-1], weights[here] / weights[here].sum()

    @cached_property
    def _null(self) -> float:
        """Weight of the population at zero."""
        values = np.asarray(self.values)
        return float(np.asarray(self.weights)[values <= NOTHING * values[-1]].sum())

    @property
    def _ratio(self) -> float:
        """Gamma of the features whose population eigenvalue is not zero."""
        return self.gamma * (1 - self._null)

    @property
    def _unit(self) -> float:
        return float(np.asarray(self.values)[-1])

    @cached_property
    def _core(self) -> Subordination:
        t, w = self._positive
        g = self._ratio
        return Subordination(t, g * w * t**2, shift=float(g * (w @ t)), ratio=g * w * t)

    @cached_property
    def _coarse(self) -> "GeneralizedMarchenkoPastur | None":
        t, w = self._positive
        if t.size <= MANY:
            return None
        t, w = grouped(t, w, np.log(t))
        return GeneralizedMarchenkoPastur(self._unit * t, w, self._ratio)

    @property
    def atom(self) -> float:
        """Mass at zero: population eigenvalues that are zero, or what n_samples cannot span."""
        return max(self._null, 1 - 1 / self.gamma, 0.0)

    def _density(self, u: ComplexArray) -> FloatArray:
        return np.asarray(u.imag / (np.pi * min(self._ratio, 1.0) * np.maximum(np.abs(u) ** 2, TINY)))

    def _above(self, u: ComplexArray, z: FloatArray) -> FloatArray:
        t, w = self._positive
        angle = np.concatenate([np.angle(u[part, None] - t) @ w for part in self._core._blocks(u.size)] or [u.real])
        g = self._ratio
        total = (1 - g) * np.angle(u) + g * angle - z * u.imag / np.maximum(np.abs(u) ** 2, TINY)
        return np.asarray(total / (np.pi * min(g, 1.0)))

    def stieltjes(self, z: ArrayLike) -> ComplexArray:
        r"""Stieltjes transform m(z) = ∫ dF(x) / (x - z); on the support, the limit from the upper half plane."""
        given = points("z", z)
        point = given.ravel() / self._unit
        upper = point.real + 1j * np.abs(point.imag)
        u = self._solve(upper)
        t, w = self._positive
        sums = [(1 / (u[part, None] - t)) @ w for part in self._core._blocks(u.size)]
        m = -(self._null + (1 - self._null) * u * np.concatenate(sums or [u])) / (upper * self._unit)
        return np.where(point.imag < 0, m.conj(), m).reshape(given.shape)[()]
