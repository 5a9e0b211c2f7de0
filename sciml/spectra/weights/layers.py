"""What the singular values of one layer say."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sciml._typing import FloatArray
from sciml.result import Plots
from sciml.spectra.weights.change import Alignment, LayerChange
from sciml.spectra.weights.noise import NoiseTest
from sciml.spectra.weights.outliers import Outliers
from sciml.spectra.weights.power_law import PowerLaw
from sciml.spectra.weights.verdict import Verdict, effective_rank, reason_of, stable_rank, words_of

__all__ = ["LayerFacts", "LayerSpectrum"]


@dataclass(frozen=True)
class LayerFacts:
    """Which matrix it is: the fields of `sciml.spectra.matrices.Matrix` that do not hold the weights themselves."""

    name: str
    layer: str
    kind: str
    part: str
    shape: tuple[int, ...]
    matrix_shape: tuple[int, int]
    n_parameters: int
    derived: bool
    fan_in: float
    fan_out: float
    operator_norm: float | None
    operator_bound: float | None
    note: str


@dataclass(frozen=True, repr=False)
class LayerSpectrum:
    """Singular values of one weight matrix, what noise explains of them, and the verdict.

    Attributes
    ----------
    facts
        Name, kind, shapes and norms of the matrix; each is an attribute here too (`name`, `matrix_shape`, ...).
    singular_values
        (min(matrix_shape),) descending, float64.
    test
        The bulk that was fitted; `sigma`, `edge`, `bulk_distance` and others are attributes here too.
    verdict
        One of `sciml.spectra.weights.Verdict`; `words` has it with the number of directions.
    rank
        Number of outliers, after false-discovery control over the layers; None where nothing was tested, or the verdict
        is "undetermined". So are `edge`, `mp_edge`, `p_values`, and the next two.
    q_value
        Adjusted p-value of the layer (Benjamini and Hochberg).
    outliers
        Strength, interval and alignment of each outlier.
    alpha
        Level of the test, over all layers together.
    cutoff
        p-value up to which a singular value counts as an outlier, so that all layers together keep the level.
    power_law
        Fit of a power law to the squared singular values, where asked for.
    change
        What became of the start, where that is given.
    data_alignment
        How the right singular vectors of the outliers lie to the data components, where given.
    """

    facts: LayerFacts
    singular_values: FloatArray
    test: NoiseTest
    verdict: Verdict
    rank: int | None
    q_value: float | None
    outliers: Outliers | None
    alpha: float
    cutoff: float
    power_law: PowerLaw | None = None
    change: LayerChange | None = None
    data_alignment: Alignment | None = None

    plot = Plots("layer_spectrum")

    @property
    def name(self) -> str:
        """Dotted name, with the part of the layer in brackets where it has several matrices."""
        return self.facts.name

    @property
    def kind(self) -> str:
        """Type of the layer."""
        return self.facts.kind

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight as it is stored."""
        return self.facts.shape

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """Shape of the matrix that was analyzed: (n_out, n_in / groups · taps).

        Independent entries follow the Marchenko-Pastur law in that matrix; the singular values of a convolution as an
        operator are others (`operator_norm`, `sciml.spectra.convolution`).
        """
        return self.facts.matrix_shape

    @property
    def note(self) -> str:
        """How the weight became this matrix, in words."""
        return self.facts.note

    @property
    def operator_norm(self) -> float | None:
        """Norm of the layer as a linear map, where it is known exactly."""
        return self.facts.operator_norm

    @property
    def operator_bound(self) -> float | None:
        """Upper bound of that norm, where one is known."""
        return self.facts.operator_bound

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the numbers should be read with care; empty if nothing stands against them."""
        return self.test.warnings

    @property
    def tested_values(self) -> FloatArray:
        """Singular values that σ, edge and p-values belong to: those of the weights, rows and columns equalized.

        They are `singular_values` where the entries are alike; `test.unequal` says why where not.
        """
        return self.test.tested

    @property
    def sigma(self) -> float | None:
        """Standard deviation of the noise entries (of the equalized matrix); None where there is no noise."""
        return self.test.sigma

    @property
    def sigma_se(self) -> float | None:
        """Its standard error."""
        return self.test.sigma_se

    @property
    def edge(self) -> float | None:
        """Singular value that the largest of pure noise exceeds with probability `cutoff`; None without a bulk."""
        return self.test.edge(self.cutoff) if self.rank is not None else None

    @property
    def mp_edge(self) -> float | None:
        """σ (√n + √p), the end of the bulk in the limit of large matrices; None without a bulk."""
        return self.test.mp_edge if self.rank is not None else None

    @property
    def p_values(self) -> FloatArray | None:
        """As long as `tested_values`, never decreasing: the k-th tests it with the k - 1 above it taken out.

        None where nothing was tested.
        """
        return self.test.p_values if self.rank is not None else None

    @property
    def bulk_distance(self) -> float | None:
        """Largest difference (Kolmogorov-Smirnov) between the bulk and the Marchenko-Pastur law."""
        return self.test.bulk_distance

    @property
    def stable_rank(self) -> float:
        r"""Squared Frobenius norm over squared spectral norm, :math:`\sum s^2 / s_1^2`; 0 for zeros."""
        return stable_rank(self.singular_values)

    @property
    def effective_rank(self) -> float:
        """Exponential of the entropy of s / Σ s (Roy and Vetterli 2007); 0 for zeros."""
        return effective_rank(self.singular_values)

    @property
    def relative_norm(self) -> float | None:
        """Spectral norm over sqrt(fan_out / fan_in), of order one where features are learned (Yang et al. 2023)."""
        if not (self.facts.fan_in and self.facts.fan_out):
            return None
        return float(self.singular_values[0]) / float(np.sqrt(self.facts.fan_out / self.facts.fan_in))

    @property
    def reason(self) -> str:
        """Why there is no number of directions, in words; "" where there is one."""
        return reason_of(self.verdict, self.test)

    @property
    def words(self) -> str:
        """The verdict, with the number of directions or with what leaves it open."""
        return words_of(self.verdict, self.rank, self.reason)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values; rank, edge and p-values are None where nothing was tested."""
        return {
            **vars(self.facts),
            "verdict": self.verdict,
            "words": self.words,
            "rank": self.rank,
            "q_value": self.q_value,
            "alpha": self.alpha,
            "cutoff": self.cutoff,
            "singular_values": self.singular_values.tolist(),
            "tested_values": None if self.tested_values is self.singular_values else self.tested_values.tolist(),
            "unequal": self.test.unequal,
            "reason": self.reason,
            "p_values": None if self.p_values is None else self.p_values.tolist(),
            **{name: getattr(self, name) for name in _NUMBERS},
            **{name: _plain(getattr(self, name)) for name in _PARTS},
            "warnings": list(self.warnings),
        }

    def summary(self) -> str:
        """Return shape and verdict in one line."""
        rows, columns = self.matrix_shape
        return f"{self.name}: {rows} x {columns}, {self.words}"

    def __repr__(self) -> str:
        return f"LayerSpectrum({self.summary()})"


_PARTS = ("outliers", "power_law", "change", "data_alignment")
_NUMBERS = (
    "sigma", "sigma_se", "edge", "mp_edge", "bulk_distance", "stable_rank", "effective_rank", "relative_norm",
)  # fmt: skip


def _plain(value: Any) -> Any:
    return None if value is None else value.to_dict()
