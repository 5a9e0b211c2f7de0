"""The report of a run, from question to score: findings and sections from a `RunSummary`."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from sciml.report.document.parts import Finding, Section, Table
from sciml.report.document.wording import clean, count, p_value, percent, quantity, sentence, series, times
from sciml.report.figures.learning import (
    before_after,
    confusion_figure,
    curve_names,
    learning_curves,
    score_figure,
    skill_figure,
)
from sciml.report.record import Denoising, RunSummary, Score, SplitSummary, Training
from sciml.report.sections.methods import initial_methods

__all__ = ["fit_methods", "fit_sections", "run_facts", "run_findings", "run_numbers", "split_section"]


def run_findings(run: RunSummary) -> tuple[Finding, ...]:
    """Return the verdict on the net, then what limits it."""
    found = [verdict(run)] if _net(run) is not None else []
    if run.split is not None:
        found.append(_split_finding(run.split))
    if run.truth and run.noise_floor is not None and "rank" in run.truth:
        found.append(_truth_finding(int(run.truth["rank"]), run.noise_floor.rank))
    return (*found, *(Finding(clean(text), "caution") for text in run.warnings))


def _net(run: RunSummary) -> Score | None:
    return next((score for score in run.scores if score.role == "model"), None)


def verdict(run: RunSummary) -> Finding:
    """Return whether the net beats chance and the best baseline, whichever way it went."""
    net = _net(run)
    assert net is not None  # noqa: S101 - callers checked
    parts = [f"Held-out {run.metric} {_with_interval(run, net)}"]
    beaten = _beats_chance(run, net)
    if run.chance_band is not None and beaten is not None:
        band = f"{_value(run, run.chance_band[0])} to {_value(run, run.chance_band[1])}"
        parts.append(f"{'above' if beaten else 'not beyond'} the chance band ({band})")
    if run.chance_p_value is not None:
        parts.append(p_value(run.chance_p_value))
    text = ", ".join(parts)
    best = _best_baseline(run)
    if best is not None:
        text += f"; {_against(run, net, best)}"
    numbers = {"value": net.value, "low": net.low, "high": net.high, "chance_band": run.chance_band,
               "beats_chance": beaten, "best_baseline": best.name if best else None}  # fmt: skip
    return Finding(text + ".", "caution" if beaten is False else "result", numbers)


def _value(run: RunSummary, value: float) -> str:
    return percent(value) if run.metric == "accuracy" else f"{value:.3g}"


def _with_interval(run: RunSummary, score: Score) -> str:
    text = _value(run, score.value)
    if score.low is not None and score.high is not None:
        text += f" (95 % interval {_value(run, score.low)} to {_value(run, score.high)})"
    return text


def _beats_chance(run: RunSummary, net: Score) -> bool | None:
    if run.chance_band is None:
        return None
    return net.value > run.chance_band[1] if run.greater_is_better else net.value < run.chance_band[0]


def _best_baseline(run: RunSummary) -> Score | None:
    baselines = [score for score in run.scores if score.role == "baseline"]
    sign = 1 if run.greater_is_better else -1
    return max(baselines, key=lambda score: sign * score.value, default=None)


def _against(run: RunSummary, net: Score, best: Score) -> str:
    """Compare with the best baseline; a difference inside the net's own interval is called none."""
    other = f"{best.name} ({_value(run, best.value)})"
    if net.low is not None and net.high is not None and net.low <= best.value <= net.high:
        return f"no clear difference from {other}"
    better = (net.value > best.value) == run.greater_is_better and net.value != best.value
    return f"better than {other}, the best baseline" if better else f"{other} does better and is simpler: prefer it"


def _split_finding(split: SplitSummary) -> Finding:
    numbers = {"unit": split.unit, "n_units": split.n_units, "gap_s": split.gap, "checked": split.checked}
    if not split.checked:
        return Finding(
            "The distance between the parts of the split was not checked; the score may be too good.",
            "problem",
            numbers,
        )
    found = f", {quantity(split.smallest_gap, 's')} found" if split.smallest_gap is not None else ""
    return Finding(
        f"No window of one part is closer than {quantity(split.gap, 's')} to a window of another (checked{found}). "
        f"Unit of independence: {split.unit} (n = {split.n_units}).",
        "note",
        numbers,
    )


