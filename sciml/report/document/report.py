"""What a report is: findings first, then sections of figures and tables, then how it was made.

The document knows nothing of what it reports on. It becomes one HTML file or one JSON document with the same numbers.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from html import escape
from pathlib import Path
from typing import Any, overload

import numpy as np

from sciml import files
from sciml.report.document import page
from sciml.report.document.parts import SCHEMA, Finding, Section
from sciml.report.document.wording import clean

__all__ = ["Report", "plain"]


@dataclass(frozen=True)
class Report:
    """A finished report.

    Parameters
    ----------
    title, subject
        What was looked at, and one line on where it comes from.
    kind
        "recording", "noise floor", "weights", "run" or "denoising".
    findings
        The answer in sentences, most important first.
    facts
        A few (label, value) pairs that place the subject at a glance.
    sections
        The evidence.
    numbers
        Key results by stable names, for programs; full arrays where they are the result.
    config, provenance
        The settings used; versions, hashes, files.
    methods, references
        A paragraph ready to paste, and the works it cites.

    Examples
    --------
    >>> found = Report(title="Noise", kind="noise floor", findings=(Finding("1 component above the noise floor."),))
    >>> found.to_html().splitlines()[0]
    '<!doctype html>'
    """

    title: str
    kind: str
    findings: tuple[Finding, ...] = ()
    sections: tuple[Section, ...] = ()
    subject: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    methods: str = ""
    references: tuple[str, ...] = ()

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
        >>> json.loads(Report(title="Noise", kind="recording").to_json())["schema"]
        'sciml.report/1'
        """
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        return text if path is None else files.write_bytes(path, text.encode("utf-8"), overwrite=overwrite)

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


def plain(value: Any, *, flags: dict[str, str], pointer: str = "") -> Any:
    """Return a value as JSON knows it; what is not finite becomes None and is noted in `flags` by its pointer.

    Examples
    --------
    >>> noted = {}
    >>> plain({"p": np.array([0.5, np.inf])}, flags=noted), noted
    ({'p': [0.5, None]}, {'/p/1': 'inf'})
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return _finite(value, flags, pointer)
    if isinstance(value, complex):
        return plain({"real": value.real, "imag": value.imag}, flags=flags, pointer=pointer)
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {clean(k): plain(v, flags=flags, pointer=f"{pointer}/{_token(k)}") for k, v in value.items()}
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple):
        return [plain(v, flags=flags, pointer=f"{pointer}/{i}") for i, v in enumerate(value)]
    return clean(value)


def _finite(value: float, flags: dict[str, str], pointer: str) -> float | None:
    if math.isfinite(value):
        return value
    flags[pointer] = "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return None


def _token(key: object) -> str:
    return clean(key).replace("~", "~0").replace("/", "~1")
