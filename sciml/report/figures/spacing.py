"""Where the panels of a figure lie: as large as the texts around them leave room for, measured once."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure as Drawing
from matplotlib.gridspec import GridSpec, SubplotSpec

from sciml._typing import FloatArray

__all__ = ["arrange"]

PAD, BETWEEN = 3.0, 6.0  # points around the figure, and between two panels
GUESS = (44.0, 8.0, 34.0, 22.0)  # points left, right, below and above a panel that texts are measured with


def arrange(drawing: Drawing) -> None:
    """Place the panels of a figure so that no text is cut; nothing that is drawn later moves them.

    A figure whose panels are one grid takes one measurement of its texts. Any other gets the layout of matplotlib,
    which takes several.
    """
    engine = drawing.get_layout_engine()
    grid = _grid(drawing)
    if grid is not None:
        agg: Any = RendererAgg
        _place(drawing, grid, agg(*drawing.bbox.size, drawing.dpi))
    elif engine is not None:
        engine.execute(drawing)
    drawing.set_layout_engine("none")


def _grid(drawing: Drawing) -> GridSpec | None:
    """Return the grid that all panels lie in, each in one row; None where there is none."""
    specs = [ax.get_subplotspec() for ax in drawing.axes]
    grids = {id(None if spec is None else spec.get_gridspec()) for spec in specs}
    if len(grids) != 1 or specs[0] is None or any(spec is None or spec.num1 != spec.num2 for spec in specs):
        return None
    grid = specs[0].get_gridspec()
    return grid if isinstance(grid, GridSpec) else None


def _place(drawing: Drawing, grid: GridSpec, renderer: RendererBase) -> None:
    size = np.asarray(drawing.bbox.size, dtype=np.float64)
    rows, columns = grid.get_geometry()
    across = _cells(size[0], (GUESS[0], GUESS[1]), grid.get_width_ratios(), columns)
    down = _cells(size[1], (GUESS[3], GUESS[2]), grid.get_height_ratios(), rows)
    _put(drawing, size, across, down)
    before, after, over, under = np.zeros(columns), np.zeros(columns), np.zeros(rows), np.zeros(rows)
    for ax in drawing.axes:
        spec = ax.get_subplotspec()
        left, right, below, above = _around(ax, renderer)
        row, column = _place_of(spec)
        before[column], after[column] = max(before[column], left), max(after[column], right)
        over[row], under[row] = max(over[row], above), max(under[row], below)
    before[0] += _label_width(drawing, renderer)
    across = _cells(size[0], (before, after), grid.get_width_ratios(), columns)
    down = _cells(size[1], (over, under), grid.get_height_ratios(), rows)
    _put(drawing, size, across, down)


def _place_of(spec: SubplotSpec | None) -> tuple[int, int]:
    assert spec is not None  # noqa: S101 (asked by `_grid`)
    return spec.rowspan.start, spec.colspan.start


def _around(ax: Axes, renderer: RendererBase) -> tuple[float, float, float, float]:
    """Return by how many points the texts of a panel reach beyond it: left, right, below, above."""
    whole = ax.get_tightbbox(renderer)
    inner = ax.get_window_extent(renderer)
    if whole is None:
        return 0.0, 0.0, 0.0, 0.0
    ends = (inner.x0 - whole.x0, whole.x1 - inner.x1, inner.y0 - whole.y0, whole.y1 - inner.y1)
    left, right, below, above = (max(0.0, float(each)) for each in ends)
    return left, right, below, above


def _label_width(drawing: Drawing, renderer: RendererBase) -> float:
    """Return the room that a label of the whole figure takes at its left."""
    label = getattr(drawing, "_supylabel", None)  # matplotlib has no other way to ask
    if label is None or not label.get_text():
        return 0.0
    label.set_x(PAD / drawing.bbox.width)
    label.set_horizontalalignment("left")
    return float(label.get_window_extent(renderer).width) + PAD


def _cells(total: float, margins: tuple[float | FloatArray, float | FloatArray], ratios: Any, n: int) -> FloatArray:
    """Return where each panel begins and ends along one side of the figure, shape (n, 2), in points."""
    first, last = (np.broadcast_to(each, (n,)) for each in margins)
    share = np.asarray(ratios, dtype=np.float64) / np.sum(ratios)
    free = total - 2 * PAD - BETWEEN * (n - 1) - float(first.sum() + last.sum())
    length = np.maximum(free, 1.0) * share
    start = PAD + np.cumsum(first + np.concatenate([[0.0], (length + last + BETWEEN)[:-1]]))
    return np.stack([start, start + length], axis=1)


def _put(drawing: Drawing, size: FloatArray, across: FloatArray, down: FloatArray) -> None:
    for ax in drawing.axes:
        row, column = _place_of(ax.get_subplotspec())
        (left, right), (top, bottom) = across[column], down[row]
        ax.set_position((left / size[0], 1 - bottom / size[1], (right - left) / size[0], (bottom - top) / size[1]))
