"""Reports: what was found, in words first, with the evidence, in one HTML file or one JSON document."""

from sciml.report.build import report
from sciml.report.cleaned import denoising_report
from sciml.report.document import Report
from sciml.report.parts import Figure, Finding, Section, Table
from sciml.report.runs import Denoising, Forecast, RunSummary, Score, SplitSummary, Training

__all__ = [
    "Denoising",
    "Figure",
    "Finding",
    "Forecast",
    "Report",
    "RunSummary",
    "Score",
    "Section",
    "SplitSummary",
    "Table",
    "Training",
    "denoising_report",
    "report",
]
