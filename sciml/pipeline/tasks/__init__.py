"""What a net can be trained to do, by name: one file (`base.Task` says what it answers) and one line here each.

A task is loaded when it is asked for, so that a configuration is checked before torch is there.
"""

__all__ = ["TASKS"]

TASKS: dict[str, str] = {
    "classify": "sciml.pipeline.tasks.classify:Classify",
    "regress": "sciml.pipeline.tasks.regress:Regress",
    "forecast": "sciml.pipeline.tasks.forecast:Forecasting",
}


def __dir__() -> list[str]:
    return sorted(__all__)
