"""Second moments and gradient factors, layer by layer."""

import math
from dataclasses import dataclass

import numpy as np

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.theory.meanfield.activations import AnyActivation, activation
from sciml.theory.meanfield.gaussian import moments, non_negative

__all__ = ["LengthMap", "depth_scale", "propagate"]


@dataclass(frozen=True)
class LengthMap:
    """Second moments and gradient factors, layer by layer.

    Attributes
    ----------
    activation
        Name of the nonlinearity.
    sigma_w2, sigma_b2
        Weight variance times fan-in, and bias variance, of every layer.
    q
        (depth + 1,) second moment of the pre-activations; `q[0]` is the given one.
    chi_1, chi_q
        (depth + 1,) gradient factor and slope of the length map at each of these.
    """

    activation: str
    sigma_w2: float
    sigma_b2: float
    q: FloatArray
    chi_1: FloatArray
    chi_q: FloatArray

    @property
    def xi_c(self) -> float:
        """Depth scale of gradients and correlations, -1/ln χ₁ at the last layer; negative where gradients explode."""
        return depth_scale(self.chi_1[-1])

    @property
    def xi_q(self) -> float:
        """Depth scale on which q settles, -1/ln χ_q at the last layer."""
        return depth_scale(self.chi_q[-1])


def propagate(
    given: AnyActivation, depth: int, *, sigma_w2: float, sigma_b2: float = 0.0, q0: float = 1.0
) -> LengthMap:
    r"""Follow the second moment of the pre-activations, and χ₁ and χ_q, through `depth` layers.

    .. math:: q_{\ell+1} = \sigma_w^2 E[\varphi(\sqrt{q_\ell} z)^2] + \sigma_b^2.

    Parameters
    ----------
    given
        The activation: a name in `ACTIVATIONS`, an `Activation`, or a function of an array.
    depth
        Number of layers to follow.
    sigma_w2, sigma_b2
        Weight variance times fan-in, and bias variance, of every layer.
    q0
        Second moment of the first pre-activations.

    Raises
    ------
    ConfigError
        An unknown activation, a negative argument, or a second moment that outgrows floating point.

    References
    ----------
    Poole et al. (2016), arXiv:1606.05340, Eq. 3; Schoenholz et al. (2017), arXiv:1611.01232, Eq. 6-9 for the depth
    scales `xi_c` and `xi_q` of the result.

    Examples
    --------
    >>> propagate("relu", 3, sigma_w2=2.0).q.round(12).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    member = activation(given)
    if depth < 0:
        raise ConfigError(f"expected depth >= 0, got {depth}")
    sigma_w2 = non_negative("sigma_w2", sigma_w2)
    sigma_b2 = non_negative("sigma_b2", sigma_b2)
    q = [non_negative("q0", q0)]
    for layer in range(depth):
        q.append(sigma_w2 * moments(member, q[-1]).second + sigma_b2)
        if not q[-1] < 1e300:
            raise ConfigError(f"{member.name}: the second moment exceeds 1e300 in layer {layer + 1}; lower {sigma_w2=}")
    found = [moments(member, value) for value in q]
    return LengthMap(
        member.name,
        sigma_w2,
        sigma_b2,
        q=np.array(q),
        chi_1=sigma_w2 * np.array([m.slope for m in found]),
        chi_q=sigma_w2 * np.array([m.growth for m in found]),
    )


def depth_scale(chi: float) -> float:
    """Return -1/ln χ, the number of layers over which a deviation falls by e; inf at χ = 1, negative above."""
    if chi <= 0.0:
        return 0.0
    return math.inf if chi == 1.0 else -1.0 / math.log(chi)
