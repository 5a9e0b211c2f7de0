r"""What random weights in place of a layer's would make of the same inputs.

Units of a layer with independent Gaussian weights are independent given what the layer reads: vectors over the sample
with covariance

.. math:: \Phi_{ab} = E[\varphi(h_a)\varphi(h_b)], \qquad
          \mathrm{Cov}(h_a, h_b) = \frac{\sigma_w^2}{n_{in}} x_a \cdot x_b + \sigma_b^2

so the spectrum of their covariance follows the generalized Marchenko-Pastur law of the eigenvalues of Φ, in the limit
of many units and of inputs of which no direction carries most: then |φ(h)|² is nearly the same for all units. For
independent Gaussian inputs this is the law of Pennington and Worah (2017). The law is given where a few draws of the
layer agree with it; else these draws are. Where anything stands between the layer and what is read (a norm, a pool, a
sum), the net itself is run with random weights in that one layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from sciml._typing import FloatArray
from sciml.errors import ScimlError
from sciml.nn.structure import Activation, Layer, Slot
from sciml.rmt.laws import GeneralizedMarchenkoPastur
from sciml.spectra.activations.features import Inputs, Reading, read_features
from sciml.theory import kernels
from sciml.theory.kernels import Dense, Nonlinear
from sciml.theory.meanfield import leaky_relu

__all__ = ["Expected", "by_draws", "by_layer", "dimension"]

N_DRAWS, N_PASSES = 12, 4  # of a layer alone, of the whole net
AGREEMENT = 0.05


@dataclass(frozen=True, eq=False)
class Expected:
    """Eigenvalues of the covariance that random weights give, descending, their participation ratio, and from what."""

    eigenvalues: FloatArray
    dimension: float
    source: str


def dimension(eigenvalues: FloatArray) -> float:
    """Return the participation ratio (Σ λ)² / Σ λ²."""
    squares = float(np.sum(eigenvalues**2))
    return float(np.sum(eigenvalues) ** 2 / squares) if squares > 0 else 0.0


def by_layer(layer: Layer, source: Reading, read: Reading) -> Expected | None:
    """Return what random weights of one layer give, where its activations and nothing else are what is read."""
    if layer.activation is None or source.patches is None or not _is_all(layer, source, read):
        return None
    weight = layer.slot.weight.detach().double()
    bias = [float(each.detach().double().square().mean()) for each in layer.slot.bias_vectors()]
    sigma_w2, sigma_b2 = float(weight.square().mean()) * source.patches.shape[1], sum(bias)
    drawn = _drawn(layer.activation, source.patches, read.read.shape[1], sigma_w2, sigma_b2)
    law = _law(layer.activation, source.patches, read.read.shape[1], Dense(sigma_w2, sigma_b2))
    return law if law is not None and _agree(law.eigenvalues, drawn.eigenvalues) else drawn


def _drawn(activation: Activation, x: torch.Tensor, n_units: int, sigma_w2: float, sigma_b2: float) -> Expected:
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(N_DRAWS):
        weight = torch.randn(x.shape[1], n_units, generator=generator, dtype=torch.float64)
        bias = torch.randn(n_units, generator=generator, dtype=torch.float64)
        h = x @ weight * (sigma_w2 / x.shape[1]) ** 0.5 + bias * sigma_b2**0.5
        found.append(_eigenvalues(activation.tensor(h)))
    return _mean(found)


def _agree(law: FloatArray, drawn: FloatArray) -> bool:
    """Return whether both put the same power above every index, to 5 %."""
    one, other = np.cumsum(law), np.cumsum(drawn)
    return bool(np.max(np.abs(one - other)) <= AGREEMENT * other[-1])


def _law(activation: Activation, x: torch.Tensor, n_units: int, dense: Dense) -> Expected | None:
    given = activation if activation.slope is None else leaky_relu(activation.slope)
    try:
        phi = kernels.nngp((dense, Nonlinear(given)), x).numpy()
        centered = phi - phi.mean(axis=0) - phi.mean(axis=1)[:, None] + phi.mean()
        population = np.clip(np.linalg.eigvalsh(centered)[::-1], 0.0, None)
        return _of_population(population, len(phi), n_units)
    except ScimlError:  # no kernel of this activation, or nothing but constants
        return None


def _of_population(population: FloatArray, m: int, n_units: int) -> Expected:
    law = GeneralizedMarchenkoPastur(population, gamma=m / n_units)
    k = min(m - 1, n_units)
    # eigenvalues of units x units over m - 1, from those of sample x sample over n_units
    values = np.asarray(law.ppf(1.0 - (np.arange(k) + 0.5) / m)) * n_units / (m - 1)
    trace, square = float(population.sum()), float((population**2).sum())
    ratio = trace**2 / (square * (1.0 + 1.0 / n_units) + trace**2 / n_units)
    return Expected(values, ratio, "law")


def _is_all(layer: Layer, source: Reading, read: Reading) -> bool:
    """Return whether what is read is the activation of what the layer gives, by the numbers."""
    if source.given is None or layer.activation is None or source.given.shape != read.read.shape:
        return False
    given = layer.activation.tensor(source.given)
    scale = float(read.read.abs().max()) or 1.0
    return bool((given - read.read).abs().max() <= 1e-5 * scale)


def by_draws(model: nn.Module, slot: Slot, reader: nn.Module, inputs: Inputs, seed: int) -> Expected | None:
    """Return what is read where the weights of one layer before are drawn at random, the mean of a few draws."""
    parameters = slot.parameters()
    if len(parameters) != 1:  # a parametrized weight
        return None
    generator = torch.Generator().manual_seed(0)
    kept, weight = parameters[0].detach().clone(), slot.weight.detach()
    spread = weight.double().square().mean().sqrt().cpu()
    found: list[FloatArray] = []
    try:
        for _ in range(N_PASSES):
            slot.write((torch.randn(weight.shape, generator=generator, dtype=torch.float64) * spread).to(weight))
            found.append(_eigenvalues(read_features(model, {"": reader}, inputs, seed=seed)[0][""].read))
    finally:
        with torch.no_grad():
            parameters[0].copy_(kept)
    return _mean(found)


def _mean(found: Sequence[FloatArray]) -> Expected:
    return Expected(np.mean(found, axis=0), float(np.mean([dimension(each) for each in found])), "draws")


def _eigenvalues(x: torch.Tensor) -> FloatArray:
    centered = x - x.mean(dim=0)
    values = torch.linalg.svdvals(centered).square() / (x.shape[0] - 1)
    return np.asarray(values[: min(x.shape[0] - 1, x.shape[1])].numpy())
