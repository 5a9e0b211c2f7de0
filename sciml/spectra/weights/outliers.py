r"""How strong the direction behind an outlier is, with an interval, and how well its singular vectors show it.

A direction :math:`\theta u v^T` on n x p noise of standard deviation σ has the singular value
:math:`s(\theta) = \sqrt{(\theta^2 + n\sigma^2)(\theta^2 + p\sigma^2)} / \theta`, above its own strength. With
:math:`q = n p \sigma^4 / \theta^4 < 1` that value is Gaussian in the limit of large matrices, with

.. math:: \mathrm{sd}(s) = s'(\theta)\,\sigma \sqrt{\frac{1 + (n + p) \sigma^2 / 2 \theta^2}{1 - q}}, \qquad
          s'(\theta) = \frac{\theta (1 - q)}{s}

the scatter of three independent parts of the noise: its entry along u and v, and the norms of its row along u and its
column along v (derived here from the resolvents of the noise that is left, and checked by simulation).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.stats

from sciml._typing import FloatArray
from sciml.rmt import shrink
from sciml.spectra.weights.stages import Conversion, Unscaled

__all__ = ["Outliers", "outliers"]

LEVEL = 0.95
TWO_SIDED = 1.959964  # standard deviations
FLOOR = 0.1  # of an alignment or a norm, below which it is not told from noise
REACH, POINTS = 8.0, 400  # strengths at which the probability is computed: so many standard deviations to each side


@dataclass(frozen=True)
class Outliers:
    """The directions found in a layer, strongest first; arrays (k,).

    Attributes
    ----------
    values
        Singular values of the tested matrix.
    strengths, low, high
        Singular value of the direction itself in the weights, noise taken out, and its 95 % interval; `low` is 0 where
        nothing bounds it from below.
    left_alignment, right_alignment
        Squared cosine, expected in the limit of large matrices, of the singular vector and the true direction among
        outputs (left) and inputs (right).
    """

    values: FloatArray
    strengths: FloatArray
    low: FloatArray
    high: FloatArray
    left_alignment: FloatArray
    right_alignment: FloatArray

    def __len__(self) -> int:
        return len(self.values)

    def to_dict(self) -> dict[str, Any]:
        """Return the arrays as lists."""
        return {name: array.tolist() for name, array in vars(self).items()}

    def __repr__(self) -> str:
        return f"Outliers({len(self)}: {', '.join(f'{each:.3g}' for each in self.strengths[:3])}...)"


def outliers(
    values: FloatArray, shape: tuple[int, int], sigma: float, edge: float, conversion: Conversion | None = None
) -> Outliers:
    """Return strength, interval and alignment of the outliers `values` of an (n_out, n_in) matrix.

    Intervals are conditional on being above `edge`, which a weak direction only is when noise helped: each end is the
    strength of which a value this large, or this small, has probability 2.5 % among those above the edge.
    """
    k = len(values)
    n_out, n_in = (side - max(k - 1, 0) for side in shape)
    short, long = sorted((n_out, n_in))
    y = values / (sigma * np.sqrt(long))
    x = shrink.operator(y, short / long)
    bounds = [
        _interval(value, strength, (n_out, n_in), edge / sigma)
        for value, strength in zip(values / sigma, np.atleast_1d(x) * np.sqrt(long), strict=True)
    ]
    low, high = (np.array([each[i] for each in bounds]) * sigma for i in (0, 1))
    found = shrink.overlaps(x, short / long)
    left, right = (found.short, found.long) if n_out <= n_in else (found.long, found.short)
    left, right = np.atleast_1d(left), np.atleast_1d(right)
    strengths = np.asarray(x * sigma * np.sqrt(long), dtype=np.float64)
    tested = Outliers(values, strengths, low, high, left, right)
    return tested if conversion is None else _in_the_weights(tested, conversion)


def _in_the_weights(tested: Outliers, conversion: Conversion) -> Outliers:
    """Return the outliers of an equalized matrix with the scaling undone, and the intervals wider for it.

    The strength in the weights is that of the equalized matrix times the norms of u and v with the scaling undone.
    """
    left = _squared_norm(conversion.left, tested.left_alignment)
    right = _squared_norm(conversion.right, tested.right_alignment)
    strengths = tested.strengths * np.sqrt(left[1] * right[1])
    ends = []
    for own, side in ((tested.low, 0), (tested.high, 2)):
        with np.errstate(divide="ignore"):
            parts = [np.log(own / tested.strengths), *(np.log(each[side] / each[1]) / 2 for each in (left, right))]
        ends.append(np.exp((side - 1) * np.sqrt(np.sum(np.square(parts), axis=0))) * strengths)
    return replace(tested, strengths=strengths, low=ends[0], high=ends[1])


def _squared_norm(side: Unscaled, c2: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the squared norm of the true vector, the scaling d undone, between its bounds.

    The vector that is known is c u + s g, with s² = 1 - c² and noise g without direction. So its norm is
    c² X + s² <d^-2>, plus noise of variance (4 c² s² (Σ d^-4 u² - X²) + 2 s⁴ (<d^-4> - <d^-2>²)) / n.
    """
    k = len(c2)
    s2, known = 1 - c2, side.second[:k]
    size = np.maximum(known - s2 * side.mean_second, FLOOR * known) / np.maximum(c2, FLOOR)
    fourth = np.maximum(side.fourth[:k] - s2 * side.mean_fourth, FLOOR * side.fourth[:k]) / np.maximum(c2, FLOOR)
    cross = 4 * c2 * s2 * np.maximum(fourth - size**2, 0.0)
    noise = 2 * s2**2 * max(side.mean_fourth - side.mean_second**2, 0.0)
    reach = TWO_SIDED * np.sqrt((cross + noise) / side.n) / np.maximum(c2, FLOOR)
    return np.maximum(size - reach, 0.0), size, size + reach


def _interval(value: float, strength: float, sides: tuple[int, int], edge: float) -> tuple[float, float]:
    """Return the bounds of a strength, in units of sigma."""
    n, p = sides
    threshold = (n * p) ** 0.25
    mean, sd = _moments(np.array([max(strength, 1.02 * threshold)]), n, p)
    slope = (1 - n * p / max(strength, 1.02 * threshold) ** 4) * max(strength, threshold) / mean[0]
    reach = REACH * float(sd[0] / slope)
    theta = np.linspace(max(strength - reach, threshold * (1 + 1e-6)), max(strength, threshold) + reach, POINTS)
    mean, sd = _moments(theta, n, p)
    above = scipy.stats.norm.sf((value - mean) / sd)
    among = above / scipy.stats.norm.sf((min(edge, value) - mean) / sd).clip(min=1e-300)
    low, high = np.interp([(1 - LEVEL) / 2, (1 + LEVEL) / 2], np.maximum.accumulate(among), theta)
    return (float(low) if among[0] < (1 - LEVEL) / 2 else 0.0), float(high)


def _moments(theta: FloatArray, n: int, p: int) -> tuple[FloatArray, FloatArray]:
    square = theta**2
    mean, q = np.sqrt((square + n) * (square + p)) / theta, n * p / square**2
    return mean, theta / mean * np.sqrt((1 - q) * (1 + (n + p) / (2 * square)))
