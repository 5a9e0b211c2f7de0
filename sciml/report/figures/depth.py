"""Figures of signals and gradients over the depth of a net at its start."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from sciml.plot.nets import LARGEST, QUANTITIES, SMALLEST, column, draw_depth, positive
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import ACCENT, MUTED, SIGNAL, board, drawn, finish, light_grid, log_ticks

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.nn.propagate import Propagation, PropagationPoint

__all__ = ["depth_figure", "depth_limits"]

Limits = tuple[float, float]
TITLES = {"signal": "signal", "gradient": "squared gradient", "chi_1": "χ₁ of a step", "correlation": "correlation"}
SINGULAR = "singular values"
LINEAR = ("correlation",)


def depth_limits(found: "Sequence[Propagation]") -> dict[str, Limits]:
    """Return, for each quantity, the range that holds all methods, so that their figures can be compared by eye."""
    limits: dict[str, Limits] = {}
    for name, (measured, theory, _) in QUANTITIES.items():
        parts = [column(each, key) for each in found for key in (measured, theory)]
        limits[TITLES[name]] = _range(parts, name in LINEAR)
    limits[SINGULAR] = _range([_singular(each).ravel() for each in found], linear=False)
    return limits


def _range(parts: Sequence[NDArray[np.float64]], linear: bool) -> Limits:
    values = np.concatenate(parts) if parts else np.empty(0)
    values = values[np.isfinite(values)]
    if linear:
        return (min(-0.05, float(values.min(initial=0.0))), 1.05)
    values = np.clip(values[values > 0], SMALLEST, LARGEST)
    if not values.size:
        return (0.1, 10.0)
    return float(values.min()) / 1.5, float(values.max()) * 1.5


def _singular(found: "Propagation") -> NDArray[np.float64]:
    """Return largest, root mean square and smallest singular value of each point of the stream, NaN where unknown."""
    spectra = [point.singular_values for point in found.stream]
    rows = [(x[0], float(np.sqrt(np.mean(np.square(x)))), x[-1]) if x else (np.nan,) * 3 for x in spectra]
    return np.array(rows, dtype=np.float64)


@drawn
def depth_figure(method: str, found: "Propagation", limits: dict[str, Limits]) -> Figure:
    """Draw signal, gradient, χ₁, correlation and singular values over depth: theory a line, measurement points.

    Parameters
    ----------
    method
        Name of the initialization.
    found
        What was measured; points inside residual branches are left to the table.
    limits
        Ranges of the vertical axes, of `depth_limits`.
    """
    figure, axes = board(wide=True, height=2.7, columns=5)
    depth = np.arange(len(found.stream), dtype=np.float64)
    for ax, (name, title) in zip(axes[0], TITLES.items(), strict=False):
        draw_depth(found, ax, name)
        _frame(ax, title, limits[title])
    _draw_singular(axes[0, 4], depth, found)
    _frame(axes[0, 4], SINGULAR, limits[SINGULAR])
    axes[0, 0].set_ylabel(method)
    rows = tuple(_row(point) for point in found.stream)
    return finish(
        figure,
        title=f"{method}: from the input to the output",
        description=(
            f"Start by {method}: signal {found.growth:.3g} from end to end, squared gradient "
            f"{found.gradient_growth:.3g} on its way back. Points are measured, the line is mean-field theory of a "
            "typical net of these widths, with the band of most; horizontal: steps outside residual branches."
        ),
        table=Table(
            f"{method}: measured beside theory",
            ("point", "E[x²]", "theory", "gradient²", "theory ", "chi_1", "correlation", "theory  "),
            rows,
        ),
        data={"depth": depth, **{key: column(found, key) for keys in QUANTITIES.values() for key in keys[:2]}},
    )


def _row(point: "PropagationPoint") -> tuple[Any, ...]:
    theory = (point.second_typical, point.gradient_typical, point.correlation_theory)
    values = (point.second, theory[0], point.gradient, theory[1], point.chi_1, point.correlation, theory[2])
    return (point.name, *(value if np.isfinite(value) else None for value in values))


def _draw_singular(ax: Axes, depth: NDArray[np.float64], found: "Propagation") -> None:
    """Draw the root mean square as points, beside theory, and largest and smallest as whiskers."""
    values = _singular(found)
    low, high = np.sqrt(np.array([point.jacobian_band for point in found.stream], dtype=np.float64)).T
    ax.fill_between(depth, positive(low), positive(high), color=ACCENT, alpha=0.16, linewidth=0)
    ax.plot(depth, positive(np.sqrt(low * high)), color=ACCENT, linewidth=1.2)
    ax.vlines(depth, positive(values[:, 2]), positive(values[:, 0]), color=MUTED, linewidth=0.7)
    ax.plot(depth, positive(values[:, 1]), "o", color=SIGNAL, markersize=2.6, markeredgewidth=0)


def _frame(ax: Axes, name: str, limits: Limits) -> None:
    ax.set_title(name)
    ax.set_ylim(*limits)
    if name not in LINEAR:
        ax.set_yscale("log")
        log_ticks(ax.yaxis, *limits, most=5)
        ax.set_ylim(*limits)
    light_grid(ax)
    ax.set_xlabel("step")
