"""Opening what a run learns from: the recording, the events that label it, and what is known of a simulated one."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.data.recordings.channels import agree
from sciml.data.recordings.concat import Piece, Spans, crop_to, end_to_end
from sciml.data.recordings.spikes import silent_units
from sciml.data.samples import MEMORY, Missing, Samples, read_samples, table_bytes
from sciml.data.shared import local_size
from sciml.errors import ConfigError, DataError
from sciml.io import describe
from sciml.pipeline.config import Config
from sciml.pipeline.load.pieces import pieces_of
from sciml.recording import TIME, feature_dims

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

LABELED = frozenset({"classify", "regress"})  # tasks that read a table of events beside the recording, or a target


@dataclass(frozen=True, eq=False)
class Loaded:
    """A recording, nothing of it read yet, and its events: `label` is the column that holds their classes or numbers.

    `target` is the signal that is to be told, on the clock of the recording; `spans` says which samples belong to which
    file, session, subject and trial; `notes` what was done to bring the files together; `memory` how many bytes samples
    may take.
    """

    recording: xr.DataArray
    events: xr.Dataset | None = None
    label: str = ""
    spans: Spans | None = None
    notes: tuple[str, ...] = ()
    target: xr.DataArray | None = None
    memory: int = MEMORY

    def samples(self, missing: Missing) -> Samples:
        """Return the recording as a table of its samples, in memory where they fit."""
        return read_samples(self.recording, missing, memory=self.memory)

    def held(self) -> "Loaded":
        """Return the recording read into memory where its table fits beside, else in dask chunks read when used."""
        recording = self.recording
        if local_size() * recording.nbytes + table_bytes(recording) <= self.memory:
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
    wanted = config.task in LABELED and config.data.files and not config.data.target
    table, label = labels(config) if wanted else ("", "")
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
    pieces = [piece for file in config.data.files for piece in pieces_of(file, config.data, table=table)]
    agreed, notes = agree(
        [piece.recording for piece in pieces], [piece.source for piece in pieces], how=config.data.channels
    )
    aligned = _named([replace(piece, recording=one) for piece, one in zip(pieces, agreed, strict=True)])
    recording, events, spans = end_to_end(aligned)
    return Loaded(
        recording,
        events,
        label,
        spans,
        notes=(*notes, *_of_units(config, aligned)),
        target=_target(config, aligned, spans),
        memory=config.data.memory,
    )


def _target(config: Config, pieces: Sequence[Piece], spans: Spans) -> xr.DataArray | None:
    """Open the signal that is to be told, of the same files or of others, and put it on the clock of the recording."""
    data = config.data
    if data.target is None:
        return None
    asked = data.model_copy(update={"signal": data.target, "missing": "drop", "bin": None})
    found = [piece for file in data.target_files or data.files for piece in pieces_of(file, asked)]
    if len(found) != len(pieces):
        raise DataError(
            f"expected one target for each of {len(pieces)} recordings, got {len(found)}; name as many "
            "data.target_files as files, in the same order"
        )
    if len(found) == 1:
        return found[0].recording
    within = [crop_to(target, piece) for target, piece in zip(found, pieces, strict=True)]
    return end_to_end(within, shifts=spans.shifts.tolist())[0]


def _of_units(config: Config, pieces: Sequence[Piece]) -> list[str]:
    """Return in words what of units is to be known: those without an event, and numbers that two sessions share."""
    found = []
    if config.data.bin is not None:
        for piece in pieces:
            if silent := silent_units(piece.recording):
                some = f"{', '.join(silent[:6])}{', ...' if len(silent) > 6 else ''}"
                found.append(f"{piece.source}: no event of unit {some}: {len(silent)} channels are constant, and kept")
    sessions, dims = {piece.units["session"] for piece in pieces}, feature_dims(pieces[0].recording)
    if len(sessions) > 1 and dims in (("unit",), ("roi",)) and config.data.channels != "position":
        found.append(
            f"{len(sessions)} sessions agree on the names of their {dims[0]}s; whether a name means the same cell in "
            "each, the files do not say"
        )
    return found


def _named(pieces: Sequence[Piece]) -> list[Piece]:
    """Return pieces that know their session: the one that their file states, else all files of one identifier.

    Files are called by their name alone where no two share it, and so is a session of a single file.
    """
    paths = dict.fromkeys(piece.units["file"] for piece in pieces)
    names = {path: Path(path).name for path in paths}
    if len(set(names.values())) < len(names):
        names = {path: path for path in paths}
    of_one = {piece.units["file"]: piece.units["identifier"] for piece in pieces}
    n_files = Counter(of_one.values())
    found = []
    for piece in pieces:
        known = dict(piece.units)
        identifier, file = known.pop("identifier"), names[known["file"]]
        session = identifier if n_files[identifier] > 1 else file
        found.append(replace(piece, units={"session": session, **known, "file": file}))
    return found


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """What is known of a simulated recording: the rank of the signal, and the clean signal (time, channel)."""

    rank: int
    signal: NDArray[np.float32]


def ground_truth(files: tuple[str, ...]) -> GroundTruth | None:
    """Return the truth that `sciml.simulate.write_nwb` laid beside a recording; None for all other files."""
    if len(files) != 1 or not Path(files[0]).is_file() or not h5py.is_hdf5(files[0]):
        return None
    with h5py.File(files[0]) as file:
        found = [file.get(f"scratch/{name}") for name in ("rank", "signal")]
        ours = all(isinstance(each, h5py.Dataset) and "truth:" in str(each.attrs.get("notes")) for each in found)
        return GroundTruth(int(found[0][()]), found[1][()]) if ours else None
