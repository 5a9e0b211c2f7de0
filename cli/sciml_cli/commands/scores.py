"""The scores of a run in words: the net next to chance and to baselines, and what may leak."""

from collections.abc import Mapping
from typing import Any

from sciml_cli.output import table

__all__ = ["leakage_lines", "score_table", "verdict"]


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
    lines = [f"held-out part ({metrics['n_test']} windows)", "", table(task.columns, rows), ""]
    return "\n".join([*lines, *_verdict_lines(chance, metrics), *_split_lines(metrics.get("split") or {})]).rstrip()


def _verdict_lines(chance: Mapping[str, Any] | None, metrics: Mapping[str, Any]) -> list[str]:
    """Return whether the net is above chance, by which test."""
    from sciml.wording import p_value

    if metrics.get("verdict"):
        return [f"net: {metrics['verdict']}"]
    if chance is None or "verdict" not in chance:
        return []
    if chance["p_value"] is None:
        return [str(chance["test"])]
    return [f"{chance['verdict']}: {p_value(chance['p_value'])}, {chance['test']}"]


def _split_lines(split: Mapping[str, Any]) -> list[str]:
    """Return the unit of independence, and what may leak."""
    return [*filter(None, [split.get("independence")]), *leakage_lines(split.get("leakage") or {})]


def leakage_lines(found: Mapping[str, Any]) -> list[str]:
    """Return a line for each alarm, and for what sessions tell."""
    alarms = [f"leakage: {alarm}" for alarm in found.get("alarms", ())]
    session = found.get("session")
    told = [] if session is None or session["alarm"] else [f"sessions: {session['summary']}"]
    return [*alarms, *told]


def verdict(metrics: Mapping[str, Any]) -> bool:
    """Return whether the net is above chance, where there is one, no baseline beats it, and nothing leaks."""
    from sciml.pipeline.tasks.base import get_task

    task, net = get_task(metrics["task"]), metrics["net"]
    others = [found[task.score] for found in metrics["baselines"].values()]
    best = max(others) if task.greater_is_better else min(others)
    unbeaten = net[task.score] >= best if task.greater_is_better else net[task.score] <= best
    leaks = ((metrics.get("split") or {}).get("leakage") or {}).get("alarms")
    return bool(net.get("above_chance", True) and unbeaten and not leaks)
