"""Reports: what was found, in words first, with the evidence, in one HTML file or one JSON document."""

from sciml.report.build import report
from sciml.report.document.parts import Figure, Finding, Section, Table
from sciml.report.document.report import Report
from sciml.report.record import Denoising, Forecast, RunSummary, Score, SplitSummary, Training
from sciml.report.sections.denoising import denoising_report

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
