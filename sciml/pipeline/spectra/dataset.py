"""Spectra as one xarray Dataset, in a netCDF file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sciml import files
from sciml._typing import AnyArray
from sciml.errors import CheckpointError
from sciml.report.net_record import NetRecord
from sciml.spectra.tracking import SpectrumTrack

__all__ = ["FileStore", "read_dataset", "save_spectra", "to_dataset", "write_dataset"]

SCHEMA = "sciml.spectra/1"


def to_dataset(variables: Mapping[str, Any], **attrs: str) -> xr.Dataset:
    """Return variables, name -> (dims, values, attributes), as a Dataset; those named as their dim are coordinates."""
    coordinates = {name: value for name, value in variables.items() if value[0] == (name,)}
    data = {name: value for name, value in variables.items() if name not in coordinates}
    return xr.Dataset(data, coords=coordinates, attrs={"schema": SCHEMA, **attrs})


def write_dataset(dataset: xr.Dataset, path: Path, *, overwrite: bool = False) -> None:
    """Write a Dataset as netCDF, whole or not at all.

    Raises
    ------
    StorageError
        The file exists and may not be replaced, or cannot be written.
    """
    with files.replacing(path, overwrite=overwrite) as part, files.said_of_disk(path):
        dataset.to_netcdf(part, engine="h5netcdf")


def save_spectra(record: NetRecord, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write all that is known of a net's spectra as one netCDF file, which any reader of netCDF opens.

    Raises
    ------
    StorageError
        The file exists and may not be replaced, or cannot be written.
    """
    target = Path(path)
    write_dataset(to_dataset(record.variables(), title=record.name, source=record.subject), target, overwrite=overwrite)
    return target


def read_dataset(path: Path) -> xr.Dataset:
    """Read a Dataset that `write_dataset` wrote, into memory.

    Raises
    ------
    CheckpointError
        No such file, or one of another kind.
    """
    try:
        with xr.open_dataset(path, engine="h5netcdf") as found:
            dataset = found.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"expected spectra in {path}, got: {error}") from error
    if dataset.attrs.get("schema") != SCHEMA:
        raise CheckpointError(f"expected spectra ({SCHEMA}) in {path}, got {dataset.attrs.get('schema')!r}")
    return dataset


class FileStore:
    """Keeps the track of a run in a netCDF file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> SpectrumTrack:
        """Return the track in the file; an empty one where there is no file."""
        if not self.path.exists():
            return SpectrumTrack()
        dataset = read_dataset(self.path)
        return SpectrumTrack.from_variables(
            {str(name): (tuple(map(str, x.dims)), _values(x), dict(x.attrs)) for name, x in dataset.variables.items()}
        )

    def write(self, track: SpectrumTrack) -> None:
        """Replace the file by one that holds this track."""
        write_dataset(to_dataset(track.variables()), self.path, overwrite=True)


def _values(variable: xr.Variable) -> AnyArray:
    values = np.asarray(variable.values)
    return values.astype(str) if values.dtype == object else values
