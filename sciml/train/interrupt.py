"""Signals: once means finish the step and save, twice means now."""

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]

ECHO = 1.0  # seconds within which torchrun hands on a Ctrl-C that the terminal has sent to its processes already


class Interrupts:
    """Note SIGINT and SIGTERM while the block runs; a second SIGINT raises KeyboardInterrupt at once.

    Handlers are set in the main thread only, not over a signal that is ignored, and always put back.

    Examples
    --------
    >>> before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    >>> with Interrupts() as interrupts:
    ...     signal.raise_signal(signal.SIGINT)
    ...     interrupts.received
    <Signals.SIGINT: 2>
    >>> _ = signal.signal(signal.SIGINT, before)
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled and threading.current_thread() is threading.main_thread()
        self.received: signal.Signals | None = None
        self._at = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        for number in (signal.SIGINT, signal.SIGTERM) if self.enabled else ():
            # None: a handler that Python did not set, and could not put back.
            if signal.getsignal(number) not in (None, signal.SIG_IGN):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 (the signature of a handler)
        echoed = "TORCHELASTIC_RUN_ID" in os.environ and time.monotonic() - self._at < ECHO
        if number == signal.SIGINT and self.received is not None and not echoed:
            raise KeyboardInterrupt
        self.received, self._at = signal.Signals(number), time.monotonic()
