"""How results are printed: aligned tables for people, one JSON document for programs, notes on stderr."""

import math
import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import fields, is_dataclass
from typing import Any, TextIO, cast

import click

__all__ = [
    "alert",
    "emit",
    "escaped_output",
    "folded",
    "is_follower",
    "is_quiet",
    "is_verbose",
    "note",
    "number",
    "plain",
    "printable",
    "progress_bar",
    "say",
    "shell",
    "size",
    "spelled",
    "table",
    "terminal_width",
    "warn",
]

SCHEMA_VERSION = 1
SIGNIFICANT = 4
WARNINGS = "sciml_cli.warnings"  # in the context of a command, until it has answered
_ARGUMENT = re.compile(r"\b([a-z][a-z_]*)=[\"']([^\"']*)[\"']")
LEAST_TEXT = 10  # of a column of text, where others can be cut
LEAST_WIDTH = 20  # of a line, however narrow the terminal


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


def is_verbose() -> bool:
    """Whether the command that runs was called with `--verbose`."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(getattr(context.find_root().obj, "verbose", False))


def note(message: str) -> None:
    """Print a line about the work on stderr, unless `--quiet`."""
    if not is_quiet():
        alert(message)


def alert(message: str) -> None:
    """Print a warning or an error on stderr, `--quiet` or not."""
    click.echo(folded(message, sys.stderr), err=True)


def warn(message: str) -> None:
    """Print a warning on stderr once the command has answered, on one line, options as a command line spells them."""
    context = click.get_current_context(silent=True)
    line = f"warning: {spelled(' '.join(message.split()))}"
    if context is None:
        alert(line)
        return
    root = context.find_root()
    if WARNINGS not in root.meta:
        root.meta[WARNINGS] = []
        root.call_on_close(lambda: alert("\n".join(dict.fromkeys(root.meta[WARNINGS]))))
    root.meta[WARNINGS].append(line)


def say(text: str = "") -> None:
    """Print text for people on stdout, folded to the terminal."""
    click.echo(folded(text, sys.stdout))


def spelled(text: str) -> str:
    """Return text with arguments of Python as options of the command line.

    Examples
    --------
    >>> spelled('patterns="common" takes it out')
    '--patterns common takes it out'
    """
    return _ARGUMENT.sub(lambda found: f"--{found[1].replace('_', '-')} {found[2]}", text)


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

    On a terminal it is as wide as that at most: the widest columns are cut, with an ellipsis.

    Examples
    --------
    >>> print(table(["layer", "rank"], [["net.0", 3], ["net.3", 12]]))
    layer  rank
    -----  ----
    net.0     3
    net.3    12
    """
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    wanted = [max(len(name), *(len(row[i]) for row in cells), 0) for i, name in enumerate(columns)]
    right = [bool(cells) and all(_is_number(row[i]) for row in cells) for i in range(len(columns))]
    least = [
        max(len(row[i]) for row in cells) if r else min(w, LEAST_TEXT)
        for i, (r, w) in enumerate(zip(right, wanted, strict=True))
    ]
    widths = _fitted(wanted, least, terminal_width(sys.stdout))

    def line(row: Sequence[str]) -> str:
        short = (cell if len(cell) <= w else f"{cell[: max(w - 1, 0)]}…" for cell, w in zip(row, widths, strict=True))
        parts = (cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(short, widths, right, strict=True))
        return "  ".join(parts).rstrip()

    return "\n".join([line(columns), line(["-" * width for width in widths]), *map(line, cells)])


def terminal_width(stream: TextIO) -> int | None:
    """Return how many characters a line of the terminal behind a stream holds; None where there is no terminal."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def folded(text: str, stream: TextIO) -> str:
    """Return text with its lines folded between words to the width of the terminal; where there is none, as it is."""
    width = terminal_width(stream)
    if width is None:
        return text
    lines = (_fold(line, max(width, LEAST_WIDTH)) for line in text.split("\n"))
    return "\n".join(lines)


def _fold(line: str, width: int) -> str:
    indent = len(line) - len(line.lstrip())
    if len(line) <= width or line.lstrip().startswith("sciml "):  # a command is copied whole
        return line
    wrapper = textwrap.TextWrapper(
        width, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return wrapper.fill(line.strip())


def _fitted(widths: Sequence[int], least: Sequence[int], most: int | None) -> list[int]:
    """Return widths of columns that fit into a line: text is cut before numbers, the widest first."""
    if most is None:
        return list(widths)
    room = max(most, LEAST_WIDTH) - 2 * (len(widths) - 1)
    return _narrowed(_narrowed(widths, least, room), [1] * len(widths), room)


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Return widths of which none is below its least, narrowed until they fit or nothing is left to take."""
    fitted = list(widths)
    while sum(fitted) > room:
        width, widest = max((w if w > low else 0, i) for i, (w, low) in enumerate(zip(fitted, least, strict=True)))
        if not width:
            break
        fitted[widest] -= 1
    return fitted


def _is_number(cell: str) -> bool:
    return cell == "-" or cell.replace("%", "").replace(",", "").lstrip("-+<>= ")[:1].isdigit()
