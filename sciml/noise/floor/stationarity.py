"""Whether the power of what components leave is the same at all times, and its values are those of normal noise."""

from collections.abc import Callable

import numpy as np
import scipy.ndimage

from sciml._typing import FloatArray
from sciml.noise.floor.select_model import Choice
from sciml.noise.matrix.residual import ResidualRows

__all__ = ["HARMFUL_SHIFT", "noise_level", "over_time"]

LARGEST_Z = 5.0  # standard deviations
FEWEST_SAMPLES = 100  # independent ones, from which a variance over time is known: slow noise comes and goes by chance
FEWEST_DIMENSIONS = 250  # that a level is told from
FEWEST_WEIGHED = 16
BURST = 6.0  # standard deviations by which a sample is louder than those around
FEWEST_SINGLE = 3  # components
MOSTLY = 0.5
HARMFUL_SHIFT = 0.3  # of the edge, in widths of its Tracy-Widom law: false alarms rise from 5 to 7 %
LARGEST_VALUE = 0.5  # of sqrt(N T): a larger square is nearly a component of its own


def over_time(choice: Choice) -> str:
    """Say in words what of the residual's squares over time is not as in stationary normal noise; "" for nothing.

    Counts were divided by the level of each sample, and are not tested.
    """
    if choice.prepared.channel_scale is not None:
        return ""
    rows = choice.residual
    tests: list[Callable[[Choice, ResidualRows], str]] = [_single_samples, _level, _heavy_tails]
    return next((words for test in tests if (words := test(choice, rows))), "")


def noise_level(choice: Choice) -> FloatArray | None:
    """Return how loud the noise of each held sample is (T,), where it is not equally loud at all; else None.

    At first it is the median of a sample's magnitudes over channels, which components of a few channels leave alone;
    then what the fit of samples divided by it leaves of each. Of few channels noise cannot be told from signal so.
    """
    statistics = choice.matrix.statistics
    held = statistics.standardized is not None and choice.prepared.channel_scale is None
    if not held or choice.matrix.n_dimensions < FEWEST_WEIGHED:
        return None
    if statistics.level is None:
        rows = choice.residual
        if not (_single_samples(choice, rows) or _level(choice, rows)):
            return None
        assert choice.matrix.samples is not None  # noqa: S101
        magnitude = np.median(np.abs(choice.matrix.samples), axis=1)
        return _smoothed(magnitude**2, choice.matrix.n_dimensions)
    rows = choice.residual_rows(every=True)
    return _smoothed(rows.energy, rows.n_dimensions) * statistics.level


def _smoothed(power: FloatArray, n_dimensions: int) -> FloatArray:
    """Return the root of the mean power of as many samples as make one known to a tenth; of a burst, its own.

    What a level owes to chance raises the variance of every direction that it was not told from.
    """
    width = -(-FEWEST_DIMENSIONS // n_dimensions)
    if width > 1:
        typical = scipy.ndimage.median_filter(power, 2 * width + 1, mode="nearest")
        bursts = power > (1 + BURST * np.sqrt(2 / n_dimensions)) * typical
        calm = np.where(bursts, typical, power)
        power = np.where(bursts, power, scipy.ndimage.uniform_filter1d(calm, width, mode="nearest"))
    return np.asarray(np.sqrt(np.maximum(power, np.finfo(float).tiny)))


def _single_samples(choice: Choice, rows: ResidualRows) -> str:
    if choice.fit.rank < FEWEST_SINGLE or rows.single < MOSTLY:
        return ""
    return "most components are single samples, as in noise that bursts"


def _level(choice: Choice, rows: ResidualRows) -> str:
    change = level_variance(choice, rows)
    if not change:
        return ""
    return f"the power of the noise varies over time, by {100 * np.sqrt(change):.0f} % of its mean beyond chance"


def level_variance(choice: Choice, rows: ResidualRows) -> float:
    """Return the relative variance over time of the power of what is left, where it moves the edge; 0 else.

    The power of a sample, summed over channels, varies by what the channels' own squares do, whatever their
    distribution, and by what correlations bring. What is beyond is common to all: a level. Of relative variance c it
    moves the edge by c N^{2/3} of its width.
    """
    tau = choice.fit.spectra.tau if choice.model.colored else 1.0
    if rows.n_samples < FEWEST_SAMPLES * tau:
        return 0.0
    own = rows.variances.sum()
    pairs = max(float(own**2 - np.sum(rows.variances**2)), np.finfo(float).tiny)
    common = rows.energy.var(ddof=1) - own - _of_correlated_channels(choice, rows, tau)
    if common < LARGEST_Z * np.sqrt(2 * tau / rows.n_samples * pairs):
        return 0.0
    relative = float(common / rows.energy.mean() ** 2)
    return relative if relative * rows.n_dimensions ** (2 / 3) > HARMFUL_SHIFT else 0.0


def _of_correlated_channels(choice: Choice, rows: ResidualRows, tau: float) -> float:
    """Return 2 |C_ij|² (complex 1), summed over pairs: what the power of samples varies by if channels correlate."""
    matrix, bulk = choice.matrix, choice.fit.eigenvalues[choice.fit.rank :]
    squares = float(np.sum(bulk**2) - bulk.sum() ** 2 * tau / matrix.dof) / max(float(bulk.sum()) ** 2, 1e-300)
    pairs = squares * float(rows.means.sum()) ** 2 - float(np.sum(rows.means**2))
    return (1 if matrix.is_complex else 2) * max(pairs, 0.0)


def _heavy_tails(choice: Choice, rows: ResidualRows) -> str:  # noqa: ARG001
    """Say so where single values are so large that each makes a component."""
    entries = rows.n_samples * rows.n_dimensions
    if rows.largest < max(LARGEST_VALUE * np.sqrt(entries), 4 * np.log(entries)):
        return ""
    return (
        f"values are heavy-tailed (one lies {np.sqrt(rows.largest):.0f} standard deviations of its channel's noise "
        "away), and the law of the noise holds for normal ones"
    )
