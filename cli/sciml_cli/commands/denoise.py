"""`sciml denoise FILE -o OUT`: a recording without what its noise floor calls noise."""

from pathlib import Path

import click

from sciml_cli.commands.denoise_options import check_output, print_comparison, save, whole_options, write_page
from sciml_cli.commands.denoise_patches import PatchOptions, by_patches, patch_options, sizes, values_of
from sciml_cli.options import FILE, Command, json_option, overwrite_option, signal_option
from sciml_cli.output import alert, emit, note, plain

__all__ = ["denoise"]

MODELS = click.Choice(["auto", "white", "heteroscedastic", "colored", "heteroscedastic+colored", "counts"])

# The names of norms for patches, and what they are for whole recordings.
WHOLE = {"frobenius": "optimal", "operator": "operator", "nuclear": "nuclear", "hard": "none"}


@click.command("denoise", cls=Command)
@click.argument("file", type=FILE)
@click.option(
    "-o",
    "--out",
    type=FILE,
    help="netCDF file or .zarr folder to write, or a copy of an NWB file with the result in it.",
)
@signal_option
@click.option("--model", type=MODELS, default="auto", show_default=True, help="Kind of noise.")
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
    whiten: bool,
    fill: bool,
    comparing: bool,
    page: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Keep the components above the noise floor, optimally shrunk, and write the recording to OUT.

    With --patch, small pieces of a movie, volume series or scan are denoised each by its own noise floor, tile by tile
    within --memory; a run that was interrupted goes on when the same command is given again.

    An OUT that ends in .nwb is a copy of the NWB file FILE with the result in a processing module beside the original
    series; .zarr is a Zarr folder, any other netCDF. With --compare, methods are compared by values hidden from them.
    """
    from sciml.denoise import denoise as remove_noise
    from sciml.io import open_recording
    from sciml.noise import noise_floor

    check_output(file, out, page, comparing=comparing, overwrite=overwrite)  # before the work, not after it
    recording = open_recording(file, signal)
    if comparing:
        patch = None if patches.patch is None else sizes("--patch", patches.patch, recording)
        print_comparison(recording, model=model, patch=patch, as_json=as_json)
    if out is None or comparing:
        return
    if patches.patch is not None:
        options = {"rank": rank, **({} if alpha is None else {"alpha": alpha})}
        by_patches(recording, out, patches, options, overwrite=overwrite, as_json=as_json)
        written = values_of(out)
        if page is not None:
            write_page(recording, written, page, {"patch": patches.patch, **options}, overwrite=overwrite)
        if written != out:
            save(open_recording(written), file, out, overwrite=overwrite)
            written.unlink()
        return
    patches.refuse()
    sigma = patches.one_sigma()
    floor = None
    if sigma is None:
        floor = noise_floor(recording, model, 0.05 if alpha is None else alpha)  # type: ignore[arg-type]
        for warning in floor.warnings:
            alert(f"warning: {warning}")
        note(floor.summary())
    cleaned = remove_noise(
        recording,
        floor,
        rank=rank,
        sigma=sigma,
        shrinkage=WHOLE[patches.shrinkage],  # type: ignore[arg-type]
        whiten="time" if whiten else None,
        fill=fill,
    )
    save(cleaned, file, out, overwrite=overwrite)
    if page is not None:
        write_page(recording, out, page, {"model": model, "rank": rank}, overwrite=overwrite)
    kept, n_features = cleaned.attrs["noise_rank"], recording.size // recording.sizes["time"]
    if as_json:
        described = None if floor is None else plain(floor.to_dict())
        emit("denoise", {"out": out, "rank": kept, "noise_floor": described})
    else:
        click.echo(f"{out}: {kept} of {n_features} components kept")
