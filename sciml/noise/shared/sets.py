"""Time courses that two sets of channels have in common, whatever the noise within each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import scipy.ndimage
import xarray as xr

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.errors import ConfigError, DataError
from sciml.linalg import few_threads
from sciml.noise.shared.result import SharedTimeCourses
from sciml.noise.shared.transform import cosine_transform
from sciml.recording import TIME, blocks, check, n_features

__all__ = ["shared_between", "shared_between_halves"]

N_BANDS = 256  # of frequency, whose signs are drawn
N_COPIES = 199
VALUES_AVERAGED = 64  # in the power of a set around a frequency
SEGMENT = 2**17  # samples whose frequencies are told apart; of longer recordings, every segment has its own
FEWEST_SAMPLES = 32
FEWEST_CHANNELS = 4  # of a recording that is halved
STATISTIC = "correlation of the two time courses"
Pair = tuple[AnyArray, AnyArray]


def shared_between(
    a: xr.DataArray,
    b: xr.DataArray,
    *,
    alpha: float = 0.05,
    whiten: bool = True,
    rng: np.random.Generator | None = None,
) -> SharedTimeCourses:
    r"""Return how many time courses two sets of channels have in common, at least.

    Noise may be shared in any way within each set, and colored: only between the sets it must not be shared. Channels
    of sets that lie apart by more than the range of the noise are such sets.

    The cosine transforms over time of both sets, A and B (frequency, channel), make the covariances between sets

    .. math:: C = \sum_f A_f^H B_f, \qquad C^* = \sum_f \epsilon_f A_f^H B_f, \quad \epsilon_f = \pm 1

    Where sets have nothing in common, the transform of stationary noise is as likely with the signs of A turned at any
    frequency, in all its channels together: that keeps what channels of A share. So C and its copies C^*, of random
    signs, have one distribution, and the largest singular value of C is compared with theirs (a randomization test,
    exact as far as frequencies are independent). Each one found is projected out of both sides, of a set its own
    loadings, before the next is tested. What is not found may be there: the number is a lower bound.

    Noise has to be stationary: a level that changes in both sets at once (loud samples common to both) is called shared
    as well, most of the time where it changes a lot. `summary` says so.

    Parameters
    ----------
    a, b
        Recordings of the same samples: dims `time` and any others. Missing values count as their channel's mean.
        Channels are scaled to one standard deviation.
    alpha
        Level of each test.
    whiten
        Divide each set by the root of its power at each frequency, so that slow noise does not decide alone.
    rng
        Draws the signs; the same ones by default.

    Raises
    ------
    DataError
        Sets of different samples, or without a channel that varies.
    ConfigError
        An alpha that 199 copies cannot tell.

    References
    ----------
    Randomization: Lehmann and Romano (2005), Testing Statistical Hypotheses, section 15.2. Surrogates of one phase for
    all channels: Prichard and Theiler (1994), doi:10.1103/PhysRevLett.73.951.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> drift = np.cumsum(rng.normal(size=(1000, 1)), axis=0) / 20
    >>> left = xr.DataArray(drift + rng.normal(size=(1000, 6)), dims=("time", "channel"))
    >>> right = xr.DataArray(drift + rng.normal(size=(1000, 9)), dims=("time", "channel"))
    >>> shared_between(left, right).n_shared
    1
    """
    check_level(alpha)
    a, b = check(a, minimum=FEWEST_SAMPLES), check(b, minimum=FEWEST_SAMPLES)
    if a.sizes[TIME] != b.sizes[TIME]:
        raise DataError(
            f"expected two sets of the same samples, got {a.sizes[TIME]} and {b.sizes[TIME]}; select the times that "
            "both have"
        )
    pairs = zip(_segments(a), _segments(b), strict=True)
    sets = f"the two sets of {n_features(a)} and {n_features(b)} channels"
    return _tested(_band_products(pairs, whiten=whiten), sets, alpha, rng or np.random.default_rng(0))


def shared_between_halves(
    recording: xr.DataArray,
    *,
    alpha: float = 0.05,
    whiten: bool = True,
    rng: np.random.Generator | None = None,
) -> SharedTimeCourses:
    """Return how many time courses two random halves of the channels have in common, at least.

    Where positions are not known, that is a bound on what channels share: signal, noise that reaches across halves, or
    a noise level that changes in all channels at once.
    The loadings of each half stand at its own channels, and are zero at the others.

    Parameters
    ----------
    recording, alpha, whiten
        As for `shared_between`.
    rng
        Draws the halves and the signs; the same ones by default.

    Raises
    ------
    DataError, ConfigError
        As `shared_between`, and fewer than four channels.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(1000, 2)) @ rng.normal(size=(2, 20))
    >>> recording = xr.DataArray(shared + rng.normal(size=(1000, 20)), dims=("time", "channel"))
    >>> shared_between_halves(recording).summary()
    'At least 2 time courses are common to two random halves of the 20 channels (level 0.05), or...'
    """
    check_level(alpha)
    recording, rng = check(recording, minimum=FEWEST_SAMPLES), rng or np.random.default_rng(0)
    n = n_features(recording)
    if n < FEWEST_CHANNELS:
        raise DataError(f"expected at least {FEWEST_CHANNELS} channels, to halve them; got {n}")
    drawn = rng.permutation(n)
    first, second = np.sort(drawn[: n // 2]), np.sort(drawn[n // 2 :])
    pairs = ((values[:, first], values[:, second]) for values in _segments(recording))
    sets = f"two random halves of the {n} channels"
    found = _tested(_band_products(pairs, whiten=whiten), sets, alpha, rng)
    assert found.loadings[1] is not None  # noqa: S101
    placed = _placed(found.loadings[0], first, n), _placed(found.loadings[1], second, n)
    return replace(found, loadings=placed)


def check_level(alpha: float) -> None:
    """Raise a ConfigError if a randomization test of so many copies has no such level."""
    if not 1 / (N_COPIES + 1) <= alpha < 1:
        raise ConfigError(
            f"expected alpha from {1 / (N_COPIES + 1):g}, which {N_COPIES} copies can tell, to 1; got {alpha}"
        )


def _placed(loadings: AnyArray, channels: IntArray, n: int) -> AnyArray:
    every = np.zeros((n, loadings.shape[1]), loadings.dtype)
    every[channels] = loadings
    return every


def _segments(recording: xr.DataArray) -> Iterator[AnyArray]:
    """Yield consecutive samples (n, N) of unit variance about their mean; zero where missing, or where none varies."""
    for _, values in blocks(recording, SEGMENT):
        if len(values) < FEWEST_SAMPLES:
            continue
        wide = values.astype(np.complex128 if np.iscomplexobj(values) else np.float64)
        present = np.isfinite(wide)
        counts = np.maximum(present.sum(axis=0), 1)
        mean = np.where(present, wide, 0).sum(axis=0) / counts
        rest = np.where(present, wide - mean, 0)
        root = np.sqrt((np.abs(rest) ** 2).sum(axis=0))
        noise = np.finfo(wide.real.dtype).eps * np.sqrt(counts) * (np.abs(mean) + root)
        yield rest * np.where(root > 4 * noise, 1 / np.where(root > 0, root, 1.0), 0.0)


@dataclass(frozen=True)
class _BandProducts:
    """Covariances between two sets in bands of frequency, (band, N_a, N_b), and of each set in all together."""

    between: AnyArray
    first: AnyArray
    second: AnyArray

    def correlation(self, u: AnyArray, v: AnyArray) -> float:
        """Return that of the time courses with loadings u and v."""
        covariance = abs(u.conj() @ self.between.sum(axis=0) @ v)
        powers = (u.conj() @ self.first @ u).real * (v.conj() @ self.second @ v).real
        return float(covariance / np.sqrt(max(powers, np.finfo(float).tiny)))


def _band_products(pairs: Iterable[Pair], *, whiten: bool) -> _BandProducts:
    """Return the products of two sets over all segments, each with bands of its own."""
    transformed = [tuple(_transformed(each, whiten=whiten) for each in pair) for pair in pairs]
    if not transformed:
        raise DataError(f"expected {FEWEST_SAMPLES} consecutive samples, found none; give a recording with fewer gaps")
    n_bands = max(FEWEST_SAMPLES // 2, N_BANDS // len(transformed))
    parts = [product for a, b in transformed for product in _products(a, b, n_bands)]
    first, second = (np.sum([each[side].conj().T @ each[side] for each in transformed], axis=0) for side in (0, 1))
    if not (np.trace(first).real > 0 and np.trace(second).real > 0):
        raise DataError("expected channels that vary in both sets; one has none")
    return _BandProducts(np.stack(parts), first, second)


def _transformed(values: AnyArray, *, whiten: bool) -> AnyArray:
    """Return the cosine transform over time, without the mean, at each frequency over the root of its mean power."""
    c = cosine_transform(values)
    if not whiten:
        return c
    power = np.mean(np.abs(c) ** 2, axis=1)
    smooth = scipy.ndimage.uniform_filter1d(power, -(-VALUES_AVERAGED // c.shape[1]), mode="nearest")
    return np.asarray(c / np.sqrt(np.maximum(smooth, np.finfo(float).tiny))[:, None])


def _products(a: AnyArray, b: AnyArray, n_bands: int) -> list[AnyArray]:
    """Return A^H B in bands that hold equal parts of what varies in both."""
    weight = np.sqrt((np.abs(a) ** 2).sum(axis=1) * (np.abs(b) ** 2).sum(axis=1))
    reached = np.concatenate([[0.0], np.cumsum(weight)])
    edges = np.searchsorted(reached, np.linspace(0, reached[-1], n_bands + 1)[1:-1])
    edges = np.unique(np.concatenate([[0], edges, [len(a)]]))
    return [a[low:high].conj().T @ b[low:high] for low, high in pairwise(edges)]


def _tested(products: _BandProducts, sets: str, alpha: float, rng: np.random.Generator) -> SharedTimeCourses:
    """Test one shared time course after the other, until one is no larger than those of copies."""
    between = products.between
    signs = rng.choice([-1.0, 1.0], size=(N_COPIES, len(between)))
    left: list[AnyArray] = []
    right: list[AnyArray] = []
    correlations: list[float] = []
    p_values: list[float] = []
    with few_threads(max(between.shape[1:])):
        while len(left) < min(between.shape[1:]):
            u, s, vt = np.linalg.svd(between.sum(axis=0), full_matrices=False)
            correlations.append(products.correlation(u[:, 0], vt[0].conj()))
            p_values.append(max([_p_value(between, float(s[0]), signs), *p_values[-1:]]))
            if p_values[-1] > alpha:
                break
            left.append(u[:, 0])
            right.append(vt[0].conj())
            between = between - np.einsum("i,kj->kij", u[:, 0], u[:, 0].conj() @ between)
            between = between - np.einsum("ki,j->kij", between @ vt[0].conj(), vt[0])
    loadings = _columns(left, between.shape[1]), _columns(right, between.shape[2])
    return SharedTimeCourses(len(left), np.array(correlations), np.array(p_values), loadings, sets, STATISTIC, alpha)


def _columns(vectors: list[AnyArray], n: int) -> AnyArray:
    return np.stack(vectors, axis=1) if vectors else np.zeros((n, 0))


def _p_value(between: AnyArray, largest: float, signs: FloatArray) -> float:
    """Return the part of copies, the recording among them, whose largest singular value is as large."""
    copies = (signs @ between.reshape(len(between), -1)).reshape(-1, *between.shape[1:])
    return float((1 + np.count_nonzero(np.linalg.norm(copies, 2, axis=(1, 2)) >= largest)) / (len(signs) + 1))
