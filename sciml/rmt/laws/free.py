"""Free convolution: the spectrum of a sum or a product of matrices in general position."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import ComplexArray, FloatArray
from sciml.errors import ConfigError
from sciml.rmt.checks import points, positive
from sciml.rmt.laws.discrete import MANY, DiscreteLaw, atoms, grouped
from sciml.rmt.laws.generalized import GeneralizedMarchenkoPastur
from sciml.rmt.laws.subordination import Subordination

__all__ = ["SemicircleSum", "add", "add_semicircle", "multiply_marchenko_pastur"]

STEPS = 20_000


@dataclass(frozen=True, eq=False)
class SemicircleSum(DiscreteLaw):
    r"""Limit law of the eigenvalues of A + W, A of spectrum {t_k, w_k}, W symmetric noise of the semicircle law.

    .. math:: z = u + \sigma^2 G(u), \quad G(u) = \sum_k \frac{w_k}{u - t_k}, \qquad
              f(x) = \frac{\mathrm{Im}\, u}{\pi\sigma^2}, \qquad
              1 - F(x) = \frac1\pi \mathrm{Im}\Big[\sum_k w_k \log(u - t_k) + \frac{\sigma^2}{2} G(u)^2\Big]

    with u the root of z(u) = x in the upper half plane.

    Parameters
    ----------
    values
        Eigenvalues t_k of A, shape (k,), of either sign.
    weights
        Weight of each, shape (k,), normalized here; equal if None.
    sigma
        Standard deviation of the semicircle law: W is n by n with entries of variance sigma²/n.

    Raises
    ------
    DataError
        Values that are not finite.
    ConfigError
        Weights that do not fit, sigma not positive and finite.

    References
    ----------
    Pastur (1972), doi:10.1007/BF01035768; Biane (1997), doi:10.1512/iumj.1997.46.1467.

    Examples
    --------
    >>> law = SemicircleSum([-2.0, 2.0], sigma=1.0)
    >>> [(round(low, 6), round(high, 6)) for low, high in law.support]
    [(-3.520345, -0.738017), (0.738017, 3.520345)]
    >>> round(float(law.sf(2.0)), 12)
    0.278241362757
    """

    values: ArrayLike
    weights: ArrayLike | None = None
    sigma: float = 1.0

    def __post_init__(self) -> None:
        positive("sigma", self.sigma)
        values, weights = atoms(self.values, self.weights)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "weights", weights)

    @cached_property
    def _center(self) -> float:
        return float(np.asarray(self.values) @ np.asarray(self.weights))

    @cached_property
    def _unit(self) -> float:
        return max(self.sigma, float(np.abs(np.asarray(self.values) - self._center).max()))

    @cached_property
    def _core(self) -> Subordination:
        t = (np.asarray(self.values) - self._center) / self._unit
        return Subordination(t, (self.sigma / self._unit) ** 2 * np.asarray(self.weights))

    @cached_property
    def _coarse(self) -> "SemicircleSum | None":
        values, weights = np.asarray(self.values), np.asarray(self.weights)
        return SemicircleSum(*grouped(values, weights, values), self.sigma) if values.size > MANY else None

    def _sum(self, u: ComplexArray) -> ComplexArray:
        """Return sigma² G(u) in units of the law."""
        value, _ = self._core.z(u)
        return np.asarray(value - u)

    def _density(self, u: ComplexArray) -> FloatArray:
        return np.asarray(u.imag / (np.pi * (self.sigma / self._unit) ** 2))

    def _above(self, u: ComplexArray, z: FloatArray) -> FloatArray:
        w = np.asarray(self.weights)
        angle = [np.angle(u[part, None] - self._core.t) @ w for part in self._core._blocks(u.size)]
        # sigma² G² / 2, written such that an error in u changes the result in second order only.
        total = self._sum(u)
        extra = np.imag((z - u) * total - total**2 / 2) / (self.sigma / self._unit) ** 2
        return np.asarray((np.concatenate(angle or [u.real]) + extra) / np.pi)

    def stieltjes(self, z: ArrayLike) -> ComplexArray:
        r"""Stieltjes transform m(z) = ∫ dF(x) / (x - z); on the support, the limit from the upper half plane."""
        given = points("z", z)
        point = (given.ravel() - self._center) / self._unit
        m = -self._sum(self._solve(point.real + 1j * np.abs(point.imag))) / (self.sigma / self._unit) ** 2
        result: ComplexArray = np.asarray(np.where(point.imag < 0, m.conj(), m) / self._unit, dtype=np.complex128)
        return result.reshape(given.shape)[()]


def add_semicircle(values: ArrayLike, *, sigma: float, weights: ArrayLike | None = None) -> SemicircleSum:
    """Return the law of a spectrum after symmetric noise of standard deviation sigma: the free additive convolution.

    Raises
    ------
    DataError, ConfigError
        As `SemicircleSum`.

    Examples
    --------
    >>> law = add_semicircle([0.0], sigma=0.5)
    >>> law.support
    ((-1.0, 1.0),)
    """
    return SemicircleSum(values, weights, sigma)


def multiply_marchenko_pastur(
    values: ArrayLike, *, gamma: float, weights: ArrayLike | None = None
) -> GeneralizedMarchenkoPastur:
    """Return the law of a population spectrum seen through a finite sample: the free multiplicative convolution.

    Raises
    ------
    DataError, ConfigError
        As `sciml.rmt.laws.GeneralizedMarchenkoPastur`.

    Examples
    --------
    >>> multiply_marchenko_pastur([1.0], gamma=0.25).support
    ((0.25, 2.25),)
    """
    return GeneralizedMarchenkoPastur(values, weights, gamma)


def add(
    z: ArrayLike,
    first: Callable[[ComplexArray], ComplexArray],
    second: Callable[[ComplexArray], ComplexArray],
    *,
    tolerance: float = 1e-12,
) -> ComplexArray:
    r"""Return the Stieltjes transform m(z) of the free sum of two laws given by theirs, for Im z > 0.

    With F = -1/m and H(w) = F(w) - w of each law, the subordination function is the fixed point of

    .. math:: \omega \mapsto z + H_2(z + H_1(\omega)), \qquad m(z) = m_1(\omega)

    which the iteration reaches from any start in the upper half plane. A point x of the support needs Im z of some
    1e-3 of its width; the density there is m(z).imag / pi, smoothed over Im z.

    Parameters
    ----------
    z
        Points of the upper half plane, any shape.
    first, second
        Stieltjes transforms ∫ dF(x) / (x - z) of the two laws, as `stieltjes` of any law in `sciml.rmt`.
    tolerance
        Relative change of omega at which the iteration ends.

    Raises
    ------
    DataError
        NaN.
    ConfigError
        Im z not positive, or so small that 20000 steps do not reach the tolerance.

    References
    ----------
    Belinschi and Bercovici (2007), doi:10.1007/s11854-007-0008-0, theorem 4.1.

    Examples
    --------
    >>> from sciml.rmt.laws import Semicircle
    >>> m = add(0.5 + 0.1j, Semicircle(3.0).stieltjes, Semicircle(4.0).stieltjes)
    >>> bool(np.isclose(m, Semicircle(5.0).stieltjes(0.5 + 0.1j)))
    True
    """
    point = points("z", z)
    if not (point.imag > 0).all():
        raise ConfigError("expected points z with a positive imaginary part; add a small one, as x + 1e-2j")
    flat = point.ravel()
    omega, active = flat.copy(), np.arange(flat.size)
    for _ in range(STEPS):
        if not active.size:
            return np.asarray(first(omega)).reshape(point.shape)[()]
        here, at = omega[active], flat[active]
        other = at - 1 / first(here) - here
        moved = at - 1 / second(other) - other
        omega[active] = moved
        active = active[np.abs(moved - here) > tolerance * np.abs(moved)]
    raise ConfigError(f"{active.size} of {flat.size} points did not converge: use a larger Im z or a larger tolerance")
