"""Groups that load a command when it is called, and the options that commands share."""

import difflib
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = [
    "FILE",
    "KNOWN_NOISE",
    "NOISE_MODEL",
    "SOURCE",
    "TASK",
    "Command",
    "Entry",
    "KnownNoise",
    "LaterChoice",
    "LazyGroup",
    "State",
    "grouped",
    "json_option",
    "known_noise_options",
    "model_option",
    "net_option",
    "overwrite_option",
    "signal_option",
    "verbose_option",
]

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path)  # existence is the library's to check: its message says more


class _Source(click.Path):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if isinstance(value, str) and "://" in value else super().convert(value, param, ctx)


SOURCE = _Source(path_type=Path)  # a recording: a file, or the address of one elsewhere (https://, s3://)


class LaterChoice(click.ParamType[str]):
    """One of the names of a registry, which is asked when a name is given: help loads nothing of the library."""

    def __init__(self, name: str, names: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self._names = names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name if there is such a one; a usage error lists them all."""
        return click.Choice(tuple(self._names())).convert(value, param, ctx)


def _noise_models() -> tuple[str, ...]:
    from sciml._names import noise_models

    return noise_models()


def _tasks() -> Iterable[str]:
    from sciml.pipeline.tasks import TASKS

    return TASKS


NOISE_MODEL = LaterChoice("model", _noise_models)
TASK = LaterChoice("task", _tasks)


@dataclass
class State:
    """What holds for the whole call, whichever command it reaches."""

    debug: bool = False
    quiet: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class Entry:
    """Where a command lives ("module:name") and its line in the help."""

    target: str
    help: str


class LazyGroup(click.Group):
    """A group whose help needs nothing but its table: modules load when their command is called."""

    def __init__(self, name: str, *, table: Mapping[str, Entry], **settings: Any) -> None:
        super().__init__(name, **settings)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table, which is that of the data."""
        del ctx
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return the command."""
        del ctx
        if cmd_name not in self.table:
            return None
        module, attribute = self.table[cmd_name].target.split(":")
        found: click.Command = getattr(import_module(module), attribute)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names; an unknown one is answered with the nearest."""
        name = args[0]
        if name in self.table or name.startswith("-"):
            return super().resolve_command(ctx, args)
        near = difflib.get_close_matches(name, self.table, n=1)
        advice = f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(self.table)}"
        raise click.UsageError(f"no command '{name}'; {advice}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, importing nothing."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.table.items()])


def _remember_debug(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    ctx.ensure_object(State).debug |= value


def _remember_quiet(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    ctx.ensure_object(State).quiet |= value


def _remember_verbose(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    ctx.ensure_object(State).verbose |= value


class Command(click.Command):
    """A command that understands `--quiet` and `--debug`; `sciml_cli.output.note` keeps to the former."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += [_quiet_option(), _debug_option()]


def _quiet_option() -> click.Option:
    text = "No progress and no notes on stderr; warnings and errors stay."
    return click.Option(
        ["-q", "--quiet"], is_flag=True, is_eager=True, expose_value=False, callback=_remember_quiet, help=text
    )


def _debug_option() -> click.Option:
    text = "Show the traceback of an error."
    return click.Option(
        ["--debug"], is_flag=True, is_eager=True, expose_value=False, callback=_remember_debug, help=text
    )


def verbose_option(function: F) -> F:
    """Add `--verbose` to a command of many rows; `sciml_cli.output.is_verbose` tells whether it was given."""
    return click.option(
        "-v", "--verbose", is_flag=True, expose_value=False, callback=_remember_verbose,
        help="Print all numbers and rows, not the first five.",
    )(function)  # fmt: skip


def json_option(function: F) -> F:
    """Add `--json`, which every command has: its result as one document on stdout, in place of words for people."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)


def grouped(record: type[Any], name: str, options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    """Add options whose values reach the command as one dataclass: `name=record(...)`, a field an option."""

    def add(function: F) -> F:
        @functools.wraps(function)
        def call(**given: Any) -> Any:
            return function(**{name: record(**{each.name: given.pop(each.name) for each in fields(record)})}, **given)

        for option in reversed(options):
            call = option(call)
        return call  # type: ignore[return-value]

    return add


def model_option(function: F) -> F:
    """Add `--model`, the kind of noise."""
    text = (
        "Kind of noise: independent channels (white, heteroscedastic, colored, heteroscedastic+colored, counts), noise "
        "that they share (spatial, spatial-nonseparable, spatial-groups, reference); auto: chosen by tests."
    )
    return click.option("--model", type=NOISE_MODEL, default="auto", show_default=True, help=text)(function)


@dataclass(frozen=True)
class KnownNoise:
    """What is known of the noise: where it is alone, and patterns over the channels that are to be taken out."""

    reference: str | None
    patterns: str | None

    def asked(self) -> bool:
        """Whether anything is known."""
        return self.reference is not None or self.patterns is not None

    def options(self) -> dict[str, Any]:
        """Return the arguments of `sciml.noise.noise_floor`."""
        return {
            "reference": None if self.reference is None else _reference(self.reference),
            "patterns": self.patterns,
        }


def _reference(text: str) -> Any:
    """Return from and to in seconds, as of 0:10, or the recording of FILE or FILE:SIGNAL."""
    first, _, last = text.partition(":")
    try:
        return float(first), float(last)
    except ValueError:
        from sciml.io import open_recording

        path, _, signal = (text, "", "") if Path(text).exists() else text.rpartition(":")
        return open_recording(Path(path or text), signal if path and signal else None)


KNOWN_NOISE = (
    click.option(
        "--reference",
        metavar="FROM:TO|FILE[:SIGNAL]",
        help="Noise alone: seconds of the recording, as 0:10, or another recording of the same channels.",
    ),
    click.option(
        "--patterns",
        metavar="NAME",
        help="Taken out first: common, the same in all channels; or a dim or coordinate of the channels, as y or "
        "adc: the same in all channels of one value.",
    ),
)


def known_noise_options(function: F) -> F:
    """Add `--reference` and `--patterns`, and hand them over as `known`."""
    return grouped(KnownNoise, "known", KNOWN_NOISE)(function)


def net_option(function: F) -> F:
    """Add `--net`, by which the user names a net of his own that a run was trained with."""
    text = "Import path of the net, my_package.nets:MyNet, where the run was trained with one of your own."
    return click.option("--net", metavar="PATH", help=text)(function)


def overwrite_option(function: F) -> F:
    """Add `--overwrite`."""
    return click.option("--overwrite", is_flag=True, help="Replace an output that exists.")(function)


def signal_option(function: F) -> F:
    """Add `--signal`."""
    text = "Path of the signal in the file, a unique end of it, or a pattern with *; default its only signal."
    return click.option("--signal", help=text)(function)
