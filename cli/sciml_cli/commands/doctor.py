"""`sciml doctor`: whether this installation, and this machine, are fit for work."""

from typing import Any

import click

from sciml_cli.options import Command, json_option
from sciml_cli.output import emit, say, table

__all__ = ["doctor"]

STRICT = 6


@click.command("doctor", cls=Command)
@click.option("--strict", is_flag=True, help="Exit with 6 if something needs attention.")
@json_option
def doctor(strict: bool, as_json: bool) -> int:
    """Check versions, torch, HDF5 and its filters, memory and disk; say what needs attention and what to do."""
    from sciml.environment import diagnose

    found = diagnose()
    if as_json:
        emit("doctor", {"facts": found.facts, "problems": found.problems})
    else:
        click.echo(table(("what", "found"), [(key, _text(value)) for key, value in found.facts.items()]))
        click.echo("")
        for problem in found.problems:
            say(f"! {problem}")
        click.echo(f"{len(found.problems)} to look at" if found.problems else "nothing to look at")
    return STRICT if strict and found.problems else 0


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
