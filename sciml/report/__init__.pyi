from .build import (
    denoising_report,
    noise_floor_report,
    recording_report,
    report,
    run_report,
    weights_report,
)
from .document.parts import Figure, Finding, Section, Table
from .document.report import Report
from .initialization import initialization_report
from .record import (
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
from .together import together

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
