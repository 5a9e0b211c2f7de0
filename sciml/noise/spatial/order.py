"""How far noise is shared along each axis of a grid: which lags its log spectrum needs."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from sciml._typing import BoolArray, FloatArray, IntArray
from sciml.noise.spatial.lattice import Lattice
from sciml.noise.spatial.pairs import PairCorrelation
from sciml.noise.spatial.scatter import Scatter
from sciml.noise.spatial.scoring import NUGGET, SharedNoise, first_guess, fit_shared_noise

__all__ = [
    "Chosen",
    "chosen_lags",
    "fit_given_what_stands_out",
    "lags_within",
    "loss",
    "restricted",
    "unresolved",
    "with_information",
]

AXIS = (0, 1, 2, 3, 4, 6, 8, 11, 16, 22, 32)  # longest lags along an axis
OBLIQUE = (0.0, 1.5, 2.3, 3.0, 3.7, 4.3)  # longest lags along several axes at once
LONGEST = {1: 32, 2: 8}  # along each of so many axes; of more, as of two
PER_PARAMETER = 6  # channels
COST = 10  # N^{4/3} over so much: more parameters would move the edge by a fifth of its width
MOST_REMOVED = 4  # dimensions over so much
ROUNDS = 5
MOST_WITH_LINES = 2048  # channels: more are whitened by their neighbors, which lines are not
ENOUGH = 450  # channels, of more the lags are chosen in the middle
MOST_EXACT = 700  # channels, of which products of all pairs take little time
TINY = float(np.finfo(float).tiny)
BEYOND = 2.0  # Tracy-Widom widths above the edge, from which a direction is a component


@dataclass(frozen=True)
class Chosen:
    """The lattice with the lags that noise needs, and a first fit on it."""

    lattice: Lattice
    noise: SharedNoise


def chosen_lags(places: IntArray, scatter: Scatter) -> Chosen:
    r"""Choose by the Bayesian information criterion how far noise at `places` (N, d) is shared.

    The most lags that so many channels can tell are fitted given the components that stand out of that fit: few
    lags would leave noise that looks like components. Without some of the lags, of coefficients b, the maximum of twice
    the log likelihood is lower by b^T V^{-1} b, V their covariance (Wald 1943, doi:10.1090/S0002-9947-1943-0012401-3);
    each lag that is kept costs log(N n) (Schwarz 1978, doi:10.1214/aos/1176344136).
    """
    some = _middle(places)
    reach = _largest(tuple(np.ptp(places[some], axis=0) + 1))
    few = scatter.of_channels(some)
    lattice, noise = _chosen(places[some], few, reach, ())
    lines = _needed_lines(lattice, noise, few) if len(places) <= MOST_WITH_LINES else ()
    if lines:
        lattice, noise = _chosen(places[some], few, reach, lines)
    if len(some) < len(places):
        level = float(np.mean(noise.log_scale))
        first = first_guess(scatter, 0)
        noise = replace(noise, log_scale=first.log_scale - np.mean(first.log_scale) + level, spread=first.spread)
    return Chosen(replace(lattice, places=places), noise)


def _chosen(places: IntArray, scatter: Scatter, reach: "_Reach", lines: tuple[int, ...]) -> tuple[Lattice, SharedNoise]:
    """Return the lattice of the lags that noise needs beside that of whole lines, and a first fit."""
    whole = Lattice(places, reach.lags(), lines)
    found = fit_given_what_stands_out(whole, scatter, whole.n_parameters)
    found = with_information(whole, found, scatter)
    kept = reach.best(found, _penalty(scatter), whole.lags, len(lines))
    return replace(whole, lags=whole.lags[kept[: len(whole.lags)]]), restricted(found, kept)


def _penalty(scatter: Scatter) -> float:
    """Return what a parameter costs."""
    return float(np.log(scatter.n_channels * max(scatter.n_effective, 2.0)))


def _lines(places: IntArray) -> tuple[int, ...]:
    """Return the axes along which there are lines beside each other."""
    extent = np.ptp(places, axis=0) + 1
    return tuple(axis for axis in range(len(extent)) if extent[axis] > 1 and np.delete(extent, axis).max(initial=1) > 1)


def _needed_lines(lattice: Lattice, noise: SharedNoise, scatter: Scatter) -> tuple[int, ...]:
    """Return along which axes noise of whole lines is needed beside the lags of a lattice.

    With all lags that there can be, it would be told from long ones along the axis by next to nothing.
    """
    with_lines = replace(lattice, lines=_lines(lattice.places))
    n, every = len(lattice.lags), np.arange(with_lines.n_parameters)
    if len(every) == n:
        return ()
    start = replace(noise, parameters=np.append(noise.parameters, np.zeros(len(every) - n)))
    found = fit_given_what_stands_out(with_lines, scatter, len(every), start=start)
    needed = [found.parameters[i] > 0 and loss(found, every == i) > _penalty(scatter) for i in every[n:]]
    return tuple(axis for axis, kept in zip(with_lines.lines, needed, strict=True) if kept)


def _middle(places: IntArray) -> IntArray:
    """Return the places next to their middle along each axis: enough to tell how far noise is shared."""
    if len(places) <= ENOUGH:
        return np.arange(len(places))
    extent = np.ptp(places, axis=0) + 1
    off = np.abs(places - np.median(places, axis=0)) / np.minimum(extent, ENOUGH ** (1 / places.shape[1]))
    return np.sort(np.argsort(off.max(axis=1), kind="stable")[:ENOUGH])


def with_information(family: PairCorrelation, noise: SharedNoise, scatter: Scatter) -> SharedNoise:
    """Return the noise with the exact information on its parameters: a sum over all channels, not over some of them.

    Of many channels what is known of it stays: there it is known well enough.
    """
    n = len(family.pairs)
    if n > MOST_EXACT:
        return noise
    table, slopes = family.tables(noise.parameters)
    precision = np.linalg.inv(np.take(table, family.pairs) + NUGGET * np.eye(n))
    weighed = np.stack([precision @ np.take(each, family.pairs) for each in slopes])
    known = scatter.weight * (weighed.reshape(len(slopes), -1) @ np.swapaxes(weighed, 1, 2).reshape(len(slopes), -1).T)
    return replace(noise, information=known[1:, 1:] - np.outer(known[1:, 0], known[0, 1:]) / known[0, 0])


def fit_given_what_stands_out(
    family: PairCorrelation, scatter: Scatter, n_parameters: int, *, start: SharedNoise | None = None
) -> SharedNoise:
    """Fit the noise and what stands out of it in turn, from nothing on, until as much stands out again."""
    noise, removed, rank, again = start or first_guess(scatter, n_parameters), None, 0, False
    for _ in range(ROUNDS):
        noise = fit_shared_noise(family, scatter, noise, removed=removed)
        whitening = noise.whitening(family, scatter.null)
        n = whitening.n_dimensions
        values, directions = scatter.eigen(whitening.whiten, n // MOST_REMOVED)
        level = values[rank:].sum() / ((n - rank) * (1 - rank / scatter.dof))
        edge = (1 + np.sqrt(n / scatter.n_effective)) ** 2 * (1 + BEYOND * min(n, scatter.n_effective) ** (-2 / 3))
        found = max(int(np.count_nonzero(values > level * edge)), rank)
        if found > directions.shape[1] or (found == rank and (again or not rank)):
            break
        again, rank = found == rank, found
        removed = whitening.removal(directions[:, :found], scatter.dof)
    return noise


@dataclass(frozen=True)
class _Reach:
    """Lags up to `axes` along each axis alone, and up to the length `oblique` along several at once."""

    axes: tuple[int, ...]
    oblique: float

    def lags(self) -> IntArray:
        return lags_within(self.axes, self.oblique)

    def holds(self, lags: IntArray) -> BoolArray:
        single = np.count_nonzero(lags, axis=1) == 1
        along = (lags <= np.array(self.axes)).all(axis=1)
        return np.where(single, along, (lags**2).sum(axis=1) <= self.oblique**2)

    def best(self, noise: SharedNoise, penalty: float, lags: IntArray, n_lines: int) -> BoolArray:
        """Return which lags to keep, those of the smaller reach whose loss and cost are least, and all lines."""
        smaller = [
            np.append(_Reach(axes, oblique).holds(lags), np.ones(n_lines, np.bool_))
            for axes in product(*([step for step in AXIS if step <= most] for most in self.axes))
            for oblique in OBLIQUE
            if oblique <= self.oblique
        ]
        costs = [loss(noise, ~kept) + penalty * np.count_nonzero(kept) for kept in smaller]
        return smaller[int(np.argmin(costs))]


def lags_within(axes: tuple[int, ...], oblique: float) -> IntArray:
    """Return the lags (P, d) of the positive quadrant up to `axes` along each axis, `oblique` along several.

    Examples
    --------
    >>> lags_within((1, 2), 1.5).tolist()
    [[0, 1], [0, 2], [1, 0], [1, 1]]
    """
    sides = [np.arange(max(each, int(oblique)) + 1) for each in axes]
    every = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, len(axes))
    return every[_Reach(axes, oblique).holds(every) & every.any(axis=1)]


def _largest(extent: tuple[int, ...]) -> _Reach:
    """Return the reach of the most lags that so many places can tell; along no axis more than half of it."""
    n = int(np.prod(extent))
    most = min(n / PER_PARAMETER, n ** (4 / 3) / COST)
    long = [step for step in AXIS if step <= LONGEST.get(len(extent), LONGEST[2])]
    steps = [[step for step in long if step <= side / 2] for side in extent]
    oblique = list(OBLIQUE) if len(extent) > 1 else [0.0]
    while len(lags_within(axes := tuple(each[-1] for each in steps), oblique[-1])) > most:
        longest = steps[int(np.argmax(axes))]
        shortened = oblique if len(oblique) > 1 and oblique[-1] > max(axes) / 2 else longest
        shortened.pop()
    return _Reach(axes, oblique[-1])


def unresolved(lattice: Lattice, parameters: FloatArray) -> float:
    """Return the mean square of what longer lags may add to the log spectrum, as the last ones along an axis decay.

    Zero along an axis where fewer lags than could be told are needed.
    """
    places = lattice.places[_middle(lattice.places)]
    most, total = _largest(tuple(np.ptp(places, axis=0) + 1)).axes, 0.0
    for axis, longest in enumerate(most):
        last, before = (_along(lattice, parameters, axis, step) for step in (longest, longest - 1))
        ratio = last / 4 if longest == 1 else min(last / max(before, TINY), 1.0)  # as the logarithm of 1 + r cos k does
        total += (last * ratio) ** 2 / 2 if longest else 0.0
    return total


def _along(lattice: Lattice, parameters: FloatArray, axis: int, step: int) -> float:
    """Return the size of the coefficient of a lag along one axis alone."""
    alone = (lattice.lags[:, axis] == step) & (lattice.lags.sum(axis=1) == step)
    return float(np.abs(parameters[: len(lattice.lags)][alone]).sum())


def loss(noise: SharedNoise, dropped: BoolArray) -> float:
    """Return by how much twice the log likelihood falls without some of the parameters."""
    information, kept = noise.information, ~dropped
    own = information[np.ix_(dropped, dropped)]
    if kept.any() and dropped.any():
        across = information[np.ix_(kept, dropped)]
        own = own - across.T @ np.linalg.solve(information[np.ix_(kept, kept)], across)
    return float(noise.parameters[dropped] @ own @ noise.parameters[dropped])


def restricted(noise: SharedNoise, kept: BoolArray) -> SharedNoise:
    """Return the likeliest noise whose other parameters are zero, to second order."""
    information = noise.information
    own = information[np.ix_(kept, kept)]
    parameters = noise.parameters[kept]
    if kept.any() and not kept.all():
        parameters = parameters + np.linalg.solve(own, information[np.ix_(kept, ~kept)] @ noise.parameters[~kept])
    return SharedNoise(parameters, noise.log_scale, noise.spread, own)
