"""A report as one HTML page: escaped text, inline style, inline drawings, nothing from elsewhere."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from numbers import Real
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from sciml.report.document.parts import SCHEMA, Content, Figure, Section, Table
from sciml.wording import cell, clean, flatten

__all__ = ["render"]

# Severity is shown by word and shape, not by color alone.
GLYPHS = {"result": "◆", "note": "○", "caution": "▲", "problem": "■"}
KINDS = {
    "recording": "report on a recording", "noise floor": "report on a noise floor",
    "weights": "report on the weights of a net", "run": "report on a run",
    "denoising": "report on a denoised recording", "values": "report on the values of a recording",
    "several": "several reports",
}  # fmt: skip
MAX_ROWS = 400  # of a table on the page; the JSON form holds all


def render(report: Content) -> str:
    """Return the page as text."""
    figures = iter(range(1, 1000))
    page = _template("report.html.j2").render(
        report=_cleaned(report),
        kind=KINDS.get(report.kind, clean(report.kind)),
        generator=f"sciml {version('sciml')}",
        schema=SCHEMA,
        style=Markup(_style()),  # noqa: S704 - our own file
        findings=[
            {"severity": f.severity, "glyph": GLYPHS[f.severity], "text": clean(f.text)} for f in report.findings
        ],
        lead=None if report.lead is None else _figure(report.lead, next(figures)),
        sections=[_section(i, section, figures, report.lead) for i, section in enumerate(report.sections, 1)],
        methods=_paragraphs(report.methods),
        config=_pairs("Settings", report.config),
        provenance=_pairs("Origin", report.provenance),
        table=_table,
    )
    return clean(page)


def _loader() -> jinja2.PackageLoader:
    return jinja2.PackageLoader("sciml.report.document", "template")


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(loader=_loader(), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)


@cache
def _style() -> str:
    source, _, _ = _loader().get_source(_environment(), "style.css")
    return source


def _cleaned(report: Content) -> dict[str, Any]:
    return {
        "title": clean(report.title),
        "heading": _breakable(report.title),
        "subject": _breakable(report.subject),
        "facts": [(clean(label), _breakable(value)) for label, value in report.facts],
        "methods": report.methods,
        "references": [clean(reference) for reference in report.references],
    }


def _breakable(text: object) -> Markup:
    """Return text that may break after the joints of a path, and within words as long as a hash, but in no other."""
    spaced = re.sub(r"\w{32,}", lambda found: "\0".join(textwrap.wrap(found[0], 16)), clean(text))
    return Markup("<wbr>").join(re.split(r"\0|(?<=[/_.×+-])(?=\w)", spaced))


def _paragraphs(text: str) -> list[str]:
    return [clean(part) for part in text.split("\n\n") if part.strip()]


def _section(number: int, section: Section, figures: Any, lead: Figure | None) -> dict[str, Any]:
    return {
        "id": f"s{number}",
        "title": clean(section.title),
        "paragraphs": _paragraphs(section.text),
        # The page has the leading figure on its first screen: it is not drawn a second time.
        "figures": [_figure(figure, next(figures)) for figure in section.figures if figure is not lead],
        "tables": section.tables,
    }


def _figure(figure: Figure, number: int) -> dict[str, Any]:
    views = {"all": figure.svg, **figure.views} if figure.views else {"": figure.svg}
    return {
        "id": f"f{number}",
        "title": clean(figure.title),
        "description": clean(figure.description),
        "wide": figure.wide,
        "table": figure.table,
        "views": [
            (clean(name), _inline(svg, f"f{number}{chr(97 + i)}-")) for i, (name, svg) in enumerate(views.items())
        ],
    }


def _inline(svg: str, prefix: str) -> Markup:
    """Return the drawing with ids that no other drawing of the page has."""
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}", svg)
    svg = svg.replace('aria-labelledby="title desc"', f'aria-labelledby="{prefix}title {prefix}desc"', 1)
    return Markup(svg)  # noqa: S704 - made by our own canvas, which escapes all text


def _table(table: Table) -> Markup:
    """Return a table as HTML, its cells escaped."""
    columns = [
        {"name": _breakable(name), "numeric": _numeric([row[i] for row in table.rows])}
        for i, name in enumerate(table.columns)
    ]
    rows = [[_breakable(cell(_native(value))) for value in row] for row in table.rows[:MAX_ROWS]]
    caption = clean(table.caption)
    if len(table.rows) > MAX_ROWS:
        caption += f" (first {MAX_ROWS} of {len(table.rows):,}; all are in the JSON form)"
    text = _template("table.html.j2").render(table={"caption": caption, "columns": columns, "rows": rows})
    return Markup(text.strip())  # noqa: S704 - rendered with autoescape


def _native(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def _numeric(values: Sequence[Any]) -> bool:
    """Tell whether a column holds numbers (or nothing) throughout."""
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, Real) and not isinstance(value, bool) for value in known)


def _pairs(caption: str, mapping: Mapping[str, Any]) -> Table | None:
    """Return a nested mapping as a table of dotted names and values."""
    rows = tuple((name, value) for name, value in flatten(mapping) if value not in (None, "", {}, [], ()))
    return Table(caption, ("name", "value"), rows) if rows else None
