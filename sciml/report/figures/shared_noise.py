"""Figure of noise that channels share: its correlation by lag."""

import numpy as np

from sciml.noise.spatial.result import SpatialNoise
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import ACCENT, MARKERS, MUTED, SIGNAL, STYLES, board, drawn, finish, light_grid
from sciml.wording import unit_or_blank

__all__ = ["correlation_figure"]

COLORS = (ACCENT, SIGNAL, MUTED)
MOST_LAGS = 24
FEWEST_LAGS = 4


@drawn
def correlation_figure(spatial: SpatialNoise) -> Figure:
    """Draw the correlation of the noise of two channels by their lag, one line a dim."""
    figure, axes = board(height=2.9)
    ax = axes[0, 0]
    light_grid(ax)
    ax.axhline(0, color=MUTED, linewidth=0.7)
    for i, each in enumerate(spatial.along):
        n = min(max(FEWEST_LAGS, int(np.searchsorted(each.lags, each.range)) + 3), MOST_LAGS, len(each.lags))
        style = {"color": COLORS[i % len(COLORS)], "linestyle": STYLES[i % len(STYLES)], "markersize": 4.5}
        ax.plot(
            each.lags[:n], each.correlation[:n], marker=MARKERS[i % len(MARKERS)], label=f"along {each.dim}", **style
        )
    units = {unit_or_blank(each.units) for each in spatial.along}
    unit = units.pop() if len(units) == 1 else ""
    ax.set_xlabel(f"lag [{unit}]" if unit else "lag [steps of the grid]")
    ax.set_ylabel("correlation of the noise")
    ax.legend()
    return finish(
        figure,
        title="Noise that neighbors share",
        description=spatial.summary(),
        table=Table(
            "Correlation of the noise by lag",
            ("along", "lag", "unit", "correlation"),
            tuple(
                (each.dim, float(lag), each.units or "steps", float(value))
                for each in spatial.along
                for lag, value in list(zip(each.lags, each.correlation, strict=True))[: MOST_LAGS // 2]
            ),
        ),
    )
