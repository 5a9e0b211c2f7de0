"""Windows of a recording: where each begins, what it is labeled or followed by, and its samples as arrays.

Times come in seconds and become samples here, once. A window never straddles a gap of the clock, never holds a
masked, missing or infinite sample, and never leaves the recording: such windows are dropped and counted by reason.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Dataset

from sciml.data.events import because, column_of, told_of, weights_of
from sciml.data.samples import Samples, read_samples, rows_of_block
from sciml.errors import ConfigError, DataError
from sciml.recording import GAP, n_features, segments

__all__ = ["WindowDataset", "Windows", "sliding_windows", "windows_around"]

OUTSIDE = "outside the recording"
ACROSS = "across a gap"
MISSING = "masked or missing samples"
NO_ONSET = "onset missing"
NO_LABEL = "label missing"
Transform = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one recording, all of the same length; samples are read when `arrays` asks for them.

    Attributes
    ----------
    recording
        The recording the windows are cut from; its features (`channel`, or `y` times `x`) are the channels.
    starts
        First sample of each window, shape (n,).
    length
        Samples in a window.
    labels
        Class of each window as an index into `classes`, shape (n,); None where windows have no label.
    classes
        Names of the classes, sorted as people count: 0, 90, 180.
    horizon
        Samples after the window that are to be forecast; 0 if none.
    offsets
        Onset of the event minus the time of its nearest sample, in seconds, shape (n,); None for sliding windows.
    events
        Row of the events table that each window came from, shape (n,); None for sliding windows.
    dropped
        How many windows were left out, by reason.
    units
        Names by which windows belong together, shape (n,) each: of their "file", "session", "subject", "trial".
    targets
        Numbers to be told from each window, shape (n, k); None where there are none.
    target_names, target_units
        What the k numbers are, and their units.
    weights
        How much each window counts in training, shape (n,); None where all count alike.
    lengths
        Samples of each window that are there, shape (n,), the others behind them are NaN; None where all are.
    """

    recording: xr.DataArray
    starts: NDArray[np.int64]
    length: int
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    horizon: int = 0
    offsets: NDArray[np.float64] | None = None
    events: NDArray[np.int64] | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    units: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    targets: NDArray[np.float32] | None = None
    target_names: tuple[str, ...] = ()
    target_units: tuple[str, ...] = ()
    weights: NDArray[np.float64] | None = None
    lengths: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def _samples(self) -> Samples:
        return read_samples(self.recording)

    @property
    def rate(self) -> float:
        """Sampling rate in Hz."""
        return self._samples.rate

    @property
    def span(self) -> int:
        """Samples that a window occupies, the forecast horizon included."""
        return self.length + self.horizon

    @property
    def n_channels(self) -> int:
        """Channels of a window: the features of the recording."""
        return n_features(self.recording)

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of the first sample of each window, in seconds, shape (n,)."""
        return self._samples.clock[self.starts]

    @property
    def stops(self) -> NDArray[np.float64]:
        """Time at which each window, its horizon included, has ended, in seconds, shape (n,)."""
        return self._samples.clock[self.starts + self.span - 1] + 1.0 / self.rate

    def changed(self, **fields: Any) -> "Windows":
        """Return the windows with other fields; what was read of the recording is not read again.

        Examples
        --------
        >>> wave = xr.DataArray(np.arange(10.0), dims="time", attrs={"sampling_rate": 1.0})
        >>> sliding_windows(wave, length=3, step=2).changed(classes=("rest",)).classes
        ('rest',)
        """
        return _with(replace(self, **fields), self._samples)

    def chosen(self, indices: ArrayLike) -> "Windows":
        """Return some of the windows, by number or mask.

        Examples
        --------
        >>> wave = xr.DataArray(np.arange(10.0), dims="time", attrs={"sampling_rate": 1.0})
        >>> sliding_windows(wave, length=3, step=2).chosen([0, 2]).starts.tolist()
        [0, 4]
        """
        kept = np.asarray(indices)
        each = {name: getattr(self, name) for name in ("labels", "offsets", "events", "targets", "weights", "lengths")}
        return self.changed(
            starts=self.starts[kept],
            units={name: values[kept] for name, values in self.units.items()},
            **{name: values[kept] for name, values in each.items() if values is not None},
        )

    def arrays(self, indices: ArrayLike | None = None) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
        """Return the samples of windows and what is to be predicted from them.

        Parameters
        ----------
        indices
            Which windows; default all.

        Returns
        -------
        tuple
            `X` of shape (n, channel, time) in the recording's units, and `y`: labels of shape (n,), or numbers of
            shape (n, k), or the next `horizon` samples of shape (n, channel, horizon), or None where there is none.

        Examples
        --------
        >>> wave = xr.DataArray(np.arange(10.0), dims="time", attrs={"sampling_rate": 1.0})
        >>> X, y = sliding_windows(wave, length=3, step=2, horizon=1).arrays([1])
        >>> X.tolist(), y.tolist()
        ([[[2.0, 3.0, 4.0]]], [[[5.0]]])
        """
        chosen = np.arange(len(self)) if indices is None else np.atleast_1d(np.asarray(indices, dtype=np.int64))
        both = self._samples.stack(self.starts[chosen], self.span)
        X = np.ascontiguousarray(both[:, :, : self.length])
        if self.horizon:
            return X, np.ascontiguousarray(both[:, :, self.length :])
        known = self.labels if self.targets is None else self.targets
        return X, None if known is None else known[chosen]

    def samples(self, indices: ArrayLike) -> Iterator[NDArray[np.float32]]:
        """Yield the samples that the chosen windows cover, each sample once, as arrays (time, channel).

        Examples
        --------
        >>> wave = xr.DataArray(np.arange(10.0), dims="time", attrs={"sampling_rate": 1.0})
        >>> [len(run) for run in sliding_windows(wave, length=4, step=2).samples([0, 1, 3])]
        [10]
        """
        rows = rows_of_block(self.n_channels)
        covered = np.zeros(len(self._samples.valid) + 1, dtype=np.int64)
        starts = self.starts[np.asarray(indices, dtype=np.int64)]
        np.add.at(covered, starts, 1)
        np.add.at(covered, starts + self.span, -1)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], np.cumsum(covered) > 0, [0]]).astype(np.int8)))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            for first in range(int(start), int(stop), rows):
                yield self._samples.rows(first, min(first + rows, int(stop)))


def windows_around(
    recording: xr.DataArray,
    events: xr.Dataset,
    *,
    label: str | Sequence[str],
    before: float,
    length: float,
    onset: str = "start_time",
    numbers: bool = False,
    weight: str = "",
    least: int = 0,
) -> Windows:
    """Return one labeled window for each event: from `before` seconds ahead of the onset, `length` seconds long.

    An onset falls on its nearest sample; what is left (at most half a sample of a regular clock) is kept in
    `offsets`. Reads the recording once, block by block, to find missing samples.

    Parameters
    ----------
    recording
        Real values with dims `time` and any others.
    events
        Table with dim `event`: onsets in seconds of the recording's clock, and a column of labels.
    label
        Column with the class of each event: strings or integers. With `numbers`, one or more columns of numbers.
    before
        Seconds from the start of the window to the onset; negative to start after the onset.
    length
        Length of the window in seconds.
    onset
        Column with the onsets.
    numbers
        What is told of an event is a number, not a class.
    weight
        Column that says how much each event counts in training, at least 0; "" where all count alike.
    least
        Classes with fewer windows are left out, by name.

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
    samples = read_samples(recording)
    n = _to_samples(length, samples.rate, "length")
    onsets = _onsets(column_of(events, onset))
    nearest, offsets, reason = _nearest(samples, onsets)
    starts = nearest - round(before * samples.rate)
    told = told_of(events, label, numbers=numbers)
    weights = weights_of(events, weight) if weight else None
    reason[told.missing if weights is None else told.missing | np.isnan(weights)] = NO_LABEL
    kept, dropped = _usable(samples, starts, n, reason)
    kept = told.frequent(kept, least, dropped)
    if not len(kept):
        raise DataError(_none_left(len(starts), dropped, n / samples.rate))
    return _with(
        Windows(
            recording,
            starts[kept],
            n,
            offsets=offsets[kept],
            events=kept,
            dropped=dict(dropped),
            weights=None if weights is None else weights[kept],
            **told.of(kept, dropped),
        ),
        samples,
    )


