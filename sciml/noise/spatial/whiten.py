"""A recording without what its channels share by being neighbors: linear combinations whose noise is independent."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse

from sciml._typing import AnyArray, FloatArray
from sciml.noise.matrix.fourier import FourierCoefficients
from sciml.noise.matrix.gram import Matrix
from sciml.noise.spatial.scatter import Removed

__all__ = ["WhitenedMatrix", "Whitening"]


@dataclass(frozen=True)
class Whitening:
    r"""Combinations of N standardized channels in which noise of covariance A is white, and the way back.

    Samples of noise x (a row of N) become x `whiten`, of M uncorrelated entries of variance one, and white noise w
    becomes w `color`, of covariance A. With A = L L^T, `whiten` is L^-T and `color` L^T; the singular values of what is
    whitened are those of any other root. Dense arrays or scipy.sparse ones: only products are taken with them.
    `variances` (N,) are those of the channels where a part of the noise is whitened.
    """

    whiten: Any
    color: Any
    variances: FloatArray | None = None

    @classmethod
    def of(cls, covariance: AnyArray, null: AnyArray | None = None) -> "Whitening":
        """Return the whitening of a covariance (N, N) of which orthonormal directions `null` (N, n) were taken out.

        The noise is that before: what is left of it fills N - n dimensions, and is whitened within these.

        Raises
        ------
        numpy.linalg.LinAlgError
            A covariance that is not positive definite.

        Examples
        --------
        >>> correlation = 0.5 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
        >>> whitening = Whitening.of(correlation)
        >>> bool(np.allclose(whitening.whiten.T @ correlation @ whitening.whiten, np.eye(4)))
        True
        """
        if null is None or not null.shape[1]:
            root = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
            inverse = scipy.linalg.lapack.dtrtri(root, lower=1)[0] if not np.iscomplexobj(root) else _inverse(root)
            return cls(inverse.conj().T, root.conj().T)
        left = np.linalg.qr(null, mode="complete")[0][:, null.shape[1] :]
        inner = cls.of(left.conj().T @ covariance @ left)
        return cls(left @ inner.whiten, inner.color @ left.conj().T)

    @property
    def noise(self) -> FloatArray:
        """Variance of the noise of each channel: of all of it, where only a part was whitened."""
        if self.variances is not None:
            return self.variances
        squares = abs(self.color) ** 2 if isinstance(self.color, np.ndarray) else abs(self.color).power(2)
        return np.asarray(squares.sum(axis=0)).ravel()

    def within(self, basis: AnyArray) -> "Whitening":
        """Return what whitens a part of the noise: that along orthonormal whitened directions (M, K)."""
        return Whitening(self.whiten @ basis, basis.conj().T @ self.color, self.noise)

    def removal(self, directions: AnyArray, dof: float) -> Removed:
        """Return how to remove whitened directions (M, rank) from samples, `dof` of them, that were not whitened."""
        return Removed(self.whiten @ directions, self.color.conj().T @ directions, dof)

    def of_channels_in(self, unit: FloatArray) -> "Whitening":
        """Return the whitening of the same channels counted in units (N,) of their own."""
        variances = None if self.variances is None else self.variances / unit**2
        units, inverse = scipy.sparse.diags_array(unit), scipy.sparse.diags_array(1 / unit)
        return Whitening(units @ self.whiten, self.color @ inverse, variances)

    @property
    def n_dimensions(self) -> int:
        """M, how many combinations there are."""
        return int(self.whiten.shape[1])


def _inverse(root: AnyArray) -> AnyArray:
    return np.asarray(scipy.linalg.lapack.ztrtri(root, lower=1)[0])


class WhitenedMatrix(Matrix):
    """The scatter between whitened channels, and their spectra: that of `plain` standardized ones, whitened.

    The noise of all is of one variance, one if the whitening is right; nothing is left to project out.
    """

    def __init__(self, plain: Matrix, whitening: Whitening) -> None:
        super().__init__(plain.statistics)
        self.plain, self.whitening = plain, whitening
        self.n_channels = whitening.n_dimensions
        self.total_scale = np.ones(self.n_channels)
        self.tall = self.n_channels <= self.dof
        self.null = np.zeros((self.n_channels, 0))

    @cached_property
    def samples(self) -> AnyArray | None:
        """Whitened samples (T, M), where they are held."""
        return None if self.plain.samples is None else np.asarray(self.plain.samples @ self.whitening.whiten)

    @cached_property
    def gram(self) -> AnyArray | None:
        """Their X^H X / dof, where that of the plain channels is there."""
        if self.plain.gram is None:
            return super().gram
        return np.asarray(self.whitening.whiten.conj().T @ (self.plain.gram @ self.whitening.whiten))

    def plain_factors(self, scale: FloatArray, directions: AnyArray) -> tuple[AnyArray, AnyArray]:  # noqa: ARG002
        """Return P and R, by which standardized samples X (T, N) are left with X - X P R; `scale` is common to all."""
        return self.whitening.whiten @ directions, directions.conj().T @ self.whitening.color

    def explained(self, scale: FloatArray, rank: int) -> FloatArray:
        """Return the part of each standardized channel's variance that lies in `rank` components, (N,)."""
        found = self.eigen(scale, rank)
        maps = self.whitening.color.conj().T @ found.directions
        return np.asarray(np.abs(maps) ** 2 @ found.values[:rank] * scale[0] ** 2)

    def transformed(self, rows: AnyArray) -> AnyArray:
        """Return samples (n, N) of the standardized channels whitened, in their own precision."""
        return np.asarray(rows @ self.whitening.whiten.astype(rows.dtype))

    @cached_property
    def fourier(self) -> FourierCoefficients:
        """Fourier coefficients of the whitened channels."""
        return self.plain.fourier.combined(self.whitening.whiten)
