"""Figures of spectra beside the noise floor: eigenvalues of a recording, singular values of a net."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sciml.noise import NoiseFloor
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import (
    ACCENT,
    GRID,
    INK,
    MUTED,
    NOISE,
    PAPER,
    SIGNAL,
    STYLES,
    board,
    drawn,
    finish,
    log_ticks,
    number_ticks,
)
from sciml.rmt.laws import MarchenkoPastur
from sciml.wording import clean, count, p_number, p_value, per_root_hertz, quantity

__all__ = ["eigenvalue_histogram", "noise_spectrum", "scree"]
MEMORY = 1.2  # samples that count as one, from which noise counts as correlated in time

MAX_SCREE = 40


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Eigenvalues that a logarithmic axis can show: those of the null space (more channels than samples) are not."""
    return values[values > 1e-9 * values.max()] if values.size and values.max() > 0 else values[:0]


@drawn
def eigenvalue_histogram(
    floor: NoiseFloor, *, marchenko_pastur: bool = False, limits: tuple[float, float] | None = None
) -> Figure:
    """Draw the eigenvalues as a histogram, the law of pure noise over it, and the edge where signal begins.

    Parameters
    ----------
    marchenko_pastur
        Take the noise for white whatever it is: the plain Marchenko-Pastur law.
    limits
        Common range of the horizontal axis, to set two histograms side by side.
    """
    values = _positive(floor.mp_eigenvalues if marchenko_pastur else floor.eigenvalues)
    edge, rank = (floor.mp_edge, floor.mp_rank) if marchenko_pastur else (floor.edge, floor.rank)
    kind = "white noise (textbook)" if marchenko_pastur else f"{floor.model} noise"
    low, high = limits or spectrum_limits(floor)
    figure, axes = board(height=3.1)
    ax: Axes = axes[0, 0]
    bins = np.geomspace(low, high, int(np.clip(3 * np.sqrt(len(values)), 24, 64)) + 1)
    _bars(ax, values, bins, edge)
    x, expected = _expected(floor, bins, marchenko_pastur=marchenko_pastur)
    ax.plot(x, expected, color=ACCENT, linewidth=1.5, label="pure noise")
    top = max(float(expected.max()), float(np.histogram(values, bins)[0].max()), 1.0)
    ax.legend(loc="upper left", borderaxespad=0.1, handlelength=1.4)
    _edge_line(ax, edge, top)
    beyond = values[values > edge]
    ax.plot(beyond, np.full(len(beyond), -0.035 * top), "v", color=SIGNAL, markersize=4.5, clip_on=False, zorder=5)
    ax.set(xscale="log", xlim=(low, high), ylim=(-0.07 * top, 1.3 * top))
    log_ticks(ax.xaxis, low, high)
    ax.spines["bottom"].set_position(("axes", 0.0))
    ax.set_xlabel("eigenvalue [noise variances]")
    ax.set_ylabel("eigenvalues per bin")
    ax.set_title(f"Taken as {kind}: {rank} beyond the edge")
    return finish(
        figure,
        title=f"Eigenvalues beside the law of {kind}",
        description=(
            f"Histogram of {count(len(values), 'covariance eigenvalue')} on a logarithmic axis, with the density that "
            f"{kind} alone would have. The edge is at {edge:.3g}; {count(rank, 'eigenvalue')} "
            f"{'lies' if rank == 1 else 'lie'} beyond it, marked by hatched bars and triangles."
        ),
        table=_histogram_table(floor, marchenko_pastur=marchenko_pastur),
        data={"eigenvalues": values, "edge": edge, "law_x": x, "law_expected_per_bin": expected, "bins": bins},
    )


def spectrum_limits(floor: NoiseFloor) -> tuple[float, float]:
    """Return the range of eigenvalues that shows both views of the floor."""
    shown = np.concatenate([_positive(floor.eigenvalues), _positive(floor.mp_eigenvalues)])
    edges = [floor.edge, floor.mp_edge]
    low = max(min(float(shown.min(initial=1.0)), *edges), 1e-4 * max(edges))
    return low / 1.3, max(float(shown.max(initial=1.0)), *edges) * 1.4


