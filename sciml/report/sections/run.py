"""The report of a run, from question to score: findings and sections from a `RunRecord`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sciml.plot.scores import curve_names
from sciml.report.document.parts import Finding, Section, Table
from sciml.report.figures.learning import (
    before_after,
    confusion_figure,
    learning_curves,
    score_figure,
    skill_figure,
)
from sciml.report.figures.regression import told_figure, told_over_time
from sciml.report.figures.trust import reliability_figure, unit_strip
from sciml.report.record import Chance, Denoising, Evaluation, RunRecord, Score, SplitSummary
from sciml.report.sections.methods import initial_methods
from sciml.report.sections.trust import trust_text
from sciml.wording import clean, count, p_number, p_value, percent, quantity, sentence, times

if TYPE_CHECKING:  # only named here; the report of a recording loads no torch
    from sciml.train import FitResult

__all__ = ["fit_sections", "run_facts", "run_findings", "run_numbers", "split_section"]

SHOWN_OUTPUTS = 4  # of several numbers


def run_findings(run: RunRecord) -> tuple[Finding, ...]:
    """Return the verdict on the net, then what limits it."""
    found = [verdict(run.evaluation)] if run.evaluation.net is not None else []
    if run.split is not None:
        found.append(_split_finding(run.split))
        found += [Finding(f"{sentence(alarm)}", "problem") for alarm in run.split.alarms]
    if run.truth and run.noise_floor is not None and "rank" in run.truth:
        found.append(_truth_finding(int(run.truth["rank"]), run.noise_floor.rank))
    return (*found, *(Finding(clean(text), "caution") for text in run.warnings))


def verdict(scored: Evaluation) -> Finding:
    """Return whether the net beats chance and the best baseline, whichever way it went."""
    net, chance, best = scored.net, scored.chance, scored.best_baseline
    assert net is not None  # noqa: S101 - callers checked
    parts = [f"Held-out {scored.metric} {_with_interval(scored, net)}"]
    if chance is not None:
        band = f"{_value(scored, chance.low)} to {_value(scored, chance.high)}"
        parts.append(f"{chance.verdict} (band of guessing {band})")
    if scored.verdict:
        parts.append(scored.verdict)
    if chance is not None and chance.p_value is not None:
        parts.append(p_value(chance.p_value))
    text = ", ".join(parts)
    if best is not None:
        text += f"; {_against(scored, net, best)}"
    beaten = scored.numbers.get("net", {}).get("above_chance") if chance is None else chance.above
    numbers = {"value": net.value, "low": net.low, "high": net.high, "chance_band": chance and chance.band,
               "beats_chance": beaten, "best_baseline": best.name if best else None}  # fmt: skip
    return Finding(text + ".", "result" if beaten or (chance is None and not scored.verdict) else "caution", numbers)


def _value(scored: Evaluation, value: float) -> str:
    return percent(value) if scored.in_percent else f"{value:.3g}"


def _with_interval(scored: Evaluation, score: Score) -> str:
    text = _value(scored, score.value)
    if score.low is not None and score.high is not None:
        text += f" (95 % interval {_value(scored, score.low)} to {_value(scored, score.high)})"
    return text


def _against(scored: Evaluation, net: Score, best: Score) -> str:
    """Compare with the best baseline; a difference inside the net's own interval is called none."""
    other = f"{best.name} ({_value(scored, best.value)})"
    if net.low is not None and net.high is not None and net.low <= best.value <= net.high:
        return f"no clear difference from {other}"
    better = (net.value > best.value) == scored.greater_is_better and net.value != best.value
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
        f"No window of one part is closer than {quantity(split.gap, 's')} to a window of another in its file "
        f"(checked{found}). {sentence(split.unit_words)}",
        "note",
        numbers,
    )


def _truth_finding(truth: int, found: int) -> Finding:
    numbers = {"planted_rank": truth, "found_rank": found}
    if truth == found:
        return Finding(f"The true rank, {truth}, was found.", "note", numbers)
    return Finding(f"The true rank is {truth}; the noise floor found {found}.", "caution", numbers)


def run_facts(run: RunRecord) -> tuple[tuple[str, str], ...]:
    """Return the few values that place a run at a glance."""
    scored, found = run.evaluation, [("task", run.task)]
    if scored.net is not None:
        found.append((f"held-out {scored.metric}", _value(scored, scored.net.value)))
    if scored.chance is not None:
        found.append(("chance", _value(scored, scored.chance.level)))
    if scored.n_test is not None:
        found.append(("held-out windows", f"{scored.n_test:,}"))
    if run.model:
        found.append(("net", run.model))
    if run.n_parameters is not None:
        found.append(("parameters", f"{run.n_parameters:,}"))
    return tuple(found)


