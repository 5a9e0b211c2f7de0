"""Determinants of the Airy kernel, tabulated: the numbers behind the Tracy-Widom laws.

With B_x the integral operator of kernel Ai(u + v + x) on (0, inf) and lam_i its eigenvalues (Ferrari and Spohn 2005,
doi:10.1088/0305-4470/38/33/L02; Bornemann 2010, doi:10.1090/S0025-5718-09-02280-7),

    F1(x) = det(1 - B_x),    F2(x) = det(1 - B_x^2),    F4(x / sqrt(2)) = (det(1 - B_x) + det(1 + B_x)) / 2.

Gauss-Legendre quadrature turns B_x into a matrix. Where the law's mass is, log F is tabulated; to its right,
log(1 - F) relative to its leading term, in powers of x^(-3/2), which reaches to infinity; far to the left the
asymptotic series in |x|^(-3/2) is used.
"""

from functools import cache

import numpy as np
import scipy.special
from numpy.polynomial import Chebyshev
from numpy.polynomial.chebyshev import chebpts1

from sciml._typing import FloatArray

__all__ = ["Table", "table"]


N_QUADRATURE = 48
REACH = 16.0  # Ai(16) is 4e-20 of Ai(0)
BREAKS = (-7.0, -3.0, 1.5)  # left of the first: series; between: log F; right of the last: log(1 - F)
N_NODES = (24, 28, 48)
# 1 - F is near exp(-rate x^(3/2)) / (divisor x^power): Borot and Nadal (2012), arXiv:1111.2761.
LEADING = {1: (2 / 3, 0.75, 4 * np.sqrt(np.pi)), 2: (4 / 3, 1.5, 16 * np.pi), 4: (4 / 3, 3.0, 128 * np.pi)}
ZETA_SLOPE = -0.16542114370045092921  # of the Riemann zeta function at -1


def spectrum(x: float) -> tuple[FloatArray, float]:
    """Return the eigenvalues of B_x divided by e^t, and t = -2/3 x^(3/2) for x > 0, else 0.

    The factor keeps the eigenvalues representable where Ai(x) is not.
    """
    nodes, weights = np.polynomial.legendre.leggauss(N_QUADRATURE)
    length = REACH - x if x < 0 else REACH / np.sqrt(1 + x)
    rows, columns = np.triu_indices(N_QUADRATURE)
    u, half = (nodes + 1) * (length / 2), np.sqrt(weights * (length / 2))
    argument = u[rows] + u[columns] + x
    if x <= 0:
        exponent, airy = 0.0, scipy.special.airy(argument)[0]
    else:
        exponent = -2 / 3 * x**1.5
        airy = scipy.special.airye(argument)[0] * np.exp(-2 / 3 * argument**1.5 - exponent)
    kernel = np.zeros((N_QUADRATURE, N_QUADRATURE))
    kernel[columns, rows] = airy * half[rows] * half[columns]
    return np.linalg.eigvalsh(kernel, UPLO="L").astype(np.float64), exponent


def log_cdf(beta: int, lam: FloatArray) -> float:
    """Return log F_beta from the eigenvalues lam of B_x.

    With h = sum_i atanh(lam_i), det(1 -+ B) = sqrt(F2) exp(-+ h), and therefore F4 = sqrt(F2) cosh(h).
    """
    if beta == 1:
        return float(np.log1p(-lam).sum())
    log_f2 = float(np.log1p(-(lam**2)).sum())
    h = float(np.arctanh(lam).sum())
    return log_f2 if beta == 2 else log_f2 / 2 + float(np.log(np.cosh(h)))


