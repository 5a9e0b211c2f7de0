"""How much a net is expected to amplify signal and gradient, from the variances of its weights alone.

The mean-field length map, layer by layer, and over residual blocks the sum of stream and branch, whose means add up
where a branch ends in an activation that has one. Wide layers, inputs of mean square 1, Gaussian quadrature.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sciml.nn.init.mirror import odd_slope
from sciml.nn.structure import Activation, Branch, Layer, Structure

__all__ = ["Growth", "Variances", "expected_growth", "has_mean"]

_Z, _P = np.polynomial.hermite_e.hermegauss(120)
_P = _P / _P.sum()
_PATH = ("weight", "bilinear", "value", "output")
_HUGE = 1e280
_SPACING = 0.05  # of ln q between the points at which moments are integrated
Variances = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Growth:
    """Factors from end to end of the mean square of the signal and of the gradient."""

    signal: float
    gradient: float

    @property
    def is_large(self) -> bool:
        """Whether either changes by more than 1e3."""
        return max(abs(math.log10(max(each, 1e-300))) for each in (self.signal, self.gradient)) > 3.0


@dataclass
class _Stream:
    """Mean square and mean of a unit, and the factor of the squared gradient so far."""

    q: float
    mean: float = 0.0
    gradient: float = 1.0


@dataclass(frozen=True)
class _Weights:
    variances: Variances
    scales: Mapping[str, float]
    paired: Collection[str]


def expected_growth(
    structure: Structure, variances: Variances, scales: Mapping[str, float], paired: Collection[str] = ()
) -> Growth | None:
    """Return the expected growth over the net, or None where the map does not apply.

    `variances` are (σ_w², σ_b²) by layer, `scales` mean squares of the factors at the end of branches, by parameter.
    `paired` names layers that read pairs φ(z), φ(-z) with opposite weights: only φ(z) - φ(-z), a linear map, counts.
    It does not apply to nets that are no chain of layers and residual blocks, nor where norms, nested branches or
    recurrences are.
    """
    if not _applies(structure):
        return None
    net = _Weights(variances, scales, paired)
    stream: _Stream | None = None
    first = 1.0
    done: set[str] = set()
    for layer in structure.layers:
        branch = structure.branch(layer.branch)
        if branch is not None and branch.name not in done:
            done.add(branch.name)
            stream = stream or _Stream(1.0)
            _add(stream, structure, branch, net)
        elif branch is None and not layer.gives_output and not layer.shortcut:
            if stream is None:
                stream = _Stream(_step(None, layer, net, 1.0)[0])
                first = stream.q
            else:
                _advance(stream, layer, net)
        if stream is not None and not (1.0 / _HUGE < stream.q < _HUGE and stream.gradient < _HUGE):
            break
    if stream is None or first == 0.0:
        return None
    return Growth(stream.q / first, stream.gradient)


def _applies(structure: Structure) -> bool:
    plain = [layer for layer in structure.layers if layer.branch is None]
    known = all(x.slot.role in (*_PATH, "query", "key", "lookup") and x.uses <= 1 for x in structure.layers)
    branches = all(branch.parent is None and _is_path(structure, branch) for branch in structure.branches)
    normed = any(layer.norm and not layer.gives_output for layer in plain)
    after = any(branch.normed_after and not branch.norms for branch in structure.branches)
    return bool(structure.steps) and known and branches and not normed and not after


def _is_path(structure: Structure, branch: Branch) -> bool:
    return len(_path(structure, branch)) == branch.depth


def _path(structure: Structure, branch: Branch) -> list[Layer]:
    return [layer for layer in map(structure.layer, branch.layers) if layer.slot.role in _PATH]


def _step(reads: Activation | None, layer: Layer, net: _Weights, q: float) -> tuple[float, float]:
    """Return the mean square after a layer, and the factor of the squared gradient over it."""
    sigma_w2, sigma_b2 = net.variances[layer.name]
    if reads is not None and layer.name in net.paired:
        half = 0.5 * (odd_slope(reads) or 1.0) ** 2
        return sigma_w2 * q * half + sigma_b2, sigma_w2 * half
    second, slope, _ = _moments_of(reads, q)
    return sigma_w2 * second + sigma_b2, sigma_w2 * slope


def _advance(stream: _Stream, layer: Layer, net: _Weights) -> None:
    stream.q, factor = _step(layer.reads, layer, net, stream.q)
    stream.gradient, stream.mean = stream.gradient * factor, 0.0


def _add(stream: _Stream, structure: Structure, branch: Branch, net: _Weights) -> None:
    """Add a branch to the stream."""
    q = 1.0 if branch.norms else stream.q
    factor = 1.0 / stream.q if branch.norms else 1.0
    for layer in _path(structure, branch):
        q, chi = _step(layer.reads, layer, net, q)
        factor *= chi
    if branch.normed_end:
        q, factor = 1.0, factor / q if q else 0.0
    second, slope, mean = _moments_of(branch.closing, q)
    square = branch.constant**2 * math.prod(net.scales.get(name, 1.0) for name in branch.scale)
    drift = math.sqrt(square) * mean
    for name in branch.shortcut:
        stream.q *= net.variances[name][0]
    stream.q += 2.0 * stream.mean * drift + square * second
    stream.mean += drift
    stream.gradient *= 1.0 + square * factor * (slope if branch.closing else 1.0)


def _moments_of(activation: Activation | None, q: float) -> tuple[float, float, float]:
    """Return E[φ²], E[φ'²] and E[φ] of φ(√q z)."""
    if activation is None:
        return q, 1.0, 0.0
    if activation.slope is not None:  # homogeneous: exact at any q
        half = 0.5 * (1.0 + activation.slope**2)
        return q * half, half, (1.0 - activation.slope) * math.sqrt(q / (2.0 * math.pi))
    return _interpolated(activation, q)


def has_mean(activation: Activation) -> bool:
    """Whether E[φ(z)] of a standard normal z is not zero."""
    second, _, mean = _moments_of(activation, 1.0)
    return abs(mean) > 1e-6 * math.sqrt(second)


def _interpolated(activation: Activation, q: float) -> tuple[float, float, float]:
    """Return the moments between two points of a grid of q, linear in its logarithm: E[φ²] / q, E[φ'²], E[φ] / √q."""
    at = math.log(max(q, 1e-300)) / _SPACING
    low = math.floor(at)
    pairs = zip(_quadrature(activation, low), _quadrature(activation, low + 1), strict=True)
    second, slope, mean = ((1.0 - at + low) * a + (at - low) * b for a, b in pairs)
    return second * q, slope, mean * math.sqrt(q)


@lru_cache(maxsize=4096)
def _quadrature(activation: Activation, position: int) -> tuple[float, float, float]:
    root = math.exp(0.5 * position * _SPACING)
    phi, slope = activation(root * _Z), activation.derivative(root * _Z)
    return float(_P @ phi**2) / root**2, float(_P @ slope**2), float(_P @ phi) / root
