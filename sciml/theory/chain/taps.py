"""What the taps of a convolution or of a pool do to powers along the positions: a mean over them, zeros outside."""

from dataclasses import dataclass

import numpy as np

from sciml._typing import FloatArray
from sciml.errors import ConfigError

__all__ = ["Taps"]


@dataclass(frozen=True)
class Taps:
    r"""The taps of a convolution along each spatial dim.

    A weight of independent taps adds powers, so that the mean square at a position is the mean over the taps of the
    mean squares that they see. A tap on zero padding sees none: borders lose power, and the loss spreads inwards with
    depth.

    .. math:: (A q)_t = \frac1k \sum_{j=0}^{k-1} q_{t s + j d - p}, \qquad q = 0 \text{ outside}

    Parameters
    ----------
    size
        Number k of taps, one for each spatial dim.
    stride, dilation
        s and d, one for each dim; 1 if None.
    padding
        (before, after) for each dim; "same" zeros, (k - 1) d in all, if None.
    circular
        Whether the padding repeats the signal instead of being zero.

    Raises
    ------
    ConfigError
        Settings of different length or below one.

    Examples
    --------
    >>> Taps((3,)).forward(np.ones(4)).round(3).tolist()
    [0.667, 1.0, 1.0, 0.667]
    """

    size: tuple[int, ...]
    stride: tuple[int, ...] | None = None
    dilation: tuple[int, ...] | None = None
    padding: tuple[tuple[int, int], ...] | None = None
    circular: bool = False

    def __post_init__(self) -> None:
        for name in ("stride", "dilation"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, (1,) * len(self.size))
        if self.padding is None:
            spans = [(k - 1) * d for k, d in zip(self.size, self.dilation or (), strict=True)]
            object.__setattr__(self, "padding", tuple((span // 2, span - span // 2) for span in spans))
        settings = (self.size, self.stride or (), self.dilation or ())
        if any(len(each) != len(self.padding or ()) or min(each, default=1) < 1 for each in settings):
            raise ConfigError(f"expected size, stride, dilation >= 1 and padding for each spatial dim, got {self}")

    @property
    def n_taps(self) -> int:
        """Number of taps in all."""
        return int(np.prod(self.size))

    def forward(self, power: FloatArray) -> FloatArray:
        """Return the mean over the taps at each position of the output; dims as in the input."""
        for axis, matrix in enumerate(self._matrices(power.shape)):
            power = np.moveaxis(np.tensordot(matrix, power, axes=(1, axis)), 0, axis)
        return power

    def backward(self, power: FloatArray, positions: tuple[int, ...]) -> FloatArray:
        """Apply the transpose: what each position of the input receives from all that it was a tap of."""
        for axis, matrix in enumerate(self._matrices(positions)):
            power = np.moveaxis(np.tensordot(matrix.T, power, axes=(1, axis)), 0, axis)
        return power

    def _matrices(self, positions: tuple[int, ...]) -> list[FloatArray]:
        if len(positions) != len(self.size):
            raise ConfigError(f"expected {len(self.size)} spatial dims for taps {self.size}, got positions {positions}")
        settings = zip(positions, self.size, self.stride or (), self.dilation or (), self.padding or (), strict=True)
        return [_matrix(n, k, s, d, pad, self.circular) for n, k, s, d, pad in settings]


def _matrix(n: int, size: int, stride: int, dilation: int, padding: tuple[int, int], circular: bool) -> FloatArray:
    length = (n + sum(padding) - dilation * (size - 1) - 1) // stride + 1
    if length < 1:
        raise ConfigError(f"expected at least one position after {size} taps, got {n} with padding {padding}")
    source = np.arange(length)[:, None] * stride + np.arange(size) * dilation - padding[0]
    inside = np.ones_like(source, dtype=bool) if circular else (source >= 0) & (source < n)
    matrix = np.zeros((length, n))
    np.add.at(matrix, (np.nonzero(inside)[0], source[inside] % n), 1.0 / size)
    return matrix
