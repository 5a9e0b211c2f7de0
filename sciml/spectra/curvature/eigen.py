"""The largest eigenvalues of a curvature matrix, each with a bound on its error."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: F401 (for the example)
from torch import Tensor

from sciml._typing import BoolArray, FloatArray
from sciml.errors import ConfigError
from sciml.linalg.krylov import Eigenpairs, Krylov, Wanted, eigenpairs
from sciml.spectra.curvature.checkpoint import fingerprint, load, save
from sciml.spectra.curvature.operators.memory import PART, available
from sciml.spectra.curvature.operators.operator import CurvatureOperator
from sciml.wording import count, percent, series

__all__ = ["TopEigenvalues", "top_eigenvalues"]

Progress = Callable[[int, int], None]
SAVED_EVERY = 30.0  # seconds


@dataclass(frozen=True, repr=False)
class TopEigenvalues:
    """Eigenvalues of a curvature matrix, and what is known of them.

    Attributes
    ----------
    kind
        The matrix: "Hessian", ...
    which
        "largest", "smallest", largest "magnitude", or "both" ends.
    values
        (k,), in this order: descending; ascending for "smallest"; by magnitude for "magnitude".
    vectors
        Unit eigenvectors (n, k).
    residuals, errors, gaps
        Lengths of A v - lambda v; bounds on the distance to an eigenvalue, min(r, r²/gap) or better (see
        `sciml.linalg.krylov.error_bounds`), rounding included; the gaps they rest on, 0 where the residual alone does.
    converged
        Whether the error is within `tolerance` times the value.
    missed
        Chance that an eigenvalue beyond these, or a copy of one, was missed; NaN where it was not looked for.
    n_products
        Products with the matrix, those of a resumed run included.
    """

    kind: str
    which: str
    values: FloatArray
    vectors: Tensor
    residuals: FloatArray
    errors: FloatArray
    gaps: FloatArray
    converged: BoolArray
    tolerance: float
    missed: float
    n_products: int
    n_parameters: int
    n_samples: int
    loss: float
    seconds: float

    def __repr__(self) -> str:
        return f"<TopEigenvalues of the {self.kind}: {series([f'{each:.4g}' for each in self.values])}>"

    @property
    def sharpness(self) -> float:
        """Largest of the values."""
        return float(self.values.max())

    @property
    def learning_rate_bound(self) -> float:
        """2 / largest eigenvalue: gradient descent with a larger rate leaves this minimum. Infinite if none is > 0."""
        return 2.0 / self.sharpness if self.sharpness > 0 else math.inf

    def summary(self) -> str:
        """Return the values with their bounds, and whether all converged."""
        pairs = [f"{value:.4g} ± {error:.1g}" for value, error in zip(self.values, self.errors, strict=True)]
        ends = {"magnitude": "largest in magnitude", "both": "at both ends"}
        text = (
            f"{self.kind} over {count(self.n_samples, 'sample')}, {count(self.n_parameters, 'parameter')}: "
            f"{count(len(self.values), 'eigenvalue')} {ends.get(self.which, self.which)}: {series(pairs)}, "
            f"in {count(self.n_products, 'product')}"
        )
        if not self.converged.all():
            n = int((~self.converged).sum())
            return f"{text}; {n} of them not converged to {percent(self.tolerance)}: allow more products."
        if math.isnan(self.missed):
            return f"{text}; that none between them was missed was not checked."
        return f"{text}; chance that one was missed: {percent(self.missed)}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; the vectors are left out."""
        return {
            "kind": self.kind,
            "which": self.which,
            "eigenvalues": self.values.tolist(),
            "residuals": self.residuals.tolist(),
            "errors": self.errors.tolist(),
            "gaps": self.gaps.tolist(),
            "converged": self.converged.tolist(),
            "tolerance": self.tolerance,
            "missed": None if math.isnan(self.missed) else self.missed,
            "n_products": self.n_products,
            "n_parameters": self.n_parameters,
            "n_samples": self.n_samples,
            "loss": self.loss,
            "learning_rate_bound": self.learning_rate_bound if self.sharpness > 0 else None,
            "seconds": self.seconds,
        }

    def variables(self) -> dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]]:
        """Return arrays by name with dims and attributes."""
        name = f"Eigenvalue of the {self.kind}"
        return {
            "eigenvalue": (("index",), self.values, {"long_name": name, "units": "1"}),
            "eigenvalue_error": (("index",), self.errors, {"long_name": f"{name}: bound on its error", "units": "1"}),
            "eigenvalue_converged": (("index",), self.converged.astype(np.int8), {"long_name": "Within the tolerance"}),
        }