def run_numbers(run: RunRecord) -> dict[str, Any]:
    """Return scores, chance, split and truth by stable names."""
    scored, chance, split = run.evaluation, run.evaluation.chance, run.split
    return {
        "task": run.task,
        "metric": scored.metric,
        "scores": {s.name: {"value": s.value, "low": s.low, "high": s.high, "role": s.role} for s in scored.scores},
        "chance": {
            "level": chance and chance.level,
            "band": chance and chance.band,
            "p_value": chance and chance.p_value,
        },
        "n_test": scored.n_test,
        "n_parameters": run.n_parameters,
        "truth": dict(run.truth),
        "split": None if split is None else _split_numbers(split),
        "confusion": scored.confusion,
        "classes": scored.classes,
        "history": None if run.training is None else _history(run.training),
        "best_epoch": None if run.training is None else run.training.best_epoch,
    }


def _split_numbers(split: SplitSummary) -> dict[str, Any]:
    content = {**split.to_dict(), "dropped": split.n_dropped}
    del content["sha256"]
    return content


def split_section(run: RunRecord) -> Section:
    """Return the question, the input, and how it was parted."""
    tables = []
    if run.data:
        tables.append(Table("Input", ("property", "value"), tuple(run.data.items())))
    if run.split is not None:
        tables.append(_split_table(run.split))
        tables += _leakage_tables(run.split)
    return Section("Question and data", text=f"{run.question}{_split_text(run.split)}", tables=tuple(tables))


def _split_text(split: SplitSummary | None) -> str:
    if split is None:
        return ""
    dropped = f" {count(split.n_dropped, 'window').capitalize()} fell into gaps or between parts and were dropped." \
        if split.n_dropped else ""  # fmt: skip
    check = "This was verified on the windows." if split.checked else "This was not verified."
    return (
        f"\n\n{_parted(split)}, and windows of different parts stay at least {quantity(split.gap, 's')} apart inside "
        f"a file. {check}{dropped}"
    )


def _parted(split: SplitSummary) -> str:
    """Return how windows were parted, in a sentence without its end."""
    if "random" in split.unit:
        return "Windows were parted one by one at random (allow_leakage): these scores are no test"
    folds = f" in {len(split.folds)} folds, each unit tested once" if split.folds else ""
    return f"Windows were parted by {split.unit} (n = {split.n_units}){folds}, never by window"


def _split_table(split: SplitSummary) -> Table:
    classes = list(dict.fromkeys(name for counts in split.class_counts.values() for name in counts))
    rows = tuple(
        (part, n, *(split.class_counts.get(part, {}).get(name) for name in classes))
        for part, n in split.windows.items()
    )
    return Table("Windows of each part", ("part", "windows", *classes), rows)


def _leakage_tables(split: SplitSummary) -> Iterator[Table]:
    """Yield what was looked for that may leak, and what the folds tested."""
    found, session = split.leakage, split.leakage.get("session")
    if found:
        rows: list[tuple[Any, ...]] = [("kept whole", split.unit_words)]
        rows += [
            (f"{kind}s with windows in two parts", f"{each['in two parts']} of {each['n']}")
            for kind, each in found["units"].items()
        ]
        rows.append(("nearest windows of different parts", _nearest_words(found)))
        rows.append(("windows of validation or test that equal a train window", found["equal"]))
        if session is not None:
            rows.append(("session test", session["summary"]))
        rows.append(("alarms", "; ".join(split.alarms) or "none"))
        yield Table("What may leak from part to part", ("what", "found"), tuple(rows))
    if split.folds:
        columns = tuple(split.folds[0])
        cells = (tuple(each.values()) for each in split.folds)
        yield Table("Folds", columns, tuple(cells))


def _nearest_words(found: Mapping[str, Any]) -> str:
    return f"{quantity(found['nearest'], 's')}: {found['nearest_at']}" if found["nearest_at"] else "none in one file"


def fit_sections(run: RunRecord) -> Iterator[Section]:
    """Yield the sections from denoising to scores, those that the run has."""
    if run.denoising is not None:
        yield _denoising_section(run.denoising)
    if run.evaluation.scores:
        yield _score_section(run.evaluation)
    if run.training is not None or run.initialization is not None:
        yield _training_section(run)


