"""The whole journey from one validated configuration to a run directory, and from there to predictions.

Names load on first use, so that a mistake in a configuration is found before torch is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sciml.pipeline.config import Config, assign, load_config, to_toml, validate
    from sciml.pipeline.demonstration import demo
    from sciml.pipeline.health import Health, examine
    from sciml.pipeline.journey import RunResult, dry_run, run
    from sciml.pipeline.nets import load_weights
    from sciml.pipeline.prediction import Prediction, predict
    from sciml.pipeline.prepare import DryRun
    from sciml.pipeline.reporting import report_on

_WHERE = {
    "Config": "config",
    "DryRun": "prepare",
    "Health": "health",
    "Prediction": "prediction",
    "RunResult": "journey",
    "assign": "config",
    "demo": "demonstration",
    "dry_run": "journey",
    "examine": "health",
    "load_config": "config",
    "load_weights": "nets",
    "predict": "prediction",
    "report_on": "reporting",
    "run": "journey",
    "to_toml": "config",
    "validate": "config",
}

__all__ = [
    "Config",
    "DryRun",
    "Health",
    "Prediction",
    "RunResult",
    "assign",
    "demo",
    "dry_run",
    "examine",
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