def _truth_finding(planted: int, found: int) -> Finding:
    numbers = {"planted_rank": planted, "found_rank": found}
    if planted == found:
        return Finding(f"The planted rank, {planted}, was found.", "note", numbers)
    return Finding(f"The planted rank is {planted}; the noise floor found {found}.", "caution", numbers)


def run_facts(run: RunSummary) -> tuple[tuple[str, str], ...]:
    """Return the few values that place a run at a glance."""
    net = _net(run)
    found: list[tuple[str, str]] = [("task", run.task)]
    if net is not None:
        found.append((f"held-out {run.metric}", _value(run, net.value)))
    if run.chance_level is not None:
        found.append(("chance", _value(run, run.chance_level)))
    if run.n_test is not None:
        found.append(("held-out windows", f"{run.n_test:,}"))
    if run.model:
        found.append(("net", run.model))
    if run.n_parameters is not None:
        found.append(("parameters", f"{run.n_parameters:,}"))
    return tuple(found)


def run_numbers(run: RunSummary) -> dict[str, Any]:
    """Return scores, chance, split and truth by stable names."""
    return {
        "task": run.task,
        "metric": run.metric,
        "scores": {s.name: {"value": s.value, "low": s.low, "high": s.high, "role": s.role} for s in run.scores},
        "chance": {"level": run.chance_level, "band": run.chance_band, "p_value": run.chance_p_value},
        "n_test": run.n_test,
        "n_parameters": run.n_parameters,
        "truth": dict(run.truth),
        "split": None if run.split is None else vars(run.split),
        "confusion": run.confusion,
        "classes": run.classes,
        "history": None if run.training is None else list(run.training.history),
        "best_epoch": None if run.training is None else run.training.best_epoch,
    }


def split_section(run: RunSummary) -> Section:
    """Return the question, the input, and how it was parted."""
    tables = []
    if run.data:
        tables.append(Table("Input", ("property", "value"), tuple(run.data.items())))
    if run.split is not None:
        tables.append(_split_table(run.split))
    return Section("Question and data", text=f"{run.question}{_split_text(run.split)}", tables=tuple(tables))


def _split_text(split: SplitSummary | None) -> str:
    if split is None:
        return ""
    dropped = f" {count(split.dropped, 'window').capitalize()} fell into gaps or between parts and were dropped." \
        if split.dropped else ""  # fmt: skip
    check = "This was verified on the windows." if split.checked else "This was not verified."
    return (
        f"\n\nThe recording was parted by {split.unit} (n = {split.n_units}), never by window, and windows of "
        f"different parts stay at least {quantity(split.gap, 's')} apart. {check}{dropped}"
    )


def _split_table(split: SplitSummary) -> Table:
    classes = list(dict.fromkeys(name for counts in split.class_counts.values() for name in counts))
    rows = tuple(
        (part, n, *(split.class_counts.get(part, {}).get(name) for name in classes))
        for part, n in split.windows.items()
    )
    return Table("Windows of each part", ("part", "windows", *classes), rows)


def fit_sections(run: RunSummary) -> Iterator[Section]:
    """Yield the sections from denoising to scores, those that the run has."""
    if run.denoising is not None:
        yield _denoising_section(run.denoising)
    if run.scores:
        yield _score_section(run)
    if run.training is not None or run.initialization is not None:
        yield _training_section(run)


def _denoising_section(done: Denoising) -> Section:
    rows: list[tuple[str, Any]] = [
        ("variance left after denoising [%]", 100 * done.variance_kept),
        ("components above the floor in what was removed", done.residual_rank),
        ("p of the largest eigenvalue in what was removed", done.residual_p_value),
        ("lag-1 autocorrelation of what was removed", done.residual_autocorrelation),
        ("relative error against the truth, before", done.error_before),
        ("relative error against the truth, after", done.error_after),
    ]
    known = tuple(row for row in rows if row[1] is not None)
    return Section(
        "Denoising",
        text=f"Method: {done.method}. {_residual_text(done)}".strip(),
        figures=(before_after(done.time, done.before, done.after, channel=done.channel, units=done.units),),
        tables=(Table("Before and after", ("quantity", "value"), known),),
    )


def _residual_text(done: Denoising) -> str:
    if done.residual_rank is None:
        return ""
    if done.residual_rank == 0:
        return "What was removed is indistinguishable from noise: no component of it stands above the floor."
    return (
        f"What was removed still holds {count(done.residual_rank, 'component')} above the floor: part of the signal "
        "went with the noise (shrinkage gives up what noise has blurred)."
    )


