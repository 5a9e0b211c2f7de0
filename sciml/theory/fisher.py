r"""Eigenvalues of the Fisher information matrix of wide nets at their start.

For a net of L weight layers of M units each (the inputs too), C linear outputs and T inputs of independent standard
normal values, P ≈ α M² parameters, α = L - 1, the matrix F = (1/T) Σ ∇f ∇f^T over inputs and outputs has

.. math::
    \frac{1}{P} \sum \lambda = \kappa_1 \frac CM, \qquad
    \frac{1}{P} \sum \lambda^2 = \alpha \left(\frac{T-1}{T} \kappa_2^2 + \frac{\kappa_1^2}{T}\right) C, \qquad
    \lambda_{max} = \alpha \left(\frac{T-1}{T} \kappa_2 + \frac{\kappa_1}{T}\right) M

with κ₁ and κ₂ means over the layers of the products of forward and backward order parameters of one input and of two.
Most eigenvalues are small as 1/M and the largest grow as M: the wider the net, the more degenerate its landscape.
Valid for M large beside L, with T fixed; the biases' part is of lower order.

References
----------
Karakida, Akaho, Amari (2019), arXiv:1806.01316, theorems 1-3 and Eq. 10-14.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.theory.meanfield import AnyActivation, activation, gaussian_moments, pair_moments

__all__ = ["FisherStatistics", "fisher_statistics", "sample_fisher_eigenvalues"]


@dataclass(frozen=True, repr=False)
class FisherStatistics:
    """What is known of the eigenvalues of a Fisher information matrix.

    Attributes
    ----------
    kappa_1, kappa_2
        Means over the layers of the products of order parameters, of one input and of two.
    mean, second_moment
        Of all P eigenvalues, of which at most T C are not zero.
    largest
        Largest eigenvalue, C-fold; None where κ₂ = 0 (an odd activation without biases, centered inputs): the largest
        is then the edge of the bulk, which this theory does not give.
    n_parameters
        P = α M² + C M.
    """

    depth: int
    width: int
    n_inputs: int
    n_outputs: int
    kappa_1: float
    kappa_2: float
    mean: float
    second_moment: float
    largest: float | None
    n_parameters: int

    @property
    def degeneracy(self) -> float | None:
        """Largest over mean eigenvalue, which grows as the square of the width."""
        return None if self.largest is None else self.largest / self.mean

    @property
    def largest_learning_rate(self) -> float | None:
        """2 / λ_max: gradient descent on the mean square error / 2 diverges above it."""
        return None if self.largest is None else 2.0 / self.largest

    def summary(self) -> str:
        """Return the statistics in one line."""
        largest = (
            "the largest is the edge of a bulk (κ₂ = 0)" if self.largest is None else f"largest {self.largest:.5g}"
        )
        return (
            f"{self.depth} layers of {self.width} units, {self.n_inputs} inputs: mean eigenvalue {self.mean:.5g}, "
            f"second moment {self.second_moment:.5g}, {largest}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all fields."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __repr__(self) -> str:
        return f"FisherStatistics({self.summary()})"


def fisher_statistics(
    given: AnyActivation,
    *,
    depth: int,
    width: int,
    n_inputs: int,
    n_outputs: int = 1,
    sigma_w2: float,
    sigma_b2: float = 0.0,
) -> FisherStatistics:
    """Return mean, second moment and largest eigenvalue of the Fisher information of a wide net.

    Parameters
    ----------
    given
        Activation: a name, an `Activation`, or a function of an array.
    depth
        L, layers with weights; the last is linear.
    width
        M, units of each layer and values of an input.
    n_inputs, n_outputs
        T and C.
    sigma_w2, sigma_b2
        Weight variance times fan-in, and bias variance.

    Raises
    ------
    ConfigError
        Counts below one (depth below 2), or variances that cannot be.

    Examples
    --------
    >>> found = fisher_statistics("tanh", depth=3, width=1000, n_inputs=100, sigma_w2=3.0, sigma_b2=0.64)
    >>> round(found.kappa_1, 5), round(found.kappa_2, 5), round(found.largest, 2)
    (0.95552, 0.11862, 253.97)
    """
    _check(depth, width, n_inputs, n_outputs, sigma_w2, sigma_b2)
    alpha = depth - 1
    kappa_1, kappa_2 = (each / alpha for each in _order_parameters(given, depth, sigma_w2, sigma_b2))
    both = (n_inputs - 1) / n_inputs
    largest = alpha * (both * kappa_2 + kappa_1 / n_inputs) * width
    return FisherStatistics(
        depth,
        width,
        n_inputs,
        n_outputs,
        kappa_1,
        kappa_2,
        mean=kappa_1 * n_outputs / width,
        second_moment=alpha * (both * kappa_2**2 + kappa_1**2 / n_inputs) * n_outputs,
        largest=largest if kappa_2 > 1e-12 * kappa_1 else None,
        n_parameters=alpha * width**2 + n_outputs * width,
    )


def _order_parameters(given: AnyActivation, depth: int, sigma_w2: float, sigma_b2: float) -> tuple[float, float]:
    """Return the sums over layers of backward times forward order parameters, of one input and of two."""
    forward, slopes = [(1.0, 0.0)], []
    for _ in range(depth - 1):
        same, other = (sigma_w2 * each + sigma_b2 for each in forward[-1])
        moments = gaussian_moments(given, same)
        pair = pair_moments(given, same, same, min(other, same))
        forward.append((moments.second, float(pair.value)))
        slopes.append((moments.slope, float(pair.slope)))
    backward = [(1.0, 1.0)]
    for one, two in reversed(slopes):
        backward.append((sigma_w2 * one * backward[-1][0], sigma_w2 * two * backward[-1][1]))
    backward.reverse()
    products = [(b[0] * f[0], b[1] * f[1]) for b, f in zip(backward, forward, strict=True)]
    return sum(each[0] for each in products), sum(each[1] for each in products)


def sample_fisher_eigenvalues(
    given: AnyActivation,
    *,
    depth: int,
    width: int,
    n_inputs: int,
    n_outputs: int = 1,
    sigma_w2: float,
    sigma_b2: float = 0.0,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw a net and inputs, and return the T C eigenvalues of its Fisher information that may not be zero, ascending.

    They are those of the T C by T C matrix of products of gradients, which is made layer by layer; the gradients
    themselves are never held.

    Examples
    --------
    >>> values = sample_fisher_eigenvalues("relu", depth=3, width=100, n_inputs=20, sigma_w2=2.0,
    ...                                    rng=np.random.default_rng(0))
    >>> values.shape, bool((values > 0).all())
    ((20,), True)
    """
    _check(depth, width, n_inputs, n_outputs, sigma_w2, sigma_b2)
    member = activation(given)
    sizes = [width] * depth + [n_outputs]
    weights = [rng.normal(size=(sizes[k + 1], sizes[k])) * math.sqrt(sigma_w2 / sizes[k]) for k in range(depth)]
    signal, before, slopes = rng.normal(size=(n_inputs, width)), [], []
    for k, W in enumerate(weights):
        before.append(signal)
        h = signal @ W.T + math.sqrt(sigma_b2) * rng.normal(size=len(W))
        if k < depth - 1:
            signal, slope = np.asarray(member.phi(h)), np.asarray(member.slope(h))
            slopes.append(slope)
    gradient = np.broadcast_to(np.eye(n_outputs)[:, None], (n_outputs, n_inputs, n_outputs))
    gram = np.zeros((n_outputs * n_inputs, n_outputs * n_inputs))
    for k in range(depth - 1, -1, -1):
        flat = gradient.reshape(n_outputs * n_inputs, -1)
        # products of gradients by the weights of a layer factorize; those by the biases are the first factor
        gram += (flat @ flat.T) * (np.tile(before[k] @ before[k].T, (n_outputs, n_outputs)) + 1.0)
        if k:
            gradient = (gradient @ weights[k]) * slopes[k - 1]
    return np.asarray(np.linalg.eigvalsh(gram / n_inputs), dtype=np.float64)


def _check(depth: int, width: int, n_inputs: int, n_outputs: int, sigma_w2: float, sigma_b2: float) -> None:
    if depth < 2 or min(width, n_inputs, n_outputs) < 1:
        raise ConfigError(
            f"expected depth >= 2 and width, n_inputs, n_outputs >= 1, got {depth}, {width}, {n_inputs}, {n_outputs}"
        )
    if not 0.0 < sigma_w2 < math.inf or not 0.0 <= sigma_b2 < math.inf:
        raise ConfigError(f"expected sigma_w2 > 0 and sigma_b2 >= 0, finite, got {sigma_w2} and {sigma_b2}")
