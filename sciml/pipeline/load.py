"""Opening what a run learns from: the recording, the events that label it, and what is known of a simulated one."""

import difflib
from dataclasses import dataclass, replace

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import ConfigError, DataError
from sciml.io import describe, open_recording, read_events
from sciml.pipeline.config import Config
from sciml.recording import TIME, check, feature_dims, feature_shape, sampling_rate

__all__ = [
    "LABELED",
    "GroundTruth",
    "Loaded",
    "check_column",
    "check_files",
    "check_inputs",
    "ground_truth",
    "labels",
    "load",
]

HELD = 2**30  # bytes
LABELED = frozenset({"classify"})  # tasks that read a table of events beside the recording


@dataclass(frozen=True, eq=False)
class Loaded:
    """A recording, nothing of it read yet, and its events: `label` is the column that holds their classes."""

    recording: xr.DataArray
    events: xr.Dataset | None = None
    label: str = ""

    def held(self) -> "Loaded":
        """Return the recording read into memory where it is small, else in dask chunks that are read when used."""
        recording = self.recording
        if recording.nbytes <= HELD:
            return replace(self, recording=recording.load())
        return self if recording.chunks else replace(self, recording=recording.chunk({TIME: "auto"}))


def check_files(config: Config) -> None:
    """Refuse a configuration without a recording.

    Raises
    ------
    ConfigError
        No file.
    """
    if not config.data.files:
        raise ConfigError("data.files: expected at least one recording, got none; name a file")


def check_inputs(config: Config) -> None:
    """Raise if something that a configuration names is not there; values are not read.

    Raises
    ------
    ConfigError
        No file, or no labels where the task needs them.
    DataError
        A file, signal, table or column that is not there.
    """
    table, label = labels(config) if config.task in LABELED and config.data.files else ("", "")
    loaded = load(config, table, label)
    if loaded.events is not None:
        check_column(loaded.events, label)


def labels(config: Config) -> tuple[str, str]:
    """Return the table and the column that `data.labels` names.

    Raises
    ------
    ConfigError
        It names none; the message lists the tables of the file.
    """
    table, _, column = (config.data.labels or "").rpartition(":")
    if not table or not column:
        raise ConfigError(
            f"data.labels: expected TABLE:COLUMN, as intervals/trials:stimulus, got {config.data.labels!r}; "
            f"{_tables(config.data.files[0])}"
        )
    return table, column


def _tables(file: str) -> str:
    found = [f"{table.name} ({', '.join(table.columns)})" for table in describe(file).tables]
    return f"tables of the file: {'; '.join(found)}" if found else "the file has no tables: try task = 'forecast'"


def check_column(events: xr.Dataset, label: str) -> None:
    """Raise a DataError that suggests the nearest if a table of events has no such column."""
    if label not in events.variables:
        columns = sorted(map(str, events.variables))
        near = difflib.get_close_matches(label, columns, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise DataError(f"no column {label!r} in the table of events; {hint}it has {', '.join(columns)}")


def load(config: Config, table: str = "", label: str = "") -> Loaded:
    """Open the files of a configuration; several files are laid one after the other in time.

    Parameters
    ----------
    config
        Files and signal.
    table, label
        The table of events to read, and its column of labels; empty for none.

    Raises
    ------
    ConfigError
        No file.
    DataError
        A file, signal or table that is not there, or files of different channels.
    """
    check_files(config)
    files = config.data.files
    parts = [_open_one(file, config.data.signal, table, chunked=len(files) > 1) for file in files]
    recording, events = parts[0] if len(parts) == 1 else _concat(files, parts)
    return Loaded(recording, events, label)


def _open_one(file: str, signal: str | None, table: str, *, chunked: bool) -> tuple[xr.DataArray, xr.Dataset | None]:
    recording = check(open_recording(file, signal, chunks="auto" if chunked else None))
    return recording, read_events(file, table) if table else None


def _concat(
    files: tuple[str, ...], parts: list[tuple[xr.DataArray, xr.Dataset | None]]
) -> tuple[xr.DataArray, xr.Dataset | None]:
    """Return the parts as one recording with gaps of its clock between files, and their events on that clock."""
    first = parts[0][0]
    rate, recordings, tables, offset = sampling_rate(first), [], [], 0.0
    for file, (recording, events) in zip(files, parts, strict=True):
        _same_channels(first, recording, files[0], file)
        clock = recording[TIME].values if TIME in recording.coords else np.arange(recording.sizes[TIME]) / rate
        shift = offset - float(clock[0])
        recordings.append(recording.assign_coords({TIME: clock + shift}))
        if events is not None:
            moved = {name: events[name] + shift for name in ("start_time", "stop_time")}
            tables.append(events.assign(moved).reset_coords(drop=True))
        offset = float(clock[-1]) + shift + 10 / rate  # a gap, ten samples long
    combined = xr.concat(
        recordings, TIME, combine_attrs="override", coords="minimal", compat="override", join="override"
    )
    combined.attrs = {key: value for key, value in first.attrs.items() if key != "sampling_rate"}
    combined.attrs["source"] = ", ".join(str(recording.attrs.get("source", "")) for recording in recordings)
    combined.attrs["sha256"] = " ".join(str(recording.attrs.get("sha256", "")) for recording in recordings)
    return combined, xr.concat(tables, "event", join="override", combine_attrs="override") if tables else None


def _same_channels(first: xr.DataArray, other: xr.DataArray, name: str, other_name: str) -> None:
    for what, expected, got in (
        ("dims", feature_dims(first), feature_dims(other)),
        ("channels", feature_shape(first), feature_shape(other)),
        ("units", first.attrs.get("units", ""), other.attrs.get("units", "")),
        ("a sampling rate [Hz]", round(sampling_rate(first), 6), round(sampling_rate(other), 6)),
    ):
        if expected != got:
            raise DataError(f"{other_name}: expected {what} of {expected}, as {name} has, got {got}; fit them apart")


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """What is known of a simulated recording: the rank of the signal, and the clean signal (time, channel)."""

    rank: int
    signal: NDArray[np.float32]


def ground_truth(files: tuple[str, ...]) -> GroundTruth | None:
    """Return the truth that `sciml.simulate.write_nwb` laid beside a recording; None for all other files."""
    if len(files) != 1:
        return None
    with h5py.File(files[0]) as file:
        found = [file.get(f"scratch/{name}") for name in ("rank", "signal")]
        ours = all(isinstance(each, h5py.Dataset) and "truth:" in str(each.attrs.get("notes")) for each in found)
        return GroundTruth(int(found[0][()]), found[1][()]) if ours else None
