"""A spectrum and the shape of the matrix that it belongs to: the one argument of rules, levels and shrinkage."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml._typing import FloatArray
from sciml.errors import ConfigError, DataError
from sciml.rmt import checks

__all__ = ["Field", "Spectra", "Spectrum"]

Field = Literal["real", "complex"]


@dataclass(frozen=True, eq=False)
class Spectrum:
    r"""Eigenvalues of :math:`X^H X / n` with the shape of X, (n_samples, n_features), and the field of its entries.

    Parameters
    ----------
    values
        Eigenvalues, shape (k,), in any order; they are held in descending order. Those that are zero for want of
        samples may be left out.
    n_features, n_samples
        Both sides of X; of demeaned data one sample less.
    field
        "real" or "complex": whether an entry is worth one number or two.

    Raises
    ------
    DataError
        Eigenvalues that are negative, not finite or none at all.
    ConfigError
        A side below one, or another field.

    Examples
    --------
    >>> spectrum = Spectrum([0.5, 2.0, 1.0], n_features=3, n_samples=12)
    >>> spectrum.values.tolist(), spectrum.gamma, spectrum.sides
    ([2.0, 1.0, 0.5], 0.25, (3, 12))
    """

    values: FloatArray
    n_features: int
    n_samples: int
    field: Field

    def __init__(self, values: ArrayLike, n_features: int, n_samples: int, field: Field = "real") -> None:
        if field not in ("real", "complex"):
            raise ConfigError(f'expected the field "real" or "complex", got {field!r}')
        p, n = checks.shape(n_features, n_samples)
        object.__setattr__(self, "values", checks.spectrum("eigenvalues", values))
        object.__setattr__(self, "n_features", p)
        object.__setattr__(self, "n_samples", n)
        object.__setattr__(self, "field", field)

    @property
    def gamma(self) -> float:
        """n_features / n_samples."""
        return self.n_features / self.n_samples

    @property
    def complex_data(self) -> bool:
        """Whether the entries are complex."""
        return self.field == "complex"

    @property
    def sides(self) -> tuple[int, int]:
        """Short and long side of the matrix whose nonzero singular values these are.

        Raises
        ------
        DataError
            Fewer eigenvalues than the short side: the median of some is not the median of all.
        """
        short, long = sorted((self.n_features, self.n_samples))
        n_values = self.values.size
        demeaned = self.n_features >= self.n_samples and n_values == self.n_samples - 1
        if n_values != short and not demeaned:
            raise DataError(
                f"expected all {short} eigenvalues of {self.n_features} features and {self.n_samples} samples, got "
                f"{n_values}; the median of some of them is not the median of all: compute the full spectrum"
            )
        return n_values, long

    @property
    def by_long_side(self) -> FloatArray:
        """Eigenvalues of X^H X divided by the long side, which X and its transpose have in common."""
        return self.values * self.n_samples / self.sides[1]


@dataclass(frozen=True, eq=False)
class Spectra:
    """Eigenvalues of X^H X, not divided by anything, of many small matrices X of one shape, with that shape.

    Parameters
    ----------
    scatter
        Descending, shape (batch, short side).
    n_features, n_samples
        Both sides of X; of demeaned data one sample less.
    field
        "real" or "complex".

    Raises
    ------
    DataError
        A number of eigenvalues that is not the short side, or one that is not finite.
    ConfigError
        A side below one.

    Examples
    --------
    >>> Spectra(np.array([[9.0, 4.0], [2.0, 1.0]]), n_features=2, n_samples=10).sides
    (2, 10)
    """

    scatter: FloatArray
    n_features: int
    n_samples: int
    field: Field

    def __init__(self, scatter: NDArray[np.floating], n_features: int, n_samples: int, field: Field = "real") -> None:
        p, n = checks.shape(n_features, n_samples)
        if scatter.ndim != 2 or scatter.shape[1] != min(p, n):
            raise DataError(
                f"expected {min(p, n)} eigenvalues a spectrum for sides {(p, n)}, got an array of shape {scatter.shape}"
            )
        if not np.isfinite(scatter).all():
            raise DataError("expected finite eigenvalues; leave out missing samples before the decomposition")
        object.__setattr__(self, "scatter", np.maximum(scatter.astype(np.float64), 0.0))
        object.__setattr__(self, "n_features", p)
        object.__setattr__(self, "n_samples", n)
        object.__setattr__(self, "field", field)

    @property
    def complex_data(self) -> bool:
        """Whether the entries are complex."""
        return self.field == "complex"

    @property
    def sides(self) -> tuple[int, int]:
        """Short and long side of the matrices."""
        short, long = sorted((self.n_features, self.n_samples))
        return short, long
