"""The loudest moment of one channel: its whitened trace, and energy over time and frequency around it."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sciml._typing import ComplexArray, FloatArray
from sciml.errors import DataError
from sciml.plot.style import axes_of, color_bar, role
from sciml.recording import TIME, check, n_features, sampling_rate, seconds, segments

__all__ = ["Moment", "draw_energy", "draw_whitened", "loudest_moment", "time_frequency", "whitened_trace"]

MOST = 2**22  # samples that are looked at
TILES = 48  # frequencies, evenly spaced in their logarithm
Q = 6.0  # cycles of a tile's frequency within two standard deviations of its window, times pi
LOWEST = 4  # bins of the spectrum that whitens within the width of the lowest tile
PER_SEGMENT = 32  # of these segments the whitening takes the median spectrum
HEAVY = 1.25  # times what it is in Gaussian noise, beyond which the upper tenth of energies tells of other noise
SHOWN = 28.0  # cycles of the loudest tile that are shown on each side


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """What is loudest in a channel against its own noise.

    Parameters
    ----------
    at, frequency, energy
        Of the loudest tile: seconds, Hz, energy in units of the median energy at this frequency.
    p_value
        Bound on the chance that Gaussian noise of this spectrum reaches this energy anywhere: the energy over its
        median, :math:`e`, has :math:`P(E > e) = 2^{-e}`, times the number of tiles and samples. NaN where energies at
        this frequency are not distributed as those of Gaussian noise (counts, bursts, a level that varies).
    time, whitened
        Trace around it, s and noise standard deviations in the band of the map, shape (n,).
    frequencies, map
        Hz, shape (f,), and energies over the median of each frequency, shape (f, n).
    """

    at: float
    frequency: float
    energy: float
    p_value: float
    time: FloatArray
    whitened: FloatArray
    frequencies: FloatArray
    map: FloatArray


def loudest_moment(recording: xr.DataArray) -> Moment:
    r"""Find the moment at which one channel has the most energy above its own noise.

    The trace is whitened by the median of the spectra of overlapping segments, so that one loud moment does not whiten
    itself away: :math:`w = \mathcal F^{-1}[\hat x(f) / \sqrt{S(f)}]`. Its energy in tiles of Gaussian windows with a
    constant number of cycles (Brown 1991, 10.1121/1.400476; the Q transform) is divided by the median over time
    of each frequency. Of long recordings the first four million samples of the longest piece without a gap.

    Raises
    ------
    DataError
        More than one channel, no clock, missing values, a constant channel, or fewer than 1024 samples.

    Examples
    --------
    >>> t = np.arange(8192) / 1024
    >>> chirp = 3 * np.sin(2 * np.pi * 100 * t) * np.exp(-0.5 * ((t - 5) / 0.03) ** 2)
    >>> noise = np.random.default_rng(0).normal(size=8192)
    >>> found = loudest_moment(xr.DataArray(noise + chirp, dims="time", attrs={"sampling_rate": 1024.0}))
    >>> abs(found.at - 5) < 0.02, 80 < found.frequency < 125
    (True, True)
    """
    recording = check(recording, minimum=1024)
    if recording.dtype.kind == "c":
        raise DataError("expected a real recording, got complex values; take their magnitude or their real part")
    if n_features(recording) != 1:
        raise DataError(f"expected one channel, got {n_features(recording)}; choose one with recording.isel(channel=0)")
    rate = sampling_rate(recording)
    values, start = _longest(recording)
    times = seconds(recording)
    first = float(times[start]) if times is not None else start / rate
    whitened = _whiten(values)
    frequencies = np.geomspace(LOWEST * Q * rate / _segment(len(values)), 0.4 * rate, TILES)
    spectrum = np.fft.fft(whitened)
    energies = np.stack([_energy(spectrum, f / rate) for f in frequencies])
    edge = 2 * _segment(len(values))  # where the ends fall to zero, and what filters left there, is not looked at
    inner = energies[:, edge:-edge]
    tile, place = np.unravel_index(int(np.argmax(inner)), inner.shape)
    return _around(whitened, energies, frequencies, int(tile), int(place) + edge, rate, first)


def _longest(recording: xr.DataArray) -> tuple[FloatArray, int]:
    piece = max(segments(recording), key=lambda each: each.stop - each.start)
    piece = slice(piece.start, min(piece.stop, piece.start + MOST))
    values = np.asarray(recording.isel({TIME: piece}).values, dtype=np.float64).ravel()
    known = np.isfinite(values)
    if "mask" in recording.coords:
        known &= ~recording["mask"].isel({TIME: piece}).values.ravel() if TIME in recording["mask"].dims else True
    if len(values) < 1024 or not known.all():
        raise DataError(
            f"expected a piece of 1024 samples or more without missing values, got {len(values):,} samples of which "
            f"{int((~known).sum()):,} are missing; crop the recording to a piece without gaps"
        )
    if values.max() == values.min():
        raise DataError("expected a channel that varies, got a constant one; choose another channel")
    return values - values.mean(), piece.start


def _segment(n: int) -> int:
    return int(2 ** np.floor(np.log2(n / PER_SEGMENT * 2)))


def _whiten(values: FloatArray) -> FloatArray:
    """Divide by the root of the median spectrum, interpolated; frequencies that hold nothing stay out."""
    length = _segment(len(values))
    window = np.hanning(length)
    starts = range(0, len(values) - length + 1, length // 2)
    power = np.median([np.abs(np.fft.rfft(values[a : a + length] * window)) ** 2 for a in starts], axis=0)
    # The median of an exponential is log 2 of its mean; what is left out of scale is taken out by the medians of tiles.
    density = np.interp(np.fft.rfftfreq(len(values)), np.fft.rfftfreq(length), power / np.log(2) / np.sum(window**2))
    usable = density > 1e-12 * density.max()
    spectrum = np.fft.rfft(values * _taper(len(values), length // 2))
    spectrum = np.divide(spectrum, np.sqrt(density), out=np.zeros_like(spectrum), where=usable)
    return np.fft.irfft(spectrum, len(values))


def _taper(n: int, rise: int) -> FloatArray:
    """Return 1 but at the ends, where it falls to 0: the end of a piece does not meet its beginning."""
    slope = np.sin(0.5 * np.pi * (np.arange(rise) + 0.5) / rise) ** 2
    return np.concatenate([slope, np.ones(n - 2 * rise), slope[::-1]])


def _energy(spectrum: ComplexArray, frequency: float) -> FloatArray:
    """Return the energy over time at one frequency (cycles a sample), over its median."""
    width = frequency / Q
    n = len(spectrum)
    first, last = (int(np.clip((frequency + side * 5 * width) * n, 1, n // 2)) for side in (-1, 1))
    places = np.arange(first, last) / n
    tile = np.zeros(n, dtype=np.complex128)
    tile[first:last] = spectrum[first:last] * np.exp(-0.5 * ((places - frequency) / width) ** 2)
    energy = np.abs(np.fft.ifft(tile)) ** 2
    usual = float(np.median(energy))
    return np.asarray(energy / usual) if usual > 0 else np.zeros(n)


def _around(
    whitened: FloatArray,
    energies: FloatArray,
    frequencies: FloatArray,
    tile: int,
    place: int,
    rate: float,
    first: float,
) -> Moment:
    frequency = float(frequencies[tile])
    half = int(min(max(SHOWN / frequency * rate, 64), len(whitened) // 2))
    part = slice(max(0, place - half), place + half + 1)
    band = frequencies[(frequencies >= frequency / 5) & (frequencies <= frequency * 4)]
    shown = _band(whitened, float(band[0]) / rate, float(band[-1]) / rate)
    spread = 1.4826 * float(np.median(np.abs(shown)))
    wanted = np.isin(frequencies, band)
    return Moment(
        at=first + place / rate,
        frequency=frequency,
        energy=float(energies[tile, place]),
        p_value=_chance(energies[tile], float(energies[tile, place]), energies.size),
        time=first + np.arange(len(whitened))[part] / rate,
        whitened=shown[part] / (spread or 1.0),
        frequencies=band,
        map=energies[wanted][:, part],
    )


def _chance(energy: FloatArray, largest: float, n: int) -> float:
    """Return a bound on the chance of the largest energy; NaN where energies at this frequency are not those of noise.

    Energies of Gaussian noise of constant level are exponential: nine in ten are below log2(10) = 3.3 medians.
    """
    if float(np.quantile(energy, 0.9)) > HEAVY * np.log2(10):
        return float("nan")
    return float(min(1.0, n * 2.0**-largest))


def _band(whitened: FloatArray, low: float, high: float) -> FloatArray:
    """Keep a band, with edges of a tenth of their frequency that rise as a cosine."""
    f = np.fft.rfftfreq(len(whitened))
    rise = np.clip((f - 0.9 * low) / (0.2 * low), 0, 1)
    fall = np.clip((1.1 * high - f) / (0.2 * high), 0, 1)
    return np.fft.irfft(np.fft.rfft(whitened) * np.sin(0.5 * np.pi * rise) * np.sin(0.5 * np.pi * fall), len(whitened))


def whitened_trace(recording: xr.DataArray, ax: Axes | None = None) -> Axes:
    """Draw one channel, whitened, around its loudest moment.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> noise = xr.DataArray(np.random.default_rng(0).normal(size=4096), dims="time", attrs={"sampling_rate": 1024.0})
    >>> whitened_trace(noise, ax=Figure().subplots()).get_ylabel()
    'whitened [noise s.d.]'
    """
    return draw_whitened(loudest_moment(recording), axes_of(ax, size=(7.0, 2.6)))


def time_frequency(recording: xr.DataArray, ax: Axes | None = None, *, cmap: str = "cividis") -> Axes:
    """Draw energy over time and frequency around the loudest moment of one channel (`loudest_moment`).

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> noise = xr.DataArray(np.random.default_rng(0).normal(size=4096), dims="time", attrs={"sampling_rate": 1024.0})
    >>> time_frequency(noise, ax=Figure().subplots()).get_ylabel()
    'frequency [Hz]'
    """
    return draw_energy(loudest_moment(recording), axes_of(ax, size=(7.0, 3.6)), cmap=cmap)


def draw_whitened(moment: Moment, ax: Axes) -> Axes:
    """Draw the whitened trace of a moment that was found before."""
    ax.plot(moment.time - moment.at, moment.whitened, color=role("accent"), linewidth=0.8)
    ax.axhline(0.0, color=role("grid"), linewidth=0.6, zorder=0)
    ax.margins(x=0)
    ax.set_xlabel(f"time since {moment.at:.6g} s [s]")
    ax.set_ylabel("whitened [noise s.d.]")
    return ax


def draw_energy(moment: Moment, ax: Axes, *, cmap: str = "cividis", columns: int = 240) -> Axes:
    """Draw the energies of a moment that was found before; columns are means over neighboring samples."""
    n = moment.map.shape[1]
    edges = np.unique(np.linspace(0, n, min(columns, n) + 1).astype(int))
    picture = np.add.reduceat(moment.map, edges[:-1], axis=1) / np.diff(edges)
    colors = mpl.colormaps[cmap]
    start, stop = float(moment.time[0] - moment.at), float(moment.time[-1] - moment.at)
    low, high = (float(np.log10(moment.frequencies[i])) for i in (0, -1))
    painted = ax.imshow(
        np.sqrt(picture), origin="lower", aspect="auto", interpolation="none", cmap=colors, vmin=0.0,
        extent=(start, stop, low, high),
    )  # fmt: skip
    ticks = [f for decade in (1, 10, 100, 1000, 10_000) for f in (decade, 2 * decade, 5 * decade)]
    ticks = [f for f in ticks if low <= np.log10(f) <= high]
    ax.set_yticks(np.log10(ticks), [f"{f:g}" for f in ticks])
    ax.set_xlabel(f"time since {moment.at:.6g} s [s]")
    ax.set_ylabel("frequency [Hz]")
    color_bar(ax, painted, "amplitude over the median")
    return ax
