"""Noise that channels share, fitted to their covariance given components that are removed: Fisher scoring."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import scipy.stats

from sciml._typing import AnyArray, FloatArray
from sciml.noise.spatial.pairs import PairCorrelation
from sciml.noise.spatial.whiten import Whitening

__all__ = ["Scatter", "SharedNoise", "first_guess", "fit_shared_noise"]

MAX_STEPS = 14
CONVERGED = 2e-3  # change of the log spectrum
LARGEST_CHANGE = 2.0  # of the log spectrum in a step
LARGEST_OF_SCALE = 0.5  # of the logarithm of a standard deviation in a step
FIRST_SCALED = 2  # step from which unequal channels are told from chance
EXACT = 160  # channels, up to which the information is a sum over all of them
N_PROBES = 16  # random vectors that stand for more
REFRESHED = 0.05  # change of the log spectrum from which the information is computed anew
RIDGE = 1e-8  # of the information: combinations of parameters that the data cannot tell stay
NUGGET = 1e-9  # of a channel's variance is its own
UNLIKE = 4.0  # standard deviations
CHANCE = 1.5  # times the spread that chance gives, below which channels count as equal
UNEQUAL = 4.0  # standard deviations of the chi-square, beyond which channels are unequal
TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True)
class Scatter:
    """Covariance (N, N) of channels in one unit, and that of samples weighed to be `white` in time.

    `null` (N, n_null) are orthonormal directions that were projected out, `dof` the samples, `n_effective` how many
    independent ones the white covariance is an average of.
    """

    covariance: AnyArray
    white: AnyArray
    null: AnyArray
    dof: float
    n_effective: float
    is_complex: bool = False

    @property
    def chance(self) -> float:
        """Variance by chance of the logarithm of a channel's variance."""
        return (1 if self.is_complex else 2) / self.n_effective

    @property
    def weight(self) -> float:
        """Information of all samples on a relative variance."""
        return 1 / self.chance


@dataclass(frozen=True)
class SharedNoise:
    """Parameters (P,) of the correlation, and the logarithm of each channel's noise standard deviation, (N,).

    `spread` is the variance of these logarithms that chance does not explain. `information` (P, P) is that on the
    parameters, given the level of the noise.
    """

    parameters: FloatArray
    log_scale: FloatArray
    spread: float
    information: FloatArray

    def correlation(self, family: PairCorrelation) -> FloatArray:
        """Return the correlation (N, N) between channels."""
        return _correlation(family, family.tables(self.parameters)[0])

    def whitening(self, family: PairCorrelation, null: AnyArray) -> Whitening:
        """Return what makes the noise white."""
        scale = np.exp(self.log_scale)
        return Whitening.of(self.correlation(family) * scale[:, None] * scale, null)


def _correlation(family: PairCorrelation, table: FloatArray) -> FloatArray:
    found = np.take(table, family.pairs)
    found.flat[:: len(found) + 1] += NUGGET
    return found


def first_guess(scatter: Scatter, n_parameters: int) -> SharedNoise:
    """Return independent noise: channels of the variances that they have, pulled to a typical one as chance asks."""
    level = np.log(np.diag(scatter.white).real)
    off = level - np.median(level)
    spread = float(scipy.stats.median_abs_deviation(level, scale="normal")) ** 2
    kept = 1 - scatter.chance / spread if spread > CHANCE * scatter.chance else 0.0
    unlike = np.abs(off) > UNLIKE * np.sqrt(max(spread, scatter.chance))
    log_scale = (np.median(level) + np.where(unlike, off, kept * off)) / 2
    return SharedNoise(np.zeros(n_parameters), log_scale, kept * spread / 4, np.zeros((n_parameters, n_parameters)))


