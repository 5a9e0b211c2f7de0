"""Noise made from the data themselves: what a recording would look like if its channels had nothing in common."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.rmt.laws import TracyWidom
from sciml.rmt.matrix import matrix

__all__ = ["Kind", "SurrogateTest", "permute", "phase_randomize", "sign_flip", "surrogate_test"]

Kind = Literal["sign_flip", "phase", "permutation"]

BATCH_BYTES = 2**26  # of surrogates held at once
LEAST = 0.1  # of a channel that is nearly all component, what is left says little about its noise


@dataclass(frozen=True)
class SurrogateTest:
    """Components that exceed what surrogates reach.

    `p_values` of the eigenvalues that were tested, in order: (1 + number of surrogates that reach the value) /
    (1 + n_draws), never below `resolution` = 1 / (1 + n_draws). `extrapolated` are p-values of a Tracy-Widom law with
    mean and standard deviation of the surrogates: not limited by the draws, but a model. `threshold` is the largest
    eigenvalue that the last surrogates exceed with probability alpha.
    """

    rank: int
    eigenvalues: FloatArray
    p_values: FloatArray
    extrapolated: FloatArray
    threshold: float
    n_draws: int
    resolution: float
    kind: Kind


def sign_flip(X: ArrayLike, *, n_draws: int, rng: np.random.Generator) -> AnyArray:
    """Multiply each entry by a random sign: keeps every variance, breaks what entries share.

    For independent noise of a symmetric distribution, the surrogates are distributed as the noise, whatever the
    variances of rows, columns or single entries. Breaks correlation in time as well.

    Parameters
    ----------
    X
        (n_samples, n_features), real or complex.

    Returns
    -------
    (n_draws, n_samples, n_features).

    Raises
    ------
    DataError
        Not a matrix of finite numbers.

    References
    ----------
    Hong, Sheng and Dobriban (2020), arXiv:2012.02985.

    Examples
    --------
    >>> flipped = sign_flip(np.ones((4, 3)), n_draws=10, rng=np.random.default_rng(0))
    >>> flipped.shape, bool((np.abs(flipped) == 1).all())
    ((10, 4, 3), True)
    """
    data = matrix("data", X)
    return np.asarray(data * (1.0 - 2.0 * rng.integers(0, 2, size=(n_draws, *data.shape), dtype=np.int8)))


def phase_randomize(X: ArrayLike, *, n_draws: int, rng: np.random.Generator) -> AnyArray:
    """Give each Fourier coefficient of each channel a random phase: keeps every channel's power spectrum.

    The right null for noise that is correlated in time, each channel in its own way, and stationary. Mean and
    variance of each channel stay what they are.

    Parameters
    ----------
    X
        (n_samples, n_features), regular in time, real or complex.

    Returns
    -------
    (n_draws, n_samples, n_features).

    Raises
    ------
    DataError
        Not a matrix of finite numbers.

    References
    ----------
    Theiler et al. (1992), doi:10.1016/0167-2789(92)90102-S.

    Examples
    --------
    >>> X = np.cumsum(np.random.default_rng(0).normal(size=(64, 2)), axis=0)
    >>> surrogate = phase_randomize(X, n_draws=1, rng=np.random.default_rng(1))[0]
    >>> bool(np.allclose(np.abs(np.fft.fft(surrogate, axis=0)), np.abs(np.fft.fft(X, axis=0))))
    True
    """
    data = matrix("data", X)
    n = data.shape[0]
    if np.iscomplexobj(data):
        coefficients = np.fft.fft(data, axis=0)
        turn = rng.uniform(0, 2 * np.pi, size=(n_draws, *coefficients.shape))
        turn[:, 0] = 0.0
        return np.asarray(np.fft.ifft(coefficients * np.exp(1j * turn), axis=1))
    half = np.fft.rfft(data, axis=0)
    phase = np.exp(1j * rng.uniform(0, 2 * np.pi, size=(n_draws, *half.shape)))
    phase[:, 0] = 1.0
    if n % 2 == 0:  # half a cycle a sample is real: a sign
        phase[:, -1] = np.sign(phase[:, -1].real)
    return np.asarray(np.fft.irfft(half * phase, n, axis=1))


def permute(X: ArrayLike, *, n_draws: int, rng: np.random.Generator) -> AnyArray:
    """Put the samples of each channel into an order of its own (Horn's parallel analysis): breaks correlation in time.

    Returns
    -------
    (n_draws, n_samples, n_features).

    Raises
    ------
    DataError
        Not a matrix of finite numbers.

    References
    ----------
    Buja and Eyuboglu (1992), doi:10.1207/s15327906mbr2704_2.

    Examples
    --------
    >>> permute(np.arange(6.0).reshape(3, 2), n_draws=5, rng=np.random.default_rng(0)).sum(axis=1)[0]
    array([6., 9.])
    """
    data = matrix("data", X)
    return np.asarray(rng.permuted(np.broadcast_to(data, (n_draws, *data.shape)), axis=1))


KINDS: dict[Kind, Callable[..., AnyArray]] = {
    "sign_flip": sign_flip,
    "phase": phase_randomize,
    "permutation": permute,
}


def surrogate_test(
    X: ArrayLike,
    *,
    kind: Kind,
    rng: np.random.Generator,
    n_draws: int = 199,
    alpha: float = 0.05,
    max_rank: int | None = None,
    extrapolate: bool = False,
) -> SurrogateTest:
    r"""Compare the largest eigenvalue with that of surrogates, take the component out if it is larger, and repeat.

    With m surrogates, b of which reach the eigenvalue, p = (1 + b) / (1 + m): a level of exactly alpha if alpha (1 + m)
    is whole. Components found are removed before surrogates of the rest are drawn, because their power would be spread
    over the surrogates and hide the weaker ones. What k components took of the noise is made up for: rows and columns
    of the rest are divided by :math:`\sqrt{1 - h}`, h being their fraction in the components. Noise of which k
    directions are gone reaches less far, and so do the surrogates, by
    :math:`(\sqrt{n - k} + \sqrt{p - k})^2 / (\sqrt n + \sqrt p)^2`.

    Parameters
    ----------
    X
        (n_samples, n_features), demeaned by whoever calls, real or complex.
    kind
        `sign_flip` for noise without correlation in time, `phase` for stationary noise, `permutation` for noise of a
        constant variance in each channel without correlation in time.
    max_rank
        Components to look for; half of the short side if not given.
    extrapolate
        Decide by the extrapolated p-values, for an alpha below the resolution.

    Raises
    ------
    DataError
        Not a matrix of finite numbers, or nothing but zeros.
    ConfigError
        An unknown kind, too few draws to reach alpha.

    References
    ----------
    Hong, Sheng and Dobriban (2020), arXiv:2012.02985; p-value: Phipson and Smyth (2010), doi:10.2202/1544-6115.1585.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.linspace(1, 4, 30) * rng.normal(size=(300, 30)) + 2 * np.outer(rng.normal(size=300), np.ones(30))
    >>> test = surrogate_test(X, kind="sign_flip", rng=rng, n_draws=99)
    >>> test.rank, test.resolution
    (1, 0.01)
    """
    if kind not in get_args(Kind):
        raise ConfigError(f"expected surrogates of kind {', '.join(get_args(Kind))}, got {kind!r}")
    if not 0 < alpha < 1 or (1 / (1 + n_draws) > alpha and not extrapolate):
        raise ConfigError(
            f"expected alpha between 0 and 1 and at least 1 / alpha - 1 draws to reach it, got {alpha!r} and "
            f"{n_draws}; draw more, or extrapolate"
        )
    data = matrix("data", X)
    if not data.any():
        raise DataError("expected data with values other than zero, got only zeros")
    unit = float(np.abs(data).max())
    n, p = data.shape
    limit = max(1, min(n, p) // 2 if max_rank is None else min(max_rank, min(n, p) - 1))
    U, s, Vh = scipy.linalg.svd(data / unit, full_matrices=False, check_finite=False)
    p_values: list[float] = []
    tails: list[float] = []
    for k in range(limit):
        rest = _rest(U[:, k:], s[k:], Vh[k:], 1 - _fraction_in(U[:, :k]), 1 - _fraction_in(Vh[:k].T))
        reach = ((np.sqrt(n - k) + np.sqrt(p - k)) / (np.sqrt(n) + np.sqrt(p))) ** 2
        maxima = np.concatenate(list(_maxima(rest, kind, n_draws, rng))) * reach
        value = float(s[k] ** 2 / n)
        p_values.append((1 + int(np.count_nonzero(maxima >= value))) / (1 + n_draws))
        tails.append(_extrapolated(value, maxima, complex_data=np.iscomplexobj(data)))
        if (tails if extrapolate else p_values)[-1] > alpha:
            break
    found = np.maximum.accumulate(tails if extrapolate else p_values)
    return SurrogateTest(
        rank=int(np.count_nonzero(found <= alpha)),
        eigenvalues=s[: len(p_values)] ** 2 / n * unit**2,
        p_values=np.maximum.accumulate(p_values),
        extrapolated=np.maximum.accumulate(tails),
        threshold=float(np.quantile(maxima, 1 - alpha, method="higher")) * unit**2,
        n_draws=n_draws,
        resolution=1 / (1 + n_draws),
        kind=kind,
    )


def _fraction_in(vectors: AnyArray) -> FloatArray:
    """Return how much of each coordinate lies in orthonormal columns."""
    return np.asarray((np.abs(vectors) ** 2).sum(axis=1))


def _rest(U: AnyArray, s: FloatArray, Vh: AnyArray, rows: FloatArray, columns: FloatArray) -> AnyArray:
    """Return what is left of the data, rows and columns as strong as before components took their part."""
    rest = (U * s) @ Vh
    return np.asarray(rest / np.sqrt(np.maximum(rows, LEAST))[:, None] / np.sqrt(np.maximum(columns, LEAST)))


def _maxima(data: AnyArray, kind: Kind, n_draws: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Yield the largest eigenvalue of each surrogate, a batch at a time."""
    n, p = data.shape
    size = max(1, BATCH_BYTES // (16 * data.size))
    for start in range(0, n_draws, size):
        batch = KINDS[kind](data, n_draws=min(size, n_draws - start), rng=rng)
        adjoint = batch.conj().swapaxes(1, 2)
        gram = adjoint @ batch if p <= n else batch @ adjoint
        yield np.linalg.eigvalsh(gram)[:, -1] / n


def _extrapolated(value: float, maxima: FloatArray, *, complex_data: bool) -> float:
    """Return the tail of the Tracy-Widom law that has the surrogates' mean and standard deviation."""
    law = TracyWidom(2 if complex_data else 1)
    spread = float(maxima.std(ddof=1)) if maxima.size > 1 else 0.0
    if spread == 0:
        return 1.0
    return float(law.sf(law.mean() + np.sqrt(law.var()) * (value - float(maxima.mean())) / spread))
