"""`sciml info FILE...`: what is in files, or why nothing is."""

import re
from pathlib import Path
from typing import Any

import click

from sciml_cli.frame import FILE, Command, json_option
from sciml_cli.output import emit, note, number, table

__all__ = ["info"]

DATA = 3  # exit code where a file could not be described
FAMILY = 4  # so many signals that differ in a number of their name alone are shown as one pattern
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
    families = _families(found.signals)
    if families:
        parts += ["", _signals(families)]
    if found.reason:
        parts += ["", f"No signals: {found.reason}."]
    if found.tables:
        parts += ["", table(("table", "rows", "columns"), [_table_row(each) for each in found.tables])]
    if found.findings:
        parts += ["", "Findings:", *(f"  - {text}" for text in found.findings[:MANY])]
        if len(found.findings) > MANY:
            parts.append(f"  - and {len(found.findings) - MANY} more (--json lists all)")
    parts += _next(found, families)
    return "\n".join(parts)


def _line(value: str) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else f"{text[:97]}..."


def _families(signals: Any) -> dict[str, list[Any]]:
    """Return the signals by name; those that differ in numbers of their names alone under one pattern."""
    alike: dict[Any, list[Any]] = {}
    for each in signals:
        pattern = re.sub(r"\d+", "*", each.path)
        alike.setdefault((pattern, *_signal_row(each)[1:]), []).append(each)
    named: dict[str, list[Any]] = {}
    for (pattern, *_), group in alike.items():
        if len(group) >= FAMILY and pattern not in named:
            named[pattern] = group
        else:
            named |= {each.path: [each] for each in group}
    return named


def _signals(families: dict[str, list[Any]]) -> str:
    columns = ("signal", "dims", "shape", "dtype", "unit", "rate", "duration")
    counted = [
        (f"{name} ({len(group)} alike)" if len(group) > 1 else name, *_signal_row(group[0])[1:])
        for name, group in families.items()
    ]
    return table(columns, counted)


def _signal_row(each: Any) -> tuple[object, ...]:
    shape = " x ".join(map(str, each.shape))
    rate, duration = number(each.rate, "Hz"), number(each.duration, "s")
    return each.path, ", ".join(each.dims), shape, each.dtype, each.unit or "-", rate, duration


def _table_row(each: Any) -> tuple[object, ...]:
    return each.name, each.rows, _line(", ".join(each.columns))


def _next(found: Any, families: dict[str, list[Any]]) -> list[str]:
    """Return a command that works on this file, if one of its signals is a recording in time that can be read."""
    import shlex

    unreadable = [text.split(":")[0] for text in found.findings if "cannot be read" in text]
    timed = {
        name: group
        for name, group in families.items()
        if group[0].dims[:1] == ("time",) and not {each.path for each in group} & set(unreadable)
    }
    for name in sorted(timed, key=lambda name: -sum(each.n_bytes for each in timed[name])):
        if len(timed[name]) == 1 or _stacks(found.path, name):
            choice = [] if timed[name][0].path == found.default else ["--signal", name]
            return [
                "",
                "Next: " + shlex.join(["sciml", "spectrum", "report", found.path, *choice, "-o", "report.html"]),
            ]
    return []


def _stacks(path: str, pattern: str) -> bool:
    """Whether the signals of a pattern share a clock, so that they open as one recording."""
    from sciml.errors import DataError
    from sciml.io import open_recording

    try:
        open_recording(path, pattern)
    except DataError:
        return False
    return True
