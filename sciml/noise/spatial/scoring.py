"""Noise that channels share, fitted to their scatter given components that are removed: Fisher scoring."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import scipy.stats

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.noise.spatial.pairs import PairCorrelation
from sciml.noise.spatial.scatter import Removed, Scatter
from sciml.noise.spatial.whiten import Whitening

__all__ = ["SharedNoise", "first_guess", "fit_shared_noise"]

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
LEAST_LEFT = 0.05
TINY = float(np.finfo(float).tiny)


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
    level, chance = np.log(np.maximum(scatter.variances, TINY)), 1 / scatter.weight
    off = level - np.median(level)
    spread = float(scipy.stats.median_abs_deviation(level, scale="normal")) ** 2
    kept = 1 - chance / spread if spread > CHANCE * chance else 0.0
    unlike = np.abs(off) > UNLIKE * np.sqrt(max(spread, chance))
    log_scale = (np.median(level) + np.where(unlike, off, kept * off)) / 2
    return SharedNoise(np.zeros(n_parameters), log_scale, kept * spread / 4, np.zeros((n_parameters, n_parameters)))


def fit_shared_noise(
    family: PairCorrelation,
    scatter: Scatter,
    start: SharedNoise,
    *,
    removed: Removed | None = None,
    max_steps: int = MAX_STEPS,
) -> SharedNoise:
    r"""Fit correlation and scales of the noise given `removed` components by maximum likelihood.

    Of noise of covariance A = D R(a) D, with W W^H = A^{-1}, and components of the maps V, the residual S has the
    expectation A - V V^H. The score of a parameter is tr dA M / 2 with M = W (W^H S W - I + W^H V V^H W) W^H, and their
    information tr(A^{-1} dA A^{-1} dA) / 2, both for each independent sample (Anderson 1973,
    doi:10.1214/aos/1193342389). For correlations of classes the score needs the sums of M over the pairs of each class
    only. Many channels are taken in blocks of neighbors, whose likelihoods multiply (composite likelihood: Varin, Reid
    and Firth 2011, Statistica Sinica 21, 5-42).

    The logarithms of the channels' standard deviations D scatter about a common one by `spread` and by chance: they are
    pulled towards it as far as chance explains (Efron and Morris 1975, doi:10.1080/01621459.1975.10479864), and are
    equal where chance explains all.
    """
    blocks = [_Block.of(family, scatter, channels, removed) for channels in family.blocks]
    noise, information = start, None
    for i in range(max_steps):
        views = [block.view(noise) for block in blocks]
        level = max(sum(view.total for view in views) / sum(view.dimensions for view in views), TINY)
        noise = replace(noise, log_scale=noise.log_scale + np.log(level) / 2)
        information = information or _Information.of(blocks, views, scatter.weight)
        noise, change = _moved(noise, blocks, _Score.of(blocks, views, level, scatter.weight), information, i)
        if change < CONVERGED and i >= FIRST_SCALED + 1:
            break
        if change > REFRESHED:
            information = None
    return _with_others(noise, blocks, scatter, removed)


def _with_others(
    noise: SharedNoise, blocks: Sequence["_Block"], scatter: Scatter, removed: Removed | None
) -> SharedNoise:
    """Return the noise with the scales of channels that are in no block: what is left of each, pulled as the others."""
    inside = np.zeros(scatter.n_channels, np.bool_)
    for block in blocks:
        inside[block.channels] = True
    if inside.all():
        return noise
    log = np.log(np.maximum(scatter.variances_without(removed), TINY)) / 2
    chance = 1 / (4 * scatter.weight)
    off = log - np.median(log)
    unlike = np.abs(off) > UNLIKE * np.sqrt(noise.spread + chance)
    off = np.where(unlike, off, noise.spread / (noise.spread + chance) * off)
    log_scale = np.where(inside, noise.log_scale, float(np.median(noise.log_scale[inside])) + off)
    return replace(noise, log_scale=log_scale)


@dataclass(frozen=True)
class _Block:
    """Some channels, their covariance without the components, (n, n), and the maps of these, (n, rank)."""

    channels: IntArray
    family: PairCorrelation
    covariance: AnyArray
    maps: AnyArray
    null: AnyArray

    @classmethod
    def of(cls, family: PairCorrelation, scatter: Scatter, channels: IntArray, removed: Removed | None) -> "_Block":
        """Take the channels out of all."""
        covariance = scatter.block(channels, removed)
        null = scatter.of_channels(channels).null
        if removed is None:
            return cls(channels, family.of_channels(channels), covariance, np.zeros((len(channels), 0)), null)
        return cls(channels, family.of_channels(channels), covariance / removed.left, removed.maps[channels], null)

    def view(self, noise: SharedNoise) -> "_View":
        """Whiten by the noise so far."""
        table, slopes = self.family.tables(noise.parameters)
        correlation, scale = _correlation(self.family, table), np.exp(noise.log_scale[self.channels])
        w = Whitening.of(correlation * scale[:, None] * scale, self.null).whiten
        residual, maps = w.conj().T @ (self.covariance @ w), w.conj().T @ self.maps
        removed = float(np.sum(np.abs(maps) ** 2))
        dimensions = max(len(residual) - removed, LEAST_LEFT * len(residual))
        return _View(slopes, correlation, scale[:, None] * w, residual, maps, dimensions)


@dataclass(frozen=True)
class _View:
    """A block whitened: W in units of the scales, the residual (m, m), and the maps of the components, (m, rank)."""

    slopes: FloatArray
    correlation: FloatArray
    whiten: AnyArray
    residual: AnyArray
    maps: AnyArray
    dimensions: float

    @property
    def total(self) -> float:
        """Sum of the variances that are left."""
        return float(np.trace(self.residual).real)

    def excess(self, level: float) -> FloatArray:
        """Return M: by how much the residual exceeds what it should be, as the precision weighs it."""
        inner = self.residual / level
        inner.flat[:: len(inner) + 1] -= 1
        inner += self.maps @ self.maps.conj().T
        return np.asarray((self.whiten @ inner @ self.whiten.conj().T).real)


@dataclass(frozen=True)
class _Score:
    """Derivatives of the log likelihood: along level and parameters (1 + P,), and along the scales of each block."""

    parameters: FloatArray
    scales: list[FloatArray]

    @classmethod
    def of(cls, blocks: Sequence[_Block], views: Sequence[_View], level: float, weight: float) -> "_Score":
        """Sum over the blocks."""
        parameters, scales = np.zeros(len(views[0].slopes)), []
        for block, view in zip(blocks, views, strict=True):
            excess = view.excess(level)
            parameters += weight * (view.slopes @ block.family.sums(excess))
            scales.append(2 * weight * np.einsum("ij,ij->i", excess, view.correlation))
        return cls(parameters, scales)


@dataclass(frozen=True)
class _Information:
    """Information on level and parameters (1 + P, 1 + P), on these with the scales of each block, and on the scales."""

    parameters: FloatArray
    mixed: list[FloatArray]
    scales: list[FloatArray]

    @classmethod
    def of(cls, blocks: Sequence[_Block], views: Sequence[_View], weight: float) -> "_Information":
        """Sum over the blocks."""
        parts = [_information(block.family, view) for block, view in zip(blocks, views, strict=True)]
        total = sum(np.asarray(part[0]) for part in parts) * weight
        return cls(
            np.asarray(total), [2 * weight * part[1] for part in parts], [2 * weight * part[2] for part in parts]
        )


def _information(family: PairCorrelation, view: _View) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the information of a block for each sample: parameters, mixed, scales, the last two over two."""
    root = np.concatenate([view.whiten.real, view.whiten.imag], axis=1) if np.iscomplexobj(view.whiten) else view.whiten
    precision, probes = root @ root.T, root
    if len(precision) > EXACT:  # the mean of z z^T is one for random signs z: they stand for the sum over channels
        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(root.shape[1], N_PROBES))
        probes = root @ signs / np.sqrt(N_PROBES)
    applied = np.empty((len(view.slopes), *probes.shape))
    mixed = np.empty((len(view.slopes), len(precision)))
    for i, each in enumerate(view.slopes):
        slope = np.take(each, family.pairs)
        applied[i], mixed[i] = slope @ probes, np.einsum("ij,ij->i", precision, slope)
    whitened = (root.T @ applied).reshape(len(applied), -1)
    parameters = whitened @ whitened.T
    parameters[0] = parameters[:, 0] = mixed.sum(axis=1)  # exact: the level and the sum of all scales are one
    scales = precision * view.correlation
    inner = np.eye(len(precision)) if root.shape[0] == root.shape[1] else precision @ view.correlation
    return parameters, mixed, scales + inner * inner.T


