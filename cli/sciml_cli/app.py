"""The table of commands, and what each way of ending means: exit codes and messages."""

import contextlib
import errno
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import TextIO

import click

from sciml_cli.options import Entry, LazyGroup, State
from sciml_cli.output import escaped_output, is_follower, warn

__all__ = ["cli", "exit_on_sigterm", "run"]

UNEXPECTED, DATA, DISK, SIGINT, SIGTERM = 1, 3, 74, 130, 143

cli = LazyGroup(
    "sciml",
    help="From a laboratory recording in HDF5 to a model one can trust, and a report that shows why.",
    table={
        "info": Entry("sciml_cli.commands.info:info", "List the signals of files, or say why there are none."),
        "preprocess": Entry(
            "sciml_cli.commands.preprocess:preprocess", "Filter, reference, resample or cut a recording."
        ),
        "denoise": Entry("sciml_cli.commands.denoise.command:denoise", "Remove what the noise floor says is noise."),
        "fit": Entry("sciml_cli.commands.fit:fit", "Train a net on a recording and write a run directory."),
        "predict": Entry("sciml_cli.commands.predict:predict", "Apply a trained run to another recording."),
        "checkpoints": Entry("sciml_cli.commands.checkpoints:checkpoints", "List the checkpoints of a run."),
        "export": Entry("sciml_cli.commands.export:export", "Write a run's model as safetensors and JSON."),
        "spectrum": Entry(
            "sciml_cli.commands.spectrum:spectrum",
            "Spectra of recordings and nets: report, noise, weights, curvature.",
        ),
        "init": Entry("sciml_cli.commands.init:init", "Initializations of a net, side by side."),
        "datasets": Entry(
            "sciml_cli.commands.datasets:datasets", "Public and synthetic recordings: list, show, fetch, make."
        ),
        "demo": Entry("sciml_cli.commands.demo:demo", "Learn from a simulated recording whose truth is known."),
        "doctor": Entry("sciml_cli.commands.doctor:doctor", "Check this installation and this machine."),
        "convert": Entry("sciml_cli.commands.convert:convert", "Write a signal of any format as a netCDF recording."),
    },
    epilog="Exit codes: 0 ok, 2 usage, 3 data, 4 config, 5 checkpoint, 6 a strict finding, 7 diverged, "
    "71 a process that reads was killed, 74 disk, 75 interrupted but resumable, 130 and 143 stopped by a signal.",
)


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"sciml {version('sciml')}")
        ctx.exit()


cli.params.append(
    click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show it.")
)


def run(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; every ending has its message on stderr.

    Parameters
    ----------
    args
        The words after `sciml`; default those of the process.

    Examples
    --------
    >>> run(["--version"])  # doctest: +ELLIPSIS
    sciml ...
    0
    """
    with escaped_output():
        return _run(args)


def _run(args: Sequence[str] | None) -> int:
    """Run a command line; what is printed is escaped by now."""
    state = State()
    try:
        with _one_line_warnings():
            outcome = cli.main(args=args, prog_name="sciml", standalone_mode=False, obj=state)
            sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", SIGINT)
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return _close_stdout()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else UNEXPECTED
    except Exception as error:  # the front door: a user sees a sentence, whatever went wrong inside
        return _failed(error, debug=state.debug)
    return outcome if isinstance(outcome, int) else 0


def _failed(error: Exception, *, debug: bool) -> int:
    """Say in one sentence what went wrong, and return the exit code that belongs to it."""
    from sciml.errors import ProcessError, ScimlError, StorageError

    if isinstance(error, ProcessError) and is_follower():
        return error.exit_code  # the first process says it
    if debug:
        traceback.print_exception(error)
    if _disk_is_full(error) and not isinstance(error, StorageError):
        return _say(f"Error: the disk is full: {error}; free some space and run again", DISK)
    if isinstance(error, ScimlError):
        return _say(f"Error: {error}", error.exit_code)
    if isinstance(error, OSError):
        return _say(f"Error: {error}", DISK if isinstance(error, PermissionError) else DATA)
    return _say(f"Unexpected error: {type(error).__name__}: {error}; --debug shows where", UNEXPECTED)


def _disk_is_full(error: BaseException | None) -> bool:
    """Return whether an error, or one that it came from, is a full disk or quota."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        # HDF5 and torch wrap the system's error in one of their own, without its number
        if "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _say(message: str, code: int) -> int:
    with contextlib.suppress(BrokenPipeError):
        click.echo(message, err=True)
    return code


def _close_stdout() -> int:
    """Leave quietly when the reader of a pipe has gone (`sciml info FILE | head`)."""
    import os

    # Python flushes stdout once more at exit; give it somewhere to write
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


@contextlib.contextmanager
def _one_line_warnings() -> Iterator[None]:
    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        del category, filename, lineno, file, line
        if not is_follower():
            warn(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an ordinary exit, so that half-written files are cleaned up on the way out.

    For the process that is `sciml`. Whoever calls `run` from Python keeps the handler that is set, as a test runner
    does. A signal that is ignored stays so, and the handler that was there is put back.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    # None: a handler that Python did not set, and could not put back
    ours = threading.current_thread() is threading.main_thread() and before not in (None, signal.SIG_IGN)
    if not ours:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
