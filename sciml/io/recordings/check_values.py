"""Findings that take a look at the values: channels that say nothing, converters at their end, what is no number."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io.hdf5.guard import DEFAULT_LIMITS, Limits
from sciml.io.hdf5.issues import Issue, code_of, counted, together
from sciml.io.hdf5.remote import Place
from sciml.io.hdf5.tree import open_tree
from sciml.io.recordings.assemble import build
from sciml.io.recordings.open import select
from sciml.io.recordings.sample import Sample, sampled
from sciml.io.registry import survey
from sciml.io.schema.clock import EAGER, Timestamps
from sciml.io.schema.declarations import Signal
from sciml.recording import GAP, TIME

__all__ = ["check_values"]

SIGNAL_BYTES = 2**23  # read of one signal
FILE_BYTES = 2**29  # read of all signals of a file
FEWEST = 16  # rows below which a channel that never changes says nothing
LEVELS = 64  # different values below which a repeated extreme is no clipping: masks, counts, steps
HELD = 0.5  # share of the samples at an extreme whose neighbor is there too, above which it is a ceiling
CLIPPED = 6  # samples at an extreme that make a ceiling
NAMED = 8  # channels named in a sentence
NAMES = ("channel", "roi", "unit")  # what has a number that people use
MOST = 4096  # channels that are looked at one by one
DRIFT = 1e-3  # between the median steps of the first and the last tenth of a clock

Progress = Callable[[int, int], None]


def check_values(
    path: str | os.PathLike[str],
    signal: str | None = None,
    *,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Issue, ...]:
    """Return what is odd about the values of a file: samples of at most 8 MiB of each signal are read.

    Codes: "not_finite" (share of NaN and infinity), "dead" (channels that are 0 in all that was read), "constant",
    "unwritten" (chunks that were never written, which read as the fill value),
    "clipped" (values held at the largest or smallest of many levels, or at the end of their integer type), "gaps" and
    "clock_drift" (of time stamps, read whole up to 4 million), "blank_unit" (none is stated), "unreadable".

    Parameters
    ----------
    path
        The file.
    signal
        A path, a unique end of one, or a pattern with `*`; None checks all signals, up to 512 MiB of samples.
    progress
        Called before each signal with the number of signals done and of all.

    Raises
    ------
    DataError
        The file cannot be read as HDF5, or has no such signal. A signal that cannot be read is a finding.

    Examples
    --------
    >>> import h5py, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["x"] = np.random.default_rng(0).normal(size=(100, 3)) * [1.0, 0.0, 1.0]
    ...     file["x"].attrs["units"] = "mV"
    >>> [(found.message, found.code) for found in check_values(path)]
    [('x: 1 of 3 channels is 0 throughout: 1', 'dead')]
    """
    said: dict[Issue, list[str]] = {}
    spent = 0
    with open_tree(path, limits) as tree:
        _, contents = survey(tree)
        signals = list(contents.signals) if signal is None else select(contents, tree, signal)
        for number, each in enumerate(signals):
            if progress is not None:
                progress(number, len(signals))
            if spent > FILE_BYTES:
                unread = f"the values of {counted(len(signals) - number, 'signal')} from here on were not looked at"
                said.setdefault(Issue("note", unread), []).append(each.path)
                break
            try:
                found, n_bytes = _look(each, tree.files.main)
            except DataError as error:
                found, n_bytes = [Issue(_why(each, error), f"cannot be read: {error}")], 0
            if not each.unit and not each.raw_unit:
                found.append(Issue("blank_unit", "no unit is stated"))
            for one in found:
                said.setdefault(one, []).append(each.path)
            spent += n_bytes
    return together(said)


def _why(signal: Signal, error: DataError) -> str:
    return code_of(error, code_of(signal.data.read_error(), "unreadable"))


def _look(signal: Signal, path: Place) -> tuple[list[Issue], int]:
    """Return what is said of one signal, and how many bytes were read for it."""
    recording = build(replace(signal, coords=None, clock=None), path=path, reader="", raw=True, dtype=None)
    if not recording.ndim or not recording.size:
        return [], 0
    sample = sampled(recording.variable, signal, budget=SIGNAL_BYTES)
    said = signal.data.unwritten_chunks()
    odd = [*([Issue("unwritten", said)] if said else []), *_coords(signal)]
    return [*odd, *_values(sample, signal), *_timestamps(signal)], sample.values.nbytes


def _coords(signal: Signal) -> list[Issue]:
    """Return what is odd about the coordinates, which is found when they are read."""
    notes: list[str] = []
    if signal.coords is not None:
        signal.coords(notes)
    return [Issue("note", note) for note in notes]


def _values(sample: Sample, signal: Signal) -> list[Issue]:
    values = sample.columns
    if values.dtype.kind not in "iuf":
        return []
    absent = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    scale = signal.values.scale
    if scale.missing is not None:
        absent |= scale.missing.of(scale.retyped(values))
    where, inside = ("", "") if sample.whole else (" that were read", " in all that was read")
    found = []
    if absent.any():
        found.append(Issue("not_finite", f"{absent.mean():.2%} of the values{where} are not finite or missing"))
    thing = _thing(signal.dims[1:])
    for which, code, words in _still(values, absent):
        if which.any():
            found.append(Issue(code, f"{_columns(which, thing)} {words}{inside}{_names(which, thing)}"))
    held, fraction = _held(values, absent, timed=signal.dims[0] == TIME)
    if held.any():
        said = f"{_columns(held, thing)} clipped: {fraction:.2%} of the values{where} are held at an extreme"
        found.append(Issue("clipped", f"{said}{_names(held, thing)}"))
    return found


def _still(values: NDArray[Any], absent: NDArray[np.bool_]) -> tuple[tuple[NDArray[np.bool_], str, str], ...]:
    """Return which columns never change: those of zeros, and the others."""
    if len(values) < FEWEST:
        return ()
    still = (values == values[:1]).all(axis=0) & ~absent.any(axis=0)
    silent = still & (values[0] == 0)
    return (silent, "dead", "0 throughout"), (still & ~silent, "constant", "constant")


def _held(values: NDArray[Any], absent: NDArray[np.bool_], *, timed: bool) -> tuple[NDArray[np.bool_], float]:
    """Return which columns lie at the end of their integer type, or are held at their extreme, and how often."""
    at = np.zeros(values.shape, bool)
    if values.dtype.kind in "iu" and values.dtype.itemsize > 1:
        at = (values == np.iinfo(values.dtype).max) & ~absent
    if timed and values.shape[1] <= MOST:
        for column in range(values.shape[1]):
            at[:, column] |= _ceiling(values[:, column], absent[:, column])
    counts = at.sum(axis=0)
    held = (counts >= CLIPPED) & (counts < len(values))
    return held, float(at[:, held].mean()) if held.any() else 0.0


def _ceiling(values: NDArray[Any], absent: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where a series of many levels stays at its largest or smallest value for samples on end."""
    found = np.zeros(values.shape, bool)
    kept = values[~absent]
    if len(kept) < FEWEST:
        return found
    for extreme in (kept.max(), kept.min()):
        at = values == extreme
        adjacent = at[1:] & at[:-1]
        lasting = np.r_[adjacent, False] | np.r_[False, adjacent]
        if extreme != 0 and at.sum() >= CLIPPED and lasting.sum() > HELD * at.sum():
            found |= at
    return found if found.any() and len(np.unique(kept)) >= LEVELS else np.zeros(values.shape, bool)


