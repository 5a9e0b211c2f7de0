"""Colors by their role, from the user's own style; axes, and what is common to all figures."""

from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["axes_of", "role", "unit_label"]

ROLES = {"accent": 0, "signal": 1, "alternate": 2}  # places in the cycle of colors


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
    others = {
        "ink": rc["text.color"], "muted": rc["xtick.color"], "grid": rc["grid.color"], "noise": rc["grid.color"],
        "paper": rc["figure.facecolor"],
    }  # fmt: skip
    return others[name]


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
