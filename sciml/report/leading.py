"""Which figure shows the answer: it stands on the first screen of the page."""

from collections.abc import Sequence

from sciml.report.document.parts import Figure, Section

__all__ = ["leading_figure"]


def leading_figure(sections: Sequence[Section], *names: str) -> Figure | None:
    """Return the first figure of the first of these sections that has one, else the first of all.

    Examples
    --------
    >>> figure = Figure("<svg></svg>", "Scores", "Bars.")
    >>> leading_figure([Section("Data"), Section("Scores", figures=(figure,))], "Training", "Scores").title
    'Scores'
    """
    by_title = {section.title: section.figures for section in sections}
    for name in names:
        if by_title.get(name):
            return by_title[name][0]
    return next((figure for section in sections for figure in section.figures), None)
