"""The frame: what it costs to ask for help, and how each way of ending looks to a user and to a script."""

import errno
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from sciml_cli import app
from sciml_cli.options import Command, LazyGroup

HEAVY = ["numpy", "torch", "xarray", "sklearn", "scipy", "h5py", "rich", "pydantic", "matplotlib", "sciml"]


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules, sep='\\n', file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stderr.split())


@pytest.mark.parametrize(
    "words", [["--help"], ["fit", "--help"], ["spectrum", "--help"], ["spectrum", "report", "--help"]]
)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    loaded = loaded_after(f"from sciml_cli.app import run\nassert run({words!r}) == 0")
    assert "click" in loaded
    assert not loaded.intersection(HEAVY)


def cheapest(code: str, repeats: int = 5) -> float:
    script = f"import time; start = time.perf_counter()\n{code}\nprint('took', time.perf_counter() - start)"
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        for _ in range(repeats)
    ]
    return min(float(run.stdout.rsplit("took", 1)[1]) for run in runs)


def test_help_costs_less_than_0_15_s_beyond_importing_click() -> None:
    bare = cheapest("import click")
    ours = cheapest("from sciml_cli.app import run\nrun(['--help'])")
    assert ours - bare < 0.15


def test_help_lists_every_command_with_its_line(sciml) -> None:
    done = sciml("--help")
    assert done.code == 0
    for name, entry in app.cli.table.items():
        assert f"  {name} " in done.out
        assert entry.help.split()[0] in done.out


def test_every_entry_of_the_table_is_a_command_that_can_be_loaded() -> None:
    def walk(group: LazyGroup) -> None:
        context = click.Context(group)
        for name in group.table:
            command = group.get_command(context, name)
            assert command is not None
            assert command.name == name
            if isinstance(command, LazyGroup):
                walk(command)

    walk(app.cli)


def commands(group: LazyGroup) -> Iterator[click.Command]:
    context = click.Context(group)
    for name in group.table:
        command = group.get_command(context, name)
        assert command is not None
        yield from commands(command) if isinstance(command, LazyGroup) else [command]


def test_json_quiet_and_debug_mean_the_same_in_every_command() -> None:
    meanings: dict[str, set[str | None]] = {}
    for command in commands(app.cli):
        options = {option.opts[-1]: option for option in command.params if isinstance(option, click.Option)}
        for name in ("--json", "--quiet", "--debug"):
            assert options[name].is_flag, (command.name, name)
            meanings.setdefault(name, set()).add(options[name].help)
    assert {name: len(said) for name, said in meanings.items()} == {"--json": 1, "--quiet": 1, "--debug": 1}


@pytest.mark.parametrize(
    "words",
    [
        ["info", "{file}"],
        ["info", "{file}", "--findings"],
        ["denoise", "{file}", "-o", "{out}.nc"],
        ["denoise", "{file}", "--compare"],
        ["convert", "{file}", "-o", "{out}.nc"],
        ["spectrum", "noise", "{file}"],
        ["spectrum", "noise", "{file}", "--by-frequency"],
        ["spectrum", "report", "{file}", "-o", "{out}.html"],
        ["datasets", "list"],
        ["doctor"],
    ],
)
def test_quiet_leaves_stderr_to_warnings_and_json_is_one_document(
    sciml, recording: Path, tmp_path: Path, words: list[str]
) -> None:
    done = sciml(*(word.format(file=recording, out=tmp_path / "out") for word in words), "--json", "--quiet")
    assert done.code == 0, done.err
    assert json.loads(done.out)["schema"].startswith("sciml.")
    assert [line for line in done.err.splitlines() if not line.startswith("warning: ")] == []


def test_version_is_that_of_the_package(sciml) -> None:
    assert sciml("--version").out == f"sciml {version('sciml')}\n"


def test_python_m_runs_the_same_program(process) -> None:
    done = process("--version")
    assert (done.returncode, done.stdout) == (0, f"sciml {version('sciml')}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["inof"], "no command 'inof'; did you mean 'info'?"),
        (["spectrum", "wieghts"], "no command 'wieghts'; did you mean 'weights'?"),
        (["zzz"], "no command 'zzz'; choose one of info, preprocess, denoise,"),
        (["info", "--jsno"], "No such option"),
    ],
)
def test_usage_errors_end_with_2_and_suggest_the_nearest(sciml, words: list[str], message: str) -> None:
    done = sciml(*words)
    assert done.code == 2
    assert done.out == ""
    assert message in done.err


