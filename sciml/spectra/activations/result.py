"""What is known of what the layers of a net read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sciml._typing import FloatArray
from sciml.spectra.activations.collapse import Collapse

__all__ = ["ActivationSpectra", "ActivationSpectrum"]

Variables = dict[str, tuple[tuple[str, ...], FloatArray, dict[str, str]]]


@dataclass(frozen=True, repr=False, eq=False)
class ActivationSpectrum:
    r"""The covariance of what one layer reads, over a sample of inputs.

    Attributes
    ----------
    name
        The layer that reads.
    source
        What it reads: the names of the layers or blocks before it, "input", or "output" for what the net gives.
    n_samples, n_units, n_positions
        Size of the sample, units (channels), and positions, of which one of each input is taken, at random.
    n_constant
        Units that are the same at every input: nothing is read off them.
    eigenvalues
        Of the covariance, descending: min(n_samples - 1, n_units).
    dimension
        Participation ratio (Σ λ)² / Σ λ² of the sample: at most n_units, and biased down by a small sample.
    independent_dimension
        What it would be, in a sample of this size, if units of the same variances shared nothing.
    n_shared
        Eigenvalues of the correlation matrix above the edge of units that share nothing (level `alpha`); None where
        more than half stand out, or fewer than ten units or samples.
    random_eigenvalues, random_dimension
        The same with random weights of the same size in the layer that gives what is read, on the same inputs; None
        where that is not known.
    random_by
        "law", or "draws" where the net was run with weights drawn.
    collapse
        Measures of neural collapse, where there are labels.
    note
        What is to be known of the numbers.
    """

    name: str
    source: str
    n_samples: int
    n_units: int
    n_positions: int
    n_constant: int
    eigenvalues: FloatArray
    dimension: float
    independent_dimension: float
    n_shared: int | None
    random_eigenvalues: FloatArray | None = None
    random_dimension: float | None = None
    random_by: str | None = None
    collapse: Collapse | None = None
    note: str = ""

    def summary(self) -> str:
        """Return units and dimensions in a line."""
        random = "" if self.random_dimension is None else f", random weights {self.random_dimension:.3g}"
        return (
            f"{self.name} reads {self.n_units} units, participation ratio {self.dimension:.3g} "
            f"(units that share nothing {self.independent_dimension:.3g}{random})"
        )

    def __repr__(self) -> str:
        return f"ActivationSpectrum({self.summary()})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        random = None if self.random_eigenvalues is None else self.random_eigenvalues.tolist()
        collapse = None if self.collapse is None else self.collapse.to_dict()
        arrays = {"eigenvalues": self.eigenvalues.tolist(), "random_eigenvalues": random, "collapse": collapse}
        return {**vars(self), **arrays}


@dataclass(frozen=True, repr=False, eq=False)
class ActivationSpectra(Sequence[ActivationSpectrum]):
    """The spectra of all layers, in the order of the net, its output last."""

    layers: tuple[ActivationSpectrum, ...]
    n_samples: int
    alpha: float
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: Any) -> Any:
        return self.layers[index]

    def __iter__(self) -> Iterator[ActivationSpectrum]:
        return iter(self.layers)

    def __repr__(self) -> str:
        return f"ActivationSpectra({len(self.layers)} layers, {self.n_samples} inputs)"

    def summary(self) -> str:
        """Return a line for each layer."""
        return "\n".join(each.summary() for each in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        layers = [each.to_dict() for each in self.layers]
        return {"n_samples": self.n_samples, "alpha": self.alpha, "notes": list(self.notes), "layers": layers}

    def variables(self) -> Variables:
        """Return arrays over (layer, index), short spectra filled with NaN."""
        widest = max((each.eigenvalues.size for each in self.layers), default=0)
        found: Variables = {
            "activation_layer": (("activation_layer",), np.array([each.name for each in self.layers]), {}),
            "activation_eigenvalue": (
                ("activation_layer", "activation_index"),
                _padded([each.eigenvalues for each in self.layers], widest),
                {"long_name": "eigenvalue of the covariance of what the layer reads"},
            ),
            "activation_random_eigenvalue": (
                ("activation_layer", "activation_index"),
                _padded([each.random_eigenvalues for each in self.layers], widest),
                {"long_name": "the same with random weights in the layer before"},
            ),
        }
        for name in ("dimension", "independent_dimension", "random_dimension", "n_shared", "n_constant"):
            values = [getattr(each, name) for each in self.layers]
            column = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
            found[f"activation_{name}"] = (("activation_layer",), column, {})
        return found


def _padded(rows: Sequence[FloatArray | None], width: int) -> FloatArray:
    table = np.full((len(rows), width), np.nan)
    for row, values in zip(table, rows, strict=True):
        if values is not None:
            row[: min(width, values.size)] = values[:width]
    return table
