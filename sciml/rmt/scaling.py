"""Rows and columns scaled until the noise has the same variance everywhere: biwhitening and the Dyson equalizer.

After either, noise of independent entries follows the Marchenko-Pastur law whatever the variances of rows and columns
were, and its largest singular value lies at sqrt(m) + sqrt(n).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.linalg
import scipy.optimize
from numpy.typing import ArrayLike

from sciml._typing import AnyArray, BoolArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.rmt.checks import positive
from sciml.rmt.laws import MarchenkoPastur
from sciml.rmt.matrix import gram_eigenvalues, matrix

__all__ = ["Balance", "Equalized", "biwhiten", "dyson_equalize", "sinkhorn"]


TOLERANCE = 1e-10  # of the sums, relative to their targets; sampling noise of a variance is 1e-2 or more
MAX_ITERATIONS = 10_000
FIT_SIDE = 600  # the law of the noise is fitted on at most this many rows and columns
MAX_STEPS = 5  # the first repairs what strong components hid from the mean squares; the third moves nothing (measured)
LARGEST_STEP = 0.5  # of a log variance: sampling noise moves it by less, unequal noise by more
CURVATURES = np.concatenate([[0.0], np.geomspace(1e-3, 1e2, 11)])  # c mean / b: from Poisson to a constant fraction


@dataclass(frozen=True)
class Balance:
    """Positive factors such that row_factor[i] V[i, j] column_factor[j] has the wanted sums.

    `error` is the largest deviation of a row sum, relative to what was wanted; the column sums are exact to rounding.
    """

    row_factor: FloatArray
    column_factor: FloatArray
    iterations: int
    error: float


@dataclass(frozen=True)
class Equalized:
    """A matrix whose rows and columns were multiplied so that the variance of the noise is 1 on average in each.

    `scaled` (m', n') holds the rows and columns that were kept; the factors have the full lengths m and n, zero where
    a row or column was dropped. `linear` and `quadratic` are b and c of the variance b mean + c mean², None
    where the variance was not taken from the mean.
    """

    scaled: AnyArray
    row_factor: FloatArray
    column_factor: FloatArray
    dropped_rows: tuple[int, ...]
    dropped_columns: tuple[int, ...]
    linear: float | None = None
    quadratic: float | None = None

    @property
    def edge(self) -> float:
        """Largest singular value that noise reaches in the limit, sqrt(m') + sqrt(n')."""
        return float(np.sqrt(self.scaled.shape).sum())

    def unscale(self, scaled: AnyArray) -> AnyArray:
        """Return what became `scaled` (m', n') in the units and the shape (m, n) of the data; zero where dropped."""
        rows, columns = self.row_factor > 0, self.column_factor > 0
        out = np.zeros((rows.size, columns.size), dtype=scaled.dtype)
        out[np.ix_(rows, columns)] = scaled / self.row_factor[rows, None] / self.column_factor[columns]
        return out


def sinkhorn(
    V: ArrayLike,
    row_sums: ArrayLike,
    column_sums: ArrayLike,
    *,
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
) -> Balance:
    r"""Scale rows and columns of a non-negative matrix to given sums.

    .. math:: u_i \leftarrow r_i / \sum_j V_{ij} v_j, \qquad v_j \leftarrow c_j / \sum_i V_{ij} u_i

    until all sums agree. The factors are unique up to one number moved from u to v; they are returned with the same
    geometric mean.

    Parameters
    ----------
    V
        Non-negative, (m, n), in any unit.
    row_sums, column_sums
        Positive, one number for all or one each; both must add up to the same total.
    tolerance
        Relative deviation of the row sums at which to stop.

    Raises
    ------
    DataError
        Negative values, NaN, a row or column of zeros, or zeros so placed that no scaling has these sums.
    ConfigError
        Sums that are not positive, do not fit the shape, or have different totals.

    References
    ----------
    Sinkhorn (1967), doi:10.2307/2314570; Rothblum and Schneider (1989), doi:10.1016/0024-3795(89)90491-6.

    Examples
    --------
    >>> V = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    >>> balance = sinkhorn(V, row_sums=3.0, column_sums=2.0)
    >>> (balance.row_factor[:, None] * V * balance.column_factor).round(4)
    array([[0.8081, 1.0407, 1.1511],
           [1.1919, 0.9593, 0.8489]])
    """
    weights = _non_negative("V", V)
    rows = _targets("row_sums", row_sums, weights.shape[0])
    columns = _targets("column_sums", column_sums, weights.shape[1])
    if not np.isclose(rows.sum(), columns.sum(), rtol=1e-9):
        raise ConfigError(f"expected row sums and column sums with one total, got {rows.sum():g} and {columns.sum():g}")
    for kind, empty in (("rows", weights.max(axis=1) == 0), ("columns", weights.max(axis=0) == 0)):
        if empty.any():
            raise DataError(
                f"expected {kind} that are not all zero, got zeros in {kind} {_some(empty)}; leave them out"
            )
    # Rows divided by their largest value first, so that neither a tiny unit nor rows of very different size underflow.
    largest = weights.max(axis=1)
    u, v, iterations, error = _alternate(
        weights / largest[:, None], rows, columns, positive("tolerance", tolerance), max_iterations
    )
    log_u, log_v = np.log(u) - np.log(largest), np.log(v)
    shift = (log_v.mean() - log_u.mean()) / 2
    return Balance(np.exp(log_u + shift), np.exp(log_v - shift), iterations, error)


def _alternate(
    weights: FloatArray, rows: FloatArray, columns: FloatArray, tolerance: float, max_iterations: int
) -> tuple[FloatArray, FloatArray, int, float]:
    """Iterate until the row sums that belong to exact column sums are right as well."""
    u, error = np.ones_like(rows), np.inf
    for iteration in range(1, max_iterations + 1):
        v = columns / (u @ weights)
        reached = weights @ v
        error = float(np.abs(u * reached / rows - 1).max())
        if error <= tolerance:
            return u, v, iteration, error
        u = rows / reached
    raise DataError(
        f"expected a matrix that can be scaled to these sums, but after {max_iterations} iterations a row is still off "
        f"by {error:.2g} of its sum; leave out rows and columns that are nearly all zero"
    )


def biwhiten(Y: ArrayLike, variance: ArrayLike | Literal["quadratic"] | None = None) -> Equalized:
    r"""Scale rows and columns by the variances of the entries, estimated from the data themselves.

    With V an unbiased estimate of the noise variance of each entry and u, v the factors that give
    :math:`\mathrm{diag}(u) V \mathrm{diag}(v)` row sums n and column sums m,

    .. math:: \tilde Y = \mathrm{diag}(\sqrt u)\, Y \,\mathrm{diag}(\sqrt v)

    has noise of mean variance 1 in each row and column, and follows the Marchenko-Pastur law. The mean over all
    counts is one of the components beyond the edge.

    Rows and columns with so few values above zero that no scaling exists (all zero among them) are dropped.

    Parameters
    ----------
    Y
        (m, n), real or complex.
    variance
        None: counts with the Poisson variance, V = Y. An array: V itself. "quadratic": noise whose variance is
        b mean + c mean², V = (b Y + c Y²) / (1 + c), with b and c fitted: the ratio c / b to the shape of the
        Marchenko-Pastur law (least Kolmogorov-Smirnov distance), the scale to its median.

    Raises
    ------
    DataError
        NaN, negative counts, a variance that is negative or of another shape, or nothing left to scale.
    ConfigError
        Another word than "quadratic".

    References
    ----------
    Landa, Zhang and Kluger (2022), doi:10.1137/21M1456807; quadratic variances: their section 4 and
    Stanley et al. (2025), doi:10.1101/2025.02.03.636129.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mean = 3.0 * rng.gamma(2.0, size=(100, 1)) * rng.gamma(2.0, size=300)
    >>> equalized = biwhiten(rng.poisson(mean))
    >>> values = np.linalg.svd(equalized.scaled, compute_uv=False)
    >>> int((values > 1.02 * equalized.edge).sum())
    1
    """
    data = matrix("data", Y)
    if variance is None:
        return _scale(data, _non_negative("counts", data), 1.0, 0.0)
    if not isinstance(variance, str):
        given = _non_negative("variances", variance)
        if given.shape != data.shape:
            raise DataError(f"expected a variance for each of {data.shape} entries, got shape {given.shape}")
        return _scale(data, given)
    if variance != "quadratic":
        raise ConfigError(f'expected variance as an array, "quadratic" or None for counts, got {variance!r}')
    linear, quadratic = _fit_quadratic(_non_negative("data", data))
    return _scale(data, (linear * data + quadratic * data**2) / (1 + quadratic), linear, quadratic)


def _scale(
    data: AnyArray, variance: FloatArray, linear: float | None = None, quadratic: float | None = None
) -> Equalized:
    rows, columns = _scalable(variance > 0)
    kept = np.ix_(rows, columns)
    m, n = int(rows.sum()), int(columns.sum())
    balance = sinkhorn(variance[kept], float(n), float(m))
    return _equalized(
        data, rows, columns, np.sqrt(balance.row_factor), np.sqrt(balance.column_factor), linear, quadratic
    )


def _equalized(
    data: AnyArray,
    rows: BoolArray,
    columns: BoolArray,
    left: FloatArray,
    right: FloatArray,
    linear: float | None = None,
    quadratic: float | None = None,
) -> Equalized:
    row_factor, column_factor = np.zeros(rows.size), np.zeros(columns.size)
    row_factor[rows], column_factor[columns] = left, right
    return Equalized(
        scaled=left[:, None] * data[np.ix_(rows, columns)] * right,
        row_factor=row_factor,
        column_factor=column_factor,
        dropped_rows=tuple(np.flatnonzero(~rows).tolist()),
        dropped_columns=tuple(np.flatnonzero(~columns).tolist()),
        linear=linear,
        quadratic=quadratic,
    )


def _scalable(filled: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Return which rows and columns can be kept.

    All n of a row's sum lies on its z filled entries, each of which may take no more than its column's sum m:
    z m > n is necessary (z m = n only if nothing else is in those columns), and so for columns.
    """
    rows, columns = np.ones(filled.shape[0], dtype=bool), np.ones(filled.shape[1], dtype=bool)
    while True:
        m, n = int(rows.sum()), int(columns.sum())
        in_row, in_column = filled @ columns.astype(np.int64), rows.astype(np.int64) @ filled
        new_rows = rows & ((in_row * m > n) | ((in_row == n) & (n > 0)))
        new_columns = columns & ((in_column * n > m) | ((in_column == m) & (m > 0)))
        if not new_rows.any() or not new_columns.any():
            raise DataError("expected rows and columns with enough values above zero to be scaled, found none left")
        if (new_rows == rows).all() and (new_columns == columns).all():
            return rows, columns
        rows, columns = new_rows, new_columns


