from .comparison import compare_initializations
from .config import (
    Config,
    assign,
    load_config,
    to_toml,
    validate,
)
from .demonstration import demo
from .export.write import Exported, export_run
from .model import load_weights
from .prediction import Prediction, predict
from .report_target import report_on
from .runner import RunResult, dry_run, run
from .windows import DryRun

__all__ = [
    "Config",
    "DryRun",
    "Exported",
    "Prediction",
    "RunResult",
    "assign",
    "compare_initializations",
    "demo",
    "dry_run",
    "export_run",
    "load_config",
    "load_weights",
    "predict",
    "report_on",
    "run",
    "to_toml",
    "validate",
]
