"""Channels by name: how the recordings of several files, or a recording and a net, agree on which channel is which."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import xarray as xr

from sciml.errors import DataError
from sciml.recording import feature_dims, feature_shape

__all__ = ["Agreement", "agree", "channel_names", "check_names", "in_order"]

Agreement = Literal["name", "common", "position"]
NAMES = (
    "channel_name",
    "channel_names",
    "label",
    "labels",
    "name",
    "names",
)  # columns beside the numbers of electrodes
SHOWN = 6  # names in a message


def channel_names(recording: xr.DataArray) -> tuple[str, ...]:
    """Return the names of the channels: text along the one feature dim, else its numbers; empty where there are none.

    The coordinate of the dim itself names the channels. Where it only counts them, a column of text that names each
    channel once (`channel_name`, `label`, `name`) does.

    Examples
    --------
    >>> channel_names(xr.DataArray(np.zeros((4, 2)), dims=("time", "channel"), coords={"channel": ["A", "B"]}))
    ('A', 'B')
    """
    dims = feature_dims(recording)
    if len(dims) != 1:
        return ()
    own = dims[0] in recording.coords
    if own and recording[dims[0]].dtype.kind in "OSUT":
        return _texts(recording[dims[0]])
    for name in NAMES:
        if name in recording.coords and recording[name].dims == dims and recording[name].dtype.kind in "OSUT":
            found = _texts(recording[name])
            if len(set(found)) == len(found) and all(found):
                return found
    return _texts(recording[dims[0]]) if own else ()


def check_names(names: Sequence[str], source: str) -> None:
    """Refuse names that several channels share.

    Raises
    ------
    DataError
        The names, and how often each came.

    Examples
    --------
    >>> check_names(["A", "B", "A"], "a.nwb")
    Traceback (most recent call last):
    sciml.errors.DataError: a.nwb: expected a name of its own for each channel, got 'A' twice; rename them, ...
    """
    repeated = {name: n for name, n in Counter(names).items() if n > 1}
    if repeated:
        listed = [f"{name!r} {'twice' if n == 2 else f'{n} times'}" for name, n in repeated.items()]
        raise DataError(
            f"{source}: expected a name of its own for each channel, got {_some(listed)}; rename them, or set "
            "data.channels = 'position' to go by their order alone"
        )


def agree(
    recordings: Sequence[xr.DataArray], sources: Sequence[str], *, how: Agreement = "name"
) -> tuple[list[xr.DataArray], list[str]]:
    """Return recordings with the channels of the first, in its order, and what was done to bring them there.

    Parameters
    ----------
    recordings, sources
        The recordings, nothing of them is read, and what to call each in messages.
    how
        "name": the same names, in whatever order. "common": the names that all have. "position": the same number.

    Raises
    ------
    DataError
        Names that some lack, that repeat, or that differ; the message says which.

    Examples
    --------
    >>> one = xr.DataArray([[1.0, 2.0]], dims=("time", "channel"), coords={"channel": ["A", "B"]})
    >>> (first, second), notes = agree([one, one[:, ::-1]], ["a.nwb", "b.nwb"])
    >>> second.channel.values.tolist(), notes
    (['A', 'B'], ['b.nwb: 2 channels were brought by their names into the order of a.nwb'])
    """
    names = [() if how == "position" else channel_names(recording) for recording in recordings]
    for each, source in zip(names, sources, strict=True):
        check_names(each, source)
    if not all(names):
        _check_all_nameless(recordings, names, sources)
        return list(recordings), []
    wanted, notes = list(names[0]), []
    if how == "common":
        wanted = [name for name in wanted if all(name in each for each in names)]
        notes = _left_out(wanted, names, sources)
    found = []
    for recording, each, source in zip(recordings, names, sources, strict=True):
        _check_same(wanted, names[0], each, (sources[0], source), how)
        ordered = in_order(recording, each, wanted)
        if [name for name in each if name in set(wanted)] != wanted:
            notes.append(f"{source}: {len(wanted)} channels were brought by their names into the order of {sources[0]}")
        found.append(ordered)
    return found, notes


def in_order(recording: xr.DataArray, names: Sequence[str], wanted: Sequence[str]) -> xr.DataArray:
    """Return the channels of these names in the wanted order; the recording itself where they are in it.

    Examples
    --------
    >>> wave = xr.DataArray([[1.0, 2.0]], dims=("time", "channel"))
    >>> in_order(wave, ["A", "B"], ["B", "A"]).values.tolist()
    [[2.0, 1.0]]
    """
    if list(names) == list(wanted):
        return recording
    place = {name: k for k, name in enumerate(names)}
    return recording.isel({feature_dims(recording)[0]: [place[name] for name in wanted]})


def _texts(coordinate: xr.DataArray) -> tuple[str, ...]:
    values = np.asarray(coordinate.values).tolist()
    return tuple(value.decode() if isinstance(value, bytes) else str(value) for value in values)


def _check_all_nameless(
    recordings: Sequence[xr.DataArray], names: Sequence[tuple[str, ...]], sources: Sequence[str]
) -> None:
    """Refuse files of which some name their channels and some do not, or whose channels differ in number."""
    named = next((k for k, each in enumerate(names) if each), None)
    if named is not None:
        without = sources[next(k for k, each in enumerate(names) if not each)]
        raise DataError(
            f"{without}: expected channels with names, as {sources[named]} has ({_some(names[named])}), got none; "
            "set data.channels = 'position' (--assume-channels) if they are the same in the same order"
        )
    first = feature_shape(recordings[0])
    for recording, source in zip(recordings, sources, strict=True):
        if feature_shape(recording) != first:
            raise DataError(
                f"{source}: expected channels of {first}, as {sources[0]} has, got {feature_shape(recording)}; "
                "fit them apart"
            )


def _check_same(
    wanted: Sequence[str], first: Sequence[str], names: Sequence[str], sources: tuple[str, str], how: Agreement
) -> None:
    if not wanted:
        raise DataError(
            f"{sources[1]}: expected channels that all files have, got none in common with {sources[0]}: "
            f"{_some(names)} here, {_some(first)} there; fit them apart"
        )
    if how == "common" or set(names) == set(wanted):
        return
    here, there = [n for n in names if n not in set(wanted)], [n for n in wanted if n not in set(names)]
    differ = [f"{text} {_some(some)}" for text, some in (("has no", there), ("has besides", here)) if some]
    raise DataError(
        f"{sources[1]}: expected the {len(wanted)} channels of {sources[0]}, got {len(names)}: it "
        f"{' and '.join(differ)}; set data.channels = 'common' to learn from those that all have, or fit them apart"
    )


def _left_out(wanted: Sequence[str], names: Sequence[Sequence[str]], sources: Sequence[str]) -> list[str]:
    """Return in words which channels some files lack."""
    found = []
    for each, source in zip(names, sources, strict=True):
        if rest := [name for name in each if name not in set(wanted)]:
            found.append(f"{source}: {len(rest)} of {len(each)} channels are not in all files, left out: {_some(rest)}")
    return found


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more
