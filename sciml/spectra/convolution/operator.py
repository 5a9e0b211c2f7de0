"""A convolutional layer as a linear operator on signals of one size, applied to vectors and never written out."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg
from torch import nn

from sciml.errors import ConfigError, NumericalError
from sciml.nn.structure import CONVOLUTIONS, TRANSPOSED
from sciml.spectra.convolution.circular import Sizes, per_dim

__all__ = ["LayerOperator"]

_MOST_STEPS = 1000


class LayerOperator:
    """A (transposed) convolution without its bias, with any padding, for signals of one size.

    Parameters
    ----------
    layer
        A layer of torch, which tells stride, padding, dilation and groups; it is left as it is.
    grid
        Size of the input signal along each dim of the kernel.
    weight
        In the place of the weight of the layer, of the same shape.

    Attributes
    ----------
    shape
        (n_out, n_in): the numbers of an output and of an input, channels times positions.

    Raises
    ------
    ConfigError
        Another layer, or a grid that does not fit it.

    Examples
    --------
    >>> layer = nn.Conv1d(1, 1, 2, padding=1)
    >>> operator = LayerOperator(layer, 5, weight=torch.tensor([[[1.0, -1.0]]]))
    >>> operator.shape
    (6, 5)
    >>> round(operator.norm(), 6)  # 2 cos(π / 12)
    1.931852
    """

    def __init__(self, layer: nn.Module, grid: Sizes, *, weight: torch.Tensor | None = None) -> None:
        if not isinstance(layer, CONVOLUTIONS + TRANSPOSED):
            raise ConfigError(f"expected a convolutional layer, got {type(layer).__name__}")
        found = (layer.weight if weight is None else weight).detach()
        self.weight = found.to("cpu", torch.float64)
        self.layer = _bare(layer)
        self.inputs = (layer.in_channels, *per_dim("grid", grid, self.weight))
        zero = torch.zeros(1, *self.inputs, dtype=torch.float64)
        try:
            with warnings.catch_warnings(category=UserWarning, action="ignore"):  # what padding "same" may copy
                output, self._pull = torch.func.vjp(self._apply, zero)[:2]
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"expected a grid that fits {layer}, got {self.inputs[1:]}: {error}") from None
        self.outputs = tuple(output.shape[1:])
        self.shape = (output.numel(), zero.numel())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the layer makes of signals (batch, channels, *grid), float64."""
        with torch.no_grad():
            return self._apply(x)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return the transposed map of one output (1, channels, *positions), float64."""
        (x,) = self._pull(y)
        return torch.as_tensor(x).detach()

    def dense(self) -> NDArray[np.float64]:
        """Return the matrix (n_out, n_in), by its columns."""
        units = torch.eye(self.shape[1], dtype=torch.float64).reshape(-1, *self.inputs)
        return np.asarray(self.forward(units).flatten(1).mT.numpy())

    def norm(self, *, tolerance: float = 1e-6) -> float:
        """Return the largest singular value by Lanczos iteration.

        Parameters
        ----------
        tolerance
            Relative residual of the eigenvalue of the Gram operator at which the iteration stops: the value is within
            half of that. It is far closer where the next singular value is apart.

        Raises
        ------
        NumericalError
            The residual is still larger after 1000 products: of a long signal many values are nearly the largest.

        References
        ----------
        Golub, Van Loan (2013), Matrix Computations, section 10.1. Without orthogonalization copies of the largest value
        appear, which do not move it.
        """
        generator = torch.Generator().manual_seed(0)
        start = torch.randn(1, *self.inputs, generator=generator, dtype=torch.float64)
        return float(np.sqrt(_largest(lambda x: self.adjoint(self.forward(x)), start, tolerance)))

    def _apply(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.func.functional_call(self.layer, {"weight": self.weight}, (x,))
        return found


def _largest(product: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, tolerance: float) -> float:
    """Return the largest eigenvalue of a positive semidefinite operator."""
    v, before, beta = start / torch.linalg.vector_norm(start), torch.zeros_like(start), 0.0
    alphas: list[float] = []
    betas: list[float] = []
    for step in range(_MOST_STEPS):
        w = product(v) - beta * before
        alphas.append(float(torch.sum(w * v)))
        w = w - alphas[-1] * v
        beta = float(torch.linalg.vector_norm(w))
        if step % 8 == 7 or beta <= 1e-14 * max(alphas):
            top, last = _top(alphas, betas)
            if beta * last <= tolerance * top or beta <= 1e-14 * max(alphas):
                return max(top, 0.0)
        betas.append(beta)
        before, v = v, w / beta
    raise NumericalError(
        f"the norm of the layer is not found to {tolerance:g} in {_MOST_STEPS} products; raise tolerance"
    )


def _top(alphas: Sequence[float], betas: Sequence[float]) -> tuple[float, float]:
    """Return the largest eigenvalue of a tridiagonal matrix, and the last entry of its vector."""
    k = len(alphas)
    values, vectors = linalg.eigh_tridiagonal(alphas, betas[: k - 1], select="i", select_range=(k - 1, k - 1))
    return float(values[0]), abs(float(vectors[-1, 0]))


def _bare(layer: Any) -> nn.Module:
    """Return a layer of the same geometry, without weights, bias, hooks or parametrization."""
    kind = next(each for each in CONVOLUTIONS + TRANSPOSED if isinstance(layer, each))
    options = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": layer.groups}
    if isinstance(layer, TRANSPOSED):
        options["output_padding"] = layer.output_padding
    return kind(
        layer.in_channels, layer.out_channels, layer.kernel_size, **options,
        bias=False, padding_mode=layer.padding_mode, device="meta",
    )  # fmt: skip
