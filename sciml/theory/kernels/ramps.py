r"""Moments of ramps (x - κ)₊ of a Gaussian pair, in closed form but for Owen's function.

With x, y standard normal of correlation ρ, s² = 1 - ρ² and L = P(x > h, y > k),

.. math::
    E[(x - h)_+ (y - k)_+] = (\rho + hk) L - k\,\phi(h)\,Q\!\left(\tfrac{k - \rho h}{s}\right)
        - h\,\phi(k)\,Q\!\left(\tfrac{h - \rho k}{s}\right)
        + \frac{s}{2\pi} \exp\!\left(-\frac{h^2 - 2\rho hk + k^2}{2 s^2}\right) .

As functions of h, k and ρ they have a cone where h = k and ρ = 1, which no polynomial follows: what an activation with
kinks has of them is therefore added to its table, and not part of it.

References
----------
Rosenbaum (1961), doi:10.1111/j.2517-6161.1961.tb00422.x (moments of a truncated pair); Owen (1956),
doi:10.1214/aoms/1177728074 (L by T).
"""

import math

import numpy as np
import torch
from torch import Tensor

from sciml.theory.kernels.covariance import safe_sqrt

__all__ = ["ramp_moments"]

_NODES, _WEIGHTS = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(32))
LARGE = 1e150


def ramp_moments(h: Tensor, k: Tensor, gap: Tensor, cogap: Tensor) -> tuple[Tensor, Tensor]:
    """Return E[(x - h)₊ (y - k)₊] and P(x > h, y > k) for h, k other than 0 and 1 ∓ ρ; shapes broadcast."""
    rho, s = (cogap - gap) / 2.0, safe_sqrt(gap * cogap)
    one, other = _over(_residual(k, h, gap, cogap), s), _over(_residual(h, k, gap, cogap), s)
    both = (_upper(h) + _upper(k)) / 2.0 - _owen(h, one) - _owen(k, other) - torch.where(h * k > 0, 0.0, 0.5)
    # (h² - 2ρhk + k²) / s² = h² + ((k - ρh) / s)²
    corner = s / (2.0 * math.pi) * torch.exp(-(h.square() + one.square()) / 2.0)
    both = both.clamp(min=0.0)
    product = (rho + h * k) * both - k * _density(h) * _upper(one) - h * _density(k) * _upper(other) + corner
    return product, both


def _residual(k: Tensor, h: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
    """Return k - ρ h without cancellation near ρ = ±1."""
    return torch.where(gap < cogap, (k - h) + gap * h, (k + h) - cogap * h)


def _over(x: Tensor, s: Tensor) -> Tensor:
    """Return x / s, of 0 / 0 the limit 0, within what can be squared."""
    nothing = s <= x.abs() / LARGE
    ratio = x / torch.where(nothing, 1.0, s)
    return torch.where(nothing, LARGE * torch.sign(x), ratio)


def _density(x: Tensor) -> Tensor:
    return torch.exp(-x.square() / 2.0) / math.sqrt(2.0 * math.pi)


def _upper(x: Tensor) -> Tensor:
    found: Tensor = torch.special.erfc(x / math.sqrt(2.0))
    return found / 2.0


def _owen(h: Tensor, reach: Tensor) -> Tensor:
    r"""Return Owen's T(h, a) of a = reach / h: (1/2π) ∫₀ᵃ exp(-h² (1 + x²) / 2) / (1 + x²) dx."""
    h, reach = torch.broadcast_tensors(h, reach)  # type: ignore[no-untyped-call]
    size, far = h.abs(), reach.abs()
    steep = far > size  # T(h, a) = (Q(h) + Q(ah)) / 2 - Q(h) Q(ah) - T(ah, 1/a) for h, a > 0
    low, high = torch.where(steep, size, far), torch.where(steep, far, size)
    a = low / high.clamp(min=1e-300)
    total = torch.zeros_like(a)
    for node, weight in zip(((1.0 + _NODES) / 2.0).tolist(), (_WEIGHTS / 2.0).tolist(), strict=True):
        square = (a * node).square()
        total = total + weight * torch.exp(-high.square() / 2.0 * (1.0 + square)) / (1.0 + square)
    found = a * total / (2.0 * math.pi)
    one, other = _upper(size), _upper(far)
    found = torch.where(steep, (one + other) / 2.0 - one * other - found, found)
    return torch.where((reach < 0) ^ (h < 0), -found, found)
