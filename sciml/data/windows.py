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

from sciml.data.samples import Samples, read_samples, rows_of_block
from sciml.errors import DataError
from sciml.recording import n_features

__all__ = ["WindowDataset", "Windows"]

PER_WINDOW = ("starts", "labels", "offsets", "events", "targets", "weights", "lengths")
Transform = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
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

    @cached_property
    def _samples(self) -> Samples:
        return read_samples(self.recording) if self.table is None else self.table

    @property
    def rate(self) -> float:
        """Sampling rate in Hz."""
        return self._samples.rate

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
        return self._samples.times(self.starts)

    @property
    def stops(self) -> NDArray[np.float64]:
        """Time at which each window, its horizon included, has ended, in seconds, shape (n,)."""
        return self._samples.times(self.starts + self.spans - 1) + 1.0 / self.rate

    def changed(self, **fields: Any) -> "Windows":
        """Return the windows with other fields; what was read of the recording is not read again.

        Examples
        --------
        >>> from sciml.data import sliding_windows
        >>> wave = xr.DataArray(np.arange(10.0), dims="time", attrs={"sampling_rate": 1.0})
        >>> sliding_windows(wave, length=3, step=2).changed(classes=("rest",)).classes
        ('rest',)
        """
        return replace(self, **{"table": self._samples, **fields})

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
        both = self._samples.stack(self.starts[chosen], self.span)
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
        rows = rows_of_block(self.n_channels)
        covered = np.zeros(len(self._samples) + 1, dtype=np.int64)
        chosen = np.asarray(indices, dtype=np.int64)
        np.add.at(covered, self.starts[chosen], 1)
        np.add.at(covered, self.starts[chosen] + self.spans[chosen], -1)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], np.cumsum(covered) > 0, [0]]).astype(np.int8)))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            for first in range(int(start), int(stop), rows):
                yield self._samples.rows(first, min(first + rows, int(stop)))


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
    >>> from sciml.data import sliding_windows
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
    def starts(self) -> NDArray[np.int64]:
        """First sample of each item in the recording, shape (n,)."""
        return self.windows.starts[self.indices]

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
