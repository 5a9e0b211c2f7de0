"""What can be followed while a net trains."""

from typing import Any, Protocol

import numpy as np
from torch import nn

from sciml._typing import AnyArray
from sciml.nn.structure import weight_slots
from sciml.spectra.curvature import TopEigenvalues, hessian, top_eigenvalues
from sciml.spectra.matrices import matrices
from sciml.spectra.tracking.track import Variables
from sciml.spectra.weights import weight_spectra

__all__ = ["Hessian", "Measure", "Weights"]

FIRST_PRODUCTS = 30
FLOPS = 2e9  # a second, of singular values on one thread: what a first cost is guessed by


class Measure(Protocol):
    """One kind of spectrum of a net."""

    @property
    def name(self) -> str:
        """Name of the measure."""

    def cost(self, model: nn.Module) -> float:
        """Return about how many seconds a measurement takes; it is corrected by the first one."""

    def measure(self, model: nn.Module) -> Variables:
        """Return variables without a dim for the step."""


class Weights:
    """Singular values of the weight matrices, and what stands above their noise.

    Parameters
    ----------
    module
        Dotted name of the part of the model to look at; "" for the whole.
    n_values
        Largest singular values of each matrix that are kept.
    """

    name = "weights"

    def __init__(self, module: str = "", n_values: int = 64) -> None:
        self.module, self.n_values = module, n_values

    def cost(self, model: nn.Module) -> float:
        """Return the operations of the singular values over a rate."""
        slots = weight_slots(model.get_submodule(self.module))
        sizes = [(slot.weight.shape[0], slot.weight[0].numel()) for slot in slots]
        return 0.02 * len(sizes) + sum(6.0 * n * p * min(n, p) for n, p in sizes) / FLOPS

    def measure(self, model: nn.Module) -> Variables:
        """Return the largest singular values of each layer, its edge, rank, stable rank and norm."""
        found = matrices(model.get_submodule(self.module))
        names = [each.name for each in found]
        everything = _placed(weight_spectra(found).variables(), names)
        values: Variables = {"layer": everything["layer"]}
        dims, table, attrs = everything["singular_values"]
        values["singular_value"] = (dims, table[:, : self.n_values], attrs)
        for name in ("rank", "edge", "sigma", "stable_rank", "relative_norm", "bulk_distance"):
            values[name] = everything[name]
        values["outliers_power"] = (("layer",), _outlier_power(table, everything["edge"][1]), _POWER)
        return values


def _placed(found: Variables, names: list[str]) -> Variables:
    """Return the variables over all layers, the same at each step: NaN where one is not finite, and was left out."""
    rows = [names.index(name) for name in found["layer"][1]]
    whole: Variables = {"layer": (("layer",), np.array(names, dtype=np.str_), found["layer"][2])}
    for name, (dims, values, attrs) in found.items():
        if np.issubdtype(values.dtype, np.floating):
            table = np.full((len(names), *values.shape[1:]), np.nan)
            table[rows] = values
            whole[name] = (dims, table, attrs)
    return whole


_POWER = {"units": "1", "long_name": "fraction of the squared singular values that lies above the edge"}


def _outlier_power(values: AnyArray, edges: AnyArray) -> AnyArray:
    squares = np.where(np.isnan(values), 0.0, values) ** 2
    above = np.where(values > edges[:, None], squares, 0.0).sum(axis=1)
    return np.asarray(np.where(np.isnan(edges), np.nan, above / np.maximum(squares.sum(axis=1), 1e-300)))


class Hessian:
    """Largest eigenvalues of the Hessian of the loss, each Lanczos run from where the last one ended.

    Parameters
    ----------
    loss, data
        As `sciml.spectra.hessian` takes them.
    k
        Number of eigenvalues, largest in magnitude.
    tolerance
        Of each, relative.
    """

    name = "hessian"

    def __init__(self, loss: Any, data: Any, *, k: int = 3, tolerance: float = 1e-2) -> None:
        self.loss, self.data, self.k, self.tolerance = loss, data, k, tolerance
        self._last: TopEigenvalues | None = None

    def cost(self, model: nn.Module) -> float:
        """Return the time of the products that a first search takes, from one product on one batch."""
        return FIRST_PRODUCTS * hessian(model, self.loss, self.data).cost().seconds

    def measure(self, model: nn.Module) -> Variables:
        """Return the eigenvalues with bounds on their errors, and the loss that they are of."""
        operator = hessian(model, self.loss, self.data)
        found = top_eigenvalues(operator, self.k, tolerance=self.tolerance, missed=None, start=self._last)
        self._last = found
        dims = ("hessian_index",)
        return {
            "hessian_eigenvalue": (dims, found.values, {"units": "1", "long_name": "eigenvalue of the Hessian"}),
            "hessian_error": (dims, found.errors, {"units": "1", "long_name": "bound on its error"}),
            "hessian_loss": ((), np.array(found.loss), {"units": "1", "long_name": "loss of the windows used"}),
        }
