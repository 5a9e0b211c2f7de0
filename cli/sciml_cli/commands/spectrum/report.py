"""`sciml spectrum report`: one page on a recording, a run or a file of weights, or several nets side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sciml_cli.options import FILE, Command, json_option, model_option, net_option, overwrite_option, signal_option
from sciml_cli.output import emit, note

__all__ = ["report"]

ALPHA = click.FloatRange(0, 1, min_open=True, max_open=True)

HELP = """Report on a recording, a run or a file of weights: findings in words first, then the evidence.

Of a run the page holds the weights against noise, what the layers read, the Jacobian beside theory, the curvature of
the loss, and what was followed in training. Of several TARGETs each gets its page (OUT is then a folder, or report.html
becomes report-1.html, ...); with --together recordings, or runs and files of weights, stand side by side on one.

\b
sciml spectrum report RUN -o spectra.html --netcdf spectra.nc
sciml spectrum report RUN1 RUN2 --together
sciml spectrum report DAY1 DAY2 --signal SIGNAL --together
"""


@click.command("report", cls=Command, help=HELP)
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True, type=FILE)
@click.option("-o", "--out", default="report.html", show_default=True, type=FILE, help="HTML page to write.")
@click.option("--json-file", type=FILE, help="Write the numbers to this file too.")
@click.option("--netcdf", type=FILE, help="Of nets: write all arrays to this netCDF file too.")
@click.option(
    "--together", is_flag=True, help="Several recordings, or runs and files of weights, side by side on one page."
)
@signal_option
@model_option
@click.option("--alpha", type=ALPHA, default=0.05, show_default=True, help="Level of the noise floor and of outliers.")
@net_option
@overwrite_option
@json_option
def report(
    targets: tuple[Path, ...],
    out: Path,
    json_file: Path | None,
    netcdf: Path | None,
    together: bool,
    overwrite: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Report on targets, as HELP says."""
    groups = [targets] if together else [(target,) for target in targets]
    pages, numbers, arrays = (_numbered(path, len(groups)) for path in (out, json_file, netcdf))
    _refuse_existing([path for path in (*pages, *numbers, *arrays) if path], overwrite)
    documents = []
    for group, page, values, dataset in zip(groups, pages, numbers, arrays, strict=True):
        found = _report(group, dataset, overwrite, **asked)
        found.to_html(page, overwrite=overwrite)
        if values is not None:
            found.to_json(values, overwrite=overwrite)
        for finding in found.findings:
            note(f"- {finding.text}")
        if not as_json:
            click.echo(page)
        documents.append({"page": page, **found.to_dict()})
    if as_json:
        emit("reports", {"reports": documents})


def _report(targets: Sequence[Path], netcdf: Path | None, overwrite: bool, **asked: Any) -> Any:
    from sciml.pipeline import report_on

    return report_on(*targets, **asked, netcdf=netcdf, overwrite=overwrite, progress=note)


def _numbered(path: Path | None, n: int) -> list[Path | None]:
    if path is None:
        return [None] * n
    return [path] if n == 1 else [path.with_name(f"{path.stem}-{k + 1}{path.suffix}") for k in range(n)]


def _refuse_existing(paths: Sequence[Path], overwrite: bool) -> None:
    """Say that an output exists before the work, not after it."""
    from sciml.errors import StorageError

    for path in paths:
        if path.exists() and not overwrite:
            raise StorageError(f"{path} exists; choose another name, or replace it with --overwrite")
