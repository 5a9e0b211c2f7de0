"""Figures of a whole recording: all channels over time, the maps of a movie, the loudest moment, the probe."""

import numpy as np

from sciml._typing import FloatArray
from sciml.noise.channels.positions import Positions
from sciml.plot.channels import draw_raster
from sciml.plot.layout import draw_layout
from sciml.plot.moments import Moment, draw_energy, draw_whitened
from sciml.plot.movies import MAPS, MovieMaps, draw_map
from sciml.plot.raster import Raster
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import board, drawn, finish
from sciml.wording import count, p_value, quantity

__all__ = ["layout_figure", "moment_figure", "movie_figure", "raster_figure"]

SIDE = 160  # pixels of a map along each side


@drawn
def raster_figure(raster: Raster, *, name: str) -> Figure:
    """Draw all channels over time."""
    figure, axes = board(wide=True, height=float(np.clip(0.9 + 0.035 * len(raster.channels), 2.6, 4.6)))
    draw_raster(raster, axes[0, 0], name=name)
    known, shown = np.isfinite(raster.deviation), len(raster.channels)
    largest = np.where(known, np.abs(raster.deviation), 0.0).max(axis=1)
    strongest = np.argsort(-largest)[:6]
    columns = raster.deviation.shape[1]
    step = (raster.stop - raster.start) / columns
    rows = tuple(
        (
            int(raster.channels[i]),
            float(largest[i]),
            float(raster.start + step * np.nanargmax(np.abs(raster.deviation[i]))),
        )
        for i in strongest
        if known[i].any()
    )
    return finish(
        figure,
        title=f"All {count(raster.total, name)}"
        if shown == raster.total
        else f"{shown} of {count(raster.total, name)}",
        description=(
            f"One row a {name}, one column {quantity(step, raster.unit)}: the value farthest from the mean of the "
            f"{name}, in its standard deviations. {'Gray is missing. ' if not known.all() else ''}A vertical "
            f"stripe is an event that all share, a row of its own a {name} unlike the others."
        ),
        table=Table("Largest deviations", (name, "deviation [s.d.]", f"at [{raster.unit}]"), rows),
    )


@drawn
def movie_figure(maps: MovieMaps, component: FloatArray | None) -> Figure:
    """Draw mean, correlation with neighbors, noise, and the strongest component (else the standard deviation)."""
    figure, axes = board(height=4.7, rows=2, columns=2)
    last = (component, "Strongest component", "", "PuOr_r") if component is not None else None
    panels = [
        (maps.mean, MAPS["mean"], maps.unit, "cividis"),
        (maps.correlation, MAPS["correlation"], "", "cividis"),
        (maps.noise, MAPS["noise"], maps.unit, "cividis"),
        last or (maps.sd, MAPS["sd"], maps.unit, "cividis"),
    ]
    for ax, (values, title, unit, cmap) in zip(axes.ravel(), panels, strict=True):
        draw_map(_coarse(values), ax, title=title, dims=maps.dims, unit=unit, cmap=cmap)
        ax.set_xlabel("")
        ax.set_ylabel("")
    rows = tuple((title, *(float(np.nanquantile(v, q)) for q in (0.05, 0.5, 0.95))) for v, title, _, _ in panels)
    return finish(
        figure,
        title="The movie at a glance",
        description=(
            f"Maps over {maps.dims[0]} (down) and {maps.dims[1]} (across): the mean; the mean correlation of each "
            "pixel's time course with its four neighbors', bright where neighbors change together; the noise, from the "
            "differences of successive frames; "
            + ("how each pixel takes part in the strongest component." if last else "the standard deviation over time.")
        ),
        table=Table("Over the pixels", ("map", "5 %", "median", "95 %"), rows),
    )


@drawn
def moment_figure(moment: Moment, *, channel: str) -> Figure:
    """Draw the whitened trace and the energies around the loudest moment."""
    figure, axes = board(height=4.4, rows=2, sharex=True, height_ratios=(1.0, 1.5))
    draw_whitened(moment, axes[0, 0])
    axes[0, 0].set_xlabel("")
    draw_energy(moment, axes[1, 0])
    of = f" of {channel}" if channel else ""
    best = moment.map.argmax(axis=1)
    rows = tuple(
        (float(f), float(moment.map[i, best[i]]), float(moment.time[best[i]]))
        for i, f in list(enumerate(moment.frequencies))[:: max(1, len(moment.frequencies) // 8)]
    )
    return finish(
        figure,
        title=f"The loudest moment{of}",
        description=(
            f"Around {quantity(moment.at, 's', 6)}: above the trace, whitened by its own median spectrum, in standard "
            "deviations of the noise in this band; below the amplitude over time and frequency, in units of the median "
            f"at each frequency. The largest energy, {moment.energy:.3g} times the median, is at "
            f"{quantity(moment.frequency, 'Hz')}{_chance(moment)}."
        ),
        table=Table("Largest energy at each frequency", ("frequency [Hz]", "energy over median", "at [s]"), rows),
        data={"at_s": moment.at, "frequency_hz": moment.frequency, "p_value": moment.p_value},
    )


def _chance(moment: Moment) -> str:
    if not np.isfinite(moment.p_value):
        return ", where energies are not distributed as those of Gaussian noise"
    return f"; Gaussian noise of this spectrum reaches it with {p_value(moment.p_value)} at most"


@drawn
def layout_figure(places: Positions, loading: FloatArray, *, name: str) -> Figure:
    """Draw where the channels are, colored by the strongest component."""
    figure, axes = board(height=3.9)
    draw_layout(places, axes[0, 0], values=loading, label="loading of component 1")
    order = np.argsort(-np.abs(loading))[:8]
    columns = (name, *places.names, "loading")
    rows = tuple((int(i), *(float(each) for each in places.values[i]), float(loading[i])) for i in order)
    return finish(
        figure,
        title="Where the strongest component is",
        description=f"Each {name} at its place ({', '.join(places.names)}), colored by its part in component 1.",
        table=Table(f"Strongest {name}s", columns, rows),
    )


def _coarse(values: FloatArray) -> FloatArray:
    """Average blocks of pixels until no side is longer than `SIDE`: a page must stay small."""
    steps = [-(-side // SIDE) for side in values.shape]
    tall, broad = (side // by * by for side, by in zip(values.shape, steps, strict=True))
    blocks = values[:tall, :broad].reshape(tall // steps[0], steps[0], broad // steps[1], steps[1])
    known = np.isfinite(blocks)
    total = np.where(known, blocks, 0.0).sum(axis=(1, 3))
    n = known.sum(axis=(1, 3))
    mean: FloatArray = np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)
    return mean