def _thing(dims: Sequence[str]) -> str:
    """Return what the columns of a signal are: nothing of their own, the things of its second dim, or pixels."""
    if len(dims) > 1:
        return "pixel" if tuple(dims[-2:]) == ("y", "x") else "column"
    return dims[0] if dims and dims[0] in NAMES else "column" if dims else ""


def _columns(which: NDArray[np.bool_], thing: str) -> str:
    """Return the subject of a sentence about columns, for example "2 of 16 channels are"."""
    n = int(which.sum())
    return f"{n} of {counted(which.size, thing)} {'is' if n == 1 else 'are'}" if thing else "it is"


def _names(which: NDArray[np.bool_], thing: str) -> str:
    """Return the positions of channels, if they are few."""
    places = np.flatnonzero(which)
    return f": {', '.join(map(str, places.tolist()))}" if thing in NAMES and len(places) <= NAMED else ""


def _timestamps(signal: Signal) -> list[Issue]:
    """Return the gaps and the drift of time stamps."""
    clock = signal.clock
    if not isinstance(clock, Timestamps) or not FEWEST < signal.shape[0] <= EAGER:
        return []
    steps = np.diff(clock.read())
    steps = steps[np.isfinite(steps)]
    if not steps.size or (usual := float(np.median(steps))) <= 0:
        return []
    found = []
    if gaps := int((steps > GAP * usual).sum()):
        missing = float(steps[steps > GAP * usual].sum())
        found.append(Issue("gaps", f"the clock has {counted(gaps, 'gap')}, {missing:.6g} s in all"))
    tenth = max(len(steps) // 10, 1)
    first, last = float(np.median(steps[:tenth])), float(np.median(steps[-tenth:]))
    if first > 0 and abs(last - first) > DRIFT * first:
        said = f"the clock drifts: its step is {first:.6g} s in the first tenth and {last:.6g} s in the last"
        found.append(Issue("clock_drift", said))
    return found
