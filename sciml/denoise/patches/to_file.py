"""Denoise recordings larger than memory by their patches, from file to file, on one machine or on a cluster."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike

from sciml.denoise.patches.decision import Rules
from sciml.denoise.patches.denoising import AS_IS, PatchWeights, dataset, make_plan_and_masks, noted, provenance
from sciml.denoise.patches.engine import MAPS
from sciml.denoise.patches.frames import Frames
from sciml.denoise.patches.noise.estimate import Noise, by_lag, shared_noise
from sciml.denoise.patches.plan import Plan, Region, check_untouched, said_of, voxels_that_fit
from sciml.denoise.patches.tile import Masks, run_part
from sciml.errors import DataError, InterruptedRunError, MissingDependencyError
from sciml.io.arrays.identity import identity
from sciml.io.write.regions import RegionFile
from sciml.rmt.shrink import Shrinkage

__all__ = ["PatchFile", "denoise_patches_to_file"]

Results = dict[str, Any]


@dataclass(frozen=True)
class PatchFile:
    """A file of denoised values: where it is, how many tiles it took and how many of them an earlier run had done.

    `sigma` and `rank` are means over all voxels, `sigma` in the units of the recording. `n_untouched` of `n_voxels`
    came back as they were. `restarted`: unfinished work on other data was there, and was discarded. `findings`: that
    frames were repeated, interpolated or smoothed, or neighbors share what is not noise. `noise_correlation`: what they
    share of their noise, by lag along each dim; empty where it is independent.
    """

    path: Path
    n_tiles: int
    n_resumed: int
    sigma: float
    rank: float
    n_untouched: int = 0
    n_voxels: int = 0
    restarted: bool = False
    findings: tuple[str, ...] = ()
    noise_correlation: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def denoise_patches_to_file(
    recording: xr.DataArray,
    path: str | os.PathLike[str],
    *,
    patch: Mapping[str, int],
    stride: Mapping[str, int] | int | None = None,
    sigma: float | xr.DataArray | None = None,
    mask: xr.DataArray | None = None,
    shrinkage: Shrinkage = "frobenius",
    weights: PatchWeights = "gaussian",
    rank: int | None = None,
    alpha: float = 0.01,
    device: str | None = None,
    dtype: DTypeLike | None = None,
    memory: str | float = "2GB",
    scheduler: str | None = None,
    maps: bool = True,
    fill: bool = False,
    noise: Noise = "auto",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PatchFile:
    """Denoise patch by patch, tile by tile, from file to file: `denoise_patches` for recordings larger than memory.

    Each tile is read with a halo of one patch, so that the result is that of `denoise_patches` to rounding. A run that
    was interrupted or killed goes on where it stopped when it is called again with the same arguments. Where the data
    are no longer the same (in memory: any value; in a file: its size, its time of change, or one of the values read
    all over it) it starts anew, with a warning.

    Parameters
    ----------
    recording
        As for `denoise_patches`; one from `sciml.io.open_recording` is read from its file tile by tile.
    path
        The file to write, for `sciml.io.open_recording`, or with its maps for `xarray.open_dataset`. A name that ends
        in `.zarr` becomes a Zarr folder (`pip install sciml[zarr]`; with maps `xarray.open_zarr`).
    memory
        What the process (with a scheduler: each worker) may use in all, as "2GB".
    scheduler
        Address of a `dask.distributed` scheduler whose workers compute the tiles; they must see the recording's file.
    maps
        Write the maps too.
    overwrite
        Replace a file that exists, and unfinished work with other arguments.
    progress
        Called with the number of tiles done and that of all tiles.
    patch, stride, sigma, mask, shrinkage, weights, rank, alpha, device, dtype, fill, noise
        As for `denoise_patches`.

    Raises
    ------
    StorageError
        The file exists, unfinished work with other arguments does, another process writes it, or the disk is full.
    InterruptedRunError
        Ctrl-C; what was finished is kept.
    MissingDependencyError
        A scheduler was named and `distributed` is not installed.
    ConfigError, DataError
        As for `denoise_patches`, or too little memory for one patch.

    Warns
    -----
    ScimlWarning
        Unfinished work on other data was discarded.

    Examples
    --------
    >>> import tempfile
    >>> from sciml.io import open_recording
    >>> movie = xr.DataArray(np.random.default_rng(0).normal(size=(30, 16, 16)), dims=("time", "y", "x"))
    >>> found = denoise_patches_to_file(movie, Path(tempfile.mkdtemp()) / "clean.nc", patch={"y": 7, "x": 7})
    >>> found.n_tiles, round(found.sigma, 1), open_recording(found.path).sizes["time"]
    (1, 1.0, 30)
    """
    plan, chosen = make_plan_and_masks(
        recording, Rules(shrinkage=shrinkage, rank=rank, alpha=alpha),
        patch=patch, stride=stride, sigma=sigma, mask=mask, weights=weights, device=device, dtype=dtype, fill=fill,
    )  # fmt: skip
    plan = shared_noise(recording, plan, chosen, noise)
    n_samples = recording.size // int(np.prod(plan.space))
    regions = plan.tiles(voxels_that_fit(plan, n_samples, memory))
    template = _template(recording, plan)
    file = RegionFile(
        path,
        template["denoised"],
        {name: template[name] for name in MAPS} if maps else {},
        chunk_hint=dict(zip(plan.dims, (part.stop - part.start for part in regions[0]), strict=True)),
        settings=_settings(recording, plan, chosen, regions, noise, maps=maps),
        data=identity(recording) + repr(sorted(map(str, recording.attrs.items()))),
        overwrite=overwrite,
    )
    n_resumed = len(file.done)
    report = progress or (lambda _done, _total: None)
    report(n_resumed, len(regions))
    try:
        waiting = [number for number in range(len(regions)) if number not in file.done]
        for number, results in _computed(recording, plan, chosen, regions, waiting, scheduler):
            _write(file, recording, plan, regions[number], number, results, maps=maps)
            report(len(file.done), len(regions))
        return _finished(file, recording, plan, n_resumed)
    except KeyboardInterrupt as stop:
        raise InterruptedRunError(
            f"stopped with {len(file.done)} of {len(regions)} tiles done; they are kept: the same call goes on from "
            "there"
        ) from stop
    finally:
        file.close()


def _finished(file: RegionFile, recording: xr.DataArray, plan: Plan, n_resumed: int) -> PatchFile:
    """Put the file in its place, with what is known of it now that all tiles are done."""
    count, sigmas, ranks, untouched = np.sum([note[:-1] for note in file.done.values()], axis=0)
    parts = [None if note[-1] is None else Frames.from_dict(note[-1]) for note in file.done.values()]
    try:
        n_untouched = check_untouched(int(untouched), plan)
    except DataError:
        file.discard()
        raise
    said = noted(n_untouched, parts, recording, plan)
    file.describe({**provenance(recording, plan, said_of(n_untouched, plan)), **said})
    return PatchFile(
        file.finish(),
        len(file.done),
        n_resumed,
        float(sigmas / count),
        float(ranks / count),
        n_untouched=n_untouched,
        n_voxels=int(np.prod(plan.space)),
        restarted=file.restarted,
        findings=tuple(said.get("findings", ())),  # type: ignore[arg-type]
        noise_correlation=by_lag(plan.correlation, plan.dims),
    )


def _template(recording: xr.DataArray, plan: Plan) -> xr.Dataset:
    """Return the result without its values: one zero, seen everywhere."""
    others = tuple(size for dim, size in recording.sizes.items() if dim not in plan.dims)
    shapes = {"denoised": (*plan.space, *others), **dict.fromkeys(MAPS, plan.space)}
    zeros = {name: np.zeros((), plan.dtype if name == "denoised" else np.float64) for name in shapes}
    values = {name: np.broadcast_to(zeros[name], shape) for name, shape in shapes.items()}
    return dataset(recording, plan, values, AS_IS)


def _settings(
    recording: xr.DataArray, plan: Plan, chosen: Masks, regions: list[Region], noise: Noise, *, maps: bool
) -> str:
    """Return a hash of all that decides the result but for the values: masks, plan, tiles, version."""
    import hashlib

    digest = hashlib.sha256()
    for each in chosen:
        digest.update(b"-" if each is None else np.ascontiguousarray(each.values).tobytes())
    # A correlation that was looked for is not among them: it is that of the values.
    digest.update(noise.encode() if isinstance(noise, str) else noise.table.tobytes())
    settings = replace(plan.settings, workers=None, correlation=None)
    parts = [
        recording.dims,
        recording.shape,
        str(recording.dtype),
        recording.name,
        version("sciml"),
    ]
    parts += [plan.dims, plan.grid, settings, str(plan.dtype), len(regions), regions[0], maps, digest.hexdigest()]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _write(
    file: RegionFile, recording: xr.DataArray, plan: Plan, region: Region, number: int, results: Results, *, maps: bool
) -> None:
    other = [dim for dim in recording.dims if dim not in plan.dims]
    denoised = xr.DataArray(results["denoised"], dims=(*plan.dims, *other)).transpose(*recording.dims)
    values = {file.name: denoised}
    if maps:
        values |= {name: xr.DataArray(results[name], dims=plan.dims) for name in MAPS}
    known = np.isfinite(results["sigma"])
    note: list[Any] = [int(known.sum()), float(results["sigma"][known].sum()), float(results["rank"][known].sum())]
    note.append(int((results["coverage"] == 0).sum()))
    note.append(None if results["frames"] is None else results["frames"].to_dict())
    file.write(number, dict(zip(plan.dims, region, strict=True)), values, note)


def _computed(
    recording: xr.DataArray, plan: Plan, chosen: Masks, regions: list[Region], numbers: list[int], scheduler: str | None
) -> Iterator[tuple[int, Results]]:
    """Yield the results of tiles as they are ready."""
    if scheduler is None:
        for number in numbers:
            yield number, run_part(_part(recording, plan, regions[number]), plan, chosen, regions[number])
        return
    alone = replace(plan, settings=replace(plan.settings, workers=1))  # the cluster's workers are the parallel ones
    client_type, as_completed = _distributed()
    with client_type(scheduler, set_as_default=False) as client:
        queue, running = iter(numbers), as_completed(loop=client.loop)
        numbered: dict[str, int] = {}

        def submit() -> None:
            for number in queue:
                part = _part(recording, plan, regions[number])
                future = client.submit(run_part, part, alone, chosen, regions[number], pure=False)
                numbered[future.key] = number
                running.add(future)
                return

        for _ in range(2 * max(1, sum(client.nthreads().values()))):
            submit()
        for future in running:
            yield numbered.pop(future.key), future.result()
            submit()


def _part(recording: xr.DataArray, plan: Plan, region: Region) -> xr.DataArray:
    return recording.isel(dict(zip(plan.dims, plan.halo(region), strict=True)))


def _distributed() -> tuple[Any, Any]:
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise MissingDependencyError(
            'a scheduler needs the package distributed: pip install "sciml[cluster]"'
        ) from error
    return Client, as_completed
