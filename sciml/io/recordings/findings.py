"""What is odd about the signals of a file that is listed: no values are read, and a part of the clocks."""

from __future__ import annotations

from collections.abc import Sequence

from sciml.io.hdf5.issues import Issue, Remark, as_issue, code_of, counted, together
from sciml.io.hdf5.tree import Tree
from sciml.io.schema.clock import Clock, RegularSegments, Timestamps
from sciml.io.schema.declarations import Signal
from sciml.io.schema.listing import SignalInfo

__all__ = ["aliases", "of_signals"]

MAX_RATIO = 1000  # values of a recording have noise and do not compress that far
DRIFT = 0.01  # of a clock, beyond which its first stamps do not foretell its last
TIMES_READ = 2**22  # time stamps that are read when a file is listed, to see whether they rise


def of_signals(signals: Sequence[Signal], infos: Sequence[SignalInfo]) -> list[Issue]:
    """Return what is odd about signals, each thing once, with those that it is true of."""
    affected: dict[Issue, list[str]] = {}
    order = _Order()
    for signal, listed in zip(signals, infos, strict=True):
        for issue in map(as_issue, (*signal.notes, *_troubles(signal, listed, order))):
            affected.setdefault(issue, []).append(signal.path)
    return list(together(affected))


class _Order:
    """What is odd about the order of clocks: each is looked at once, whole while there is room for its stamps."""

    def __init__(self) -> None:
        self.room = TIMES_READ
        self.known: dict[tuple[Clock, int], Issue | None] = {}

    def __call__(self, clock: Clock, size: int) -> Issue | None:
        if (clock, size) not in self.known:
            whole = size <= self.room
            self.room -= size if whole and isinstance(clock, Timestamps) else 0
            self.known[clock, size] = clock.oddity(size, whole=whole)
        return self.known[clock, size]


def _troubles(signal: Signal, listed: SignalInfo, order: _Order) -> list[Issue]:
    found: list[Issue] = []
    trouble: Remark | None = signal.problem or signal.data.read_error()
    if trouble is None and signal.clock is not None and signal.shape:
        trouble = signal.clock.problem(signal.shape[0])
    if trouble:
        found.append(Issue(code_of(trouble, "unreadable"), f"cannot be read: {trouble}"))
    elif signal.clock is not None and signal.shape and (odd := order(signal.clock, signal.shape[0])):
        found.append(odd)
    elif gaps := _gaps(signal, listed):
        found.append(gaps)
    if signal.raw_unit and not signal.unit:
        found.append(Issue("blank_unit", f"the unit {signal.raw_unit!r} says nothing; taken as none"))
    if trouble is None and signal.data.n_bytes > MAX_RATIO * signal.data.stored_bytes > 0:
        ratio = f"its {signal.data.n_bytes} bytes are stored in {signal.data.stored_bytes}: nearly all values are alike"
        found.append(Issue("compression_ratio", ratio))
    return found


def _gaps(signal: Signal, listed: SignalInfo) -> Issue | None:
    """Return what the clock says of gaps and of drift, without reading all of it."""
    clock, size = signal.clock, signal.shape[0] if signal.shape else 0
    if isinstance(clock, RegularSegments) and len(clock.firsts) > 1:
        return Issue("gaps", f"the clock has {counted(len(clock.firsts) - 1, 'gap')}")
    if not isinstance(clock, Timestamps):
        return None
    rate, duration = listed.rate, listed.duration
    if rate is None or duration is None or abs(duration * rate - size) <= size * DRIFT + 1:
        return None
    span = f"its {size} samples span {duration:.6g} s, not {size / rate:.6g} s"
    last = clock.final_rate(size)
    if last is not None and abs(last - rate) > DRIFT * rate:
        return Issue("clock_drift", f"{span}: the rate changes from {rate:.6g} to {last:.6g} Hz")
    return Issue("gaps", f"{span}: the clock has gaps, or its rate changes") if duration * rate > size else None


def aliases(tree: Tree) -> list[Issue]:
    """Return a note on the objects that have several paths."""
    aliased = [node for node in tree if node.aliases]
    if not aliased:
        return []
    example = aliased[0]
    said = (
        f"{counted(len(aliased), 'object')} under several paths, counted once, for example "
        f"{example.path or '/'} = {example.aliases[0]}"
    )
    return [Issue("alias", said, example.path)]
