r"""Closed forms of Gaussian moments.

For u, v of mean 0, variances a, b and covariance c, ρ = c / √(ab):

======== ==================================================== ==================================================
φ        E[φ(u) φ(v)]                                         E[φ'(u) φ'(v)]
======== ==================================================== ==================================================
leaky    ((1+s)/2)² c + ((1-s)/2)² (2√(ab)/π) (√(1-ρ²) + ρ    ((1+s)/2)² + ((1-s)/2)² (2/π) arcsin ρ
         arcsin ρ)
erf      (2/π) arctan(2c / R), R² = (1+2a)(1+2b) - 4c²        4 / (π R)
GELU     c/4 + ((c² + abD²)/(PD) + cψ) / 2π                   1/4 + ψ/2π + c/(2πD) (1/D² + (1-ab)/P + 1)
sin      e^{-(a+b)/2} sinh c                                  e^{-(a+b)/2} cosh c
======== ==================================================== ==================================================

with P = (1+a)(1+b), D² = P - c², ψ = arctan(c/D).

References
----------
Cho and Saul (2009), arc-cosine kernels; Williams (1997), the kernel of erf, doi:10.1162/089976698300017412; Tsuchida,
Pearce, van der Heide, Roosta, Gallagher (2020), arXiv:2002.08517, the kernel of GELU.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sciml._typing import FloatArray

__all__ = ["ERF", "GELU", "SINE", "ClosedForm", "piecewise_linear"]


@dataclass(frozen=True)
class ClosedForm:
    """Moments without quadrature.

    Attributes
    ----------
    single
        q -> (E[φ²], E[φ'²], dE[φ²]/dq) at z ~ N(0, q), q > 0.
    pair
        (a, b, c) -> (E[φ(u) φ(v)], E[φ'(u) φ'(v)]), arrays of one shape.
    """

    single: Callable[[float], tuple[float, float, float]]
    pair: Callable[[FloatArray, FloatArray, FloatArray], tuple[FloatArray, FloatArray]]


def piecewise_linear(slope: float) -> ClosedForm:
    """Return the moments of max(x, 0) + slope min(x, 0)."""
    gain = (1.0 + slope**2) / 2.0
    even, odd = ((1.0 - slope) / 2.0) ** 2, ((1.0 + slope) / 2.0) ** 2

    def pair(a: FloatArray, b: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray]:
        scale = np.sqrt(a) * np.sqrt(b)
        rho = np.clip(c / np.where(scale > 0, scale, 1.0), -1.0, 1.0)
        angle = np.arcsin(rho)
        size = 2.0 / math.pi * scale * (np.sqrt((1.0 - rho) * (1.0 + rho)) + rho * angle)
        return odd * c + even * size, odd + even * 2.0 / math.pi * angle

    return ClosedForm(lambda q: (gain * q, gain, gain), pair)


def _erf_single(q: float) -> tuple[float, float, float]:
    root = math.sqrt(1.0 + 4.0 * q)
    slope = 4.0 / (math.pi * root)
    return 2.0 / math.pi * math.asin(2.0 * q / (1.0 + 2.0 * q)), slope, slope / (1.0 + 2.0 * q)


def _erf_pair(a: FloatArray, b: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray]:
    # (1 + 2a)(1 + 2b) - 4c², written such that equal arguments do not cancel.
    root = np.sqrt(1.0 + 2.0 * (a + b) + 4.0 * np.maximum(a * b - c * c, 0.0))
    return 2.0 / math.pi * np.arctan2(2.0 * c, root), 4.0 / (math.pi * root)


def _gelu_single(q: float) -> tuple[float, float, float]:
    root = math.sqrt(1.0 + 2.0 * q)
    angle = math.atan(q / root)
    second = q * (0.25 + (q / ((q + 1.0) * root) + 0.5 * angle) / math.pi)
    rational = q * (2.0 * (q + 1.0) * (1.0 + 2.0 * q) - q * (2.0 + 3.0 * q)) / ((q + 1.0) ** 2 * root**3)
    growth = 0.25 + (rational + 0.5 * angle + 0.5 * q / ((1.0 + q) * root)) / math.pi
    slope = 0.25 + angle / (2.0 * math.pi) + q / (2.0 * math.pi * root) * (1.0 / root**2 + (1.0 - q) / (1.0 + q) + 1.0)
    return second, slope, growth


def _gelu_pair(a: FloatArray, b: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray]:
    product, part = (1.0 + a) * (1.0 + b), a / (1.0 + a) * (b / (1.0 + b))
    d2 = 1.0 + a + b + np.maximum(a * b - c * c, 0.0)
    d, angle = np.sqrt(d2), np.arctan2(c, np.sqrt(d2))
    value = c / 4.0 + (c * (c / product) / d + part * d + c * angle) / (2.0 * math.pi)
    slope = 0.25 + angle / (2.0 * math.pi) + c / (2.0 * math.pi * d) * (1.0 / d2 + 1.0 / product - part + 1.0)
    return value, slope


def _sine_single(q: float) -> tuple[float, float, float]:
    decay = math.exp(-2.0 * q)
    return -math.expm1(-2.0 * q) / 2.0, (1.0 + decay) / 2.0, decay


def _sine_pair(a: FloatArray, b: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray]:
    same, opposite = np.exp(c - (a + b) / 2.0), np.exp(-c - (a + b) / 2.0)
    return (same - opposite) / 2.0, (same + opposite) / 2.0


ERF = ClosedForm(_erf_single, _erf_pair)
GELU = ClosedForm(_gelu_single, _gelu_pair)
SINE = ClosedForm(_sine_single, _sine_pair)
