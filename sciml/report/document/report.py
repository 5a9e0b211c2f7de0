"""What a report is: findings first, then sections of figures and tables, then how it was made.

The document knows nothing of what it reports on. It becomes one HTML file or one JSON document with the same numbers.
"""

from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, Self, overload

from sciml import files
from sciml._printable import json_text
from sciml.report.document import page
from sciml.report.document.parts import SCHEMA, Content, Section
from sciml.report.document.plain import plain
from sciml.wording import clean

__all__ = ["Report"]


@dataclass(repr=False)
class Report(Content):
    """A finished report.

    Its fields are those of `Content`.

    Examples
    --------
    >>> from sciml.report import Finding
    >>> found = Report(title="Noise", kind="noise floor", findings=(Finding("1 component above the noise floor."),))
    >>> found.to_html().splitlines()[0]
    '<!doctype html>'
    """

    def summary(self) -> str:
        """Return the findings as lines of text, most important first.

        Examples
        --------
        >>> from sciml.report import Finding
        >>> Report(title="Noise", kind="recording", findings=(Finding("Nothing stands out."),)).summary()
        'Nothing stands out.'
        """
        return "\n".join(finding.text for finding in self.findings)

    def __repr__(self) -> str:
        return f"Report({self.title!r}, {self.kind!r}, {len(self.findings)} findings, {len(self.sections)} sections)"

    @overload
    def to_html(self, path: None = None) -> str: ...
    @overload
    def to_html(self, path: str | Path, *, overwrite: bool = False) -> Path: ...
    def to_html(self, path: str | Path | None = None, *, overwrite: bool = False) -> str | Path:
        """Return the report as one HTML page that needs no network and no script, or write it to `path`.

        Raises
        ------
        StorageError
            The file exists (and `overwrite` is False), its folder does not, or it could not be written in full;
            an older file then stays as it was.

        Examples
        --------
        >>> "<h1>Noise</h1>" in Report(title="Noise", kind="recording").to_html()
        True
        """
        text = page.render(self)
        return text if path is None else files.write_bytes(path, text.encode("utf-8"), overwrite=overwrite)

    @overload
    def to_json(self, path: None = None) -> str: ...
    @overload
    def to_json(self, path: str | Path, *, overwrite: bool = False) -> Path: ...
    def to_json(self, path: str | Path | None = None, *, overwrite: bool = False) -> str | Path:
        """Return the numbers of the report as one JSON document, or write it to `path`.

        Numbers that JSON cannot carry become null; `not_finite` lists where they stood (JSON pointers, RFC 6901)
        and what they were.

        Raises
        ------
        StorageError
            As in `to_html`.

        Examples
        --------
        >>> import json
        >>> json.loads(Report(title="Noise", kind="recording").to_json())["schema"]
        'sciml.report/1'
        """
        text = json_text(self.to_dict(), indent=1) + "\n"
        return text if path is None else files.write_bytes(path, text.encode("utf-8"), overwrite=overwrite)

    def add_figure(self, figure: Any, title: str, caption: str = "", *, section: str = "More figures") -> Self:
        """Add a figure of your own, and return this report.

        Parameters
        ----------
        figure
            A matplotlib figure, or axes of one. It is drawn as it is; where that takes more than 300 kB as vectors,
            as a picture.
        title, caption
            What it is, and what is to be seen in it; the caption is read out where the figure cannot be seen.
        section
            Where it stands: a section of the report, or a new one at its end.

        Raises
        ------
        ConfigError
            No matplotlib figure, or no title.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> figure = Figure()
        >>> line = figure.subplots().plot([1, 2, 4])
        >>> page = Report(title="Noise", kind="recording").add_figure(figure, "Growth", "It doubles.")
        >>> page.sections[-1].title, page.sections[-1].figures[0].title
        ('More figures', 'Growth')
        """
        from sciml.report.document.drawings import figure_of  # matplotlib: only once there is a figure

        added = figure_of(figure, title=title, caption=caption)
        names = [each.title for each in self.sections]
        if section not in names:
            self.sections = (*self.sections, Section(section, figures=(added,)))
        else:
            i = names.index(section)
            grown = replace(self.sections[i], figures=(*self.sections[i].figures, added))
            self.sections = (*self.sections[:i], grown, *self.sections[i + 1 :])
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return what `to_json` writes, as plain Python values.

        Examples
        --------
        >>> Report(title="Noise", kind="recording", numbers={"sigma": float("nan")}).to_dict()["not_finite"]
        {'/numbers/sigma': 'nan'}
        """
        content = {
            "schema": SCHEMA,
            "kind": self.kind,
            "title": self.title,
            "subject": self.subject,
            "facts": dict(self.facts),
            "findings": [asdict(finding) for finding in self.findings],
            "numbers": self.numbers,
            "sections": [_section_dict(section) for section in self.sections],
            "config": self.config,
            "provenance": self.provenance,
            "methods": self.methods,
            "references": self.references,
        }
        flags: dict[str, str] = {}
        document = plain(content, flags=flags)
        return {**document, "not_finite": flags}

    def _repr_html_(self) -> str:
        # A frame keeps the page's styles and the notebook's apart.
        return (
            f'<iframe title="{escape(clean(self.title))}" sandbox="allow-same-origin" loading="lazy" '
            f'style="width:100%;height:52rem;border:1px solid #8884;border-radius:6px" '
            f'srcdoc="{escape(self.to_html())}"></iframe>'
        )


def _section_dict(section: Section) -> dict[str, Any]:
    """All of a section but the drawings themselves."""
    figures = [
        {"title": f.title, "description": f.description, "table": asdict(f.table), "data": f.data}
        for f in section.figures
    ]
    tables = [asdict(table) for table in section.tables]
    return {"title": section.title, "text": section.text, "figures": figures, "tables": tables}