def sliding_windows(recording: xr.DataArray, *, length: float, step: float, horizon: float = 0.0) -> Windows:
    """Return windows of `length` seconds that start every `step` seconds; the next `horizon` seconds are the target.

    Each segment between gaps of the clock has its own row of windows. Reads the recording once, block by block, to
    find missing samples.

    Parameters
    ----------
    recording
        Real values with dims `time` and any others.
    length, step, horizon
        Seconds. `horizon` 0 gives windows without a target.

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
    samples = read_samples(recording)
    n, every = _to_samples(length, samples.rate, "length"), _to_samples(step, samples.rate, "step")
    ahead = _to_samples(horizon, samples.rate, "horizon") if horizon else 0
    span = n + ahead
    rows = [np.arange(each.start, each.stop - span + 1, every, dtype=np.int64) for each in segments(recording)]
    starts = np.concatenate(rows)
    kept, dropped = _usable(samples, starts, span, np.full(len(starts), "", dtype=object))
    if not len(kept):
        raise DataError(_none_left(len(starts), dropped, span / samples.rate))
    return _with(Windows(recording, starts[kept], n, horizon=ahead, dropped=dict(dropped)), samples)


class WindowDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Chosen windows as a torch data set of `(x, y)`: x (channel, time) float32, y a label, (k,) or (channel, horizon).

    Parameters
    ----------
    windows, indices
        The windows, and which of them: a part of a `Split`.
    transform
        Applied to arrays (n, channel, time) of inputs, for example `Preprocess.apply`.
    target_transform
        Applied to arrays (n, channel, horizon) of forecast targets, or (n, k) of numbers, for example
        `Preprocess.standardize`.
    increments
        Give forecast targets as differences from the last sample of the window (after `target_transform`, which
        must be affine): a net that puts out zero then repeats the last sample, the forecast to beat.

    Examples
    --------
    >>> wave = xr.DataArray(np.zeros((100, 2)), dims=("time", "channel"), attrs={"sampling_rate": 10.0})
    >>> x, y = WindowDataset(sliding_windows(wave, length=5.0, step=2.0, horizon=1.0), [0, 1])[1]
    >>> tuple(x.shape), tuple(y.shape)
    ((2, 50), (2, 10))
    """

    def __init__(
        self,
        windows: Windows,
        indices: ArrayLike,
        *,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        increments: bool = False,
    ) -> None:
        if windows.labels is None and windows.targets is None and not windows.horizon:
            raise DataError(
                "expected windows with labels, numbers or a horizon, got neither; nothing can be learned from them: "
                "cut them with windows_around(...) or sliding_windows(..., horizon=...)"
            )
        self.windows = windows
        self.indices = np.asarray(indices, dtype=np.int64)
        self.transform = transform
        self.target_transform = target_transform
        self.increments = increments

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = self.batch([index])
        return x[0], y[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return several items after one read: torch's own loader asks for a batch through this."""
        return list(zip(*self.batch(indices), strict=True))

    @property
    def targets(self) -> NDArray[np.int64] | None:
        """Labels of all items, shape (n,), without reading a sample; None for a forecast."""
        return None if self.windows.labels is None else self.windows.labels[self.indices]

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """How much each item counts in training, shape (n,); None where all count alike."""
        return None if self.windows.weights is None else self.windows.weights[self.indices]

    def batch(self, indices: ArrayLike) -> tuple[torch.Tensor, torch.Tensor]:
        """Return items as one pair of tensors: x (n, channel, time), y (n,) or (n, channel, horizon)."""
        X, y = self.windows.arrays(self.indices[np.asarray(indices, dtype=np.int64)])
        target = self._forecast(X, np.asarray(y)) if self.windows.horizon else self._known(np.asarray(y))
        if self.transform is not None:
            X = self.transform(X)
        return torch.from_numpy(np.ascontiguousarray(X)), torch.from_numpy(target)

    def _known(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return labels as they are, and numbers as the net is to put them out."""
        return self.target_transform(y) if self.target_transform is not None and self.windows.targets is not None else y

    def _forecast(self, X: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the samples to be forecast as the net is to put them out."""
        last = X[:, :, -1:]
        if self.target_transform is not None:
            y, last = self.target_transform(y), self.target_transform(last)
        return y - last if self.increments else y


def _with(windows: Windows, samples: Samples) -> Windows:
    """Hand the table that was read to the windows, so that it is not read again."""
    windows.__dict__["_samples"] = samples
    return windows


def _to_samples(seconds: float, rate: float, name: str) -> int:
    """Return seconds as a number of samples, at least one."""
    n = round(seconds * rate) if np.isfinite(seconds) else 0
    if n < 1:
        raise ConfigError(
            f"expected {name} of at least one sample ({1 / rate:g} s at {rate:g} Hz), got {seconds:g} s; "
            "choose a longer one"
        )
    return n


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
    clock = samples.clock
    usable = np.where(np.isfinite(onsets), onsets, clock[0])
    right = np.clip(np.searchsorted(clock, usable), 1, max(len(clock) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(clock) - 1)
    nearest = np.where(usable - clock[left] <= clock[right] - usable, left, right).astype(np.int64)
    offsets = usable - clock[nearest]
    reason = np.full(len(onsets), "", dtype=object)
    # Within a segment neighbors are at most GAP steps apart, so an onset there is within half of that of a sample.
    reason[np.abs(offsets) > 0.5 * GAP / samples.rate] = ACROSS
    reason[(usable < clock[0] - 0.5 * GAP / samples.rate) | (usable > clock[-1] + 0.5 * GAP / samples.rate)] = OUTSIDE
    reason[~np.isfinite(onsets)] = NO_ONSET
    return nearest, offsets, reason


def _usable(
    samples: Samples, starts: NDArray[np.int64], span: int, reason: NDArray[np.object_]
) -> tuple[NDArray[np.int64], Counter[str]]:
    """Return which windows can be used, and count the others by reason; `reason` comes with those known already."""
    n = len(samples.valid)
    inside = (starts >= 0) & (starts + span <= n)
    first, last = np.clip(starts, 0, n - 1), np.clip(starts + span - 1, 0, n - 1)
    missing = np.concatenate([[0], np.cumsum(~samples.valid)])
    complete = missing[last + 1] == missing[first]
    for mask, text in (
        (~complete, MISSING),
        (samples.segment[first] != samples.segment[last], ACROSS),
        (~inside, OUTSIDE),
    ):
        reason[mask & np.isin(reason, ["", MISSING, ACROSS])] = text
    return np.flatnonzero(reason == ""), Counter(str(text) for text in reason if text)


def _none_left(n: int, dropped: Mapping[str, int], seconds: float) -> str:
    return (
        f"expected at least one window of {seconds:g} s without gap or missing sample, got none of {n}"
        f"{because(dropped)}; choose shorter windows, or check that events and recording share a clock"
    )
