"""Small multiples: one panel for each layer of a net."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from sciml.report.figures.canvas import board
from sciml.wording import clean

__all__ = ["panels", "shortened"]

T = TypeVar("T")
COLUMNS = 4


def panels(shown: Sequence[T], draw: Callable[[Axes, T], None], *, height: float) -> Drawing:
    """Return a figure with a panel of so many inches of height for each of the things shown."""
    rows = max(1, -(-len(shown) // COLUMNS))
    figure, axes = board(wide=True, height=0.45 + height * rows, rows=rows, columns=COLUMNS)
    for ax, each in zip(axes.ravel(), shown, strict=False):
        draw(ax, each)
    for ax in axes.ravel()[len(shown) :]:
        ax.set_axis_off()
    return figure


def shortened(name: str, most: int = 30) -> str:
    """Return the end of a name that is too long for a panel, cleaned for text in a drawing."""
    text = clean(name)
    return text if len(text) <= most else f"…{text[-most + 1 :]}"
