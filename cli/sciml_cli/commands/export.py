"""`sciml export RUN -o DIR`: the model of a run to hand on, without pickle."""

from pathlib import Path

import click

from sciml_cli.options import FILE, Command, json_option, overwrite_option
from sciml_cli.output import emit, size

__all__ = ["export"]


@click.command("export", cls=Command)
@click.argument("run", type=FILE)
@click.option("-o", "--out", required=True, type=FILE, help="Folder to write.")
@overwrite_option
@json_option
def export(run: Path, out: Path, overwrite: bool, as_json: bool) -> None:
    """Write the model of RUN, of its best epoch, into a folder: model.safetensors and model.json.

    The document holds what the model is for (task, net, unit, rate, channels, classes) and how it was made
    (configuration, digests of data and split, scores, versions). `sciml predict DIR FILE` reads it like the run.
    """
    from sciml.pipeline.run_folder import RunFolder

    RunFolder(run).config()  # before torch is loaded
    from sciml.pipeline import export_run

    found = export_run(run, out, overwrite=overwrite)
    if as_json:
        emit("export", found.to_dict())
        return
    click.echo(f"{out}: {found.summary()}; {size(found.n_bytes)}")