def _fit_quadratic(data: FloatArray) -> tuple[float, float]:
    """Return b and c of the variance b mean + c mean², from the spectrum of the biwhitened data.

    For a given ratio c / b the spectrum is fixed up to its scale b / (1 + c), which the median tells: one search over
    one number, on a part of the rows and columns of a large matrix.
    """
    steps = [max(1, -(-side // FIT_SIDE)) for side in data.shape]
    part = data[:: steps[0], :: steps[1]]
    unit = float(part.mean())
    if unit == 0:
        raise DataError("expected data with values above zero, got only zeros")
    distances = [_distance(part, curvature / unit)[0] for curvature in CURVATURES]
    best = int(np.argmin(distances))
    low, high = CURVATURES[max(best - 1, 0)], CURVATURES[min(best + 1, CURVATURES.size - 1)]
    found = scipy.optimize.minimize_scalar(
        lambda curvature: _distance(part, curvature / unit)[0],
        bounds=(low, high),
        method="bounded",
        options={"xatol": 0.02 * high},
    )
    curvature = float(found.x) if found.success and found.fun < distances[best] else float(CURVATURES[best])
    ratio = curvature / unit
    scale = _distance(part, ratio)[1]
    # b / (1 + c) = scale and c = ratio b; the product scale ratio is c / (1 + c), below 1 for any real noise.
    quadratic_fraction = min(scale * ratio, 0.999)
    return scale / (1 - quadratic_fraction), quadratic_fraction / (1 - quadratic_fraction)


def _distance(data: FloatArray, ratio: float) -> tuple[float, float]:
    """Return how far the spectrum is from the Marchenko-Pastur law, and the scale of the variance Y + ratio Y²."""
    scaled = _scale(data, data + ratio * data**2).scaled
    short, long = sorted(scaled.shape)
    law = MarchenkoPastur(short / long)
    values = np.sort(gram_eigenvalues(scaled)) / long
    scale = float(np.median(values)) / law.median()
    level = law.cdf(values / scale)
    steps = np.arange(values.size + 1) / values.size
    return float(max((level - steps[:-1]).max(), (steps[1:] - level).max())), scale


def dyson_equalize(Y: ArrayLike) -> Equalized:
    r"""Scale rows and columns to equal noise variance, from the data alone, signal present or not.

    For noise of variance x_i y_j in entry (i, j), with s, U, V the singular values and vectors of Y,
    eta = median(s) / mu_beta and w_k = s_k² / (eta² + s_k²):

    .. math:: p_i = \sum_k |U_{ik}|^2 w_k, \quad x_i = \frac{\eta}{\sqrt{\sum_k w_k}} \frac{p_i}{1 - p_i}

    and y likewise from V: the solution of the Dyson equation at i eta, in which a bounded number of components counts
    for nothing. Y is divided by :math:`\sqrt{x_i y_j}`.

    Three things differ from the paper, so that the largest noise value may be tested. One step on the data as they
    come leaves it too large: for variances over a range of 100 and (m, n) = (100, 300), by 1.6 times its own scatter
    (40 draws). So rows and columns are first brought to equal mean square (`sinkhorn`), and the step is repeated while
    it still moves a variance by more than a factor of 1.6, five times at most. And eta, there the median, is divided by
    the median mu_beta of the Marchenko-Pastur law, which leaves the value of square matrices too large by 0.3 instead
    of 0.8 of its scatter; elsewhere it is that of white noise within 0.2 (60 draws).

    Rows and columns of zeros, or nearly all zeros, are dropped.

    Parameters
    ----------
    Y
        (m, n), real or complex, any m / n.

    Raises
    ------
    DataError
        NaN, nothing but zeros, or data of a rank of less than half of the short side (no noise to equalize).

    References
    ----------
    Landa and Kluger (2023), arXiv:2306.11263, algorithm 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spread = np.outer(np.geomspace(1, 10, 100), np.geomspace(1, 10, 300))
    >>> equalized = dyson_equalize(spread * rng.normal(size=(100, 300)))
    >>> round(float(np.linalg.norm(equalized.scaled, 2)) / equalized.edge, 1)
    1.0
    """
    data = matrix("data", Y)
    if not data.any():
        raise DataError("expected data with values other than zero, got only zeros")
    even = _scale(data, np.abs(data) ** 2)
    x, y = _converged_variances(even.scaled)
    rows, columns = even.row_factor > 0, even.column_factor > 0
    return _equalized(data, rows, columns, even.row_factor[rows] / np.sqrt(x), even.column_factor[columns] / np.sqrt(y))


def _converged_variances(data: AnyArray) -> tuple[FloatArray, FloatArray]:
    """Repeat the Dyson step until it moves little; each step costs a decomposition."""
    x, y = np.ones(data.shape[0]), np.ones(data.shape[1])
    for _ in range(MAX_STEPS):
        step_x, step_y = _dyson_variances(data / np.sqrt(x[:, None] * y))
        x, y = x * step_x, y * step_y
        if max(np.abs(np.log(step_x)).max(), np.abs(np.log(step_y)).max()) < LARGEST_STEP:
            break
    return x, y


def _dyson_variances(data: AnyArray) -> tuple[FloatArray, FloatArray]:
    """Return the variances of rows and columns, in a gauge that the equations fix."""
    U, s, Vh = scipy.linalg.svd(data, full_matrices=False, check_finite=False)
    eta = float(np.median(s)) / MarchenkoPastur(min(data.shape) / max(data.shape)).median()
    if eta <= np.finfo(float).eps * s.size * s[0]:
        raise DataError(
            f"expected noise in every direction, got a matrix of rank below half of its short side {s.size}; "
            "remove duplicated rows and columns"
        )
    weight = s**2 / (eta**2 + s**2)
    unit = eta / np.sqrt(weight.sum())
    # 1 - eta g of the paper, without its difference of near numbers.
    in_row, in_column = np.abs(U) ** 2 @ weight, weight @ np.abs(Vh) ** 2
    return unit * in_row / (1 - in_row), unit * in_column / (1 - in_column)


def _non_negative(name: str, values: ArrayLike) -> FloatArray:
    given = matrix(name, values)
    if given.dtype.kind == "c" or given.min() < 0:
        raise DataError(f"expected {name} that are real and zero or more, got {given.min()!r} as the smallest")
    return np.asarray(given, dtype=np.float64)


def _targets(name: str, values: ArrayLike, length: int) -> FloatArray:
    sums = np.asarray(values, dtype=np.float64)
    if sums.shape not in ((), (length,)) or not (np.isfinite(sums) & (sums > 0)).all():
        raise ConfigError(f"expected {name} as one positive number or {length} of them, got {values!r}")
    return np.broadcast_to(sums, (length,)).copy()


def _some(mask: BoolArray) -> str:
    """Name the first few."""
    indices = np.flatnonzero(mask)
    return ", ".join(map(str, indices[:5])) + (f" and {indices.size - 5} more" if indices.size > 5 else "")
