r"""What the weight matrices of a net have learned: their singular values against the edge of noise of their own size.

Weights that still look drawn at random, independent with variance σ², have singular values that fill the
Marchenko-Pastur bulk and end, within a Tracy-Widom fluctuation, at

.. math:: \sigma (\sqrt{n} + \sqrt{p}), \qquad n \times p \text{ the shape of the matrix}.

Directions that training built up stand above it. σ is estimated from the bulk itself (median, edge, refit), so that it
needs no record of how the layer started.

References
----------
Marchenko, Pastur (1967), doi:10.1070/SM1967v001n04ABEH001994; Johnstone (2001), doi:10.1214/aos/1009210544; sequential
test: Kritchman, Nadler (2009), doi:10.1109/TSP.2009.2022897.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml.errors import ConfigError, DataError
from sciml.nn.layers import CONVOLUTIONS, weight_layers
from sciml.rmt import edges, laws, rank
from sciml.spectra import convolution

__all__ = ["LayerSpectrum", "weight_spectra"]

Array = NDArray[np.float64]
Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d

_KINDS = {2: "Linear", 3: "Conv1d", 4: "Conv2d", 5: "Conv3d"}
_FEW = 10  # below so many singular values the asymptotic laws are rough


@dataclass(frozen=True)
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
    textbook_edge
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
    singular_values: Array
    sigma: float
    sigma_se: float
    edge: float
    textbook_edge: float
    rank: int
    p_values: Array
    bulk_distance: float
    operator_norm: float | None
    operator_bound: float | None
    alpha: float
    warnings: tuple[str, ...] = ()
    note: str = ""


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
    weights = _from_state(model) if isinstance(model, Mapping) else _from_modules(model, grid)
    spectra = [_spectrum(weight, alpha) for weight in weights]
    if not spectra:
        raise ConfigError(
            f"expected a net with Linear or ConvNd layers, or a state dict with entries named 'weight'; got a "
            f"{type(model).__name__} without any"
        )
    return spectra


@dataclass(frozen=True)
class _Weight:
    name: str
    kind: str
    tensor: torch.Tensor
    operator_norm: float | None = None
    operator_bound: float | None = None
    note: str = ""


@dataclass(frozen=True)
class _Noise:
    """What the singular values, relative to the largest, say about noise."""

    sigma: float
    sigma_se: float
    edge: float
    p_values: Array
    bulk_distance: float
    warnings: tuple[str, ...]


def _from_state(state: Mapping[str, torch.Tensor]) -> Iterator[_Weight]:
    for key, tensor in state.items():
        prefix, _, last = key.rpartition(".")
        if last == "weight" and getattr(tensor, "ndim", None) in _KINDS:
            name = prefix or key
            _check(name, tensor)
            # The type of the layer is read off the number of dims; a state dict does not tell it.
            yield _Weight(name, _KINDS[tensor.ndim], tensor.detach(), note=_note(tensor))


def _from_modules(model: nn.Module, grid: int | Sequence[int] | None) -> Iterator[_Weight]:
    for layer in weight_layers(model):
        _check(layer.name, layer.weight)
        module, tensor = layer.module, layer.weight.detach()
        norm, bound = _convolution_norms(module, grid) if isinstance(module, CONVOLUTIONS) else (None, None)
        yield _Weight(layer.name, layer.kind, tensor, norm, bound, note=_note(tensor))


def _check(name: str, tensor: torch.Tensor) -> None:
    if nn.parameter.is_lazy(tensor) or tensor.is_meta:
        raise DataError(f"layer {name!r}: expected weights with values, got a lazy or meta tensor; load them")
    if not tensor.is_floating_point():
        raise DataError(f"layer {name!r}: expected real floating-point weights, got {tensor.dtype}; convert them first")
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise DataError(f"layer {name!r}: expected finite weights, got {bad} of {tensor.numel()} that are not")
    if tensor.numel() == 0:
        raise DataError(f"layer {name!r}: expected weights, got the empty shape {tuple(tensor.shape)}")


def _note(tensor: torch.Tensor) -> str:
    if tensor.ndim == 2:
        return "the weight matrix (n_out, n_in)"
    return "the weight reshaped to (c_out, c_in / groups · taps); its values are not those of the convolution operator"


def _convolution_norms(module: Convolution, grid: int | Sequence[int] | None) -> tuple[float | None, float | None]:
    """Return the exact norm and an upper bound of it, None for what is not known."""
    if module.padding_mode not in ("zeros", "circular"):
        return None, None  # reflected or replicated samples add to the norm
    bound = convolution.norm_bound(module.weight, groups=module.groups)
    if grid is None or not _is_circulant(module):
        return None, bound
    norm = convolution.operator_norm(module.weight, grid, groups=module.groups, dilation=module.dilation)
    return norm, max(bound, norm)


def _is_circulant(module: Convolution) -> bool:
    if module.padding_mode != "circular" or any(step != 1 for step in module.stride):
        return False
    spans = [step * (taps - 1) for step, taps in zip(module.dilation, module.kernel_size, strict=True)]
    return module.padding == "same" or [2 * pad for pad in module.padding] == spans


def _spectrum(weight: _Weight, alpha: float) -> LayerSpectrum:
    matrix = weight.tensor.to("cpu", torch.float64).flatten(1)
    values = np.asarray(torch.linalg.svdvals(matrix).numpy(), dtype=np.float64)
    short, long = sorted(matrix.shape)
    largest = float(values[0])
    noise = _noise(values / largest, short, long, alpha) if largest > 0.0 else _zero(short)
    return LayerSpectrum(
        name=weight.name,
        kind=weight.kind,
        shape=tuple(weight.tensor.shape),
        matrix_shape=(matrix.shape[0], matrix.shape[1]),
        singular_values=values,
        sigma=noise.sigma * largest,
        sigma_se=noise.sigma_se * largest,
        edge=noise.edge * largest,
        textbook_edge=noise.sigma * largest * (math.sqrt(long) + math.sqrt(short)),
        rank=int(np.count_nonzero(noise.p_values < alpha)),
        p_values=noise.p_values,
        bulk_distance=noise.bulk_distance,
        operator_norm=largest if matrix.ndim == weight.tensor.ndim else weight.operator_norm,
        operator_bound=largest if matrix.ndim == weight.tensor.ndim else weight.operator_bound,
        alpha=alpha,
        warnings=(*noise.warnings, *_rounding_warning(weight.tensor, noise.sigma * largest)),
        note=weight.note,
    )


def _noise(values: Array, short: int, long: int, alpha: float) -> _Noise:
    """Find the noise in descending singular values of which the largest is 1."""
    law = edges.white(short, long)
    nonzero = values[values > np.finfo(np.float64).eps * long]
    if nonzero.size > 1 and nonzero[-1] > 0.999 * nonzero[0]:
        return _untestable(values, long, law.threshold(alpha), "all singular values are equal, as drawn orthogonal")
    if nonzero.size <= short // 2:
        text = f"the weights are exactly of rank {nonzero.size}: there is no noise to test against"
        return _Noise(0.0, 0.0, 0.0, (np.arange(short) >= nonzero.size).astype(np.float64), 1.0, (text,))
    if short == 1:
        return _untestable(values, long, law.threshold(alpha), "a single row or column")
    test = rank.white_test(values**2 / long, n_features=short, n_samples=long, alpha=alpha)
    found = test.rank if test.converged else 0
    distance = _distance(values[found:] / test.sigma, short - found, long - found)
    return _Noise(
        sigma=test.sigma,
        sigma_se=test.standard_error,
        edge=test.sigma * math.sqrt(long * law.threshold(alpha)),
        p_values=test.p_values,
        bulk_distance=distance,
        warnings=tuple(_bulk_warnings(short, distance, converged=test.converged)),
    )


def _untestable(values: Array, long: int, threshold: float, reason: str) -> _Noise:
    """Call everything noise, of the variance that the weights have."""
    level = math.sqrt(float(np.mean(values**2)) / long)
    return _Noise(
        sigma=level,
        sigma_se=level / math.sqrt(2 * long * values.size),
        edge=level * math.sqrt(long * threshold),
        p_values=np.ones(values.size),
        bulk_distance=1.0,
        warnings=(f"{reason}: there is no bulk that would tell noise from signal",),
    )


def _distance(values: Array, short: int, long: int) -> float:
    """Return the Kolmogorov-Smirnov distance of singular values of unit noise from the Marchenko-Pastur law."""
    cdf = laws.MarchenkoPastur(short / long).cdf(np.sort(values**2) / long)
    steps = np.arange(short + 1) / short
    return float(max(np.max(steps[1:] - cdf), np.max(cdf - steps[:-1])))


def _bulk_warnings(short: int, distance: float, *, converged: bool) -> Iterator[str]:
    if short < _FEW:
        yield f"only {short} singular values: the test rests on laws of large matrices"
    if not converged:
        yield "more than half of the singular values stand out: σ is the rms of all weights, an upper bound"
    # Eigenvalues repel each other, so the distance of pure noise shrinks as ln(p) / p: 99.9 % of 200 to 2000 draws each
    # at p = 3, 5, 10, 20, 80, 128 lie below this. Below 0.02 a misfit would not matter.
    if distance > max(0.02, (2.0 + 0.5 * math.log(short)) / short):
        yield (
            f"the bulk does not follow the Marchenko-Pastur law (distance {distance:.2f}): entries are not independent "
            "of equal variance, and p-values are nominal"
        )


def _zero(short: int) -> _Noise:
    return _Noise(0.0, 0.0, 0.0, np.ones(short), 1.0, ("all weights are zero",))


def _rounding_warning(tensor: torch.Tensor, level: float) -> Iterator[str]:
    rms = float(tensor.double().square().mean().sqrt())
    if 0.0 < level < torch.finfo(tensor.dtype).eps * rms:
        yield f"the noise is at the rounding error of {tensor.dtype}: the weights are of low rank but for rounding"
