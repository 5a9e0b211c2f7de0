"""The eigenvalues of a Hessian: its density on a symmetric logarithmic axis, its largest ones marked."""

import numpy as np
from matplotlib.axes import Axes

from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import ACCENT, MUTED, SIGNAL, board, drawn, finish
from sciml.report.net_record import CurvatureRecord

__all__ = ["curvature_figure"]

LOWEST = 1e-8  # of a density, that is drawn


@drawn
def curvature_figure(found: CurvatureRecord) -> Figure:
    """Draw the density of the eigenvalues, where it is known, and the largest ones with the bounds on their errors."""
    figure, axes = board(wide=True, height=3.1)
    ax: Axes = axes[0, 0]
    values, errors = found.top.values, found.top.errors
    threshold = float(np.abs(values).max()) * 1e-4 or 1.0
    if found.density is not None:
        _density(ax, found, threshold)
    levels = np.ones(values.size)
    ax.errorbar(values, levels, xerr=errors, fmt="v", color=SIGNAL, markersize=5.5, label="Hessian, largest")
    if found.gauss_newton is not None:
        other = found.gauss_newton.values
        ax.plot(other, np.full(other.size, 3.0), "s", color=ACCENT, markersize=4, label="Gauss-Newton, largest")
    ax.axvline(0.0, color=MUTED, linewidth=0.7)
    ax.set_xscale("symlog", linthresh=threshold, linscale=0.6)
    ax.set(xlabel="eigenvalue", yscale="log", ylim=(LOWEST if found.density is not None else 0.1, 10.0))
    if found.density is None:
        ax.set_yticks([])
    else:
        ax.set_ylabel("density")
    ax.legend(loc="upper left")
    return finish(
        figure,
        title="Eigenvalues of the Hessian",
        description=(
            f"Horizontal: eigenvalues on an axis that is linear up to ± {threshold:.2g} and logarithmic beyond. "
            "Triangles are the eigenvalues of largest magnitude of the Hessian, with the bounds on their errors, "
            "squares those of the Gauss-Newton matrix; the line, where there is one, is the density of all."
        ),
        table=Table(
            "Largest eigenvalues",
            ("Hessian", "error at most"),
            tuple((float(value), float(error)) for value, error in zip(values, errors, strict=True)),
        ),
        data={"hessian": values, "errors": errors},
    )


def _density(ax: Axes, found: CurvatureRecord, threshold: float) -> None:
    del ax, found, threshold
