"""From one validated configuration to a run directory, and from there to predictions.

Names load on first use, so that a mistake in a configuration is found before torch is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sciml.pipeline.config import Config, assign, load_config, to_toml, validate
    from sciml.pipeline.demonstration import demo
    from sciml.pipeline.model import load_weights
    from sciml.pipeline.prediction import Prediction, predict
    from sciml.pipeline.report_target import report_on
    from sciml.pipeline.runner import RunResult, dry_run, run
    from sciml.pipeline.windows import DryRun

_WHERE = {
    "Config": "config",
    "DryRun": "windows",
    "Prediction": "prediction",
    "RunResult": "runner",
    "assign": "config",
    "demo": "demonstration",
    "dry_run": "runner",
    "load_config": "config",
    "load_weights": "model",
    "predict": "prediction",
    "report_on": "report_target",
    "run": "runner",
    "to_toml": "config",
    "validate": "config",
}

__all__ = [
    "Config",
    "DryRun",
    "Prediction",
    "RunResult",
    "assign",
    "demo",
    "dry_run",
    "load_config",
    "load_weights",
    "predict",
    "report_on",
    "run",
    "to_toml",
    "validate",
]


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name when it is first asked for."""
    if name in _WHERE:
        return getattr(import_module(f"sciml.pipeline.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'sciml.pipeline' has no attribute {name!r}; it has {', '.join(__all__)}")
