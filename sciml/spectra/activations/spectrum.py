"""The covariance spectrum of what each layer of a net reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from sciml._typing import FloatArray
from sciml.errors import ConfigError, DataError
from sciml.nn.structure import Layer, arguments_of, check_sample, structure, unwrapped
from sciml.rmt import Spectrum, rank
from sciml.spectra.activations.collapse import neural_collapse
from sciml.spectra.activations.features import Features, Inputs, Reading, check_takes, read_features
from sciml.spectra.activations.random_weights import Expected, by_draws, by_layer, dimension
from sciml.spectra.activations.result import ActivationSpectra, ActivationSpectrum

__all__ = ["activation_spectra", "input_components"]

_FEW = 10


def activation_spectra(
    model: nn.Module,
    sample: Any,
    *,
    labels: ArrayLike | None = None,
    alpha: float = 0.05,
    draws: bool = True,
    seed: int = 0,
) -> ActivationSpectra:
    r"""Measure the covariance of what each weight layer reads, and of the output, over a sample of inputs.

    Of convolutions and tokens one position of each input is taken, drawn from `seed`: positions of one input are not
    independent. The inputs are taken as independent; overlapping windows are not, and make `n_shared` too large.

    Parameters
    ----------
    model
        Any net; it runs as in evaluation and is left as found.
    sample
        What it takes: a tensor (batch, ...), or a tuple or mapping of tensors.
    labels
        (batch) class of each input, for the measures of neural collapse.
    alpha
        Level of the edge of units that share nothing.
    draws
        Run the net with random weights in one layer after the other where no law is known; four passes each.
    seed
        Of the positions.

    Raises
    ------
    ConfigError
        A net without weight layers, or `alpha` not between 0 and 1.
    DataError
        A sample that is not finite or of fewer than three inputs, or labels that do not fit.

    References
    ----------
    Pennington, Worah (2017), Nonlinear random matrix theory for deep learning; Louart, Liao, Couillet (2018),
    doi:10.1214/17-AAP1328, theorem 1 (any inputs); neural collapse: Papyan, Han, Donoho (2020),
    doi:10.1073/pnas.2015509117.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(20, 40), nn.ReLU(), nn.Linear(40, 3))
    >>> found = activation_spectra(net, torch.randn(64, 20, generator=torch.Generator().manual_seed(0)))
    >>> [(each.name, each.source, each.n_units, each.random_by) for each in found]
    [('0', 'input', 20, None), ('2', '0', 40, 'law'), ('output', '2', 3, None)]
    """
    if not 0.0 < alpha < 1.0:
        raise ConfigError(f"expected 0 < alpha < 1, got {alpha}")
    net = unwrapped(model)
    inputs = arguments_of(net, sample)
    check_sample((*inputs[0], *inputs[1].values()))
    check_takes(net, inputs)
    found = structure(net, sample)
    readers = _readers(net, found.layers)
    features, output = read_features(net, {name: each.slot.module for name, each in readers.items()}, inputs, seed=seed)
    if output.shape[0] < 3:
        raise DataError(f"expected a sample of three inputs or more, got {output.shape[0]}")
    look = _Look(net, {each.name: each for each in found.layers}, readers, features, inputs, seed, draws)
    classes = _labels(labels, output)
    collapses = {name: _collapse(readers[name], each, classes, output) for name, each in features.items()}
    rows = [
        _spectrum(name, _source(readers[name]), each, alpha, look.expected(name), collapses[name])
        for name, each in features.items()
    ]
    rows.append(_output_row(found.layers, output, alpha))
    return ActivationSpectra(tuple(rows), int(output.shape[0]), alpha, tuple(found.notes))


def input_components(model: nn.Module, sample: Any, *, n: int = 10, seed: int = 0) -> dict[str, FloatArray]:
    """Return the principal components of what the weights of each layer multiply, strongest first.

    Of a convolution that is what its kernel covers at one random position of each input. Layers whose input is not
    known in this form (grouped, transposed, recurrent, attention) are left out.

    Parameters
    ----------
    model, sample
        As `activation_spectra` takes them.
    n
        Number of components of each layer, at most.
    seed
        Of the positions.

    Returns
    -------
    dict
        Name of the layer -> (n, fan_in), orthonormal rows: what `weight_spectra` takes as `components`.

    Examples
    --------
    >>> found = input_components(nn.Linear(6, 3), torch.randn(40, 6, generator=torch.Generator().manual_seed(0)), n=2)
    >>> {name: each.shape for name, each in found.items()}
    {'': (2, 6)}
    """
    net = unwrapped(model)
    inputs = arguments_of(net, sample)
    check_sample((*inputs[0], *inputs[1].values()))
    modules = {
        name: module
        for name, module in net.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    }
    features, _ = read_features(net, modules, inputs, seed=seed)
    known = {name: each.patches for name, each in features.items() if each.patches is not None}
    return {name: _principal(x, n) for name, x in known.items()}


def _principal(x: torch.Tensor, n: int) -> FloatArray:
    _, s, vt = torch.linalg.svd(x - x.mean(dim=0), full_matrices=False)
    used = s > 1e-6 * s[0] if s[0] > 0 else s > 0
    return np.asarray(vt[used][:n].numpy())


def _readers(net: nn.Module, layers: Sequence[Layer]) -> dict[str, Layer]:
    """Return the modules with weights by name, the first of its matrices each."""
    names = {id(module): name for name, module in net.named_modules()}
    found: dict[str, Layer] = {}
    for layer in layers:
        found.setdefault(names[id(layer.slot.module)] or layer.name, layer)
    return found


def _labels(labels: ArrayLike | None, output: torch.Tensor) -> FloatArray | None:
    if labels is None:
        return None
    classes = np.asarray(labels)
    if classes.shape != (output.shape[0],):
        raise DataError(f"expected a label for each of {output.shape[0]} inputs, got shape {classes.shape}")
    return classes


def _source(layer: Layer) -> str:
    return ", ".join(layer.sources) or "unknown"


@dataclass(frozen=True, eq=False)
class _Look:
    """What is needed to say what random weights would give."""

    net: nn.Module
    layers: Mapping[str, Layer]
    readers: Mapping[str, Layer]
    features: Features
    inputs: Inputs
    seed: int
    draws: bool

    def expected(self, name: str) -> Expected | None:
        sources = self.readers[name].sources
        if len(sources) != 1 or sources[0] not in self.layers:
            return None
        source = self.layers[sources[0]]
        before = next((self.features.get(key) for key, each in self.readers.items() if each is source), None)
        found = None if before is None else by_layer(source, before, self.features[name])
        if found is not None or not self.draws:
            return found
        return by_draws(self.net, source.slot, self.readers[name].slot.module, self.inputs, self.seed)


def _collapse(layer: Layer, reading: Reading, classes: FloatArray | None, output: torch.Tensor) -> Any:
    counts = np.unique(classes, return_counts=True)[1] if classes is not None else np.empty(0)
    if classes is None or counts.size < 2 or counts.min() < 2:
        return None
    whole = isinstance(layer.slot.module, nn.Linear) and layer.gives_output
    weight = layer.slot.weight.detach().double().cpu().numpy() if whole else None
    decisions = output.argmax(dim=1).numpy() if whole and output.shape[1] > 1 else None
    return neural_collapse(reading.read.numpy(), classes, weight=weight, decisions=decisions)


def _output_row(layers: Sequence[Layer], output: torch.Tensor, alpha: float) -> ActivationSpectrum:
    last = ", ".join(layer.name for layer in layers if layer.gives_output) or "unknown"
    return _spectrum("output", last, Reading(output, None, None, 1), alpha, None, None)


def _spectrum(
    name: str, source: str, reading: Reading, alpha: float, expected: Expected | None, collapse: Any
) -> ActivationSpectrum:
    x = reading.read
    centered = x - x.mean(dim=0)
    variances = centered.square().sum(dim=0) / (x.shape[0] - 1)
    used = variances > 1e-24 * float(x.square().mean())  # of rounding alone: the unit gives one value
    values = torch.linalg.svdvals(centered).square() / (x.shape[0] - 1)
    k = min(x.shape[0] - 1, x.shape[1])
    n_positions = reading.n_positions
    return ActivationSpectrum(
        name=name,
        source=source,
        n_samples=int(x.shape[0]),
        n_units=int(x.shape[1]),
        n_positions=n_positions,
        n_constant=int((~used).sum()),
        eigenvalues=np.asarray(values[:k].numpy()),
        dimension=dimension(values[:k].numpy()),
        independent_dimension=_independent(variances[used].numpy(), x.shape[0]),
        n_shared=_n_shared(centered[:, used] / variances[used].sqrt(), alpha),
        random_eigenvalues=None if expected is None else expected.eigenvalues,
        random_dimension=None if expected is None else expected.dimension,
        random_by=None if expected is None else expected.source,
        collapse=collapse,
        note=f"one of {n_positions} positions of each input" if n_positions > 1 else "",
    )


def _independent(variances: FloatArray, m: int) -> float:
    r"""Return (tr Σ)² / (tr Σ² (1 + 1/n) + (tr Σ)² / n), n = m - 1: Gaussian units that share nothing."""
    trace, square, n = float(variances.sum()), float((variances**2).sum()), m - 1
    return trace**2 / (square * (1.0 + 1.0 / n) + trace**2 / n) if square > 0 else 0.0


def _n_shared(scaled: torch.Tensor, alpha: float) -> int | None:
    m, n = scaled.shape
    if min(m - 1, n) < _FEW:
        return None
    values = np.sort((torch.linalg.svdvals(scaled).square() / (m - 1)).numpy())[::-1][: min(m - 1, n)]
    if values[len(values) // 2] <= 1e-10 * values[0]:  # units that follow from one another: no noise to test against
        return None
    test = rank.white_test(Spectrum(values, n_features=n, n_samples=m - 1), alpha=alpha)
    return test.rank if test.converged else None
