"""Initializations side by side in a report."""

import math
from typing import TYPE_CHECKING, Any

from sciml.report.document.parts import Finding, Section, Table
from sciml.report.figures.depth import depth_figure, depth_limits
from sciml.wording import series

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.nn.propagate import InitComparison, InitTrial

__all__ = ["INIT_CITES", "INIT_METHODS", "comparison_findings", "comparison_sections"]

INIT_CITES = ("schoenholz",)
INIT_METHODS = (
    "Each method started the same net, from the same seed. A batch of train windows and a random gradient were "
    "followed through it in double precision, norms with the statistics of the batch, dropout off. Theory is the "
    "mean-field limit of layers with weights of the variances that were drawn (Schoenholz et al. 2017), of a typical "
    "net of these widths, with a band of two standard deviations of the logarithm. Singular values are those of the "
    "Jacobian from the input on eight random directions: largest, root mean square, smallest."
)


def comparison_findings(found: "InitComparison") -> tuple[Finding, ...]:
    """Return in words which starts are sound, and what is wrong with the others."""
    sound = [trial.method for trial in found.trials if trial.found is not None and not trial.warnings]
    text = f"{series(sound)} {'starts' if len(sound) == 1 else 'start'} this net without a warning." if sound else (
        "No method starts this net without a warning."
    )  # fmt: skip
    first = [Finding(text, "result", {"sound": sound})]
    trained = _best(found)
    if trained is not None:
        name, rate, train, held_out = trained
        first.append(
            Finding(
                f"After {found.steps} steps the lowest held-out loss is {held_out:.4g}, from {name} at rate {rate:g} "
                f"(train loss {train:.4g}): the least of several runs of one seed, so no ranking of methods.",
                "result",
                {"method": name, "rate": rate, "train_loss": train, "held_out_loss": held_out},
            )
        )
    problems = [Finding(f"{trial.method}: {text}.", "caution") for trial in found.trials for text in trial.warnings] + [
        Finding(f"{trial.method} does not apply: {trial.problem}.", "note") for trial in found.trials if trial.problem
    ]
    return (*first, *problems)


def _best(found: "InitComparison") -> tuple[str, float, float, float] | None:
    known = [
        (trial.best.held_out_loss, trial.method, trial.best)
        for trial in found.trials
        if trial.best is not None and math.isfinite(trial.best.held_out_loss)
    ]
    if not known:
        return None
    loss, name, best = min(known, key=lambda each: each[0])
    return name, best.lr, best.train_loss, loss


def comparison_sections(found: "InitComparison") -> tuple[Section, ...]:
    """Return the table of all methods, a figure for each, and the losses of training."""
    shown = [(trial.method, trial.found) for trial in found.trials if trial.found is not None]
    limits = depth_limits([each for _, each in shown])
    figures = tuple(depth_figure(name, each, limits) for name, each in shown)
    notes = [f"{trial.method}: {'; '.join(trial.notes)}." for trial in found.trials if trial.notes]
    return (
        Section("Side by side", "\n\n".join([INIT_METHODS, *notes]), figures, (_overview(found),)),
        *([_losses(found)] if found.steps else []),
    )


def _overview(found: "InitComparison") -> Table:
    columns = ("method", "signal, end over start", "squared gradient, start over end", "correlation at the end",
               "singular values at the end", "warnings")  # fmt: skip
    return Table("Methods", columns, tuple(_overview_row(trial) for trial in found.trials))


def _overview_row(trial: "InitTrial") -> tuple[Any, ...]:
    if trial.found is None:
        return (trial.method, None, None, None, None, trial.problem)
    last = trial.found.stream[-1]
    values = last.singular_values
    span = f"{values[-1]:.3g} to {values[0]:.3g}" if values else None
    return (
        trial.method, _known(trial.found.growth), _known(trial.found.gradient_growth), _known(last.correlation), span,
        len(trial.warnings),
    )  # fmt: skip


def _losses(found: "InitComparison") -> Section:
    rows = tuple(
        (trial.method, each.lr, _known(each.train_loss), _known(each.held_out_loss))
        for trial in found.trials
        for each in trial.rates
    )
    columns = ("method", "learning rate", "train loss", "held-out loss")
    text = (
        f"{found.steps} steps from the same batches at a constant rate; the held-out loss is that of the validation "
        "part, and an empty cell a training that diverged."
    )
    return Section("Training", text, tables=(Table(f"Losses after {found.steps} steps", columns, rows),))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
