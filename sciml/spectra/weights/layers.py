"""The singular values of each layer, and which of them noise does not explain."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import nn

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.spectra.weights.noise import no_noise, weight_noise
from sciml.spectra.weights.read import Weight, from_modules, from_state

__all__ = ["LayerSpectrum", "weight_spectra"]


@dataclass(frozen=True, repr=False)
class LayerSpectrum:
    """Singular values of one layer, and which of them noise does not explain.

    Attributes
    ----------
    name, kind, shape
        Dotted module name, its type, and the shape of its weight.
    matrix_shape
        Shape of the matrix analyzed: (n_out, n_in) of a linear layer, (c_out, c_in / groups · taps) of a convolution,
        the reshaped weight. Independent entries follow the Marchenko-Pastur law in that matrix; the singular values of
        the convolution as an operator are others (see `operator_norm` and `sciml.spectra.convolution`).
    singular_values
        (min(matrix_shape),) descending, float64.
    sigma, sigma_se
        Standard deviation of the noise entries, and its standard error.
    edge
        Singular value that the largest of a pure noise matrix exceeds with probability `alpha`.
    mp_edge
        σ (√n + √p), the end of the bulk in the limit of large matrices, without fluctuation.
    rank
        Number of outliers: leading singular values whose p-value is below `alpha`.
    p_values
        As long as `singular_values`, never decreasing: the k-th tests that value against the noise matrix that is left
        when k - 1 outliers are taken out.
    bulk_distance
        Largest difference (Kolmogorov-Smirnov) between the singular values below the outliers and the
        Marchenko-Pastur law; 1 where there is no noise bulk.
    operator_norm
        Norm of the layer as a linear map, where it is known exactly: linear layers, and convolutions with circular
        padding of stride 1 when the `grid` is given; otherwise None.
    operator_bound
        Upper bound of that norm, also for zero padding and strides; None where padding reflects or replicates, or is
        unknown.
    alpha
        Level of the test.
    warnings
        Why the numbers should be read with care; empty if nothing stands against them.
    note
        The matrix in words.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    matrix_shape: tuple[int, int]
    singular_values: FloatArray
    sigma: float
    sigma_se: float
    edge: float
    mp_edge: float
    rank: int
    p_values: FloatArray
    bulk_distance: float
    operator_norm: float | None
    operator_bound: float | None
    alpha: float
    warnings: tuple[str, ...] = ()
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        arrays = {"singular_values": self.singular_values.tolist(), "p_values": self.p_values.tolist()}
        return {**{each.name: getattr(self, each.name) for each in fields(self)}, **arrays}

    def summary(self) -> str:
        """Return shape, edge and outliers in one line."""
        rows, columns = self.matrix_shape
        return f"{self.name}: {rows} x {columns}, {self.rank} outliers above {self.edge:.4g}"

    def __repr__(self) -> str:
        return f"LayerSpectrum({self.summary()})"


def weight_spectra(
    model: nn.Module | Mapping[str, torch.Tensor], *, alpha: float = 0.05, grid: int | Sequence[int] | None = None
) -> list[LayerSpectrum]:
    """Test the singular values of each weight layer against the noise edge of its own size.

    Parameters
    ----------
    model
        A net, whose `Linear` and `Conv1d/2d/3d` layers are read, or a state dict, whose entries named `weight` with two
        to five dims are. The net is left as it is.
    alpha
        Probability of a false outlier in a layer of pure noise.
    grid
        Size of the signal that the convolutions see (time samples), for the exact `operator_norm` of circular ones.

    Returns
    -------
    list of LayerSpectrum
        In the order of the modules.

    Raises
    ------
    ConfigError
        `alpha` not between 0 and 1, or a net or mapping without weight layers.
    DataError
        Weights that are not finite, not real, or without storage (device "meta").

    References
    ----------
    See the module. Estimate of σ: Gavish, Donoho (2014), doi:10.1109/TIT.2014.2323359.

    Examples
    --------
    >>> layer = nn.Linear(200, 80)
    >>> weight = torch.randn(80, 200, generator=torch.Generator().manual_seed(0))
    >>> weight += 4.0 * torch.outer(torch.full((80,), 80**-0.5), torch.full((200,), 1.0))
    >>> [spectrum] = weight_spectra({"head.weight": weight})
    >>> spectrum.name, spectrum.rank, bool(spectrum.p_values[0] < 1e-6 < spectrum.p_values[1])
    ('head', 1, True)
    """
    if not 0.0 < alpha < 1.0:
        raise ConfigError(f"expected 0 < alpha < 1, got {alpha}")
    weights = from_state(model) if isinstance(model, Mapping) else from_modules(model, grid)
    spectra = [_spectrum(weight, alpha) for weight in weights]
    if not spectra:
        raise ConfigError(
            f"expected a net with Linear or ConvNd layers, or a state dict with entries named 'weight'; got a "
            f"{type(model).__name__} without any"
        )
    return spectra


def _spectrum(weight: Weight, alpha: float) -> LayerSpectrum:
    matrix = weight.tensor.to("cpu", torch.float64).flatten(1)
    values = np.asarray(torch.linalg.svdvals(matrix).numpy(), dtype=np.float64)
    short, long = sorted(matrix.shape)
    largest = float(values[0])
    noise = weight_noise(values / largest, short, long, alpha) if largest > 0.0 else no_noise(short)
    return LayerSpectrum(
        name=weight.name,
        kind=weight.kind,
        shape=tuple(weight.tensor.shape),
        matrix_shape=(matrix.shape[0], matrix.shape[1]),
        singular_values=values,
        sigma=noise.sigma * largest,
        sigma_se=noise.sigma_se * largest,
        edge=noise.edge * largest,
        mp_edge=noise.sigma * largest * (math.sqrt(long) + math.sqrt(short)),
        rank=int(np.count_nonzero(noise.p_values < alpha)),
        p_values=noise.p_values,
        bulk_distance=noise.bulk_distance,
        operator_norm=largest if matrix.ndim == weight.tensor.ndim else weight.operator_norm,
        operator_bound=largest if matrix.ndim == weight.tensor.ndim else weight.operator_bound,
        alpha=alpha,
        warnings=(*noise.warnings, *_rounding_warning(weight.tensor, noise.sigma * largest)),
        note=weight.note,
    )


def _rounding_warning(tensor: torch.Tensor, level: float) -> Iterator[str]:
    rms = float(tensor.double().square().mean().sqrt())
    if 0.0 < level < torch.finfo(tensor.dtype).eps * rms:
        yield f"the noise is at the rounding error of {tensor.dtype}: the weights are of low rank but for rounding"
