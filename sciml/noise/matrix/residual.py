"""What is left of each sample after removing components."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sciml._typing import AnyArray, FloatArray
from sciml.noise.matrix.gram import Matrix, Removal

__all__ = ["ResidualRows", "residual_rows"]

ROWS_AT_ONCE = 4096
LEAST_LEFT = 0.05  # of a sample
OWN = 0.5  # part of a sample that a component takes which is that sample


@dataclass(frozen=True)
class ResidualRows:
    """Squares of what is left, in units of the noise: `energy` of each sample, their sum over channels.

    The time courses of components took a part of each sample; `energy` is made up for that.

    `means` and `variances` (N,) are those of each channel's squares, `largest` the largest square over its channel's
    mean, `n_dimensions` those that are left, `single` the part of the components that lies in samples of their own.
    """

    energy: FloatArray
    means: FloatArray
    variances: FloatArray
    largest: float
    n_dimensions: int
    single: float

    @property
    def n_samples(self) -> int:
        """How many samples were looked at."""
        return len(self.energy)


def residual_rows(matrix: Matrix, scale: FloatArray, directions: AnyArray, *, every: bool = False) -> ResidualRows:
    """Return the squares that `directions` leave, of `every` sample or, where there is one, of a subsample."""
    removal, rank = matrix.removal(scale, directions), directions.shape[1]
    energy, scores, moments = [], [], np.zeros((3, matrix.n_channels))
    for rows in _samples(matrix, every=every):
        squares = _squares(rows, removal)
        energy.append(squares.sum(axis=1))
        scores.append(np.abs(rows @ removal.factors[0][:, :rank]) ** 2)
        moments[0] += squares.sum(axis=0)
        moments[1] += (squares**2).sum(axis=0)
        moments[2] = np.maximum(moments[2], squares.max(axis=0))
    n = sum(map(len, energy))
    mean = np.maximum(moments[0] / n, np.finfo(float).tiny)
    # Of a subsample, time courses took as much as of all.
    removed = _removed_part(np.concatenate(scores)) * min(n / matrix.dof, 1.0)
    left = np.maximum(1 - removed, LEAST_LEFT)
    return ResidualRows(
        energy=np.concatenate(energy) / left * left.mean(),
        means=mean,
        variances=moments[1] / n - mean**2,
        largest=float((moments[2] / mean).max()),
        n_dimensions=matrix.n_channels - removal.basis.shape[1],
        single=float(removed[removed > OWN].sum() / max(rank, 1)),
    )


def _removed_part(scores: FloatArray) -> FloatArray:
    """Return the part of each sample that time courses of given squares (T, k) took."""
    return np.asarray((scores / np.maximum(scores.sum(axis=0), np.finfo(float).tiny)).sum(axis=1))


def _samples(matrix: Matrix, *, every: bool) -> Iterator[AnyArray]:
    """Yield consecutive samples, of which there are enough."""
    subsample = matrix.statistics.subsample
    if subsample is None or every:
        assert matrix.samples is not None  # noqa: S101
        yield from _parts(matrix.samples)
    else:
        for values in [subsample.decimated] if subsample.every == 1 else subsample.segments:
            yield from map(matrix.transformed, _parts(values))


def _parts(values: AnyArray) -> Iterator[AnyArray]:
    for start in range(0, len(values), ROWS_AT_ONCE):
        yield values[start : start + ROWS_AT_ONCE]


def _squares(rows: AnyArray, removal: Removal) -> FloatArray:
    project, reconstruct = removal.factors
    rest = rows - (rows @ project) @ reconstruct if project.shape[1] else rows
    rest = rest * removal.factor.T
    return np.asarray(rest.real**2 + rest.imag**2 if np.iscomplexobj(rest) else rest**2)
