"""The scores of an evaluation as a notebook shows them: a card in HTML, a table of pandas."""

from typing import TYPE_CHECKING, Any

from sciml.result import card
from sciml.wording import DASH, count, percent

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

__all__ = ["heading", "score_card", "score_frame", "verdict"]


def heading(found: Any) -> str:
    """Say what was evaluated."""
    return "Evaluation" + ("" if found.n_test is None else f": {count(found.n_test, 'held-out window')}")


def verdict(found: Any) -> str:
    """Say how the net stands to who knows nothing; empty where that is not known."""
    said = found.verdict or ("" if found.chance is None else found.chance.verdict)
    return f"net: {said}" if said else ""


def score_card(found: Any) -> str:
    """Return the scores as a piece of HTML."""
    rows = [(score.name, _number(found, score.value), _interval(found, score)) for score in found.scores]
    columns = ("model", f"held-out {found.metric}", "95 % interval")
    return card(heading(found), verdict(found) or found.summary(), columns, rows, " ".join(found.warnings[:2]))


def score_frame(found: Any) -> "pd.DataFrame":
    """Return the scores as a table, one row a model."""
    import pandas as pd

    columns = ["role", "value", "low", "high"]
    rows = [[getattr(score, name) for name in columns] for score in found.scores]
    return pd.DataFrame(rows, index=pd.Index([score.name for score in found.scores], name="model"), columns=columns)


def _number(found: Any, value: float) -> str:
    return percent(value) if found.in_percent else f"{value:.3g}"


def _interval(found: Any, score: Any) -> str:
    if score.low is None or score.high is None:
        return DASH
    return f"{_number(found, score.low)} to {_number(found, score.high)}"
