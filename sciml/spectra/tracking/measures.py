"""What can be followed while a net trains."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from torch import nn

from sciml._typing import AnyArray
from sciml.nn.structure import weight_slots
from sciml.spectra.tracking.track import Variables

__all__ = ["MEASURES", "Measure", "Weights"]

FLOPS = 2e9  # a second, of singular values on one thread: what a first cost is guessed by


class Measure(Protocol):
    """One kind of spectrum of a net."""

    @property
    def name(self) -> str:
        """Name of the measure."""

    def cost(self, model: nn.Module) -> float:
        """Return about how many seconds a measurement takes; it is corrected by the first one."""

    def measure(self, model: nn.Module, last: Variables | None) -> Variables:
        """Return variables without a dim for the step, `last` those of the measurement before."""


class Weights:
    """Singular values of the weight matrices, and what stands above their noise."""

    name = "weights"

    def __init__(self, n_values: int = 64) -> None:
        self.n_values = n_values

    def cost(self, model: nn.Module) -> float:
        """Return the operations of the singular values over a rate."""
        sizes = [(slot.weight.shape[0], slot.weight[0].numel()) for slot in weight_slots(model)]
        return 0.02 * len(sizes) + sum(6.0 * n * p * min(n, p) for n, p in sizes) / FLOPS

    def measure(self, model: nn.Module, last: Variables | None) -> Variables:  # noqa: ARG002 (each is found anew)
        """Return the largest singular values of each layer, its edge, rank, stable rank and norm."""
        from sciml.spectra.weights import weight_spectra

        found = weight_spectra(model)
        everything = found.variables()
        values: Variables = {"layer": everything["layer"]}
        dims, table, attrs = everything["singular_values"]
        values["singular_value"] = (dims, table[:, : self.n_values], attrs)
        for name in ("rank", "edge", "sigma", "stable_rank", "relative_norm", "bulk_distance"):
            values[name] = everything[name]
        values["outliers_power"] = (("layer",), _outlier_power(table, everything["edge"][1]), _POWER)
        return values


_POWER = {"units": "1", "long_name": "fraction of the squared singular values that lies above the edge"}


def _outlier_power(values: AnyArray, edges: AnyArray) -> AnyArray:
    squares = np.where(np.isnan(values), 0.0, values) ** 2
    above = np.where(values > edges[:, None], squares, 0.0).sum(axis=1)
    return np.asarray(np.where(np.isnan(edges), np.nan, above / np.maximum(squares.sum(axis=1), 1e-300)))


MEASURES: dict[str, Callable[[], Measure]] = {Weights.name: Weights}
