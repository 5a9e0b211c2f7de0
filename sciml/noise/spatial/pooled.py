r"""One correlation on a grid from many windows of it: its log spectrum fitted to what components leave of each.

Signal differs from window to window and the correlation of the noise does not. In the wavenumbers k of a window (its
discrete cosine transform F) the residual has the power y_k = (F^T Res F)_kk where the model expects
e_k = (F^T R F)_kk less what the components took, so that y_k / e_k is the correction of C(k), free of borders.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.fft

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.noise.spatial.correlation import LatticeCorrelation
from sciml.noise.spatial.whiten import Whitening
from sciml.rmt.rank import count_above
from sciml.rmt.sigma import median_edge_refit
from sciml.rmt.spectrum import Spectra

__all__ = ["Pooled", "Window", "pooled_correlation"]

LENGTHS = ((8.0, 3.0), (6.0, 2.3), (4.0, 2.3), (3.0, 1.8), (2.0, 1.5), (2.0, 0.0), (1.0, 0.0))  # longest lags
PER_LAG = 4  # voxels of a window
N_ROUNDS = 12
N_STEPS = 25
CONVERGED = 0.3  # change of the log spectrum, over what chance gives a wavenumber
LEAST = 1e-6  # of the noise is that of a single voxel, and of a single wavenumber
ALPHA = 0.01
LEAST_EXPECTED = 0.05  # of the power at a wavenumber, where components took nearly all
FAR = 3.5  # standard deviations above the fit from which a power counts for less: signal sits in few wavenumbers
STRONG = 0.15  # correlation that is worth whitening whatever it does to the edge
LOG_LIMITS = (-40.0, 40.0)
EXACT = 1e-8  # of the mean eigenvalue: less is rounding, and there is no noise
MANY = 4  # a quarter of the dimensions as components: the fit has failed
N_GROUPS = 4  # of wavenumbers, by the power of the noise
LASTING = 0.15  # autocorrelation after one sample that noise white in time does not have
CHANCE = 1.5  # times the spread that chance gives, below which voxels count as equal
UNLIKE = 4.0  # standard deviations from which one keeps its own


@dataclass(frozen=True)
class Window:
    """Covariance (N, N) of the voxels at `places` (N, d) of a window of `shape`, from so many degrees of freedom.

    `following` (N, N): that of each sample with the next one; None where samples have no order.
    """

    covariance: AnyArray
    dof: float
    places: IntArray
    shape: tuple[int, ...]
    following: AnyArray | None = None

    @cached_property
    def cosines(self) -> FloatArray:
        """Orthonormal cosine transform at the places, (N, wavenumber)."""
        size = int(np.prod(self.shape))
        axes = tuple(range(1, 1 + len(self.shape)))
        whole = scipy.fft.dctn(np.eye(size).reshape(size, *self.shape), axes=axes, norm="ortho")
        return np.asarray(whole.reshape(size, size)[np.ravel_multi_index(tuple(self.places.T), self.shape)])

    def power(self, covariance: AnyArray) -> FloatArray:
        """Return the power of a covariance of the voxels at each wavenumber."""
        return np.asarray(np.einsum("ik,ik->k", self.cosines, (covariance @ self.cosines).real))


@dataclass(frozen=True)
class Pooled:
    """The correlation that the noise of all windows shares, None where it is white; `doubt`: why one was left out."""

    correlation: LatticeCorrelation | None = None
    doubt: str = ""


def pooled_correlation(windows: Sequence[Window], n_samples: int | None = None) -> Pooled:
    r"""Return the correlation that the noise of all windows shares: none where it is white, or of no such kind.

    Correlations c of squares that sum to v move the edge of N channels and T samples by :math:`v / \sqrt\gamma` of it,
    :math:`\gamma = N / T`. If that is less than a Tracy-Widom width, :math:`\sqrt\gamma N^{-2/3}`, and none is above
    .15, it is left as it is: signal below the limit of detection correlates as much.

    Parameters
    ----------
    windows
        Windows of one shape, without voxels that never change, none in two of them.
    n_samples
        T of the recording that is to be whitened; default that of the windows.

    Returns
    -------
    The correlation, for places that are no farther apart than those of a window. None where the Bayesian information
    criterion prefers white noise, the correlation matters little, or it is in doubt: components take a quarter of all
    dimensions, or what they leave is not white in time.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=(2000, 21))
    >>> noise = noise[:, 1:] + 0.5 * noise[:, :-1]
    >>> window = Window(np.cov(noise.T), 1999, np.arange(20)[:, None], (20,))
    >>> pooled_correlation([window]).correlation.along(0)[:3].round(1).tolist()
    [1.0, 0.4, 0.0]
    """
    shape = windows[0].shape
    lags = _lags(shape)
    fit = _Fit(LatticeCorrelation(shape, lags, np.zeros(len(lags))), np.zeros(int(np.prod(shape))))
    parts = [_Part.of(window) for window in windows]
    for number in range(N_ROUNDS):
        parts = [part.given(fit.correlation, tested=number > 0) for part in parts]
        fit, change = _refined(fit, parts)
        if change < CONVERGED * np.sqrt(2 / sum(part.window.dof for part in parts)) and number:
            break
    if fit.gain < fit.cost:
        return Pooled()
    lasting = float(np.abs(_autocorrelation(fit.correlation, parts)).max(initial=0.0))
    everywhere = float(np.abs(_autocorrelation(fit.correlation, [replace(part, rank=0) for part in parts])).min())
    effective = _fraction_effective(max(lasting, everywhere))
    worth = effective * (windows[0].dof if n_samples is None else n_samples)
    if fit.gain * effective < fit.cost or not _matters(fit.correlation, worth):
        return Pooled()
    doubt = _doubt(parts, lasting)
    return Pooled(doubt=doubt) if doubt else Pooled(fit.correlation)


def _fraction_effective(autocorrelation: float) -> float:
    """Return how many independent samples a sample is worth in variances: noise of autocorrelation rho^t."""
    if autocorrelation < LASTING:
        return 1.0
    return max((1 - autocorrelation**2) / (1 + autocorrelation**2), 0.0)


def _doubt(parts: Sequence["_Part"], lasting: float) -> str:
    """Return in words why a correlation is not that of noise; empty where nothing speaks against it."""
    removed = sum(part.rank for part in parts) / sum(len(part.scale) for part in parts)
    if removed > 1 / MANY:
        return f"neighboring voxels share more than noise: {removed:.0%} of all dimensions stand out of it"
    if lasting > LASTING:
        return (
            "neighboring voxels share what lasts longer than a sample, which is not noise that is white in time: "
            f"its autocorrelation after one sample is up to {lasting:.2f}"
        )
    return ""


def _autocorrelation(correlation: LatticeCorrelation, parts: Sequence["_Part"]) -> FloatArray:
    """Return the lag-one autocorrelation of what components leave, in each quarter of the spectrum of the noise.

    Of samples less their mean, noise that is white in time has -1 / n, which is added.
    """
    sums = [part.lasting(correlation) / part.window.dof for part in parts if part.window.following is not None]
    if not sums:
        return np.zeros(1)
    following, power = np.sum(sums, axis=0)
    return np.asarray(following / power + np.mean([1 / part.window.dof for part in parts]))


def _matters(correlation: LatticeCorrelation, n_samples: float) -> bool:
    """Return whether a correlation moves the edge of the noise of a window by more than its width, or is strong."""
    table = correlation.table
    n_like = np.prod(np.where(np.indices(table.shape) > 0, 2, 1), axis=0)  # lags that differ in sign alone
    spread = float(np.sum(n_like * table**2)) - 1
    return spread > table.size ** (1 / 3) / n_samples or float(np.abs(table.ravel()[1:]).max()) > STRONG


def _lags(shape: tuple[int, ...]) -> IntArray:
    """Return the lags (P, d) of a log spectrum, as many as a quarter of the voxels: far along one axis, less askew."""
    every = np.indices(shape).reshape(len(shape), -1).T
    length = np.sqrt((every**2).sum(axis=1))
    along_one = np.count_nonzero(every, axis=1) == 1
    for longest, oblique in LENGTHS:
        chosen = every[(length > 0) & (length <= np.where(along_one, longest, oblique))]
        if len(chosen) <= np.prod(shape) / PER_LAG:
            return np.asarray(chosen)
    return every[:0]


@dataclass(frozen=True)
class _Part:
    """A window given a correlation: its voxels' noise, rank, and power measured and expected, in units of its level."""

    window: Window
    scale: FloatArray
    rank: int
    power: FloatArray
    expected: FloatArray
    prior: FloatArray

    @classmethod
    def of(cls, window: Window) -> "_Part":
        scale = np.full(len(window.covariance), np.sqrt(np.median(np.diag(window.covariance).real)))
        none = np.zeros(window.cosines.shape[1])
        return cls(window, scale, 0, none, none, none)

    def given(self, correlation: LatticeCorrelation, *, tested: bool) -> "_Part":
        """Return the window given the correlation, what stands out of it removed if it is `tested`."""
        window, shared = self.window, correlation.between(self.window.places)
        covariance = window.covariance / np.outer(self.scale, self.scale)
        whitening = Whitening.of(shared + LEAST * np.eye(len(shared)))
        prior = window.power(shared)
        if not tested:
            power = np.maximum(window.power(covariance), LEAST * prior)
            return _Part(window, self.scale, 0, power / np.median(power / prior), prior, prior)
        values, vectors = np.linalg.eigh(whitening.whiten.T @ covariance @ whitening.whiten)
        rank, level = _noise(values[::-1], window.dof, complex_data=np.iscomplexobj(covariance))
        if np.median(values[::-1][: int(window.dof)]) < EXACT * values.mean():
            return _Part(window, self.scale, len(values), prior, prior, prior)  # all of it is signal
        removed = vectors[:, ::-1][:, :rank]
        maps = whitening.color.T @ removed
        keep = np.eye(len(shared)) - maps @ (removed.conj().T @ whitening.whiten.T)
        rest = keep @ covariance @ keep.conj().T / ((1 - rank / window.dof) * level)
        power_of_maps = (np.abs(window.cosines.T @ maps) ** 2).sum(axis=1)
        expected = np.maximum(prior - power_of_maps, LEAST_EXPECTED * prior)
        own = np.maximum(np.diag(rest).real, 0.0) + (np.abs(maps) ** 2).sum(axis=1)
        chance = (1 if np.iscomplexobj(covariance) else 2) / max(window.dof - rank, 1)
        power = np.maximum(window.power(rest), LEAST * prior)
        return _Part(window, _pulled(self.scale**2 * own, chance), rank, power, expected, prior)

    def lasting(self, correlation: LatticeCorrelation) -> FloatArray:
        """Return what whitened samples without components share with the next ones, and their power, (2, quarter)."""
        window, shared = self.window, correlation.between(self.window.places)
        strength, modes = np.linalg.eigh(shared + LEAST * np.eye(len(shared)))
        whitening = (modes / np.sqrt(strength)).T / self.scale
        white = whitening @ window.covariance @ whitening.T
        removed = np.linalg.eigh(white)[1][:, len(white) - self.rank :]
        onto = whitening - removed @ (removed.conj().T @ whitening)
        following: AnyArray = window.covariance if window.following is None else window.following
        both = [((onto @ each) * onto.conj()).sum(axis=1).real for each in (following, window.covariance)]
        return np.stack([[part.sum() for part in np.array_split(each, N_GROUPS)] for each in both])


