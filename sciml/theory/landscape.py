r"""The Hessian near a critical point of a loss, as the sum of a Wishart and a Wigner matrix.

H = H₀ + H₁: H₀, of positive curvature, is a Wishart matrix of mean eigenvalue 1 with φ = parameters / data, and H₁,
which the errors that are left carry, a Wigner matrix of variance 2ε that grows with the energy ε of the critical point.
If both are free, the R-transforms add up, and G(z) = tr (z - H)^{-1} / n obeys

.. math:: z = \frac1G + \frac1{1 - \varphi G} + 2 \varepsilon G .

Below the critical energy all eigenvalues are positive; above it the fraction of negative ones (the index) grows as
the power 3/2 of the excess. This holds for large n and for H₀, H₁ that are free, which those of a real net are not: it
is a model to compare with, not a law of nets.

References
----------
Pennington and Bahri (2017), Geometry of Neural Network Loss Surfaces via Random Matrix Theory, PMLR 70, section 4.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import ComplexArray, FloatArray
from sciml.errors import ConfigError

__all__ = ["HessianLaw", "critical_energy", "hessian_law", "index_coefficient", "sample_hessian"]


@dataclass(frozen=True, repr=False)
class HessianLaw:
    """Spectrum of the sum of a Wishart and a Wigner matrix.

    Attributes
    ----------
    phi
        Parameters over data.
    energy
        ε, half the variance of the Wigner matrix.
    """

    phi: float
    energy: float

    @property
    def support(self) -> tuple[tuple[float, float], ...]:
        """The intervals of the spectrum, ascending; one, or two where φ > 1 and ε is small."""
        edges = np.sort(_map(_stationary_points(self.phi, self.energy), self.phi, self.energy))
        middles = (edges[1:] + edges[:-1]) / 2.0
        filled = self.pdf(middles) > 1e-12 / max(1.0, float(edges[-1] - edges[0]))
        return tuple((float(edges[k]), float(edges[k + 1])) for k in np.flatnonzero(filled))

    @property
    def index(self) -> float:
        """Fraction of negative eigenvalues; exactly 0 up to the critical energy."""
        return 0.0 if self.energy <= critical_energy(self.phi) else float(self.cdf(0.0))

    def pdf(self, x: ArrayLike) -> FloatArray:
        """Return the density of eigenvalues at x; shape as x."""
        return np.asarray(np.maximum(-self._resolvent(x).imag, 0.0) / math.pi)

    def cdf(self, x: ArrayLike) -> FloatArray:
        r"""Return the fraction of eigenvalues below x; shape as x.

        In closed form: with dz = z'(G) dG, ∫ G dz = G z - ln G + ln(1 - φG) / φ - ε G².
        """
        z = np.asarray(x, dtype=np.float64)
        G = self._resolvent(z)
        # Outside the spectrum the limit from the lower half plane chooses the branch of the logarithm.
        G = np.where(G.imag == 0.0, G - 0j, G)
        logarithm = np.log(np.abs(G)) + 1j * np.where(G.imag < 0, np.angle(G), np.where(G.real < 0, -math.pi, 0.0))
        primitive = G * z - logarithm + np.log(1.0 - self.phi * G) / self.phi - self.energy * G**2
        return np.asarray(np.clip(1.0 - primitive.imag / math.pi, 0.0, 1.0))

    def summary(self) -> str:
        """Return the law in one line."""
        intervals = " and ".join(f"{low:.4g} to {high:.4g}" for low, high in self.support)
        critical = critical_energy(self.phi)
        return (
            f"Wishart + Wigner at φ = {self.phi:g}, ε = {self.energy:g} (critical {critical:.4g}): eigenvalues from "
            f"{intervals}, {self.index:.4g} of them negative"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return φ, ε, the support, the critical energy and the index."""
        return {
            "phi": self.phi,
            "energy": self.energy,
            "support": [list(each) for each in self.support],
            "critical_energy": critical_energy(self.phi),
            "index": self.index,
        }

    def __repr__(self) -> str:
        return f"HessianLaw(phi={self.phi:g}, energy={self.energy:g})"

    def _resolvent(self, x: ArrayLike) -> ComplexArray:
        """Return G just above the real axis: the root of the cubic in the lower half plane, or the real one."""
        z = np.asarray(x, dtype=np.float64)
        roots = np.stack([_cubic(each, self.phi, self.energy) for each in z.ravel()])
        lowest = roots[np.arange(len(roots)), roots.imag.argmin(axis=1)]
        inside = lowest.imag < -1e-9 * np.abs(lowest)
        outside = np.array([self._physical(row) for row in roots])
        return np.asarray(np.where(inside, lowest, outside).reshape(z.shape))

    def _physical(self, roots: ComplexArray) -> complex:
        """Return the real root on the branch where G falls with z, as a resolvent does outside of the spectrum."""
        real = roots.real
        slope = -1.0 / real**2 + self.phi / (1.0 - self.phi * real) ** 2 + 2.0 * self.energy
        falling = real[slope < 0]
        return complex(falling[np.abs(falling).argmin()]) if falling.size else complex(real[np.abs(real).argmin()])


