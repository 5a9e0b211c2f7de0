"""`sciml spectrum curvature`: the largest eigenvalues and the density of the Hessian of a run's loss."""

from pathlib import Path

import click

from sciml_cli.commands.spectrum.nets import check_output, keep, netcdf_option, refuse_missing
from sciml_cli.options import FILE, Command, json_option, net_option, overwrite_option
from sciml_cli.output import emit, note, number, progress_bar, say, table, warn

__all__ = ["curvature"]


@click.command("curvature", cls=Command)
@click.argument("run", type=FILE)
@click.option("-k", "n_eigenvalues", type=click.IntRange(1), default=None,
              help="Eigenvalues of largest magnitude to find.  [default: 10]")  # fmt: skip
@click.option("--samples", type=click.IntRange(3), default=1024, show_default=True,
              help="Windows of the train part that the loss is taken over, at most.")  # fmt: skip
@click.option("--density/--no-density", default=None,
              help="Take the density of all eigenvalues.  [default: where it takes half a minute at most]")  # fmt: skip
@netcdf_option
@net_option
@overwrite_option
@json_option
def curvature(
    run: Path,
    n_eigenvalues: int | None,
    samples: int,
    density: bool | None,
    netcdf: Path | None,
    net: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Find the largest eigenvalues of the Hessian of a run's loss at its best epoch, each with a bound on its error.

    What the products will take is said before they are done.
    """
    refuse_missing(run, "a run directory")
    check_output(netcdf, overwrite)
    from sciml.errors import DataError
    from sciml.pipeline.spectra import CurvatureSettings, analyze

    with progress_bar("products") as products:
        settings = CurvatureSettings(samples, n_eigenvalues, density, products)
        record = analyze(run, parts=("curvature",), curvature=settings, net=net, progress=note)
    if record.curvature is None:
        raise DataError(f"nothing was measured of {run}: {'; '.join(record.notes) or 'it is no run directory'}")
    for text in (*record.notes, *record.curvature.notes):
        warn(text)
    keep(record, netcdf, overwrite)
    found = record.curvature
    if as_json:
        emit("curvature", {"run": run, **found.to_dict()})
        return
    say(f"{found.top.summary()}\n")
    others = [] if found.gauss_newton is None else list(found.gauss_newton.values)
    rows = [
        (
            k + 1,
            number(float(value)),
            number(float(found.top.errors[k])),
            number(float(others[k])) if k < len(others) else "-",
        )
        for k, value in enumerate(found.top.values)
    ]
    click.echo(table(("", "Hessian", "error at most", "Gauss-Newton"), rows))
    for part in (found.noise, found.classes):
        if part is not None:
            say(f"\n{part.summary()}")
    if found.top.sharpness > 0:
        note(f"plain gradient descent would leave this point at rates above {number(found.top.learning_rate_bound)}")
