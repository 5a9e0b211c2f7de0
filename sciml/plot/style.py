"""Colors by their role, from the user's own style; axes, and what is common to all figures."""

from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.figure import Figure

from sciml.wording import clean

__all__ = ["MARKERS", "STYLES", "axes_of", "color_bar", "role", "unit_label"]

# No figure relies on color alone: lines differ in dash, points in shape.
STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D")
ROLES = {"accent": 0, "signal": 1, "alternate": 2}  # places in the cycle of colors
GRAY = 0.2  # saturation up to which a color is a gray


def role(name: str) -> Any:
    """Return the color of a role: "accent" (measured), "signal", "alternate", "noise", "ink", "muted", "grid", "paper".

    Examples
    --------
    >>> with mpl.rc_context({"text.color": "#123456"}):
    ...     role("ink")
    '#123456'
    """
    if name in ROLES:
        cycle = mpl.rcParams["axes.prop_cycle"].by_key().get("color", ["C0"])
        return cycle[ROLES[name] % len(cycle)]
    rc = mpl.rcParams
    if name == "noise":
        return _gray() or rc["grid.color"]
    others = {
        "ink": rc["text.color"], "muted": rc["xtick.color"], "grid": rc["grid.color"], "paper": rc["figure.facecolor"],
    }  # fmt: skip
    return others[name]


def _gray() -> Any:
    """Return the gray of the cycle of colors, behind those that have a role; None where it has none."""
    cycle = mpl.rcParams["axes.prop_cycle"].by_key().get("color", [])
    grays = (each for each in cycle[len(ROLES) :] if rgb_to_hsv(to_rgb(each))[1] < GRAY)
    return next(grays, None)


def color_bar(ax: Axes, painted: ScalarMappable, label: str, **options: Any) -> Colorbar | None:
    """Draw the scale of the colors at the right of the axes, as tall as they are, inside their own layout."""
    figure = ax.get_figure(root=True)
    if figure is None:
        return None
    bar = figure.colorbar(painted, cax=ax.inset_axes((1.015, 0.0, 0.025, 1.0)), **options)
    bar.set_label(clean(label))
    bar.outline.set_visible(False)
    return bar


def axes_of(ax: Axes | None, *, size: tuple[float, float] | None = None) -> Axes:
    """Return the axes to draw on: those given, else those of a new figure of pyplot (which shows in a notebook)."""
    if ax is not None:
        return ax
    from matplotlib import pyplot  # only where the user gave no axes: it keeps figures of its own

    figure: Figure = pyplot.figure(figsize=size, layout="constrained")
    return figure.add_subplot()


def unit_label(name: str, unit: str) -> str:
    """Return a label with its unit in brackets, or without where there is none.

    Examples
    --------
    >>> unit_label("time", "s"), unit_label("value", "")
    ('time [s]', 'value')
    """
    return f"{name} [{unit}]" if unit else name
