"""`sciml init compare CONFIG.toml`: the starts of a net side by side, on the user's own data."""

from pathlib import Path
from typing import Any

import click

from sciml_cli.options import FILE, Command, Entry, LazyGroup, json_option, overwrite_option
from sciml_cli.output import alert, emit, note, number, table

__all__ = ["compare", "init"]

init = LazyGroup(
    "init",
    help="Initializations of a net.",
    table={
        "compare": Entry(
            "sciml_cli.commands.init:compare", "Signal and gradient over depth, for every method side by side."
        ),
    },
)

HELP = """Start the net of CONFIG by every method, and show what becomes of signal and gradient on its train windows.

Theory stands beside the measurement, and warnings say in words which starts cannot be trained. The page has a figure
for each method. With --steps each start is trained for so many steps, from the same batches, at a few learning rates.

\b
sciml init compare RUN/config.toml
sciml init compare run.toml --method he --method taki --steps 60 -o starts.html
"""


@click.command("compare", cls=Command, help=HELP)
@click.argument("config", metavar="CONFIG.toml", type=FILE)
@click.option("-o", "--out", default="initialization.html", show_default=True, type=FILE, help="HTML page to write.")
@click.option("--method", "methods", metavar="NAME", multiple=True, help="Method, may be repeated. [default: all]")
@click.option("--steps", type=click.IntRange(0), default=0, show_default=True, help="Steps to train each start.")
@click.option("--rate", "rates", type=click.FloatRange(0, min_open=True), multiple=True,
              help="Learning rate, may be repeated. [default: 1e-4 3e-4 1e-3 3e-3]")  # fmt: skip
@click.option("--set", "assignments", metavar="KEY=VALUE", multiple=True,
              help="Set a key of the configuration, as model.name=resnet1d; may be repeated.")  # fmt: skip
@overwrite_option
@json_option
def compare(
    config: Path,
    out: Path,
    methods: tuple[str, ...],
    steps: int,
    rates: tuple[float, ...],
    assignments: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Compare initializations, as HELP says."""
    from sciml.pipeline import load_config

    settings = load_config(config, assignments)
    _refuse_existing(out, overwrite)
    from sciml.pipeline.load import check_inputs  # xarray: once the configuration is right

    check_inputs(settings)  # before torch is loaded
    from sciml.pipeline import compare_initializations
    from sciml.report import initialization_report

    chosen: dict[str, Any] = {"methods": list(methods) or None, "steps": steps, **({"rates": rates} if rates else {})}
    found = compare_initializations(settings, **chosen, progress=note)
    initialization_report(found).to_html(out, overwrite=overwrite)
    if as_json:
        emit("init-compare", {"page": out, **found.to_dict()})
    else:
        _show(found, out)


def _refuse_existing(path: Path, overwrite: bool) -> None:
    """Say that an output exists before the work, not after it."""
    from sciml.errors import StorageError

    if path.exists() and not overwrite:
        raise StorageError(f"{path} exists; choose another name, or replace it with --overwrite")


def _show(found: Any, out: Path) -> None:
    click.echo(f"{found.net} on {found.data}\n")
    losses = ("train loss", "held-out", "rate") if found.steps else ()
    columns = ("method", "signal", "theory", "gradient²", "theory ", "correlation", "sing. values", *losses)
    click.echo(table(columns, [_row(trial, bool(found.steps)) for trial in found.trials]))
    for trial in found.trials:
        for text in (*trial.warnings, *([f"does not apply: {trial.problem}"] if trial.problem else [])):
            alert(f"{trial.method}: {text}")
    click.echo(out)


def _row(trial: Any, trained: bool) -> tuple[object, ...]:
    losses: tuple[object, ...] = ("", "", "") if trained else ()
    if trial.best is not None:
        losses = (number(trial.best.train_loss), number(trial.best.held_out_loss), f"{trial.best.lr:g}")
    if trial.found is None:
        return (trial.method, "", "", "", "", "", "", *losses)
    first, last = trial.found.stream[min(1, len(trial.found.stream) - 1)], trial.found.stream[-1]
    values = last.singular_values
    return (
        trial.method,
        number(trial.found.growth),
        number(last.second_typical / first.second_typical if first.second_typical else None),
        number(trial.found.gradient_growth),
        number(first.gradient_typical),
        number(last.correlation),
        f"{values[-1]:.2g} to {values[0]:.2g}" if values else "",
        *losses,
    )
