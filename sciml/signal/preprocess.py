"""Preprocessing of recordings: filters, another rate, relative change. Lazy, and each says what it did."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy.ndimage
import scipy.signal
import xarray as xr

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError
from sciml.recording import TIME
from sciml.signal.blockwise import apply, regular_rate
from sciml.signal.filters import bandpass_filter, design, notch_filter

__all__ = ["bandpass", "decimate", "dff", "highpass", "lowpass", "notch", "resample"]

LARGEST_FACTOR = 10_000  # of up or down, by which rates are related
HALF_LENGTH = 10  # of the filter before another rate, in samples of the slower one: that of scipy.signal.resample_poly


def bandpass(recording: xr.DataArray, low: float, high: float, *, order: int = 4) -> xr.DataArray:
    """Return a recording between two frequencies in Hz: Butterworth, forward and backward, zero phase.

    Segments between gaps of the clock are filtered each by itself; missing and masked samples stay missing.

    Raises
    ------
    ConfigError
        Frequencies that do not increase or are not below half of the sampling rate.
    DataError
        A recording without a regular clock.

    Examples
    --------
    >>> recording = xr.DataArray(np.ones((100, 2)), dims=("time", "channel"), attrs={"sampling_rate": 100.0})
    >>> float(abs(bandpass(recording, 5, 20)).max()) < 1e-9
    True
    """
    step = bandpass_filter(low, high, regular_rate(recording), order=order)
    return apply(recording, step, f"bandpass: {low:g} to {high:g} Hz, order {order}, zero phase")


def highpass(recording: xr.DataArray, frequency: float, *, order: int = 4) -> xr.DataArray:
    """Return a recording above a frequency in Hz; see `bandpass`."""
    step = design("highpass", frequency, regular_rate(recording), order=order)
    return apply(recording, step, f"highpass: {frequency:g} Hz, order {order}, zero phase")


def lowpass(recording: xr.DataArray, frequency: float, *, order: int = 4) -> xr.DataArray:
    """Return a recording below a frequency in Hz; see `bandpass`."""
    step = design("lowpass", frequency, regular_rate(recording), order=order)
    return apply(recording, step, f"lowpass: {frequency:g} Hz, order {order}, zero phase")


def notch(
    recording: xr.DataArray, frequency: float = 50.0, *, harmonics: int | None = None, quality: float = 30.0
) -> xr.DataArray:
    """Return a recording without a line and its multiples, as of the mains; see `sciml.signal.filters.notch_filter`.

    Examples
    --------
    >>> time = np.arange(4000) / 1000.0
    >>> hum = xr.DataArray(np.sin(2 * np.pi * 50 * time)[:, None], dims=("time", "channel"))
    >>> cleaned = notch(hum.assign_attrs(sampling_rate=1000.0), 50)
    >>> float(abs(cleaned[1000:3000]).max()) < 1e-2
    True
    """
    step = notch_filter(frequency, regular_rate(recording), harmonics=harmonics, quality=quality)
    n = len(step.sections)
    return apply(recording, step, f"notch: {frequency:g} Hz and its multiples, {n} in all, quality {quality:g}")


@dataclass(frozen=True)
class Resampling:
    """`up` results in `down` samples, by the polyphase filter of `scipy.signal.resample_poly`."""

    up: int
    down: int

    @property
    def margin(self) -> int:
        """Half the length of the filter, in samples, and what rounds to whole steps."""
        return (HALF_LENGTH * max(self.up, self.down)) // self.up + self.down + 1

    def __call__(self, values: AnyArray) -> AnyArray:
        """Return values (time, ...) at the other rate."""
        return np.asarray(scipy.signal.resample_poly(values, self.up, self.down, axis=0))


def resample(recording: xr.DataArray, rate: float) -> xr.DataArray:
    """Return a recording at another sampling rate in Hz, low-passed below half of the slower rate first.

    Raises
    ------
    ConfigError
        A rate that is not positive.
    DataError
        A recording without a regular clock.

    Examples
    --------
    >>> recording = xr.DataArray(np.ones((100, 2)), dims=("time", "channel"), attrs={"sampling_rate": 100.0})
    >>> resample(recording, 40.0).sizes["time"]
    40
    """
    before = regular_rate(recording)
    if not 0 < rate < np.inf:
        raise ConfigError(f"expected a positive rate in Hz, got {rate:g}")
    ratio = Fraction(rate / before).limit_denominator(LARGEST_FACTOR)
    if ratio <= 0 or ratio.numerator > LARGEST_FACTOR:
        raise ConfigError(f"expected a rate within {LARGEST_FACTOR} times {before:g} Hz, got {rate:g}; go in two steps")
    return _at_rate(recording, Resampling(ratio.numerator, ratio.denominator), before, "resample")


def decimate(recording: xr.DataArray, factor: int) -> xr.DataArray:
    """Return every `factor`-th sample of a recording, low-passed below half of the new rate first.

    Examples
    --------
    >>> recording = xr.DataArray(np.ones((100, 2)), dims=("time", "channel"), attrs={"sampling_rate": 100.0})
    >>> decimate(recording, 10).attrs["sampling_rate"]
    10.0
    """
    if factor < 1 or factor != int(factor):
        raise ConfigError(f"expected a whole factor of 1 or more, got {factor}; resample takes any rate")
    if factor > recording.sizes[TIME]:
        raise ConfigError(f"expected a factor of {recording.sizes[TIME]:,} samples at most, got {factor:,}")
    return _at_rate(recording, Resampling(1, int(factor)), regular_rate(recording), "decimate")


def _at_rate(recording: xr.DataArray, step: Resampling, before: float, verb: str) -> xr.DataArray:
    after = before * step.up / step.down
    attrs = {"sampling_rate": after} if "sampling_rate" in recording.attrs else {}
    return apply(recording, step, f"{verb}: {before:g} to {after:g} Hz, low-passed first", attrs=attrs)


@dataclass(frozen=True)
class RelativeChange:
    """(F - F0) / F0, F0 a running percentile over 2 `margin` + 1 samples."""

    margin: int
    percentile: float
    up, down = 1, 1

    def __call__(self, values: AnyArray) -> AnyArray:
        """Return the relative change of values (time, ...)."""
        return (values - (baseline := self._baseline(values))) / baseline

    def _baseline(self, values: AnyArray) -> FloatArray:
        size = (2 * self.margin + 1, *([1] * (values.ndim - 1)))
        running = scipy.ndimage.percentile_filter(values, self.percentile, size=size, mode="nearest")
        return np.where(running == 0, np.nan, running)


def dff(recording: xr.DataArray, *, window: float = 60.0, percentile: float = 10.0) -> xr.DataArray:
    """Return the relative change of fluorescence, (F - F0) / F0.

    Parameters
    ----------
    recording
        Fluorescence with its offset: ROIs or pixels whose baseline is positive.
    window
        Seconds over which the baseline F0 is a running percentile, centered on each sample.
    percentile
        Of the samples in the window.

    Raises
    ------
    ConfigError
        A window of less than three samples, or a percentile outside 0 to 100.

    Examples
    --------
    >>> cells = xr.DataArray(np.full((50, 2), 7.0), dims=("time", "roi"), attrs={"sampling_rate": 10.0})
    >>> float(dff(cells, window=2.0).max())
    0.0
    """
    half = round(window * regular_rate(recording) / 2)
    if half < 1 or not 0 <= percentile <= 100:
        raise ConfigError(f"expected a window of 3 samples or more and a percentile, got {window:g} s, {percentile:g}")
    said = f"dff: running percentile {percentile:g} over {window:g} s"
    return apply(recording, RelativeChange(half, percentile), said, attrs={"units": "1"})
