"""Denoisers on measured recordings, whose truth nobody knows, by the values hidden from them (`sciml.denoise.compare`).

Reads the recordings in SCIML_TEST_DATA and skips those that are not there; `python bench_denoise_real.py tetrodes`
runs one. Of each, at most 512 channels (4096 where the noise is taken for white) and 2**17 values from the middle
are used, so that each takes less than a minute.
"""

import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import xarray as xr
from _report import machine, record, table
from threadpoolctl import threadpool_limits

from sciml.denoise import compare, denoise_patches
from sciml.denoise.evaluate.compare import METHODS, WIDTHS
from sciml.io import open_recording
from sciml.noise import noise_floor

DATA = Path(os.environ.get("SCIML_TEST_DATA", "../shared/data"))
MOST_CHANNELS = {"auto": 512, "white": 4096}  # white noise costs less
MOST_VALUES = 2**17
RANKS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Case:
    """A recording, the patches that suit it (None: whole), and how its noise is."""

    file: str
    patch: Mapping[str, int] | None = None
    signal: str | None = None
    model: str = "auto"
    high_pass: float | None = None


CASES = {
    "two-photon movie (neurofinder)": Case("nwb_neurofinder_a.nwb", {"y": 7, "x": 7}),
    "two-photon movie (SIMA)": Case("sima_2p_example.h5", {"y": 5, "x": 5}, model="white"),
    "diffusion MRI": Case("dmri_small_64D.nii", {"x": 5, "y": 5, "z": 5}, model="white"),
    "fiber-optic DAS (PRODML)": Case("das_prodml_2.0.h5", {"channel": 128}),
    "fiber-optic DAS (Silixa)": Case("das_silixa.hdf5", {"channel": 64}),
    "tetrodes, broadband": Case("nwb_openephys_tetrodes_rate.nwb"),
    "tetrodes, above 300 Hz": Case("nwb_openephys_tetrodes_rate.nwb", high_pass=300.0),
    "EBSD patterns": Case("ebsd_nickel_kikuchipy.h5", {"y": 15, "x": 15}, "Scan 1/EBSD/Data/patterns", "white"),
    "scanned diffraction patterns (CXI)": Case("cxi_petra3_p25_ptycho.cxi", {"y": 7, "x": 7}, model="white"),
}


def load(case: Case) -> xr.DataArray:
    """Return the middle of a recording; samples that are frames or patterns are called time."""
    path = DATA / case.file
    recording = of_nifti(path) if path.suffix == ".nii" else open_recording(path, case.signal)
    if "frame" in recording.dims:
        recording = recording.drop_vars([n for n, c in recording.coords.items() if "frame" in c.dims])
        recording = recording.rename(frame="time")
    if case.high_pass is not None:
        sos = scipy.signal.butter(4, case.high_pass, "high", fs=recording.attrs["sampling_rate"], output="sos")
        recording = recording.copy(data=scipy.signal.sosfiltfilt(sos, recording.values, axis=0))
    return middle(recording, MOST_CHANNELS[case.model])


def of_nifti(path: Path) -> xr.DataArray:
    import nibabel

    values = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)
    return xr.DataArray(values, dims=("x", "y", "z", "time")).transpose("time", ...)


