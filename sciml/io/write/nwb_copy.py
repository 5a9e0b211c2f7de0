"""Results written back: a copy of an NWB file with one more series, in a processing module of its own."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sciml import files
from sciml._later import xr
from sciml.errors import DataError
from sciml.recording import TIME

__all__ = ["save_into_nwb_copy"]

BLOCK_BYTES = 2**26
OWN = ("data", "channel_conversion")  # what the new series does not share with the one it was made of


def save_into_nwb_copy(
    recording: xr.DataArray,
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    module: str = "sciml",
    name: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Save what was made of a series of an NWB file into a copy of that file, as a new series beside the old one.

    The new series is of the type of the old one and has its clock, electrodes or ROIs, imaging plane and other links;
    its data are the recording's values in the file's unit (conversion 1), its comments the recording's history. The
    source is not changed; a failure leaves the old target or none.

    Parameters
    ----------
    recording
        Of all samples and channels of the series that `attrs["signal"]` names; lazy ones are written block by block.
    source, path
        The NWB 2 file that the recording came from, and the file to write.
    module
        Name of the processing module.
    name
        Name of the new series; default that of the old one and `_denoised`.
    overwrite
        Replace a file that is there.

    Returns
    -------
    path
        The file that was written.

    Raises
    ------
    DataError
        The source is no NWB 2 file or has no such series, the shape is another, or the copy has such a name already.
    StorageError
        The target exists (or is the source), the disk is full, or the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> from sciml.io import open_recording
    >>> from sciml.simulate import population_recording, write_nwb
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source = write_nwb(population_recording(n_neurons=8, duration=20.0), f"{folder}/a.nwb")
    ...     copy = save_into_nwb_copy(open_recording(source).load() / 2, source, f"{folder}/b.nwb", name="half")
    ...     open_recording(copy, "processing/sciml/half").shape
    (400, 8)
    """
    target = files.check_target(path, overwrite=overwrite)
    origin = Path(source).expanduser()
    if target.exists() and target.samefile(origin):
        raise DataError(f"{target}: expected another file than the source, which is never changed; choose another name")
    with files.replacing(target, overwrite=overwrite) as part:
        shutil.copyfile(origin, part)
        with h5py.File(part, "r+") as file:
            _add(file, recording, module, name)
    return target


def _add(file: h5py.File, recording: xr.DataArray, module: str, name: str | None) -> None:
    series = _series(file, recording)
    parent = _module(file, module)
    label = name or f"{series.name.rpartition('/')[2]}_denoised"
    if label in parent:
        raise DataError(f"expected a new name in the processing module {module!r}, which has {label!r} already")
    group = parent.create_group(label)
    for key, value in series.attrs.items():
        group.attrs[key] = value
    group.attrs["object_id"] = str(uuid.uuid4())
    group.attrs["description"] = f"Made by sciml of {series.name}"
    group.attrs["comments"] = str(recording.attrs.get("history", "")) or "no history"
    for key in series:
        if key not in OWN:
            _link_shared(series, key, group)
    _write_data(group, series["data"], recording)


def _series(file: h5py.File, recording: xr.DataArray) -> h5py.Group:
    version = file.attrs.get("nwb_version")
    if version is None or not str(version).startswith("2"):
        raise DataError(f"expected an NWB 2 file as the source, got nwb_version {version!r}; save to netCDF (.nc)")
    path = str(recording.attrs.get("signal", ""))
    series = file.get(path) if path else None
    if not isinstance(series, h5py.Group) or "data" not in series:
        raise DataError(
            f"expected attrs['signal'] to name a series of the source, got {path!r}; open the recording from the "
            "source, or save to netCDF (.nc)"
        )
    shape = recording.transpose(TIME, ...).shape
    if series["data"].shape not in (shape, shape[::-1]):
        raise DataError(
            f"expected a recording of all of {path}, of shape {series['data'].shape}, got {shape}; save parts to netCDF"
        )
    return series


def _module(file: h5py.File, name: str) -> h5py.Group:
    processing = file.require_group("processing")
    if name in processing:
        return processing[name]
    module = processing.create_group(name)
    module.attrs.update(
        {
            "neurodata_type": "ProcessingModule",
            "namespace": "core",
            "object_id": str(uuid.uuid4()),
            "description": "Results of sciml",
        }
    )
    return module


def _link_shared(series: h5py.Group, key: str, group: h5py.Group) -> None:
    """Link the clock and whatever was a link; copy the rest, whose references stay valid within the file."""
    link = series.get(key, getlink=True)
    if isinstance(link, h5py.SoftLink):
        group[key] = h5py.SoftLink(link.path)
    elif isinstance(link, h5py.ExternalLink):
        group[key] = h5py.ExternalLink(link.filename, link.path)
    elif key == "timestamps":
        group[key] = h5py.SoftLink(f"{series.name}/{key}")
    elif isinstance(series[key], h5py.Dataset):
        old = series[key]
        new = group.create_dataset(key, data=old[()], dtype=old.dtype)
        for label, value in old.attrs.items():
            new.attrs[label] = value
        if "object_id" in old.attrs:
            new.attrs["object_id"] = str(uuid.uuid4())


def _write_data(group: h5py.Group, old: h5py.Dataset, recording: xr.DataArray) -> None:
    ordered = recording.transpose(TIME, ...)
    rows = max(1, BLOCK_BYTES // max(1, ordered.dtype.itemsize * ordered.size // ordered.sizes[TIME]))
    data = group.create_dataset("data", shape=ordered.shape, dtype=ordered.dtype, chunks=True)
    for start in range(0, ordered.sizes[TIME], rows):
        part = slice(start, start + rows)
        data[part] = np.asarray(ordered.isel({TIME: part}).values)
    attributes: dict[str, Any] = {key: old.attrs[key] for key in ("unit",) if key in old.attrs}
    data.attrs.update({**attributes, "conversion": 1.0, "offset": 0.0, "resolution": -1.0})
