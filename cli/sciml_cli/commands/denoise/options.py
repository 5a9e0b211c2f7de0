"""Options of `sciml denoise` for whole recordings, the comparison of methods, and where the result goes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from sciml_cli.options import FILE, KNOWN_NOISE, KnownNoise, grouped
from sciml_cli.output import emit, note, number, plain, table

__all__ = ["Target", "WholeOptions", "check_output", "print_comparison", "save", "whole_options", "write_page"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class WholeOptions:
    """What the options for whole recordings, comparison and report say, as they were given."""

    whiten: bool
    fill: bool
    compare: bool
    report: Path | None
    reference: str | None
    patterns: str | None

    @property
    def known(self) -> KnownNoise:
        """What is known of the noise."""
        return KnownNoise(self.reference, self.patterns)


OPTIONS = (
    click.option("--whiten", is_flag=True, help="Divide by the noise's spectrum in time before, multiply after."),
    click.option("--fill", is_flag=True, help="Write the estimate where samples are missing."),
    click.option("--compare", is_flag=True,
                 help="Compare methods, with --patch patches too, by hidden values and print a table; "
                      "nothing is written."),
    click.option("--report", type=FILE,
                 help="HTML page to write too: before, after, what was removed, its spectrum, maps."),
    *KNOWN_NOISE,
)  # fmt: skip


def whole_options(function: F) -> F:
    """Add the options that only concern whole recordings, and hand them over as `whole`."""
    return grouped(WholeOptions, "whole", OPTIONS)(function)


@dataclass(frozen=True)
class Target:
    """The file that is read, the one that is written, the page on it if one is asked for, and what may be replaced."""

    file: Path
    out: Path
    report: Path | None
    overwrite: bool


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


def save(recording: Any, target: Target) -> None:
    """Write to netCDF, or into a copy of the NWB file that the recording came from."""
    from sciml.io import save_into_nwb_copy, save_recording

    if target.out.suffix == ".nwb":
        save_into_nwb_copy(recording, target.file, target.out, overwrite=target.overwrite)
    else:
        save_recording(recording, target.out, overwrite=target.overwrite)


def write_page(recording: Any, written: Path, target: Target, settings: dict[str, Any]) -> None:
    """Write the report, if one is asked for, on a denoised recording, read back from its file with its maps."""
    if target.report is None:
        return
    import xarray as xr

    from sciml.io import open_recording
    from sciml.report import denoising_report

    cleaned = open_recording(written, f"{recording.name}_denoised" if written.suffix == ".nwb" else None)
    if written.suffix == ".nwb":
        found = denoising_report(recording, cleaned, settings=settings)
    else:
        folder = written.suffix == ".zarr"
        whole = xr.open_zarr(written, consolidated=False) if folder else xr.open_dataset(written, engine="h5netcdf")
        with whole as file:
            maps = {name: file[name].load() for name in ("sigma", "rank", "variance", "removed") if name in file}
        found = denoising_report(recording, xr.Dataset({"denoised": cleaned.variable, **maps}), settings=settings)
    found.to_html(target.report, overwrite=target.overwrite)
    for finding in found.findings:
        note(f"- {finding.text}")


def print_comparison(recording: Any, *, model: str, patch: dict[str, int] | None, as_json: bool) -> None:
    """Print the table of `sciml.denoise.compare`, the best method first."""
    from sciml.denoise import compare
    from sciml.wording import p_number

    found = compare(recording, patch=patch, model=model)
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
    words = {key: p_number if key == "residual_p_value" else number for key in shown}
    rows = [[name, *(words[key](float(found[key].values[k])) for key in shown)] for k, name in enumerate(names)]
    click.echo(table(["method", "excess", "removed", "rank left", "p left", "seconds"], rows))
