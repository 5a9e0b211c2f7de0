"""Figure of noise that channels share: its correlation by lag."""

from sciml.noise.spatial.result import SpatialNoise
from sciml.plot.floors import MOST_LAGS, shared_noise
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import board, drawn, finish

__all__ = ["correlation_figure"]


@drawn
def correlation_figure(spatial: SpatialNoise) -> Figure:
    """Draw the correlation of the noise of two channels by their lag, one line a dim."""
    figure, axes = board(height=2.9)
    shared_noise(spatial, axes[0, 0])
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
