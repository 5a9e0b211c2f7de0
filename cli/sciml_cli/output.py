"""How results are printed: aligned tables for people, one JSON document for programs, notes on stderr."""

import math
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import fields, is_dataclass
from typing import Any, TextIO, cast

import click

__all__ = [
    "alert",
    "emit",
    "escaped_output",
    "is_follower",
    "is_quiet",
    "note",
    "number",
    "plain",
    "printable",
    "progress_bar",
    "shell",
    "size",
    "table",
]

SCHEMA_VERSION = 1
SIGNIFICANT = 4


def emit(name: str, document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout; `schema` says which, NaN and infinity become null."""
    from sciml._printable import json_text

    rest = {key: value for key, value in document.items() if key != "schema"}
    body = {"schema": f"sciml.{name}/{SCHEMA_VERSION}", **rest}
    click.echo(json_text(plain(body), indent=2))


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yield a callback (done, in all) that draws a bar on stderr where that is a terminal; None elsewhere."""
    if is_quiet() or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    terminal = getattr(sys.stderr, "_stream", sys.stderr)  # the bar may move the cursor
    with Progress(console=Console(file=terminal), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def plain(value: Any) -> Any:
    """Return a value made of what JSON knows.

    Examples
    --------
    >>> plain({"edge": float("nan"), "shape": (2, 3)})
    {'edge': None, 'shape': [2, 3]}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if hasattr(value, "tolist"):  # numpy arrays and scalars, without importing numpy
        return plain(value.tolist())
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [plain(each) for each in value]
    return str(value)


def is_follower() -> bool:
    """Whether `torchrun` started this process beside others, of which the first speaks for all."""
    return os.environ.get("RANK", "0") != "0" and os.environ.get("WORLD_SIZE", "1") != "1"


def is_quiet() -> bool:
    """Whether the command that runs was called with `--quiet`, or leaves speaking to another process."""
    if is_follower():
        return True
    context = click.get_current_context(silent=True)
    return context is not None and bool(getattr(context.find_root().obj, "quiet", False))


def note(message: str) -> None:
    """Print a line about the work on stderr, unless `--quiet`."""
    if not is_quiet():
        alert(message)


def alert(message: str) -> None:
    """Print a warning or an error on stderr, `--quiet` or not."""
    click.echo(message, err=True)


def printable(text: str) -> str:
    r"""Return text on one line, with what is not seen as such spelled out: names in files are untrusted.

    Examples
    --------
    >>> printable("a\nb \x1b[31m")
    'a\\nb \\x1b[31m'
    """
    if text.isprintable():
        return text
    from sciml._printable import printable as spelled

    return spelled(text)


class _Escaping:
    """A stream of text that spells out what a terminal would obey, whoever writes to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if not text.replace("\n", "").isprintable():
            from sciml._printable import escaped

            text = escaped(text)
        return self._stream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)


@contextmanager
def escaped_output() -> Iterator[None]:
    """Spell out on stdout and stderr, while a command runs, what a terminal would obey."""
    with redirect_stdout(cast("TextIO", _Escaping(sys.stdout))), redirect_stderr(cast("TextIO", _Escaping(sys.stderr))):
        yield


def shell(*words: str) -> str:
    r"""Return words as a line that a shell takes apart again.

    Examples
    --------
    >>> shell("ls", "my file", "a\nb")
    "ls 'my file' $'a\\nb'"
    """
    quoted = (word.replace("\\", "\\\\").replace("'", "\\'") for word in words)
    return " ".join(
        shlex.quote(word) if word.isprintable() else f"$'{printable(safe)}'"
        for word, safe in zip(words, quoted, strict=True)
    )


def number(value: float | None, unit: str = "") -> str:
    """Return a number for people: four significant digits, units with the prefix that fits, `-` when there is none.

    Examples
    --------
    >>> number(0.123456, "s"), number(3.7812e-5, "V"), number(None)
    ('123.5 ms', '37.81 µV', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    if not unit:
        return f"{value:.{SIGNIFICANT}g}"
    from sciml.wording import quantity  # not at the start: `--help` loads no part of the library

    return quantity(value, unit, digits=SIGNIFICANT)


def size(n_bytes: float) -> str:
    """Return a number of bytes for people.

    Examples
    --------
    >>> size(3 * 2**20)
    '3.0 MiB'
    """
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} B" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} GiB"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return an aligned text table; columns of numbers are flush right.

    Examples
    --------
    >>> print(table(["layer", "rank"], [["net.0", 3], ["net.3", 12]]))
    layer  rank
    -----  ----
    net.0     3
    net.3    12
    """
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells), 0) for i, name in enumerate(columns)]
    right = [bool(cells) and all(_is_number(row[i]) for row in cells) for i in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        parts = (cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True))
        return "  ".join(parts).rstrip()

    return "\n".join([line(columns), line(["-" * width for width in widths]), *map(line, cells)])


def _is_number(cell: str) -> bool:
    return cell == "-" or cell.replace("%", "").replace(",", "").lstrip("-+<>= ")[:1].isdigit()
