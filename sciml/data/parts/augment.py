"""Windows that differ in each pass as those of another recording would: shifted, without a channel, with more noise.

What is drawn for an item is a function of a key (of the seed, the pass over the part, and how often the item came in it
before) and of its number, and so of nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml.data.samples import Samples
from sciml.errors import ConfigError
from sciml.recording import segments

__all__ = ["Augment", "NoiseSource", "room_to_shift"]

SHIFT, DROPOUT, NOISE = range(3)  # streams of draws


@dataclass(frozen=True, eq=False)
class NoiseSource:
    r"""Gaussian noise as a noise floor knows it: the strength of each channel, one color, and what has no noise.

    .. math:: n = (1 - V V^T)\, \mathrm{diag}(s)\, z, \qquad \mathrm{E}|\hat z(f)|^2 \propto S(f)

    with z of unit variance, independent between channels.

    Attributes
    ----------
    scale
        Standard deviation s of each channel's noise, in the units of the recording, shape (channel,).
    rate
        Sampling rate in Hz.
    frequency, psd
        Frequencies in Hz, rising, and the power density S of the noise there, shape (frequency,); None for white
        noise.
    null
        Orthonormal combinations V of channels that are constant, as after a subtracted reference, (channel, n_null).

    Examples
    --------
    >>> source = NoiseSource(np.array([1.0, 3.0]), rate=100.0)
    >>> source.draw(np.random.default_rng(0), 5000).std(axis=1).round(1).tolist()
    [1.0, 3.0]
    """

    scale: NDArray[np.float64]
    rate: float
    frequency: NDArray[np.float64] | None = None
    psd: NDArray[np.float64] | None = None
    null: NDArray[np.float64] | None = None

    def draw(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """Return n samples of noise, (channel, n)."""
        white = self.frequency is None or self.psd is None
        noise = rng.standard_normal((len(self.scale), n), np.float32) if white else self._colored(rng, n)
        noise *= self.scale.astype(np.float32)[:, None]
        if self.null is not None and self.null.size:
            null = self.null.astype(np.float32)
            noise -= null @ (null.T @ noise)
        return noise

    def _colored(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """Return noise of unit variance: a part of a draw twice as long, whose ends would meet."""
        assert self.frequency is not None  # noqa: S101 - asked for before
        assert self.psd is not None  # noqa: S101
        m = 2 * n
        power = np.interp(np.fft.rfftfreq(m, 1 / self.rate), self.frequency, self.psd)
        both_sides = np.full(len(power), 2.0)
        both_sides[[0, -1]] = 1.0  # m is even
        gain = np.sqrt(power * m / (both_sides @ power)).astype(np.float32)
        white = np.fft.rfft(rng.standard_normal((len(self.scale), m), np.float32))
        return np.fft.irfft(white * gain, m)[:, :n].astype(np.float32)


@dataclass(frozen=True, eq=False)
class Augment:
    """How windows are changed while a net learns from them.

    Attributes
    ----------
    shift
        Seconds by which a window may begin earlier or later, at most; never so far that it meets a window of another
        part, a gap or a missing sample.
    channel_dropout
        Probability p of each channel to be missing from a window: to be its mean, and masked where there is a mask.
        Where all C channels were to go, one of them stays, each as likely: a channel is missing with probability
        p - p^C / C, and the only one with a value never is.
    noise
        Noise to be added, in units of that of `source`: 1 doubles its variance.
    source
        The noise of the recording.

    Raises
    ------
    ConfigError
        A value out of range, or noise without its source.

    Examples
    --------
    >>> Augment(channel_dropout=0.5).changed(np.ones((1, 4, 2), np.float32), [7], key=3)[0, :, 0].tolist()
    [nan, nan, 1.0, 1.0]

    A key is that of all items, or there is one for each.
    """

    shift: float = 0.0
    channel_dropout: float = 0.0
    noise: float = 0.0
    source: NoiseSource | None = None

    def __post_init__(self) -> None:
        for name, high in (("shift", np.inf), ("channel_dropout", 1.0), ("noise", np.inf)):
            if not 0 <= getattr(self, name) < high:
                raise ConfigError(f"expected augment.{name} in [0, {high:g}), got {getattr(self, name)}")
        if self.noise and self.source is None:
            raise ConfigError("expected the noise floor of the recording to draw noise from, got none; set noise to 0")

    def offsets(
        self, items: Sequence[int], before: NDArray[np.int64], behind: NDArray[np.int64], *, key: ArrayLike
    ) -> NDArray[np.int64]:
        """Return by how many samples items are shifted: evenly from -`before` to `behind`, shape (n,)."""
        ends = zip(_rngs(key, items, SHIFT), before[items].tolist(), behind[items].tolist(), strict=True)
        return np.array([rng.integers(-low, high + 1) for rng, low, high in ends], np.int64)

    def changed(self, X: NDArray[np.float32], items: Sequence[int], *, key: ArrayLike) -> NDArray[np.float32]:
        """Return windows (n, channel, time) with noise, and without the channels that are dropped."""
        if self.noise and self.source is not None:
            added = [self.source.draw(rng, X.shape[2]) for rng in _rngs(key, items, NOISE)]
            X = X + np.float32(self.noise) * np.stack(added)
        if not self.channel_dropout:
            return X
        draws = np.stack([rng.random(X.shape[1]) for rng in _rngs(key, items, DROPOUT)])
        return _without(X, draws, below=self.channel_dropout)


def _without(X: NDArray[np.float32], draws: NDArray[np.float64], *, below: float) -> NDArray[np.float32]:
    """Return windows without the channels whose draw (n, channel) is low; of those with a value the highest stays."""
    present = ~np.isnan(X).all(axis=2)
    dropped = draws < below
    dropped[np.arange(len(X)), np.where(present, draws, -1.0).argmax(axis=1)] = False
    return np.where(dropped[:, :, None], np.float32(np.nan), X)


def _rngs(key: ArrayLike, items: Sequence[int], stream: int) -> Iterator[np.random.Generator]:
    """Yield a generator for each item, by the key of all or its own."""
    for each, item in zip(np.broadcast_to(np.asarray(key, np.uint64), len(items)).tolist(), items, strict=True):
        yield np.random.Generator(np.random.Philox(key=[each, int(item)], counter=[0, 0, 0, stream]))


def room_to_shift(
    intervals: NDArray[np.int64], others: NDArray[np.int64], samples: Samples, *, most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return by how many samples windows may begin earlier, and later, at most `most`: shape (n,) each.

    In the way are windows of other parts, gaps, missing samples where the windows have none, and both ends. A window
    that overlaps one of another part stays where it is.

    Parameters
    ----------
    intervals, others
        First sample of each window, and the one behind its last: of those to be shifted (n, 2), of the others (m, 2).
    samples
        The samples of the recording.

    Examples
    --------
    >>> import xarray as xr
    >>> from sciml.data.samples import read_samples
    >>> samples = read_samples(xr.DataArray(np.zeros(9), dims="time", attrs={"sampling_rate": 1.0}))
    >>> own, others = np.array([[2, 4], [4, 6]]), np.array([[0, 2], [7, 9]])
    >>> [side.tolist() for side in room_to_shift(own, others, samples, most=3)]
    [[0, 2], [3, 1]]
    """
    first, last = intervals.T
    barriers = np.concatenate([others, _borders(samples), _gone(samples, intervals)])
    starts, stops = np.sort(barriers[:, 0]), np.sort(barriers[:, 1])
    n_ended, n_begun = np.searchsorted(stops, first, side="right"), np.searchsorted(starts, last, side="left")
    # the beginning of the recording is a barrier, and so is its end
    before, behind = first - stops[n_ended - 1], starts[np.minimum(n_begun, len(starts) - 1)] - last
    free = n_begun == n_ended  # of the barriers that begin before the end, all have ended before the window begins
    return np.where(free, np.clip(before, 0, most), 0), np.where(free, np.clip(behind, 0, most), 0)


def _borders(samples: Samples) -> NDArray[np.int64]:
    """Return where a segment of the clock ends, and both ends of the recording, as intervals of no length."""
    edges = [0, *(each.stop for each in segments(samples.recording))]
    return np.array(edges, np.int64)[:, None].repeat(2, axis=1)


def _gone(samples: Samples, intervals: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the runs of samples that lack a value; none where windows with such samples are used."""
    none = np.zeros((0, 2), np.int64)
    if samples.valid is None or samples.valid.all():
        return none
    count = np.concatenate([[0], np.cumsum(~samples.valid)])
    if (count[intervals[:, 1].clip(max=len(samples))] > count[intervals[:, 0]]).any():
        return none
    edges = np.concatenate([[False], ~samples.valid, [False]]).astype(np.int8)
    return np.flatnonzero(np.diff(edges)).reshape(-1, 2)
