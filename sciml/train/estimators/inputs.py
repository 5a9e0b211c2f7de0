"""What an estimator makes of its input: windows (sample, channel, time), standardized, with a mask of what is there."""

import inspect
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml._typing import AnyArray

__all__ = ["Masked", "Scaling", "as_windows", "has_gaps"]


def as_windows(X: AnyArray) -> AnyArray:
    """Return input (sample, channel, time); (sample, time) is one channel.

    Examples
    --------
    >>> as_windows(np.zeros((3, 5))).shape
    (3, 1, 5)
    """
    return X[:, None] if X.ndim == 2 else X


@dataclass(frozen=True, eq=False)
class Scaling:
    """Mean and standard deviation of each channel over what training has of it, shape (channel, 1)."""

    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, X: AnyArray) -> "Scaling":
        """Learn from windows (sample, channel, time), NaN where a value is missing.

        Examples
        --------
        >>> Scaling.fit(np.array([[[1.0, 3.0, np.nan]]])).center.item()
        2.0
        """
        present = ~np.isnan(X)
        count = np.maximum(present.sum(axis=(0, 2)), 1)[:, None]
        center = np.where(present, X, 0.0).sum(axis=(0, 2))[:, None] / count
        variance = np.where(present, np.square(X - center), 0.0).sum(axis=(0, 2))[:, None] / count
        scale = np.sqrt(variance)
        return cls(center, np.where(scale > 1e-12 * np.abs(center), scale, 1.0))

    def apply(self, X: AnyArray) -> NDArray[np.float64]:
        """Return windows in units of the standard deviation; NaN stays."""
        return np.asarray((X - self.center) / self.scale, dtype=np.float64)


class Masked(nn.Module):
    """A net that is given windows with NaN: zero for them, a mask as further channels, what is padding as `valid`.

    Padding is what lies behind the last value of a window in any channel.

    Parameters
    ----------
    net
        Of twice as many channels if `gives_mask`. One whose `forward` has an argument `valid` (batch, time) is told
        what is no padding.
    gives_mask
        Let the mask of what is there follow the values as further channels.

    Examples
    --------
    >>> Masked(nn.Identity(), gives_mask=True)(torch.tensor([[[1.0, torch.nan, 2.0]]])).tolist()
    [[[1.0, 0.0, 2.0], [1.0, 0.0, 1.0]]]
    """

    def __init__(self, net: nn.Module, *, gives_mask: bool) -> None:
        super().__init__()
        self.net = net
        self.gives_mask = gives_mask
        self.takes_padding = "valid" in inspect.signature(net.forward).parameters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, time) to what the net says of it."""
        there = ~x.isnan()
        present = there.any(dim=1)
        z = torch.where(there, x, torch.zeros_like(x))
        z = torch.cat([z, there.to(z.dtype)], dim=1) if self.gives_mask else z
        found: torch.Tensor
        if self.takes_padding and not bool(present[:, -1].all()):
            found = self.net(z, present.flip(1).cumsum(dim=1).flip(1) > 0)
        else:
            found = self.net(z)
        return found


def has_gaps(X: AnyArray) -> bool:
    """Return whether a value is missing that is no padding."""
    missing = np.isnan(X)
    if not missing.any():
        return False
    empty = missing.all(axis=1)
    padding = np.flip(np.cumprod(np.flip(empty, axis=1), axis=1), axis=1).astype(bool)
    return bool((missing & ~padding[:, None]).any())
