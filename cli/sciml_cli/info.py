"""`sciml info FILE...`: what is in files, or why nothing is."""

from pathlib import Path
from typing import Any

import click

from sciml_cli.frame import FILE, Command, json_option
from sciml_cli.output import emit, note, number, table

__all__ = ["info"]

DATA = 3  # exit code where a file could not be described
MANY = 12  # tables and findings shown; `--json` has them all


@click.command("info", cls=Command)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@json_option
def info(files: tuple[Path, ...], as_json: bool) -> int:
    """List the signals of files: path, dims, shape, dtype, unit, rate, duration; or say why there are none.

    Reads structure and attributes only. Exits with 3 if a file is missing or is no HDF5; the others are still shown.
    """
    from sciml.errors import DataError
    from sciml.io import describe

    described: list[dict[str, Any]] = []
    code = 0
    for file in files:
        try:
            found = describe(file)
        except DataError as error:
            code = DATA
            described.append({"path": str(file), "error": str(error)})
            note(f"Error: {error}")
            continue
        described.append(vars(found))
        if not as_json:
            click.echo(_page(found) + "\n")
    if as_json:
        emit("info", {"files": described})
    return code


def _page(found: Any) -> str:
    """Return what people read about one file."""
    parts = [f"{found.path}: {found.format}", *(f"  {key}: {_line(value)}" for key, value in found.attrs.items())]
    if found.signals:
        parts += ["", _signals(found.signals)]
    if found.reason:
        parts += ["", f"No signals: {found.reason}."]
    if found.tables:
        parts += ["", table(("table", "rows", "columns"), [_table_row(each) for each in found.tables])]
    if found.findings:
        parts += ["", "Findings:", *(f"  - {text}" for text in found.findings[:MANY])]
        if len(found.findings) > MANY:
            parts.append(f"  - and {len(found.findings) - MANY} more (--json lists all)")
    parts += _next(found)
    return "\n".join(parts)


def _line(value: str) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else f"{text[:97]}..."


def _signals(signals: Any) -> str:
    columns = ("signal", "dims", "shape", "dtype", "unit", "rate", "duration")
    return table(columns, [_signal_row(each) for each in signals])


def _signal_row(each: Any) -> tuple[object, ...]:
    shape = " x ".join(map(str, each.shape))
    rate, duration = number(each.rate, "Hz"), number(each.duration, "s")
    return each.path, ", ".join(each.dims), shape, each.dtype, each.unit or "-", rate, duration


def _table_row(each: Any) -> tuple[object, ...]:
    return each.name, each.rows, _line(", ".join(each.columns))


def _next(found: Any) -> list[str]:
    """Return a command that works on this file, if one of its signals is a recording in time that can be read."""
    import shlex

    unreadable = [text.split(":")[0] for text in found.findings if "cannot be read" in text]
    timed = [each for each in found.signals if each.dims[:1] == ("time",) and each.path not in unreadable]
    if not timed:
        return []
    chosen = max(timed, key=lambda each: each.n_bytes)
    choice = [] if len(found.signals) == 1 else ["--signal", chosen.path]
    return ["", "Next: " + shlex.join(["sciml", "spectrum", "report", found.path, *choice, "-o", "report.html"])]
