"""Neural collapse: how far the features of a classifier have come down to one point a class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import AnyArray, FloatArray
from sciml.errors import DataError

__all__ = ["Collapse", "neural_collapse"]

GROUPS = 10  # parts of the jackknife


@dataclass(frozen=True)
class Collapse:
    r"""Measures of neural collapse; all are 0 where it is complete.

    Attributes
    ----------
    within, within_se
        NC1: tr(Σ_W Σ_B^+) / C, the scatter within the classes over that between their means, and its standard error
        over the sample (jackknife).
    norms, angles
        NC2: standard deviation over mean of the lengths of the class means, from the mean of all; mean of
        abs(cos + 1/(C - 1)) over pairs of them. None of two classes, of which both are always 0.
    duality
        NC3: ‖ W^T/‖W‖ - M/‖M‖ ‖ of the last layer's weights W and the class means M; None without weights.
    disagreement
        NC4: fraction of the sample whose nearest class mean is another class than the net decides for; None without
        decisions.
    n_classes, n_samples
        What was measured.
    """

    within: float
    within_se: float
    norms: float | None
    angles: float | None
    duality: float | None
    disagreement: float | None
    n_classes: int
    n_samples: int

    def summary(self) -> str:
        """Return the measures in a line."""
        rest = "" if self.duality is None else f", weights against means {self.duality:.3g}"
        rest += "" if self.disagreement is None else f", nearest mean disagrees in {100 * self.disagreement:.1f} %"
        means = "" if self.norms is None else f", lengths {self.norms:.3g}, angles {self.angles:.3g}"
        return f"within over between {self.within:.3g} ± {self.within_se:.1g}{means}{rest}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**vars(self)}


def neural_collapse(
    features: ArrayLike, labels: ArrayLike, *, weight: ArrayLike | None = None, decisions: ArrayLike | None = None
) -> Collapse:
    r"""Measure neural collapse of features with labels.

    With h of mean μ, class means μ_c, M_c = μ_c - μ, Σ_W = mean of (h - μ_c)(h - μ_c)^T over all samples and
    Σ_B = mean of M_c M_c^T over the classes,

    .. math:: NC_1 = \frac1C \mathrm{tr}(\Sigma_W \Sigma_B^+)

    Parameters
    ----------
    features
        (sample, unit).
    labels
        (sample) class of each, whole numbers; classes without samples are left out.
    weight
        (class, unit) of the linear layer that reads the features, a row for each class from 0 on.
    decisions
        (sample) class that the net decides for.

    Raises
    ------
    DataError
        Shapes that do not fit, values that are not finite, fewer than two classes, or a class of a single sample: it
        would count as collapsed.

    References
    ----------
    Papyan, Han, Donoho (2020), doi:10.1073/pnas.2015509117.

    Examples
    --------
    >>> collapsed = np.repeat(np.eye(3), 4, axis=0)
    >>> found = neural_collapse(collapsed, np.repeat([0, 1, 2], 4))
    >>> max(found.within, found.norms or 0.0, found.angles or 0.0) < 1e-12
    True
    """
    h, y = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if h.ndim != 2 or y.shape != h.shape[:1] or not np.isfinite(h).all():
        raise DataError(f"expected finite features (sample, unit) and a label each, got {h.shape} and {y.shape}")
    classes, index = np.unique(y, return_inverse=True)
    if classes.size < 2:
        raise DataError(f"expected at least two classes, got {classes.size}")
    if np.bincount(index).min() < 2:
        raise DataError("expected at least two samples of each class, got one of some; take a larger sample")
    means = np.stack([h[index == c].mean(axis=0) for c in range(classes.size)])
    centered = means - means.mean(axis=0)
    lengths = np.linalg.norm(centered, axis=1)
    nonzero = float(lengths.mean())
    return Collapse(
        within=_within(h - means[index], centered),
        within_se=_jackknife(h, index),
        norms=None if len(means) == 2 else float(lengths.std() / nonzero) if nonzero > 0 else float("nan"),
        angles=None if len(means) == 2 else _angles(centered, lengths),
        duality=None if weight is None else _duality(np.asarray(weight, dtype=np.float64), centered, classes),
        disagreement=None if decisions is None else _disagreement(h, means, classes, np.asarray(decisions)),
        n_classes=int(classes.size),
        n_samples=int(y.size),
    )


def _within(scatter: FloatArray, centered: FloatArray) -> float:
    """Return tr(Σ_W Σ_B^+) / C in the span of the class means: no matrix of units by units is formed."""
    n_classes = len(centered)
    _, s, vt = np.linalg.svd(centered / np.sqrt(n_classes), full_matrices=False)
    used = s > s[0] * 1e-10 if s[0] > 0 else np.zeros(s.shape, dtype=bool)
    if not used.any():
        return float("inf")
    along = scatter @ vt[used].T / s[used]
    return float(np.mean(np.sum(along**2, axis=1)) / n_classes)


def _jackknife(h: FloatArray, index: AnyArray) -> float:
    """Return the standard error of `within`, leaving out a part of each class in turn."""
    place = np.empty(len(index), dtype=int)
    for c in range(int(index.max()) + 1):
        place[index == c] = np.arange(np.count_nonzero(index == c))
    n_parts = int(min(GROUPS, np.bincount(index).min()))
    found = []
    for part in range(n_parts):
        kept, of = h[place % n_parts != part], index[place % n_parts != part]
        means = np.stack([kept[of == c].mean(axis=0) for c in range(int(index.max()) + 1)])
        found.append(_within(kept - means[of], means - means.mean(axis=0)))
    return float(np.std(found) * np.sqrt(n_parts - 1))


def _angles(centered: FloatArray, lengths: FloatArray) -> float:
    if not (lengths > 0).all():
        return float("nan")
    unit = centered / lengths[:, None]
    pairs = np.triu_indices(len(unit), 1)
    value = float(np.mean(np.abs((unit @ unit.T)[pairs] + 1.0 / (len(unit) - 1))))
    return value if value > 1e-15 else 0.0


def _duality(weight: FloatArray, centered: FloatArray, classes: FloatArray) -> float | None:
    numbered = np.issubdtype(classes.dtype, np.integer) and classes.min() >= 0 and classes.max() < len(weight)
    if weight.ndim != 2 or weight.shape[1] != centered.shape[1] or not numbered:
        return None
    w = weight[classes.astype(int)]
    sizes = np.linalg.norm(w), np.linalg.norm(centered)
    return float(np.linalg.norm(w / sizes[0] - centered / sizes[1])) if min(sizes) > 0 else None


def _disagreement(h: FloatArray, means: FloatArray, classes: FloatArray, decisions: FloatArray) -> float:
    distance = (means**2).sum(axis=1) - 2.0 * h @ means.T  # up to |h|², the same for all classes
    return float(np.mean(classes[np.argmin(distance, axis=1)] != decisions))
