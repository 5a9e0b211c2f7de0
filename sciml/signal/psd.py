"""Power spectra and spectrograms of recordings, block by block, gaps and missing samples respected."""

from typing import Any

import numpy as np
import scipy.signal
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.recording import (
    TIME,
    blocks,
    check,
    feature_dims,
    feature_shape,
    n_features,
    sampling_rate,
    seconds,
    segments,
)

__all__ = ["SpectrogramAccumulator", "WelchAccumulator", "power_spectrum", "spectrogram", "welch_length"]

BLOCK_BYTES = 2**27  # what one block of samples may take in memory, as float64


def power_spectrum(recording: xr.DataArray, *, segment: float | None = None) -> xr.DataArray:
    r"""Return the one-sided power spectral density of each channel by Welch's method.

    .. math:: P(f) = \frac{2}{f_s \sum_t w_t^2} \Big\langle \big|\sum_t w_t x_t e^{-2\pi i f t}\big|^2 \Big\rangle

    averaged over half-overlapping Hann segments, each demeaned. Segments that straddle a gap of the clock,
    or hold a missing or masked sample of a channel, are left out of that channel's average.

    Parameters
    ----------
    recording
        Real recording with dims `time` and any others; units u, sampled in Hz.
    segment
        Length of a segment in seconds; the frequency resolution is its inverse. Default: an eighth of the
        longest segment of the clock without a gap.

    Returns
    -------
    DataArray
        Dims (frequency, ...): density in u²/Hz, `frequency` in Hz, `attrs["n_segments"]` averaged at most.

    Raises
    ------
    DataError
        No clock, values that are not real numbers, or no segment without a missing sample.

    References
    ----------
    Welch (1967), doi:10.1109/TAU.1967.1161901.

    Examples
    --------
    >>> t = np.arange(4096) / 256.0
    >>> wave = xr.DataArray(np.sin(2 * np.pi * 32 * t), dims="time", attrs={"sampling_rate": 256.0, "units": "V"})
    >>> float(power_spectrum(wave).idxmax("frequency"))
    32.0
    """
    welch = WelchAccumulator(recording, segment=segment)
    for part, values in blocks(recording, welch.rows):
        welch.add(part, values)
    return welch.result()


def spectrogram(recording: xr.DataArray, *, segment: float | None = None) -> xr.DataArray:
    """Return the power spectral density of half-overlapping Hann segments as a function of time.

    Parameters
    ----------
    recording
        Real recording with dims `time` and any others.
    segment
        Length of a segment in seconds; default a 64th of the longest segment of the clock without a gap.

    Returns
    -------
    DataArray
        Dims (frequency, time, ...): density in u²/Hz; `time` in s is the middle of each segment.

    Raises
    ------
    DataError
        No clock, or values that are not real numbers.

    References
    ----------
    Welch (1967), doi:10.1109/TAU.1967.1161901 (one periodogram a segment, not averaged).

    Examples
    --------
    >>> noise = xr.DataArray(np.random.default_rng(0).normal(size=4096), dims="time", attrs={"sampling_rate": 256.0})
    >>> spectrogram(noise, segment=1.0).sizes["frequency"]
    129
    """
    periodograms = SpectrogramAccumulator(recording, segment=segment)
    for part, values in blocks(recording, periodograms.rows):
        periodograms.add(part, values)
    return periodograms.result()


