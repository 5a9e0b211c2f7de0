"""What people read about a file: its overview, one signal in depth, its structure, its findings."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from sciml_cli.output import number, printable, shell, size, table

__all__ = ["findings", "overview", "signal", "tree"]

FAMILY = 4  # so many signals that differ in a number of their name alone are shown as one pattern
MANY = 12  # signals, tables and findings shown; `--json` has them all
LINES = 400  # of a tree
COMMANDS = 4  # suggested
WIDE = 100  # letters of a line
BARS = "▁▂▃▄▅▆▇█"
FIRST = ("title", "instrument", "start", "description")  # what the file says of itself, in this order


def overview(found: Any) -> str:
    """Return what is in a file, and the commands to look at it more closely."""
    families = _families(found.signals)
    parts = [*_head(found), *_about(found)]
    if families:
        parts += ["", _signals(families)]
    if found.reason:
        parts += ["", f"No signals: {found.reason}."]
    if found.tables:
        shown = [_table_row(each) for each in found.tables[: 2 * MANY]]
        parts += ["", table(("table", "rows", "columns"), shown), *_more(found.tables, 2 * MANY, "tables")]
    if found.findings:
        parts += ["", "Findings:", *_said(found.findings[:MANY]), *_more(found.findings, MANY, "findings")]
    parts += _next(found, families)
    return "\n".join(parts)


def findings(found: Any, said: Sequence[Any]) -> str:
    """Return all findings, the gravest first."""
    if not said:
        return "\n".join([*_head(found), "  Nothing odd was found."])
    order = {"error": 0, "warning": 1, "info": 2}
    ranked = sorted(said, key=lambda one: order[one.severity])
    return "\n".join([*_head(found), *(f"  {one.severity} ({one.code}): {one}" for one in ranked)])


def tree(found: Any, entries: Sequence[Any]) -> str:
    """Return the structure of a file, indented."""
    lines = [*_head(found), *(_entry(entry) for entry in entries[:LINES])]
    return "\n".join([*lines, *_more(entries, LINES, "objects")])


def signal(found: Any, detail: Any) -> str:
    """Return one signal in depth."""
    info = detail.info
    rows = {
        "kind": info.kind,
        "dims": " x ".join(f"{length} {dim}" for dim, length in zip(info.dims, info.shape, strict=True)),
        "stored as": f"{_dtype(info.dtype)}; {_layout(detail)}",
        "size": f"{size(info.memory_bytes)} in memory, {_on_disk(info)} on disk{_ratio(detail)}",
        "unit": info.unit or "none stated",
        "scale": detail.scale,
        "clock": detail.clock,
        "gaps": _gaps(detail),
        "values": _statistics(detail),
        "trace": _trace(detail.trace),
    }
    lines = [
        *_head(found),
        f"  {printable(info.path)}",
        *(f"    {key:<10}{printable(str(value))}" for key, value in rows.items() if value),
    ]
    lines += _block("coordinates", (_axis(axis) for axis in detail.coords))
    lines += _block("masked", (f"{why}: {count}" for why, count in _counts(detail.masks)))
    lines += _block("findings", (_line(one, 2 * WIDE) for one in detail.findings))
    lines += _block("notes", (_line(one, 2 * WIDE) for one in detail.notes if not _repeated(one, detail.findings)))
    if detail.statistics:
        choice = info.path if len(found.signals) != 1 else None
        lines += ["", "Next:", *(f"  {line}" for line in _report(found, choice, info.dims))]
    return "\n".join(lines).rstrip()


def _head(found: Any) -> list[str]:
    return [printable(f"{found.path}: {found.format}, {size(found.n_bytes)}")]


def _about(found: Any) -> list[str]:
    """Return what the file says of itself, what people ask first in front."""
    shown = dict(found.attrs)
    if shown.get("reference") == shown.get("start"):
        shown.pop("reference", None)
    durations = [each.duration for each in found.signals if each.duration is not None and math.isfinite(each.duration)]
    ordered = {key: shown.pop(key) for key in FIRST if key in shown}
    if durations:
        longest = {"duration": seconds(max(durations))}
        before = {key: value for key, value in ordered.items() if key != "description"}
        ordered = before | longest | ordered
    return [f"  {key}: {_line(value)}" for key, value in (ordered | shown).items()]


def _line(value: object, width: int = WIDE) -> str:
    text = printable(" ".join(str(value).split()))
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _said(said: Iterable[Any]) -> list[str]:
    return [f"  - {_line(one, 3 * WIDE)}" for one in said]


def _more(items: Sequence[Any], shown: int, what: str) -> list[str]:
    return [f"  and {len(items) - shown} more {what} (--json lists all)"] if len(items) > shown else []


def _families(signals: Any) -> dict[str, list[Any]]:
    """Return the signals by name; those that differ in numbers of their names alone under one pattern."""
    alike: dict[Any, list[Any]] = {}
    for each in signals:
        pattern = re.sub(r"\d+", "*", each.path)
        alike.setdefault((pattern, *_signal_row(each)[1:-2]), []).append(each)
    named: dict[str, list[Any]] = {}
    for (pattern, *_), group in alike.items():
        if len(group) >= FAMILY and pattern not in named:
            named[pattern] = group
        else:
            named |= {each.path: [each] for each in group}
    return named


def _signals(families: Mapping[str, Sequence[Any]]) -> str:
    columns = ("signal", "dims", "shape", "dtype", "unit", "rate", "duration", "memory", "disk")
    shown = list(families.items())[: 4 * MANY]
    counted = [
        (f"{name} ({len(group)} alike)" if len(group) > 1 else name, *_signal_row(group[0])[1:-2], *_sizes(group))
        for name, group in shown
    ]
    return "\n".join([table(columns, counted), *_more(list(families), 4 * MANY, "signals")])


def _signal_row(each: Any) -> tuple[object, ...]:
    shape = " x ".join(map(str, each.shape))
    rate, duration = hertz(each.rate), seconds(each.duration)
    return each.path, ", ".join(each.dims), shape, _dtype(each.dtype), each.unit or "-", rate, duration, *_sizes([each])


def _sizes(group: Sequence[Any]) -> tuple[str, str]:
    stored = sum(each.stored_bytes for each in group)
    return size(sum(each.memory_bytes for each in group)), size(stored) if stored else "-"


def _dtype(dtype: Any) -> str:
    if dtype.kind == "O":
        return "text"  # or rows of any length: what HDF5 stores outside of the array
    if dtype.names:
        parts = {str(dtype[name]) for name in dtype.names}
        return f"({', '.join(dtype.names)}) {parts.pop()}" if len(parts) == 1 else f"({', '.join(dtype.names)})"
    return str(dtype)


def hertz(rate: float | None) -> str:
    """Return a rate for people."""
    for factor, unit in ((1e9, "GHz"), (1e6, "MHz"), (1e4, "kHz")):
        if rate is not None and rate >= factor:
            return number(rate / (1e3 if unit == "kHz" else factor), unit)
    return number(rate, "Hz")


def seconds(duration: float | None) -> str:
    """Return a duration for people: microseconds to hours."""
    if duration is None or not math.isfinite(duration) or duration == 0:
        return number(duration, "s")
    for below, factor, unit in ((1e-3, 1e-6, "us"), (0.1, 1e-3, "ms"), (600, 1.0, "s"), (7200, 60.0, "min")):
        if abs(duration) < below:
            return number(duration / factor, unit)
    return number(duration / 3600, "h")


def _table_row(each: Any) -> tuple[object, ...]:
    return each.name, each.rows, _line(", ".join(each.columns), 60)


def _next(found: Any, families: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return commands that work on this file: one a signal to look at it, and a report of one that runs in time."""
    if not families:
        return ["", "Next:", f"  {shell('sciml', 'info', found.path, '--tree')}"]
    lines = [
        shell("sciml", "info", found.path, "--signal", group[0].path)
        for _, group in _ranked(found, families)[:COMMANDS]
    ]
    if len(families) > COMMANDS:
        lines[-1] += f"  # and so on, {len(families)} in all"
    lines.append(shell("sciml", "info", found.path, "--findings") + "  # looks at the values too")
    best = [] if "://" in str(found.path) else _best(found, families)  # reports are on files
    return ["", "Next:", *(f"  {line}" for line in [*lines, *best])]


