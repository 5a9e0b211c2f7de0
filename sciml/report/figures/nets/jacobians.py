"""Singular values of Jacobians: now, at the start, and by the law of random weights."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sciml._typing import FloatArray
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import ACCENT, INK, MUTED, SIGNAL, board, drawn, finish, light_grid, log_ticks

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.spectra import JacobianSpectrum

__all__ = ["jacobian_figure"]


@drawn
def jacobian_figure(now: "JacobianSpectrum", start: "JacobianSpectrum | None" = None) -> Figure:
    """Draw singular values by rank: the median over the sample with the band of nine in ten, now and at the start."""
    figure, axes = board(wide=True, height=2.9, columns=2, width_ratios=(3, 2))
    _by_rank(axes[0, 0], now, start)
    _gains(axes[0, 1], now, start)
    return finish(
        figure,
        title=f"Singular values of the Jacobian, {now.start} to {now.end}",
        description=(
            "Left: singular values in descending order, the median over the sample of inputs with the band that holds "
            "nine in ten of them; the net now, at its start, and by the law of random weights where it is known. "
            "Right: the squared gain of a random direction at each input, sorted; the line is what theory expects of "
            "random weights."
        ),
        table=Table(
            "Jacobian",
            ("net", "largest", "smallest", "squared gain", "theory"),
            tuple(_row(name, each) for name, each in (("now", now), ("at the start", start)) if each is not None),
        ),
        data={"singular_values": now.singular_values, "start": None if start is None else start.singular_values},
    )


def _row(name: str, found: "JacobianSpectrum") -> tuple[Any, ...]:
    theory = found.expected_squared_gain if np.isfinite(found.expected_squared_gain) else None
    smallest = float(found.singular_values.min()) if found.exact else None
    return (name, found.largest, smallest, float(found.squared_gain.mean()), theory)


def _by_rank(ax: Axes, now: "JacobianSpectrum", start: "JacobianSpectrum | None") -> None:
    shown = [("now", now, SIGNAL, "-"), ("at the start", start, MUTED, (0, (5, 2)))]
    kept: list[FloatArray] = []
    for label, found, color, style in shown:
        if found is None:
            continue
        low, middle, high = np.quantile(found.singular_values, [0.05, 0.5, 0.95], axis=0)
        index = np.arange(1, middle.size + 1)
        ax.plot(index, middle, color=color, linestyle=style, linewidth=1.4, label=label, marker="o", markersize=2.2)
        ax.fill_between(index, low, high, color=color, alpha=0.16, linewidth=0)
        kept += [low, high]
    law = next((each for each in (start, now) if each is not None and each.expected is not None), None)
    if law is not None and law.expected is not None:
        ax.plot(np.arange(1, law.expected.size + 1), law.expected, color=ACCENT, linewidth=1.1, label="random weights")
        kept.append(law.expected)
    _log(ax, np.concatenate(kept))
    ax.set(xlabel="rank of the singular value", ylabel="singular value")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(loc="best")
    light_grid(ax)


def _gains(ax: Axes, now: "JacobianSpectrum", start: "JacobianSpectrum | None") -> None:
    kept = []
    for label, found, color in (("now", now, SIGNAL), ("at the start", start, MUTED)):
        if found is None:
            continue
        values = np.sort(found.squared_gain)
        share = (np.arange(values.size) + 0.5) / values.size
        ax.plot(values, share, "o", color=color, markersize=2.6, label=label)
        kept.append(values)
        if np.isfinite(found.expected_squared_gain) and (start is None or found is start):
            ax.axvline(found.expected_squared_gain, color=ACCENT, linewidth=1.1, label="random weights")
            kept.append(np.array([found.expected_squared_gain]))
    values = np.concatenate(kept)
    values = values[values > 0]
    low, high = (float(values.min()) / 1.5, float(values.max()) * 1.5) if values.size else (0.1, 10.0)
    ax.set(
        xscale="log",
        xlim=(low, high),
        ylim=(0, 1),
        xlabel="squared gain of a random direction",
        ylabel="share of inputs",
    )
    log_ticks(ax.xaxis, low, high, most=5)
    ax.axhline(0.5, color=INK, linewidth=0.4, alpha=0.3)


def _log(ax: Axes, values: FloatArray) -> None:
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size:
        return
    high = float(positive.max()) * 1.5
    low = max(float(positive.min()) / 1.5, high * 1e-8)
    ax.set(yscale="log", ylim=(low, high))
    log_ticks(ax.yaxis, low, high)
