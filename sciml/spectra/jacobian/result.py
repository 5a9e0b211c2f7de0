"""What is known of the Jacobians of a net on a sample."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sciml._typing import FloatArray
from sciml.theory.products import ProductLaw

__all__ = ["JacobianSpectrum"]

Variables = dict[str, tuple[tuple[str, ...], FloatArray, dict[str, str]]]


@dataclass(frozen=True, repr=False, eq=False)
class JacobianSpectrum:
    r"""Singular values of the Jacobian at each input of a sample.

    Attributes
    ----------
    start, end
        The points between which: names of modules, or "input" and "output".
    n_in, n_out
        Entries at both, of one input.
    singular_values
        (sample, index), descending: all min(n_in, n_out), or the largest ones.
    errors
        (sample, index): bounds of their errors; zeros where they are exact.
    exact
        Whether the whole Jacobians were formed.
    squared_gain
        (sample) Σ s² / n_in: the squared length of J v for a random unit vector v, expected. Exact, or estimated with
        random vectors. (The mean of the squared singular values themselves is n_in / min(n_in, n_out) times that.)
    squared_gain_se
        Standard error of its mean over the sample, the scatter over the inputs included.
    law
        The law of random weights of the same variances, at the start of training where the net's start was given; None
        where it is not known.
    expected_squared_gain, expected_band
        What theory expects of the squared gain, NaN where it is not known, and the band of single nets
        of these widths (two standard deviations of its logarithm), where that is known.
    note
        Why there is no law.
    """

    start: str
    end: str
    n_in: int
    n_out: int
    singular_values: FloatArray
    errors: FloatArray
    exact: bool
    squared_gain: FloatArray
    squared_gain_se: float
    law: ProductLaw | None
    expected_squared_gain: float
    expected_band: tuple[float, float]
    note: str

    @cached_property
    def expected(self) -> FloatArray | None:
        """Median of each singular value by the law, descending: the quantile at (i + 1/2) / n_in."""
        if self.law is None:
            return None
        levels = 1.0 - (np.arange(self.singular_values.shape[1]) + 0.5) / self.n_in
        return np.sqrt(self.law.ppf(np.maximum(levels, 0.0)))

    @cached_property
    def distance(self) -> float | None:
        """Largest difference between the shares of values up to x, measured and by the law; None unless exact."""
        if self.law is None or not self.exact:
            return None
        values = np.sort(self.singular_values.ravel())
        total = self.n_in * self.singular_values.shape[0]
        zeros = (
            total - values.size + int(np.searchsorted(values, 1e-6 * values[-1]))
        )  # rounding of products counts as 0
        above = np.arange(zeros + 1, total + 1) / total
        cdf = np.asarray(self.law.cdf(values[values.size - above.size :] ** 2))
        return float(np.max(np.maximum(np.abs(above - cdf), np.abs(above - 1.0 / total - cdf)), initial=0.0))

    @property
    def largest(self) -> float:
        """Largest singular value at any input of the sample."""
        return float(self.singular_values.max())

    @property
    def condition(self) -> float | None:
        """Median over the sample of largest over smallest; None unless exact."""
        if not self.exact:
            return None
        smallest = self.singular_values[:, -1]
        ratios = self.singular_values[:, 0] / np.where(smallest > 0, smallest, np.nan)
        return float(np.nanmedian(ratios)) if np.isfinite(ratios).any() else float("inf")

    def __repr__(self) -> str:
        return f"JacobianSpectrum({self.summary()})"

    def summary(self) -> str:
        """Return sizes, largest value and squared gain in a line, and what the law says of them."""
        shape = f"{self.start} to {self.end}: {self.n_out} x {self.n_in} at {len(self.singular_values)} inputs"
        measured = float(self.squared_gain.mean())
        text = f"{shape}, largest singular value {self.largest:.4g}, squared gain {measured:.4g}"
        if not math.isfinite(self.expected_squared_gain):
            return text
        edge = "" if self.law is None else f", largest {self.law.support[1] ** 0.5:.4g}"
        return f"{text}; random weights: squared gain {self.expected_squared_gain:.4g}{edge}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "start": self.start,
            "end": self.end,
            "n_in": self.n_in,
            "n_out": self.n_out,
            "singular_values": self.singular_values.tolist(),
            "errors": self.errors.tolist(),
            "exact": self.exact,
            "largest": self.largest,
            "squared_gain": self.squared_gain.tolist(),
            "squared_gain_se": self.squared_gain_se,
            "law_edge": None if self.law is None else float(np.sqrt(self.law.support[1])),
            "expected_squared_gain": _known(self.expected_squared_gain),
            "expected_band": [_known(each) for each in self.expected_band],
            "law_singular_values": None if self.expected is None else self.expected.tolist(),
            "law_distance": self.distance,
            "note": self.note,
        }

    def variables(self) -> Variables:
        """Return arrays over named dims with attributes."""
        found: Variables = {
            "singular_value": (("sample", "index"), self.singular_values, {"long_name": "singular value of J"}),
            "error": (("sample", "index"), self.errors, {"long_name": "bound of the error of the singular value"}),
            "squared_gain": (("sample",), self.squared_gain, {"long_name": "squared gain of J on a random direction"}),
        }
        if self.expected is not None:
            label = {"long_name": "singular value of J for random weights"}
            found["law_singular_value"] = (("index",), self.expected, label)
        return found


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