def group_of(command: click.Command) -> click.Group:
    return click.Group("sciml", commands=[command])


def failing_with(error: BaseException) -> click.Group:
    @click.command("only", cls=Command)
    def fail() -> None:
        raise error

    return group_of(fail)


def _chained() -> Exception:
    error = RuntimeError("unable to write")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ("DataError", 3, "Error: what came and what to do\n"),
        ("ConfigError", 4, "Error: what came and what to do\n"),
        ("CheckpointError", 5, "Error: what came and what to do\n"),
        ("DivergedError", 7, "Error: what came and what to do\n"),
        ("StorageError", 74, "Error: what came and what to do\n"),
        ("InterruptedRunError", 75, "Error: what came and what to do\n"),
        (OSError(errno.ENOSPC, "No space left on device", "x.nc"), 74, "Error: the disk is full"),
        (_chained(), 74, "Error: the disk is full"),
        (
            RuntimeError("file write failed: errno = 28, error message = 'No space left on device'"),
            74,
            "Error: the disk",
        ),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (SystemExit(143), 143, ""),
        (ZeroDivisionError("by zero"), 1, "Unexpected error: ZeroDivisionError: by zero; --debug shows where\n"),
    ],
)
def test_each_failure_has_its_exit_code_and_one_message(monkeypatch, sciml, error, code: int, message: str) -> None:
    from sciml import errors

    raised = getattr(errors, error)("what came and what to do") if isinstance(error, str) else error
    monkeypatch.setattr(app, "cli", failing_with(raised))
    done = sciml("only")
    assert done.code == code
    assert done.out == ""
    assert "Traceback" not in done.err
    assert done.err.strip().startswith(message.strip())


def test_debug_shows_the_traceback(monkeypatch, sciml) -> None:
    from sciml.errors import DataError

    monkeypatch.setattr(app, "cli", failing_with(DataError("what came")))
    done = sciml("only", "--debug")
    assert done.code == 3
    assert "Traceback" in done.err
    assert done.err.endswith("Error: what came\n")


def test_warnings_are_one_line_on_stderr(monkeypatch, sciml) -> None:
    import warnings

    from sciml.errors import ScimlWarning

    @click.command("only", cls=Command)
    def warn() -> None:
        warnings.warn("three channels\n  are dead", ScimlWarning, stacklevel=1)
        click.echo("result")

    monkeypatch.setattr(app, "cli", group_of(warn))
    done = sciml("only")
    assert (done.code, done.out, done.err) == (0, "result\n", "warning: three channels are dead\n")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """`sciml --help | true`: no traceback when nobody reads, whatever is flushed at exit."""
    command = [sys.executable, "-m", "sciml_cli", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        run.stdout.close()
        assert run.stderr is not None
        assert run.stderr.read() == ""


def test_sigterm_during_a_command_inside_this_process_reaches_its_own_handler(monkeypatch, interruptible) -> None:
    """Whoever calls `run` keeps SIGTERM; a test runner that is told to end must not take it for a command's end."""
    received: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: received.append(number))

    @click.command("only", cls=Command)
    def terminate() -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(app, "cli", group_of(terminate))
    assert app.run(["only"]) == 0
    assert received == [signal.SIGTERM]


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN])
def test_the_program_gives_back_the_handler_it_found(interruptible, before: signal.Handlers) -> None:
    signal.signal(signal.SIGTERM, before)
    with app.exit_on_sigterm():
        ignored = signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert ignored == (before is signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_terminated_program_cleans_up_and_ends_with_143(background, tmp_path: Path) -> None:
    with background("demo", "--out", tmp_path / "demo", "--duration", "3000") as run:
        deadline = time.monotonic() + 100
        while not (tmp_path / "demo" / "run" / "config.toml").exists():
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.01)
        run.terminate()
        _, err = run.communicate(timeout=60)
    assert run.returncode == 143, err
    assert not (tmp_path / "demo" / "run" / ".lock").exists()
