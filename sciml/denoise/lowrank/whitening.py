"""Recordings divided by the spectrum of their noise in time, and multiplied with it again."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, FloatArray
from sciml.errors import DataError
from sciml.noise import NoiseFloor
from sciml.recording import TIME, sampling_rate

__all__ = ["Whitening", "whitening"]


@dataclass(frozen=True, eq=False)
class Whitening:
    """Fourier factors sqrt(S(f) / mean S) of the noise of all channels, in the order of `numpy.fft.fftfreq`."""

    color: FloatArray

    def whiten(self, recording: xr.DataArray) -> xr.DataArray:
        """Return the recording with noise of one spectral density; held in memory."""
        return self._filtered(recording, 1 / self.color)

    def unwhiten(self, recording: xr.DataArray) -> xr.DataArray:
        """Undo `whiten`."""
        return self._filtered(recording, self.color)

    def _filtered(self, recording: xr.DataArray, factors: FloatArray) -> xr.DataArray:
        ordered = recording.transpose(TIME, ...)
        values: AnyArray = np.asarray(ordered.values)
        shape = (-1,) + (1,) * (values.ndim - 1)
        mean = values.mean(axis=0)  # taken out, so that an offset of many standard deviations costs no digits
        filtered = np.fft.ifft(np.fft.fft(values - mean, axis=0) * factors.reshape(shape), axis=0) + mean
        data = filtered if np.iscomplexobj(values) else filtered.real
        return ordered.copy(data=data).transpose(*recording.dims)


def whitening(recording: xr.DataArray, floor: NoiseFloor) -> Whitening:
    """Return the whitening of a recording by the spectrum of its noise floor.

    Raises
    ------
    DataError
        Values are missing, or the floor is that of counts.
    """
    if floor.noise_model.needs_values:
        raise DataError("expected noise with a spectrum to whiten, got counts, which are scaled already")
    if not np.isfinite(recording.values).all():
        raise DataError("expected a recording without missing values to whiten along time; fill or cut them first")
    n = recording.sizes[TIME]
    own = np.fft.fftfreq(n, 1 / _rate(recording))
    density = np.interp(own if floor.complex_data else np.abs(own), floor.frequency, floor.psd)
    color = np.sqrt(np.maximum(density, np.finfo(float).tiny) / density.mean())
    return Whitening(color)


def _rate(recording: xr.DataArray) -> float:
    try:
        return sampling_rate(recording)
    except DataError:  # no clock: frequencies are in cycles a sample, in the floor too
        return 1.0
