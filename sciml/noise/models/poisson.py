"""Poisson counts: what is left when each channel has a rate and each sample an exposure, scaled to unit variance."""

from dataclasses import dataclass, replace

import numpy as np

from sciml._typing import BoolArray, FloatArray, IntArray
from sciml.linalg import few_threads
from sciml.noise.channels.accumulate import ChannelAccumulator
from sciml.noise.channels.statistics import ChannelStatistics, channel_statistics
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.models.base import Fit, Given, Methods, NoiseModel, Prepared, UnsuitableValuesError
from sciml.noise.models.heteroscedastic import HETEROSCEDASTIC
from sciml.rmt.edges import EdgeLaw
from sciml.rmt.laws import TracyWidom
from sciml.rmt.scaling import biwhiten
from sciml.rmt.variance_profile import VarianceProfile

__all__ = ["CountResiduals", "Poisson", "count_residuals"]

LARGEST_MEAN = 1e4  # beyond, readings of a converter are likelier than counts
FEWEST = 10  # a sample or channel with fewer counts, where others have more, is left out
FEWEST_SERIES = 8  # channels, and samples
COUNT_DRAWS = 60
COUNT_LEVEL = 1e-6  # residuals of sparse counts are heavy-tailed, and then the test of whiteness is only rough
COUNT_DISPERSION = (0.8, 1.25)  # variance over mean of what counts as counts


@dataclass(frozen=True)
class CountResiduals(Prepared):
    r"""Counts Y of N channels and T samples less the independence model, scaled to unit variance.

    .. math:: E_{ti} = \frac{\sum_j Y_{tj} \sum_s Y_{si}}{\sum_{sj} Y_{sj}}, \qquad
              R = \mathrm{diag}(\sqrt u)\, (Y - E) \,\mathrm{diag}(\sqrt v)

    with u, v the factors that bring Y, an unbiased estimate of its own variance, to unit mean in each row and column
    (Landa, Zhang and Kluger 2022, doi:10.1137/21M1456807). `matrix` is that of R; `channel_scale` is the standard
    deviation of a channel's noise, root mean square over the samples, and `expected` is E.
    """

    expected: FloatArray | None = None

    def largest_of_noise(self, n_draws: int) -> FloatArray:
        """Return the largest eigenvalue of the residuals of simulated independent counts, over their mean eigenvalue.

        Where expected counts are far below one, residuals are so heavy-tailed that the Tracy-Widom law is no guide.
        The seed is fixed: the same recording gives the same floor.
        """
        assert self.expected is not None  # noqa: S101
        rng = np.random.default_rng(0)
        return np.array([_largest(rng.poisson(self.expected).astype(np.float64)) for _ in range(n_draws)])


class Poisson(NoiseModel):
    """Counts of mean a_i b_t: what is tested is whether channels have more in common than that product."""

    name = "counts"
    words = "Poisson counts of a rate per channel times an exposure per sample"
    methods = Methods(
        "Values were taken as Poisson counts around the product of a rate per channel and an exposure per sample, "
        "and residuals scaled to unit variance in every channel and sample (Landa et al. 2022); their largest "
        "eigenvalue follows a Tracy–Widom law (Tracy and Widom 1996) with the centering and scaling of "
        "Johnstone (2001), and among sparse counts has to exceed that of simulated ones too.",
        ("landa", "johnstone", "tracy"),
        edge="Counts vary by as much as their mean, so each was compared with the product of its channel's rate and "
        "its sample's exposure and divided by its own standard deviation; what is left follows the Marchenko–Pastur "
        "law. The textbook view takes the raw counts and finds that product itself.",
    )
    equal_variances = True
    needs_values = True

    def prepare(self, matrix: Matrix, given: Given) -> Prepared:
        """Return the scaled residuals of counts; a recording of too many channels is read once more for them."""
        statistics = matrix.statistics
        if not statistics.no_counts and (statistics.standardized is None or statistics.n_unread):
            if given.read_all is None:
                raise UnsuitableValuesError("expected values that fit into memory: counts need all samples at once")
            statistics = given.read_all()
        return count_residuals(statistics)

    def variance_profile(self, spectra: NoiseSpectra, prepared: Prepared) -> VarianceProfile:
        """Return one variance for all."""
        return HETEROSCEDASTIC.variance_profile(spectra, prepared)

    def rejected(self, fit: Fit, prepared: Prepared) -> str | None:  # noqa: ARG002
        """Reject values whose variance is not their mean, and noise that is correlated in time."""
        low, high = COUNT_DISPERSION
        return None if low < _dispersion(fit) < high and fit.spectra.p_white() >= COUNT_LEVEL else ""

    def chosen(self, fit: Fit, prepared: Prepared) -> str:  # noqa: ARG002
        """Variance and mean agree."""
        return (
            f"whole numbers whose variance is {_dispersion(fit):.2f} of their mean after removing the components found"
        )

    def confirmed(self, fit: Fit, prepared: Prepared, alpha: float) -> Fit:
        """Demand of what stands out from white noise in the residuals that it does so among simulated counts too."""
        if fit.rank == 0:
            return fit
        assert isinstance(prepared, CountResiduals)  # noqa: S101
        largest = prepared.largest_of_noise(COUNT_DRAWS) * float(np.mean(fit.eigenvalues[fit.rank :]))
        standard = TracyWidom(1)
        scale = float(np.std(largest, ddof=1)) / np.sqrt(standard.var())
        simulated = EdgeLaw(float(np.mean(largest)) - scale * standard.mean(), scale, 1)
        p_values = np.maximum(fit.p_values, simulated.p_value(fit.eigenvalues))
        rank = int(np.count_nonzero((p_values < alpha) & (fit.eigenvalues > np.quantile(largest, 1 - alpha))))
        return replace(fit, p_values=p_values, rank=rank)


