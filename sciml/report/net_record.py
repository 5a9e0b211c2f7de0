"""What is known of a net's spectra: the one thing that a report of it is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.spectra import (
        ActivationSpectra,
        BatchNoise,
        ClassStructure,
        JacobianSpectrum,
        SpectralDensity,
        TopEigenvalues,
        WeightSpectra,
    )
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
    noise
        What a batch of the size of the run's shows of it.
    classes
        Where the largest eigenvalues of a classifier come from.
    cost
        What the products were expected to take, in words.
    notes
        What was left out and why.
    """

    top: "TopEigenvalues"
    gauss_newton: "TopEigenvalues | None" = None
    density: "SpectralDensity | None" = None
    noise: "BatchNoise | None" = None
    classes: "ClassStructure | None" = None
    cost: str = ""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        found: dict[str, Any] = {"hessian": self.top.to_dict()}
        for name in ("gauss_newton", "noise", "classes"):
            part = getattr(self, name)
            found[name] = None if part is None else part.to_dict()
        density = (
            None if self.density is None else {key: x.tolist() for key, (_, x, _) in self.density.variables().items()}
        )
        return {**found, "density": density, "cost": self.cost, "notes": list(self.notes)}

    def variables(self) -> "Variables":
        """Return the arrays of all parts, each under its name."""
        found: Variables = {}
        parts = (
            ("", self.top),
            ("", self.noise),
            ("gauss_newton_", self.gauss_newton),
            ("", self.density),
            ("", self.classes),
        )
        for prefix, part in parts:
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
    learning_rate, optimizer
        Highest rate of the run, and what took it.
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
    optimizer: str = ""
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
