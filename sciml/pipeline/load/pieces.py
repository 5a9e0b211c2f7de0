"""What one file brings to a run: a recording, or one a trial, and what each belongs to."""

import hashlib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sciml.data.recordings.concat import Piece
from sciml.data.recordings.spikes import count_events, root_of_counts
from sciml.errors import ConfigError, DataError
from sciml.io import SignalInfo, describe, matching_signals, open_recording, read_events
from sciml.io.hdf5.digest import digest
from sciml.pipeline.config import Data
from sciml.recording import TIME, check, sampling_rate, seconds

__all__ = ["SWEEPS", "pieces_of"]

TRIAL = "trial"
SWEEPS = "sweeps"  # as the table of events: of signals that are trials, each of them
COUNTS, TIMES = "spike counts", "spike times"  # kinds of signals
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
OWNERS = ("unit", "cluster", "label", "channel")  # columns that say whose an event is, the first that is there


def pieces_of(file: str, data: Data, *, table: str = "") -> list[Piece]:
    """Open the signal of one file, nothing of it read, and the events of a table: one piece, or one a trial.

    Of signals that are trials (sweeps) the table "sweeps" holds one event each, with what the file states of it.

    Raises
    ------
    DataError
        A file, signal or table that is not there, or a signal that is no recording.
    ConfigError
        Bins for a signal that is sampled already.
    """
    trials = _trials(file, data) if data.bin is None else None
    if trials is not None and table == SWEEPS:
        return _sweeps(file, data, trials)
    events = read_events(file, table) if table else None
    if data.bin is not None:
        return [Piece(file, check(_binned(file, data, data.bin)), _belongs_to(file), events)]
    if trials is None:
        recording = open_recording(file, data.signal, chunks="auto" if len(data.files) > 1 else None)
        return [Piece(file, _with_digest(_sampled(recording), file), _belongs_to(file), events)]
    units = _belongs_to(file)
    return [
        Piece(f"{file}: {name}", check(one), {**units, TRIAL: f"{Path(file).name}: {name}"}, _within(events, one))
        for name, one in trials.items()
    ]


def _sweeps(file: str, data: Data, trials: Mapping[str, xr.DataArray]) -> list[Piece]:
    """Return trials, each its own only event; columns are what the file states of each in words or numbers."""
    about = {signal.path.rpartition("/")[2]: open_recording(file, signal.path).attrs
             for signal in matching_signals(file, data.signal)}  # fmt: skip
    said = [about.get(name, {}) for name in trials]
    columns = [key for key in said[0] if all(isinstance(each.get(key), (str, int, float)) for each in said)]
    found, units = [], _belongs_to(file)
    for (name, one), each in zip(trials.items(), said, strict=True):
        clock = seconds(one)
        start, stop = (0.0, float(one.sizes[TIME] - 1)) if clock is None else (float(clock[0]), float(clock[-1]))
        row = {"start_time": start, "stop_time": stop + 1.0 / sampling_rate(one), "name": name}
        table = {key: ("event", [value]) for key, value in ({key: each[key] for key in columns} | row).items()}
        belongs = {**units, TRIAL: f"{Path(file).name}: {name}"}
        found.append(Piece(f"{file}: {name}", check(one), belongs, xr.Dataset(table)))
    return found


def _with_digest(recording: xr.DataArray, file: str) -> xr.DataArray:
    """Return the recording with name and digest of its file, which one that sciml saved does not have."""
    if recording.attrs.get("sha256") or not Path(file).is_file():
        return recording
    name = {"source": Path(file).name, "signal": "" if recording.name is None else str(recording.name)}
    return recording.assign_attrs({**digest(Path(file)), **name, **recording.attrs})


def _sampled(recording: xr.DataArray) -> xr.DataArray:
    """Return the recording, or say that moments are to be counted in bins first."""
    if TIME not in recording.dims and recording.dims[:1] == ("event",) and recording.attrs.get("units") in SECONDS:
        raise DataError(
            f"{recording.attrs.get('signal')}: expected samples along time, got the times of "
            f"{recording.sizes['event']} events; set data.bin to the width of a bin in seconds "
            "(--set data.bin=0.1) to count them"
        )
    return check(recording)


def _belongs_to(file: str) -> dict[str, str]:
    """Return file, identifier, session and subject of a file, as far as it says so."""
    said = {} if Path(file).is_dir() else dict(describe(file).attrs)
    subject, session = said.get("subject", ""), said.get("session", "")
    found = {"file": str(file), "identifier": said.get("identifier") or str(file)}
    found |= {"session": f"{subject}/{session}" if subject else session} if session else {}
    return found | ({"subject": subject} if subject else {})


def _trials(file: str, data: Data) -> dict[str, xr.DataArray] | None:
    """Return the recordings of trials by their names; None where the signal is one recording."""
    signals = [] if Path(file).is_dir() else matching_signals(file, data.signal)
    if len(signals) > 1 and all(signal.stack == TRIAL for signal in signals):
        if len({(signal.shape, signal.rate) for signal in signals}) > 1 or any(
            signal.rate is None for signal in signals
        ):
            return {signal.path.rpartition("/")[2]: open_recording(file, signal.path) for signal in signals}
    elif not (len(signals) == 1 and TRIAL in signals[0].dims and TIME in signals[0].dims):
        return None
    whole = open_recording(file, data.signal, chunks="auto")
    names = whole[TRIAL].values if TRIAL in whole.coords else np.arange(whole.sizes[TRIAL])
    return {str(name): _trial(whole, k) for k, name in enumerate(names.tolist())}


