"""What is known of a net's spectra: the one thing that a report of it is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.spectra import ActivationSpectra, JacobianSpectrum, TopEigenvalues, WeightSpectra
    from sciml.spectra.tracking import SpectrumTrack

__all__ = ["CurvatureRecord", "NetRecord"]

Variables = dict[str, tuple[tuple[str, ...], Any, dict[str, str]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class CurvatureRecord:
    """The curvature of a net's loss over a part of what it learned from.

    Attributes
    ----------
    top
        Eigenvalues of the Hessian, largest in magnitude.
    gauss_newton
        The same of the Gauss-Newton matrix.
    density
        Of the eigenvalues of the Hessian.
    cost
        What the products were expected to take, in words.
    """

    top: "TopEigenvalues"
    gauss_newton: "TopEigenvalues | None" = None
    density: Any = None
    cost: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        parts = {"hessian": self.top, "gauss_newton": self.gauss_newton, "density": self.density}
        found = {name: None if part is None else part.to_dict() for name, part in parts.items()}
        return {**found, "cost": self.cost}

    def variables(self) -> "Variables":
        """Return the arrays of all parts, each under its name."""
        found: Variables = {}
        for prefix, part in (("", self.top), ("gauss_newton_", self.gauss_newton), ("density_", self.density)):
            if part is not None:
                found |= _prefixed(prefix, part.variables())
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class NetRecord:
    """The spectra of one net; what was not measured is None, and `notes` say why.

    Attributes
    ----------
    name, subject
        What it is called on the page, and one line on where it comes from.
    weights
        Of every weight matrix.
    activations
        Of what each layer reads, on windows that the net learned from.
    jacobian, initial_jacobian
        From the input to the output, of the net and of the net as it began.
    curvature
        Of the loss: largest eigenvalues, density and what follows from them.
    track
        What was followed while it trained.
    learning_rate
        Highest of the run, which the curvature is held against.
    notes
        What is missing and why.
    config, provenance
        Settings, files, versions.
    """

    name: str
    subject: str = ""
    weights: "WeightSpectra"
    activations: "ActivationSpectra | None" = None
    jacobian: "JacobianSpectrum | None" = None
    initial_jacobian: "JacobianSpectrum | None" = None
    curvature: CurvatureRecord | None = None
    track: "SpectrumTrack | None" = None
    learning_rate: float | None = None
    notes: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return everything that was measured as plain values."""
        parts = {name: getattr(self, name) for name in _PARTS}
        found = {name: None if part is None else part.to_dict() for name, part in parts.items()}
        return {"name": self.name, **found, "learning_rate": self.learning_rate, "notes": list(self.notes)}

    def variables(self) -> Variables:
        """Return all arrays by name, those of each part with its name in front where they would meet."""
        found: Variables = {}
        for name in _PARTS:
            part = getattr(self, name)
            if part is not None:
                found |= _prefixed("" if name == "weights" else f"{name}_", part.variables())
        return found


_PARTS = ("weights", "activations", "jacobian", "initial_jacobian", "curvature", "track")


def _prefixed(prefix: str, variables: Variables) -> Variables:
    """Return variables and their dims under names that no other part has."""
    return {
        _named(prefix, key): (tuple(_named(prefix, dim) for dim in dims), values, attrs)
        for key, (dims, values, attrs) in variables.items()
    }


def _named(prefix: str, name: str) -> str:
    stem = prefix.removesuffix("s_").removesuffix("_")
    return name if stem and name.startswith(stem) else f"{prefix}{name}"