def _ranked(found: Any, families: Mapping[str, Sequence[Any]]) -> list[tuple[str, Sequence[Any]]]:
    """Return the signals in the order in which people look: those that can be read, the default, in time, large."""
    broken = {one.path for one in found.findings if one.severity == "error"}

    def rank(item: tuple[str, Sequence[Any]]) -> tuple[bool, bool, bool, int]:
        first, n_bytes = item[1][0], sum(each.n_bytes for each in item[1])
        return first.path in broken, first.path != found.default, first.rate is None, -n_bytes

    return sorted(families.items(), key=rank)


def _best(found: Any, families: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return the command for a report of a signal in time that can be read, if there is one."""
    unreadable = {one.path for one in found.findings if one.severity == "error"}
    for name, group in _ranked(found, families):
        if group[0].dims[:1] != ("time",) or unreadable & {each.path for each in group}:
            continue
        if len(group) == 1 or _stacks(found.signals, name, group):
            choice = None if len(group) == 1 and group[0].path == found.default else name
            return _report(found, choice, group[0].dims)[:1]
    return []


def _report(found: Any, name: str | None, dims: Sequence[str]) -> list[str]:
    choice = [] if name is None else ["--signal", name]
    timed = [shell("sciml", "spectrum", "report", found.path, *choice, "-o", "report.html")]
    return [*timed[: dims[:1] == ("time",)], shell("sciml", "convert", found.path, *choice, "-o", "out.nc")]


def _stacks(signals: Sequence[Any], pattern: str, group: Sequence[Any]) -> bool:
    """Whether a pattern means these signals alone, and they share a clock, so that they open as one recording."""
    meant = sum(fnmatchcase(each.path, pattern) for each in signals)
    clocks = {(each.shape, each.rate, each.duration, None if each.stack == "trial" else each.start) for each in group}
    return bool(group[0].stack) and meant == len(group) and len(clocks) == 1


def _entry(entry: Any) -> str:
    indent = "  " * (entry.depth + 1)
    shape = "" if entry.shape is None else f"  {' x '.join(map(str, entry.shape)) or 'scalar'} {_line(entry.dtype, 40)}"
    marks = {"link": f"  -> {entry.target}", "alias": f"  = {entry.target}", "broken": f"  -> broken: {entry.target}"}
    note = f"  [{_line(entry.note, 60)}]" if entry.note else ""
    slash = "/" if entry.kind == "group" else ""
    return f"{indent}{_line(entry.name)}{slash}{shape}{marks.get(entry.kind, '')}{note}"


def _layout(detail: Any) -> str:
    if detail.chunks is None:
        return "in one piece"
    filters = f", {' + '.join(detail.filters)}" if detail.filters else ", not compressed"
    return f"chunks of {' x '.join(map(str, detail.chunks))}{filters}"


def _on_disk(info: Any) -> str:
    return size(info.stored_bytes) if info.stored_bytes else "nothing"


def _ratio(detail: Any) -> str:
    return f" ({detail.ratio:.3g} : 1)" if detail.ratio is not None and detail.filters else ""


def _gaps(detail: Any) -> str:
    if not detail.n_gaps:
        return ""
    shown = ", ".join(f"{start:.6g} .. {stop:.6g} s" for start, stop in detail.gaps)
    return f"{detail.n_gaps}: {shown}{', ...' if detail.n_gaps > len(detail.gaps) else ''}"


def _statistics(detail: Any) -> str:
    if not detail.statistics:
        return ""
    numbers = {name: value for name, value in detail.statistics.items() if name != "not_finite"}
    absent = detail.statistics["not_finite"]
    of = "all" if detail.n_sampled >= detail.n_values else f"{detail.n_sampled} of {detail.n_values}"
    words = ", ".join(f"{name} {number(value)}" for name, value in numbers.items())
    return f"{words or 'none is finite'}{f', {absent:.2%} not finite' if absent else ''} (of {of} values)"


def _trace(trace: Sequence[float]) -> str:
    """Return a line of bars."""
    finite = [value for value in trace if math.isfinite(value)]
    if len(finite) < 2 or max(finite) == min(finite):
        return ""
    low, high = min(finite), max(finite)
    bars = (
        BARS[min(int((value - low) / (high - low) * len(BARS)), len(BARS) - 1)] if math.isfinite(value) else " "
        for value in trace
    )
    return f"{''.join(bars)}  mean of the columns, {number(low)} to {number(high)}"


def _axis(axis: Any) -> str:
    unit = f" {axis.unit}" if axis.unit else ""
    return f"{axis.name} ({', '.join(axis.dims)}) {axis.dtype}{f'  {_line(axis.span)}{unit}' if axis.span else unit}"


def _counts(masks: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the reasons that leave something out; if none does, the first to say so."""
    some = [(why, count) for why, count in masks.items() if not count.startswith("0 ")]
    return some or list(masks.items())[:1]


def _repeated(note: str, said: Iterable[Any]) -> bool:
    return any(note in issue.message for issue in said)


def _block(title: str, lines: Iterable[str]) -> list[str]:
    listed = [f"      {line}" for line in lines]
    return [f"    {title}", *listed] if listed else []
