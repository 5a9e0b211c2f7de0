"""Narrow lines in a power spectrum: peaks that stand above the spectrum around them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.optimize
import scipy.signal
import scipy.special
import scipy.stats
from numpy.typing import NDArray

__all__ = ["Line", "find_lines", "strongest_of_groups"]

WINDOW = 61  # bins of the running median: wider than a line, narrower than the slope of the noise
GROUP = 0.03  # lines this close in relative frequency are one family, as the modes of one suspension
LEVEL = (
    1e-3  # per spectrum, by the law; the median's own scatter makes it about 2 % (measured on white and AR(1) noise)
)


@dataclass(frozen=True)
class Line:
    """A spectral line: its frequency in Hz, amplitude density, and power relative to the median around it."""

    frequency: float
    amplitude: float
    prominence: float


def find_lines(frequency: NDArray[np.float64], power: NDArray[np.float64], *, most: int = 100) -> tuple[Line, ...]:
    r"""Return the strongest lines, strongest first.

    The spectrum over its running median is, without lines, :math:`\chi^2_{2K}/m_K` distributed with K averages and
    m_K the median of the law. K is read off the quartiles of that ratio's logarithm; a line exceeds what the largest
    of all bins exceeds with probability `LEVEL` (Šidák).

    Parameters
    ----------
    frequency
        Regular grid in Hz, shape (n,).
    power
        Power spectral density, shape (n,), any unit.

    Examples
    --------
    >>> power = np.random.default_rng(0).chisquare(40, size=2000)
    >>> power[600] *= 50
    >>> [line.frequency for line in find_lines(np.arange(2000.0), power)]
    [600.0]
    """
    usable = np.flatnonzero((power > 0) & np.isfinite(power) & (frequency > 0))
    if len(usable) < 2 * WINDOW:
        return ()
    f, density = frequency[usable], power[usable]
    ratio = density / _running_median(density)
    # The median bends at the ends of the band and where the lowest bins rise steeply.
    trusted = (np.arange(len(f)) >= WINDOW // 4) & (f < 0.995 * f[-1])
    k = _averages(np.log(ratio[trusted]))
    law = scipy.stats.gamma(k)
    threshold = law.isf(1 - (1 - LEVEL) ** (1 / len(f))) / law.median()
    # Two lines are two where the spectrum between them dips by more than its own scatter (s.d. 1/sqrt(K) of the log).
    dip = max(np.log(2.0), 5.0 / np.sqrt(k))
    peaks, _ = scipy.signal.find_peaks(np.where(trusted, np.log(ratio), -np.inf), np.log(threshold), prominence=dip)
    found = [Line(float(f[i]), float(np.sqrt(density[i])), float(ratio[i])) for i in peaks]
    return tuple(sorted(found, key=lambda line: -line.prominence)[:most])


def strongest_of_groups(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return the lines that have no stronger one within 3 % of their frequency.

    Examples
    --------
    >>> lines = [Line(500.0, 1.0, 90.0), Line(505.0, 1.0, 80.0), Line(60.0, 1.0, 70.0)]
    >>> [line.frequency for line in strongest_of_groups(lines)]
    [500.0, 60.0]
    """
    kept: list[Line] = []
    for line in lines:
        if all(abs(np.log(line.frequency / other.frequency)) > GROUP for other in kept):
            kept.append(line)
    return tuple(kept)


def _running_median(density: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(scipy.ndimage.median_filter(density, size=WINDOW, mode="nearest"))


def _averages(log_ratio: NDArray[np.float64]) -> float:
    """Return the number of averages K whose law has the quartile distance of these log ratios."""
    low, high = np.quantile(log_ratio, [0.25, 0.75])
    spread = max(float(high - low), 1e-3)

    def excess(log_k: float) -> float:
        quartiles = np.log(scipy.special.gammaincinv(np.exp(log_k), [0.25, 0.75]))
        return float(quartiles[1] - quartiles[0]) - spread

    if excess(np.log(0.5)) < 0:  # rougher than a single periodogram: no more than one average
        return 0.5
    return float(np.exp(scipy.optimize.brentq(excess, np.log(0.5), np.log(1e7))))
