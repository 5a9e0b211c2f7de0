"""What is measured for a report: plain results, handed to the sections that show them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import xarray as xr

from sciml._typing import FloatArray
from sciml.plot.moments import Moment
from sciml.plot.movies import MovieMaps
from sciml.plot.raster import Raster
from sciml.signal.lines import Line

__all__ = ["DenoisingMeasures", "Quality", "RecordingMeasures", "ResidualSpectra", "Strip", "TimeCourse", "middle"]

SIDE = 200  # pixels of a picture along each side, and samples where channels are no picture


@dataclass(frozen=True)
class Strip:
    """Intervals of time in which a flag is set: (start, stop) in seconds, and the fraction of the recording."""

    name: str
    intervals: tuple[tuple[float, float], ...]
    fraction: float


@dataclass(frozen=True, eq=False)
class TimeCourse:
    """A curve thinned to what a screen shows: times in seconds and values, NaN where it breaks, shape (n,) each."""

    time: FloatArray
    value: FloatArray


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Clock and flags of a recording.

    Parameters
    ----------
    rate
        Sampling rate in Hz; None without a clock.
    start, stop
        First and last time in seconds.
    gaps
        Gaps of the clock as (last time before, first time after) in seconds.
    masked_fraction
        Fraction of the values that are masked.
    strips
        When the mask and each quality flag are set.
    """

    rate: float | None
    start: float
    stop: float
    gaps: tuple[tuple[float, float], ...]
    masked_fraction: float
    strips: tuple[Strip, ...]

    @property
    def longest_gap(self) -> float:
        """The longest gap in seconds, 0 if there is none."""
        return max((b - a for a, b in self.gaps), default=0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordingMeasures:
    """What one pass over a recording gives its report.

    Parameters
    ----------
    quality
        Clock and flags.
    traces
        The first channels; none of complex values.
    density, no_density
        Power spectral density of the channels (or of some, evenly spaced), or the reason why there is none.
    lines
        Lines in the median density.
    spectrogram
        Of the first channel, where channels are few and samples many.
    components
        The components above the noise floor in time, in standard deviations of the noise.
    raster, maps, moment
        All channels over time, where they are more than the traces; maps of a movie; the loudest moment of the first
        of few channels. None where there is none.
    saturated
        Fractions of the values that are the lowest and the highest of all.
    sha256
        Of the data; None where nobody has noted it and the recording is too large.
    """

    quality: Quality
    traces: tuple[TimeCourse, ...] = ()
    density: xr.DataArray | None = None
    no_density: str = ""
    lines: tuple[Line, ...] = ()
    spectrogram: xr.DataArray | None = None
    components: tuple[TimeCourse, ...] = ()
    raster: Raster | None = None
    maps: MovieMaps | None = None
    moment: Moment | None = None
    saturated: tuple[float, float] = (0.0, 0.0)
    sha256: str | None = None


@dataclass(frozen=True, eq=False)
class ResidualSpectra:
    """Mean power densities of what was `recorded`, `denoised` and `removed`, and the unit of their frequencies."""

    frequency: FloatArray
    power: Mapping[str, FloatArray]
    unit: str


@dataclass(frozen=True, kw_only=True, eq=False)
class DenoisingMeasures:
    """What was removed from a recording.

    Parameters
    ----------
    before, after
        The middle of both, dims (sample, feature dims...), real.
    removed_fraction, removed_sd
        Removed fraction of the variance; standard deviation of what was removed, in the recording's units.
    neighbor_correlations
        Correlation of what was removed between neighbors along each dim, 0 for white noise.
    spectra
        Their power densities.
    medians, mean_rank
        Median of each map by name; mean of the components that a patch keeps, if they are known.
    noise_correlations
        Correlation of neighbors along each dim in the noise that was found; empty where they share none.
    """

    before: xr.DataArray
    after: xr.DataArray
    removed_fraction: float
    removed_sd: float
    neighbor_correlations: Mapping[str, float]
    spectra: ResidualSpectra
    medians: Mapping[str, float]
    mean_rank: float | None = None
    noise_correlations: Mapping[str, float] = field(default_factory=dict)

    @property
    def units(self) -> str:
        """Of the recording."""
        return str(self.before.attrs.get("units", ""))


def middle(size: int, wanted: int) -> slice:
    """Return the middle `wanted` of `size` items.

    Examples
    --------
    >>> middle(10, 4)
    slice(3, 7, None)
    """
    start = (size - wanted) // 2
    return slice(start, start + wanted)
