"""The report on how a net starts: one start, or several side by side."""

from typing import Any

from sciml.report.document.report import Report
from sciml.report.leading import leading_figure
from sciml.report.sections.initialization import INIT_CITES, INIT_METHODS, comparison_findings, comparison_sections
from sciml.report.sections.methods import cite, versions

__all__ = ["initialization_report"]


def initialization_report(found: Any, *, title: str = "How the net starts") -> Report:
    """Report on the start of a net: signal and gradient over its depth beside theory, with a figure for each method.

    Parameters
    ----------
    found
        From `sciml.nn.propagation`, or from `sciml.pipeline.compare_initializations` for methods side by side.
    title
        Heading of the page.

    Examples
    --------
    >>> from sciml.nn.propagate import InitComparison, InitTrial
    >>> initialization_report(InitComparison("fcn", "64 windows", (InitTrial("taki", problem="no branches"),))).kind
    'initialization'
    """
    comparison = found if hasattr(found, "trials") else _alone(found)
    sections = comparison_sections(comparison)
    return Report(
        title=title,
        kind="initialization",
        subject=f"{comparison.net} on {comparison.data}",
        findings=comparison_findings(comparison),
        lead=leading_figure(sections),
        sections=sections,
        numbers=comparison.to_dict(),
        config=dict(comparison.settings),
        provenance={"versions": versions("torch")},
        methods=INIT_METHODS,
        references=cite(INIT_CITES),
    )


def _alone(found: Any) -> Any:
    from sciml.nn.propagate import InitComparison, InitTrial  # torch is loaded: the result came from a net

    return InitComparison("a net", "a batch", (InitTrial("as it is", found, found.notes),))
