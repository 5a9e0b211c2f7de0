"""`sciml denoise FILE -o OUT`: a recording without what its noise floor calls noise."""

from pathlib import Path

import click

from sciml_cli.frame import FILE, Command, json_option, overwrite_option, quiet_option, signal_option
from sciml_cli.output import emit, note, plain
from sciml_cli.patches import PatchOptions, by_patches, patch_options

__all__ = ["denoise"]

MODELS = click.Choice(["auto", "white", "heteroscedastic", "colored", "heteroscedastic+colored", "counts"])


@click.command("denoise", cls=Command)
@click.argument("file", type=FILE)
@click.option("-o", "--out", required=True, type=FILE, help="netCDF file to write.")
@signal_option
@click.option("--model", type=MODELS, default="auto", show_default=True, help="Kind of noise.")
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Level of the noise floor.  [default: 0.05; with --patch 0.01]")  # fmt: skip
@click.option("--rank", type=click.IntRange(0), help="Components to keep; default those above the floor.")
@patch_options
@overwrite_option
@json_option
@quiet_option
def denoise(
    file: Path,
    out: Path,
    signal: str | None,
    model: str,
    alpha: float | None,
    rank: int | None,
    patches: PatchOptions,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Keep the components above the noise floor, optimally shrunk, and write the recording to OUT.

    With --patch, small pieces of a movie, volume series or scan are denoised each by its own noise floor, tile by tile
    within --memory; a run that was interrupted goes on when the same command is given again.
    """
    from sciml.denoise import denoise as remove_noise
    from sciml.files import check_target
    from sciml.io import open_recording, save_recording
    from sciml.noise import noise_floor

    check_target(out, overwrite=overwrite)  # before the work, not after it
    recording = open_recording(file, signal)
    if patches.patch is not None:
        options = {"rank": rank, **({} if alpha is None else {"alpha": alpha})}
        by_patches(recording, out, patches, options, overwrite=overwrite, as_json=as_json, quiet=quiet)
        return
    patches.refuse()
    floor = noise_floor(recording, model, 0.05 if alpha is None else alpha)  # type: ignore[arg-type]
    for warning in floor.warnings:
        note(f"warning: {warning}")
    note(floor.summary(), quiet=quiet)
    cleaned = remove_noise(recording, floor, rank=rank)
    save_recording(cleaned, out, overwrite=overwrite)
    kept = floor.rank if rank is None else rank
    if as_json:
        emit("denoise", {"out": out, "rank": kept, "noise_floor": plain(floor.to_dict())})
    else:
        click.echo(f"{out}: {kept} of {floor.n_features} components kept")