def hessian_law(phi: float, energy: float) -> HessianLaw:
    """Return the spectrum of the Hessian near a critical point of energy ε of a net of φ = parameters / data.

    Raises
    ------
    ConfigError
        φ or ε that is not positive and finite.

    Examples
    --------
    >>> law = hessian_law(0.5, 0.05)
    >>> round(law.index, 4)
    0.0636
    """
    for name, value in (("phi", phi), ("energy", energy)):
        if not 0.0 < value < math.inf:
            raise ConfigError(f"expected {name} > 0 and finite, got {value}")
    return HessianLaw(float(phi), float(energy))


def critical_energy(phi: float) -> float:
    r"""Return the energy above which the Hessian has negative eigenvalues; 0 from φ = 1 on.

    .. math:: \varepsilon_c = \tfrac1{16} \left(1 - 20\varphi - 8\varphi^2 + (1 + 8\varphi)^{3/2}\right)

    References
    ----------
    Pennington and Bahri (2017), Eq. 15.

    Examples
    --------
    >>> round(critical_energy(0.25), 8)
    0.04350953
    """
    if not 0.0 < phi < math.inf:
        raise ConfigError(f"expected phi > 0 and finite, got {phi}")
    return max(0.0, (1.0 - 20.0 * phi - 8.0 * phi**2 + (1.0 + 8.0 * phi) ** 1.5) / 16.0) if phi < 1.0 else 0.0


def index_coefficient(phi: float) -> float:
    r"""Return α₀ of the index near the critical energy, α ≈ α₀ (ε/ε_c - 1)^{3/2}.

    The lower edge moves as dλ/dε = 2 G*, and the density starts as √(2 (x - λ) / \|z''\|) / π there:

    .. math:: \alpha_0 = \frac{2}{3\pi} \sqrt{2 / |z''(G_*)|}\; (2 |G_*| \varepsilon_c)^{3/2} .

    Examples
    --------
    >>> round(index_coefficient(0.25), 4)
    0.0748
    """
    energy = critical_energy(phi)
    if energy == 0.0:
        raise ConfigError(f"expected phi < 1, where there is a critical energy, got {phi}")
    stationary = _stationary_points(phi, energy)
    G = float(stationary[stationary < 0].max())
    bend = 2.0 / G**3 + 2.0 * phi**2 / (1.0 - phi * G) ** 3
    return 2.0 / (3.0 * math.pi) * math.sqrt(2.0 / abs(bend)) * math.pow(2.0 * abs(G) * energy, 1.5)


def sample_hessian(n: int, phi: float, energy: float, *, rng: np.random.Generator) -> FloatArray:
    """Draw a Wishart plus a Wigner matrix of n rows; the number of data is n/φ, rounded.

    Examples
    --------
    >>> H = sample_hessian(200, 0.5, 0.05, rng=np.random.default_rng(0))
    >>> bool(abs(np.mean(np.linalg.eigvalsh(H) < 0) - 0.0636) < 0.03)
    True
    """
    law = hessian_law(phi, energy)
    n_data = max(1, round(n / law.phi))
    J = rng.normal(size=(n, n_data))
    A = rng.normal(size=(n, n)) * math.sqrt(energy / n)
    return np.asarray(J @ J.T / n_data + A + A.T)


def _cubic(z: float, phi: float, energy: float) -> ComplexArray:
    """Return the three G of 2εφ G³ - (2ε + zφ) G² + (z + φ - 1) G - 1 = 0."""
    return np.roots([2.0 * energy * phi, -(2.0 * energy + z * phi), z + phi - 1.0, -1.0]).astype(np.complex128)


def _map(G: FloatArray, phi: float, energy: float) -> FloatArray:
    return np.asarray(1.0 / G + 1.0 / (1.0 - phi * G) + 2.0 * energy * G)


def _stationary_points(phi: float, energy: float) -> FloatArray:
    """Return the real G at which z'(G) = 0: (2ε G² - 1)(1 - φG)² + φ G² = 0."""
    square = np.polynomial.Polynomial([1.0, -phi]) ** 2
    G = np.polynomial.Polynomial([0.0, 1.0])
    roots = ((2.0 * energy * G**2 - 1.0) * square + phi * G**2).roots()
    return np.asarray(roots.real[np.abs(roots.imag) < 1e-7 * np.abs(roots)])