def log_sf(beta: int, lam: FloatArray, exponent: float) -> float:
    """Return log(1 - F_beta) from lam_i e^(-exponent), with relative accuracy where 1 - F is smaller than the unit.

    With e_k the elementary symmetric polynomials of lam, 1 - F4 = -(e_2 + e_4 + ...), and e_4 is below 1e-11 of e_2 for
    x > 1.5. The eigenvalues alternate in sign and fall off fast, so that e_2 is near lam_1 lam_2 < 0: summed over
    pairs, largest first, nothing cancels, whereas 1 - F4 from determinants near 1 loses every digit.
    """
    unit = np.exp(max(exponent, -340.0))  # any smaller unit gives the same digits, and would underflow when squared
    if beta == 1:
        return float(np.log(-np.expm1(np.log1p(-lam * unit).sum()) / unit)) + exponent
    if beta == 2:
        return float(np.log(-np.expm1(np.log1p(-((lam * unit) ** 2)).sum()) / unit**2)) + 2 * exponent
    ordered = lam[np.argsort(-np.abs(lam))]
    return float(np.log(-(ordered[1:] * np.cumsum(ordered)[:-1]).sum())) + 2 * exponent


def leading_log_sf(beta: int, x: FloatArray) -> FloatArray:
    """Return the leading term of log(1 - F_beta) for large x."""
    rate, power, divisor = LEADING[beta]
    return np.asarray(-rate * x**1.5 - power * np.log(x) - np.log(divisor))


