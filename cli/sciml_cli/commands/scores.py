"""The scores of a run in words: the net beside chance and beside baselines."""

from collections.abc import Mapping
from typing import Any

from sciml_cli.output import number, table

__all__ = ["score_table", "verdict"]


def score_table(metrics: Mapping[str, Any]) -> str:
    """Return the held-out scores of a run as a table, best first among the baselines."""
    classify = metrics["task"] == "classify"
    key = "accuracy" if classify else "error"
    baselines = sorted(metrics["baselines"].items(), key=lambda item: float(item[1][key]), reverse=classify)
    rows = [_row(name, found, classify) for name, found in (("net", metrics["net"]), *baselines)]
    if not classify:
        columns = ("model", "error / variance", "skill over persistence")
        return f"held-out part ({metrics['n_test']} windows)\n\n{table(columns, rows)}"
    low, high = metrics["chance"]["band"]
    rows.append(("chance", f"{metrics['chance']['level']:.3f}", f"{low:.3f} to {high:.3f}"))
    columns = ("model", "accuracy", "95 % interval")
    return f"held-out part ({metrics['n_test']} windows)\n\n{table(columns, rows)}"


def _row(name: str, found: Mapping[str, Any], classify: bool) -> tuple[str, ...]:
    if classify:
        low, high = found["interval"]
        return name, f"{found['accuracy']:.3f}", f"{low:.3f} to {high:.3f}"
    return name, number(found["error"]), number(found["mean_skill"])


def verdict(metrics: Mapping[str, Any]) -> bool:
    """Return whether the net beats chance, and no baseline beats the net."""
    if metrics["task"] == "classify":
        best = max(found["accuracy"] for found in metrics["baselines"].values())
        return bool(metrics["net"]["above_chance"]) and metrics["net"]["accuracy"] >= best
    return bool(metrics["net"]["error"] <= min(found["error"] for found in metrics["baselines"].values()))