def _noise(values: FloatArray, dof: float, *, complex_data: bool) -> tuple[int, float]:
    """Return how many eigenvalues stand out of white noise, and its variance."""
    n = int(min(len(values), dof))
    spectra = Spectra(values[None, :n] * dof, len(values), int(dof), "complex" if complex_data else "real")
    sigma = median_edge_refit(spectra).sigma
    rank = int(count_above(spectra, sigma, alpha=ALPHA)[0])
    return min(rank, n // 2), max(float(sigma[0] ** 2), np.finfo(float).tiny)


def _pulled(variance: FloatArray, chance: float) -> FloatArray:
    """Return standard deviations of voxels, drawn to their median as far as chance explains that they differ."""
    log = np.log(np.maximum(variance, np.finfo(float).tiny))
    middle = np.median(log)
    spread = (1.4826 * np.median(np.abs(log - middle))) ** 2
    kept = 1 - chance / spread if spread > CHANCE * chance else 0.0
    unlike = np.abs(log - middle) > UNLIKE * np.sqrt(max(spread, chance))
    return np.asarray(np.exp(np.where(unlike, log, middle + kept * (log - middle)) / 2))


@dataclass(frozen=True)
class _Fit:
    """A correlation, and the logarithm of its spectrum at the wavenumbers of a window.

    `gain`: by how much twice its log likelihood is above that of white noise; `cost`: what its parameters cost (BIC).
    """

    correlation: LatticeCorrelation
    log_spectrum: FloatArray
    gain: float = 0.0
    cost: float = np.inf


def _refined(fit: _Fit, parts: Sequence[_Part]) -> tuple[_Fit, float]:
    """Return the correlation that the powers of all windows call for, and by how much its log spectrum changed.

    Of windows in which something of the signal is left, the median knows nothing.
    """
    ratio = np.median([part.power / part.expected for part in parts], axis=0)
    prior = np.sum([part.prior for part in parts], axis=0)
    weight = np.sum([part.expected for part in parts], axis=0) / prior
    dof = max(sum(part.window.dof - part.rank for part in parts), 1.0)
    shape, lags = fit.correlation.shape, fit.correlation.lags
    design = np.column_stack([np.ones(len(ratio)), _cosines(shape, lags)])
    measured = ratio * np.exp(fit.log_spectrum)
    start = np.append(np.log(np.median(measured)), fit.correlation.coefficients)
    found = _regressed(measured, design, weight, dof, start)
    log_spectrum = design[:, 1:] @ found[1:]
    change = log_spectrum - fit.log_spectrum
    gain = _loss(measured, np.full(len(measured), np.log(np.average(measured, weights=weight))), weight)
    gain -= _loss(measured, design @ found, weight)
    cost = len(lags) * float(np.log(dof * len(ratio))) if len(lags) else np.inf
    correlation = LatticeCorrelation(shape, lags, found[1:])
    return _Fit(correlation, log_spectrum, dof * gain, cost), float(np.ptp(change)) / 2


def _cosines(shape: tuple[int, ...], lags: IntArray) -> FloatArray:
    """Return the products of cosines (wavenumber, P) at the wavenumbers of the cosine transform of a window."""
    axes = np.meshgrid(*(np.pi * np.arange(n) / n for n in shape), indexing="ij")
    k = np.stack([axis.ravel() for axis in axes], axis=1)
    return np.asarray(np.prod(np.cos(k[:, None] * lags), axis=2))


def _loss(measured: FloatArray, log_spectrum: FloatArray, weight: FloatArray) -> float:
    """Return minus twice the log likelihood (Whittle) of powers, one degree of freedom each."""
    return float(np.sum(weight * (measured * np.exp(-np.clip(log_spectrum, *LOG_LIMITS)) + log_spectrum)))


def _regressed(
    measured: FloatArray, design: FloatArray, weight: FloatArray, dof: float, start: FloatArray
) -> FloatArray:
    """Return the coefficients of a log spectrum by gamma regression (Newton's steps), far powers weighed down."""
    found = start
    limit = 1 + FAR * np.sqrt(2 / (dof * np.maximum(weight, LEAST_EXPECTED)))
    for _ in range(N_STEPS):
        ratio = measured * np.exp(-np.clip(design @ found, *LOG_LIMITS))
        own = weight * np.minimum(1.0, limit / np.maximum(ratio, limit)) ** 2
        hessian = (design * (own * np.clip(ratio, 0.2, 5))[:, None]).T @ design
        step = np.linalg.solve(hessian + 1e-8 * np.eye(len(found)), design.T @ (own * (ratio - 1)))
        largest = float(np.abs(step).max())
        found = found + step * min(1.0, 2 / max(largest, 1e-12))
        if largest < 1e-4:
            break
    return found
