"""How far the Jacobians of single nets of finite width lie from their mean."""

import math
from dataclasses import asdict, dataclass

from sciml.errors import ConfigError
from sciml.theory.meanfield import AnyActivation, critical_point, gaussian_moments

__all__ = ["Fluctuation", "jacobian_fluctuation"]


@dataclass(frozen=True)
class Fluctuation:
    r"""Scatter of |J u|² over nets, u a fixed unit vector, and of tr(J Jᵀ) / n.

    Attributes
    ----------
    mean
        E|J u|² = E tr(J Jᵀ) / n = χ₁^L.
    variance
        Relative variance of |J u|², to first order in 1/n in each layer: E|J u|⁴ / mean² - 1.
    trace_variance
        That of the mean squared singular value tr(J Jᵀ) / n, an average over all directions.
    """

    mean: float
    variance: float
    trace_variance: float

    @property
    def typical(self) -> float:
        """|J u|² of a typical net, exp E[ln], of log-normal scatter."""
        return self.mean / math.sqrt(1.0 + self.variance)

    def band(self, z: float = 2.0) -> tuple[float, float]:
        """Return the values of |J u|² that lie z standard deviations of the logarithm from the typical one."""
        factor = math.exp(z * math.sqrt(math.log1p(self.variance)))
        return self.typical / factor, self.typical * factor

    def summary(self) -> str:
        """Return mean, typical value and band in a line."""
        low, high = self.band()
        return f"|J u|² has mean {self.mean:.4g}; in a typical net {self.typical:.4g}, in most {low:.4g} to {high:.4g}"

    def to_dict(self) -> dict[str, float]:
        """Return mean and relative variances."""
        return asdict(self)


def jacobian_fluctuation(
    given: AnyActivation,
    depth: int,
    width: int,
    *,
    sigma_w2: float | None = None,
    q: float | None = None,
    weights: str = "gaussian",
) -> Fluctuation:
    r"""Return how the squared length of J u, and the mean squared singular value, scatter over nets of one width.

    .. math:: 1 + v = \prod_{\ell=1}^{L} \Big(1 + \frac{3 \mu_2 / \mu_1^2 - 1}{n}\Big), \qquad \mu_k = E[\varphi'^{2k}]

    which is (1 + 5/n)^L for ReLU and (1 + 2/n)^L for linear nets, exactly. Orthogonal weights keep lengths: each
    factor is divided by 1 + 2/n. The trace averages over directions. Layer ℓ + 1 varies it by its slopes, and by its
    weights where few singular values of the layers before it carry it:

    .. math:: \frac{\mu_2 / \mu_1^2 (1 + 2p_\ell) - 1}{n}, \qquad
              p_\ell = \frac{E[\lambda^2]}{n E[\lambda]^2} = \frac{1 + \ell(\mu_2/\mu_1^2 - 1 - s_1)}{n},

    and (μ₂/μ₁² - 1)(1 + 2p) / n where weights are orthogonal.

    Parameters
    ----------
    given
        The activation: a name in `meanfield.ACTIVATIONS`, an `Activation`, or a function of an array.
    depth, width
        Number L of layers, and n of units in each.
    sigma_w2, q
        As in `JacobianLaw`; those of the critical point where both are None.
    weights
        "gaussian" or "orthogonal".

    Raises
    ------
    ConfigError
        As `JacobianLaw`, or a width below 1.

    References
    ----------
    Hanin (2018), arXiv:1801.03744; Hanin and Nica (2020), arXiv:1812.05994.

    Examples
    --------
    >>> round(jacobian_fluctuation("relu", 10, 32).variance + 1, 4)
    4.2709
    """
    if depth < 1 or width < 1 or weights not in ("gaussian", "orthogonal") or (sigma_w2 is None) != (q is None):
        raise ConfigError(
            f"expected depth, width >= 1, weights gaussian or orthogonal, and sigma_w2 with q, got {depth}, {width}, "
            f"{weights!r}, {sigma_w2}, {q}"
        )
    if sigma_w2 is None or q is None:
        point = critical_point(given)
        sigma_w2, q = point.sigma_w2, point.q
    moments = gaussian_moments(given, q)
    factor = 1.0 + (3.0 * moments.slope_kurtosis - 1.0) / width
    if weights == "orthogonal":
        factor /= 1.0 + 2.0 / width
    mean = (sigma_w2 * moments.slope) ** depth
    return Fluctuation(mean, factor**depth - 1.0, _trace_variance(moments.slope_kurtosis, depth, width, weights))


def _trace_variance(kurtosis: float, depth: int, width: int, weights: str) -> float:
    product, gaussian = 1.0, weights == "gaussian"
    for layer in range(depth):
        p = min(1.0, (1.0 + layer * (kurtosis - 1.0 + gaussian)) / width)
        own = kurtosis * (1.0 + 2.0 * p) - 1.0 if gaussian else (kurtosis - 1.0) * (1.0 + 2.0 * p)
        product *= 1.0 + own / width
    return product - 1.0
