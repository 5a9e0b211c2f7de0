"""`sciml denoise FILE -o OUT --patch 7,7`: the options of patches, and the call."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from sciml_cli.options import grouped
from sciml_cli.output import emit, note, number, printable, warn

__all__ = ["PatchOptions", "by_patches", "patch_options", "sizes", "values_of"]

F = TypeVar("F", bound=Callable[..., Any])
FILE_OF = "a number, or a netCDF file that holds it voxel by voxel"
PROGRESS_SECONDS = 2.0


@dataclass(frozen=True)
class PatchOptions:
    """What the options of `--patch` say, as they were given."""

    patch: str | None
    stride: str | None
    sigma: str | None
    mask: Path | None
    shrinkage: str
    weights: str
    noise: str | None
    maps: bool
    device: str | None
    memory: str
    scheduler: str | None

    def refuse(self) -> None:
        """Complain of options that mean nothing without `--patch`."""
        given = [name for name in ("stride", "mask", "noise", "device", "scheduler") if getattr(self, name) is not None]
        given += ["maps"] if self.maps else []
        if given:
            raise click.UsageError(f"--{given[0]} needs --patch; give the size of a patch, as --patch 7,7")

    def one_sigma(self) -> float | None:
        """Return sigma for a whole recording: one number, or None to estimate it."""
        if self.sigma is None:
            return None
        try:
            return float(self.sigma)
        except ValueError:
            raise click.UsageError(f"--sigma {self.sigma}: a map needs --patch; give one number") from None


OPTIONS = (
    click.option("--patch", help="Size of patches, as 7,7 along the dims other than time, or as y=7,x=7."),
    click.option("--stride", help="Steps between patches, written as --patch or one number; default half a patch."),
    click.option("--sigma", help=f"Noise standard deviation: {FILE_OF}; default estimated."),
    click.option("--mask", type=click.Path(path_type=Path), help="netCDF file that is not zero at voxels to denoise."),
    click.option("--shrinkage", type=click.Choice(["frobenius", "operator", "nuclear", "hard", "none"]),
                 default="frobenius", show_default=True,
                 help="Norm of the error that components are shrunk for; hard keeps clear ones as they are, none all."),
    click.option("--weights", type=click.Choice(["gaussian", "uniform", "rank"]), default="gaussian",
                 show_default=True, help="How patches that overlap are averaged."),
    click.option("--noise", type=click.Choice(["auto", "independent"]),
                 help="auto: look for noise that neighboring voxels share, and take it into account (the default).  "
                      "independent: do not look."),
    click.option("--maps", is_flag=True, help="Write maps of sigma, rank, variance, removed and coverage too."),
    click.option("--device", help="cpu or cuda; default the CPU, all cores."),
    click.option("--memory", default="2GB", show_default=True, help="Memory to stay within."),
    click.option("--scheduler", help="Address of a dask.distributed scheduler whose workers share the work."),
)  # fmt: skip


def patch_options(function: F) -> F:
    """Add the options and hand them over as `patches`."""
    return grouped(PatchOptions, "patches", OPTIONS)(function)


def by_patches(
    recording: Any,
    out: Path,
    options: PatchOptions,
    others: Mapping[str, Any],
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Denoise a recording into a file and say what came of it."""
    from sciml.denoise import denoise_patches_to_file

    written = values_of(out)
    patch = sizes("--patch", str(options.patch), recording)
    stride = options.stride
    start = time.monotonic()
    found = denoise_patches_to_file(
        recording,
        written,
        patch=patch,
        stride=None if stride is None else int(stride) if stride.isdigit() else sizes("--stride", stride, recording),
        sigma=_sigma(options.sigma),
        mask=None if options.mask is None else _map(options.mask) != 0,
        shrinkage=options.shrinkage,  # type: ignore[arg-type]
        weights=options.weights,  # type: ignore[arg-type]
        noise=options.noise or "auto",  # type: ignore[arg-type]
        device=options.device,
        memory=options.memory,
        scheduler=options.scheduler,
        maps=options.maps,
        overwrite=overwrite or written != out,
        progress=_progress(),
        **others,
    )
    for finding in found.findings:
        warn(finding)
    units = str(recording.attrs.get("units", ""))
    if as_json:
        counts: dict[str, Any] = {
            "tiles": found.n_tiles,
            "resumed": found.n_resumed,
            "seconds": time.monotonic() - start,
        }
        counts |= {
            "findings": found.findings,
            "restarted": found.restarted,
            "voxels": found.n_voxels,
            "untouched": found.n_untouched,
            "noise_correlation": found.noise_correlation,
        }
        emit(
            "denoise", {"out": out, "patch": patch, "sigma": found.sigma, "rank": found.rank, "units": units, **counts}
        )
    else:
        shape = " x ".join(map(str, patch.values()))
        click.echo(
            f"{printable(str(out))}: patches of {shape}, mean rank {number(found.rank)}, mean noise "
            f"{number(found.sigma, units)}, {found.n_untouched} of {found.n_voxels} voxels left as they were"
            f"{_said_of_noise(found.noise_correlation)}"
        )


def _said_of_noise(correlation: Mapping[str, tuple[float, ...]]) -> str:
    """Say how much of their noise neighboring voxels share, where they do."""
    along = [f"{values[1]:.2f} along {dim}" for dim, values in correlation.items() if len(values) > 1]
    return f"; neighbors share noise: correlation {' and '.join(along)}" if along else ""


def values_of(out: Path) -> Path:
    """Return the file that patches are written to: OUT, or one beside the NWB file that they are copied into later."""
    return out.with_name(f".{out.name}.patches.nc") if out.suffix == ".nwb" else out


def sizes(option: str, text: str, recording: Any) -> dict[str, int]:
    """Return sizes by dim, from "7,7" (along the dims other than time or else frame, in order) or "y=7,x=7"."""
    words = [word.strip() for word in text.split(",")]
    samples = "time" if "time" in recording.dims else "frame"
    dims = [str(dim) for dim in recording.dims if dim != samples]
    named = [word.partition("=")[::2] for word in words] if "=" in text else [*zip(dims, words, strict=False)]
    if len(named) != len(words) or not all(value.strip().isdigit() for _, value in named) or (
        "=" not in text and len(words) != len(dims)
    ):  # fmt: skip
        raise click.UsageError(
            f"{option} {text}: expected {len(dims)} sizes along {', '.join(dims)}, or some by name as "
            f"{','.join(f'{dim}=7' for dim in dims[-2:])}"
        )
    return {dim.strip(): int(value) for dim, value in named}


def _sigma(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return _map(Path(text))


def _map(path: Path) -> Any:
    """Return the values of a map: the file's only variable, or the recording it was saved as."""
    from sciml.io import open_recording

    return open_recording(path).load()


def _progress() -> Callable[[int, int], None]:
    last = -PROGRESS_SECONDS

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if total > 1 and (now - last >= PROGRESS_SECONDS or done == total):
            last = now
            note(f"{done} of {total} tiles")

    return report