def middle(recording: xr.DataArray, most: int) -> xr.DataArray:
    """Return the middle, cut as `compare` would: halves of the longest sides until few enough are left."""
    sizes = {str(dim): size for dim, size in recording.sizes.items() if dim != "time"}
    while (n := math.prod(sizes.values())) > most:
        widest = max(sizes, key=lambda dim: sizes[dim])
        sizes[widest] = max(most * sizes[widest] // n, sizes[widest] // 2)
    sizes["time"] = min(recording.sizes["time"], MOST_VALUES // math.prod(sizes.values()))
    starts = {dim: (recording.sizes[dim] - size) // 2 for dim, size in sizes.items()}
    return recording.isel({dim: slice(start, start + sizes[dim]) for dim, start in starts.items()}).load()


def pca(part: xr.DataArray, *, rank: int) -> xr.DataArray:
    """Plain PCA of all channels: the first components as they are."""
    return part.copy(data=truncated(part.values.reshape(len(part), -1), rank).reshape(part.shape))


def patch_pca(part: xr.DataArray, *, patch: Mapping[str, int], rank: int) -> xr.DataArray:
    """Plain PCA of patches that overlap by half, averaged."""
    dims = [str(dim) for dim in part.dims if dim != "time"]
    shape = [min(patch[dim], part.sizes[dim]) for dim in dims]
    axes = [
        sorted({*range(0, part.sizes[d] - p, (p + 1) // 2), part.sizes[d] - p})
        for d, p in zip(dims, shape, strict=True)
    ]
    total, count = np.zeros(part.shape), np.zeros(part.shape[1:])
    for corner in itertools.product(*axes):
        where = tuple(slice(c, c + p) for c, p in zip(corner, shape, strict=True))
        values = part.values[(slice(None), *where)]
        total[(slice(None), *where)] += truncated(values.reshape(len(values), -1), rank).reshape(values.shape)
        count[where] += 1
    return part.copy(data=total / count)


def truncated(X: np.ndarray, rank: int) -> np.ndarray:
    mean = X.mean(axis=0)
    U, s, Vt = np.linalg.svd(X - mean, full_matrices=False)
    return (U[:, :rank] * s[:rank]) @ Vt[:rank] + mean


def rivals(part: xr.DataArray, case: Case) -> tuple[dict[str, Callable[..., Any]], str, int]:
    """Return all methods by name, the name of sciml's for this recording, and the rank it finds."""
    floor = noise_floor(part, model=case.model)  # type: ignore[arg-type]
    methods = {"whole": METHODS["optimal"](floor)[0], "Gavish-Donoho": METHODS["gavish-donoho"](floor)[0]}
    for width, smooth in zip(WIDTHS, METHODS["smoothing"](floor), strict=True):
        methods[f"smoothing {width:g}"] = smooth
    for rank in sorted({*RANKS, max(1, floor.rank)}):
        if rank < min(len(part), part.size // len(part)) - 1:
            methods[f"PCA {rank}"] = partial(pca, rank=rank)
    if case.patch is None:
        return methods, "whole", max(1, floor.rank)
    found = max(1, round(float(denoise_patches(part, patch=case.patch)["rank"].mean())))
    methods["independent noise"] = lambda each: denoise_patches(each, patch=case.patch, noise="independent")["denoised"]
    methods["PCA of patches"] = partial(patch_pca, patch=case.patch, rank=found)
    methods.setdefault(f"PCA {found}", partial(pca, rank=found))
    return methods, "patches", found


def row(name: str, case: Case) -> list[str]:
    begin = time.perf_counter()
    part = load(case)
    methods, ours, rank = rivals(part, case)
    found = compare(part, methods=methods, patch=case.patch, model=case.model)  # type: ignore[arg-type]
    error = {str(each): float(found["error"].sel(denoiser=each)) for each in found["denoiser"].values}
    base = error[ours]

    def against(*prefixes: str) -> str:
        names = [each for each in error if each.startswith(prefixes)]
        best = min(names, key=lambda each: error[each])
        return f"{base / error[best]:.3f} ({best})"

    return [
        name,
        " x ".join(map(str, part.shape)),
        "whole" if case.patch is None else "patches " + " x ".join(map(str, case.patch.values())),
        f"{base:.4g} +- {float(found['error_se'].sel(denoiser=ours)):.1g}",
        f"{int(found['residual_rank'].sel(denoiser=ours))}, {float(found['residual_flatness'].sel(denoiser=ours)):.2f}",
        against("smoothing"),
        against(f"PCA {rank}"),
        "-" if case.patch is None else against("PCA of patches"),
        against("PCA"),
        "-" if case.patch is None else against("whole"),
        "-" if case.patch is None else against("independent noise"),
        against("Gavish-Donoho"),
        f"{float(found['seconds'].sel(denoiser=ours)):.2f}",
        f"{time.perf_counter() - begin:.0f}",
    ]


def main(chosen: list[str]) -> None:
    cases = {name: case for name, case in CASES.items() if not chosen or any(word in name for word in chosen)}
    rows = [row(name, case) for name, case in cases.items() if (DATA / case.file).exists()]
    columns = ["recording", "used", "sciml", "held-out squared error", "left in residual: rank, flatness"]
    columns += ["/ best smoothing", "/ PCA, same rank", "/ PCA of the same patches, same rank", "/ PCA, best rank"]
    columns += ["/ sciml, whole", "/ sciml, noise taken for independent", "/ Gavish-Donoho", "s", "s, all methods"]
    if not rows:
        raise SystemExit(f"expected recordings in {DATA}, found none; set SCIML_TEST_DATA")
    record(
        "Denoising: measured recordings",
        "Errors are those of values that were hidden, noise included, in squared units of the data (of voxels that "
        "share noise, those in the middle of what was hidden); columns with / are "
        "sciml's error over another's, below 1 where sciml is nearer to the truth. Best smoothing is the best of "
        f"{len(WIDTHS)} widths in time, best rank the best of {', '.join(map(str, RANKS))}, both chosen by the same "
        f"errors. At most 512 channels (4096 where the noise is taken for white) and {MOST_VALUES} values from the "
        "middle.\n\n"
        f"{table(columns, rows)}\n\n{machine('numpy', 'scipy', 'torch')}",
    )


if __name__ == "__main__":
    with threadpool_limits(1):
        main(sys.argv[1:])
