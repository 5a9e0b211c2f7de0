"""What the user calls: list, describe and open what is in a file."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Literal

from numpy.typing import DTypeLike

from sciml._later import xr
from sciml.errors import ConfigError, DataError
from sciml.io.hdf5.guard import DEFAULT_LIMITS, Limits
from sciml.io.hdf5.issues import Issue, as_issue, said_once
from sciml.io.hdf5.tree import Node, Tree, open_tree
from sciml.io.readers import plain
from sciml.io.recordings.assemble import Chunks, build, chunked, chunks_in_file, info, stacked
from sciml.io.recordings.concat import Part, join
from sciml.io.recordings.concat_new_dim import side_by_side
from sciml.io.recordings.findings import aliases, of_signals
from sciml.io.recordings.overrides import Overrides, overrides_from
from sciml.io.registry import named, scan, survey
from sciml.io.schema.declarations import Contents, Signal
from sciml.io.schema.listing import FileInfo, SignalInfo, TableInfo
from sciml.io.schema.scaling import with_unapplied
from sciml.io.write.zarr import is_zarr, open_saved

__all__ = ["describe", "list_signals", "matching_signals", "open_recording", "read_events", "recordings", "select"]

SHOWN = 12  # names in an error message


Paths = str | os.PathLike[str]


def open_recording(
    path: Paths | Sequence[Paths],
    signal: str | None = None,
    *,
    chunks: Chunks | None = None,
    dtype: DTypeLike | None = None,
    raw: bool = False,
    dims: Sequence[str] | None = None,
    units: str | None = None,
    rate: float | None = None,
    scale: float | None = None,
    offset: float | None = None,
    mapping: Paths | None = None,
    along: str | None = None,
    allow_missing: Literal["mask"] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> xr.DataArray:
    r"""Open a signal of an HDF5 file as a recording, without reading its values.

    The format is recognized from the content (NWB 2, NeXus, GWOSC and many more, recordings saved by sciml, any other
    HDF5; `docs/formats.md` lists them). Values are read when asked for, and then are physical:

    .. math:: x = \mathrm{stored} \cdot \mathrm{conversion} \cdot \mathrm{channel\_conversion} + \mathrm{offset}

    Parameters
    ----------
    path
        The file; a Zarr folder that `save_recording` wrote; a file elsewhere (`https://`, `s3://`, whatever fsspec
        opens; needs `pip install sciml[remote]`), of which only what is read is fetched. A file that a program is
        writing in SWMR mode opens as it is at that moment: open it anew to see the samples written since.
        Or several files, which are joined along time in the order of their clocks, gaps kept. Their dims,
        channels, units and rates must agree. Clocks that count from the start of each file are shifted by the starts
        that the files state; files without a clock follow each other as given, also along `trial`, `event` or `frame`
        where that is their first dim.
    signal
        A path in the file, a unique end of one, or a pattern with `*`: the signals it matches are stacked along a new
        second dim (`roi`, `channel`) if their clocks agree. None takes the file's only or default signal. Any array
        of numbers in the file can be opened by its path.
    chunks
        None: lazy NumPy. A number of samples, a dict of dims, or "auto": dask arrays, rounded up to whole chunks of
        the file.
    dtype
        Of the values. By default float32 for stored integers of up to 16 bits; floats and booleans that need no
        scaling keep their type (float16 becomes float32); float64 for all else.
    raw
        Hand out the values as stored, unscaled.
    dims, units, rate, scale, offset
        What you know better than the file, for any signal: names of the stored axes ("time" comes first in the
        recording), unit, samples per second, and physical value = stored * scale + offset.
    mapping
        A TOML file that states the same, and `signal`; keywords win over it.
    along
        How several files go together. None: end to end along their first dim, as above. The name of a new dim, such
        as "trial": side by side, a file each; time is shared or counts from the start of each file, and the
        coordinate `start_time` says when that was.
    allow_missing
        None: what is missing raises when it is read. "mask": values of one signal that cannot be had (absent files
        of a virtual dataset, a filter that is not installed) are NaN, and rows that hold such are True in `mask`;
        the reason stands in the history.
    limits
        Budgets for files that ask too much; see `Limits`.

    Returns
    -------
    recording
        Dims `time` and the features; coordinate `time` in seconds where the file has a clock; tables of electrodes
        or ROIs along their dim; `mask` (True = leave out), `uncertainty` (standard deviations), `quality` and the edges
        of bins (`<dim>_left`, `<dim>_right`) where the format has them. attrs: `units`,
        `sampling_rate` in Hz if the clock is regular, `source`, `signal`, `reader`, `history` (one line a step, with
        notes on whatever was odd), and `sha256` of the file: of the whole up to 8 MiB, beyond that of its size in
        decimal digits, first MiB and last MiB (`sha256_of` says which).

    Raises
    ------
    DataError
        The file cannot be read, or holds no such signal (the message lists those it holds). Values that are not
        there (missing sources of virtual datasets, missing filters) raise it when they are read.
    ConfigError
        `dtype`, `chunks` or a stated fact does not fit.

    Examples
    --------
    >>> import h5py, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "trace.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["trace"] = [[1, 2], [3, 4], [5, 6]]
    ...     file["trace"].attrs.update(units="mV", sampling_rate=10.0)
    >>> recording = open_recording(path)
    >>> recording.dims, recording.attrs["units"], recording.time.values.tolist()
    (('time', 'channel'), 'mV', [0.0, 0.1, 0.2])

    The axes, unit and rate of any other HDF5 file are stated in words:

    >>> with h5py.File(path, "w") as file:
    ...     file["group/data"] = [[1, 2, 3], [4, 5, 6]]
    >>> recording = open_recording(
    ...     path, "group/data", dims=("channel", "time"), units="uV", rate=30000.0, scale=0.195, offset=0.0
    ... )
    >>> recording.sizes["time"], recording.attrs["sampling_rate"], recording[0].values.tolist()
    (3, 30000.0, [0.195, 0.78])
    """
    overrides = overrides_from(mapping, signal=signal, dims=dims, units=units, rate=rate, scale=scale, offset=offset)
    if allow_missing not in (None, "mask"):
        raise ConfigError(f"allow_missing={allow_missing!r}: expected None or 'mask'")
    opened = partial(build, masked=allow_missing == "mask", raw=raw, dtype=dtype)
    one = partial(_open_one, overrides=overrides, chunks=chunks, dtype=dtype, raw=raw, opened=opened, limits=limits)
    if isinstance(path, (str, os.PathLike)):
        return one(path).recording
    parts = [one(each) for each in path]
    if not parts:
        raise DataError("expected at least one file to open, got an empty list; check the pattern of their names")
    first = parts[0].recording
    if along is not None and along not in first.dims:
        return side_by_side(parts, along, limits)
    if along is not None and along != first.dims[0]:
        raise ConfigError(f"along={along!r}: expected {first.dims[0]!r} or a new dim, got one of {first.dims}")
    return first if len(parts) == 1 else join(parts, limits)


def _open_one(
    path: Paths,
    *,
    overrides: Overrides,
    chunks: Chunks | None,
    dtype: DTypeLike | None,
    raw: bool,
    opened: Callable[..., xr.DataArray],
    limits: Limits,
) -> Part:
    if is_zarr(path):
        saved = open_saved(path, dtype, limits)
        if overrides != Overrides() and overrides != Overrides(signal=str(saved.name)):
            raise ConfigError(
                f"{path}: a Zarr folder states its one signal itself; expected no mapping, got {overrides}"
            )
        saved = saved if chunks is None else chunked(saved, saved.encoding["preferred_chunks"], chunks)
        return Part(saved, str(saved.attrs.get("start", "")))
    with open_tree(path, limits) as tree:
        reader, contents = scan(tree)
        chosen = [overrides.apply(signal) for signal in select(contents, tree, overrides.signal)]
        where = tree.files.main
        with named(tree, reader):
            if len(chosen) == 1:
                name = "plain" if chosen[0].kind == "dataset" else reader.name
                recording = opened(chosen[0], path=where, reader=name)
            else:
                recording = stacked(chosen, str(overrides.signal), path=where, reader=reader.name, raw=raw, dtype=dtype)
        in_file = chunks_in_file(chosen[0])
        recording = recording if chunks is None else chunked(recording, in_file, chunks)
        recording.encoding["preferred_chunks"] = in_file
        return Part(recording, contents.attrs.get("start", ""))


def recordings(
    path: Paths, *, below: str = "", limits: Limits = DEFAULT_LIMITS
) -> tuple[dict[str, xr.DataArray], list[str], Mapping[str, str]]:
    """Return all signals below a path by path, why some cannot be opened, and what the file says of itself."""
    opened: dict[str, xr.DataArray] = {}
    omitted = []
    inside = below.strip("/")
    with open_tree(path, limits) as tree:
        reader, contents = scan(tree)
        for signal in contents.signals:
            if inside and not f"{signal.path}/".startswith(f"{inside}/"):
                continue
            try:
                with named(tree, reader):
                    opened[signal.path] = build(signal, path=tree.files.main, reader=reader.name, raw=False, dtype=None)
            except DataError as error:
                omitted.append(str(error))
    if inside and not opened:
        raise DataError(f"{path}: no signal below {inside!r}; {'; '.join(omitted) or 'list_signals names them all'}")
    return opened, omitted, contents.attrs


def list_signals(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> list[SignalInfo]:
    """Return the signals of a file: path, dims, shape, dtype, unit, rate, duration.

    Raises
    ------
    DataError
        The file cannot be read as HDF5.

    Examples
    --------
    >>> import h5py, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "trace.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["trace"] = [1.0, 2.0, 3.0]
    >>> [(found.path, found.shape) for found in list_signals(path)]
    [('trace', (3,))]
    """
    with open_tree(path, limits) as tree:
        reader, contents = scan(tree)
        return [info(signal, reader.name) for signal in contents.signals]


def describe(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
    """Return what a file is and holds: signals, tables, findings, and why there are no signals if there are none.

    Raises
    ------
    DataError
        The file is missing or is not HDF5; the message says what it looks like.

    Examples
    --------
    >>> import h5py, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "names.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["names"] = ["a", "b"]
    >>> describe(path).reason
    'none of the 1 datasets of the file is an array of numbers'
    """
    with open_tree(path, limits) as tree:
        reader, contents = survey(tree)
        signals = tuple(info(signal, reader.name) for signal in contents.signals)
        said = (*contents.findings, *of_signals(contents.signals, signals), *tree.findings, *aliases(tree))
        return FileInfo(
            path=str(path),
            n_bytes=tree.files.main.stat().st_size,
            format=contents.format,
            signals=signals,
            tables=tuple(TableInfo(table.name, table.rows, table.columns) for table in contents.tables),
            findings=said_once(said),
            reason=_reason(contents, tree),
            attrs=contents.attrs,
            default=_default(contents),
        )


def matching_signals(
    path: str | os.PathLike[str], signal: str | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> list[SignalInfo]:
    """Return the signals that `open_recording(path, signal)` would open: several where a pattern means several.

    Raises
    ------
    DataError
        As `open_recording`.

    Examples
    --------
    >>> import h5py, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "sweeps.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["sweep_1"], file["sweep_2"] = [1.0, 2.0], [1.0, 2.0, 3.0]
    >>> [found.path for found in matching_signals(path, "sweep_*")]
    ['sweep_1', 'sweep_2']
    """
    with open_tree(path, limits) as tree:
        reader, contents = scan(tree)
        return [info(found, reader.name) for found in select(contents, tree, signal)]


def read_events(path: str | os.PathLike[str], table: str, *, limits: Limits = DEFAULT_LIMITS) -> xr.Dataset:
    """Return a table of intervals (trials, epochs): one row an event along the dim `event`.

    Parameters
    ----------
    path
        The file.
    table
        The path of the table, or a unique end of it: "intervals/trials" or "trials".

    Returns
    -------
    events
        `start_time` and `stop_time` in seconds on the clock of the recordings (a table without stop times gets its
        start times there), and every other column of numbers or text. Columns that do not fit one value a row are
        named in attrs["omitted"] with the reason.

    Raises
    ------
    DataError
        There is no such table (the message lists those there are), or it has no start times.

    Examples
    --------
    >>> import h5py, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "session.nwb"
    >>> with h5py.File(path, "w") as file:
    ...     file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
    ...     trials = file.create_group("intervals/trials")
    ...     trials.attrs["colnames"] = ["start_time", "stop_time", "stimulus"]
    ...     trials["start_time"], trials["stop_time"], trials["stimulus"] = [0.0, 5.0], [1.0, 6.0], ["a", "b"]
    >>> read_events(path, "trials")["stimulus"].values.tolist()
    ['a', 'b']
    """
    with open_tree(path, limits) as tree:
        tables = scan(tree)[1].tables
        timed = [found.name for found in tables if found.events is not None]
        names = _ending(table.strip("/"), [found.name for found in tables])
        if len(names) != 1:
            what = "no tables of events" if not timed else f"these tables of events: {', '.join(timed)}"
            raise DataError(f"{path}: expected the name of one table of events, got {table!r}; the file has {what}")
        found = next(one for one in tables if one.name == names[0])
        if found.events is None:
            raise DataError(
                f"{path}: the table {found.name} has the columns {', '.join(found.columns)} and no start_time; "
                f"tables of events: {', '.join(timed) or 'none'}"
            )
        events = found.events()
        events.attrs["source"] = tree.files.main.name
        return events


def _reason(contents: Contents, tree: Tree) -> str | None:
    """Return why there are no signals, and what can be opened all the same."""
    if contents.signals:
        return None
    reason = (contents.reason or "the file holds no signals").rstrip(". ")
    arrays = sorted((node for node in tree.datasets() if node.is_numeric), key=lambda node: -node.n_bytes)
    if not arrays or max(arrays[0].shape or (0,)) < 2:
        return reason
    return f"{reason}; any array of numbers opens by its path, for example {arrays[0].path} {arrays[0].shape}"


def _default(contents: Contents) -> str | None:
    if contents.default is not None:
        return contents.default
    return contents.signals[0].path if len(contents.signals) == 1 else None


def select(contents: Contents, tree: Tree, wanted: str | None) -> list[Signal]:
    """Return the signals that a path, an end of one or a pattern means; None means the only or default one."""
    if wanted is None:
        return [_only(contents, tree)]
    name = wanted.strip("/")
    if found := _exact(contents, tree, name):
        return [found]
    paths = _ending(name, [signal.path for signal in contents.signals])
    paths = paths or _ending(name, [node.path for node in tree.datasets()])
    if not paths and re.search(r"[*?\[]", name):
        return _matching(contents, tree, name)
    if len(paths) == 1 and (found := _exact(contents, tree, paths[0])):
        return [found]
    if paths:
        raise DataError(f"{tree.files.main}: {wanted!r} is the end of several paths: {_some(paths)}; give a longer one")
    raise DataError(_unknown(contents, tree, wanted))


def _only(contents: Contents, tree: Tree) -> Signal:
    path = _default(contents)
    for signal in contents.signals:
        if signal.path == path:
            return signal
    if not contents.signals:
        raise DataError(f"{tree.files.main}: {_reason(contents, tree)}")
    raise DataError(
        f"{tree.files.main} holds {len(contents.signals)} signals; name one of "
        f"{_some([signal.path for signal in contents.signals])}"
    )


def _exact(contents: Contents, tree: Tree, name: str) -> Signal | None:
    """Return the signal at a path, whichever of its paths that is; else the array there as a plain signal."""
    node = tree.get(name) if name else None
    named = [signal for signal in contents.signals if name == signal.path]
    if not named and node is not None:
        named = [signal for signal in contents.signals if tree.get(signal.path) is node]
    # Several signals may be made of one dataset, as the columns of a table are: it stands for none of them.
    held = [signal for signal in contents.signals if name == signal.data.path or (node and signal.data is node)]
    if named or len(held) == 1:
        return (named or held)[0]
    if node is not None:
        if not node.is_dataset and (inside := [s.path for s in contents.signals if s.path.startswith(node.path + "/")]):
            raise DataError(f"{tree.files.main}: {name} is a group; name one of its signals: {_some(inside)}")
        if trouble := plain.unsuitable(node):
            said = [
                issue.message for issue in map(as_issue, (*contents.findings, *tree.findings)) if _about(issue, node)
            ]
            trouble = f"{trouble}; {said[0]}" if said else trouble
            others = [signal.path for signal in contents.signals]
            listed = f"choose one of {_some(others)}" if others else "the file holds no signals"
            raise DataError(f"{tree.files.main}: {node.path} {trouble}; {listed}")
        return with_unapplied(plain.declare(node, tree), tree)
    if trouble := tree.broken(name):
        raise DataError(f"{tree.files.main}: {name} {trouble}")
    return None


def _about(issue: Issue, node: Node) -> bool:
    """Whether a finding is about an object: it says so, or begins with its path."""
    return issue.path == node.path or issue.message.startswith(f"{node.path}: ")


def _matching(contents: Contents, tree: Tree, pattern: str) -> list[Signal]:
    parts = pattern.split("/")
    found = []
    for signal in contents.signals:
        path = signal.path.split("/")
        if len(path) >= len(parts) and all(map(fnmatchcase, path[-len(parts) :], parts)):
            found.append(signal)
    if not found:
        raise DataError(_unknown(contents, tree, pattern))
    return sorted(found, key=lambda signal: _natural(signal.path))


def _natural(path: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by value: S2 before S10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", path)]


def _ending(name: str, paths: Iterable[str]) -> list[str]:
    return [path for path in paths if path == name or path.endswith(f"/{name}")]


def _unknown(contents: Contents, tree: Tree, wanted: str) -> str:
    paths = [signal.path for signal in contents.signals]
    listed = f"it holds {_some(paths)}" if paths else f"it holds none: {_reason(contents, tree)}"
    ends = {path.rpartition("/")[2]: path for path in paths} | {path: path for path in paths}
    near = difflib.get_close_matches(wanted.strip("/"), ends, n=1)
    hint = f"did you mean {ends[near[0]]!r}? " if near else ""
    return f"{tree.files.main}: no signal {wanted!r}; {hint}{listed}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