def _score_section(run: RunSummary) -> Section:
    figures = [score_figure(run.scores, metric=run.metric, band=run.chance_band, level=run.chance_level)]
    if run.confusion is not None:
        figures.append(confusion_figure(np.asarray(run.confusion), classes=run.classes))
    if run.forecast is not None:
        figures.append(skill_figure(run.forecast))
    columns = ("model", run.metric, "95 % from", "95 % to", "role")
    rows: list[tuple[Any, ...]] = [(s.name, s.value, s.low, s.high, s.role) for s in run.scores]
    if run.chance_level is not None:
        band = run.chance_band or (None, None)
        rows.append(("chance", run.chance_level, *band, "95 % band"))
    n = f" ({count(run.n_test, 'window')})" if run.n_test is not None else ""
    chance = f" Against chance: {p_value(run.chance_p_value)}." if run.chance_p_value is not None else ""
    return Section(
        "Scores",
        text=f"On the held-out part{n}, which neither training nor the choice of the epoch has seen.{chance}",
        figures=tuple(figures),
        tables=(Table(f"Held-out {run.metric}", columns, tuple(rows)),),
    )


def _training_section(run: RunSummary) -> Section:
    figures, tables, text = [], [], []
    if run.training is not None:
        text.append(_training_text(run, run.training))
        figures = [
            learning_curves(run.training.history, quantity=kind, best_epoch=run.training.best_epoch)
            for kind in _curves(run.training)
        ]
    if run.initialization is not None:
        words, _ = initial_methods(run.initialization.method)
        text.append(
            " ".join(sentence(note) for note in (f"weights were initialized {words}", *run.initialization.notes))
        )
        tables.append(_init_table(run))
    return Section("Training", text="\n\n".join(text), figures=tuple(figures), tables=tuple(tables))


def _curves(training: Training) -> list[str]:
    """Return the quantities whose curves are shown: the loss, and the monitored one or accuracy."""
    wanted = dict.fromkeys(("loss", training.monitor.removeprefix("validation_"), "accuracy"))
    return [kind for kind in wanted if curve_names(training.history, kind)]


def _training_text(run: RunSummary, training: Training) -> str:
    took = f" in {quantity(training.seconds, 's')}" if training.seconds is not None else ""
    end = "; it stopped early" if training.stopped_early else ""
    size = f" ({run.n_parameters:,} parameters)" if run.n_parameters is not None else ""
    length = count(len(training.history), "epoch")
    return (
        f"The net {run.model}{size} trained for {length}{took} on {training.device}{end}. The "
        f"weights of epoch {training.best_epoch}, the best {training.monitor} on the validation part, were kept."
    )


def _init_table(run: RunSummary) -> Table:
    assert run.initialization is not None  # noqa: S101 - the caller checked
    columns = ("layer", "kind", "shape", "law", "target n·Var(w)", "measured", "largest singular value", "expected",
               "mean square of its output", "note")  # fmt: skip
    rows = tuple(
        (
            x.name, x.kind, times(x.shape), x.law, x.sigma_w2, x.measured, x.largest_singular_value,
            x.edge, x.preactivation, x.note or None,
        )
        for x in run.initialization.layers
    )  # fmt: skip
    return Table("How the weights began", columns, rows)


def fit_methods(run: RunSummary) -> tuple[str, list[str]]:
    """Return the sentences on the fit and the keys of what they cite."""
    sentences: list[str] = []
    cites: list[str] = []
    if run.split is not None:
        counts = series(f"{n} for {part}" for part, n in run.split.windows.items())
        sentences.append(
            f"Windows ({counts}) were parted by {run.split.unit} with a gap of {quantity(run.split.gap, 's')}."
        )
    if run.model:
        words, cites = ("", []) if run.initialization is None else initial_methods(run.initialization.method)
        begun = f", initialized {words}," if words else ""
        sentences.append(
            f"A net of type {run.model}{begun} was trained on the first part; the epoch was chosen on the second."
        )
    if run.chance_band is not None:
        sentences.append(
            "Scores are compared with the 95 % band of chance for this many windows (Combrisson and Jerbi 2015)."
        )
        cites = [*cites, "combrisson"]
    return " ".join(sentences), cites