def fit_shared_noise(
    family: PairCorrelation, scatter: Scatter, start: SharedNoise, *, rank: int = 0, max_steps: int = MAX_STEPS
) -> SharedNoise:
    r"""Fit correlation and scales of the noise beside `rank` components by maximum likelihood.

    Of noise of covariance A = D R(a) D, with W W^H = A^{-1}, and components whose whitened directions U are removed by
    Pi = I - U U^H, the residual H = Pi W^H S W Pi has the expectation Pi. The score of a parameter is
    tr dA M / 2 with M = W (H - Pi) W^H, and their information tr(B dA B dA) / 2, B = W Pi W^H, both for each
    independent sample (Anderson 1973, doi:10.1214/aos/1193342389). For correlations of classes the score needs the sums
    of M over the pairs of each class only.

    The logarithms of the channels' standard deviations D scatter about a common one by `spread` and by chance: they are
    pulled towards it as far as chance explains (Efron and Morris 1975, doi:10.1080/01621459.1975.10479864), and are
    equal where chance explains all. U are those of the samples as they are, S that of samples white in time.
    """
    noise, information = start, None
    for i in range(max_steps):
        view = _View.of(family, scatter, noise, rank)
        information = information or _Information.of(family, view, scatter.weight)
        noise, change = _moved(family, scatter, view, information, told=i >= FIRST_SCALED)
        if change < CONVERGED and i >= FIRST_SCALED + 1:
            break
        if change > REFRESHED:
            information = None
    return noise


@dataclass(frozen=True)
class _View:
    """The residual as the noise so far has it: `excess` M, and a root of the precision B, in units of the scales."""

    noise: SharedNoise
    slopes: FloatArray
    correlation: FloatArray
    excess: FloatArray
    root: FloatArray

    @classmethod
    def of(cls, family: PairCorrelation, scatter: Scatter, noise: SharedNoise, rank: int) -> "_View":
        """Whiten, remove the components, and bring the noise to the level of what is left."""
        table, slopes = family.tables(noise.parameters)
        correlation, scale = _correlation(family, table), np.exp(noise.log_scale)
        w = Whitening.of(correlation * scale[:, None] * scale, scatter.null).whiten
        residual, basis = _residual(scatter, w, rank)
        n, left = len(residual), 1 - rank / scatter.dof
        level = max(float(np.trace(residual).real) / ((n - rank) * left), TINY)
        residual = residual / (level * left)
        residual.flat[:: n + 1] -= 1
        w = w * scale[:, None]
        kept = w
        if rank:
            residual += basis @ basis.conj().T
            kept = w - (w @ basis) @ basis.conj().T
        return cls(
            replace(noise, log_scale=noise.log_scale + np.log(level) / 2),
            slopes,
            correlation,
            np.asarray((w @ residual @ w.conj().T).real),
            np.concatenate([kept.real, kept.imag], axis=1) if np.iscomplexobj(kept) else kept,
        )


def _residual(scatter: Scatter, whiten: AnyArray, rank: int) -> tuple[AnyArray, AnyArray]:
    """Return the whitened covariance without its `rank` first directions, and these, (M, rank)."""
    whole = whiten.conj().T @ (scatter.white @ whiten)
    if not rank:
        return whole, np.zeros((len(whole), 0))
    same = scatter.white is scatter.covariance
    plain = whole if same else whiten.conj().T @ (scatter.covariance @ whiten)
    n = len(whole)
    basis = scipy.linalg.eigh(plain, subset_by_index=[n - rank, n - 1], check_finite=False)[1]
    projected = whole @ basis
    inner = basis.conj().T @ projected
    return whole - projected @ basis.conj().T - basis @ (projected.conj().T - inner @ basis.conj().T), basis


