"""`sciml convert FILE... -o OUT`: a signal of any laboratory format as a recording that every netCDF reader opens."""

from pathlib import Path

import click

from sciml_cli.options import FILE, SOURCE, Command, json_option, overwrite_option, signal_option
from sciml_cli.output import emit, size

__all__ = ["convert"]


@click.command("convert", cls=Command)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=SOURCE)
@click.option("-o", "--out", required=True, type=FILE, help="netCDF file to write.")
@signal_option
@click.option("--dims", help="Names of the stored axes, for example channel,time.")
@click.option("--units", help="Unit of the physical values.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Samples per second.")
@click.option("--mapping", type=FILE, help="TOML file with signal, dims, units, rate, scale, offset.")
@click.option("--along", help="How several files go together: time (end to end), or a new dim such as trial.")
@overwrite_option
@json_option
def convert(
    files: tuple[Path | str, ...],
    out: Path,
    signal: str | None,
    dims: str | None,
    units: str | None,
    rate: float | None,
    mapping: Path | None,
    along: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write a signal to OUT in physical values with its clock, coordinates and masks.

    Several FILEs join along time, or stand side by side with --along trial; a pattern as --signal stacks the signals of
    one clock that it matches.
    """
    from sciml.files import check_target
    from sciml.io import open_recording, save_recording

    check_target(out, overwrite=overwrite)  # before the work, not after it
    if out.exists() and any(isinstance(file, Path) and file.exists() and file.samefile(out) for file in files):
        raise click.UsageError(
            f"expected a new file, got -o {out}, which is read from; its other signals would be lost"
        )
    axes = None if dims is None else [name.strip() for name in dims.split(",")]
    recording = open_recording(list(files), signal, dims=axes, units=units, rate=rate, mapping=mapping, along=along)
    save_recording(recording, out, overwrite=overwrite)
    shape = {str(dim): length for dim, length in recording.sizes.items()}
    name, unit = recording.attrs.get("signal"), recording.attrs.get("units", "")
    if as_json:
        emit("convert", {"out": out, "signal": name, "shape": shape, "units": unit, "n_bytes": out.stat().st_size})
    else:
        lengths = " x ".join(f"{length} {dim}" for dim, length in shape.items())
        click.echo(f"{out}: {name}, {lengths}{f' in {unit}' if unit else ''}, {size(out.stat().st_size)}")
