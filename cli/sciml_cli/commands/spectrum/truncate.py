"""`sciml spectrum truncate`: a run's net without the noise in its layers."""

from pathlib import Path
from typing import Literal

import click

from sciml_cli.commands.spectrum.nets import check_output, refuse_missing
from sciml_cli.options import FILE, Command, json_option, net_option, overwrite_option
from sciml_cli.output import emit, number, say, table

__all__ = ["truncate"]

ALPHA = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command("truncate", cls=Command)
@click.argument("run", type=FILE)
@click.option("-o", "--out", type=FILE, help="Write the weights to this .safetensors file.")
@click.option("--tolerance", type=click.FloatRange(0), default=0.01, show_default=True,
              help="Rise of the validation loss that is allowed, relative to it.")  # fmt: skip
@click.option("--form", type=click.Choice(["dense", "thin"]), default="dense", show_default=True,
              help="Keep the shapes, or make two thin layers of one where that saves parameters.")  # fmt: skip
@click.option("--alpha", type=ALPHA, default=0.05, show_default=True, help="Level of the test, over all layers.")
@net_option
@overwrite_option
@json_option
def truncate(
    run: Path,
    out: Path | None,
    tolerance: float,
    form: str,
    alpha: float,
    net: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Replace layers by their part above the noise floor, as far as the validation loss of the run allows.

    The test part is not touched. The run stays as it is.
    """
    refuse_missing(run, "a run directory")
    check_output(out, overwrite)
    from sciml.pipeline.spectra import save_weights, truncate_run

    shape: Literal["dense", "thin"] = "thin" if form == "thin" else "dense"
    found = truncate_run(run, tolerance=tolerance, form=shape, alpha=alpha, net=net)
    if out is not None:
        save_weights(found.model, out, overwrite=overwrite)
    if as_json:
        emit("truncate", {"run": run, "out": out, **found.to_dict()})
        return
    lines = found.summary().splitlines()
    say("\n".join(lines[: len(lines) - len(found.layers)]) + "\n")
    columns = ("layer", "rank", "of the norm²", "loss alone", "now", "why not")
    rows = [
        (
            each.name, "-" if each.rank is None else each.rank, number(each.energy), number(each.loss),
            each.form if each.replaced else "as it was", each.reason,
        )
        for each in found.layers
    ]  # fmt: skip
    click.echo(table(columns, rows))
