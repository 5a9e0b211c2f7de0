"""The eigenvalues of a Hessian: its density on a symmetric logarithmic axis, its largest ones marked."""

import numpy as np
from matplotlib.axes import Axes

from sciml._typing import FloatArray
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import (
    ACCENT,
    INK,
    MUTED,
    NOISE,
    SIGNAL,
    board,
    drawn,
    finish,
    log_ticks,
    number_ticks,
    power_label,
)
from sciml.report.net_record import CurvatureRecord

__all__ = ["curvature_figure"]

LOWEST = 1e-7  # of a density, that is drawn
SMOOTH = 0.12  # width of the normal law that stands for an eigenvalue, over its size


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
        _density(ax, found, threshold)
        ends = np.append(values, found.density.range)
    _marks(ax, found)
    ax.axvline(0.0, color=MUTED, linewidth=0.7)
    ax.set_xscale("symlog", linthresh=threshold, linscale=0.6)
    _ticks(ax, ends, threshold)
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


def _ticks(ax: Axes, values: FloatArray, threshold: float) -> None:
    """Put ticks at 0 and at the decades on each side that has values."""
    ticks, ends = [0.0], []
    for sign in (-1.0, 1.0):
        far = max(threshold, float((sign * values).max()))
        decades = sign * 10.0 ** np.arange(np.ceil(np.log10(threshold)), np.floor(np.log10(far)) + 1)
        ticks += decades.tolist()
        ends.append(3.0 * sign * far)
    ticks.sort()
    labels = [f"−{power_label(-each)}" if each < 0 else power_label(each) if each > 0 else "0" for each in ticks]
    number_ticks(ax.xaxis, ticks, labels)
    ax.set_xlim(*ends)


def _density(ax: Axes, found: CurvatureRecord, threshold: float) -> None:
    """Draw the share of the eigenvalues per unit of the axis: the density times the width of a unit there."""
    assert found.density is not None  # noqa: S101 (asked only where it is there)
    points = found.density.grid(600)
    density, error = found.density.density(points, width=SMOOTH * np.abs(points) + 0.3 * threshold)
    unit = np.maximum(np.abs(points), threshold)
    middle, spread = density * unit, 2.0 * error * unit
    ax.fill_between(points, np.maximum(middle - spread, LOWEST), middle + spread, color=NOISE, alpha=0.4, linewidth=0)
    ax.plot(points, np.maximum(middle, LOWEST), color=INK, linewidth=1.1, label="density, times |eigenvalue|")
    top = max(10.0, 3.0 * float(middle.max()))
    ax.set_ylim(LOWEST, top)
    log_ticks(ax.yaxis, LOWEST, top)
    ax.set_ylabel("share of eigenvalues per e-fold")
