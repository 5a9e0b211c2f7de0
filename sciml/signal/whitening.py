"""Each channel whitened in time, by its own power spectrum."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal
import xarray as xr

from sciml._typing import AnyArray, FloatArray
from sciml.errors import DataError
from sciml.recording import TIME, check, segments
from sciml.signal.blockwise import apply, regular_rate

__all__ = ["whiten"]

PIECES = 64  # periodograms whose median is the spectrum
SMALLEST = 1e-6  # of a channel's median power, below which its spectrum is not raised


@dataclass(frozen=True, eq=False)
class Whitening:
    """A symmetric filter for each channel, `taps` (2 margin + 1, N)."""

    taps: FloatArray
    up, down = 1, 1

    @property
    def margin(self) -> int:
        """Half the length of the filters."""
        return len(self.taps) // 2

    def __call__(self, values: AnyArray) -> AnyArray:
        """Return values (time, ...) of all channels, filtered."""
        rows = values.reshape(len(values), -1)
        return np.asarray(scipy.signal.oaconvolve(rows, self.taps, mode="same", axes=0)).reshape(values.shape)


def whiten(recording: xr.DataArray, *, window: float | None = None) -> xr.DataArray:
    r"""Return a recording whose channels each have a flat spectrum and unit variance.

    Each channel is convolved with the symmetric filter of gain :math:`S(f)^{-1/2}`, S the median of the periodograms of
    Hann windows spread over the recording (Welch 1967, doi:10.1109/TAU.1967.1161901; the median leaves bursts out).

    Parameters
    ----------
    recording
        Any recording with a clock.
    window
        Seconds of a window, which decide how narrow a line is told from its surroundings; default 1/16 of the
        recording, at most 2 s.

    Raises
    ------
    DataError
        Windows of fewer than 8 samples.

    Examples
    --------
    >>> walk = np.random.default_rng(0).normal(size=(5000, 2)).cumsum(axis=0)
    >>> white = whiten(xr.DataArray(walk, dims=("time", "channel"), attrs={"sampling_rate": 100.0}))
    >>> bool(abs(np.corrcoef(white[1:, 0], white[:-1, 0])[0, 1]) < 0.1)
    True
    """
    rate, ordered = regular_rate(recording), check(recording).transpose(TIME, ...)
    longest = max(segments(ordered), key=lambda part: part.stop - part.start)
    seconds = min(2.0, (longest.stop - longest.start) / rate / 16) if window is None else window
    n = 2 * int(seconds * rate / 2)
    if not 8 <= n <= longest.stop - longest.start:
        raise DataError(f"expected windows of 8 samples or more within a segment, got {seconds:g} s at {rate:g} Hz")
    step = Whitening(_taps(_spectrum(ordered, longest, n), n))
    return apply(
        recording, step, f"whiten: median spectrum of windows of {seconds:g} s", whole=True, attrs={"units": "1"}
    )


def _spectrum(recording: xr.DataArray, part: slice, n: int) -> FloatArray:
    """Return the median power (frequency, N) of windows, 1 for white noise of variance one."""
    window = scipy.signal.get_window("hann", n)[:, None]
    last = part.stop - part.start - n
    starts = np.unique(np.linspace(0, last, min(PIECES, last // (n // 2) + 1)).astype(int)) + part.start
    powers = []
    for start in starts.tolist():
        rows = np.asarray(recording.isel({TIME: slice(start, start + n)}).values, np.float64).reshape(n, -1)
        valid = ~np.isnan(rows)
        mean = np.where(valid, rows, 0.0).sum(axis=0) / np.maximum(valid.sum(axis=0), 1)
        rows = np.where(valid, rows - mean, 0.0)
        powers.append(np.abs(scipy.fft.rfft(window * rows, axis=0)) ** 2 / (window**2).sum())
    return np.asarray(np.median(powers, axis=0) / np.log(2))  # the median of an exponential law is log 2 of its mean


def _taps(power: FloatArray, n: int) -> FloatArray:
    floor = SMALLEST * np.median(power, axis=0, keepdims=True)
    gain = np.where(power > 0, 1 / np.sqrt(np.maximum(power, np.maximum(floor, np.finfo(float).tiny))), 0.0)
    gain[0] = 0.0
    taps = np.roll(scipy.fft.irfft(gain, n, axis=0), n // 2, axis=0)
    window = scipy.signal.get_window("hann", n + 1, fftbins=False)[:, None]
    taps = window * np.concatenate([taps, taps[:1]])
    return np.asarray(taps - window * taps.sum(axis=0) / window.sum())  # nothing of frequency zero passes
