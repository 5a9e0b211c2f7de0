"""Figures of a denoised recording: pictures before and after, maps, and the spectra of what was kept and removed."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from sciml._typing import FloatArray
from sciml.plot.style import color_bar
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import (
    ACCENT,
    NOISE,
    SIGNAL,
    STYLES,
    board,
    drawn,
    finish,
    light_grid,
    log_ticks,
    number_ticks,
)
from sciml.wording import clean

__all__ = ["color_limits", "map_figure", "picture_figure", "removed_spectrum_figure", "views"]

MIDDLE = (0.5, 99.5)  # percent of the values between which colors run
LINES = {"recorded": NOISE, "denoised": SIGNAL, "removed": ACCENT}


@drawn
def picture_figure(
    before: FloatArray, after: FloatArray, *, axes: tuple[str, str], place: str, units: str, residual_scale: float
) -> Figure:
    """Draw one picture as recorded, as denoised, and what was removed, which must look like noise.

    Parameters
    ----------
    before, after
        Shape (row, column), on one scale of colors.
    axes
        What rows and columns are.
    place
        Where in the recording this is.
    residual_scale
        Standard deviation of what was removed; its colors run over three of them.
    """
    removed = before - after
    low, high = color_limits(after)
    drawing, panels = board(wide=True, height=3.6, columns=3)
    _image(panels[0, 0], before, "recorded", low, high)
    _image(panels[0, 1], after, "denoised", low, high)
    _image(panels[0, 2], removed, "removed", -3 * residual_scale, 3 * residual_scale, colors="PuOr")
    panels[0, 0].set_ylabel(clean(axes[0]))
    for panel in panels[0]:
        panel.set_xlabel(clean(axes[1]))
    unit = f" [{units}]" if units else ""
    rows = tuple(
        (name, float(np.nanmean(each)), float(np.nanstd(each)), float(np.nanmin(each)), float(np.nanmax(each)))
        for name, each in (("recorded", before), ("denoised", after), ("removed", removed))
    )
    return finish(
        drawing,
        title=f"Before, after, and what was removed: {place}",
        description=(
            f"Three pictures, {axes[0]} by {axes[1]}, at {place}: as recorded, as denoised on the same scale, and "
            "their difference, whose colors run over three standard deviations of it either way. Shapes of the "
            "first picture that are seen in the third are signal that was removed."
        ),
        table=Table("This picture", ("picture", *(f"{n}{unit}" for n in ("mean", "s.d.", "lowest", "highest"))), rows),
    )


@drawn
def views(
    pictures: Mapping[str, tuple[FloatArray, float, float, str]], *, axes: tuple[str, str], units: str
) -> dict[str, str]:
    """Draw each picture alone in the same place: by name, values (row, column), limits of the colors, their name."""
    found = {}
    for name, (values, low, high, colors) in pictures.items():
        drawing, panels = board(wide=True, height=4.4)
        ax: Axes = panels[0, 0]
        tall, broad = values.shape
        square = max(tall, broad) <= 4 * min(tall, broad)
        painted = ax.imshow(
            np.ma.masked_invalid(values), cmap=colors, vmin=low, vmax=high, interpolation="none",
            aspect="equal" if square else "auto",
        )  # fmt: skip
        number_ticks(ax.xaxis, [], [])
        number_ticks(ax.yaxis, [], [])
        ax.set_ylabel(clean(axes[0]))
        ax.set_xlabel(clean(axes[1]))
        color_bar(ax, painted, f"value [{units}]" if units else "value")
        found[name] = finish(drawing, title=name, description=f"The picture as {name}.", table=Table(name, (), ())).svg
    return found


@drawn
def map_figure(maps: Mapping[str, tuple[FloatArray, str]], *, axes: tuple[str, str]) -> Figure:
    """Draw maps beside each other, each on its own scale: by name, values (row, column) and their unit."""
    drawing, panels = board(wide=True, height=3.0, columns=len(maps))
    for panel, (name, (values, _)) in zip(panels[0], maps.items(), strict=True):
        _image(panel, values, name, *color_limits(values))
        panel.set_xlabel(clean(axes[1]))
    panels[0, 0].set_ylabel(clean(axes[0]))
    rows = tuple(
        (f"{name} [{unit}]" if unit else name, *(_quantile(values, q) for q in (0.05, 0.5, 0.95)))
        for name, (values, unit) in maps.items()
    )
    return finish(
        drawing,
        title="Maps",
        description=f"{', '.join(maps)}, each over {axes[0]} and {axes[1]} on a scale of its own.",
        table=Table("Over the whole map", ("map", "5 %", "median", "95 %"), rows),
    )


@drawn
def removed_spectrum_figure(
    frequency: FloatArray, power: Mapping[str, FloatArray], *, units: str, clock: str
) -> Figure:
    """Draw the power spectra before and after denoising and that of what was removed, which noise makes flat.

    Parameters
    ----------
    frequency
        Shape (n,), in `clock`.
    power
        Densities by "recorded", "denoised", "removed", each (n,): means over the channels.
    """
    drawing, panels = board(wide=True, height=3.2)
    ax: Axes = panels[0, 0]
    for style, (name, density) in zip(STYLES, power.items(), strict=False):
        positive = np.where(density > 0, density, np.nan)
        # The one-sided density halves at the very end of the band, where there is no negative twin to add.
        ax.plot(frequency[1:-1], positive[1:-1], color=LINES[name], linestyle=style, label=name)
    ax.set_yscale("log")
    log_ticks(ax.yaxis, *ax.get_ylim())
    ax.margins(x=0)
    light_grid(ax)
    ax.set_xlabel(f"frequency [{clock}]")
    ax.set_ylabel(clean(f"power [({units})² per {clock}]" if units else f"power per {clock}"))
    ax.legend(loc="upper right")
    picks = np.unique(np.linspace(1, len(frequency) - 2, 9).astype(int))
    rows = tuple((float(frequency[i]), *(float(power[name][i]) for name in power)) for i in picks)
    return finish(
        drawing,
        title="Spectrum of what was removed",
        description="Mean power spectral density over channels, linear in frequency and logarithmic in power.",
        table=Table("Power at some frequencies", (f"frequency [{clock}]", *power), rows),
        data={"frequency": frequency, **power},
    )


def _image(panel: Axes, values: FloatArray, title: str, low: float, high: float, *, colors: str = "cividis") -> None:
    tall, broad = values.shape
    square = max(tall, broad) <= 4 * min(tall, broad)
    painted = panel.imshow(
        np.ma.masked_invalid(values), cmap=colors, vmin=low, vmax=high, aspect="equal" if square else "auto",
        interpolation="none",
    )  # fmt: skip
    panel.set_title(clean(title))
    number_ticks(panel.xaxis, [], [])
    number_ticks(panel.yaxis, [], [])
    color_bar(panel, painted, "")


def color_limits(values: FloatArray) -> tuple[float, float]:
    """Return the values between which colors run: the middle 99 percent."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, MIDDLE)
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def _quantile(values: FloatArray, share: float) -> float:
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, share)) if finite.size else float("nan")