def _trial(whole: xr.DataArray, k: int) -> xr.DataArray:
    """Return one trial on the clock of its file."""
    one = whole.isel({TRIAL: k})
    start = float(one["start_time"].values) if "start_time" in one.coords else 0.0
    one = one.drop_vars([name for name in (TRIAL, "start_time") if name in one.coords])
    return one.assign_coords({TIME: one[TIME] + start}) if start and TIME in one.coords else one


def _within(events: xr.Dataset | None, trial: xr.DataArray) -> xr.Dataset | None:
    """Return the events that begin within a trial."""
    clock = seconds(trial)
    if events is None or clock is None:
        return events
    start = events["start_time"].values
    return events.isel(event=np.flatnonzero((start >= clock[0]) & (start <= clock[-1])))


def _binned(file: str, data: Data, width: float) -> xr.DataArray:
    """Return the events of a file in bins, one channel a unit."""
    signals = _spike_signals(file, data.signal)
    if signals and signals[0].kind == COUNTS:
        found = open_recording(file, signals[0].path, rate=1.0 / width).load()
        found.attrs["bin_width"] = width
    elif signals:
        found = _counted(_times(open_recording(file, signals[0].path)), file, signals[0].path, width)
    else:
        found = _counted(_of_tables(file, data.signal), file, data.signal or "events", width)
    middle = found.assign_coords({TIME: found[TIME] + 0.5 * width})  # so far bins are called by their start
    return root_of_counts(middle) if data.counts == "sqrt" else middle


def _spike_signals(file: str, wanted: str | None) -> list[SignalInfo]:
    """Return the signal of spikes that is meant, counts before times; none where tables are to be looked at."""
    about = describe(file)
    spikes = [signal for signal in about.signals if signal.kind in (COUNTS, TIMES)]
    if wanted is None:
        return sorted(spikes, key=lambda signal: signal.kind != COUNTS)[:1]
    try:
        found = matching_signals(file, wanted)
    except DataError:
        if _tables(file, wanted):
            return []
        raise
    of_same = [each for each in spikes if each.kind == COUNTS and _parent(each.path) == _parent(found[0].path)]
    if found[0].kind in (COUNTS, TIMES) and of_same:
        return of_same
    if len(found) > 1 or TIME in found[0].dims or len(found[0].dims) != 1 or found[0].unit not in SECONDS:
        raise ConfigError(
            f"data.bin: expected a signal of times in seconds or a table of events to count in bins, got "
            f"{found[0].summary()}; leave data.bin out, or name another signal"
        )
    return found


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _times(recording: xr.DataArray) -> dict[str, Any]:
    """Return the times of a signal by unit."""
    times = np.asarray(recording.values, dtype=np.float64) * SECONDS[str(recording.attrs.get("units"))]
    dim = recording.dims[0]
    owner = next((name for name in OWNERS if name in recording.coords and recording[name].dims == (dim,)), None)
    return _by_owner(times, None if owner is None else recording[owner].values)


def _tables(file: str, wanted: str | None) -> list[str]:
    """Return the tables of events that a name, the end of one, or a pattern means; by default those of units."""
    tables = describe(file).tables
    if wanted is None:
        return [table.name for table in tables if "start_time" in table.columns and "unit" in table.columns]
    name = wanted.strip("/")
    return [table.name for table in tables if fnmatchcase(f"/{table.name}", f"*/{name}")]


def _of_tables(file: str, wanted: str | None) -> dict[str, Any]:
    """Return the times of the events of tables: by unit where a table names some, else one unit a table."""
    names = _tables(file, wanted)
    if not names:
        raise DataError(_no_spikes(file))
    found: dict[str, Any] = {}
    for name in names:
        events = read_events(file, name)
        owner = next((column for column in OWNERS if column in events.variables), None)
        one = _by_owner(events["start_time"].values, None if owner is None else events[owner].values)
        short = name.rpartition("/")[2]
        found |= {short: one[""]} if owner is None else {(f"{short}/{key}" if len(names) > 1 else key): value
                                                         for key, value in one.items()}  # fmt: skip
    return found


def _by_owner(times: Any, owners: Any) -> dict[str, Any]:
    if owners is None:
        return {"": times}
    return {str(owner): times[owners == owner] for owner in np.unique(owners).tolist()}


def _no_spikes(file: str) -> str:
    about = describe(file)
    units = next((table for table in about.tables if table.name.rpartition("/")[2] == "units"), None)
    if units is not None:
        what = "its table units has no unit" if not units.rows else f"none of the {units.rows} units has a spike"
    else:
        listed = ", ".join(table.name for table in about.tables if "start_time" in table.columns)
        what = f"data.signal may name one of its tables of events: {listed}" if listed else "it has no table of events"
    return f"{file}: data.bin: expected spike times or a table of events, found none: {what}"


def _counted(times: dict[str, Any], file: str, signal: str, width: float) -> xr.DataArray:
    counts = count_events(times, width=width, source=f"{file}: {signal}")
    digest = hashlib.sha256(np.ascontiguousarray(counts.values).tobytes()).hexdigest()
    return counts.assign_attrs(source=Path(file).name, signal=signal, sha256=digest)
