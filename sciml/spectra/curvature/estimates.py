"""Trace and diagonal of a curvature matrix by random probes, with standard errors."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.errors import ConfigError
from sciml.linalg.krylov import Estimate, hutch_plus_plus, hutchinson, xtrace
from sciml.linalg.krylov import diagonal as estimate_diagonal
from sciml.spectra.curvature.operators.operator import CurvatureOperator
from sciml.wording import count

__all__ = ["DiagonalEstimate", "TraceEstimate", "diagonal", "trace"]

METHODS = {"xtrace": xtrace, "hutch++": hutch_plus_plus, "hutchinson": hutchinson}


@dataclass(frozen=True)
class TraceEstimate:
    """Trace of a curvature matrix, its standard error, and what it took."""

    kind: str
    value: float
    standard_error: float
    n_products: int
    n_parameters: int
    method: str

    def summary(self) -> str:
        """Return the trace with its standard error."""
        how = "exact" if self.method == "exact" else f"{self.method}, {count(self.n_products, 'product')}"
        return f"Trace of the {self.kind}: {self.value:.4g} ± {self.standard_error:.1g} ({how})."

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(vars(self))

    def variables(self) -> dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]]:
        """Return arrays by name with dims and attributes."""
        name = f"Trace of the {self.kind}"
        return {
            "trace": ((), self.value, {"long_name": name, "units": "1"}),
            "trace_error": ((), self.standard_error, {"long_name": f"{name}: standard error", "units": "1"}),
        }


@dataclass(frozen=True, repr=False)
class DiagonalEstimate:
    """Diagonal (n,) of a curvature matrix with standard errors, and its sums by parameter."""

    kind: str
    values: Tensor
    standard_errors: Tensor
    by_parameter: dict[str, float]
    n_products: int

    def __repr__(self) -> str:
        return f"<DiagonalEstimate of the {self.kind}: {len(self.values):,} values>"

    def summary(self) -> str:
        """Return the parameters with most of the trace."""
        order = sorted(self.by_parameter, key=lambda name: -abs(self.by_parameter[name]))[:3]
        parts = ", ".join(f"{name} {self.by_parameter[name]:.3g}" for name in order)
        return f"Diagonal of the {self.kind} ({count(self.n_products, 'product')}); largest sums: {parts}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; of the diagonal its sums by parameter."""
        return {"kind": self.kind, "by_parameter": self.by_parameter, "n_products": self.n_products}

    def variables(self) -> dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]]:
        """Return arrays by name with dims and attributes."""
        sums = list(self.by_parameter.values())
        names = {"long_name": f"Diagonal of the {self.kind}, summed by parameter", "units": "1"}
        return {
            "parameter": (("parameter",), list(self.by_parameter), {"long_name": "Parameter"}),
            "diagonal_sum": (("parameter",), sums, names),
        }


def trace(operator: CurvatureOperator, *, n_products: int = 30, method: str = "xtrace", rng: int = 0) -> TraceEstimate:
    """Return the trace of a curvature matrix with its standard error; exact where products suffice for every column.

    Parameters
    ----------
    operator
        `hessian(...)`, `gauss_newton(...)`, ...
    n_products
        Products that may be spent.
    method
        "xtrace" (best where the spectrum falls fast), "hutch++" or "hutchinson"; see `sciml.linalg.krylov`.
    rng
        Seed of the probes.

    Raises
    ------
    ConfigError
        An unknown method, or too few products.

    Examples
    --------
    >>> from sciml.spectra.curvature import hessian
    >>> X = torch.diag(torch.tensor([3.0, 2.0, 2.0, 0.0]))
    >>> H = hessian(torch.nn.Linear(4, 1, bias=False), "mse", (X, torch.zeros(4, 1)))
    >>> trace(H)
    TraceEstimate(kind='Hessian', value=8.5, standard_error=0.0, n_products=4, n_parameters=4, method='exact')
    """
    if method not in METHODS:
        raise ConfigError(f"expected method to be one of {', '.join(METHODS)}, got {method!r}")
    n = operator.shape[0]
    if n <= n_products:
        return TraceEstimate(operator.kind, float(operator.to_dense().trace()), 0.0, n, n, "exact")
    found: Estimate = METHODS[method](operator, n_products, rng=rng)
    return TraceEstimate(operator.kind, found.value, found.standard_error, found.n_products, n, method)


def diagonal(operator: CurvatureOperator, *, n_products: int = 60, rng: int = 0) -> DiagonalEstimate:
    """Return the diagonal of a curvature matrix, each value with its standard error.

    Parameters
    ----------
    operator, n_products, rng
        As for `trace`.

    Examples
    --------
    >>> from sciml.spectra.curvature import hessian
    >>> X = torch.diag(torch.tensor([3.0, 2.0, 2.0, 0.0]))
    >>> H = hessian(torch.nn.Linear(4, 1, bias=False), "mse", (X, torch.zeros(4, 1)))
    >>> diagonal(H).values.tolist()
    [4.5, 2.0, 2.0, 0.0]
    """
    n = operator.shape[0]
    if n <= n_products:
        values = operator.to_dense().diagonal()
        found = Estimate(values, torch.zeros_like(values), n)
    else:
        found = estimate_diagonal(operator, n_products, rng=rng)
    sums = {name: float(part.sum()) for name, part in operator.split(found.value).items()}
    return DiagonalEstimate(operator.kind, found.value, found.standard_error, sums, found.n_products)
