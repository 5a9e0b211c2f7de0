"""The eigenvalues of a Hessian: its density on a symmetric logarithmic axis, its largest ones marked."""

import numpy as np
from matplotlib.axes import Axes

from sciml.plot.nets import LOWEST, draw_density, draw_signed_axis
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import (
    ACCENT,
    MUTED,
    SIGNAL,
    board,
    drawn,
    finish,
)
from sciml.report.net_record import CurvatureRecord

__all__ = ["curvature_figure"]


@drawn
def curvature_figure(found: CurvatureRecord) -> Figure:
    """Draw the density of the eigenvalues, where it is known, and the largest ones with the bounds on their errors."""
    figure, axes = board(wide=True, height=3.1)
    ax: Axes = axes[0, 0]
    values, errors = found.top.values, found.top.errors
    threshold = float(np.abs(values).max()) * 1e-4 or 1.0
    ax.set(xlabel="eigenvalue", yscale="log")
    ends = values
    if found.density is not None:
        draw_density(found.density, ax, threshold)
        ends = np.append(values, found.density.range)
    _marks(ax, found)
    ax.axvline(0.0, color=MUTED, linewidth=0.7)
    draw_signed_axis(ax, ends, threshold)
    if found.density is None:
        ax.set(ylim=(0.1, 10.0), yticks=[])
    ax.legend(loc="upper left")
    return finish(
        figure,
        title="Eigenvalues of the Hessian",
        description=(
            f"Horizontal: eigenvalues on an axis that is linear up to ± {threshold:.2g} and logarithmic beyond. "
            "Triangles are the eigenvalues of largest magnitude of the Hessian, with the bounds on their errors, "
            "squares those of the Gauss-Newton matrix. The line, where there is one, is the density of all, times the "
            "absolute eigenvalue (at least the end of the linear part), with two standard errors over random probes."
        ),
        table=Table(
            "Largest eigenvalues",
            ("Hessian", "error at most"),
            tuple((float(value), float(error)) for value, error in zip(values, errors, strict=True)),
        ),
        data={"hessian": values, "errors": errors},
    )


def _marks(ax: Axes, found: CurvatureRecord) -> None:
    """Mark the largest eigenvalues at the foot of the figure, with the bounds on their errors."""
    values, height = found.top.values, LOWEST * 3.0 if found.density is not None else 1.0
    at = np.full(values.size, height)
    ax.errorbar(values, at, xerr=found.top.errors, fmt="v", color=SIGNAL, markersize=5.5, label="Hessian, largest")
    if found.gauss_newton is not None:
        other = found.gauss_newton.values
        at = np.full(other.size, 4.0 * height)
        ax.plot(other, at, "s", color=ACCENT, markersize=4, label="Gauss-Newton, largest")
