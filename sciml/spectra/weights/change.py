"""What became of the start: the spectrum of W - W0, and how its directions, or outliers, lie to those of the data."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
import torch
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.spectra.weights.noise import NoiseTest, noise_test
from sciml.spectra.weights.singular import leading, singular_values
from sciml.spectra.weights.verdict import Verdict, effective_rank, reason_of, stable_rank, verdict_of, words_of

__all__ = ["Alignment", "LayerChange", "alignment", "layer_change"]


@dataclass(frozen=True)
class Alignment:
    """How much of each direction among the inputs lies in the span of given data components.

    Attributes
    ----------
    squared_cosines
        (k,) squared norm of the projection of each direction, strongest first.
    chance
        Its expectation for a direction that has nothing to do with the data: dim of the span / n_in.
    p_values
        (k,) probability that such a direction reaches the value: it follows Beta(d / 2, (n_in - d) / 2).
    """

    squared_cosines: FloatArray
    chance: float
    p_values: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        plain = {name: getattr(self, name).tolist() for name in ("squared_cosines", "p_values")}
        return {**plain, "chance": self.chance}


def alignment(vectors: ArrayLike, components: ArrayLike) -> Alignment:
    """Compare directions with the span of data components.

    Parameters
    ----------
    vectors
        (n_in, k), orthonormal: right singular vectors.
    components
        (n_components, n_in), such as principal components of what the layer is given; any scale, any independence.

    Raises
    ------
    ConfigError
        Components of another length.

    Examples
    --------
    >>> found = alignment(np.eye(10)[:, :2], np.eye(10)[:1] * 3.0)
    >>> found.squared_cosines.tolist(), found.chance
    ([1.0, 0.0], 0.1)
    """
    v = np.asarray(vectors, dtype=np.float64)
    data = np.atleast_2d(np.asarray(components, dtype=np.float64))
    if data.shape[1] != v.shape[0]:
        raise ConfigError(
            f"expected data components (n_components, {v.shape[0]}), one number an input of the layer, got {data.shape}"
        )
    _, s, basis = np.linalg.svd(data, full_matrices=False)
    basis = basis[s > s[0] * max(data.shape) * np.finfo(np.float64).eps]
    n, d = v.shape[0], len(basis)
    squared = np.minimum(np.sum((basis @ v) ** 2, axis=0), 1.0)
    p = np.ones(v.shape[1]) if d == n else scipy.stats.beta.sf(squared, d / 2, (n - d) / 2)
    return Alignment(squared, d / n, np.asarray(p, dtype=np.float64))


@dataclass(frozen=True)
class LayerChange:
    """What training added to the start of a layer: the matrix W - W0.

    Attributes
    ----------
    singular_values
        Of the change, descending.
    relative_size
        Frobenius norm of the change over that of the start; None where the start is zero.
    stable_rank, effective_rank
        Of the change.
    test
        The change against noise of its own size, as for weights: noise is what the many steps of training added without
        direction.
    verdict, rank
        As for weights, at the level of this layer by itself.
    outlier_overlap
        Squared cosine, mean over the outliers of W, of their right singular vectors and the leading ones of the change,
        as many: near 1 where the outliers are what training added, small where they were there before. None without
        outliers.
    data_alignment
        How the leading directions of the change (its outliers, at least one) lie to the data components, where given.
    """

    singular_values: FloatArray
    relative_size: float | None
    stable_rank: float
    effective_rank: float
    test: NoiseTest
    verdict: Verdict
    rank: int | None
    outlier_overlap: float | None = None
    data_alignment: Alignment | None = None

    @property
    def words(self) -> str:
        """The verdict, with the number of directions or with what leaves it open."""
        return words_of(self.verdict, self.rank, reason_of(self.verdict, self.test))

    def summary(self) -> str:
        """Return size and rank of the change in one line."""
        size = "start of zeros" if self.relative_size is None else f"{100 * self.relative_size:.3g} % of the start"
        return f"change of {size}, effective rank {self.effective_rank:.3g}: {self.words}"

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values."""
        return {
            "singular_values": self.singular_values.tolist(),
            "relative_size": self.relative_size,
            "stable_rank": self.stable_rank,
            "effective_rank": self.effective_rank,
            "verdict": self.verdict,
            "words": self.words,
            "rank": self.rank,
            "outlier_overlap": self.outlier_overlap,
            "data_alignment": None if self.data_alignment is None else self.data_alignment.to_dict(),
        }

    def __repr__(self) -> str:
        return f"LayerChange({self.summary()})"


def layer_change(
    weights: torch.Tensor, start: torch.Tensor, *, n_outliers: int, components: ArrayLike | None, alpha: float
) -> LayerChange:
    """Return what became of a matrix `start`; `n_outliers` are those of `weights`."""
    change = weights - start
    values = singular_values(change)
    test = noise_test(change, values, alpha)
    rank = None if test.p_values is None else int(np.count_nonzero(test.p_values <= alpha))
    verdict = verdict_of(test, rank, significant=bool(rank))
    if verdict in ("no noise bulk left", "undetermined"):
        rank = None
    size, moved = float(torch.linalg.matrix_norm(start)), values[0] > 0
    k = max(rank or 0, 1)
    return LayerChange(
        values,
        float(np.linalg.norm(values)) / size if size > 0 else None,
        stable_rank(values),
        effective_rank(values),
        test,
        verdict,
        rank,
        _overlap(weights, change, n_outliers) if moved and n_outliers else None,
        alignment(leading(change, k).right, components) if moved and components is not None else None,
    )


def _overlap(weights: torch.Tensor, change: torch.Tensor, k: int) -> float:
    both = leading(weights, k).right.mT @ leading(change, k).right
    return float(both.square().sum()) / k
