"""`sciml denoise FILE -o OUT`: a recording without what its noise floor calls noise."""

import warnings
from pathlib import Path
from typing import Any

import click

from sciml_cli.commands.denoise.options import (
    Target,
    WholeOptions,
    check_output,
    print_comparison,
    save,
    whole_options,
    write_page,
)
from sciml_cli.commands.denoise.patches import PatchOptions, by_patches, patch_options, sizes, values_of
from sciml_cli.options import (
    FILE,
    Command,
    KnownNoise,
    json_option,
    model_option,
    overwrite_option,
    signal_option,
)
from sciml_cli.output import emit, note, plain, progress_bar, spelled, warn

__all__ = ["denoise"]


@click.command("denoise", cls=Command)
@click.argument("file", type=FILE)
@click.option(
    "-o",
    "--out",
    type=FILE,
    help="netCDF file or .zarr folder to write, or a copy of an NWB file with the result in it.",
)
@signal_option
@model_option
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Level of the noise floor.  [default: 0.05; with --patch 0.01]")  # fmt: skip
@click.option("--rank", type=click.IntRange(0), help="Components to keep; default those above the floor.")
@patch_options
@whole_options
@overwrite_option
@json_option
def denoise(
    file: Path,
    out: Path | None,
    signal: str | None,
    model: str,
    alpha: float | None,
    rank: int | None,
    patches: PatchOptions,
    whole: WholeOptions,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Keep the components above the noise floor, optimally shrunk, and write the recording to OUT.

    With --patch, small pieces of a movie, volume series or scan are denoised each by its own noise floor, tile by tile
    within --memory; a run that was interrupted goes on when the same command is given again.

    An OUT that ends in .nwb is a copy of the NWB file FILE with the result in a processing module beside the original
    series; .zarr is a Zarr folder, any other netCDF. With --compare, methods are compared by values hidden from them.
    """
    from sciml.io import open_recording

    check_output(file, out, whole.report, comparing=whole.compare, overwrite=overwrite)  # before the work
    recording = open_recording(file, signal)
    if whole.compare:
        patch = None if patches.patch is None else sizes("--patch", patches.patch, recording)
        print_comparison(recording, model=model, patch=patch, as_json=as_json)
    if out is None or whole.compare:
        return
    target = Target(file, out, whole.report, overwrite)
    if whole.known.asked() and (patches.patch is not None or patches.sigma is not None or whole.whiten):
        raise click.UsageError("--reference and --patterns make one noise floor: not with --patch, --sigma or --whiten")
    if patches.patch is not None:
        options = {"rank": rank, "fill": whole.fill, **({} if alpha is None else {"alpha": alpha})}
        _denoise_patches(recording, target, patches, options, as_json=as_json)
    else:
        patches.refuse()
        _denoise_whole(recording, target, patches, whole, model, alpha, rank, as_json=as_json)


def _denoise_patches(
    recording: Any, target: Target, patches: PatchOptions, options: dict[str, Any], *, as_json: bool
) -> None:
    from sciml.io import open_recording

    by_patches(recording, target.out, patches, options, overwrite=target.overwrite, as_json=as_json)
    written = values_of(target.out)
    write_page(recording, written, target, {"patch": patches.patch, "noise": patches.noise or "auto", **options})
    if written != target.out:
        save(open_recording(written), target)
        written.unlink()


def _denoise_whole(
    recording: Any,
    target: Target,
    patches: PatchOptions,
    whole: WholeOptions,
    model: str,
    alpha: float | None,
    rank: int | None,
    *,
    as_json: bool,
) -> None:
    from sciml.denoise import denoise as remove_noise

    sigma = patches.one_sigma()
    floor = _floor(recording, model, whole.known, 0.05 if alpha is None else alpha) if sigma is None else None
    cleaned = remove_noise(
        recording,
        floor,
        rank=rank,
        sigma=sigma,
        shrinkage=patches.shrinkage,  # type: ignore[arg-type]
        whiten="time" if whole.whiten else None,
        fill=whole.fill,
    )
    save(cleaned, target)
    write_page(recording, target.out, target, {"model": model, "rank": rank})
    kept, n_features = cleaned.attrs["noise_rank"], recording.size // recording.sizes["time"]
    if as_json:
        described = None if floor is None else plain(floor.to_dict())
        emit("denoise", {"out": target.out, "rank": kept, "noise_floor": described})
    else:
        click.echo(f"{target.out}: {kept} of {n_features} components kept")


def _floor(recording: Any, model: str, known: KnownNoise, alpha: float) -> Any:
    from sciml.errors import NoiseFloorWarning
    from sciml.noise import noise_floor

    with progress_bar("noise floor") as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseFloorWarning)  # said in the cautions
        floor = noise_floor(recording, model=model, alpha=alpha, **known.options(), progress=progress)
    for warning in floor.warnings:
        warn(warning)
    note(spelled(floor.summary()))
    return floor
