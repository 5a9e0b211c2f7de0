"""A matplotlib figure of the user's own as a figure of a report."""

import io
import re
from base64 import b64encode
from html import escape
from typing import Any

from matplotlib.figure import Figure as Drawing

from sciml.errors import ConfigError
from sciml.report.document.parts import Figure
from sciml.wording import clean

__all__ = ["figure_of"]

MOST_BYTES = 300_000  # of a drawing as vectors: a page stays below a megabyte
DPI = 110  # of a drawing as a picture
NARROW = 6.5  # inches up to which a figure takes half of the page


def figure_of(drawing: Any, *, title: str, caption: str) -> Figure:
    """Return a matplotlib figure, or the figure of axes, as one of a report, on the paper that it was drawn on."""
    figure = drawing if isinstance(drawing, Drawing) else getattr(drawing, "figure", None)
    if not isinstance(figure, Drawing):
        raise ConfigError(
            f"expected a matplotlib figure or axes, got {type(drawing).__name__}; sciml.plot's functions return axes"
        )
    if not clean(title).strip():
        raise ConfigError("expected a title for the figure, got none; say in a few words what it shows")
    svg = _vectors(figure)
    svg = _picture(figure) if len(svg) > MOST_BYTES else svg
    view = re.search(r'viewBox="[^"]*"', svg)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view[0] if view else ""} '
        f'role="img" aria-labelledby="title desc" style="stroke-linejoin:round;stroke-linecap:butt"><title id="title">'
        f'{escape(clean(title))}</title><desc id="desc">{escape(clean(caption))}</desc>'
    )
    wide = bool(figure.get_figwidth() > NARROW)
    return Figure(head + svg[svg.index(">") + 1 :].strip(), title, caption, wide=wide)


def _vectors(figure: Drawing) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue().decode("utf-8")
    # Scripts and links that a figure may carry have no place on a page that is handed on.
    text = re.sub(r"<script.*?</script>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
    return re.sub(r"<a xlink:href=\"[^\"]*\"[^>]*>|</a>", "", text)


def _picture(figure: Drawing) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    width, height = (DPI * each for each in figure.get_size_inches())
    data = b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}"><image width="{width:.0f}" height="{height:.0f}" '
        f'xlink:href="data:image/png;base64,{data}"/></svg>'
    )
