"""How a net learned and how far its answers hold: learning curves, confusions, reliability, before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from sciml._typing import FloatArray, IntArray
from sciml.errors import ConfigError, DataError
from sciml.plot.scales import light_grid, number_ticks
from sciml.plot.style import MARKERS, STYLES, axes_of, role, unit_label
from sciml.recording import TIME, sampling_rate, seconds
from sciml.wording import clean, percent

if TYPE_CHECKING:  # named only: drawing a recording loads no torch
    from sciml.train import FitResult

__all__ = ["before_after", "confusion", "curve_names", "draw_before_after", "learning_curve", "reliability"]

History = Sequence[Mapping[str, Any]]


def learning_curve(
    result: "FitResult | History", ax: Axes | None = None, *, quantity: str = "loss", best_epoch: int | None = None
) -> Axes:
    """Draw a quantity over the epochs of training, a line for each part of the data that it was measured on.

    Parameters
    ----------
    result
        Of `sciml.fit`, or its history: one mapping an epoch, with `epoch` and keys such as `train_loss`.
    ax
        Axes to draw on; default those of a new figure.
    quantity
        "loss", "accuracy", or another one of the history.
    best_epoch
        Epoch whose weights were kept, which gets a line; default that of the result.

    Raises
    ------
    ConfigError
        The history has no such quantity.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> history = [{"epoch": 1, "train_loss": 0.7}, {"epoch": 2, "train_loss": 0.4}]
    >>> learning_curve(history, ax=Figure().subplots()).lines[0].get_ydata()
    array([0.7, 0.4])
    """
    history = _rows(result)
    names = curve_names(history, quantity)
    if not names:
        raise ConfigError(f"expected a quantity of the history, got {quantity!r}; there are {', '.join(_all(history))}")
    ax = axes_of(ax)
    epochs = np.array([row.get("epoch", i + 1) for i, row in enumerate(history)], dtype=np.float64)
    colors = [role(each) for each in ("accent", "signal", "alternate", "muted")]
    for i, name in enumerate(names):
        values = np.array([np.nan if row.get(name) is None else row[name] for row in history], dtype=np.float64)
        marker = MARKERS[i % 4] if len(epochs) < 3 else None
        ax.plot(
            epochs, values, color=colors[i % 4], linestyle=STYLES[i % 4], marker=marker, label=part_of(name, quantity)
        )
    _mark_best(ax, epochs, getattr(result, "best_epoch", None) if best_epoch is None else best_epoch)
    light_grid(ax)
    ax.set(xlabel="epoch", ylabel=clean(quantity.replace("_", " ")))
    ax.legend(loc="best")
    return ax


def _rows(result: "FitResult | History") -> History:
    source: Any = result
    found: Sequence[Any] = getattr(source, "history", source)
    return [asdict(each) if is_dataclass(each) and not isinstance(each, type) else each for each in found]


def _all(history: History) -> list[str]:
    return sorted({str(key) for row in history for key, value in row.items() if value is not None})


def curve_names(history: History, quantity: str) -> list[str]:
    """Return the keys of the history that hold this quantity, of whatever part of the data."""
    measured = dict.fromkeys(key for row in history for key, value in row.items() if value is not None)
    # the part of the data is one word: a balanced accuracy is no accuracy of a part
    return [key for key in measured if key == quantity or key.partition("_")[2] == quantity]


def part_of(name: str, quantity: str) -> str:
    """Return the part of the data that a key of the history is about: "train" of "train_loss"."""
    return clean(name.removesuffix(quantity).rstrip("_").replace("_", " ") or quantity)


def _mark_best(ax: Axes, epochs: FloatArray, best: int | None) -> None:
    if best is None or not len(epochs):
        return
    ax.axvline(best, color=role("muted"), linewidth=0.9, linestyle=STYLES[2])
    first = best < epochs[0] + 0.6 * (epochs[-1] - epochs[0])
    ax.annotate(
        f" best, epoch {best}", (best, 1.0), xycoords=("data", "axes fraction"), fontsize=8.5, va="top",
        ha="left" if first else "right",
    )  # fmt: skip


def confusion(result: Any, ax: Axes | None = None, *, classes: Sequence[str] | None = None) -> Axes:
    """Draw a confusion matrix: true classes in rows, predicted ones in columns, counts and fractions of the row.

    Parameters
    ----------
    result
        An evaluation or scores with a `confusion`, or the counts, shape (class, class).
    ax
        Axes to draw on; default those of a new figure.
    classes
        Their names; default those of the result, or numbers.

    Raises
    ------
    DataError
        The result has no confusion matrix, or one that is not square.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = confusion([[8, 2], [1, 9]], ax=Figure().subplots(), classes=["rest", "move"])
    >>> [text.get_text() for text in ax.texts[:2]]
    ['8', '80 %']
    """
    counts, names = _counts(result), list(getattr(result, "classes", ()) if classes is None else classes)
    n = len(counts)
    names = names if len(names) == n else [str(i) for i in range(n)]
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax = axes_of(ax)
    for (i, j), fraction in np.ndenumerate(fractions):
        cell = Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, facecolor=role("accent"), alpha=0.06 + 0.84 * fraction)
        cell.set_linewidth(0)
        ax.add_patch(cell)
    for (i, j), number in np.ndenumerate(counts):
        _cell_words(ax, (i, j), int(number), float(fractions[i, j]), n)
    ax.set(xlim=(-0.52, n - 0.48), ylim=(n - 0.48, -0.52), xlabel="predicted", ylabel="true")
    number_ticks(ax.xaxis, range(n), names)
    number_ticks(ax.yaxis, range(n), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _counts(result: Any) -> IntArray:
    found = getattr(result, "confusion", result)
    counts = np.asarray(() if found is None else found)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise DataError("expected counts of shape (class, class), or a result that has them")
    return counts.astype(np.int64)


def _cell_words(ax: Axes, place: tuple[int, int], number: int, fraction: float, n: int) -> None:
    """Write the count of a cell, where there is room, and the fraction of its row below it."""
    (i, j), color = place, role("paper" if fraction > 0.55 else "ink")
    if n <= 15:
        ax.annotate(f"{number}", (j, i), ha="center", va="bottom" if n <= 8 else "center", fontsize=9, color=color)
    if n <= 8:
        ax.annotate(percent(fraction, 0), (j, i + 0.08), ha="center", va="top", fontsize=7.5, color=color)


def reliability(result: Any, ax: Axes | None = None) -> Axes:
    """Draw how often the named class was right over the probability that it was given, a point a bin of windows.

    On the dashed diagonal probabilities mean what they say; below it the net is too sure.

    Parameters
    ----------
    result
        With `confidence`, `accuracy` and `count` of each bin, shape (bin,), or an evaluation with such a
        `reliability`.
    ax
        Axes to draw on; default those of a new figure.

    Raises
    ------
    DataError
        The result has none.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from matplotlib.figure import Figure
    >>> bins = SimpleNamespace(confidence=np.array([0.6, 0.9]), accuracy=np.array([0.5, 0.8]), count=np.array([10, 40]))
    >>> reliability(bins, ax=Figure().subplots()).get_ylabel()
    'fraction that was right'
    """
    found = getattr(result, "reliability", result)
    if not all(hasattr(found, name) for name in ("confidence", "accuracy", "count")):
        raise DataError("expected a result with the reliability of its probabilities; there is none")
    ax = axes_of(ax)
    ax.plot([0, 1], [0, 1], color=role("muted"), linewidth=1.0, linestyle=STYLES[1])
    ax.plot(found.confidence, found.accuracy, color=role("accent"), linewidth=1.0)
    size = (4 + 6 * np.sqrt(found.count / found.count.max())) ** 2
    ax.scatter(found.confidence, found.accuracy, size, color=role("accent"), edgecolors=role("paper"), zorder=3)
    low = min(0.45, float(found.confidence.min()), float(found.accuracy.min()))
    ax.set(xlim=(low, 1.02), ylim=(low, 1.02))
    light_grid(ax)
    ax.set(xlabel="probability of the named class, calibrated", ylabel="fraction that was right")
    return ax


def before_after(before: xr.DataArray, after: xr.DataArray, ax: Axes | None = None) -> Axes:
    """Draw one channel of a recording as it was and as it became.

    Parameters
    ----------
    before, after
        Of one channel: dim `time` alone, of the same length and units.
    ax
        Axes to draw on; default those of a new figure.

    Raises
    ------
    DataError
        More than one channel, or different lengths.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> noisy = xr.DataArray([1.0, -1.0, 2.0], dims="time", attrs={"sampling_rate": 10.0, "units": "uV"})
    >>> before_after(noisy, 0.5 * noisy, ax=Figure().subplots()).get_ylabel()
    'value [uV]'
    """
    if before.dims != (TIME,) or after.dims != (TIME,) or before.shape != after.shape:
        raise DataError(
            f"expected one channel twice, as by recording.isel(channel=0); got {before.sizes} and {after.sizes}"
        )
    times = seconds(before)
    time = np.arange(len(before)) / sampling_rate(before) if times is None else times
    ax = axes_of(ax, size=(9.0, 3.0))
    label = unit_label("value" if before.name is None else str(before.name), str(before.attrs.get("units", "")))
    return draw_before_after(time, before.values, after.values, ax, label=label)


def draw_before_after(time: FloatArray, before: FloatArray, after: FloatArray, ax: Axes, *, label: str) -> Axes:
    """Draw samples as recorded and as denoised, over their time in seconds."""
    ax.plot(time, before, color=role("noise"), linewidth=0.8, label="recorded")
    ax.plot(time, after, color=role("signal"), linewidth=1.3, label="denoised")
    ax.margins(x=0)
    ax.axhline(0.0, color=role("grid"), linewidth=0.6, zorder=0)
    ax.set(xlabel="time [s]", ylabel=clean(label))
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.1)
    return ax
