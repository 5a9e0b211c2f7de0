"""Over frequency: amplitude spectral densities of recordings and of noise, and the noise floor at each frequency."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sciml._typing import FloatArray
from sciml.noise.coherence.result import SpectralNoiseFloor
from sciml.noise.floor.result import NoiseFloor
from sciml.plot.floors import floor_spectrum
from sciml.plot.scales import envelope, light_grid, log_ticks
from sciml.plot.style import axes_of, role
from sciml.signal.psd import power_spectrum as welch
from sciml.wording import clean, per_root_hertz

__all__ = ["draw_power", "power_spectrum", "spectral_floor"]

COLUMNS = 700  # intervals that a long curve is thinned to
EDGE = (0, (4, 2))
STRONGEST = 8  # bands that get a mark


def power_spectrum(result: xr.DataArray | NoiseFloor, ax: Axes | None = None) -> Axes:
    r"""Draw an amplitude spectral density, in units per :math:`\sqrt{Hz}`, on logarithmic axes.

    Parameters
    ----------
    result
        A recording (real, with dim `time` and a sampling rate): the median over channels and their middle 80 %, by
        Welch's method. A noise floor: its noise, the recording, and white noise of the same strength.
    ax
        Axes to draw on; default those of a new figure.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> noise = np.random.default_rng(0).normal(size=(2000, 8))
    >>> recording = xr.DataArray(noise, dims=("time", "channel"), attrs={"sampling_rate": 100.0, "units": "uV"})
    >>> power_spectrum(recording, ax=Figure().subplots()).get_ylabel()
    'amplitude [uV/√Hz]'
    """
    if isinstance(result, NoiseFloor):
        return floor_spectrum(result, ax)
    found = welch(result).transpose("frequency", ...)
    power = found.values.reshape(found.sizes["frequency"], -1)
    return draw_power(found["frequency"].values, power, axes_of(ax), units=str(result.attrs.get("units", "")))


def draw_power(frequency: FloatArray, power: FloatArray, ax: Axes, *, units: str = "") -> Axes:
    """Draw the root of densities that were estimated before, shape (frequency, channel), in units²/Hz."""
    # The one-sided density halves at the very end of the band, where there is no negative twin to add.
    shown = (frequency > 0) & (frequency < frequency[-1]) & (np.nanmax(power, axis=1, initial=0.0) > 0)
    f, amplitude = frequency[shown], np.sqrt(power[shown])
    middle = np.nanmedian(amplitude, axis=1)
    many = amplitude.shape[1] > 1
    if many:
        _channel_band(ax, f, amplitude)
    log_f, log_a = envelope(np.log10(f), np.log10(np.maximum(middle, np.finfo(float).tiny)), columns=COLUMNS)
    name = "median over channels" if many else None
    ax.plot(10**log_f, 10**log_a, color=role("accent"), linewidth=0.9, label=name)
    low, high = _amplitude_limits(middle)
    ax.set(xscale="log", yscale="log", xlim=(f[0], f[-1]), ylim=(low, high))
    log_ticks(ax.xaxis, float(f[0]), float(f[-1]))
    log_ticks(ax.yaxis, low, high)
    ax.set(xlabel="frequency [Hz]", ylabel=f"amplitude [{clean(per_root_hertz(units))}]")
    if many:
        ax.legend(loc="lower left")
    return ax


def _channel_band(ax: Axes, f: FloatArray, amplitude: FloatArray) -> None:
    low, high = np.nanquantile(amplitude, [0.1, 0.9], axis=1)
    step = max(1, len(f) // COLUMNS)
    ax.fill_between(
        f[::step], low[::step], high[::step], color=role("noise"), alpha=0.35, linewidth=0,
        label="middle 80 % of channels",
    )  # fmt: skip


def _amplitude_limits(amplitude: FloatArray) -> tuple[float, float]:
    """Leave room above for the names of lines; let the lowest percent (filter skirts) run out of the picture."""
    positive = amplitude[amplitude > 0]
    low, high = float(np.quantile(positive, 0.002)), float(positive.max())
    return low / 1.6, high * (high / low) ** 0.12 * 1.3


def spectral_floor(floor: SpectralNoiseFloor, ax: Axes | None = None) -> Axes:
    """Draw the two largest eigenvalues of the coherence matrix over frequency, with the edge that noise keeps to.

    Bands that rise above it are shaded, the strongest marked.

    Parameters
    ----------
    floor
        Of `sciml.noise.spectral_noise_floor`.
    ax
        Axes to draw on; default those of a new figure.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sciml.noise import spectral_noise_floor
    >>> noise = np.random.default_rng(0).normal(size=(2000, 8))
    >>> floor = spectral_noise_floor(xr.DataArray(noise, dims=("time", "channel"), attrs={"sampling_rate": 100.0}))
    >>> len(spectral_floor(floor, ax=Figure().subplots()).lines)
    4
    """
    ax = axes_of(ax)
    order = np.argsort(floor.frequency)
    x = floor.frequency[order]
    first, second = (floor.eigenvalues[order, min(k, floor.eigenvalues.shape[1] - 1)] for k in (0, 1))
    ax.plot(x, second, color=role("noise"), linewidth=0.8, label="second eigenvalue")
    ax.plot(x, first, color=role("accent"), linewidth=1.1, label="largest eigenvalue")
    ax.plot(x, floor.edge[order], color=role("ink"), linewidth=1.0, linestyle=EDGE, label="edge of pure noise")
    top = float(max(np.max(first), np.max(floor.edge)))
    _mark_bands(ax, floor, top)
    low = float(max(min(np.min(second), 1.0), 0.3))
    ax.set(yscale="log", ylim=(low, top * 1.3), xlim=(x.min(), x.max()))
    if x[0] >= 0:
        ax.set_xscale("log")
        log_ticks(ax.xaxis, float(x.min()), float(x.max()))
    log_ticks(ax.yaxis, low, top * 1.3)
    light_grid(ax)
    ax.set(xlabel="frequency [Hz]", ylabel="eigenvalue [1 = independent]")
    ax.legend(loc="upper left", bbox_to_anchor=(0.0, 1.16), ncols=3, borderaxespad=0.1)
    return ax


def _mark_bands(ax: Axes, floor: SpectralNoiseFloor, top: float) -> None:
    for band in floor.held_bands:
        ax.axvspan(band.low, band.high, color=role("signal"), alpha=0.13, linewidth=0)
    strongest = sorted(floor.held_bands, key=lambda band: -band.modes[0].strength)[:STRONGEST]
    ax.plot([b.frequency for b in strongest], [top * 1.12] * len(strongest), "v", color=role("signal"), markersize=4.5)
