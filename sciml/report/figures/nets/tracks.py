"""Spectra over the steps of training."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sciml._typing import AnyArray
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import ACCENT, ALTERNATE, INK, MUTED, SIGNAL, STYLES, board, drawn, finish, light_grid
from sciml.wording import clean

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.spectra.tracking import SpectrumTrack

__all__ = ["PANELS", "track_figure"]

PANELS = {
    "relative_norm": "norm / √(fan out / fan in)",
    "stable_rank": "stable rank",
    "rank": "directions above noise",
    "outliers_power": "their share of the power",
}
MOST = 8


@drawn
def track_figure(track: "SpectrumTrack") -> Figure:
    """Draw what was followed of the weights, a line a layer, and the largest eigenvalues of the Hessian."""
    found = {name: track.series(name) for name in (*PANELS, "hessian_eigenvalue")}
    known = [name for name, (steps, _) in found.items() if steps.size]
    columns = max(1, min(3, len(known)))
    rows = max(1, -(-len(known) // columns))
    figure, axes = board(wide=True, height=0.4 + 2.2 * rows, rows=rows, columns=columns)
    names = _layers(track)
    chosen = _changing(found, len(names))
    for ax, name in zip(axes.ravel(), known, strict=False):
        steps, values = found[name]
        _panel(ax, steps, values if name == "hessian_eigenvalue" else values[:, chosen], name)
    for ax in axes.ravel()[len(known) :]:
        ax.set_axis_off()
    if chosen.size and names:
        labels = [clean(names[i]) for i in chosen]
        axes[0, 0].legend(axes[0, 0].get_lines()[: len(labels)], labels, fontsize=7, loc="best")
    return finish(
        figure,
        title="Spectra over training",
        description=(
            "What was followed while the net trained, over the steps of the optimizer (0 is the start): of the weights "
            f"a line for each of the {len(chosen)} layers that changed most, of the Hessian its largest eigenvalues."
        ),
        table=Table(
            "Steps", ("quantity", "measured at", "first", "last"), tuple(_row(name, *found[name]) for name in known)
        ),
        data={name: values for name, (_, values) in found.items()},
    )


def _layers(track: "SpectrumTrack") -> list[str]:
    rows = [row.values["layer"][1] for row in track.rows if "layer" in row.values]
    return [str(name) for name in rows[0]] if rows else []


def _changing(found: "dict[str, tuple[AnyArray, AnyArray]]", n: int) -> AnyArray:
    """Return the layers whose norm changed most, at most `MOST`."""
    _, norms = found["relative_norm"]
    if norms.ndim != 2 or not norms.size:
        return np.arange(min(n, MOST))
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.nan_to_num(np.abs(np.log(norms[-1] / norms[0])))
    return np.sort(np.argsort(-change)[:MOST])


def _panel(ax: Axes, steps: AnyArray, values: AnyArray, name: str) -> None:
    colors = (SIGNAL, ACCENT, ALTERNATE, INK, MUTED)
    for k in range(values.shape[1]):
        color, style = colors[k % len(colors)], STYLES[k // len(colors) % len(STYLES)]
        ax.plot(steps, values[:, k], color=color, linestyle=style, linewidth=1.2, marker=".", markersize=3)
    ax.set(xlabel="step", title=PANELS.get(name, "largest Hessian eigenvalues"))
    ax.set_ylim(bottom=min(0.0, float(np.nanmin(values)) if np.isfinite(values).any() else 0.0))
    if name == "rank":
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    light_grid(ax)


def _row(name: str, steps: AnyArray, values: AnyArray) -> tuple[object, ...]:
    title = PANELS.get(name, "largest Hessian eigenvalue")
    first, last = (float(np.nanmax(v)) if np.isfinite(v).any() else None for v in (values[0], values[-1]))
    return (title, f"{steps.size} steps, {int(steps[0])} to {int(steps[-1])}", first, last)
