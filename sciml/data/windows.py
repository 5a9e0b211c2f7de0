"""Windows of a recording: where each begins, what it is labeled or followed by, and its samples as arrays."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Dataset

from sciml.data.parts.augment import Augment, room_to_shift
from sciml.data.parts.blocks import Blocks, Piece, Pieces, blocks_of
from sciml.data.recordings.channels import channel_names
from sciml.data.recordings.concat import Spans
from sciml.data.samples import Samples, cut_windows, read_samples
from sciml.errors import ConfigError, DataError
from sciml.recording import n_features
from sciml.result import shown
from sciml.wording import count, series

__all__ = ["WindowDataset", "Windows"]

PER_WINDOW = ("starts", "labels", "offsets", "events", "targets", "weights", "lengths")
Transform = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False, repr=False)
class Windows:
    """Windows of one recording, of one length or padded to it; samples are read when `arrays` asks for them.

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
    table
        The samples of the recording, so that it is not read again.
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
    table: Samples | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        """Return how many windows there are, how long, and what is to be told of them."""
        told = f"classes: {series(self.classes)}" if self.classes else ""
        ahead = f", {count(self.horizon, 'sample')} to forecast" if self.horizon else ""
        sizes = f"{count(self.n_channels, 'channel')} x {count(self.length, 'sample')}{ahead}"
        targets = f"targets: {series(self.target_names)}" if self.target_names else ""
        dropped = "; ".join(f"{count(n, 'window')} left out: {why}" for why, n in self.dropped.items())
        return shown(f"Windows: {len(self):,} of {sizes}", told, targets, dropped)

    @cached_property
    def table_of_samples(self) -> Samples:
        """The samples of the recording, read now if they were not before."""
        return read_samples(self.recording) if self.table is None else self.table

    @property
    def rate(self) -> float:
        """Sampling rate in Hz."""
        return self.table_of_samples.rate

    @property
    def span(self) -> int:
        """Samples that a window occupies, the forecast horizon included."""
        return self.length + self.horizon

    @property
    def spans(self) -> NDArray[np.int64]:
        """Samples that each window occupies without what pads it, the forecast horizon included, shape (n,)."""
        return np.full(len(self), self.span, dtype=np.int64) if self.lengths is None else self.lengths

    @property
    def n_channels(self) -> int:
        """Channels of a window: the features of the recording."""
        return n_features(self.recording)

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of the first sample of each window, in seconds, shape (n,)."""
        return self.table_of_samples.times(self.starts)

    @property
    def stops(self) -> NDArray[np.float64]:
        """Time at which each window, its horizon included, has ended, in seconds, shape (n,)."""
        return self.table_of_samples.times(self.starts + self.spans - 1) + 1.0 / self.rate

    def changed(self, **fields: Any) -> "Windows":
        """Return the windows with other fields; what was read of the recording is not read again.

        Examples
        --------
        >>> from sciml.data import sliding_windows
        >>> wave = xr.DataArray(np.arange(10.0), dims="time", attrs={"sampling_rate": 1.0})
        >>> sliding_windows(wave, length=3, step=2).changed(classes=("rest",)).classes
        ('rest',)
        """
        return replace(self, **{"table": self.table_of_samples, **fields})

    def chosen(self, indices: ArrayLike) -> "Windows":
        """Return some of the windows, by number or mask.

        Examples
        --------
        >>> from sciml.data import sliding_windows
        >>> wave = xr.DataArray(np.arange(10.0), dims="time", attrs={"sampling_rate": 1.0})
        >>> sliding_windows(wave, length=3, step=2).chosen([0, 2]).starts.tolist()
        [0, 4]
        """
        kept = np.asarray(indices)
        each = {name: getattr(self, name) for name in PER_WINDOW}
        return self.changed(
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
            What is missing, or pads a window, is NaN.

        Examples
        --------
        >>> from sciml.data import sliding_windows
        >>> wave = xr.DataArray(np.arange(10.0), dims="time", attrs={"sampling_rate": 1.0})
        >>> X, y = sliding_windows(wave, length=3, step=2, horizon=1).arrays([1])
        >>> X.tolist(), y.tolist()
        ([[[2.0, 3.0, 4.0]]], [[[5.0]]])
        """
        chosen = np.arange(len(self)) if indices is None else np.atleast_1d(np.asarray(indices, dtype=np.int64))
        return self.parted(self.table_of_samples.stack(self.starts[chosen], self.span), chosen)

    def parted(
        self, both: NDArray[np.float32], chosen: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
        """Return inputs and targets of the chosen windows from their samples (n, channel, time)."""
        if self.lengths is not None:
            both[(np.arange(self.span) >= self.lengths[chosen][:, None])[:, None].repeat(self.n_channels, axis=1)] = (
                np.nan
            )
        X = np.ascontiguousarray(both[:, :, : self.length])
        if self.horizon:
            return X, np.ascontiguousarray(both[:, :, self.length :])
        known = self.labels if self.targets is None else self.targets
        return X, None if known is None else known[chosen]

    def samples(self, indices: ArrayLike) -> Iterator[NDArray[np.float32]]:
        """Yield the samples that the chosen windows cover, each sample once, as arrays (time, channel).

        Examples
        --------
        >>> from sciml.data import sliding_windows
        >>> wave = xr.DataArray(np.arange(10.0), dims="time", attrs={"sampling_rate": 1.0})
        >>> [len(run) for run in sliding_windows(wave, length=4, step=2).samples([0, 1, 3])]
        [10]
        """
        rows = self.table_of_samples.block_rows
        covered = np.zeros(len(self.table_of_samples) + 1, dtype=np.int64)
        chosen = np.asarray(indices, dtype=np.int64)
        np.add.at(covered, self.starts[chosen], 1)
        np.add.at(covered, self.starts[chosen] + self.spans[chosen], -1)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], np.cumsum(covered) > 0, [0]]).astype(np.int8)))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            for first in range(int(start), int(stop), rows):
                yield self.table_of_samples.rows(first, min(first + rows, int(stop)))


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
    augment
        How items are changed where a key is given to draw by; those of the part that is learned from.
    spans
        Which samples lie in which file, and where its own clock begins: what `describe` names a place by.

    Raises
    ------
    DataError
        Windows of which nothing is to be told.
    ConfigError
        Shifts of windows whose target is another signal's value at their end, or dropout of the only channel.

    Examples
    --------
    >>> from sciml.data import sliding_windows
    >>> wave = xr.DataArray(np.zeros((100, 2)), dims=("time", "channel"), attrs={"sampling_rate": 10.0})
    >>> x, y = WindowDataset(sliding_windows(wave, length=5.0, step=2.0, horizon=1.0), [0, 1])[1]
    >>> tuple(x.shape), tuple(y.shape)
    ((2, 50), (2, 10))

    torch's own loader draws batches of it:

    >>> from torch.utils.data import DataLoader
    >>> windows = sliding_windows(wave, length=2.0, step=1.0, horizon=1.0)
    >>> loader = DataLoader(WindowDataset(windows, range(len(windows))), batch_size=4, shuffle=True)
    >>> [tuple(each.shape) for each in next(iter(loader))]
    [(4, 2, 20), (4, 2, 10)]
    """

    def __init__(
        self,
        windows: Windows,
        indices: ArrayLike,
        *,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        increments: bool = False,
        augment: Augment | None = None,
        spans: Spans | None = None,
    ) -> None:
        if windows.labels is None and windows.targets is None and not windows.horizon:
            raise DataError(
                "expected windows with labels, numbers or a horizon, got neither; nothing can be learned from them: "
                "cut them with windows_around(...) or sliding_windows(..., horizon=...)"
            )
        if augment is not None and augment.shift and windows.targets is not None and windows.events is None:
            raise ConfigError(
                "expected windows that mean the same a little earlier or later, got windows whose target is a signal's "
                "value at their end; set augment.shift to 0"
            )
        if augment is not None and augment.channel_dropout and windows.n_channels == 1:
            raise ConfigError(
                "expected channels one of which may be missing, got one; set augment.channel_dropout to 0"
            )
        self.windows = windows
        self.indices = np.asarray(indices, dtype=np.int64)
        self.transform = transform
        self.target_transform = target_transform
        self.increments = increments
        self.augment = augment
        self.spans = spans

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = self.batch([index])
        return x[0], y[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return several items after one read: torch's own loader asks for a batch through this."""
        return list(zip(*self.batch(indices), strict=True))

    def describe(self, item: int, *, channel: int, sample: int) -> str:
        """Return in words where a value of an item lies: its file, the time in it and the channel.

        Examples
        --------
        >>> from sciml.data import sliding_windows
        >>> attrs = {"sampling_rate": 10.0, "source": "rat.nwb"}
        >>> wave = xr.DataArray(np.zeros((100, 2)), dims=("time", "channel"), attrs=attrs)
        >>> windows = sliding_windows(wave, length=5.0, step=2.0, horizon=1.0)
        >>> WindowDataset(windows, [0, 1]).describe(1, channel=0, sample=3)
        'rat.nwb at 2.3 s, channel 0'
        """
        at = int(self.windows.starts[self.indices[item]]) + sample
        recording, file, shift = self.windows.recording, "", 0.0
        if self.spans is not None:
            piece = int(self.spans.piece([at])[0])
            file, shift = str(self.spans.of([at]).get("file", [""])[0]), float(self.spans.shifts[piece])
        names = channel_names(recording)
        named = f"{names[channel]!r} ({channel})" if names else str(channel)
        time = float(self.windows.table_of_samples.times([at])[0]) - shift
        return f"{file or recording.attrs.get('source', 'the recording')} at {time:.6g} s, channel {named}"

    @property
    def targets(self) -> NDArray[np.int64] | None:
        """Labels of all items, shape (n,), without reading a sample; None for a forecast."""
        return None if self.windows.labels is None else self.windows.labels[self.indices]

    @property
    def starts(self) -> NDArray[np.int64]:
        """First sample of each item in the recording, shape (n,)."""
        return self.windows.starts[self.indices]

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """How much each item counts in training, shape (n,); None where all count alike."""
        return None if self.windows.weights is None else self.windows.weights[self.indices]

    @cached_property
    def blocks(self) -> Blocks | None:
        """Which items lie together in the file; None where their samples are in memory."""
        samples = self.windows.table_of_samples
        if samples.values is not None:
            return None
        first, behind = self._reach
        row_bytes, chunk = 4 * samples.n_channels, samples.chunk_rows
        return blocks_of(first, behind, row_bytes=row_bytes, chunk=chunk, memory=samples.memory)

    def read(self, items: NDArray[np.int64]) -> Piece:
        """Return the samples that items cover, each read once in the order of the file."""
        chosen = np.unique(items)
        first, behind = (side[chosen] for side in self._reach)
        rows, begins, counts = self.windows.table_of_samples.covering(first, behind)
        return Piece(*map(torch.from_numpy, (chosen, begins, counts, rows)))

    def held(self) -> Pieces:
        """Return what holds the pieces of blocks, none so far."""
        return Pieces(len(self))

    def batch(
        self, indices: ArrayLike, *, key: ArrayLike | None = None, pieces: Pieces | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return items as one pair of tensors: x (n, channel, time), y (n,) or (n, channel, horizon).

        Parameters
        ----------
        indices
            The items.
        key
            Of the draws by which they are augmented, one or one for each; None leaves them as they are.
        pieces
            What `read` gave of the blocks that they lie in; by default it is read now.
        """
        items = np.asarray(indices, dtype=np.int64)
        X, y = self.windows.parted(self._samples(items, key, pieces), self.indices[items])
        target = self._forecast(X, np.asarray(y)) if self.windows.horizon else self._known(np.asarray(y))
        if self.augment is not None and key is not None:
            X = self.augment.changed(X, items.tolist(), key=key)
        if self.transform is not None:
            X = self.transform(X)
        return torch.from_numpy(np.ascontiguousarray(X)), torch.from_numpy(target)

    def _samples(self, items: NDArray[np.int64], key: ArrayLike | None, pieces: Pieces | None) -> NDArray[np.float32]:
        """Return the samples of items, the horizon included: (n, channel, time)."""
        shifted = np.zeros(len(items), np.int64)
        if self.augment is not None and self.augment.shift and key is not None:
            shifted = self.augment.offsets(items.tolist(), *self._room, key=key)
        windows, table = self.windows, self.windows.table_of_samples
        if pieces is None or self.blocks is None:
            return table.stack(windows.starts[self.indices[items]] + shifted, windows.span)
        later = self._room[0][items] + shifted  # rows that were read before the window, for it to begin earlier
        rows = [pieces.rows[number] for number in self.blocks.number[items].tolist()]
        counts = np.minimum(pieces.counts[items] - later, windows.span)
        return cut_windows(rows, pieces.begins[items] + later, counts, (len(items), windows.n_channels, windows.span))

    @cached_property
    def _room(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """By how many samples each item may begin earlier, and later."""
        windows = self.windows
        if self.augment is None or not self.augment.shift:
            none = np.zeros(len(self), np.int64)
            return none, none
        each = np.stack([windows.starts, windows.starts + windows.spans], axis=1)
        others = np.setdiff1d(np.arange(len(windows)), self.indices)
        most = round(self.augment.shift * windows.rate)
        return room_to_shift(each[self.indices], each[others], windows.table_of_samples, most=most)

    @cached_property
    def _reach(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first sample that each item may hold, and the one behind its last."""
        before, behind = self._room
        return self.starts - before, self.starts + self.windows.span + behind

    def _known(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return labels as they are, and numbers as the net is to put them out."""
        return self.target_transform(y) if self.target_transform is not None and self.windows.targets is not None else y

    def _forecast(self, X: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the samples to be forecast as the net is to put them out."""
        last = X[:, :, -1:]
        if self.target_transform is not None:
            y, last = self.target_transform(y), self.target_transform(last)
        return y - last if self.increments else y
