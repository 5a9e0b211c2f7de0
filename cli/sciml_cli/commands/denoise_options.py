"""Options of `sciml denoise` for whole recordings, the comparison of methods, and where the result goes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sciml_cli.options import FILE
from sciml_cli.output import emit, note, number, plain, table

__all__ = ["check_output", "print_comparison", "save", "whole_options", "write_page"]

F = TypeVar("F", bound=Callable[..., Any])


def whole_options(function: F) -> F:
    """Add the options that only concern whole recordings."""
    for option in reversed(
        (
            click.option("--whiten", is_flag=True,
                         help="Divide by the noise's spectrum in time before, multiply after."),
            click.option("--fill", is_flag=True, help="Write the estimate where samples are missing."),
            click.option("--compare", "comparing", is_flag=True,
                         help="Compare methods, with --patch patches too, by hidden values and print a table; "
                              "nothing is written."),
            click.option("--report", "page", type=FILE,
                         help="HTML page to write too: before, after, what was removed, its spectrum, maps."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def check_output(file: Path, out: Path | None, page: Path | None, *, comparing: bool, overwrite: bool) -> None:
    """Refuse, before the work, an output that cannot be written."""
    from sciml.errors import ConfigError
    from sciml.files import check_target

    if out is None:
        if not comparing:
            raise click.UsageError("expected -o OUT, the file to write; --compare alone needs none")
        return
    if out.suffix == ".nwb" and file.suffix != ".nwb":
        raise ConfigError(f"{out}: expected an NWB file to copy for an .nwb output, got {file.name}; write to .nc")
    check_target(out, overwrite=overwrite)
    if page is not None:
        check_target(page, overwrite=overwrite)


def save(recording: Any, file: Path, out: Path, *, overwrite: bool) -> None:
    """Write to netCDF, or into a copy of the NWB file that the recording came from."""
    from sciml.io import save_into_nwb_copy, save_recording

    if out.suffix == ".nwb":
        save_into_nwb_copy(recording, file, out, overwrite=overwrite)
    else:
        save_recording(recording, out, overwrite=overwrite)


def write_page(recording: Any, out: Path, page: Path, settings: dict[str, Any], *, overwrite: bool) -> None:
    """Write the report on a denoised recording, read back from its file, maps too where it has them."""
    import xarray as xr

    from sciml.io import open_recording
    from sciml.report import denoising_report

    cleaned = open_recording(out, f"{recording.name}_denoised" if out.suffix == ".nwb" else None)
    if out.suffix == ".nwb":
        found = denoising_report(recording, cleaned, settings=settings)
    else:
        whole = (
            xr.open_zarr(out, consolidated=False) if out.suffix == ".zarr" else xr.open_dataset(out, engine="h5netcdf")
        )
        with whole as file:
            maps = {name: file[name].load() for name in ("sigma", "rank", "variance", "removed") if name in file}
        found = denoising_report(recording, xr.Dataset({"denoised": cleaned.variable, **maps}), settings=settings)
    found.to_html(page, overwrite=overwrite)
    for finding in found.findings:
        note(f"- {finding.text}")


def print_comparison(recording: Any, *, model: str, patch: dict[str, int] | None, as_json: bool) -> None:
    """Print the table of `sciml.denoise.compare`, the best method first."""
    from sciml.denoise import compare

    found = compare(recording, patch=patch, model=model)  # type: ignore[arg-type]
    names = [str(name) for name in found["denoiser"].values]
    columns = ("error", "error_se", "excess", "removed", "residual_rank", "residual_p_value", "residual_flatness")
    if as_json:
        methods = [
            {"method": name, **{key: plain(found[key].values[k]) for key in (*columns, "seconds")}}
            for k, name in enumerate(names)
        ]
        emit("denoise-compare", {**{key: plain(value) for key, value in found.attrs.items()}, "methods": methods})
        return
    attrs = found.attrs
    note(
        f"{attrs['model']} noise, sigma {number(attrs['sigma'], attrs['units'])}; excess: squared error of hidden "
        "values less sigma², over sigma²",
    )
    shown = ("excess", "removed", "residual_rank", "residual_p_value", "seconds")
    rows = [[name, *(number(float(found[key].values[k])) for key in shown)] for k, name in enumerate(names)]
    click.echo(table(["method", "excess", "removed", "rank left", "p left", "seconds"], rows))
