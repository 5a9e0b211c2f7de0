"""Maps of a movie: mean, standard deviation, correlation with neighboring pixels, noise."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.plot.style import axes_of, color_bar, unit_label
from sciml.recording import blocks, check, feature_dims, feature_shape, n_features
from sciml.wording import clean

__all__ = ["MAPS", "MovieAccumulator", "MovieMaps", "draw_map", "movie_map", "movie_maps"]

BLOCK_VALUES = 2**23
MIDDLE = (0.5, 99.5)  # percent of the pixels between which colors run
MAPS = {
    "mean": "Mean",
    "sd": "Standard deviation",
    "correlation": "Correlation with neighbors",
    "noise": "Noise",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class MovieMaps:
    r"""Maps of a movie, each of shape (row, column), NaN where a pixel is not known.

    Parameters
    ----------
    mean, sd
        Over the frames, in the unit of the movie.
    correlation
        Mean of the correlations of each pixel's time course with those of its neighbors above, below, left and right:
        near 0 where pixels are noise of their own, high within cells.
    noise
        :math:`\sqrt{\langle (x_{t+1} - x_t)^2 \rangle / 2}`: standard deviation of what changes from frame to frame.
    dims, unit
        What rows and columns are; the unit of the values.
    """

    mean: FloatArray
    sd: FloatArray
    correlation: FloatArray
    noise: FloatArray
    dims: tuple[str, str]
    unit: str


class MovieAccumulator:
    """Takes the frames of a movie in order of time, `rows` at most at a time."""

    def __init__(self, movie: xr.DataArray) -> None:
        dims, shape = feature_dims(movie), feature_shape(movie)
        if len(dims) != 2 or min(shape) < 2:
            raise DataError(f"expected a movie: time and two dims of 2 pixels or more, got {dict(movie.sizes)}")
        self.dims, self.shape, self.unit = (str(dims[0]), str(dims[1])), shape, str(movie.attrs.get("units", ""))
        self.rows = max(2, BLOCK_VALUES // n_features(movie))
        self.shift: FloatArray | None = None
        self.last: FloatArray | None = None
        self.count, self.first, self.second, self.steps, self.changes = (np.zeros(shape) for _ in range(5))
        self.products = [np.zeros(shape), np.zeros(shape)]  # with the neighbor below, and at the right
        self.until = 0

    def add(self, part: slice, values: AnyArray) -> None:
        """Take some frames, shape (frame, pixel)."""
        frames = np.asarray(np.abs(values) if np.iscomplexobj(values) else values, dtype=np.float64)
        frames = frames.reshape(-1, *self.shape)
        known = np.isfinite(frames)
        if self.shift is None:
            self.shift = np.where(known[0], frames[0], 0.0)
        centered = np.where(known, frames - self.shift, 0.0)
        self.count += known.sum(axis=0)
        self.first += centered.sum(axis=0)
        self.second += np.einsum("tyx,tyx->yx", centered, centered)
        self.products[0][:-1] += np.einsum("tyx,tyx->yx", centered[:, :-1], centered[:, 1:])
        self.products[1][:, :-1] += np.einsum("tyx,tyx->yx", centered[:, :, :-1], centered[:, :, 1:])
        joint = np.where(known, frames, np.nan)
        if self.last is not None and part.start == self.until:
            joint = np.concatenate([self.last[None], joint])
        change = np.diff(joint, axis=0)
        self.steps += np.isfinite(change).sum(axis=0)
        self.changes += np.nansum(change**2, axis=0)
        self.last, self.until = joint[-1], part.stop

    def result(self) -> MovieMaps:
        """Return the maps of what was taken."""
        unknown = self.count < 2
        count = np.maximum(self.count, 1)
        mean = self.first / count
        variance = np.maximum(self.second / count - mean**2, 0.0)
        correlation = self._correlation(mean, np.sqrt(variance))
        noise = np.sqrt(self.changes / np.maximum(2 * self.steps, 1))
        shift = np.zeros(self.shape) if self.shift is None else self.shift
        maps = [np.where(unknown, np.nan, each) for each in (mean + shift, np.sqrt(variance), correlation, noise)]
        return MovieMaps(mean=maps[0], sd=maps[1], correlation=maps[2], noise=maps[3], dims=self.dims, unit=self.unit)

    def _correlation(self, mean: FloatArray, sd: FloatArray) -> FloatArray:
        total, neighbors = np.zeros(self.shape), np.zeros(self.shape)
        for axis, product in enumerate(self.products):
            here = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
            there = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
            frames = np.minimum(self.count[here], self.count[there])
            covariance = product[here] / np.maximum(frames, 1) - mean[here] * mean[there]
            scale = sd[here] * sd[there]
            found = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)
            for side in (here, there):
                total[side] += found
                neighbors[side] += scale > 0
        mean_of: FloatArray = np.divide(total, neighbors, out=np.full(self.shape, np.nan), where=neighbors > 0)
        return mean_of


def movie_maps(movie: xr.DataArray) -> MovieMaps:
    """Pass over a movie once, block by block, and return its maps.

    Raises
    ------
    DataError
        Not `time` and two dims of pixels.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> movie = xr.DataArray(rng.normal(size=(400, 8, 8)), dims=("time", "y", "x"))
    >>> maps = movie_maps(movie)
    >>> bool(abs(maps.sd - 1).max() < 0.2), bool(abs(maps.correlation).max() < 0.2)
    (True, True)
    """
    made = MovieAccumulator(check(movie))
    for part, values in blocks(movie, made.rows):
        made.add(part, values)
    return made.result()


def movie_map(movie: xr.DataArray, ax: Axes | None = None, *, kind: str = "correlation", cmap: str = "cividis") -> Axes:
    """Draw a map of a movie.

    Parameters
    ----------
    movie
        Dims `time` and two of pixels.
    ax
        Axes to draw on; default those of a new figure.
    kind
        "mean", "sd", "correlation" (of each pixel with its neighbors) or "noise" (what changes from frame to frame).
    cmap
        Colors; they run over the middle 99 percent of the pixels.

    Raises
    ------
    ConfigError
        Another kind.
    DataError
        Not a movie.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> movie = xr.DataArray(np.random.default_rng(0).normal(size=(50, 8, 8)), dims=("time", "y", "x"))
    >>> movie_map(movie, ax=Figure().subplots(), kind="sd").get_title()
    'Standard deviation'
    """
    if kind not in MAPS:
        raise ConfigError(f"expected a kind of map among {', '.join(MAPS)}, got {kind!r}")
    maps = movie_maps(movie)
    unit = "" if kind == "correlation" else maps.unit
    return draw_map(getattr(maps, kind), axes_of(ax), title=MAPS[kind], dims=maps.dims, unit=unit, cmap=cmap)


def draw_map(
    values: FloatArray, ax: Axes, *, title: str, dims: tuple[str, str], unit: str = "", cmap: str = "cividis"
) -> Axes:
    """Draw a map, square pixels unless that leaves a thread; "PuOr" is centered on zero."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, MIDDLE) if known.size else (0.0, 1.0)
    if cmap.startswith("PuOr"):
        high = max(abs(low), abs(high))
        low = -high
    tall, broad = values.shape
    painted = ax.imshow(
        np.ma.masked_invalid(values), cmap=mpl.colormaps[cmap], vmin=low, vmax=high if high > low else low + 1,
        interpolation="none", aspect="equal" if max(tall, broad) <= 4 * min(tall, broad) else "auto",
    )  # fmt: skip
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_ylabel(clean(dims[0]))
    ax.set_xlabel(clean(dims[1]))
    ax.set_title(clean(unit_label(title, unit)))
    if (bar := color_bar(ax, painted, "")) is not None:
        bar.ax.locator_params(nbins=4)
    return ax
