"""Figures of a fitted net: how it learned, how it scores beside chance and baselines, what it confuses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from sciml.plot.scores import confusion, curve_names, draw_before_after, learning_curve, part_of
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import (
    ACCENT,
    ALTERNATE,
    MARKERS,
    MUTED,
    NOISE,
    PAPER,
    SIGNAL,
    STYLES,
    board,
    drawn,
    finish,
    light_grid,
    number_ticks,
)
from sciml.report.record import Evaluation, Forecast, Score
from sciml.wording import clean, percent, series

__all__ = ["before_after", "confusion_figure", "learning_curves", "score_figure", "skill_figure"]

COLORS = (ACCENT, SIGNAL, ALTERNATE, MUTED)


@drawn
def learning_curves(
    history: Sequence[Mapping[str, Any]], *, quantity: str = "loss", best_epoch: int | None = None
) -> Figure:
    """Draw one quantity of the training history over epochs: a line for each part of the data that has it.

    Parameters
    ----------
    history
        One mapping an epoch, with `epoch` and keys such as `train_loss`, `validation_loss`.
    """
    epochs = np.array([row.get("epoch", i + 1) for i, row in enumerate(history)], dtype=np.float64)
    names = curve_names(history, quantity)
    curves = {name: np.array([row.get(name, np.nan) for row in history], dtype=np.float64) for name in names}
    figure, axes = board(height=3.0)
    learning_curve(history, axes[0, 0], quantity=quantity, best_epoch=best_epoch)
    words = quantity.replace("_", " ")
    picks = np.unique(np.linspace(0, len(epochs) - 1, 8).astype(int))
    return finish(
        figure,
        title=f"Learning curves: {words}",
        description=f"{_upper(series([part_of(n, quantity) for n in names]))} {words} over {len(epochs)} epochs"
        + (f"; the kept weights are those of epoch {best_epoch}." if best_epoch is not None else "."),
        table=Table(
            f"{words} at some epochs",
            ("epoch", *(part_of(n, quantity) for n in names)),
            tuple((int(epochs[i]), *(float(curves[n][i]) for n in names)) for i in picks),
        ),
        data={"epoch": epochs, **curves},
    )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


@drawn
def score_figure(scored: Evaluation) -> Figure:
    """Draw the net's score beside baselines, with intervals, over the band that chance alone reaches (95 %)."""
    scores, metric, in_percent = scored.scores, scored.metric, scored.in_percent
    band, level = (None, None) if scored.chance is None else (scored.chance.band, scored.chance.level)
    figure, axes = board(height=1.15 + 0.42 * len(scores))
    ax: Axes = axes[0, 0]
    if band is not None and level is not None:
        _draw_chance(ax, band, level)
    for row, score in enumerate(scores):
        _score_row(ax, row, score, in_percent=in_percent)
    number_ticks(ax.yaxis, range(len(scores)), [score.name for score in scores])
    ax.tick_params(axis="y", length=0)
    ends = [x for s in scores for x in (s.value, s.low, s.high) if x is not None] + list(band or ())
    span = (max(ends) - min(ends)) or abs(max(ends)) or 1.0
    ax.set_ylim(len(scores) - 0.45, -0.65)
    ax.set_xlim(*((0.0, 1.0) if in_percent else (min(ends) - 0.12 * span, max(ends) + 0.25 * span)))
    light_grid(ax, "x")
    ax.set_xlabel(f"{metric} [fraction of windows]" if in_percent else metric)
    rows = tuple((s.name, s.value, s.low, s.high, s.role) for s in scores)
    within = [_shown(end, in_percent) for end in band or ()]
    chance = f" Guesses of independent windows stay within {' to '.join(within)} (95 %)." if band else ""
    return finish(
        figure,
        title=f"Held-out {metric} beside baselines",
        description="; ".join(f"{s.name} {_shown(s.value, in_percent)}" for s in scores) + "." + chance,
        table=Table(f"Held-out {metric}", ("model", metric, "95 % from", "95 % to", "role"), rows),
        data={"chance_band": band, "chance_level": level},
    )


def _draw_chance(ax: Axes, band: tuple[float, float], level: float) -> None:
    ax.axvspan(*band, facecolor=NOISE, alpha=0.28, linewidth=0)
    ax.axvspan(*band, facecolor="none", edgecolor=MUTED, hatch="////", linewidth=0, alpha=0.45)
    middle = float(np.mean(band))
    ax.annotate("chance", (middle, 1.01), xycoords=("data", "axes fraction"), ha="center", fontsize=8.5)
    ax.axvline(level, color=MUTED, linewidth=1.0, linestyle=STYLES[1])