def left_log_cdf(beta: int, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log F_beta and its derivative for x far below zero.

    The series q(-y) = sqrt(y/2) (1 - 1/(8 y^3) - 73/(128 y^6) - ...) of the Hastings-McLeod solution of Painleve II, in
    (log F2)'' = -q^2 and h' = -q/2, gives both terms (constants: Baik, Buckingham and DiFranco 2008,
    doi:10.1007/s00220-008-0433-5).
    """
    y = -x
    log_f2 = -(y**3) / 12 - np.log(y) / 8 + np.log(2) / 24 + ZETA_SLOPE + 3 / 64 / y**3 + 63 / 256 / y**6
    slope = y**2 / 4 + 1 / (8 * y) + 9 / 64 / y**4 + 189 / 128 / y**7
    if beta == 2:
        return log_f2, slope
    h = y**1.5 / np.sqrt(18) + np.log(2) / 4 + y**-1.5 / np.sqrt(1152) + 73 / (1152 * np.sqrt(2)) * y**-4.5
    h_slope = -np.sqrt(y / 8) + y**-2.5 / np.sqrt(512) + 73 / (256 * np.sqrt(2)) * y**-5.5
    if beta == 1:
        return log_f2 / 2 - h, slope / 2 - h_slope
    log_cosh = h + np.log1p(np.exp(-2 * h)) - np.log(2)
    return log_f2 / 2 + log_cosh, slope / 2 + np.tanh(h) * h_slope


@cache
def _spectra() -> tuple[tuple[FloatArray, list[tuple[FloatArray, float]]], ...]:
    """Return, for the two pieces of the body and for the tail, Chebyshev points x and the spectra of B_x there."""
    body = [
        low + (high - low) / 2 * (chebpts1(n) + 1)
        for low, high, n in zip(BREAKS[:-1], BREAKS[1:], N_NODES[:-1], strict=True)
    ]
    tail = (BREAKS[-1] ** -1.5 / 2 * (chebpts1(N_NODES[-1]) + 1)) ** (-2 / 3)
    return tuple((x, [spectrum(value) for value in x]) for x in (*body, tail))


def _log1mexp(value: FloatArray) -> FloatArray:
    """Return log(1 - e^value) for value < 0 without cancellation at either end."""
    safe = np.minimum(value, -np.finfo(float).tiny)
    return np.where(safe > -np.log(2), np.log(-np.expm1(safe)), np.log1p(-np.exp(safe)))


class Table:
    """One law of the family in the variable x: log F, log(1 - F), density, inverse, mean and variance."""

    def __init__(self, beta: int) -> None:
        self.beta = beta
        *body, (x_tail, tail) = _spectra()
        self._body = [
            Chebyshev.fit(x, [log_cdf(beta, lam * np.exp(t)) for lam, t in spectra], len(x) - 1, domain=[low, high])
            for (x, spectra), low, high in zip(body, BREAKS[:-1], BREAKS[1:], strict=True)
        ]
        excess = np.array([log_sf(beta, *pair) for pair in tail]) - leading_log_sf(beta, x_tail)
        self._tail = Chebyshev.fit(x_tail**-1.5, excess, len(x_tail) - 1, domain=[0, BREAKS[-1] ** -1.5])
        start = np.array(BREAKS[0])
        self._constant = float(self._body[0](start) - left_log_cdf(beta, start)[0])
        self._grid = np.concatenate([np.arange(-40, 12, 0.25), np.arange(12, 121, 1.0)])
        self._grid_log_cdf, self._grid_log_sf = self.log_cdf(self._grid), self.log_sf(self._grid)
        self.mean, self.var = self._moments()

    def _smaller(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log F left of the last break and log(1 - F) right of it, with its derivative."""
        x = np.clip(x, -1e40, 1e40)
        value, slope = np.empty_like(x), np.empty_like(x)
        piece = np.searchsorted(BREAKS, x, side="right")
        for index in np.unique(piece):
            here = piece == index
            value[here], slope[here] = self._piece(int(index), x[here])
        return value, slope

    def _piece(self, index: int, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        if index == 0:
            value, slope = left_log_cdf(self.beta, x)
            return value + self._constant, slope
        if index < len(BREAKS):
            fit = self._body[index - 1]
            return fit(x), fit.deriv()(x)
        u = x**-1.5
        rate, power, _ = LEADING[self.beta]
        slope = -1.5 * rate * np.sqrt(x) - power / x - 1.5 * u / x * self._tail.deriv()(u)
        return leading_log_sf(self.beta, x) + self._tail(u), slope

    def log_cdf(self, x: FloatArray) -> FloatArray:
        """Return log F(x)."""
        value, _ = self._smaller(x)
        return np.where(x < BREAKS[-1], value, _log1mexp(value))

    def log_sf(self, x: FloatArray) -> FloatArray:
        """Return log(1 - F(x))."""
        value, _ = self._smaller(x)
        return np.where(x < BREAKS[-1], _log1mexp(value), value)

    def pdf(self, x: FloatArray) -> FloatArray:
        """Return F'(x)."""
        value, slope = self._smaller(x)
        density: FloatArray = np.exp(value) * np.abs(slope)
        return density

    def inverse(self, log_p: FloatArray, log_q: FloatArray) -> FloatArray:
        """Return x with log F(x) = log_p, given log_q = log(1 - p) too: Newton's method on the smaller of the two.

        Both logarithms are concave, and interpolation starts it within 0.02 of the root: four steps reach the rounding.
        """
        lower = log_p < log_q
        goal = np.where(lower, log_p, log_q)
        x: FloatArray = np.where(
            lower,
            np.interp(log_p, self._grid_log_cdf, self._grid),
            np.interp(-log_q, -self._grid_log_sf, self._grid),
        )
        for _ in range(4):
            value = np.where(lower, self.log_cdf(x), self.log_sf(x))
            slope = np.where(lower, 1.0, -1.0) * self.pdf(x) * np.exp(-value)
            x = x - (value - goal) / slope
        return x

    def _moments(self) -> tuple[float, float]:
        """Return mean and variance, E[(X - c)^k] being integrals of k |x - c|^(k-1) times F below c and 1 - F above."""
        nodes, weights = np.polynomial.legendre.leggauss(40)
        center = -1.5
        panels = np.array([-16.0, *BREAKS[:2], center, BREAKS[2], 6.0, 14.0, 40.0])
        low, high = panels[:-1, None], panels[1:, None]
        x, w = low + (high - low) / 2 * (nodes + 1), (high - low) / 2 * weights
        mass = np.where(x < center, -np.exp(self.log_cdf(x)), np.exp(self.log_sf(x)))
        first, second = float((w * mass).sum()), float((2 * w * (x - center) * mass).sum())
        return center + first, second - first**2


@cache
def table(beta: int) -> Table:
    """Return the table of F_beta, computed on first use (a quarter of a second)."""
    return Table(beta)
