"""The covariance of noise from a recording of noise alone, and what its few samples cost."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import scipy.special

from sciml._typing import AnyArray, FloatArray
from sciml.errors import DataError
from sciml.noise.channels.statistics import ChannelStatistics
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.spatial.whiten import WhitenedMatrix, Whitening
from sciml.rmt.edges import EdgeLaw
from sciml.rmt.f_matrix import greatest_root
from sciml.rmt.variance_profile import VarianceProfile

__all__ = ["FiniteReference", "Reference", "drift_p_value", "inverse_variances", "reference_on"]

HALVED = 2  # samples a channel of half a reference, of which spectra are told by the covariance of the other half
MOST_VARIANCES = 64  # that a profile tells apart
N_DRAWS = 4  # of matrices whose eigenvalues scatter little
MOST_PARTS = 12  # of a spectrum in time
LARGEST_ROOT = 1 - 1e-12
NAMED = 5  # channels in an error


@dataclass(frozen=True)
class Reference:
    """Noise of the channels of a recording: `covariance` (N, N) in its standardized units, and what it was told from.

    `matrix` is that of the reference, `spectra` those of its channels, `n_effective` how many independent samples it
    has.
    """

    matrix: Matrix
    covariance: AnyArray
    spectra: NoiseSpectra
    n_effective: float


def reference_on(recording: Matrix, reference: ChannelStatistics) -> Reference:
    """Return the noise of a reference, of the channels that a recording uses.

    Raises
    ------
    DataError
        Channels that the recording uses and the reference does not have, or do not vary in it.
    """
    used = recording.statistics.used
    position = {int(channel): i for i, channel in enumerate(reference.used)}
    lacking = [int(channel) for channel in used if int(channel) not in position]
    if lacking:
        some = ", ".join(str(each) for each in lacking[:NAMED]) + (", ..." if len(lacking) > NAMED else "")
        raise DataError(
            f"expected a reference in which all used channels vary, {len(lacking)} of {len(used)} do not: {some}; "
            "leave these channels out of the recording, or give another reference"
        )
    statistics = reference.of_channels(np.array([position[int(channel)] for channel in used]))
    matrix = Matrix(statistics)
    spectra = _spectra(matrix)
    unit = np.sqrt(recording.statistics.fraction_present / statistics.fraction_present)
    unit = unit * matrix.total_scale / recording.total_scale
    return Reference(matrix, _scatter(matrix) * unit[:, None] * unit, spectra, matrix.dof / spectra.tau)


def _spectra(matrix: Matrix) -> NoiseSpectra:
    """Return the spectra of noise that channels share: where there are enough samples, of channels without that."""
    held = matrix.statistics.standardized
    if held is not None and len(held) > 2 * HALVED * matrix.n_dimensions:
        first, second = (_part(matrix.statistics, each) for each in np.array_split(held, 2))
        matrix = WhitenedMatrix(second, Whitening.of(_scatter(first), matrix.null))
    elif matrix.dof > matrix.n_dimensions:
        matrix = WhitenedMatrix(matrix, Whitening.of(_scatter(matrix), matrix.null))
    return matrix.spectra(matrix.total_scale, np.zeros((matrix.n_channels, 0)))


def _part(statistics: ChannelStatistics, samples: AnyArray) -> Matrix:
    rest = samples - samples.mean(axis=0)
    return Matrix(replace(statistics, standardized=rest, n_samples=len(rest), subsample=None))


def _scatter(matrix: Matrix) -> AnyArray:
    if matrix.gram is not None:
        return matrix.gram
    assert matrix.samples is not None  # noqa: S101
    return np.asarray(matrix.samples.conj().T @ matrix.samples / matrix.dof)


@dataclass(frozen=True)
class FiniteReference:
    """What noise is after whitening by the scatter of a reference that has few samples.

    Its `variances` (N,), ascending, are relative to their mean, `inflation`. `center` and `scale` multiply those of the
    law of the largest eigenvalue that the variances make: it moves with the reference, too.
    """

    variances: FloatArray
    inflation: float
    center: float
    scale: float

    @classmethod
    def of(cls, reference: Reference, n_dimensions: int, n_effective: float) -> "FiniteReference":
        """Return it for `n_effective` independent samples, by the law of F-matrices (Johnstone 2008)."""
        variances = inverse_variances(reference, n_dimensions)
        plain = cls(variances / variances.mean(), float(variances.mean()), 1.0, 1.0)
        is_complex, m = reference.matrix.is_complex, reference.n_effective
        profile = VarianceProfile([[plain.inflation]], row_counts=[n_effective], column_counts=[n_dimensions])
        given = plain.profile(profile).edge_law(complex_data=is_complex)
        law = greatest_root(n_dimensions, m, n_effective, complex_data=is_complex)
        center = np.exp(law.center) * m / n_effective
        return replace(plain, center=center / given.center, scale=law.scale * center / given.scale)

    @classmethod
    def of_spread(cls, spread: float, n_dimensions: int) -> "FiniteReference":
        """Return it for a model of few parameters fitted to a reference: log-normal variances of a `spread`."""
        quantiles = scipy.special.ndtri((np.arange(n_dimensions) + 0.5) / n_dimensions)
        variances = np.exp(np.sqrt(np.log1p(spread)) * quantiles)
        return cls(variances / variances.mean(), 1.0, 1.0, 1.0)

    def profile(self, even: VarianceProfile) -> VarianceProfile:
        """Return the profile of channels that were of one variance before."""
        n = len(self.variances)
        starts = np.linspace(0, n, min(MOST_VARIANCES, n), endpoint=False).astype(np.int64)
        counts = np.diff(starts, append=n)
        values = even.values * (np.add.reduceat(self.variances, starts) / counts)
        return VarianceProfile(values, row_counts=even.row_counts, column_counts=counts * (even.n_features / n))

    def law(self, given: EdgeLaw) -> EdgeLaw:
        """Return the law of the largest eigenvalue over all references, from that for given variances."""
        return EdgeLaw(given.center * self.center, given.scale * self.scale, given.beta)


def inverse_variances(reference: Reference, n_dimensions: int) -> FloatArray:
    """Return variances (N,), ascending, that white noise has after whitening by the covariance of such a reference.

    They are the inverse eigenvalues of the scatter of N white channels whose samples have the spectrum of the
    reference: drawn, with a fixed seed, from Wishart laws of its parts.
    """
    rng, dof = np.random.default_rng(0), reference.matrix.dof
    power, sizes = _parts(reference.spectra, dof)
    found = np.zeros(n_dimensions)
    for _ in range(N_DRAWS):
        scatter = sum(
            level * _wishart(rng, n_dimensions, size, is_complex=reference.matrix.is_complex)
            for level, size in zip(power, sizes, strict=True)
        )
        found += np.sort(dof / scipy.linalg.eigvalsh(np.asarray(scatter), check_finite=False)) / N_DRAWS
    return found


def _parts(spectra: NoiseSpectra, dof: int) -> tuple[FloatArray, FloatArray]:
    """Return the power, of mean one, of parts of the spectrum, and the whole number of samples that each stands for."""
    order = np.argsort(spectra.pooled_bins)
    power, sizes = spectra.pooled_bins[order], spectra.sizes[order] * (dof / spectra.sizes.sum())
    reached = np.cumsum(power * sizes)
    part = np.minimum((reached / reached[-1] * MOST_PARTS).astype(np.int64), MOST_PARTS - 1)
    weights = np.bincount(part, sizes, minlength=MOST_PARTS)
    power = np.bincount(part, power * sizes, minlength=MOST_PARTS) / np.maximum(weights, 1e-300)
    whole = np.diff(np.round(np.cumsum(weights)), prepend=0.0)
    kept = whole > 0
    power, whole = np.asarray(power[kept], np.float64), np.asarray(whole[kept], np.float64)
    return power * float(whole.sum() / (power @ whole)), whole.astype(np.float64)


def _wishart(rng: np.random.Generator, n: int, dof: float, *, is_complex: bool) -> AnyArray:
    """Return the scatter of `dof` samples of n white channels: by Bartlett's triangle where there are more samples."""
    size, real = int(dof), 1 if not is_complex else 2
    if size <= n:
        values = _normal(rng, (size, n), is_complex=is_complex)
        return np.asarray(values.conj().T @ values)
    lower = np.tril(_normal(rng, (n, n), is_complex=is_complex), -1)
    lower = lower + np.diag(np.sqrt(rng.chisquare(real * (size - np.arange(n))) / real))
    return np.asarray(lower @ lower.conj().T)


def _normal(rng: np.random.Generator, shape: tuple[int, int], *, is_complex: bool) -> AnyArray:
    values = rng.normal(size=shape)
    return (values + 1j * rng.normal(size=shape)) / np.sqrt(2) if is_complex else values


def drift_p_value(reference: Reference) -> float | None:
    """Return the probability that halves of one noise differ as the first and second half of a reference do.

    It is that of the largest root of the later half against the earlier one, or the other way round; None where halves
    are too short, or not held.
    """
    samples, n = reference.matrix.samples, reference.matrix.n_dimensions
    half = reference.n_effective / 2 - 1
    if samples is None or half < 2 * n or n < reference.matrix.n_channels:
        return None
    parts = [part - part.mean(axis=0) for part in np.array_split(samples, 2)]
    first, second = (part.conj().T @ part / len(part) for part in parts)
    values = scipy.linalg.eigh(first, second, eigvals_only=True, check_finite=False)
    law = greatest_root(n, half, half, complex_data=reference.matrix.is_complex)
    roots = np.array([values[-1], 1 / values[0]])
    p_values = law.p_value(np.minimum(roots / (1 + roots), LARGEST_ROOT))
    return float(min(1.0, 2 * p_values.min()))
