"""Axes that read well: long curves thinned to their extremes, few round ticks, faint lines to read values by."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import NDArray

from sciml.plot.style import role
from sciml.wording import clean

__all__ = ["envelope", "light_grid", "log_ticks", "number_ticks", "power_label"]


def envelope(x: NDArray[Any], y: NDArray[Any], *, columns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Thin a long curve to the lowest and highest point of each of `columns` equal intervals of x, in order of x.

    Every peak and every dip is kept; a curve of fewer points than that comes back as it is. Missing values break the
    curve: they come back as single NaN.

    Examples
    --------
    >>> x = np.arange(100_000.0)
    >>> thin_x, thin_y = envelope(x, np.where(x == 777, 5.0, np.sin(x)), columns=50)
    >>> len(thin_x), float(thin_y.max())
    (100, 5.0)
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() > 2 * columns:
        x, y, known = _extremes(x, y, known, columns)
    starts = np.concatenate([[True], known[1:] | known[:-1]]) if len(x) else known
    return x[starts], np.where(known, y, np.nan)[starts]


def _extremes(
    x: NDArray[np.float64], y: NDArray[np.float64], known: NDArray[np.bool_], columns: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Keep the extremes of each interval, and one missing point an interval that is missing throughout."""
    low, high = float(np.min(x[known])), float(np.max(x[known]))
    column = np.clip(((x - low) / (high - low or 1.0) * columns), 0, columns - 1)
    column = np.where(np.isfinite(column), column, 0).astype(np.int64)
    # A run of missing points gets an interval of its own, so that the break stays where it was.
    change = np.flatnonzero((np.diff(column) != 0) | (np.diff(known) != 0)) + 1
    firsts = np.concatenate([[0], change])
    keep: set[int] = set()
    for start, stop in zip(firsts, [*change, len(x)], strict=True):
        part = y[start:stop]
        keep |= {start + int(np.argmin(part)), start + int(np.argmax(part))} if known[start] else {start}
    kept = np.array(sorted(keep), dtype=np.int64)
    return x[kept], y[kept], known[kept]


def log_ticks(axis: Axis, low: float, high: float, *, most: int = 7) -> None:
    """Put a logarithmic axis on [low, high] with few round ticks: decades, or 1-2-5 within less than two of them."""
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    decades = [float(f"1e{power}") for power in range(first, last + 1)]
    if np.log10(high / low) < 2:
        ticks = [step * decade for decade in decades for step in (1, 2, 5)]
    else:
        ticks = decades[:: -(-len(decades) // most)]
    ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
    minor = [step * decade for decade in decades for step in range(2, 10)] if last - first <= most else []
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter([power_label(tick) for tick in ticks]))
    axis.set_minor_locator(FixedLocator([tick for tick in minor if low <= tick <= high]) if minor else NullLocator())
    axis.set_minor_formatter(FixedFormatter([]))


def number_ticks(axis: Axis, values: Sequence[float], labels: Sequence[str]) -> None:
    """Set ticks at given places, with given labels and none between."""
    axis.set_major_locator(FixedLocator(list(values)))
    axis.set_major_formatter(FixedFormatter([clean(label) for label in labels]))
    axis.set_minor_locator(NullLocator())


def power_label(value: float) -> str:
    """Return a number plainly from 0.01 to 10000, else as a power of ten in Unicode.

    Examples
    --------
    >>> power_label(0.5), power_label(1e-23), power_label(2e-23), power_label(1000.0)
    ('0.5', '10⁻²³', '2·10⁻²³', '1000')
    """
    if 0.01 <= value < 20_000:
        return f"{value:g}"
    power = int(np.floor(np.log10(value) + 1e-9))
    digits = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    factor = round(value / 10.0**power)
    return f"10{digits}" if factor == 1 else f"{factor}·10{digits}"


def light_grid(axes: Axes, axis: str = "y") -> None:
    """Draw faint lines at the major ticks of one axis."""
    axes.grid(visible=True, axis="y" if axis == "y" else "x", color=role("grid"), linewidth=0.6)
    axes.set_axisbelow(True)
