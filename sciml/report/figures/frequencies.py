"""Figures of the floor in frequency: the largest eigenvalues beside the edge, and which channels share which band."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from sciml.noise import SpectralNoiseFloor
from sciml.plot.frequencies import STRONGEST, spectral_floor
from sciml.plot.style import color_bar
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import (
    INK,
    MUTED,
    SIGNAL,
    board,
    drawn,
    finish,
    number_ticks,
)
from sciml.wording import count, quantity, series

__all__ = ["MAX_BANDS", "band_loadings", "floor_over_frequency"]

MAX_BANDS = 24  # that a figure or table shows
MAX_NAMED = 40  # channels with a label of their own
MAX_CHANNELS = 512  # that the image of loadings shows


@drawn
def floor_over_frequency(floor: SpectralNoiseFloor) -> Figure:
    """Draw the two largest eigenvalues of the coherence matrix over frequency, with the edge that noise keeps to."""
    order = np.argsort(floor.frequency)
    x = floor.frequency[order]
    first, second = (floor.eigenvalues[order, min(k, floor.eigenvalues.shape[1] - 1)] for k in (0, 1))
    figure, axes = board(wide=True, height=3.4)
    spectral_floor(floor, axes[0, 0])
    strongest = sorted(floor.held_bands, key=lambda band: -band.modes[0].strength)[:STRONGEST]
    named = [quantity(band.frequency, "Hz") for band in strongest]
    return finish(
        figure,
        title="The noise floor at each frequency",
        description=(
            f"The two largest eigenvalues of the coherence matrix of {count(len(floor.used), 'channel')} over "
            f"{count(len(x), 'frequency')}, with the edge that the largest eigenvalue of independent channels exceeds "
            f"anywhere with probability {floor.alpha:g}. "
            + (
                f"Shaded bands rise above it; the strongest peak at {series(named)}."
                if named
                else "None rises above it."
            )
        ),
        table=_frequency_table(floor, order),
        data={"frequency_hz": x, "largest": first, "second": second, "edge": floor.edge[order]},
    )


def _frequency_table(floor: SpectralNoiseFloor, order: NDArray[np.int64]) -> Table:
    picks = order[np.unique(np.linspace(0, len(order) - 1, 9).astype(int))]
    rows = tuple(
        (
            float(floor.frequency[i]), float(floor.bandwidth[i]), float(floor.degrees_of_freedom[i]),
            float(floor.eigenvalues[i, 0]), float(floor.edge[i]), int(floor.rank[i]),
        )
        for i in picks
    )  # fmt: skip
    columns = ("frequency [Hz]", "bandwidth [Hz]", "degrees of freedom", "largest eigenvalue", "edge", "modes")
    return Table("Floor at some frequencies", columns, rows)


@drawn
def band_loadings(floor: SpectralNoiseFloor) -> Figure:
    """Draw how much of each channel's power in each band follows the band's strongest mode."""
    shown = sorted(floor.held_bands, key=lambda band: -band.modes[0].strength)[:MAX_BANDS]
    shown = sorted(shown, key=lambda band: band.frequency)
    step = -(-floor.n_features // MAX_CHANNELS)
    image = np.stack([band.modes[0].coherence for band in shown])[:, ::step]
    figure, axes = board(wide=True, height=1.3 + 0.24 * len(shown))
    ax: Axes = axes[0, 0]
    painted = ax.imshow(
        np.ma.masked_invalid(image), aspect="auto", interpolation="none", cmap="cividis", vmin=0.0, vmax=1.0
    )
    for row, band in enumerate(shown):
        inside = [i // step for i in band.modes[0].channels if i % step == 0]
        if len(inside) <= MAX_NAMED:
            ax.plot(inside, [row] * len(inside), ".", color=SIGNAL, markersize=3.5)
    number_ticks(ax.yaxis, range(len(shown)), [quantity(band.frequency, "Hz") for band in shown])
    columns = np.unique(np.linspace(0, image.shape[1] - 1, min(image.shape[1], 16)).astype(int))
    number_ticks(ax.xaxis, columns.tolist(), [floor.names[int(i) * step] for i in columns])
    ax.tick_params(axis="both", length=0, colors=MUTED, labelcolor=INK)
    ax.set_xlabel("channel")
    color_bar(ax, painted, "share of power", ticks=[0, 0.5, 1])
    return finish(
        figure,
        title="Channels that take part",
        description=(
            f"One row for each of {count(len(shown), 'band')}, one column a channel: the share of the channel's power "
            "that follows the strongest mode as the other channels have it. Dots mark channels that take part by test."
        ),
        table=Table(
            "Channels of each band",
            ("frequency [Hz]", "channels", "strongest"),
            tuple(
                (band.frequency, len(band.modes[0].channels), [floor.names[i] for i in band.modes[0].channels[:8]])
                for band in shown
            ),
        ),
        data={f"{band.frequency:.6g} Hz": band.modes[0].coherence for band in shown},
    )
