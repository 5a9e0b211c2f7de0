"""`sciml datasets list|show|fetch|make`: public recordings and simulated ones."""

from pathlib import Path

import click

from sciml_cli.options import FILE, Command, Entry, LazyGroup, json_option, overwrite_option
from sciml_cli.output import emit, table

__all__ = ["datasets", "fetch", "list_", "make", "show"]

datasets = LazyGroup(
    "datasets",
    help="Recordings to try sciml on: measured ones to fetch, simulated ones to make.",
    table={
        "list": Entry("sciml_cli.commands.datasets:list_", "Names and descriptions."),
        "show": Entry("sciml_cli.commands.datasets:show", "Origin, license, citation, units and shape of one."),
        "fetch": Entry("sciml_cli.commands.datasets:fetch", "Download one and check its hash."),
        "make": Entry("sciml_cli.commands.datasets:make", "Simulate one and write it as NWB."),
    },
)


@click.command("list", cls=Command)
@json_option
def list_(as_json: bool) -> None:
    """List the recordings of the registry."""
    from sciml.datasets import available

    entries = available()
    if as_json:
        emit("datasets", {"datasets": [vars(entry) for entry in entries]})
        return
    rows = [(entry.name, "make" if entry.url is None else "fetch", entry.description) for entry in entries]
    click.echo(table(("name", "how", "description"), rows))


@click.command("show", cls=Command)
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show where a recording comes from and under which license."""
    from sciml.datasets import find

    entry = find(name)
    if as_json:
        emit("dataset", vars(entry))
        return
    for key, value in vars(entry).items():
        if value:
            lines = list(value) if isinstance(value, tuple) and key == "citation" else [value]
            for line in lines:
                click.echo(f"{key}: {line}")


@click.command("fetch", cls=Command)
@click.argument("name")
@click.option("--folder", type=FILE, help="Where to keep it; default the user's cache (SCIML_DATA_DIR).")
@json_option
def fetch(name: str, folder: Path | None, as_json: bool) -> None:
    """Download a recording, unless a copy with the right hash is there, and print its path."""
    from sciml.datasets import fetch as download

    _path(name, download(name, folder=folder), as_json)


@click.command("make", cls=Command)
@click.argument("name")
@click.option("-o", "--out", type=FILE, help="File to write; default its own name in this folder.")
@overwrite_option
@json_option
def make(name: str, out: Path | None, overwrite: bool, as_json: bool) -> None:
    """Simulate a recording, write it as NWB 2 with its truth beside it, and print its path."""
    from sciml.datasets import make as simulate

    _path(name, simulate(name, out, overwrite=overwrite), as_json)


def _path(name: str, path: Path, as_json: bool) -> None:
    if as_json:
        emit("dataset-file", {"name": name, "path": path})
    else:
        click.echo(path)
