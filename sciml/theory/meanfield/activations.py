"""Activations: a scalar function, its derivative, where it is not smooth, and closed forms where they are known.

An activation is named (`ACTIVATIONS`), made with a parameter (`leaky_relu(0.2)`), or any function of an array that
acts on each element: `activation(numpy.sin)`.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from scipy import special

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.theory.meanfield.closed import ERF, GELU, SINE, ClosedForm, piecewise_linear
from sciml.theory.meanfield.kinks import find_kinks

__all__ = ["ACTIVATIONS", "Activation", "AnyActivation", "activation", "leaky_relu"]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_NORMAL = 1.0 / math.sqrt(2.0 * math.pi)
Elementwise = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Activation:
    """A scalar nonlinearity.

    Attributes
    ----------
    phi
        The function, of an array, element by element.
    dphi
        Its derivative; None where it is taken from `phi` by polynomials between the kinks.
    kinks
        Points where either is not smooth, 0 apart, which is always one.
    name
        What messages call it.
    closed
        Closed forms of the Gaussian moments, where they are known.
    """

    phi: Elementwise
    dphi: Elementwise | None = None
    kinks: tuple[float, ...] = ()
    name: str = "activation"
    closed: ClosedForm | None = None

    def slope(self, x: FloatArray) -> FloatArray:
        """Return the derivative at x, by central differences of sixth order where no formula is given."""
        if self.dphi is not None:
            return self.dphi(x)
        step = 1e-3 * np.maximum(1.0, np.abs(x))
        return _central(self.phi, x, step)


AnyActivation = str | Activation | Elementwise


def _central(phi: Elementwise, x: FloatArray, step: FloatArray) -> FloatArray:
    weights = ((1, 45.0), (2, -9.0), (3, 1.0))
    total = sum(w * (phi(x + k * step) - phi(x - k * step)) for k, w in weights)
    return np.asarray(total / (60.0 * step))


def _elu(x: FloatArray, *, scale: float = 1.0, alpha: float = 1.0) -> FloatArray:
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _delu(x: FloatArray, *, scale: float = 1.0, alpha: float = 1.0) -> FloatArray:
    return scale * np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0)))


def _dsigmoid(x: FloatArray) -> FloatArray:
    return special.expit(x) * special.expit(-x)


def _gelu_tanh(x: FloatArray) -> FloatArray:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def leaky_relu(slope: float = 0.01) -> Activation:
    """Return max(x, 0) + slope min(x, 0): ReLU for slope 0, linear for slope 1, |x| for slope -1.

    Examples
    --------
    >>> leaky_relu(0.2).phi(np.array([-1.0, 1.0])).tolist()
    [-0.2, 1.0]
    """
    return Activation(
        lambda x: np.where(x > 0, x, slope * x),
        lambda x: np.where(x > 0, 1.0, slope),
        name="relu" if slope == 0.0 else f"leaky_relu({slope:g})",
        closed=piecewise_linear(slope),
    )


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(lambda x: x, np.ones_like, name="identity", closed=piecewise_linear(1.0)),
    "relu": leaky_relu(0.0),
    "leaky_relu": leaky_relu(0.01),
    "tanh": Activation(np.tanh, lambda x: 1.0 - np.tanh(x) ** 2, name="tanh"),
    "erf": Activation(special.erf, lambda x: 2.0 / math.sqrt(math.pi) * np.exp(-(x**2)), name="erf", closed=ERF),
    "gelu": Activation(
        lambda x: x * special.ndtr(x),
        lambda x: special.ndtr(x) + x * _NORMAL * np.exp(-0.5 * x**2),
        name="gelu",
        closed=GELU,
    ),
    "gelu_tanh": Activation(_gelu_tanh, name="gelu_tanh"),
    "silu": Activation(lambda x: x * special.expit(x), lambda x: special.expit(x) + x * _dsigmoid(x), name="silu"),
    "mish": Activation(lambda x: x * np.tanh(np.logaddexp(0.0, x)), name="mish"),
    "elu": Activation(_elu, _delu, name="elu"),
    "selu": Activation(
        partial(_elu, scale=_SELU_SCALE, alpha=_SELU_ALPHA),
        partial(_delu, scale=_SELU_SCALE, alpha=_SELU_ALPHA),
        name="selu",
    ),
    "hardtanh": Activation(
        lambda x: np.clip(x, -1.0, 1.0), lambda x: np.where(np.abs(x) < 1.0, 1.0, 0.0), (-1.0, 1.0), "hardtanh"
    ),
    "relu6": Activation(
        lambda x: np.clip(x, 0.0, 6.0), lambda x: np.where((x > 0.0) & (x < 6.0), 1.0, 0.0), (6.0,), "relu6"
    ),
    "hardswish": Activation(
        lambda x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0,
        lambda x: np.where(np.abs(x) < 3.0, (2.0 * x + 3.0) / 6.0, np.where(x > 0, 1.0, 0.0)),
        (-3.0, 3.0),
        "hardswish",
    ),
    "softsign": Activation(lambda x: x / (1.0 + np.abs(x)), lambda x: (1.0 + np.abs(x)) ** -2.0, name="softsign"),
    "softplus": Activation(lambda x: np.logaddexp(0.0, x), special.expit, name="softplus"),
    "sigmoid": Activation(special.expit, _dsigmoid, name="sigmoid"),
    "sin": Activation(np.sin, np.cos, name="sin", closed=SINE),
}


def activation(given: AnyActivation) -> Activation:
    """Return an activation by its name, as it is, or made of a function of an array, or of a tensor.

    A function need not come with its derivative: its kinks are found by bisection, and the derivative is that of the
    polynomials that interpolate it between them.

    Raises
    ------
    ConfigError
        An unknown name, or a function that does not act on each element, is not finite, or jumps.

    Examples
    --------
    >>> activation("tanh").name
    'tanh'
    >>> activation(lambda x: np.maximum(x - 0.5, 0.0)).kinks
    (0.5,)
    """
    if isinstance(given, Activation):
        return given
    if isinstance(given, str):
        return _named(given)
    if not callable(given):
        raise ConfigError(f"expected an activation as a name or a function of an array, got {given!r}")
    return _from_function(given)


def _named(name: str) -> Activation:
    if name not in ACTIVATIONS:
        raise ConfigError(
            f"expected an activation among {', '.join(ACTIVATIONS)}, or a function of an array; got {name!r}"
        )
    return ACTIVATIONS[name]


@lru_cache(maxsize=256)
def _from_function(phi: Elementwise) -> Activation:
    name = getattr(phi, "__name__", type(phi).__name__)
    on_arrays = _on_arrays(phi)
    return Activation(on_arrays, None, find_kinks(on_arrays, name), name)


def _on_arrays(phi: Elementwise) -> Elementwise:
    """Return a function of arrays; one of torch's tensors, or a module, is called on tensors in double precision."""
    torch = sys.modules.get("torch")  # a function of tensors has loaded it
    try:
        phi(np.zeros(1))
    except (TypeError, AttributeError):
        if torch is not None:
            return lambda x: _on_tensors(torch, phi, x)
    return phi


def _on_tensors(torch: Any, phi: Elementwise, x: FloatArray) -> FloatArray:
    with torch.no_grad():
        values = phi(torch.from_numpy(np.array(x, dtype=np.float64)))
    return np.asarray(values, dtype=np.float64)
