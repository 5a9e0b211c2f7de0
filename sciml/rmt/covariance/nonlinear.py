r"""Nonlinear shrinkage of covariance eigenvalues: estimates of one function at each sample eigenvalue.

The best rotation-equivariant estimate of a covariance keeps the sample's eigenvectors and gives the i-th of them the
eigenvalue (Ledoit and Péché 2011)

.. math:: \xi_i = \frac{\lambda_i}{|1 - h(\lambda_i)|^2}, \qquad h(z) = \gamma\, (1 + z\, m(z))

with m the Stieltjes transform of the spectrum just above the real axis. The methods differ in how they smooth m. With
r eigenvalues above zero, kappa = r / n_samples and m+ their own transform, h = kappa (1 + z m+): one form for
n_features below and above n_samples.

Samples correlated in time. For X = Z^T with Z = Sigma^(1/2) G B^(1/2), B having the eigenvalues S(f) of mean 1, the
trace e(z) of Sigma times the resolvent, divided by n_samples, solves (deterministic equivalent of both sides,
Burda, Jurkiewicz and Waclaw 2005, doi:10.1103/PhysRevE.71.026111)

.. math:: h(z) = \Big\langle \frac{e(z) S}{1 + e(z) S} \Big\rangle_f, \qquad
          \xi_i = \lambda_i \frac{\mathrm{Im}\, e(\lambda_i)}{\mathrm{Im}\, h(\lambda_i)}

S = 1 gives e = h / (1 - h) and the form above. An AR(1) process with tau = sum of its squared autocorrelations,
tau = (1 + phi²) / (1 - phi²), gives h = e / sqrt(1 + 2 tau e + e²), and so

.. math:: e = \frac{h}{\sqrt{1 + (\tau^2 - 1) h^2} - \tau h}

Any spectrum agrees with that in the first two orders in e, so tau = n_samples / n_effective is what is used. To replace
n_samples by n_effective in the form for white samples has a pole where n_effective < n_features < n_samples.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sciml._typing import ComplexArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.rmt.spectrum import Spectrum

__all__ = ["analytic", "qis", "rie"]

Transform = Callable[[FloatArray, int, int], ComplexArray]

BLOCK = 2**21  # entries of a block of rows of the matrix of all differences between eigenvalues
WIDEST = 12 ** (-1 / 3)  # relative bandwidth up to which no Epanechnikov kernel reaches below zero


def qis(spectrum: Spectrum, *, n_effective: float | None = None) -> FloatArray:
    r"""Quadratic-inverse shrinkage of the eigenvalues of a sample covariance.

    With l = 1 / lambda, :math:`d_{ji} = l_j - l_i`, c = n_features / n_samples and
    :math:`h = \min(c^2, c^{-2})^{.35} / p^{.35}`, averages being over the eigenvalues l_j above zero,

    .. math:: \theta_i = \Big\langle \frac{l_j d_{ji}}{d_{ji}^2 + h^2 l_j^2} \Big\rangle, \quad
              \eta_i = \Big\langle \frac{h l_j^2}{d_{ji}^2 + h^2 l_j^2} \Big\rangle, \quad
              \delta_i \propto \frac{\lambda_i}{(1 - \kappa + \kappa \theta_i)^2 + (\kappa \eta_i)^2}

    where kappa = min(p, n) / n; the eigenvalues that are zero for want of samples become
    1 / ((c - 1) mean(l)). The trace is kept.

    Parameters
    ----------
    spectrum
        All eigenvalues or those that are not zero, in any unit; n_features is the length of the result.
    n_effective
        Number of independent samples that they are worth (`effective_samples`), if rows are correlated in time. They
        are then shrunk as those of an AR(1) process; `analytic` is the most robust where n_effective < n_features.

    Returns
    -------
    FloatArray
        Shrunk eigenvalues, one for each of the eigenvalues in descending order. Eigenvalues that are zero although
        there are samples enough (features that depend on each other) stay zero, and do not count as features.

    Raises
    ------
    DataError
        More eigenvalues than features.
    ConfigError
        An n_effective above n_samples.

    References
    ----------
    Ledoit and Wolf (2022), doi:10.3150/20-BEJ1315.

    Examples
    --------
    >>> qis(Spectrum([4.0, 2.0, 1.0, 0.5], 4, 20)).round(3).tolist()
    [3.408, 2.073, 1.234, 0.786]
    """
    return _shrink(spectrum, n_effective, _qis_transform, keep_trace=True)


def analytic(spectrum: Spectrum, *, n_effective: float | None = None) -> FloatArray:
    r"""Analytic nonlinear shrinkage: the density by an Epanechnikov kernel, its Hilbert transform in closed form.

    With a bandwidth of n^(-1/3) lambda_j around each eigenvalue, f the estimate of the density of those above zero and
    Hf its Hilbert transform,

    .. math:: \xi_i = \frac{\lambda_i}{(\pi \kappa \lambda_i f)^2 + (1 - \kappa - \pi \kappa \lambda_i Hf)^2}

    where kappa = min(p, n) / n; the eigenvalues that are zero for want of samples become
    :math:`1 / ((c - 1)\, \pi Hf(0))`. The trace is not rescaled, as in the paper. With fewer than 12 samples the
    bandwidth is that of 12, so that no kernel reaches below zero.

    Parameters, result and errors as for `qis`.

    References
    ----------
    Ledoit and Wolf (2020), doi:10.1214/19-AOS1921.

    Examples
    --------
    >>> analytic(Spectrum([4.0, 2.0, 1.0, 0.5], 4, 20)).round(3).tolist()
    [3.594, 2.176, 1.328, 0.909]
    """
    return _shrink(spectrum, n_effective, _analytic_transform, at_zero=_analytic_at_zero)


def rie(
    spectrum: Spectrum,
    *,
    n_effective: float | None = None,
    regularize: bool = True,
) -> FloatArray:
    r"""Rotationally invariant estimate: the Stieltjes transform of the eigenvalues themselves, off the real axis.

    With eigenvalues in units of their mean, :math:`z_i = \lambda_i - i / \sqrt{p}` and q = n_features / n_samples,

    .. math:: s_i = \frac1p \sum_{j \ne i} \frac1{z_i - \lambda_j}, \qquad
              \xi_i = \frac{\lambda_i}{|1 - q + q z_i s_i|^2}

    An outlier that took part in its own sum would be shrunk to nothing. So near the lower edge is i / sqrt(p) too
    far from the axis; for q < 1 `regularize` multiplies by max(1, Gamma_i), where
    :math:`\Gamma_i = \sigma^2 |1 - q + q z_i g(z_i)|^2 / \lambda_i` undoes that error for white noise whose spectrum
    begins at the smallest eigenvalue. The trace is kept.

    Parameters, result and errors as for `qis`; p in the formulas counts the eigenvalues above zero.

    References
    ----------
    Ledoit and Péché (2011), doi:10.1007/s00440-010-0298-3; Bun, Bouchaud and Potters (2017),
    doi:10.1016/j.physrep.2016.10.005; Gamma: Bun, Bouchaud and Potters (2016), Risk 29, Cleaning correlation matrices.

    Examples
    --------
    >>> rie(Spectrum([4.0, 2.0, 1.0, 0.5], 4, 20)).round(3).tolist()
    [2.94, 1.825, 1.387, 1.349]
    """
    correction = _lower_edge_correction if regularize else None
    return _shrink(spectrum, n_effective, _rie_transform, keep_trace=True, correction=correction)


def _shrink(
    spectrum: Spectrum,
    n_effective: float | None,
    transform: Transform,
    *,
    at_zero: Callable[[FloatArray, int], float] | None = None,
    correction: Callable[[FloatArray, float], FloatArray] | None = None,
    keep_trace: bool = False,
) -> FloatArray:
    """Return n_features eigenvalues: those above zero by `transform`, those that lack samples by the limit at zero."""
    lam, p, n = problem(spectrum)
    tau = correlation(n, n_effective)
    shrunk = np.zeros(spectrum.n_features)
    if lam.size == 0:
        return shrunk
    unit = float(lam.mean())
    x = lam / unit
    shrunk[: lam.size] = x * gain(transform(x, p, n), tau)
    if correction is not None and lam.size == p < n and tau == 1:
        shrunk[:p] *= correction(x, p / n)
    if p > lam.size:
        mean_inverse = float(np.mean(1 / x)) if at_zero is None else at_zero(x, n)
        shrunk[lam.size : p] = tau / ((p / lam.size - 1) * mean_inverse)
    return shrunk * (unit * x.sum() / shrunk.sum() if keep_trace else unit)


def gain(h: ComplexArray, tau: float) -> FloatArray:
    """Return Im e / Im h. The principal root is cut where h is imaginary, which no e off the real axis reaches."""
    e = h / (np.sqrt(1 + (tau**2 - 1) * h**2) - tau * h)
    return np.asarray(e.imag / h.imag)


def correlation(n_samples: int, n_effective: float | None) -> float:
    """Return tau, the number of samples that are worth one."""
    if n_effective is None:
        return 1.0
    if not 0 < n_effective <= n_samples:
        raise ConfigError(f"expected n_effective above 0 and at most n_samples = {n_samples}, got {n_effective!r}")
    return n_samples / float(n_effective)


def problem(spectrum: Spectrum) -> tuple[FloatArray, int, int]:
    """Return the eigenvalues above zero, the number of features that vary independently, the number of samples.

    Fewer eigenvalues above zero than both sides allow mean that features depend on each other exactly: the data live in
    a space of that many dimensions, and the rest of the spectrum is zero in the population too.
    """
    values, p, n = spectrum.values, spectrum.n_features, spectrum.n_samples
    if values.size > p:
        raise DataError(f"expected at most {p} eigenvalues of {p} features, got {values.size}")
    above = values[values > np.finfo(float).eps * max(p, n) * values[0]]
    return above, (above.size if above.size < min(p, n) else p), n


def _rows(function: Callable[[FloatArray, NDArray[np.intp]], ComplexArray], x: FloatArray) -> ComplexArray:
    """Evaluate `function(x_i as a column, their indices)` in blocks, so that memory stays linear in the spectrum."""
    blocks = np.array_split(np.arange(x.size), 1 + x.size**2 // BLOCK)
    return np.concatenate([function(x[index, None], index) for index in blocks])


def _qis_transform(x: FloatArray, p: int, n: int) -> ComplexArray:
    width = min(p / n, n / p) ** 0.7 / p**0.35

    def mean(column: FloatArray, _: NDArray[np.intp]) -> ComplexArray:
        # theta - i eta = <1 / (d/l + i h)>, and d_ji / l_j = 1 - lam_j / lam_i.
        return np.asarray((1 / (1 - x / column + 1j * width)).mean(axis=1))

    return x.size / n * (1 - _rows(mean, x))


def _analytic_transform(x: FloatArray, _: int, n: int) -> ComplexArray:
    width = _width(n)

    def mean(column: FloatArray, _: NDArray[np.intp]) -> ComplexArray:
        return np.asarray((_kernel((column - x) / (x * width)) / (x * width)).mean(axis=1))

    # The kernel's transform Hf + i f is m / pi with m = <1 / (lam_j - z)>.
    return x.size / n * (1 + np.pi * x * _rows(mean, x))


def _analytic_at_zero(x: FloatArray, n: int) -> float:
    width = _width(n)
    return float(np.pi * _kernel(np.array(-1 / width)).real / width) * float(np.mean(1 / x))


def _width(n: int) -> float:
    return min(1 / float(np.cbrt(n)), WIDEST)


def _kernel(u: FloatArray) -> ComplexArray:
    """Return H + i f: Epanechnikov's density of unit variance and its Hilbert transform (1/pi) p.v. int f(t)/(t - u).

    H = -3u / (10 pi) + 3 / (4 sqrt(5) pi) (1 - u²/5) log|(sqrt(5) - u) / (sqrt(5) + u)|; far out, where its two terms
    cancel, the series -1/(pi u) (1 + 1/u² + 15/(7 u^4) + ...).
    """
    square = u**2 / 5
    density = 3 / (4 * np.sqrt(5)) * np.maximum(1 - square, 0.0)
    ratio = np.abs((np.sqrt(5) - u) / np.where(u == -np.sqrt(5), 1.0, np.sqrt(5) + u))
    log = np.log(np.where((ratio > 0) & (square != 1), ratio, 1.0))
    near = -0.3 * u + 3 / (4 * np.sqrt(5)) * (1 - square) * log
    w = 1 / np.where(square > 1, square, 1.0)
    far = -(1 + w / 5 * (1 + w * 3 / 7 * (1 + w * 5 / 9 * (1 + w * 7 / 11)))) / np.where(u == 0, 1.0, u)
    return np.asarray(np.where(square > 200, far, near) / np.pi + 1j * density)


def _rie_transform(x: FloatArray, p: int, n: int) -> ComplexArray:
    # An absolute distance from the axis: in units of the mean of all p eigenvalues, zeros included.
    distance = x.sum() / p / np.sqrt(p)

    def others(column: FloatArray, index: NDArray[np.intp]) -> ComplexArray:
        z = column - 1j * distance
        terms = z / (z - x)
        if x.size > 1:  # a single eigenvalue has no others: its own term keeps the sum off the pole
            terms[np.arange(index.size), index] = 0.0
        return np.asarray(terms.sum(axis=1) / x.size)

    return x.size / n * (1 - _rows(others, x))


def _lower_edge_correction(x: FloatArray, q: float) -> FloatArray:
    """Return max(1, Gamma), which is exact for white noise of which the smallest eigenvalue is the lower edge."""
    root = np.sqrt(q)
    low, variance = x[-1], x[-1] / (1 - root) ** 2
    high = variance * (1 + root) ** 2
    z = x - 1j / np.sqrt(x.size)
    g = (z + variance * (q - 1) - np.sqrt(z - low) * np.sqrt(z - high)) / (2 * q * z * variance)
    return np.asarray(np.maximum(1.0, variance * np.abs(1 - q + q * z * g) ** 2 / x))
