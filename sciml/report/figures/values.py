"""Figures of a recording without time: its picture, its values, its mean along each axis."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sciml._typing import FloatArray
from sciml.plot.style import color_bar
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import ACCENT, board, drawn, envelope, finish, light_grid, number_ticks
from sciml.wording import clean, quantity

__all__ = ["picture", "profiles", "value_histogram"]

MIDDLE = (0.5, 99.5)  # percent of the values between which colors run
COLUMNS = 400


@drawn
def picture(image: xr.DataArray, *, title: str, description: str, units: str, large: bool = False) -> Figure:
    """Draw a picture with its axes in their own units; colors run over the middle 99 percent of the values."""
    values = np.asarray(image.values, dtype=np.float64)
    low, high = _limits(values)
    tall, broad = values.shape
    square = max(tall, broad) <= 4 * min(tall, broad)
    drawing, panels = board(height=3.9 if large else 3.4)
    ax: Axes = panels[0, 0]
    rows, columns = (str(dim) for dim in image.dims)
    painted = ax.imshow(
        np.ma.masked_invalid(values), cmap="cividis", vmin=low, vmax=high, interpolation="none",
        aspect="equal" if square else "auto", extent=(*_span(image, columns), *_span(image, rows)[::-1]),
    )  # fmt: skip
    ax.locator_params(nbins=4)
    ax.set_xlabel(_axis(image, columns))
    ax.set_ylabel(_axis(image, rows))
    color_bar(ax, painted, f"value [{units}]" if units else "value")
    known = values[np.isfinite(values)]
    marks = (("lowest", 0.0), ("5 %", 0.05), ("median", 0.5), ("95 %", 0.95), ("highest", 1.0))
    table = Table(
        "Pixels of this picture",
        ("quantile", f"value [{units}]" if units else "value"),
        tuple((name, float(np.quantile(known, q))) for name, q in marks) if known.size else (),
    )
    return finish(drawing, title=title, description=description, table=table)


def _span(image: xr.DataArray, dim: str) -> tuple[float, float]:
    """Return the outer edges of the first and the last pixel along a dim: of its coordinate, if that is even."""
    n = image.sizes[dim]
    if dim in image.coords and image[dim].dtype.kind in "iuf" and n > 1:
        place = np.asarray(image[dim].values, dtype=np.float64)
        steps = np.diff(place)
        if np.all(np.isfinite(steps)) and steps[0] != 0 and np.allclose(steps, steps[0], rtol=0.01, atol=0):
            return float(place[0] - steps[0] / 2), float(place[-1] + steps[0] / 2)
    return -0.5, n - 0.5


def _axis(image: xr.DataArray, dim: str) -> str:
    unit = str(image[dim].attrs.get("units", "")) if dim in image.coords else ""
    return clean(f"{dim} [{unit}]" if unit else dim)


def _limits(values: FloatArray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = (float(each) for each in np.percentile(known, MIDDLE))
    if high <= low:
        low, high = float(known.min()), float(known.max())
    return (low, high) if high > low else (low - 0.5, low + 0.5)


@drawn
def value_histogram(bins: FloatArray, counts: FloatArray, *, units: str) -> Figure:
    """Draw how often each value occurs; counts on a logarithmic axis where they range over more than two decades."""
    drawing, panels = board(height=3.1)
    ax: Axes = panels[0, 0]
    ax.stairs(counts, bins, fill=True, color=ACCENT, alpha=0.8)
    wide = counts.max() > 100 * max(counts[counts > 0].min(), 1)
    if wide:
        ax.set_yscale("log")
        ax.set_ylim(0.7, counts.max() * 1.5)
    light_grid(ax)
    ax.margins(x=0.01)
    ax.locator_params(axis="x", nbins=5)
    ax.set_xlabel(clean(f"value [{units}]" if units else "value"))
    ax.set_ylabel("number of values" + (" (logarithmic)" if wide else ""))
    most = int(np.argmax(counts))
    middle = 0.5 * (bins[most] + bins[most + 1])
    order = np.argsort(-counts)[:8]
    return finish(
        drawing,
        title="Values",
        description=f"How often each value occurs; most often about {quantity(float(middle), units)}.",
        table=Table(
            "The fullest bins",
            ("from", "to", "number"),
            tuple((float(bins[i]), float(bins[i + 1]), int(counts[i])) for i in order if counts[i]),
        ),
        data={"edges": bins, "counts": counts},
    )


@drawn
def profiles(curves: dict[str, tuple[FloatArray, FloatArray]], *, axes: dict[str, str], units: str) -> Figure:
    """Draw the mean along each axis, over all others: by dim, places and means."""
    drawing, panels = board(wide=len(curves) > 1, height=3.0, columns=len(curves))
    for ax, (dim, (place, mean)) in zip(panels[0], curves.items(), strict=True):
        if len(place) <= 60:
            ax.plot(place, mean, "o-", color=ACCENT, markersize=3, linewidth=0.8)
        else:
            ax.plot(*envelope(place, mean, columns=COLUMNS), color=ACCENT, linewidth=0.8)
        ax.locator_params(nbins=4)
        ax.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4), useMathText=False)
        if len(place) <= 6 and np.all(place == np.round(place)):
            number_ticks(ax.xaxis, list(place), [f"{each:g}" for each in place])
        light_grid(ax)
        ax.set_xlabel(clean(axes[dim]))
    panels[0, 0].set_ylabel(clean(f"mean value [{units}]" if units else "mean value"))
    rows = tuple(
        (dim, len(place), float(np.nanmin(mean)), float(np.nanmax(mean)), float(place[np.nanargmax(mean)]))
        for dim, (place, mean) in curves.items()
        if np.isfinite(mean).any()
    )
    return finish(
        drawing,
        title="Along each axis" if len(curves) > 1 else f"Along {next(iter(curves))}",
        description="The values" + (", averaged over all other axes." if len(curves) > 1 else "."),
        table=Table("Means", ("axis", "places", "lowest", "highest", "highest at"), rows),
        data={dim: {"place": place, "mean": mean} for dim, (place, mean) in curves.items() if len(place) <= 4096},
    )