def _shown(value: float, in_percent: bool) -> str:
    return percent(value) if in_percent else f"{value:.3g}"


def _score_row(ax: Axes, row: int, score: Score, *, in_percent: bool) -> None:
    net = score.role == "model"
    color = SIGNAL if net else ACCENT
    if score.low is not None and score.high is not None:
        ax.plot([score.low, score.high], [row, row], color=color, linewidth=1.6, solid_capstyle="butt")
    ax.plot(
        score.value, row, "D" if net else "o", color=color if net else PAPER, markeredgecolor=color, markersize=7,
        markeredgewidth=1.4,
    )  # fmt: skip
    ax.annotate(
        _shown(score.value, in_percent), (score.value, row), xytext=(0, 8), textcoords="offset points", ha="center",
        fontsize=8.5, bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.8},
    )  # fmt: skip


@drawn
def confusion_figure(counts: NDArray[np.int64], *, classes: Sequence[str]) -> Figure:
    """Draw the confusion matrix: true classes in rows, predicted in columns, counts and fractions of the row."""
    n = len(classes)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = board(height=min(1.3 + 0.55 * n, 7.0))
    confusion(counts, axes[0, 0], classes=classes)
    right = int(np.trace(counts))
    return finish(
        figure,
        title="Confusion matrix",
        description=(
            f"Held-out windows by true class (rows) and predicted class (columns): {right} of {int(counts.sum())} "
            "on the diagonal. "
            + "; ".join(f"{c}: {percent(float(fractions[i, i]), 0)} right" for i, c in enumerate(classes))
            + "."
        ),
        table=Table(
            "Windows by true (row) and predicted (column) class",
            ("true", *(clean(c) for c in classes)),
            tuple((clean(c), *(int(x) for x in counts[i])) for i, c in enumerate(classes)),
        ),
        data={"classes": list(classes), "counts": counts},
    )


@drawn
def skill_figure(forecast: Forecast) -> Figure:
    """Draw the forecast skill 1 - error / error of the reference, over the horizon."""
    reference = forecast.mse[forecast.reference]
    figure, axes = board(height=3.0)
    ax: Axes = axes[0, 0]
    ax.axhline(0.0, color=MUTED, linewidth=1.0, linestyle=STYLES[1])
    ax.annotate(
        clean(forecast.reference), (1.0, 0.0), xycoords=("axes fraction", "data"), ha="right", va="bottom",
        fontsize=8.5, color=MUTED,
    )  # fmt: skip
    skills = {name: 1 - mse / reference for name, mse in forecast.mse.items() if name != forecast.reference}
    for i, (name, skill) in enumerate(skills.items()):
        ax.plot(
            forecast.horizon, skill, color=COLORS[(i + 1) % 4], linestyle=STYLES[i % 4], marker=MARKERS[i % 4],
            markersize=4, markevery=max(1, len(skill) // 12), label=clean(name),
        )  # fmt: skip
    light_grid(ax)
    ax.set_xlabel("horizon [s]")
    ax.set_ylabel(f"skill over {clean(forecast.reference)}")
    ax.legend(loc="best")
    picks = np.unique(np.linspace(0, len(forecast.horizon) - 1, 8).astype(int))
    rows = tuple((float(forecast.horizon[i]), *(float(s[i]) for s in skills.values())) for i in picks)
    return finish(
        figure,
        title="Forecast skill over the horizon",
        description=(
            f"One minus the mean squared error over that of {forecast.reference}: above zero is better than "
            f"{forecast.reference}, one is perfect. Averages: "
            + "; ".join(f"{name} {float(np.mean(skill)):.3g}" for name, skill in skills.items()) + "."
        ),
        table=Table("Skill at some horizons", ("horizon [s]", *skills), rows),
        data={"horizon_s": forecast.horizon, "mse": dict(forecast.mse), "reference": forecast.reference},
    )  # fmt: skip


@drawn
def before_after(
    time: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64], *, channel: str, units: str
) -> Figure:
    """Draw some samples of one channel as recorded and as denoised."""
    figure, axes = board(height=3.0)
    draw_before_after(time, before, after, axes[0, 0], label=f"{channel} [{units or 'units'}]")
    rows = tuple((name, float(np.nanstd(y)), float(np.nanmin(y)), float(np.nanmax(y)))
                 for name, y in (("recorded", before), ("denoised", after)))  # fmt: skip
    return finish(
        figure,
        title=f"Before and after: {channel}",
        description=f"{len(time)} samples of {channel} as recorded and as denoised, over time in seconds.",
        table=Table("These samples", ("trace", f"s.d. [{units}]", f"lowest [{units}]", f"highest [{units}]"), rows),
        data={"time_s": time, "recorded": before, "denoised": after},
    )
