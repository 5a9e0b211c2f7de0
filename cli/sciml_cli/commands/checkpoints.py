"""`sciml checkpoints RUN`: what is kept of a run, and whether it is whole."""

from pathlib import Path
from typing import Any

import click

from sciml_cli.options import FILE, Command, json_option
from sciml_cli.output import emit, size, table, warn

__all__ = ["checkpoints"]

SHOWN = 12  # digits of a hash


@click.command("checkpoints", cls=Command)
@click.argument("run", type=FILE)
@json_option
def checkpoints(run: Path, as_json: bool) -> None:
    """List the checkpoints of RUN: step, size, hash, and whether each is whole.

    A run resumes from the newest whole one of kind "step"; `predict` takes the newest whole one of kind "best".
    """
    from sciml.pipeline.run_folder import RunFolder

    folder = RunFolder(run)
    folder.config()  # before torch is loaded
    from sciml.train.checkpoint import listing

    found = [(fold, each) for fold, place in folder.all_checkpoints().items() for each in listing(place)]
    if as_json:
        emit("checkpoints", {"run": run, "checkpoints": [_content(fold, each) for fold, each in found]})
        return
    folds = ("fold",) if any(fold is not None for fold, _ in found) else ()
    rows = [(*((fold,) if folds else ()), *_row(each)) for fold, each in found]
    columns = (*folds, "step", "kind", "size", "sha256", "whole")
    click.echo(table(columns, rows) if rows else f"{run}: no checkpoints yet")
    for _, each in found:
        if not each.whole:
            warn(f"{each.problem}")


def _row(each: Any) -> tuple[object, ...]:
    return (each.step, each.kind, size(each.n_bytes), (each.sha256 or "-")[:SHOWN], "yes" if each.whole else "no")


def _content(fold: int | None, each: Any) -> dict[str, Any]:
    names = ("step", "kind", "n_bytes", "sha256", "whole", "problem")
    return {"fold": fold, "file": each.path, **{name: getattr(each, name) for name in names}}
