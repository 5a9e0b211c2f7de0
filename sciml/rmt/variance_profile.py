r"""Gram matrices of independent entries with a variance profile: bulk, edge, and the weakest signal that stands out.

X has n rows (samples, or the values of their spectrum) and N columns (features); its entries are independent with
mean zero and variance S_bi, which may differ from entry to entry. Rows of equal variances form a group, and so do
columns. White noise is a profile of one number, unequal channels one row, noise of one color one column, and noise
whose channels differ in color a full table.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import ConfigError, DataError, NumericalError
from sciml.rmt.checks import numbers
from sciml.rmt.dyson import Edge, Equations, bulk_cdf, find_edge, solve_above
from sciml.rmt.edges import EdgeLaw, white

__all__ = ["VarianceProfile"]


MAX_ITERATIONS = 2000  # above the edge; a thousandth above it takes 140
TOLERANCE = 1e-10  # of the resolvent, relative
BULK_GROUPS = 24  # of rows and of columns: the bulk, unlike its edge, hardly feels a finer profile


@dataclass(frozen=True)
class VarianceProfile:
    r"""Limit of the eigenvalues of X^H X / n for independent entries of variance S_bi, b a row group, i a column group.

    With r_b rows and c_i columns in each group (n = sum r, N = sum c), the resolvent's diagonal a_i(z) = -m_i(z) solves

    .. math:: \frac{1}{a_i} + \frac1n \sum_b \frac{r_b\, S_{bi}}{1 - d_b} = z, \qquad
              d_b = \frac1n \sum_j S_{bj}\, c_j\, a_j

    The upper edge E is the smallest z that a positive solution reaches on the way down from infinity: along
    theta = sum c_i a_i the function z(theta) falls to a minimum, which is E. The density ends there like a square root
    of curvature z''(E), so the largest eigenvalue follows (Tracy and Widom)

    .. math:: \frac{\lambda_1 - E}{s} \to TW_\beta, \qquad s = \Big(\tfrac12 \frac{d^2 z}{d\theta^2}\Big)^{1/3}

    Parameters
    ----------
    values
        Variances S, shape (row groups, column groups); zero or more, any scale.
    row_counts, column_counts
        How many rows and columns each group stands for; any positive numbers, fractions included.

    Raises
    ------
    DataError, ConfigError
        Values that are negative, not finite or all zero; counts that do not fit.
    NumericalError
        When first asked for: an edge or a density that rounding hides.

    References
    ----------
    Girko (2001), Theory of Stochastic Canonical Equations, doi:10.1007/978-94-010-0989-8, chapter 1; Hachem, Loubaton
    and Najim (2007), doi:10.1214/105051606000000925, theorem 2.4; edge and its fluctuations: Alt, Erdos and Krueger
    (2017), doi:10.1214/17-EJP42; Alt, Erdos, Krueger and Schroeder (2020), doi:10.1214/19-AOP1379.

    Examples
    --------
    >>> profile = VarianceProfile([[1.0, 9.0], [2.0, 1.0]], row_counts=[500, 500], column_counts=[30, 10])
    >>> edge = profile.edge_law()
    >>> round(edge.center, 4), round(edge.scale, 4)
    (6.3969, 0.1639)
    """

    values: FloatArray
    row_counts: FloatArray
    column_counts: FloatArray

    def __init__(self, values: ArrayLike, *, row_counts: ArrayLike, column_counts: ArrayLike) -> None:
        table = numbers("variances", values)
        rows, columns = numbers("row_counts", row_counts), numbers("column_counts", column_counts)
        if table.ndim != 2 or (rows.size, columns.size) != table.shape:
            raise ConfigError(
                f"expected a table of variances with a count for each row and column, got shapes {table.shape}, "
                f"{rows.shape} and {columns.shape}"
            )
        if not (np.isfinite(table).all() and table.min() >= 0 and table.max() > 0):
            raise DataError(
                f"expected finite variances of zero or more, and one above zero; got {table.min():g} to {table.max():g}"
            )
        if min(rows.min(), columns.min()) <= 0:
            raise ConfigError("expected counts above zero for every group of rows and columns")
        object.__setattr__(self, "values", table)
        object.__setattr__(self, "row_counts", rows)
        object.__setattr__(self, "column_counts", columns)

    @property
    def n_samples(self) -> float:
        """Number of rows of X."""
        return float(self.row_counts.sum())

    @property
    def n_features(self) -> float:
        """Number of columns of X."""
        return float(self.column_counts.sum())

    @property
    def mean_eigenvalue(self) -> float:
        """Mean of the eigenvalues other than zero."""
        return self._scale * self.n_features / min(self.n_samples, self.n_features)

    @cached_property
    def _scale(self) -> float:
        """Mean variance of an entry: everything is solved in its units."""
        return float(self.row_counts @ self.values @ self.column_counts / (self.n_samples * self.n_features))

    @cached_property
    def _equations(self) -> Equations:
        """The equations for the side with fewer groups: X X^H has the same eigenvalues but zero."""
        table = self.values / self._scale
        if table.shape[0] < table.shape[1]:
            return Equations(table.T, self.column_counts, self.row_counts, self.n_samples)
        return Equations(table, self.row_counts, self.column_counts, self.n_samples)

    @cached_property
    def _edge(self) -> Edge:
        return find_edge(self._equations)

    @property
    def edge(self) -> float:
        """Upper edge E of the bulk, in units of the variances."""
        return self._edge.z * self._scale

    def edge_law(self, *, complex_data: bool = False) -> EdgeLaw:
        """Return the law of the largest eigenvalue of X^H X / n.

        For real data, center and scale carry the second-order correction of white noise of the same shape
        (`sciml.rmt.edges.white`).
        """
        n, p = max(1, round(self.n_samples)), max(1, round(self.n_features))
        shifted, plain = white(p, n, complex_data=complex_data), white(p, n, complex_data=True)
        return EdgeLaw(
            self.edge * shifted.center / plain.center,
            self._edge.width * self._scale * shifted.scale / plain.scale,
            2 if complex_data else 1,
        )

    @property
    def detection_limit(self) -> float:
        r"""Weakest signal variance x² that separates from the bulk: D(E) = 1 / x² with D as for `shrink.optshrink`.

        x is a singular value of the signal divided by sqrt(n), its singular vectors spread evenly over noise of any
        variance. White noise of unit variance: sqrt(N / n).

        References
        ----------
        Benaych-Georges and Nadakuditi (2012), doi:10.1016/j.jmva.2012.04.019, theorem 2.8.

        Examples
        --------
        >>> profile = VarianceProfile([[1.0]], row_counts=[400], column_counts=[100])
        >>> round(profile.detection_limit, 6)
        0.5
        """
        z, weights = self._edge.z, self._equations.weights
        solved, other = float(weights.sum()), float(self._equations.other_weights.sum())
        theta = self._edge.theta
        transform = z * (theta / solved) * (theta + (other - solved) / z) / other
        return self._scale / transform

    def resolvent(self, z: ArrayLike) -> tuple[FloatArray, FloatArray]:
        r"""Return the limits of the diagonals of (z - X X^H / n)^-1 and (z - X^H X / n)^-1 at real z above the edge.

        Shapes (z, row group) and (z, column group), z in the units of the variances, the resolvents in those of 1 / z:
        g_b = 1 / (z (1 - d_b)) and a_i. A signal that X is added to, of
        strength x and singular vectors u over rows, v over columns, has its outlier where x² z (u^H g u) (v^H a v) = 1.

        Raises
        ------
        ConfigError
            A z that is not above the edge.
        NumericalError
            A z that rounding does not tell from the edge.

        References
        ----------
        Hachem, Loubaton and Najim (2007), doi:10.1214/105051606000000925, theorem 2.4; Benaych-Georges and Nadakuditi
        (2012), doi:10.1016/j.jmva.2012.04.019, section 4.

        Examples
        --------
        >>> profile = VarianceProfile([[1.0]], row_counts=[400], column_counts=[100])
        >>> z = 5.3125  # where white noise has the outlier of a signal of strength 2: (1 + 2²)(0.25 + 2²) / 2²
        >>> rows, columns = profile.resolvent(z)
        >>> round(float(2.0**2 * z * rows[0, 0] * columns[0, 0]), 9)
        1.0
        """
        at = np.atleast_1d(numbers("z", z)) / self._scale
        if not at.min() > self._edge.z:
            raise ConfigError(f"expected z above the edge {self.edge:g}, got {at.min() * self._scale:g}")
        table, rows, n = self.values / self._scale, self.row_counts, self.n_samples
        system = Equations(table, rows, self.column_counts, n)
        a, change = np.tile(1 / at[:, None], (1, table.shape[1])), np.full(at.size, np.inf)
        for _ in range(MAX_ITERATIONS):
            last, a = a, 1 / (at[:, None] - (rows / (1 - system.load(a))) @ table / n)
            change = np.abs(a - last).max(axis=1)
            if change.max() < TOLERANCE * a.min():
                break
        for i in np.flatnonzero(change >= TOLERANCE * a.min()):
            a[i] = self._columns_at(float(at[i]))
        return 1 / (at[:, None] * (1 - system.load(a))) / self._scale, a / self._scale

    def _columns_at(self, z: float) -> FloatArray:
        """Return the diagonal over columns at one z close to the edge, where repetition is too slow."""
        system = self._equations
        point = solve_above(system, z)
        if point is None:
            raise NumericalError(f"rounding hides whether z = {z * self._scale:g} is above the edge; take one above it")
        if system.table.shape == self.values.shape:
            return point.a
        return 1 / (z * (1 - system.load(point.a)))

    def second_moment(self, *, complex_data: bool = False) -> float:
        r"""Return the expected sum of squared eigenvalues of X^H X / n, exact for normal entries.

        .. math:: \sum_i c_i \bar S_i^2 + \frac{1}{n^2} \sum_b r_b \Big(\sum_i c_i S_{bi}\Big)^2
                  + \frac{\kappa - 1}{n^2} \sum_{bi} r_b c_i S_{bi}^2, \qquad \kappa = 2 \text{ real}, 1 \text{ complex}

        Examples
        --------
        >>> VarianceProfile([[1.0]], row_counts=[400], column_counts=[100]).second_moment(complex_data=True)
        125.0
        """
        table, rows, columns, n = self.values / self._scale, self.row_counts, self.column_counts, self.n_samples
        own = float(columns @ (rows @ table / n) ** 2)
        shared = float(rows @ (table @ columns) ** 2) / n**2
        same = 0.0 if complex_data else float(rows @ table**2 @ columns) / n**2
        return (own + shared + same) * self._scale**2

    @cached_property
    def _bulk(self) -> tuple[FloatArray, FloatArray]:
        """Grid over the bulk and the cdf of the eigenvalues other than zero on it: those of the shorter side."""
        table, rows = _coarse((self.values / self._scale).T, self.row_counts, BULK_GROUPS)
        table, columns = _coarse(table.T, self.column_counts, BULK_GROUPS)
        if self.n_samples < self.n_features:
            table, rows, columns = table.T, columns, rows
        return bulk_cdf(Equations(table, rows, columns, self.n_samples), self._edge.z)

    def bulk_cdf(self, x: ArrayLike) -> FloatArray:
        """Probability that an eigenvalue other than zero is at most x, to about .005.

        Examples
        --------
        >>> from sciml.rmt.laws import MarchenkoPastur
        >>> profile = VarianceProfile([[1.0]], row_counts=[400], column_counts=[100])
        >>> bool(abs(profile.bulk_cdf(1.0) - MarchenkoPastur(0.25).cdf(1.0)) < 0.005)
        True
        """
        grid, cdf = self._bulk
        return np.asarray(np.interp(numbers("x", x) / self._scale, grid, cdf, left=0.0, right=1.0))[()]


def _coarse(table: FloatArray, counts: FloatArray, n_groups: int) -> tuple[FloatArray, FloatArray]:
    """Average the columns of a table into at most `n_groups` of similar variances."""
    if len(counts) <= n_groups:
        return table, counts
    order = np.argsort(table.mean(axis=0), kind="stable")
    starts = np.linspace(0, len(order), n_groups, endpoint=False).astype(int)
    merged = np.add.reduceat(counts[order], starts)
    return np.add.reduceat(table[:, order] * counts[order], starts, axis=1) / merged, merged