def _bars(ax: Axes, values: NDArray[np.float64], bins: NDArray[np.float64], edge: float) -> None:
    within, beyond = (np.histogram(part, bins)[0] for part in (values[values <= edge], values[values > edge]))
    left, width, some = bins[:-1], np.diff(bins), beyond > 0
    ax.bar(left, within, width, align="edge", color=NOISE, alpha=0.55, linewidth=0, label="found")
    ax.bar(
        left[some], beyond[some], width[some], bottom=within[some], align="edge", facecolor="none", edgecolor=SIGNAL,
        hatch="////", linewidth=0.9,
    )  # fmt: skip
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _expected(
    floor: NoiseFloor, bins: NDArray[np.float64], *, marchenko_pastur: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how many of the eigenvalues (other than zero) the law puts into a bin around x."""
    x = np.geomspace(bins[0], bins[-1], 260)
    half = np.sqrt(bins[1] / bins[0])
    if marchenko_pastur:
        law = MarchenkoPastur(floor.gamma)
        fraction = (law.cdf(x * half) - law.cdf(x / half)) / (1 - law.atom)
        return x, len(floor.mp_eigenvalues) * fraction
    return x, (len(floor.eigenvalues) - floor.rank) * (floor.bulk_cdf(x * half) - floor.bulk_cdf(x / half))


def _edge_line(ax: Axes, edge: float, top: float) -> None:
    ax.axvline(edge, ymin=0.05, ymax=0.93, color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
    ax.annotate(f" edge {edge:.3g}", (edge, 1.3 * top), color=INK, fontsize=8.5, va="top", ha="left")


def _histogram_table(floor: NoiseFloor, *, marchenko_pastur: bool) -> Table:
    values = floor.mp_eigenvalues if marchenko_pastur else floor.eigenvalues
    rank, edge = (floor.mp_rank, floor.mp_edge) if marchenko_pastur else (floor.rank, floor.edge)
    noise = values[rank:]
    rows: list[tuple[object, ...]] = [
        ("eigenvalues", len(values)),
        ("edge [noise variances]", edge),
        ("beyond the edge", rank),
        ("largest [noise variances]", float(values[0])),
        ("largest within the noise [noise variances]", float(noise[0]) if len(noise) else None),
        ("median [noise variances]", float(np.median(values))),
        ("smallest [noise variances]", float(values[-1])),
    ]
    return Table("Eigenvalues and edge", ("quantity", "value"), tuple(rows))


@drawn
def scree(floor: NoiseFloor) -> Figure:
    """Draw the largest eigenvalues in order, with the edge and the p-values around it."""
    n = min(MAX_SCREE, len(floor.eigenvalues), max(2 * floor.rank, floor.rank + 14))
    values, order = floor.eigenvalues[:n], np.arange(1, n + 1)
    figure, axes = board(height=3.1)
    ax: Axes = axes[0, 0]
    positive = values[values > 0]
    low, high = min(float(positive.min(initial=1.0)), floor.edge) / 1.25, max(float(values[0]), floor.edge) * 1.5
    ax.plot(order, np.maximum(values, low), color=GRID, linewidth=1.0, zorder=1)
    above = order <= floor.rank
    ax.plot(order[above], values[above], "v", color=SIGNAL, markersize=6.5, label="above the floor", zorder=3)
    ax.plot(
        order[~above], np.maximum(values[~above], low), "o", markerfacecolor=PAPER, markeredgecolor=MUTED,
        markersize=4.5, label="noise", zorder=3,
    )  # fmt: skip
    ax.axhline(floor.edge, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), label=f"edge, level {floor.alpha:g}")
    for i in _labeled(
        np.log(np.maximum(values, low)), np.log(high / low), range(max(0, floor.rank - 4), min(n, floor.rank + 1)), n
    ):
        left = i == floor.rank > 0  # the first of the noise: to its left the picture is empty
        ax.annotate(
            p_value(float(floor.p_values[i])), (order[i], values[i]), xytext=(-7, -6) if left else (7, 3),
            textcoords="offset points", fontsize=8, ha="right" if left else "left",
            color=MUTED if i >= floor.rank else INK,
        )  # fmt: skip
    ax.set(yscale="log", ylim=(low, high), xlim=(0.4, max(n, 8) + 0.6))
    log_ticks(ax.yaxis, low, high)
    number_ticks(ax.xaxis, *_index_ticks(n))
    ax.set_xlabel("component, strongest first")
    ax.set_ylabel("eigenvalue [noise variances]")
    ax.legend(loc="best")
    rows = [_component_row(floor, i) for i in range(min(n, floor.rank + 5))]
    return finish(
        figure,
        title="Eigenvalues in order, with p-values",
        description=(
            f"The {n} largest covariance eigenvalues in descending order on a logarithmic axis. "
            f"{count(floor.rank, 'eigenvalue').capitalize()} above the edge at {floor.edge:.3g} "
            f"(level {floor.alpha:g}); the largest of the rest has "
            f"{p_value(float(floor.p_values[floor.rank])) if floor.rank < len(floor.p_values) else 'no p-value'}."
        ),
        table=Table("Strongest components", COMPONENT_COLUMNS, tuple(rows)),
        data={"component": order, "eigenvalue": values, "p_value": floor.p_values[:n], "edge": floor.edge},
    )


COMPONENT_COLUMNS = (
    "component",
    "eigenvalue [noise variances]",
    "p",
    "taken as",
    "strength before the noise, in units of the data",
    "95 % from",
    "to",
    "overlap with the true map over channels (squared cosine)",
    "with the true time course",
)


def _labeled(height: NDArray[np.float64], total: float, wanted: Iterable[int], n: int) -> list[int]:
    """Return the points whose labels leave each other readable: the last ones, at the edge, come first."""
    kept: list[int] = []
    for i in sorted(wanted, reverse=True):
        if all(abs(height[i] - height[k]) > 0.07 * total or abs(i - k) > 0.25 * n for k in kept):
            kept.append(i)
    return kept


def _component_row(floor: NoiseFloor, i: int) -> tuple[object, ...]:
    row = (i + 1, float(floor.eigenvalues[i]), p_number(float(floor.p_values[i])))
    if i >= floor.rank:
        return (*row, "noise", None, None, None, None, None)
    strengths = (float(floor.strengths[i]), *map(float, floor.strength_intervals[i]))
    return (*row, "signal", *strengths, float(floor.overlaps_channel[i]), float(floor.overlaps_time[i]))


def _index_ticks(n: int) -> tuple[list[float], list[str]]:
    step = 1 if n <= 12 else 5
    ticks = sorted({1, *range(step, n + 1, step)})
    return [float(t) for t in ticks], [str(t) for t in ticks]


@drawn
def noise_spectrum(floor: NoiseFloor) -> Figure:
    """Draw the spectrum in time of the noise beside the recording's and that of white noise of the same strength."""
    frequency, amplitude = floor.frequency, np.sqrt(floor.psd)
    shown = (frequency > 0) & (frequency < frequency[-1]) & (amplitude > 0)
    x, y, whole = frequency[shown], amplitude[shown], np.sqrt(floor.recording_psd[shown])
    white = floor.sigma / float(np.sqrt(frequency[-1] - min(frequency[0], 0.0)))
    unit = per_root_hertz(floor.units)
    figure, axes = board(height=3.1)
    ax: Axes = axes[0, 0]
    ax.plot(x, whole, color=MUTED, linewidth=0.9, label="recording")
    ax.plot(x, y, color=ACCENT, linewidth=1.1, label="estimated noise")
    ax.axhline(white, color=MUTED, linewidth=1.1, linestyle=STYLES[1], label="white noise of the same strength")
    low, high = min(float(np.quantile(y, 0.01)), white) / 2, max(float(whole.max()), white) * 2.5
    ax.set(xscale="log", yscale="log", xlim=(x[0], x[-1]), ylim=(low, high))
    log_ticks(ax.xaxis, float(x[0]), float(x[-1]))
    log_ticks(ax.yaxis, low, high)
    ax.set_xlabel("frequency [Hz]")
    ax.set_ylabel(f"amplitude [{clean(unit)}]")
    ax.legend(loc="upper right")
    picks = np.unique(np.geomspace(1, len(x), 10).astype(int)) - 1
    remembers = floor.correlation_time and floor.n_samples / floor.n_effective > MEMORY
    tau = f" It is correlated over {quantity(floor.correlation_time or 0, 's')}." if remembers else ""
    return finish(
        figure,
        title="Spectrum in time of the noise",
        description=(
            "Amplitude spectral density of what is left after the found components, and of the recording, root mean "
            f"square over channels, on logarithmic axes, beside the flat line of white noise of equal variance.{tau}"
        ),
        table=Table(
            "Noise amplitude at some frequencies",
            ("frequency [Hz]", f"noise [{unit}]", f"recording [{unit}]"),
            tuple((float(x[i]), float(y[i]), float(whole[i])) for i in picks),
        ),
        data={"frequency_hz": x, "amplitude": y, "recording_amplitude": whole, "white_amplitude": white, "units": unit},
    )
