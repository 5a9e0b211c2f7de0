"""The curvature of a run's loss: eigenvalues, density, what a batch shows of them, and where they come from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sciml.errors import ScimlError
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
from sciml.wording import quantity

__all__ = ["CurvatureSettings", "measure_curvature"]

BATCH = 64
PROBES = ((5, 80), (3, 60), (2, 40))  # random vectors and steps of each, as many as there is time for
LIMIT = 30.0  # seconds for the density, unless it is asked for


@dataclass(frozen=True)
class CurvatureSettings:
    """How the curvature of a run is measured.

    Attributes
    ----------
    samples
        Windows of the train part that the loss is taken of, at most.
    n_eigenvalues
        Of the Hessian, largest in magnitude.
    density
        Whether to take its density however long that takes; None: where it takes half a minute at most.
    products
        Called with the products that are done, and the most there may be.
    """

    samples: int = 1024
    n_eigenvalues: int = 10
    density: bool | None = None
    products: Callable[[int, int], None] | None = None


def measure_curvature(
    run: TrainedRun, learned: Learned, settings: CurvatureSettings, say: Callable[[str], None]
) -> CurvatureRecord:
    """Measure the curvature of the loss that a run was trained on, dropout off, on windows of its train part."""
    model, data = run.restored.model, learned.batches(settings.samples, BATCH)
    operator = hessian(model, learned.loss, data)
    n, cost, notes = min(settings.n_eigenvalues, operator.shape[0]), operator.cost(), list[str]()
    say(f"Hessian: {cost.summary()}")
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
    return CurvatureRecord(top=top, cost=cost.summary(), notes=tuple(notes), **found)


def _density(operator: CurvatureOperator, seconds: float, settings: CurvatureSettings) -> SpectralDensity | None:
    if settings.density is False:
        return None
    affordable = [each for each in PROBES if each[0] * each[1] * seconds <= LIMIT]
    if not affordable and not settings.density:
        least = quantity(PROBES[-1][0] * PROBES[-1][1] * seconds, "s", digits=2)
        raise ScimlError(f"left out, for it takes {least} at least; see sciml spectrum curvature --density")
    n_probes, steps = PROBES[0] if settings.density else affordable[0]
    steps = min(steps, operator.shape[0])
    return spectral_density(operator, n_probes=n_probes, steps=steps, progress=settings.products)


def _classes(run: TrainedRun, learned: Learned, data: Any) -> Any:
    """Return the class structure of a classifier; a loss that weighs classes is another matrix."""
    if not run.restored.classes or learned.config.train.class_weights not in (None, "sampled"):
        return None
    return class_structure(gauss_newton(run.restored.model, "cross_entropy", data))
