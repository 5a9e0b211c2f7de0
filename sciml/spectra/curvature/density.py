"""The density of eigenvalues of a curvature matrix by stochastic Lanczos quadrature, with intervals."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import special

from sciml._typing import FloatArray
from sciml.errors import CheckpointError, ConfigError
from sciml.files import replacing
from sciml.linalg.krylov import Tridiagonal, tridiagonals
from sciml.result import Plots
from sciml.spectra.curvature.checkpoint import fingerprint
from sciml.spectra.curvature.operators.memory import available
from sciml.spectra.curvature.operators.operator import CurvatureOperator
from sciml.wording import count, quantity

__all__ = ["Interval", "SpectralDensity", "spectral_density"]

Progress = Callable[[int, int], None]
POINTS = 400  # of the density that is stored


@dataclass(frozen=True)
class Interval:
    """A mean over probes with its interval (95 %); bounds of the quadrature widen it where there are such."""

    value: float
    lower: float
    upper: float


def _interval(values: FloatArray, lower: FloatArray | None = None, upper: FloatArray | None = None) -> Interval:
    """Return mean and t-interval over probes, from the lower bounds to the upper ones."""
    n = len(values)
    ends = [values if each is None else each for each in (lower, upper)]
    half = [
        float(special.stdtrit(n - 1, 0.975)) * float(np.std(e, ddof=1)) / np.sqrt(n) if n > 1 else np.inf for e in ends
    ]
    return Interval(float(values.mean()), float(ends[0].mean() - half[0]), float(ends[1].mean() + half[1]))


@dataclass(frozen=True, repr=False)
class SpectralDensity:
    r"""The spectrum of a matrix as seen by random probes: (1/n) sum_i delta(\lambda - \lambda_i).

    Attributes
    ----------
    runs
        The Lanczos recurrence of each probe.
    nodes, weights
        Ritz values and their weights, (probe, step), of sum 1 a probe; NaN and 0 where a run ended earlier.
    """

    kind: str
    runs: tuple[Tridiagonal, ...]
    n_parameters: int
    n_samples: int
    n_products: int
    loss: float
    seconds: float
    nodes: FloatArray = field(init=False)
    weights: FloatArray = field(init=False)

    plot = Plots("hessian_density")

    def __post_init__(self) -> None:
        rules = [run.gauss() for run in self.runs]
        steps = max(len(nodes) for nodes, _ in rules)
        nodes, weights = np.full((len(rules), steps), np.nan), np.zeros((len(rules), steps))
        for i, (at, weight) in enumerate(rules):
            nodes[i, : len(at)], weights[i, : len(at)] = at, weight
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "weights", weights)

    def __repr__(self) -> str:
        lower, upper = self.range
        return f"<SpectralDensity of the {self.kind}: {len(self.runs)} probes, {lower:.4g} to {upper:.4g}>"

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest Ritz value: the spectrum reaches at least as far."""
        return float(np.nanmin(self.nodes)), float(np.nanmax(self.nodes))

    def mean_of(self, f: Callable[[FloatArray], FloatArray]) -> Interval:
        """Return the mean of a function over the eigenvalues, with its interval over probes."""
        return _interval(np.array([float(weights @ f(nodes)) for nodes, weights in (run.gauss() for run in self.runs)]))

    def bracket(self, f: Callable[[FloatArray], FloatArray], lower: float, upper: float) -> Interval:
        """Return the mean of a function of signed derivatives (1/x, log, exp) over the eigenvalues.

        Gauss and Gauss-Radau rules bound each probe's value; [lower, upper] must hold the spectrum.
        """
        bounds = np.array([run.bracket(f, lower, upper) for run in self.runs])
        return _interval(bounds.mean(1), bounds[:, 0], bounds[:, 1])

    def cumulative(self, x: float) -> Interval:
        """Return the fraction of eigenvalues at most x; the bounds are those of the quadrature and of the probes."""
        bounds = np.array([run.cumulative(x) for run in self.runs])
        found = _interval(bounds.mean(1), bounds[:, 0], bounds[:, 1])
        return Interval(found.value, max(found.lower, 0.0), min(found.upper, 1.0))

    def n_above(self, edge: float) -> int:
        """Return how many eigenvalues above an edge the probes have found: never more than there are.

        Ritz values interlace with the eigenvalues, and without ghosts none is counted twice; of a multiple eigenvalue
        one copy is counted. With enough steps it is the number of distinct eigenvalues above the edge.
        """
        return int((np.nan_to_num(self.nodes, nan=-np.inf) > edge).sum(1).max())

    def grid(self, n: int = POINTS) -> FloatArray:
        """Return points over the range, denser about 0 by the inverse hyperbolic sine: for a symmetric log axis."""
        lower, upper = self.range
        scale = max(abs(lower), abs(upper), 1e-300) * 1e-3
        margin = 0.1 * (np.arcsinh(upper / scale) - np.arcsinh(lower / scale)) + 1e-6
        return np.asarray(
            scale * np.sinh(np.linspace(np.arcsinh(lower / scale) - margin, np.arcsinh(upper / scale) + margin, n))
        )

    def density(self, points: FloatArray, *, width: float | FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Return the density at some points, each Ritz value a normal law, and its standard error over probes.

        Parameters
        ----------
        points
            Where, (n,).
        width
            Standard deviation of the normal law at each point; default 2 % of the distance from 0, and 2e-5 of the
            range at least.
        """
        lower, upper = self.range
        if width is None:
            width = np.maximum(0.02 * np.abs(points), 2e-5 * max(upper - lower, abs(upper), 1e-300))
        sigma = np.broadcast_to(np.asarray(width, np.float64), points.shape)[:, None]
        each = []
        for run in self.runs:
            nodes, weights = run.gauss()
            z = (points[:, None] - nodes) / sigma
            each.append((np.exp(-0.5 * z**2) / (np.sqrt(2 * np.pi) * sigma)) @ weights)
        values = np.array(each)
        error = values.std(0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.full(len(points), np.nan)
        return values.mean(0), error

    def summary(self) -> str:
        """Return range, mean and the part that is nearly zero."""
        lower, upper = self.range
        mean = self.mean_of(lambda x: x)
        tiny = 1e-3 * max(abs(lower), abs(upper))
        near = Interval(0, self.cumulative(-tiny).value, self.cumulative(tiny).value)
        return (
            f"{self.kind} over {count(self.n_samples, 'sample')}, {count(self.n_parameters, 'parameter')}: eigenvalues "
            f"from {lower:.4g} to {upper:.4g}, mean {mean.value:.3g} ({mean.lower:.3g} to {mean.upper:.3g}), "
            f"about {100 * (near.upper - near.lower):.3g} % of them within a thousandth of the largest of zero; "
            f"{count(len(self.runs), 'probe')}, {count(self.n_products, 'product')}, {quantity(self.seconds, 's')}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        points = self.grid()
        density, error = self.density(points)
        return {
            "kind": self.kind,
            "n_parameters": self.n_parameters,
            "n_samples": self.n_samples,
            "n_products": self.n_products,
            "loss": self.loss,
            "range": list(self.range),
            "mean": vars(self.mean_of(lambda x: x)),
            "mean_square": vars(self.mean_of(np.square)),
            "runs": [{"alpha": run.alpha.tolist(), "beta": run.beta.tolist()} for run in self.runs],
            "eigenvalue": points.tolist(),
            "density": density.tolist(),
            "density_standard_error": [None if np.isnan(each) else float(each) for each in error],
            "seconds": self.seconds,
        }

    def variables(self) -> dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]]:
        """Return arrays by name with dims and attributes."""
        points = self.grid()
        density, error = self.density(points)
        name = f"Density of eigenvalues of the {self.kind}"
        return {
            "ritz_value": (("probe", "node"), self.nodes, {"long_name": "Ritz value", "units": "1"}),
            "ritz_weight": (("probe", "node"), self.weights, {"long_name": "Weight of the Ritz value", "units": "1"}),
            "density_at": (("point",), points, {"long_name": "Eigenvalue", "units": "1"}),
            "density": (("point",), density, {"long_name": name, "units": "1"}),
            "density_error": (("point",), error, {"long_name": f"{name}: standard error", "units": "1"}),
        }


def spectral_density(
    operator: CurvatureOperator,
    *,
    n_probes: int = 5,
    steps: int = 80,
    rng: int = 0,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> SpectralDensity:
    """Return the density of eigenvalues of a curvature matrix.

    Each probe is a random vector; Lanczos with full reorthogonalization makes of it a Gauss rule in double precision,
    whose nodes find the outliers and whose weights are, on average over probes, the density.

    Parameters
    ----------
    operator
        `hessian(...)`, `gauss_newton(...)`, ...
    n_probes, steps
        Random vectors, and products for each. Intervals need two probes at least.
    rng
        Seed of the probes.
    progress
        Called with the number of products done, and in all.
    checkpoint
        File that holds the probes that are done: a run that was interrupted goes on from it. Removed at the end.

    Raises
    ------
    ConfigError
        No probes or no steps.
    CheckpointError
        The checkpoint is of another operator.

    References
    ----------
    Ubaru, Chen, Saad (2017), doi:10.1137/16M1104974; Ghorbani, Krishnan, Xiao (2019), arXiv:1901.10159.

    Examples
    --------
    >>> from sciml.spectra.curvature import hessian
    >>> X = torch.diag(torch.tensor([3.0, 2.0, 2.0, 0.0]))
    >>> H = hessian(torch.nn.Linear(4, 1, bias=False), "mse", (X, torch.zeros(4, 1)))
    >>> density = spectral_density(H, n_probes=3, steps=10)
    >>> density.n_above(1.0), round(density.range[1], 3)
    (2, 4.5)
    """
    if n_probes < 1 or steps < 1:
        raise ConfigError(f"expected at least one probe and one step, got {n_probes} and {steps}")
    if checkpoint is not None:
        operator.alone("a checkpoint file")
    begin = time.perf_counter()
    key = f"{fingerprint(operator)} {rng} {steps}" if checkpoint is not None else ""
    runs = [] if checkpoint is None else _load(checkpoint, key)
    generator = np.random.default_rng(rng)
    probes = [operator.draw(1, generator) for _ in range(n_probes)]
    at_once = 1 if checkpoint is not None else _at_once(operator, steps)
    told = _Told(progress, n_probes * min(steps, operator.shape[0]), len(runs) * steps)
    while len(runs) < n_probes:
        block = torch.cat(probes[len(runs) : len(runs) + at_once], 1)
        runs += tridiagonals(operator, block, steps, callback=told)
        if checkpoint is not None:
            _save(checkpoint, runs, key)
    if checkpoint is not None:
        Path(checkpoint).unlink(missing_ok=True)
    return SpectralDensity(
        kind=operator.kind,
        runs=tuple(runs[:n_probes]),
        n_parameters=operator.shape[0],
        n_samples=operator.n_samples,
        n_products=sum(len(run.alpha) for run in runs),
        loss=operator.loss,
        seconds=time.perf_counter() - begin,
    )


def _at_once(operator: CurvatureOperator, steps: int) -> int:
    one = operator.shape[0] * operator.dtype.itemsize * steps
    room = available(operator.device) // max(one, 1)
    if room < 1:
        raise ConfigError(
            f"expected memory for {steps} vectors ({one / 2**30:.1f} GiB), got less; ask for fewer steps, or for the "
            "parameters of some layers"
        )
    return int(min(room, 8))


class _Told:
    """Adds up products and tells of them."""

    def __init__(self, progress: Progress | None, total: int, done: int) -> None:
        self.progress, self.total, self.done = progress, total, done

    def __call__(self, n: int) -> None:
        self.done += n
        if self.progress is not None:
            self.progress(self.done, self.total)


def _save(path: str | os.PathLike[str], runs: list[Tridiagonal], key: str) -> None:
    arrays = {f"{name}{i}": getattr(run, name) for i, run in enumerate(runs) for name in ("alpha", "beta")}
    with replacing(path, overwrite=True) as target, target.open("wb") as file:
        np.savez(file, fingerprint=np.array(key), **arrays)


def _load(path: str | os.PathLike[str], key: str) -> list[Tridiagonal]:
    if not Path(path).exists():
        return []
    try:
        with np.load(path, allow_pickle=False) as file:
            found = str(file["fingerprint"])
            n = sum(name.startswith("alpha") for name in file.files)
            runs = [Tridiagonal(file[f"alpha{i}"], file[f"beta{i}"]) for i in range(n)]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise CheckpointError(f"expected the probes of a density in {path}, got {error}; remove it") from error
    if found != key:
        raise CheckpointError(
            f"{path} is of another model, data, kind of curvature, seed or number of steps; remove it"
        )
    return runs
