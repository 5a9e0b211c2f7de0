"""The scores of a run in words: the net beside chance and beside baselines."""

from collections.abc import Mapping
from typing import Any

from sciml_cli.output import table

__all__ = ["score_table", "verdict"]


def score_table(metrics: Mapping[str, Any]) -> str:
    """Return the held-out scores of a run as a table, best first among the baselines."""
    from sciml.pipeline.tasks.base import get_task
    from sciml.wording import percent

    task, chance = get_task(metrics["task"]), metrics.get("chance")
    baselines = sorted(
        metrics["baselines"].items(), key=lambda item: float(item[1][task.score]), reverse=task.greater_is_better
    )
    rows = [(name, *task.row(found)) for name, found in (("net", metrics["net"]), *baselines)]
    if chance is not None:
        low, high = chance["band"]
        rows.append(("chance", percent(chance["level"]), f"{percent(low)} to {percent(high)}"))
    return f"held-out part ({metrics['n_test']} windows)\n\n{table(task.columns, rows)}"


def verdict(metrics: Mapping[str, Any]) -> bool:
    """Return whether the net beats chance, where there is one, and no baseline beats the net."""
    from sciml.pipeline.tasks.base import get_task

    task, net = get_task(metrics["task"]), metrics["net"]
    others = [found[task.score] for found in metrics["baselines"].values()]
    best = max(others) if task.greater_is_better else min(others)
    unbeaten = net[task.score] >= best if task.greater_is_better else net[task.score] <= best
    return bool(net.get("above_chance", True) and unbeaten)
