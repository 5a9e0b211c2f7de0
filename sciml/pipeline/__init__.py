"""From one validated configuration to a run directory, and from there to predictions.

Names load on first use, so that a mistake in a configuration is found before torch is loaded.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from sciml.pipeline.comparison import compare_initializations
    from sciml.pipeline.config import Config, assign, load_config, to_toml, validate
    from sciml.pipeline.demonstration import demo
    from sciml.pipeline.export.write import Exported, export_run
    from sciml.pipeline.model import load_weights
    from sciml.pipeline.prediction import Prediction, predict
    from sciml.pipeline.report_target import report_on
    from sciml.pipeline.runner import RunResult, dry_run, run
    from sciml.pipeline.windows import DryRun

# No file is called as a function in it is: the module, once imported, would take the name of the function.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "comparison": ["compare_initializations"],
        "config": ["Config", "assign", "load_config", "to_toml", "validate"],
        "demonstration": ["demo"],
        "export.write": ["Exported", "export_run"],
        "model": ["load_weights"],
        "prediction": ["Prediction", "predict"],
        "report_target": ["report_on"],
        "runner": ["RunResult", "dry_run", "run"],
        "windows": ["DryRun"],
    },
)

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
