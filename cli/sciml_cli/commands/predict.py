"""`sciml predict RUN FILE -o OUT`: a trained run on another recording."""

from pathlib import Path
from typing import Any

import click

from sciml_cli.options import FILE, Command, json_option, net_option, overwrite_option, signal_option
from sciml_cli.output import emit, table

__all__ = ["predict"]

SHOWN = 5  # rows


@click.command("predict", cls=Command)
@click.argument("run", type=FILE)
@click.argument("file", type=FILE)
@click.option("-o", "--out", required=True, type=FILE, help="netCDF file to write.")
@signal_option
@click.option("--step", type=click.FloatRange(0, min_open=True), help="From window to window [s]; default at events.")
@click.option("--reorder", is_flag=True, help="Bring channels by their names into the order of training.")
@click.option(
    "--assume-channels", is_flag=True, help="Take the channels to be those of training, whatever their names."
)
@net_option
@overwrite_option
@json_option
def predict(
    run: Path,
    file: Path,
    out: Path,
    signal: str | None,
    step: float | None,
    reorder: bool,
    assume_channels: bool,
    net: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Apply the net of a run directory, or of an export, to FILE; write class probabilities, or forecasts, to OUT.

    FILE must have the channels, unit and sampling rate that the net was trained on. A window is marked where it lies
    beyond the range of those of training.
    """
    from sciml.pipeline.export import run_at
    from sciml.pipeline.load.pieces import pieces_of

    stored = run_at(run).config().data  # both before torch is loaded
    pieces_of(str(file), stored if signal is None else stored.model_copy(update={"signal": signal}))
    from sciml.pipeline import predict as apply

    found = apply(
        run,
        file,
        out,
        signal=signal,
        step=step,
        reorder=reorder,
        assume_channels=assume_channels,
        net=net,
        overwrite=overwrite,
    )
    data = found.dataset
    if as_json:
        emit("predict", {"out": out, **found.to_dict(), **_content(data)})
        return
    if "predicted" in data:
        best = data["probabilities"].max("class")
        rows = [
            (f"{float(t):.3f}", str(name), f"{float(p):.3f}")
            for t, name, p in zip(data["time"].values, data["predicted"].values, best.values, strict=True)
        ]
        click.echo(table(("time [s]", "predicted", "probability"), rows[:SHOWN]))
        if len(rows) > SHOWN:
            click.echo(f"... and {len(rows) - SHOWN} more")
    if "predicted_value" in data:
        click.echo(_values(data))
    click.echo(f"{out}: {found.summary()}")


def _range(value: float, low: float, high: float) -> str:
    return f"{value:.4g} ({low:.4g} to {high:.4g})"


def _values(data: Any) -> str:
    """Return the first numbers, with their intervals where there are some."""
    names, told = [str(name) for name in data["output"].values], data["predicted_value"].values[:SHOWN]
    ends = [data[name].values[:SHOWN] for name in ("predicted_low", "predicted_high") if name in data]
    cells = [[f"{value:.4g}" for value in row] for row in told]
    if ends:
        cells = [[_range(*each) for each in zip(*row, strict=True)] for row in zip(told, *ends, strict=True)]
    rows = [(f"{float(t):.3f}", *row) for t, row in zip(data["time"].values, cells, strict=False)]
    rest = data.sizes["window"] - SHOWN
    more = f"\n... and {rest} more" if rest > 0 else ""
    return f"{table(('time [s]', *names), rows)}{more}"


def _content(data: object) -> dict[str, object]:
    """Return times and predicted labels; forecasts are too large for a line of JSON and are in the file."""
    names = [name for name in ("time", "predicted", "in_training", "beyond_training") if name in data]  # type: ignore[operator]
    return {name: data[name].values for name in names}  # type: ignore[index]
