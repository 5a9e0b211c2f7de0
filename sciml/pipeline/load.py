"""Opening what a run learns from: the recording, the events that label it, and the settings that depend on them."""

import difflib
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import ConfigError, DataError
from sciml.io import describe, open_recording, read_events
from sciml.pipeline.config import Config
from sciml.recording import TIME, check, feature_dims, feature_shape, sampling_rate

__all__ = ["Source", "Truth", "open_source", "planted", "resolve"]

FORECAST_LENGTH, FORECAST_HORIZON = 5.0, 1.0  # [s]
# a forecast begins at the last sample, and windows that follow each other are few and alike: end there, and stay small
FORECAST_OPTIONS = {"fcn": {"pool": "last", "norm": "group", "width": 32, "dropout": 0.3}}
HELD = 2**30  # bytes


@dataclass(frozen=True, eq=False)
class Source:
    """A recording, nothing of it read yet, and its events: `label` is the column that holds their classes."""

    recording: xr.DataArray
    events: xr.Dataset | None = None
    label: str = ""

    def held(self) -> "Source":
        """Return the recording read into memory where it is small, else in dask chunks that are read when used."""
        recording = self.recording
        if recording.nbytes <= HELD:
            return replace(self, recording=recording.load())
        return self if recording.chunks else replace(self, recording=recording.chunk({TIME: "auto"}))


def open_source(config: Config) -> Source:
    """Open the files of a configuration; several files are laid one after the other in time.

    Raises
    ------
    ConfigError
        No file, or no labels to classify by (the message lists the tables there are).
    DataError
        A file, signal or table that is not there, or files of different channels.
    """
    files = config.data.files
    if not files:
        raise ConfigError("data.files: expected at least one recording, got none; name a file")
    table, label = _labels(config)
    parts = [_open_one(file, config.data.signal, table, chunked=len(files) > 1) for file in files]
    recording, events = parts[0] if len(parts) == 1 else _joined(files, parts)
    return Source(recording, events, label)


def _labels(config: Config) -> tuple[str, str]:
    """Return the table and the column that `data.labels` names; both empty for a forecast."""
    if config.task == "forecast":
        return "", ""
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


def _open_one(file: str, signal: str | None, table: str, *, chunked: bool) -> tuple[xr.DataArray, xr.Dataset | None]:
    recording = check(open_recording(file, signal, chunks="auto" if chunked else None))
    return recording, read_events(file, table) if table else None


def _joined(
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
    joined = xr.concat(recordings, TIME, combine_attrs="override", coords="minimal", compat="override", join="override")
    joined.attrs = {key: value for key, value in first.attrs.items() if key != "sampling_rate"}
    joined.attrs["source"] = ", ".join(str(recording.attrs.get("source", "")) for recording in recordings)
    joined.attrs["sha256"] = " ".join(str(recording.attrs.get("sha256", "")) for recording in recordings)
    return joined, xr.concat(tables, "event", join="override", combine_attrs="override") if tables else None


def _same_channels(first: xr.DataArray, other: xr.DataArray, name: str, other_name: str) -> None:
    for what, expected, got in (
        ("dims", feature_dims(first), feature_dims(other)),
        ("channels", feature_shape(first), feature_shape(other)),
        ("units", first.attrs.get("units", ""), other.attrs.get("units", "")),
        ("a sampling rate [Hz]", round(sampling_rate(first), 6), round(sampling_rate(other), 6)),
    ):
        if expected != got:
            raise DataError(f"{other_name}: expected {what} of {expected}, as {name} has, got {got}; fit them apart")


def resolve(config: Config, source: Source) -> Config:
    """Return the configuration with everything decided that was left to the task and the recording.

    Raises
    ------
    ConfigError
        A window length that the events do not tell.
    DataError
        A column of labels that is not there.
    """
    classify = config.task == "classify"
    chosen = config.windows
    if classify:
        assert source.events is not None  # noqa: S101 - open_source read them
        _check_column(source.events, source.label)
        length = chosen.length or config.windows.before + _median_duration(source.events)
        windows = chosen.model_copy(update={"length": length, "step": None, "horizon": None})
    else:
        horizon = chosen.horizon or FORECAST_HORIZON
        later = {"length": chosen.length or FORECAST_LENGTH, "horizon": horizon, "step": chosen.step or horizon}
        windows = chosen.model_copy(update=later)
    span = (windows.length or 0.0) + (windows.horizon or 0.0)
    gap = span if config.split.gap is None else config.split.gap
    denoise = classify if config.noise.denoise is None else config.noise.denoise
    usual = {} if classify else FORECAST_OPTIONS.get(config.model.name, {})
    options = usual if config.model.options is None else config.model.options
    files = tuple(str(Path(file).absolute()) for file in config.data.files)
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"files": files}),
            "windows": windows,
            "split": config.split.model_copy(update={"gap": gap}),
            "noise": config.noise.model_copy(update={"denoise": denoise}),
            "model": config.model.model_copy(update={"options": options}),
        }
    )


def _check_column(events: xr.Dataset, label: str) -> None:
    if label not in events.variables:
        columns = sorted(map(str, events.variables))
        near = difflib.get_close_matches(label, columns, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise DataError(f"no column {label!r} in the table of events; {hint}it has {', '.join(columns)}")


def _median_duration(events: xr.Dataset) -> float:
    durations = np.asarray(events["stop_time"] - events["start_time"], dtype=np.float64)
    known = durations[np.isfinite(durations) & (durations > 0)]
    if not len(known):
        raise ConfigError("windows.length: expected seconds, for the events of this table have no duration; set it")
    # whole milliseconds: the trials of one length differ in the last digits of their times
    return float(np.round(np.median(known), 3)) or float(np.median(known))


@dataclass(frozen=True, eq=False)
class Truth:
    """What was planted in a simulated recording: the rank of the signal, and the clean signal (time, channel)."""

    rank: int
    signal: NDArray[np.float32]


def planted(files: tuple[str, ...]) -> Truth | None:
    """Return the truth that `sciml.simulate.write_nwb` laid beside a recording; None for all other files."""
    if len(files) != 1:
        return None
    with h5py.File(files[0]) as file:
        found = [file.get(f"scratch/{name}") for name in ("rank", "signal")]
        ours = all(isinstance(each, h5py.Dataset) and "truth:" in str(each.attrs.get("notes")) for each in found)
        return Truth(int(found[0][()]), found[1][()]) if ours else None