def _denoising_section(done: Denoising) -> Section:
    removed = None if done.residual_p_value is None else p_number(done.residual_p_value)
    rows: list[tuple[str, Any]] = [
        ("variance left after denoising [%]", 100 * done.variance_kept),
        ("components above the floor in what was removed", done.residual_rank),
        ("p of the largest eigenvalue in what was removed", removed),
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


def _score_section(scored: Evaluation) -> Section:
    chance = scored.chance
    figures = [score_figure(scored)]
    if scored.confusion is not None:
        figures.append(confusion_figure(np.asarray(scored.confusion), classes=scored.classes))
    if scored.forecast is not None:
        figures.append(skill_figure(scored.forecast))
    if scored.reliability is not None:
        figures.append(reliability_figure(scored.reliability))
    if scored.by_unit is not None:
        figures.append(unit_strip(scored.by_unit))
    if scored.regression is not None:
        for k in range(min(SHOWN_OUTPUTS, len(scored.regression.names))):
            figures += [told_figure(scored.regression, k), told_over_time(scored.regression, k)]
    columns = ("model", scored.metric, "95 % from", "95 % to", "role")
    rows: list[tuple[Any, ...]] = [(s.name, s.value, s.low, s.high, s.role) for s in scored.scores]
    if chance is not None:
        rows.append(("chance", chance.level, *chance.band, "95 % band"))
    n = f" ({count(scored.n_test, 'window')})" if scored.n_test is not None else ""
    tested = f" {_tested_words(chance)}" if chance else ""
    text = f"On the held-out part{n}, which neither training nor the choice of the epoch has seen.{tested}"
    return Section(
        "Scores",
        text=f"{text}{trust_text(scored)}",
        figures=tuple(figures),
        tables=(Table(f"Held-out {scored.metric}", columns, tuple(rows)), *_worst(scored)),
    )


def _tested_words(chance: Chance) -> str:
    """Return whether the score is above chance, by which test."""
    if chance.p_value is None:
        return sentence(chance.note or chance.verdict)
    by = f", {chance.note}" if chance.note else ""
    return f"{sentence(f'{chance.verdict}: {p_value(chance.p_value)}{by}')}"


def _worst(scored: Evaluation) -> Iterator[Table]:
    """Yield the windows that were told worst, to be looked at."""
    if scored.worst:
        rows = tuple(tuple(each.values()) for each in scored.worst)
        yield Table("Held-out windows that were told worst", tuple(scored.worst[0]), rows)


def _training_section(run: RunRecord) -> Section:
    figures, tables, text = [], [], []
    if run.training is not None:
        text.append(_training_text(run, run.training))
        history = _history(run.training)
        figures = [
            learning_curves(history, quantity=kind, best_epoch=run.training.best_epoch)
            for kind in _curves(run.training.monitor, history)
        ]
    if run.initialization is not None:
        words, _ = initial_methods(run.initialization.method)
        text.append(
            " ".join(sentence(note) for note in (f"weights were initialized {words}", *run.initialization.notes))
        )
        tables.append(_init_table(run))
    return Section("Training", text="\n\n".join(text), figures=tuple(figures), tables=tuple(tables))


def _history(training: "FitResult") -> list[dict[str, Any]]:
    """Return what was measured in each epoch, the monitored value by its name."""
    name = f"validation_{training.monitor}"
    rows = [
        ({} if record.monitored is None else {name: record.monitored}) | vars(record) for record in training.history
    ]
    return [{key: value for key, value in row.items() if key != "monitored"} for row in rows]


def _curves(monitor: str, history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the quantities whose curves are shown: the loss, and the monitored one or accuracy."""
    return [kind for kind in dict.fromkeys(("loss", monitor, "accuracy")) if curve_names(history, kind)]


def _training_text(run: RunRecord, training: "FitResult") -> str:
    end = "; it stopped early" if training.stopped_early else ""
    size = f" ({run.n_parameters:,} parameters)" if run.n_parameters is not None else ""
    length = count(len(training.history), "epoch")
    folds = 0 if run.split is None else len(run.split.folds)
    first = f"Of {folds} folds the first is shown. " if folds else ""
    return (
        f"{first}The net {run.model}{size} trained for {length} in {quantity(training.seconds, 's')} on "
        f"{training.device}{end}. The weights of epoch {training.best_epoch}, the best "
        f"{training.monitor.replace('_', ' ')} on the validation part, were kept."
    )


def _init_table(run: RunRecord) -> Table:
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
