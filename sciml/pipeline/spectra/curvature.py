"""The curvature of a run's loss: eigenvalues, density, what a batch shows of them, and where they come from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sciml.errors import ConfigError, ScimlError
from sciml.pipeline.spectra.trained import Learned, TrainedRun
from sciml.report.net_record import CurvatureRecord
from sciml.spectra import (
    CurvatureOperator,
    SpectralDensity,
    batch_noise,
    class_structure,
    gauss_newton,
    hessian,
    spectral_density,
    top_eigenvalues,
)
from sciml.spectra.curvature import Cost
from sciml.wording import count, quantity

__all__ = ["CurvatureSettings", "measure_curvature"]

BATCH = 64
PROBES = ((5, 80), (3, 60), (2, 40))  # random vectors and steps of each, as many as there is time for
MOST = 200  # eigenvalues: what the search itself takes grows as the square of their number
LIMIT = 30.0  # seconds for the density, unless it is asked for


@dataclass(frozen=True)
class CurvatureSettings:
    """How the curvature of a run is measured.

    Attributes
    ----------
    samples
        Windows of the train part that the loss is taken of, at most.
    n_eigenvalues
        Of the Hessian, largest in magnitude; None: ten, or all of a smaller net.
    density
        Whether to take its density however long that takes; None: where it takes half a minute at most.
    products
        Called with the products that are done, and the most there may be.
    """

    samples: int = 1024
    n_eigenvalues: int | None = None
    density: bool | None = None
    products: Callable[[int, int], None] | None = None


def measure_curvature(
    run: TrainedRun, learned: Learned, settings: CurvatureSettings, say: Callable[[str], None]
) -> CurvatureRecord:
    """Measure the curvature of the loss that a run was trained on, dropout off, on windows of its train part."""
    model, data = run.restored.model, learned.batches(settings.samples, BATCH)
    operator = hessian(model, learned.loss, data)
    n = _number(settings.n_eigenvalues, operator.shape[0])
    cost, notes = operator.cost(), list[str]()
    told = _cost(operator, cost, n, settings)
    say(told)
    top = top_eigenvalues(operator, n, progress=settings.products)
    other = gauss_newton(model, learned.loss, data)
    found: dict[str, Any] = {"gauss_newton": top_eigenvalues(other, n, which="largest", progress=settings.products)}
    size = min(learned.config.train.batch_size or BATCH, operator.n_samples // 2)
    parts: dict[str, Callable[[], Any]] = {
        "density": lambda: _density(operator, cost.seconds, settings),
        "noise": lambda: batch_noise(operator, batch_size=size, top=top),
        "classes": lambda: _classes(run, learned, data),
    }
    for name, measure in parts.items():
        try:
            found[name] = measure()
        except ScimlError as error:
            notes.append(f"{name}: {error}")
    return CurvatureRecord(top=top, cost=told, notes=tuple(notes), **found)


def _number(asked: int | None, n: int) -> int:
    """Return how many eigenvalues to find of a matrix of n rows."""
    most = min(n, MOST)
    if asked is not None and not 1 <= asked <= most:
        raise ConfigError(
            f"expected 1 to {most} eigenvalues of the curvature of {count(n, 'parameter')}, got {asked}; the density "
            "shows all of them"
        )
    return min(10, n) if asked is None else asked


def _cost(operator: CurvatureOperator, cost: Cost, k: int, settings: CurvatureSettings) -> str:
    """Say what the products will take: of k eigenvalues about 20 + 3 k, as of small nets; of a density exactly."""
    n = operator.shape[0]
    probes = _probes(n, cost.seconds, settings)
    verb = "takes" if k == 1 else "take"
    density = "" if probes is None else (
        f"; its density takes {probes[0] * probes[1]} products: about "
        f"{quantity(probes[0] * probes[1] * cost.seconds, 's', digits=2)}"
    )  # fmt: skip
    return (
        f"{count(k, 'eigenvalue')} of the Hessian {verb}, as a rule, {cost.summary(min(20 + 3 * k, n))}; those of the "
        f"Gauss-Newton matrix take as many{density}"
    )


def _probes(n: int, seconds: float, settings: CurvatureSettings) -> tuple[int, int] | None:
    """Return random vectors and steps of each, as many as there is time for; None: no density."""
    if settings.density is False:
        return None
    possible = [(n_probes, min(steps, n)) for n_probes, steps in PROBES]
    affordable = [each for each in possible if each[0] * each[1] * seconds <= LIMIT]
    return possible[0] if settings.density else next(iter(affordable), None)


def _density(operator: CurvatureOperator, seconds: float, settings: CurvatureSettings) -> SpectralDensity | None:
    if settings.density is False:
        return None
    probes = _probes(operator.shape[0], seconds, settings)
    if probes is None:
        least = quantity(PROBES[-1][0] * PROBES[-1][1] * seconds, "s", digits=2)
        raise ScimlError(f"left out, for it takes {least} at least; see sciml spectrum curvature --density")
    return spectral_density(operator, n_probes=probes[0], steps=probes[1], progress=settings.products)


def _classes(run: TrainedRun, learned: Learned, data: Any) -> Any:
    """Return the class structure of a classifier; a loss that weighs classes is another matrix."""
    if not run.restored.classes or learned.config.train.class_weights not in (None, "sampled"):
        return None
    return class_structure(gauss_newton(run.restored.model, "cross_entropy", data))
