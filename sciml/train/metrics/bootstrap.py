"""Intervals of scores by drawing whole units of independence again."""

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from sciml.train.metrics.registry import Statistic

__all__ = ["bootstrap_interval"]

WORK = 3e7  # items times draws, beyond which draws are fewer
FEWEST_DRAWS = 500
FEW = 6  # units: fewer give too few draws that differ


def bootstrap_interval(
    statistic: Statistic,
    units: ArrayLike,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> NDArray[np.float64]:
    r"""Return the interval of a score when whole units are drawn again with replacement (cluster bootstrap).

    The ends are quantiles of the score over the draws, at

    .. math:: \Phi\left(\mp \sqrt{G / (G - 1)}\; t_{G-1,\,1 - \alpha/2}\right)

    with G units: the bootstrap's variance is too small by (G - 1)/G, and few units have heavier tails than a normal
    law. Windows of a unit may resemble each other as much as they like. Units whose scores do not differ at all have no
    such interval; `classification_scores` then takes Wilson's of as many independent items as there are units.

    Fewer than six units have too few draws that differ (two units have three). Theirs is the interval of Student with
    the standard error of the jackknife, each unit left out in turn:

    .. math:: \hat\theta \mp t_{G-1,\,1 - \alpha/2} \sqrt{\tfrac{G-1}{G} \sum_g (\hat\theta_{(g)} - \bar\theta)^2}

    Parameters
    ----------
    statistic
        From weights (n,) of the items to a score, or one an output (k,). NaN where it has none: those draws are
        left out.
    units
        Number of the unit of each item, shape (n,).
    n_resamples
        Draws; fewer where items are many.
    limits
        Least and largest score that there can be.

    Returns
    -------
    Lower and upper end, shape (2,) or (k, 2); NaN with fewer than two units.

    References
    ----------
    Hesterberg (2015), doi:10.1080/00031305.2015.1089789, section 5.3 (expanded percentile interval); Field and Welsh
    (2007), doi:10.1111/j.1467-9868.2007.00593.x (clusters); Efron and Stein (1981), doi:10.1214/aos/1176345462
    (jackknife).

    Examples
    --------
    >>> right = np.repeat([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], 50)
    >>> units = np.repeat(np.arange(6), 50)
    >>> low, high = bootstrap_interval(lambda w: w @ right / w.sum(), units, rng=np.random.default_rng(0))
    >>> bool(low < 0.3 and high == 1.0)
    True
    """
    _, unit = np.unique(np.asarray(units), return_inverse=True)
    n_units = int(unit.max()) + 1
    n_draws = int(np.clip(WORK / len(unit), FEWEST_DRAWS, n_resamples)) if n_resamples > FEWEST_DRAWS else n_resamples
    if n_units < 2:
        return np.full((*np.shape(statistic(np.ones(len(unit)))), 2), np.nan)
    if n_units < FEW:
        return _jackknife(statistic, unit, confidence, limits)
    drawn = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_draws).astype(np.float64)
    scores = np.array([statistic(counts[unit]) for counts in drawn], dtype=np.float64)
    edge = scipy.stats.t.ppf((1 + confidence) / 2, n_units - 1) * np.sqrt(n_units / (n_units - 1))
    tail = float(scipy.stats.norm.sf(edge))
    columns = scores.reshape(n_draws, -1).T
    ends = [np.quantile(known, [tail, 1 - tail]) if len(known) else (np.nan,) * 2 for known in map(_known, columns)]
    return np.asarray(ends, dtype=np.float64).reshape(*scores.shape[1:], 2)


def _jackknife(
    statistic: Statistic, unit: NDArray[np.int64], confidence: float, limits: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the interval of Student with the standard error of the jackknife over units, within the limits."""
    n_units = int(unit.max()) + 1
    without = np.array([statistic((unit != each).astype(np.float64)) for each in range(n_units)], dtype=np.float64)
    error = np.sqrt((n_units - 1) * np.mean((without - without.mean(axis=0)) ** 2, axis=0))
    reach = scipy.stats.t.ppf((1 + confidence) / 2, n_units - 1) * error
    whole = np.asarray(statistic(np.ones(len(unit))), dtype=np.float64)
    return np.asarray(np.clip(np.stack([whole - reach, whole + reach], axis=-1), *limits))


def _known(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scores that exist, none of them where that is the smaller part."""
    kept = scores[np.isfinite(scores)]
    return kept if 2 * len(kept) >= len(scores) else kept[:0]
