"""Cutting windows: around the events of a table, or one after the other.

Times come in seconds and become samples here, once. A window never straddles a gap of the clock, never holds a
masked, missing or infinite sample unless that is asked for, and never leaves the recording: such windows are dropped
and counted by reason.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.data.events import because, column_of, told_of, weights_of
from sciml.data.samples import Missing, Samples, as_samples
from sciml.data.windows import Windows
from sciml.errors import ConfigError, DataError
from sciml.recording import GAP, segments

__all__ = ["TrialLength", "sliding_windows", "trial_seconds", "windows_around", "windows_at", "windows_every"]

OUTSIDE = "outside the recording"
ACROSS = "across a gap"
MISSING = "masked or missing samples"
NO_ONSET = "onset missing"
NO_LABEL = "label missing"
NO_WEIGHT = "weight missing"
NO_STOP = "end of the trial missing"
TOO_SHORT = "of trials shorter than a sample"
TrialLength = Literal["trial", "crop"]
Spanned = tuple[int | NDArray[np.int64], ...]


def windows_around(
    recording: xr.DataArray | Samples,
    events: xr.Dataset,
    *,
    label: str | Sequence[str],
    before: float,
    length: float | TrialLength,
    onset: str = "start_time",
    numbers: bool = False,
    weight: str = "",
    least: int = 0,
    missing: Missing = "drop",
) -> Windows:
    """Return one labeled window for each event: from `before` seconds ahead of the onset, `length` seconds long.

    An onset falls on its nearest sample; what is left (at most half a sample of a regular clock) is kept in
    `offsets`. Reads the recording once, block by block, to find missing samples.

    Parameters
    ----------
    recording
        Real values with dims `time` and any others; or what `read_samples` gave of them, which is not read again.
    events
        Table with dim `event`: onsets in seconds of the recording's clock, and a column of labels.
    label
        Column with the class of each event: strings or integers. With `numbers`, one or more columns of numbers.
    before
        Seconds from the start of the window to the onset; negative to start after the onset.
    length
        Length of the window in seconds. "trial": from there to the column `stop_time` of each event, padded to the
        longest; "crop": all as long as the shortest of these.
    onset
        Column with the onsets.
    numbers
        What is told of an event is a number, not a class.
    weight
        Column that says how much each event counts in training, at least 0; "" where all count alike.
    least
        Classes with fewer windows are left out, by name.
    missing
        "drop" leaves out windows with missing samples; "mask" keeps them, NaN where nothing is.

    Raises
    ------
    ConfigError
        A length below one sample.
    DataError
        A column that is not there or holds no classes (or numbers, or weights), no window left, one class only, or a
        class of one window.

    Examples
    --------
    >>> wave = xr.DataArray(np.zeros((100, 2)), dims=("time", "channel"), attrs={"sampling_rate": 10.0})
    >>> table = {"start_time": [1.0, 3.0, 5.0, 7.02, 9.9], "stimulus": ["a", "b", "a", "b", "a"]}
    >>> trials = xr.Dataset({name: ("event", values) for name, values in table.items()})
    >>> windows = windows_around(wave, trials, label="stimulus", before=0.5, length=1.0)
    >>> windows.starts.tolist(), windows.labels.tolist(), windows.dropped
    ([5, 25, 45, 65], [0, 1, 0, 1], {'outside the recording': 1})
    """
    told = told_of(events, label, numbers=numbers)
    weights = weights_of(events, weight) if weight else None
    left_out = ({} if weights is None else {NO_WEIGHT: np.isnan(weights)}) | {NO_LABEL: told.missing}
    windows = windows_at(
        as_samples(recording, missing), events, before=before, length=length, onset=onset, left_out=left_out,
        missing=missing,
    )  # fmt: skip
    assert windows.events is not None  # noqa: S101 - of events
    dropped = Counter(windows.dropped)
    kept = told.frequent(windows.events, least, dropped)
    if not len(kept):
        raise DataError(
            f"expected a class of at least {least} windows (data.labels_min), got none{because(dropped)}; lower it, or "
            "choose another column"
        )
    return windows.chosen(np.isin(windows.events, kept)).changed(
        dropped=dict(dropped),
        weights=None if weights is None else weights[kept],
        **told.of(kept, dropped),
    )


def windows_at(
    samples: Samples,
    events: xr.Dataset,
    *,
    before: float,
    length: float | TrialLength,
    onset: str = "start_time",
    left_out: Mapping[str, NDArray[np.bool_]] | None = None,
    missing: Missing = "drop",
) -> Windows:
    """Return a window for each event, as `windows_around` does, without their labels.

    Of samples that were not read yet (`unread_samples`) only the clock is looked at, and no window is left out for
    missing samples. `left_out` says by reason which events have no label.

    Raises
    ------
    ConfigError
        A length below one sample.
    DataError
        A column that is not there, or no window left.

    Examples
    --------
    >>> from sciml.data.samples import unread_samples
    >>> wave = xr.DataArray(np.zeros((100, 2)), dims=("time", "channel"), attrs={"sampling_rate": 10.0})
    >>> trials = xr.Dataset({"start_time": ("event", [1.0, 3.0]), "stop_time": ("event", [2.0, 6.0])})
    >>> windows = windows_at(unread_samples(wave), trials, before=0.0, length="trial")
    >>> windows.starts.tolist(), windows.length, windows.lengths.tolist()
    ([10, 30], 30, [10, 30])
    """
    onsets = _onsets(column_of(events, onset))
    nearest, offsets, reason = _nearest(samples, onsets)
    starts = nearest - round(before * samples.rate)
    for text, mask in (left_out or {}).items():
        reason[mask] = text
    if isinstance(length, str):
        lengths = _trial_lengths(events, onsets - before, samples.rate)
        reason[lengths < 1] = np.where(np.isfinite(_stops(events)), TOO_SHORT, NO_STOP)[lengths < 1]
    else:
        lengths = np.full(len(starts), _to_samples(length, samples.rate, "length"))
    if length == "crop":
        lengths = np.where(lengths < 1, 1, np.min(lengths[reason == ""], initial=np.iinfo(np.int64).max))
    kept, dropped = _usable(samples, starts, (np.maximum(lengths, 1),), reason, missing)
    if not len(kept):
        raise DataError(_none_left(len(starts), dropped, float(lengths.max()) / samples.rate))
    padded = len(np.unique(lengths[kept])) > 1
    return Windows(
        samples.recording,
        starts[kept],
        int(lengths[kept].max()),
        offsets=offsets[kept],
        events=kept,
        dropped=dict(dropped),
        units={"trial": kept.astype(str)},
        lengths=lengths[kept] if padded else None,
        table=samples,
    )


def trial_seconds(events: xr.Dataset, *, before: float = 0.0) -> NDArray[np.float64]:
    """Return how long the trial of each event lasts, `before` included [s]; NaN where it has no end.

    Examples
    --------
    >>> trials = xr.Dataset({"start_time": ("event", [1.0, 3.0]), "stop_time": ("event", [2.0, np.nan])})
    >>> trial_seconds(trials, before=0.5).tolist()
    [1.5, nan]
    """
    if "stop_time" not in events.variables:
        return np.full(events.sizes["event"], np.nan)
    last = np.asarray(events["stop_time"].values, np.float64) - np.asarray(events["start_time"].values, np.float64)
    return np.where(last > 0, last + before, np.nan)


def sliding_windows(
    recording: xr.DataArray | Samples, *, length: float, step: float, horizon: float = 0.0, missing: Missing = "drop"
) -> Windows:
    """Return windows of `length` seconds that start every `step` seconds; the next `horizon` seconds are the target.

    Each segment between gaps of the clock has its own row of windows. Reads the recording once, block by block, to
    find missing samples.

    Parameters
    ----------
    recording
        Real values with dims `time` and any others; or what `read_samples` gave of them, which is not read again.
    length, step, horizon
        Seconds. `horizon` 0 gives windows without a target.
    missing
        "drop" leaves out windows with missing samples; "mask" keeps them, NaN where nothing is.

    Raises
    ------
    ConfigError
        A length, step or horizon below one sample.
    DataError
        No window fits between the gaps and missing samples of the recording.

    Examples
    --------
    >>> wave = xr.DataArray(np.zeros((100, 2)), dims=("time", "channel"), attrs={"sampling_rate": 10.0})
    >>> windows = sliding_windows(wave, length=5.0, step=2.0, horizon=1.0)
    >>> windows.times.tolist(), windows.length, windows.horizon
    ([0.0, 2.0, 4.0], 50, 10)
    """
    return windows_every(as_samples(recording, missing), length=length, step=step, horizon=horizon, missing=missing)


def windows_every(
    samples: Samples, *, length: float, step: float, horizon: float = 0.0, missing: Missing = "drop"
) -> Windows:
    """Return windows one after the other, as `sliding_windows` does; see `windows_at` for samples that were not read.

    Examples
    --------
    >>> from sciml.data.samples import unread_samples
    >>> wave = xr.DataArray(np.zeros((100, 2)), dims=("time", "channel"), attrs={"sampling_rate": 10.0})
    >>> windows_every(unread_samples(wave), length=5.0, step=2.0).times.tolist()
    [0.0, 2.0, 4.0]
    """
    n, every = _to_samples(length, samples.rate, "length"), _to_samples(step, samples.rate, "step")
    ahead = _to_samples(horizon, samples.rate, "horizon") if horizon else 0
    rows = [np.arange(each.start, each.stop - n - ahead + 1, every, dtype=np.int64)
            for each in segments(samples.recording)]  # fmt: skip
    starts = np.concatenate(rows)
    spans = (n, ahead) if ahead else (n,)
    kept, dropped = _usable(samples, starts, spans, np.full(len(starts), "", dtype=object), missing)
    if not len(kept):
        raise DataError(_none_left(len(starts), dropped, (n + ahead) / samples.rate))
    return Windows(samples.recording, starts[kept], n, horizon=ahead, dropped=dict(dropped), table=samples)


def _to_samples(seconds: float, rate: float, name: str) -> int:
    """Return seconds as a number of samples, at least one."""
    n = round(seconds * rate) if np.isfinite(seconds) else 0
    if n < 1:
        raise ConfigError(
            f"expected {name} of at least one sample ({1 / rate:g} s at {rate:g} Hz), got {seconds:g} s; "
            "choose a longer one"
        )
    return n


def _trial_lengths(events: xr.Dataset, starts: NDArray[np.float64], rate: float) -> NDArray[np.int64]:
    """Return the samples from the start of each window to the end of its trial; 0 where that is not known."""
    stops = _stops(events)
    known = np.isfinite(stops - starts) & (stops > starts)
    return np.where(known, np.round(np.where(known, stops - starts, 0.0) * rate), 0).astype(np.int64)


def _stops(events: xr.Dataset) -> NDArray[np.float64]:
    return np.asarray(column_of(events, "stop_time"), dtype=np.float64)


def _onsets(column: NDArray[Any]) -> NDArray[np.float64]:
    if column.dtype.kind not in "iuf":
        raise DataError(
            f"expected onsets in seconds, got values of dtype {column.dtype}; choose the column of start times"
        )
    return column.astype(np.float64)


def _nearest(
    samples: Samples, onsets: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.object_]]:
    """Return for each onset its nearest sample, the rest in seconds, and why it cannot be used ("" if it can)."""
    first, last = samples.times([0, len(samples) - 1]).tolist()
    usable = np.where(np.isfinite(onsets), onsets, first)
    nearest = samples.nearest(usable)
    offsets = usable - samples.times(nearest)
    reason = np.full(len(onsets), "", dtype=object)
    # Within a segment neighbors are at most GAP steps apart, so an onset there is within half of that of a sample.
    reason[np.abs(offsets) > 0.5 * GAP / samples.rate] = ACROSS
    reason[(usable < first - 0.5 * GAP / samples.rate) | (usable > last + 0.5 * GAP / samples.rate)] = OUTSIDE
    reason[~np.isfinite(onsets)] = NO_ONSET
    return nearest, offsets, reason


def _usable(
    samples: Samples, starts: NDArray[np.int64], spans: Spanned, reason: NDArray[np.object_], missing: Missing
) -> tuple[NDArray[np.int64], Counter[str]]:
    """Return which windows can be used, and count the others by reason; `reason` comes with those known already.

    `spans` are the lengths of the parts of a window that follow each other: the input, and what is to be forecast.
    """
    n, total = len(samples), sum(spans)
    inside = (starts >= 0) & (starts + total <= n)
    first, last = np.clip(starts, 0, n - 1), np.clip(starts + total - 1, 0, n - 1)
    for mask, text in (
        (_incomplete(samples, starts, spans, missing), MISSING),
        (samples.cross_gap(first, last), ACROSS),
        (~inside, OUTSIDE),
    ):
        reason[mask & np.isin(reason, ["", MISSING, ACROSS])] = text
    return np.flatnonzero(reason == ""), Counter(str(text) for text in reason if text)


def _incomplete(samples: Samples, starts: NDArray[np.int64], spans: Spanned, missing: Missing) -> NDArray[np.bool_]:
    """Return which windows lack a sample; with a mask, those of which a part has none in any channel."""
    found = np.zeros(len(starts), np.bool_)
    if samples.valid is None or samples.some is None:  # found out when they are read
        return found
    n, begin = len(samples), starts
    count = np.concatenate([[0], np.cumsum(samples.some if missing == "mask" else ~samples.valid)])
    for length in spans:
        first, last = np.clip(begin, 0, n - 1), np.clip(begin + length - 1, 0, n - 1)
        number = count[last + 1] - count[first]
        found |= (number == 0) if missing == "mask" else (number > 0)
        begin = begin + length
    return found


def _none_left(n: int, dropped: Mapping[str, int], seconds: float) -> str:
    mask = ", or keep what is there with data.missing = 'mask'" if dropped.get(MISSING) else ""
    return (
        f"expected at least one window of {seconds:g} s without gap or missing sample, got none of {n}"
        f"{because(dropped)}; choose shorter windows{mask}, or check that events and recording share a clock"
    )
