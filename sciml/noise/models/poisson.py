"""Counts: what is left when each channel has a rate and each sample an exposure, scaled to unit variance."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.noise.channels.read import Observed, observe
from sciml.recording import TIME, blocks
from sciml.rmt.scaling import biwhiten

__all__ = ["CountResiduals", "count_residuals"]

Array = NDArray[np.float64]

LARGEST_MEAN = 1e4  # beyond, readings of a converter are likelier than counts
FEWEST = 10  # a sample or channel with fewer counts, where others have more, is left out
FEWEST_SERIES = 8  # channels, and samples


@dataclass(frozen=True)
class CountResiduals:
    r"""Counts Y of N channels and T samples beside the independence model, scaled to unit variance.

    .. math:: E_{ti} = \frac{\sum_j Y_{tj} \sum_s Y_{si}}{\sum_{sj} Y_{sj}}, \qquad
              R = \mathrm{diag}(\sqrt u)\, (Y - E) \,\mathrm{diag}(\sqrt v)

    with u, v the factors that bring Y, an unbiased estimate of its own variance, to unit mean in each row and column
    (Landa, Zhang and Kluger 2022, doi:10.1137/21M1456807). `observed` holds R; `channel_scale` is the standard
    deviation of a channel's noise, root mean square over the samples, and `exposure` the relative size of each sample.
    """

    observed: Observed
    channel_scale: Array
    exposure: Array
    expected: Array

    def largest_of_noise(self, n_draws: int) -> Array:
        """Return the largest eigenvalue of the residuals of simulated independent counts, over their mean eigenvalue.

        Where expected counts are far below one, residuals are so heavy-tailed that the Tracy-Widom law is no guide.
        The seed is fixed: the same recording gives the same floor.
        """
        rng = np.random.default_rng(0)
        return np.array([_largest(rng.poisson(self.expected).astype(np.float64)) for _ in range(n_draws)])


def _largest(counts: Array) -> float:
    """Return the largest eigenvalue of the scaled residuals over the mean of all."""
    counts = counts[np.ix_(counts.any(axis=1), counts.any(axis=0))]
    scaled = biwhiten(counts - _independent(counts), counts).scaled
    small = scaled.T @ scaled if scaled.shape[0] > scaled.shape[1] else scaled @ scaled.T
    values = np.linalg.eigvalsh(small)
    return float(values[-1] / values[1:].mean())


def _independent(counts: Array) -> Array:
    return np.asarray(np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum())


def _complain(problem: str, *, strict: bool) -> None:
    """Say why a recording does not hold counts that can be tested, if `strict`."""
    if strict:
        raise DataError(f"expected counts: {problem}; choose another noise model")


def count_residuals(recording: xr.DataArray, *, strict: bool = True) -> CountResiduals | None:
    """Return the residuals of a recording of counts; None if it holds none, or a DataError if `strict`.

    Raises
    ------
    DataError
        Values that are not whole numbers of zero or more, missing ones included, too few series of them, or none that
        differ from the product of a rate and an exposure, with `strict`.
    """
    whole = recording.sizes[TIME]
    values = next(iter(blocks(recording, whole, across_gaps=True)))[1]
    problem = _why_not_counts(values)
    if problem:
        _complain(problem, strict=strict)
        return None
    counts = np.asarray(values, dtype=np.float64)
    varying = counts.max(axis=0) > counts.min(axis=0)
    columns = _well_filled(counts.sum(axis=0)) & varying
    rows = _well_filled(counts[:, columns].sum(axis=1))
    used = counts[np.ix_(rows, columns)]
    if min(used.shape) < FEWEST_SERIES:
        _complain(
            f"it takes {FEWEST_SERIES} channels and samples that hold enough, got {used.shape[1]} and {used.shape[0]}",
            strict=strict,
        )
        return None
    expected = _independent(used)
    if np.allclose(used, expected, rtol=1e-9):
        _complain("they are exactly the product of a rate per channel and one per sample", strict=strict)
        return None
    scaled = biwhiten(used - expected, used)
    rows[rows] = scaled.row_factor > 0
    columns[columns] = scaled.column_factor > 0
    channel = scaled.column_factor[scaled.column_factor > 0]
    sample = scaled.row_factor[scaled.row_factor > 0]
    live = np.flatnonzero(columns)
    plain = observe(xr.DataArray(scaled.scaled, dims=(TIME, "channel")))
    scales = float(np.sqrt(np.mean(1 / sample**2))) / channel  # 1 / sample² is proportional to a sample's variance
    observed = replace(
        plain,
        n_features=counts.shape[1],
        live=live[plain.live],
        n_dropped=len(counts) - plain.n_samples,
        mean=counts[:, live[plain.live]].mean(axis=0),
        every_mean=counts.mean(axis=0),
        constant=tuple(np.flatnonzero(~varying).tolist()),
        missing=tuple(np.flatnonzero(~columns & varying).tolist()),
        duplicates=tuple((int(live[a]), int(live[b])) for a, b in plain.duplicates),
    )
    exposure = np.zeros(len(counts))
    exposure[rows] = used.sum(axis=1)[scaled.row_factor > 0] / used.sum(axis=1).mean()
    kept = np.ix_(scaled.row_factor > 0, scaled.column_factor > 0)
    return CountResiduals(observed, scales[plain.live], exposure, expected[kept])


def _well_filled(totals: Array) -> NDArray[np.bool_]:
    """Return which totals are no exceptions: neither nearly empty nor far below the typical one."""
    return np.asarray((totals > 0) & (totals >= min(FEWEST, float(np.median(totals)) / 2)))


def _why_not_counts(values: NDArray[Any]) -> str:
    """Return what keeps values from being counts, or an empty string."""
    if values.dtype.kind == "c":
        return "values are complex"
    if not np.isfinite(values).all():
        return "values are missing"
    if values.min() < 0 or (values.dtype.kind == "f" and bool((values != np.round(values)).any())):
        return "values are negative or not whole"
    if not 0 < values.mean() < LARGEST_MEAN:
        return f"their mean is {values.mean():.3g}"
    return ""
