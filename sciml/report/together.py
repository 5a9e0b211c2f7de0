"""Several reports on one page, side by side."""

from collections.abc import Sequence
from dataclasses import replace

from sciml.errors import ConfigError
from sciml.report.document.parts import Figure, Finding, Section, Table
from sciml.report.document.report import Report

__all__ = ["together"]


def together(reports: Sequence[Report], *, title: str | None = None) -> Report:
    """Return one report of several: the answers first, then each section with the figures of all.

    Parameters
    ----------
    reports
        Two or more.
    title
        Default the number of them.

    Raises
    ------
    ConfigError
        Fewer than two.

    Examples
    --------
    >>> from sciml.report import Finding
    >>> days = [Report(title=day, kind="recording", findings=(Finding("Quiet."),)) for day in ("monday", "tuesday")]
    >>> [finding.text for finding in together(days).findings]
    ['monday: Quiet.', 'tuesday: Quiet.']
    """
    if len(reports) < 2:
        raise ConfigError(f"expected two reports or more to stand side by side, got {len(reports)}")
    names = _names(reports)
    pairs = list(zip(names, reports, strict=True))
    kinds = {each.kind for each in reports}
    return Report(
        title=title or f"{len(reports)} {'recordings' if kinds == {'recording'} else 'reports'} side by side",
        kind=kinds.pop() if len(kinds) == 1 else "several",
        subject=", ".join(names),
        findings=tuple(_finding(name, each.findings[0]) for name, each in pairs if each.findings),
        sections=(_answers(pairs), *_sections(pairs)),
        numbers={name: each.numbers for name, each in pairs},
        config={name: each.config for name, each in pairs},
        provenance={name: each.provenance for name, each in pairs},
        methods="\n\n".join(dict.fromkeys(each.methods for each in reports if each.methods)),
        references=tuple(dict.fromkeys(reference for each in reports for reference in each.references)),
    )


def _names(reports: Sequence[Report]) -> list[str]:
    """Return the titles, with a number where two are the same."""
    titles = [each.title for each in reports]
    return [title if titles.count(title) == 1 else f"{title} ({i + 1})" for i, title in enumerate(titles)]


def _answers(pairs: Sequence[tuple[str, Report]]) -> Section:
    """Return the leading figures, and the facts as a table with one column each."""
    labels = list(dict.fromkeys(label for _, each in pairs for label, _ in each.facts))
    rows = tuple((label, *(dict(each.facts).get(label) for _, each in pairs)) for label in labels)
    return Section(
        "Side by side",
        figures=tuple(_named(name, each.lead) for name, each in pairs if each.lead is not None),
        tables=(Table("Facts", ("property", *(name for name, _ in pairs)), rows),) if rows else (),
    )


def _finding(name: str, finding: Finding) -> Finding:
    return replace(finding, text=f"{name}: {finding.text}")


def _named(name: str, figure: Figure) -> Figure:
    return replace(figure, title=f"{name}: {figure.title}")


def _sections(pairs: Sequence[tuple[str, Report]]) -> list[Section]:
    found = []
    for title in dict.fromkeys(section.title for _, each in pairs for section in each.sections):
        parts = [(name, each.lead, part) for name, each in pairs for part in each.sections if part.title == title]
        found.append(
            Section(
                title,
                text="\n\n".join(f"{name}: {part.text}" for name, _, part in parts if part.text),
                figures=tuple(
                    _named(name, fig) for name, lead, part in parts for fig in part.figures if fig is not lead
                ),
                tables=tuple(
                    replace(t, caption=f"{name}: {t.caption}") for name, _, part in parts for t in part.tables
                ),
            )
        )
    return found
