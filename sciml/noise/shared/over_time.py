"""Time courses that last from sample to sample, in noise that is white in time and of any covariance over channels."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import scipy.linalg
import xarray as xr

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.linalg import few_threads
from sciml.noise.channels.read import read_channels
from sciml.noise.shared.result import SharedTimeCourses
from sciml.noise.shared.transform import cosine_transform
from sciml.recording import check
from sciml.rmt.f_matrix import greatest_root

__all__ = ["Comparison", "shared_over_time"]

Comparison = Literal["bands", "neighbors"]
LOW_PARTS = (2, 4, 16)  # the lowest frequencies: one in so many
LARGEST_ROOT = 1 - 1e-12
FEWEST_NEIGHBORS, FEWEST_OF_BANDS = 4, 2  # samples per channel
NULL = 1e-10  # of the largest eigenvalue of the scatter, below which a direction of channels holds nothing


def shared_over_time(
    recording: xr.DataArray, *, compare: Comparison = "bands", alpha: float = 0.05
) -> SharedTimeCourses:
    r"""Return how many time courses are shared over time, at least, whatever channels share at one time.

    Under test is noise that is white in time and of any covariance A over channels, which cancels:

    - `bands`: scatter of the slow frequencies (cosine transform) against that of all faster ones, an F-matrix; the
      lowest half, quarter and sixteenth are tried, each at a third of the level, and the most found counts;
    - `neighbors`: squared canonical correlations of even samples with the odd ones that follow them.

    The largest root has Johnstone's law; each one found takes a dimension of the channels and one of the slow samples.
    Components that are slower than the noise are found, be they far below its largest directions; fast ones are not,
    and in noise that is colored in time all of it is slow. Neighbors are by far the weaker of the two.

    Parameters
    ----------
    recording
        Dims `time` and any others, held in memory; missing values count as their channel's mean. Directions that hold
        nothing, as of average-referenced or duplicate channels, are left out.
    compare
        What is compared with what.
    alpha
        Level.

    Raises
    ------
    DataError
        Too few samples for so many channels: 2 a channel for `bands`, 4 for `neighbors`.
    ConfigError
        No such comparison, or alpha outside (0, 1).

    References
    ----------
    Johnstone (2008), doi:10.1214/08-AOS605, theorem 1, for roots and for canonical correlations.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> drift = np.cumsum(rng.normal(size=(1000, 1)), axis=0) / 30
    >>> noise = rng.normal(size=(1000, 30)) @ rng.normal(size=(30, 30))
    >>> found = shared_over_time(xr.DataArray(noise + drift * rng.normal(size=30), dims=("time", "channel")))
    >>> found.n_shared
    1
    """
    if compare not in COMPARISONS:
        raise ConfigError(f"expected compare of {', '.join(COMPARISONS)}; got {compare!r}")
    if not 0 < alpha < 1:
        raise ConfigError(f"expected alpha between 0 and 1, got {alpha}")
    statistics = read_channels(check(recording), hold=True)
    assert statistics.standardized is not None  # noqa: S101
    basis = _basis(statistics.standardized)
    values, n = statistics.standardized @ basis, basis.shape[1]
    least = FEWEST_NEIGHBORS if compare == "neighbors" else FEWEST_OF_BANDS
    if len(values) <= least * n + least:
        raise DataError(
            f"expected more than {least * (n + 1)} samples for {n} independent channels, got {len(values)}; give a "
            "longer recording, or fewer channels"
        )
    with few_threads(n):
        number, roots, p_values, patterns = COMPARISONS[compare](values, alpha)
    loadings = np.zeros((statistics.n_features, number), patterns.dtype)
    loadings[statistics.used] = basis @ patterns[:, :number] * statistics.total_scale[:, None]
    norms = np.linalg.norm(loadings, axis=0)
    return SharedTimeCourses(
        number, roots[: number + 1], p_values[: number + 1], (loadings / np.where(norms > 0, norms, 1), None),
        f"neighboring samples of the {statistics.n_features} channels", STATISTICS[compare], alpha,
    )  # fmt: skip


def _basis(values: AnyArray) -> AnyArray:
    """Return an orthonormal basis (N, rank) of the directions of channels that hold anything."""
    power, directions = np.linalg.eigh(values.conj().T @ values)
    return directions[:, power > NULL * power[-1]]


_Found = tuple[int, FloatArray, FloatArray, AnyArray]


def _bands(values: AnyArray, alpha: float) -> _Found:
    """Compare the scatter of slow frequencies with that of faster ones."""
    c = cosine_transform(values)
    found = [_band(c, len(c) // part, alpha / len(LOW_PARTS)) for part in LOW_PARTS]
    return max(found, key=lambda each: (each[0], -each[2][0]))


def _band(c: AnyArray, n_low: int, alpha: float) -> _Found:
    low, high = c[:n_low], c[n_low:]
    scatter = low.conj().T @ low
    ratios, directions = scipy.linalg.eigh(scatter, high.conj().T @ high)
    ratios, directions = np.maximum(ratios[::-1], 0.0), directions[:, ::-1]
    n_tested = min(c.shape[1], n_low)
    number, p_values = _tested(ratios[:n_tested] / (1 + ratios[:n_tested]), len(high), n_low, c, alpha)
    relative = ratios * len(high) / n_low  # power at a slow frequency over that at a faster one
    return number, relative, np.minimum(p_values * len(LOW_PARTS), 1.0), scatter @ directions


def _neighbors(values: AnyArray, alpha: float) -> _Found:
    """Correlate even samples with the odd ones that follow."""
    n, p = len(values) // 2, values.shape[1]
    first, second = (values[start : 2 * n : 2] for start in (0, 1))
    bases = [np.linalg.qr(each - each.mean(axis=0)) for each in (first, second)]
    u, s, _ = np.linalg.svd(bases[0].Q.conj().T @ bases[1].Q)
    squares = np.minimum(s, 1.0) ** 2
    number, p_values = _tested(squares, n - 1 - p, p, values, alpha)
    return number, squares, p_values, bases[0].R.conj().T @ u


def _tested(roots: FloatArray, m: int, n: int, values: AnyArray, alpha: float) -> tuple[int, FloatArray]:
    """Return how many roots stand out one after the other, and p-values up to the first that does not."""
    p_values: list[float] = []
    for k, root in enumerate(roots):
        law = greatest_root(values.shape[1] - k, m, n - k, complex_data=np.iscomplexobj(values))
        p_values.append(max([float(law.p_value(min(root, LARGEST_ROOT))), *p_values[-1:]]))
        if p_values[-1] > alpha:
            return k, np.array(p_values)
    return len(roots), np.array(p_values)


COMPARISONS: dict[str, Callable[[AnyArray, float], _Found]] = {"bands": _bands, "neighbors": _neighbors}
STATISTICS = {
    "bands": "power at slow frequencies over that at faster ones",
    "neighbors": "squared canonical correlation of neighboring samples",
}
assert tuple(COMPARISONS) == get_args(Comparison)  # noqa: S101