def _moved(
    noise: SharedNoise, blocks: Sequence[_Block], score: _Score, information: _Information, i: int
) -> tuple[SharedNoise, float]:
    """Return the noise after one step towards the maximum, and by how much its spectrum changes."""
    n = len(noise.log_scale)
    off = noise.log_scale - noise.log_scale.mean()
    known = information.parameters + RIDGE * information.parameters[0, 0] * np.eye(len(score.parameters))
    parts = [off[block.channels] for block in blocks]
    spread = _spread(score, parts, known, information) if i >= FIRST_SCALED else noise.spread
    if spread:
        step, moved = _joint_step(score, parts, known, information, 1 / spread)
    else:
        moved = [-part for part in parts]
        shift = sum((m @ part for m, part in zip(information.mixed, moved, strict=True)), np.zeros(len(known)))
        step = np.linalg.solve(known, score.parameters - shift)
    scale_step = np.zeros(n)
    for block, part in zip(blocks, moved, strict=True):
        scale_step[block.channels] = part
    change = blocks[0].family.change(step[1:])
    most = float(np.abs(scale_step).max())
    factor = min(1.0, LARGEST_CHANGE / max(change, TINY), LARGEST_OF_SCALE / max(most, TINY))
    own = known[1:, 1:] - np.outer(known[1:, 0], known[0, 1:]) / known[0, 0]
    found = SharedNoise(noise.parameters + factor * step[1:], noise.log_scale + factor * scale_step, spread, own)
    return found, max(change, 2 * most)


