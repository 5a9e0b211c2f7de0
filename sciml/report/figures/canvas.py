"""The drawing board: one look for all figures, and SVG that is small, themable, reproducible and accessible.

Figures are drawn with matplotlib's objects (never pyplot: no global state). What leaves this file is an `<svg>`
element with a title and a description, text kept as text, colors as CSS variables that the page may set (with the
drawn color as fallback), and ids that depend on nothing but the drawing.
"""

import io
import re
import warnings
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from functools import wraps
from html import escape
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray
from PIL import Image

from sciml.plot.scales import envelope, light_grid, log_ticks, number_ticks, power_label
from sciml.plot.style import MARKERS, STYLES
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.spacing import arrange
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

HALF, WIDE = 5.0, 10.4  # inches: two halves stand side by side where a wide figure spans the page
DPI = 72  # one unit of the SVG is one point

LOOK: dict[Any, Any] = {
    "axes.edgecolor": MUTED, "axes.facecolor": "none", "axes.grid": False, "axes.labelcolor": INK,
    "axes.labelsize": 9.5, "axes.linewidth": 0.7,
    "axes.prop_cycle": cycler(color=[ACCENT, SIGNAL, ALTERNATE, NOISE]),
    "axes.spines.right": False, "axes.spines.top": False, "axes.titlecolor": INK,
    "axes.titlelocation": "left", "axes.titlesize": 10, "axes.unicode_minus": True,
    "figure.facecolor": PAPER, "font.family": "DejaVu Sans", "font.size": 9, "grid.color": GRID, "hatch.color": MUTED,
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
    FigureCanvasSVG(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    return figure, np.asarray(axes)


def finish(
    drawing: Drawing, *, title: str, description: str, table: Table, data: Mapping[str, Any] | None = None
) -> Figure:
    """Turn a drawing into a `Figure` of the report."""
    buffer = io.BytesIO()
    arrange(drawing)
    drawing.patch.set_facecolor("none")  # the page shows through
    for ax in drawing.axes:
        ax.patch.set_facecolor("none")
    # Printing by `savefig` draws twice: the first time for a layout, which is made by now.
    canvas: Any = FigureCanvasSVG(drawing)
    canvas.print_svg(buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
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
