"""Reports: what was found, in words first, with the evidence, in one HTML file or one JSON document."""

from sciml.report.build import (
    denoising_report,
    noise_floor_report,
    recording_report,
    report,
    run_report,
    weights_report,
)
from sciml.report.document.parts import Figure, Finding, Section, Table
from sciml.report.document.report import Report
from sciml.report.initialization import initialization_report
from sciml.report.record import (
    Chance,
    Denoising,
    Evaluation,
    Forecast,
    Regression,
    Reliability,
    RunRecord,
    Score,
    SplitSummary,
    UnitScores,
)
from sciml.report.together import together

__all__ = [
    "Chance",
    "Denoising",
    "Evaluation",
    "Figure",
    "Finding",
    "Forecast",
    "Regression",
    "Reliability",
    "Report",
    "RunRecord",
    "Score",
    "Section",
    "SplitSummary",
    "Table",
    "UnitScores",
    "denoising_report",
    "initialization_report",
    "noise_floor_report",
    "recording_report",
    "report",
    "run_report",
    "together",
    "weights_report",
]
