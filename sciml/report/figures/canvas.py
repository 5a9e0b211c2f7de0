"""The drawing board: one look for all figures, and SVG that is small, themable, reproducible and accessible.

Figures are drawn with matplotlib's objects (never pyplot: no global state). What leaves this file is an `<svg>`
element with a title and a description, text kept as text, colors as CSS variables that the page may set (with the
drawn color as fallback), and ids that depend on nothing but the drawing.
"""

import io
import re
import warnings
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from html import escape
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import NDArray
from PIL import Image

from sciml.report.document.parts import Figure, Table
from sciml.wording import clean

__all__ = [
    "ACCENT", "ALTERNATE", "GRID", "INK", "MARKERS", "MUTED", "NOISE", "PAPER", "SIGNAL", "STYLES", "board", "drawn",
    "envelope", "finish", "light_grid", "log_ticks", "number_ticks", "power_label",
]  # fmt: skip

# Colors are distinguished by readers without color vision (Okabe-Ito hues, different lightness), and no figure relies
# on color alone: lines differ in dash, points in shape. Each name is a CSS variable of the page.
INK, MUTED, GRID, PAPER = "#1c2126", "#68707a", "#dddcd6", "#fefefd"
NOISE, SIGNAL, ACCENT, ALTERNATE = "#98a1ab", "#b8480e", "#1d5b94", "#1f7a5c"
VARIABLES = {
    INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper",
    NOISE: "noise", SIGNAL: "signal", ACCENT: "accent", ALTERNATE: "alternate",
}  # fmt: skip
STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D")

HALF, WIDE = 5.0, 10.4  # inches: two halves stand side by side where a wide figure spans the page
DPI = 72  # one unit of the SVG is one point

LOOK: dict[Any, Any] = {
    "axes.edgecolor": MUTED, "axes.facecolor": "none", "axes.grid": False, "axes.labelcolor": INK,
    "axes.labelsize": 9.5, "axes.linewidth": 0.7, "axes.spines.right": False, "axes.spines.top": False,
    "axes.titlecolor": INK, "axes.titlelocation": "left", "axes.titlesize": 10, "axes.unicode_minus": True,
    "figure.facecolor": "none", "font.family": "DejaVu Sans", "font.size": 9, "hatch.color": MUTED,
    "hatch.linewidth": 0.6, "legend.fontsize": 8.5, "legend.frameon": False, "legend.labelcolor": INK,
    "lines.linewidth": 1.3, "path.simplify": True, "path.simplify_threshold": 0.1, "svg.fonttype": "none",
    "svg.hashsalt": "sciml.report", "svg.image_inline": True, "text.color": INK, "text.parse_math": False,
    "text.usetex": False, "xtick.color": MUTED, "xtick.labelcolor": INK, "xtick.labelsize": 8.5,
    "xtick.major.width": 0.7, "xtick.minor.width": 0.5, "ytick.color": MUTED, "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5, "ytick.major.width": 0.7, "ytick.minor.width": 0.5,
}  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")


def drawn(draw: Callable[P, R]) -> Callable[P, R]:
    """Let a function draw in the look of the report, whatever style the user's matplotlib has."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(), warnings.catch_warnings():
            mpl.rcdefaults()
            mpl.rcParams.update(LOOK)
            # The browser has the letters that matplotlib's own font lacks: text stays text in the SVG.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            return draw(*args, **kwargs)

    return inside


def board(
    *, wide: bool = False, height: float = 2.9, rows: int = 1, columns: int = 1, **grid: Any
) -> tuple[Drawing, NDArray[Any]]:
    """Return an empty figure (half the page or all of it) and its axes, shape (rows, columns)."""
    figure = Drawing(figsize=(WIDE if wide else HALF, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    return figure, np.asarray(axes)


def finish(
    drawing: Drawing, *, title: str, description: str, table: Table, data: Mapping[str, Any] | None = None
) -> Figure:
    """Turn a drawing into a `Figure` of the report."""
    buffer = io.BytesIO()
    drawing.savefig(
        buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}, transparent=True
    )
    svg = _tidy(buffer.getvalue().decode("utf-8"), title=title, description=description)
    wide = bool(drawing.get_figwidth() > HALF)
    return Figure(svg=svg, title=title, description=description, table=table, data=dict(data or {}), wide=wide)


def _tidy(svg: str, *, title: str, description: str) -> str:
    """Strip what a page does not need, name what a screen reader does."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = _drop_unused_ids(svg)
    # Hundredths of a point are finer than any screen or printer.
    svg = re.sub(r"(-?\d+\.\d\d)\d+", r"\1", svg)
    svg = re.sub(r"(?<=[\d.\"]) \n| *\n(?=[LMCQz])", " ", svg)
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    for color, name in VARIABLES.items():
        svg = svg.replace(color, f"var(--{name},{color})")
    svg = re.sub(r"data:image/png;base64,\s*([\w+/=\s]+)", lambda found: _small_picture(found[1]), svg)
    box = re.search(r'viewBox="[^"]*"', svg)
    view = box.group() if box else ""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view} '
        'role="img" aria-labelledby="title desc" style="stroke-linejoin:round;stroke-linecap:butt" '
        "font-family=\"system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif\">"
        f'<title id="title">{escape(clean(title))}</title><desc id="desc">{escape(clean(description))}</desc>'
    )
    return head + svg[svg.index(">") + 1 :].strip()


def _small_picture(encoded: str) -> str:
    """Store a picture by its palette, exactly: maps have at most 256 colors, and then a pixel is one byte."""
    pixels = np.asarray(Image.open(io.BytesIO(b64decode(encoded))).convert("RGBA"))
    colors, place = np.unique(pixels.reshape(-1, 4), axis=0, return_inverse=True)
    if len(colors) > 256:
        return "data:image/png;base64," + "".join(encoded.split())
    picture = Image.fromarray(place.reshape(pixels.shape[:2]).astype(np.uint8), mode="P")
    picture.putpalette(colors.tobytes(), rawmode="RGBA")
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode("ascii")


def _drop_unused_ids(svg: str) -> str:
    """Remove ids that nothing refers to: matplotlib names every group, and a page may hold many drawings."""
    used = set(re.findall(r'(?:url\(#|href="#)([\w.-]+)', svg))
    return re.sub(r' id="([\w.-]+)"', lambda found: found.group() if found.group(1) in used else "", svg)


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
    axes.grid(visible=True, axis="y" if axis == "y" else "x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