def _spread(score: _Score, off: Sequence[FloatArray], known: FloatArray, information: _Information) -> float:
    """Return the variance of the channels' logarithms that chance does not explain; zero where it explains all.

    For equal channels s^T F^{-1} s is a chi-square of N degrees, s the score of their logarithms where these are zero
    and F the information on them, given the parameters; for logarithms of variance v its mean is N + v tr F.
    """
    statistic, n, trace = 0.0, sum(map(len, off)), 0.0
    inner, right = known[1:, 1:].copy(), score.parameters[1:].copy()
    for mixed, part in zip(information.mixed, off, strict=True):
        right += mixed[1:] @ part
    for scores, mixed, scales, part in zip(score.scales, information.mixed, information.scales, off, strict=True):
        even = scores + scales @ part
        solved = scipy.linalg.solve(scales, np.column_stack([even, mixed[1:].T]), assume_a="pos", check_finite=False)
        statistic += float(even @ solved[:, 0])
        inner -= mixed[1:] @ solved[:, 1:]
        right -= mixed[1:] @ solved[:, 0]
        trace += float(np.trace(scales))
    # Parameters that are fitted too take their part of the chi-square of both.
    if len(inner):
        statistic += float(right @ np.linalg.solve(inner, right))
        statistic -= _of_parameters(score, off, known, information)
    excess = statistic - (n - 1)
    return excess / trace if excess > UNEQUAL * np.sqrt(2 * n) else 0.0


def _of_parameters(score: _Score, off: Sequence[FloatArray], known: FloatArray, information: _Information) -> float:
    """Return the chi-square of the parameters' score at equal scales."""
    right = score.parameters.copy()
    for mixed, part in zip(information.mixed, off, strict=True):
        right += mixed @ part
    return float(right @ np.linalg.solve(known, right))


def _joint_step(
    score: _Score, off: Sequence[FloatArray], known: FloatArray, information: _Information, pull: float
) -> tuple[FloatArray, list[FloatArray]]:
    """Solve for parameters and scales at once, the scales pulled to each other; the level is one of the scales."""
    inner, right, solved = known[1:, 1:].copy(), score.parameters[1:].copy(), []
    for scores, mixed, scales, part in zip(score.scales, information.mixed, information.scales, off, strict=True):
        pulled = scales.copy()
        pulled.flat[:: len(pulled) + 1] += pull
        columns = np.column_stack([scores - part * pull, mixed[1:].T])
        solved.append(scipy.linalg.solve(pulled, columns, assume_a="pos", check_finite=False))
        inner -= mixed[1:] @ solved[-1][:, 1:]
        right -= mixed[1:] @ solved[-1][:, 0]
    step = np.linalg.solve(inner, right) if len(inner) else right
    return np.concatenate([[0.0], step]), [each[:, 0] - each[:, 1:] @ step for each in solved]
