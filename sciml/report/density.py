"""The eigenvalue density of pure noise of a given spectrum in time, for drawing beside a histogram."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["noise_density"]

N_VALUES = 256  # of the spectrum, after sorting: enough for a smooth curve
N_ITERATIONS = 400


def noise_density(x: NDArray[np.float64], spectrum: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    r"""Return the density of the eigenvalues of X^H X / T for noise of N = gamma T independent channels.

    Each channel has the power spectrum S(f) with mean 1. The Stieltjes transform m of the law solves

    .. math:: m(z) = \Big(-z + \Big\langle \frac{S}{1 + \gamma S m(z)} \Big\rangle_f\Big)^{-1}, \qquad
       \rho(x) = \lim_{\eta \to 0^+} \Im m(x + i\eta) / \pi .

    For S = 1 this is the Marchenko-Pastur law. The imaginary part is kept at a thousandth of x, and the equation
    solved by damped iteration: right to about a percent, which is a line's width. The atom at zero (gamma > 1) is
    not part of the density.

    Parameters
    ----------
    x
        Positive places, shape (n,), in units of the noise variance.
    spectrum
        Values of S on a regular grid of frequencies, any unit.

    References
    ----------
    Marchenko and Pastur (1967), doi:10.1070/SM1967v001n04ABEH001994; Silverstein and Bai (1995),
    doi:10.1006/jmva.1995.1051, eq. 1.3.

    Examples
    --------
    >>> float(noise_density(np.array([1.0]), np.ones(8), 0.25)[0].round(2))
    0.62
    """
    values = np.sort(np.asarray(spectrum, dtype=np.float64))
    values = np.array([part.mean() for part in np.array_split(values, min(N_VALUES, len(values)))])
    values /= values.mean()
    z = x * (1 + 1e-3j)
    m = np.full(x.shape, 1j)
    for _ in range(N_ITERATIONS):
        mean = (values / (1 + gamma * values * m[:, None])).mean(axis=1)
        m = 0.5 * m + 0.5 / (-z + mean)
    return np.asarray(m.imag / np.pi)
