"""Pictures of one place and scale, to be looked at in turn."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from sciml._typing import FloatArray
from sciml.plot.style import color_bar
from sciml.report.document.parts import Table
from sciml.report.figures.canvas import board, drawn, finish, number_ticks
from sciml.wording import clean

__all__ = ["views"]


@drawn
def views(
    pictures: Mapping[str, tuple[FloatArray, float, float, str]], *, axes: tuple[str, str], units: str
) -> dict[str, str]:
    """Draw each picture alone in the same place: by name, values (row, column), limits of the colors, their name."""
    found = {}
    for name, (values, low, high, colors) in pictures.items():
        drawing, panels = board(wide=True, height=4.4)
        ax: Axes = panels[0, 0]
        tall, broad = values.shape
        square = max(tall, broad) <= 4 * min(tall, broad)
        painted = ax.imshow(
            np.ma.masked_invalid(values), cmap=colors, vmin=low, vmax=high, interpolation="none",
            aspect="equal" if square else "auto",
        )  # fmt: skip
        number_ticks(ax.xaxis, [], [])
        number_ticks(ax.yaxis, [], [])
        ax.set_ylabel(clean(axes[0]))
        ax.set_xlabel(clean(axes[1]))
        color_bar(ax, painted, f"value [{units}]" if units else "value")
        found[name] = finish(drawing, title=name, description=f"The picture as {name}.", table=Table(name, (), ())).svg
    return found