@dataclass(frozen=True)
class _Information:
    """Information on level and parameters (1 + P, 1 + P), on these with the scales, and on the scales (N, N)."""

    parameters: FloatArray
    mixed: FloatArray
    scales: FloatArray

    @classmethod
    def of(cls, family: PairCorrelation, view: _View, weight: float) -> "_Information":
        precision, probes = view.root @ view.root.T, view.root
        if len(precision) > EXACT:  # the mean of z z^T is one for random signs z: they stand for the sum over channels
            signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(probes.shape[1], N_PROBES))
            probes = probes @ signs / np.sqrt(N_PROBES)
        n_parameters, n = len(view.slopes), len(precision)
        applied, mixed = np.empty((n_parameters, n, probes.shape[1])), np.empty((n_parameters, n))
        for i, each in enumerate(view.slopes):
            slope = np.take(each, family.pairs)
            applied[i], mixed[i] = slope @ probes, np.einsum("ij,ij->i", precision, slope)
        whitened = (view.root.T @ applied).reshape(n_parameters, -1)
        own = precision * view.correlation
        own += np.eye(n) if view.root.shape[1] == n else (inner := precision @ view.correlation) * inner.T
        return cls(weight * (whitened @ whitened.T), 2 * weight * mixed, 2 * weight * own)


def _moved(
    family: PairCorrelation, scatter: Scatter, view: _View, information: _Information, *, told: bool
) -> tuple[SharedNoise, float]:
    """Return the noise after one step towards the maximum, and by how much its spectrum changed."""
    noise, weight = view.noise, scatter.weight
    score = weight * (view.slopes @ family.sums(view.excess))
    of_scales = 2 * weight * np.einsum("ij,ij->i", view.excess, view.correlation)
    off = noise.log_scale - noise.log_scale.mean()
    known = information.parameters + RIDGE * weight * len(off) * np.eye(len(score))
    spread = _spread(score, of_scales, off, known, information) if told else noise.spread
    if spread:
        step, scale_step = _joint_step(score, of_scales - off / spread, known, information, 1 / spread)
    else:
        scale_step = -off
        step = np.linalg.solve(known, score - information.mixed @ scale_step)
    change = family.change(step[1:])
    part = min(1.0, LARGEST_CHANGE / max(change, TINY), LARGEST_OF_SCALE / max(np.abs(scale_step).max(), TINY))
    moved = SharedNoise(
        noise.parameters + part * step[1:],
        noise.log_scale + part * scale_step,
        spread,
        known[1:, 1:] - np.outer(known[1:, 0], known[0, 1:]) / known[0, 0],
    )
    return moved, max(change, 2 * float(np.abs(scale_step).max()))


def _spread(
    score: FloatArray, of_scales: FloatArray, off: FloatArray, known: FloatArray, information: _Information
) -> float:
    """Return the variance of the channels' logarithms that chance does not explain; zero where it explains all.

    For equal channels s^T F^{-1} s is a chi-square of N degrees, s the score of their logarithms where these are zero
    and F the information on them; for logarithms of variance v its mean is N + v tr F.
    """
    own, mixed = _on_scales(known, information)
    even = of_scales + information.scales @ off - mixed.T @ (score + information.mixed @ off)
    even -= even.mean()
    n = len(off)
    statistic = float(even @ scipy.linalg.solve(own, even, assume_a="pos", check_finite=False))
    excess = statistic - (n - 1)
    return excess / float(np.trace(information.scales)) if excess > UNEQUAL * np.sqrt(2 * n) else 0.0


def _on_scales(known: FloatArray, information: _Information) -> tuple[FloatArray, FloatArray]:
    """Return the information on the scales given nothing of the parameters, and what these are for each scale.

    All scales together are the level: that stays.
    """
    mixed = np.linalg.solve(known, information.mixed)
    own = information.scales - information.mixed.T @ mixed
    return np.asarray(own + np.trace(information.scales) / len(own)), np.asarray(mixed)


def _joint_step(
    score: FloatArray, of_scales: FloatArray, known: FloatArray, information: _Information, pull: float
) -> tuple[FloatArray, FloatArray]:
    """Solve for parameters and scales at once, the scales pulled to each other."""
    own, mixed = _on_scales(known, information)
    own.flat[:: len(own) + 1] += pull
    scale_step = scipy.linalg.solve(own, of_scales - mixed.T @ score, assume_a="pos", check_finite=False)
    scale_step -= scale_step.mean()
    return np.asarray(np.linalg.solve(known, score - information.mixed @ scale_step)), np.asarray(scale_step)