def top_eigenvalues(
    operator: CurvatureOperator,
    k: int = 5,
    *,
    which: str = "magnitude",
    tolerance: float = 1e-3,
    missed: float | None = 0.05,
    start: TopEigenvalues | Tensor | None = None,
    max_products: int | None = None,
    rng: int = 0,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> TopEigenvalues:
    """Return the k eigenvalues at an end of the spectrum of a curvature matrix, with eigenvectors and error bounds.

    Lanczos with full reorthogonalization from a random vector, until the bound on each error is within the tolerance
    and the chance that another value is hidden from that vector is small; then another vector, which holds directions
    of large curvature, is followed in what is left, until the chance that a copy of a multiple eigenvalue was missed is
    small too. Copies are found as often as they are there.

    Parameters
    ----------
    operator
        `hessian(...)`, `gauss_newton(...)`, ...
    k
        How many; 2 k with which="both".
    which
        "magnitude", "largest", "smallest" or "both" ends.
    tolerance
        Largest error of each value, relative to it.
    missed
        See above; None saves the products that look for what was missed.
    start
        A result of a similar operator (an earlier step of training), or vectors (n, s).
    max_products
        Where to stop at the latest; `converged` says which values are within the tolerance then. Default 200 + 40 k.
    rng
        Seed of the random vectors.
    progress
        Called with the number of products done, and `max_products`.
    checkpoint
        File that holds the search while it runs: a search that was interrupted goes on from it. Removed at the end.

    Raises
    ------
    ConfigError
        More values than parameters or than memory holds, an unknown end, or a tolerance out of range.
    CheckpointError
        The checkpoint is of another operator.
    NumericalError
        Products that are not finite, or not those of one symmetric matrix.

    References
    ----------
    Golub, Van Loan (2013), Matrix Computations, chapter 10; bounds: Li, Li (2005), doi:10.1016/j.laa.2004.08.026.

    Examples
    --------
    >>> from sciml.spectra.curvature import hessian
    >>> X = torch.diag(torch.tensor([3.0, 2.0, 2.0, 0.1]))
    >>> H = hessian(torch.nn.Linear(4, 1, bias=False), "mse", (X, torch.zeros(4, 1)))
    >>> top_eigenvalues(H, 3)
    <TopEigenvalues of the Hessian: 4.5, 2 and 2>
    """
    begin = time.perf_counter()
    most = 200 + 40 * k if max_products is None else max_products
    wanted = Wanted(k, which, tolerance, missed, max_products=most, max_dimension=_most_vectors(operator, k))
    if checkpoint is not None:
        operator.alone("a checkpoint file")
    key = fingerprint(operator) if checkpoint is not None else ""
    space = None if checkpoint is None else load(checkpoint, operator, key)
    generator = np.random.default_rng(rng if space is None else (rng, space.n_products))  # no vector twice
    first = None if space is not None else _start(operator, start, generator)
    watch = _Watch(progress, most, checkpoint, key)
    found = eigenpairs(operator, wanted, start=first, rng=generator, space=space, callback=watch)
    watch.end()
    return _result(operator, wanted, found, time.perf_counter() - begin)


def _start(
    operator: CurvatureOperator, start: TopEigenvalues | Tensor | None, rng: np.random.Generator
) -> Tensor | None:
    """Return one vector that holds the last eigenvectors alike, or vectors that are given; None: any direction."""
    if start is None:
        return None
    if isinstance(start, Tensor):
        return start.to(operator.device, operator.dtype).reshape(len(start), -1)
    vectors: Tensor = start.vectors.to(operator.device, operator.dtype)
    return vectors.sum(1, keepdim=True) / math.sqrt(vectors.shape[1]) + _short(operator, rng)


def _short(operator: CurvatureOperator, rng: np.random.Generator) -> Tensor:
    """Return a random vector of length about a tenth."""
    return 0.1 * operator.draw(1, rng) / math.sqrt(operator.shape[0])


def _most_vectors(operator: CurvatureOperator, k: int) -> int:
    """Return how many vectors fit in memory; so many that k values cannot be found with less are an error."""
    n, least = operator.shape[0], 2 * k + 10
    one = n * operator.dtype.itemsize
    room = available(operator.device) // one
    if min(least, n) > room / PART:
        raise ConfigError(
            f"expected memory for {min(least, n)} vectors ({min(least, n) * one / 2**30:.1f} GiB), got less; ask for "
            "fewer eigenvalues, or for the parameters of some layers"
        )
    return max(least, int(room))


class _Watch:
    """Tells of progress and saves the search from time to time."""

    def __init__(self, progress: Progress | None, most: int, path: Any, key: str) -> None:
        self.progress, self.most, self.path, self.key = progress, most, path, key
        self.saved = time.monotonic()

    def __call__(self, space: Krylov, pairs: Eigenpairs) -> bool:
        if self.progress is not None:
            self.progress(pairs.n_products, self.most)
        if self.path is not None and time.monotonic() - self.saved >= SAVED_EVERY:
            save(self.path, space, self.key)
            self.saved = time.monotonic()
        return False

    def end(self) -> None:
        if self.path is not None:
            Path(self.path).unlink(missing_ok=True)


def _result(operator: CurvatureOperator, wanted: Wanted, found: Eigenpairs, seconds: float) -> TopEigenvalues:
    return TopEigenvalues(
        kind=operator.kind,
        which=wanted.which,
        values=found.values,
        vectors=found.vectors,
        residuals=found.residuals,
        errors=found.errors,
        gaps=found.gaps,
        converged=found.converged,
        tolerance=wanted.tolerance,
        missed=found.missed,
        n_products=found.n_products,
        n_parameters=operator.shape[0],
        n_samples=operator.n_samples,
        loss=operator.loss,
        seconds=seconds,
    )