def _dispersion(fit: Fit) -> float:
    """Return the variance of counts over their mean."""
    return float(np.mean(fit.scale**2))


def count_residuals(statistics: ChannelStatistics) -> CountResiduals:
    """Return the residuals of a recording of counts, all values of which are held.

    Raises
    ------
    UnsuitableValuesError
        Values that are not whole numbers of zero or more, missing ones included, too few series of them, or none that
        differ from the product of a rate and an exposure.
    """
    counts = _counts(statistics)
    columns = _well_filled(counts.sum(axis=0))
    rows = _well_filled(counts[:, columns].sum(axis=1))
    filled = counts[np.ix_(rows, columns)]
    if min(filled.shape) < FEWEST_SERIES:
        n_rows, n_columns = filled.shape
        raise _no_counts(
            f"it takes {FEWEST_SERIES} channels and samples that hold enough, got {n_columns} and {n_rows}"
        )
    expected = _independent(filled)
    if np.allclose(filled, expected, rtol=1e-9):
        raise _no_counts("they are exactly the product of a rate per channel and one per sample")
    scaled = biwhiten(filled - expected, filled)
    columns[columns] = scaled.column_factor > 0
    kept = np.ix_(scaled.row_factor > 0, scaled.column_factor > 0)
    residual, used = _merged(statistics, counts, columns, scaled.scaled)
    channel = scaled.column_factor[scaled.column_factor > 0]
    sample = scaled.row_factor[scaled.row_factor > 0]
    scales = float(np.sqrt(np.mean(1 / sample**2))) / channel  # 1 / sample² is proportional to a sample's variance
    return CountResiduals(Matrix(residual), channel_scale=scales[used], n_projected=1, expected=expected[kept])


def _merged(
    statistics: ChannelStatistics, counts: FloatArray, columns: BoolArray, scaled: FloatArray
) -> tuple[ChannelStatistics, IntArray]:
    """Return the statistics of scaled residuals with the channels and means of the counts, and which are used."""
    accumulator = ChannelAccumulator(scaled.shape[1], hold=True)
    with few_threads(scaled.shape[1]):
        accumulator.add(scaled)
        plain = channel_statistics(accumulator, channels=statistics.used[columns], n_features=statistics.n_features)
    sparse = dict.fromkeys(statistics.used[~columns].tolist(), "missing")
    used = np.flatnonzero(np.isin(statistics.used[columns], plain.used))
    every_mean = statistics.every_mean.copy()
    every_mean[statistics.used] = counts.mean(axis=0)
    merged = replace(
        plain,
        excluded=dict(sorted({**statistics.excluded, **sparse, **plain.excluded}.items())),
        n_dropped=len(counts) - plain.n_samples,
        n_unread=0,
        mean=every_mean[plain.used],
        every_mean=every_mean,
    )
    return merged, used


def _counts(statistics: ChannelStatistics) -> FloatArray:
    """Return the values of the used channels, (T, N), as they were read."""
    if statistics.no_counts:
        raise _no_counts(statistics.no_counts)
    if not 0 < (mean := float(np.mean(statistics.every_mean))) < LARGEST_MEAN:
        raise _no_counts(f"their mean is {mean:.3g}")
    assert statistics.standardized is not None  # noqa: S101
    return np.round(statistics.standardized * statistics.total_scale + statistics.mean)


def _no_counts(problem: str) -> UnsuitableValuesError:
    return UnsuitableValuesError(f"expected counts: {problem}; choose another noise model")


def _independent(counts: FloatArray) -> FloatArray:
    """Return what is expected of counts (T, N) that are the product of a rate and an exposure."""
    return np.asarray(np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum())


def _largest(counts: FloatArray) -> float:
    """Return the largest eigenvalue of the scaled residuals over the mean of all."""
    counts = counts[np.ix_(counts.any(axis=1), counts.any(axis=0))]
    scaled = biwhiten(counts - _independent(counts), counts).scaled
    small = scaled.T @ scaled if scaled.shape[0] > scaled.shape[1] else scaled @ scaled.T
    values = np.linalg.eigvalsh(small)
    return float(values[-1] / values[1:].mean())


def _well_filled(totals: FloatArray) -> BoolArray:
    """Return which totals are no exceptions: neither nearly empty nor far below the typical one."""
    return np.asarray((totals > 0) & (totals >= min(FEWEST, float(np.median(totals)) / 2)))