class WelchAccumulator:
    """`power_spectrum` of blocks that someone else reads: `add` each in order of time, then ask for the `result`.

    A block ends at gaps of the clock and holds at most `rows` samples of shape (n, n_features), NaN where missing.

    Examples
    --------
    >>> noise = xr.DataArray(np.random.default_rng(0).normal(size=512), dims="time", attrs={"sampling_rate": 64.0})
    >>> welch = WelchAccumulator(noise, segment=1.0)
    >>> welch.add(slice(0, 512), noise.values[:, None])
    >>> welch.result().equals(power_spectrum(noise, segment=1.0))
    True
    """

    def __init__(self, recording: xr.DataArray, *, segment: float | None = None) -> None:
        self.recording = recording
        self.rate, self.length = _resolution(recording, segment, parts=8)
        self.rows = _rows(recording, self.length)
        self.total = np.zeros((self.length // 2 + 1, n_features(recording)))
        self.count = np.zeros(n_features(recording), dtype=np.int64)

    def add(self, part: slice, values: NDArray[Any]) -> None:  # noqa: ARG002 (an average has no order in time)
        """Take one block in."""
        density = _periodograms(values, self.rate, self.length)
        complete = np.asarray(np.isfinite(density).all(axis=1))
        self.total += np.where(complete[:, None, :], density, 0.0).sum(axis=0)
        self.count += complete.sum(axis=0)

    def result(self) -> xr.DataArray:
        """Return the density, as `power_spectrum` does."""
        if not self.count.any():
            raise DataError(
                f"expected at least one run of {self.length / self.rate:g} s without a missing sample, found none; "
                "choose a shorter segment or leave out channels that are mostly missing"
            )
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.total / self.count
        shaped, dims = mean.reshape(-1, *feature_shape(self.recording)), ("frequency", *feature_dims(self.recording))
        density = _labelled(self.recording, shaped, dims, self.rate, self.length)
        return density.assign_attrs(n_segments=int(self.count.max()))


class SpectrogramAccumulator:
    """`spectrogram` of blocks that someone else reads; see `WelchAccumulator`."""

    def __init__(self, recording: xr.DataArray, *, segment: float | None = None) -> None:
        self.recording = recording
        self.rate, self.length = _resolution(recording, segment, parts=64)
        self.rows = _rows(recording, self.length)
        times = seconds(recording)
        self.clock = np.arange(recording.sizes[TIME]) / self.rate if times is None else times
        self.times: list[NDArray[Any]] = []
        self.densities: list[NDArray[np.float64]] = []

    def add(self, part: slice, values: NDArray[Any]) -> None:
        """Take one block in."""
        density = _periodograms(values, self.rate, self.length)
        if not len(density):
            return
        starts = part.start + np.arange(len(density)) * (self.length - self.length // 2)
        self.times.append(self.clock[starts] + 0.5 * (self.length - 1) / self.rate)
        self.densities.append(density)

    def result(self) -> xr.DataArray:
        """Return the densities, as `spectrogram` does."""
        density = np.concatenate(self.densities).swapaxes(0, 1)
        shaped = density.reshape(*density.shape[:2], *feature_shape(self.recording))
        dims = ("frequency", TIME, *feature_dims(self.recording))
        labelled = _labelled(self.recording, shaped, dims, self.rate, self.length)
        return labelled.assign_coords({TIME: (TIME, np.concatenate(self.times), {"units": "s"})})


def welch_length(longest: int, parts: int = 8) -> int:
    """Return the samples of a segment, given those of the longest run without a gap."""
    return max(longest // parts, min(longest, 256))


def _resolution(recording: xr.DataArray, segment: float | None, *, parts: int) -> tuple[float, int]:
    """Return the sampling rate and the number of samples of one segment."""
    recording = check(recording, minimum=8)
    if recording.dtype.kind == "c":
        raise DataError("expected a real recording, got complex values; take the spectra of .real and .imag")
    rate = sampling_rate(recording)
    longest = max(each.stop - each.start for each in segments(recording))
    length = welch_length(longest, parts) if segment is None else round(segment * rate)
    if not 8 <= length <= longest:
        raise DataError(
            f"expected a segment between {8 / rate:g} and {longest / rate:g} s, got {length / rate:g} s; "
            "choose a length within the longest run without a gap"
        )
    return rate, length


def _rows(recording: xr.DataArray, length: int) -> int:
    """Return how many samples of all channels a block has: whole segments."""
    return max(length, BLOCK_BYTES // (8 * n_features(recording)) // length * length)


def _periodograms(values: NDArray[Any], rate: float, length: int) -> NDArray[np.float64]:
    """Return the densities of the segments of a block, shape (segment, frequency, feature)."""
    if len(values) < length:
        return np.empty((0, length // 2 + 1, values.shape[1]))
    _, _, density = scipy.signal.spectrogram(
        values.astype(np.float64), fs=rate, window="hann", nperseg=length, noverlap=length // 2, axis=0
    )
    return np.moveaxis(density, -1, 0)


def _labelled(
    recording: xr.DataArray, density: NDArray[np.float64], dims: tuple[str, ...], rate: float, length: int
) -> xr.DataArray:
    """Wrap a density with its frequencies in Hz, its unit, and the tables of the recording's channels."""
    units = recording.attrs.get("units", "")
    kept = {name: coord for name, coord in recording.coords.items() if TIME not in coord.dims and name != "frequency"}
    return xr.DataArray(
        density,
        dims=dims,
        coords={"frequency": ("frequency", np.fft.rfftfreq(length, 1 / rate), {"units": "Hz"}), **kept},
        name="power_spectral_density",
        attrs={"units": f"({units})^2/Hz" if units else "1/Hz", "amplitude_units": f"{units}/sqrt(Hz)"},
    )
