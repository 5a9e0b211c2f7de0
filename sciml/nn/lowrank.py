"""A denoiser learned beforehand as a layer: fixed numbers that move to the GPU and are saved with the net."""

from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from sciml.errors import ConfigError

__all__ = ["LowRankDenoiser"]


class LinearDenoiser(Protocol):
    """A linear map over channels in factors, as `LowRankDenoiser` takes them."""

    @property
    def mean(self) -> NDArray[Any]: ...
    @property
    def encode(self) -> NDArray[Any]: ...
    @property
    def decode(self) -> NDArray[Any]: ...
    @property
    def weights(self) -> NDArray[np.float64]: ...


class LowRankDenoiser(nn.Module):
    r"""Keep what k components say of each sample, with fixed weights: (batch, channel, time) -> the same shape.

    .. math:: \hat x = m + B \,\mathrm{diag}(w)\, A (x - m)

    Its numbers are buffers: `.to(device)` moves them, a state dict holds them, no optimizer changes them. A missing
    value counts as its channel's mean. Of a fitted denoiser: `LowRankDenoiser.of(denoiser.projector_)`.

    Parameters
    ----------
    mean
        m, (channel,), in units of the data.
    encode, decode
        A, (k, channel), and B, (channel, k).
    weights
        w, (k,).

    Raises
    ------
    ConfigError
        Shapes that do not fit each other, or complex numbers.

    Examples
    --------
    >>> layer = LowRankDenoiser([0.0, 1.0], [[1.0, 0.0]], [[1.0], [0.0]], [0.5])
    >>> layer(torch.tensor([[[2.0], [7.0]]])).tolist()
    [[[1.0], [1.0]]]
    """

    mean: torch.Tensor
    encode: torch.Tensor
    decode: torch.Tensor
    weights: torch.Tensor

    def __init__(
        self,
        mean: ArrayLike,
        encode: ArrayLike,
        decode: ArrayLike,
        weights: ArrayLike,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        given = {"mean": mean, "encode": encode, "decode": decode, "weights": weights}
        tensors = {name: torch.as_tensor(each) for name, each in given.items()}
        if any(each.is_complex() for each in tensors.values()):
            raise ConfigError("expected a denoiser of real data, got one of complex data, which nets here do not take")
        n, k = tensors["mean"].numel(), tensors["weights"].numel()
        expected = {"mean": (n,), "encode": (k, n), "decode": (n, k), "weights": (k,)}
        shapes = {name: tuple(each.shape) for name, each in tensors.items()}
        if shapes != expected:
            raise ConfigError(f"expected shapes {expected}, got {shapes}")
        for name, each in tensors.items():
            self.register_buffer(name, each.to(dtype))

    @classmethod
    def of(cls, denoiser: LinearDenoiser, *, dtype: torch.dtype = torch.float32) -> Self:
        """Return the layer of a map over channels such as `sciml.denoise.LinearDenoiser`."""
        return cls(denoiser.mean, denoiser.encode, denoiser.decode, denoiser.weights, dtype=dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the denoised (batch, channel, time)."""
        mean = self.mean[:, None]
        centered = x - mean
        centered = torch.where(centered.isnan(), 0.0, centered)
        scores = self.weights[:, None] * (self.encode @ centered)
        return self.decode @ scores + mean

    def extra_repr(self) -> str:
        """Say the sizes."""
        return f"n_channels={len(self.mean)}, rank={len(self.weights)}"
