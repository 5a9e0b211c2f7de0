"""The parts of a report: findings, tables, figures, sections. Plain values that know nothing of how they are shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sciml.errors import ConfigError

__all__ = ["SCHEMA", "Content", "Figure", "Finding", "Section", "Severity", "Table"]

SCHEMA = "sciml.report/1"

Severity = Literal["result", "note", "caution", "problem"]


@dataclass(frozen=True)
class Finding:
    """One statement in words, with the numbers it was made from.

    `severity`: "result" answers the question, "note" adds to it, "caution" limits it, "problem" needs action.
    """

    text: str
    severity: Severity = "result"
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table of plain values; units stand in the column names. The first column names the row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ConfigError(
                    f"table {self.caption!r}: expected rows of {len(self.columns)} cells {self.columns}, got {row}; "
                    "give every row one value a column, None where there is none"
                )


@dataclass(frozen=True)
class Figure:
    """A drawing with its equivalents in words and numbers.

    `svg` is complete and accessible on its own; `table` holds the key numbers for readers who cannot see it (empty
    where there are none), `data` the plotted series for programs. `views` are drawings of the same size by name, to be
    shown in the same place one after the other: a change between two is seen where both are looked at in turn.
    """

    svg: str
    title: str
    description: str
    table: Table = Table("", (), ())
    data: Mapping[str, Any] = field(default_factory=dict)
    wide: bool = False
    views: Mapping[str, str] = field(default_factory=dict)

    def _repr_svg_(self) -> str:
        return self.svg


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs (blank lines part them), figures and tables."""

    title: str
    text: str = ""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass
class Content:
    """What stands in a report, whatever its form.

    Parameters
    ----------
    title, subject
        What was looked at, and one line on where it comes from.
    kind
        "recording", "noise floor", "weights", "run" or "denoising".
    findings
        The answer in sentences, most important first.
    lead
        The figure that shows the answer: it stands beside the first finding.
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
    lead: Figure | None = None
