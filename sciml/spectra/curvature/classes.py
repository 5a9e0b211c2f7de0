"""Class structure of the Gauss-Newton matrix of cross entropy: its outliers, predicted from means of gradients."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml._typing import FloatArray
from sciml.errors import ConfigError, DataError
from sciml.spectra.curvature.eigen import TopEigenvalues, top_eigenvalues
from sciml.spectra.curvature.estimates import trace
from sciml.spectra.curvature.operators.graphs import JacobianGraph
from sciml.spectra.curvature.operators.losses import check_labels
from sciml.spectra.curvature.operators.memory import available
from sciml.spectra.curvature.operators.operator import CurvatureOperator
from sciml.wording import count, percent, series

__all__ = ["ClassStructure", "class_structure"]


@dataclass(frozen=True, repr=False)
class ClassStructure:
    r"""Parts of G = sum over items i and labels c' of w_ic' g_ic' g_ic'^T, g_ic' the gradient if the label were c'.

    Attributes
    ----------
    weights
        Total weight (C, C) of the items of class c (row) for label c' (column): mean probability, over all items.
    class_eigenvalues
        Of the part of the class means, (C,): the C outliers, of which one may be small. A class without items adds
        none.
    cross_eigenvalues
        Of the part of the means for pairs of class and label about the class means, at most C (C - 2) of them not zero.
    predicted
        Of both parts together, descending: eigenvalue by eigenvalue a lower bound on those of G.
    measured
        The largest eigenvalues of G by Lanczos.
    in_class_span, in_pair_span
        Part (0 to 1) of each measured eigenvector in the span of the class means, and of all pairs' means.
    total, total_error
        Trace of G and its standard error; what class and cross parts do not hold is variation within classes, and the
        terms of an item's own label.
    """

    n_classes: int
    weights: FloatArray
    class_eigenvalues: FloatArray
    cross_eigenvalues: FloatArray
    predicted: FloatArray
    measured: TopEigenvalues
    in_class_span: FloatArray
    in_pair_span: FloatArray
    total: float
    total_error: float

    def __repr__(self) -> str:
        return f"<ClassStructure of {self.n_classes} classes: {series([f'{each:.4g}' for each in self.predicted[:4]])}>"

    @property
    def n_present(self) -> int:
        """Classes that items are of: the others have weights of zero and add nothing."""
        return int((self.weights.sum(1) > 0).sum())

    @property
    def explained(self) -> FloatArray:
        """Predicted over measured, for each measured eigenvalue."""
        k = min(len(self.measured.values), self.n_present * (self.n_classes - 1))
        return np.asarray(self.predicted[:k] / self.measured.values[:k])

    def summary(self) -> str:
        """Return what the means of gradients explain of the outliers, and of the trace."""
        aligned = percent(float(self.in_class_span.mean()))
        held = self.class_eigenvalues.sum() / self.total, self.cross_eigenvalues.sum() / self.total
        absent = self.n_classes - self.n_present
        without = f" ({absent} of them without items)" if absent else ""
        return (
            f"Gauss-Newton matrix of {count(self.n_classes, 'class')}{without}: "
            f"the class means hold {percent(held[0])} of its trace, "
            f"means of class and label about them {percent(held[1])}; without an eigensolve they give "
            f"{percent(float(self.explained.min()))} to {percent(float(self.explained.max()))} of its "
            f"{len(self.explained)} largest eigenvalues, whose vectors lie to {aligned} "
            f"in the span of the class means (mean)."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "n_classes": self.n_classes,
            "weights": self.weights.tolist(),
            "class_eigenvalues": self.class_eigenvalues.tolist(),
            "cross_eigenvalues": self.cross_eigenvalues.tolist(),
            "predicted": self.predicted.tolist(),
            "measured": self.measured.to_dict(),
            "in_class_span": self.in_class_span.tolist(),
            "in_pair_span": self.in_pair_span.tolist(),
            "trace": self.total,
            "trace_error": self.total_error,
        }

    def variables(self) -> dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]]:
        """Return arrays by name with dims and attributes."""
        predicted = {"long_name": "Eigenvalue predicted from means of gradients", "units": "1"}
        return {
            "class_eigenvalue": (("class",), self.class_eigenvalues, {"long_name": "Class part", "units": "1"}),
            "predicted_eigenvalue": (("pair",), self.predicted, predicted),
            "label_weight": (("class", "label"), self.weights, {"long_name": "Mean probability", "units": "1"}),
        }


def class_structure(
    operator: CurvatureOperator, *, top: TopEigenvalues | None = None, n_products: int = 30, rng: int = 0
) -> ClassStructure:
    r"""Return the class structure of a Gauss-Newton matrix of cross entropy, beside its eigenvalues by Lanczos.

    With p_c' the probability of label c' for an item of class c, G is the second moment, of weight p_c', of the
    gradients g_{icc'}. For c' \ne c their means over items, :math:`\delta_{cc'}`, and the means of those over labels,
    :math:`\delta_c`, split it:

    .. math::
        G = \sum_c w_c \delta_c \delta_c^T
            + \sum_{c \ne c'} w_{cc'} (\delta_{cc'} - \delta_c)(\delta_{cc'} - \delta_c)^T
            + G_\text{within} + G_{c = c'}

    all positive semi-definite. Outliers come from the first two, whose eigenvalues are those of small Gram matrices of
    C (C - 1) vectors, each of one backward pass.

    Parameters
    ----------
    operator
        `gauss_newton(model, "cross_entropy", data)` or `fisher(...)`, with integer labels.
    top
        Its largest eigenvalues, if they are known; default as many as there are classes with items.
    n_products
        For the trace; see `trace`.
    rng
        Seed.

    Raises
    ------
    ConfigError
        Another kind of operator, fewer than two classes, or more than memory holds.
    DataError
        Labels that are none of the classes, or a matrix of zeros.

    References
    ----------
    Papyan (2020), Traces of class/cross-class structure pervade deep learning spectra, JMLR 21(252), section 3.

    Examples
    --------
    >>> from sciml.spectra.curvature import gauss_newton
    >>> X, y = torch.eye(3), torch.arange(3)
    >>> found = class_structure(gauss_newton(torch.nn.Linear(3, 3, bias=False), "cross_entropy", (X, y)))
    >>> found.n_classes, bool((found.explained < 1.001).all())
    (3, True)
    """
    if operator.kind not in ("Gauss-Newton matrix", "Fisher information"):
        raise ConfigError(f"expected a Gauss-Newton matrix of cross entropy, got a {operator.kind}")
    operator.alone("the class structure")
    sums, weights = _sums(operator)
    C = len(weights)
    chosen = ~np.eye(C, dtype=bool)
    w = np.where(chosen, weights, 0.0)
    pairs = sums / _divisors(weights, sums)[..., None]
    means = (sums * torch.as_tensor(chosen, dtype=sums.dtype, device=sums.device)[..., None]).sum(1)
    of_items = w.sum(1)
    means = means / _divisors(of_items, means)[:, None]
    of_class = means * _roots(of_items, means)
    of_pairs = pairs[torch.as_tensor(chosen)]
    all_pairs = of_pairs * _roots(w[chosen], of_pairs)
    row = torch.as_tensor(np.nonzero(chosen)[0])
    about = (of_pairs - means[row]) * _roots(w[chosen], of_pairs)
    k = min(int((of_items > 0).sum()), operator.shape[0])
    measured = top_eigenvalues(operator, k, which="largest", rng=rng) if top is None else top
    whole = trace(operator, n_products=n_products, rng=rng)
    if not whole.value > 0:
        raise DataError("expected a Gauss-Newton matrix that is not zero: every item is classified with certainty")
    return ClassStructure(
        n_classes=C,
        weights=weights,
        class_eigenvalues=_gram_values(of_class),
        cross_eigenvalues=_gram_values(about),
        predicted=_gram_values(all_pairs),
        measured=measured,
        in_class_span=_part_in(measured.vectors, of_class),
        in_pair_span=_part_in(measured.vectors, all_pairs),
        total=whole.value,
        total_error=whole.standard_error,
    )


def _sums(operator: CurvatureOperator) -> tuple[Tensor, FloatArray]:
    """Return gradients (C, C, n) summed over the items of class c for label c' by weight p_c' / W, and the weights."""
    sums, weights = torch.zeros(0, 0, 0), torch.zeros(0, 0)
    layout, function, total = operator.layout, operator.function, 0.0
    for i, batch in operator._own_batches():
        with function.kernels():
            z = function(batch, i)
            if z.ndim != 2 or batch.targets.ndim != 1 or batch.targets.is_floating_point():
                raise ConfigError("expected logits (batch, class) and integer labels (batch,) for the class structure")
            C = z.shape[1]
            check_labels(batch.targets, C)
            if not len(weights):
                _check_room(operator, C)
                sums = torch.zeros(C, C, layout.n, dtype=operator.dtype, device=operator.device)
                weights = torch.zeros(C, C, dtype=torch.float64)
            p = z.detach().softmax(1)
            by_item = torch.ones(len(z)) if batch.weights is None else batch.weights
            total += float(by_item.sum())
            graph = JacobianGraph(z, function.parameters)
            for c in batch.targets.unique().tolist():
                own = (batch.targets == c) * by_item.to(p)
                weights[c] += (own[:, None] * p).sum(0).double().cpu()
                for label in range(C):
                    middle = (own * p[:, label])[:, None] * (p - torch.eye(C).to(p)[label])
                    sums[c, label] += layout.join(graph.backward(middle)).to(sums.dtype)
    return sums / total, np.asarray(weights.numpy() / total)


def _check_room(operator: CurvatureOperator, C: int) -> None:
    if C < 2:
        raise ConfigError(f"expected logits of at least two classes, got {C}")
    need = C * C * operator.shape[0] * operator.dtype.itemsize
    if need > available(operator.device):
        raise ConfigError(
            f"expected memory for {C * C} vectors ({need / 2**30:.1f} GiB), got less; name fewer parameters, such as "
            "those of the last layers"
        )


def _divisors(weights: FloatArray, vectors: Tensor) -> Tensor:
    """Return the weights; one where nothing has weight, or so little that the vectors' dtype does not hold it."""
    some = weights > torch.finfo(vectors.dtype).tiny
    return torch.as_tensor(np.where(some, weights, 1.0), dtype=vectors.dtype, device=vectors.device)


def _roots(weights: FloatArray, vectors: Tensor) -> Tensor:
    return torch.as_tensor(np.sqrt(weights), dtype=vectors.dtype, device=vectors.device)[:, None]


def _gram_values(rows: Tensor) -> FloatArray:
    """Return the eigenvalues of rows^T rows that can differ from zero, descending."""
    gram = (rows @ rows.T).double().cpu().numpy()
    return np.asarray(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0))


def _part_in(vectors: Tensor, rows: Tensor) -> FloatArray:
    """Return the squared length of the parts of unit columns in the span of some rows."""
    U, s, _ = torch.linalg.svd(rows.T.double(), full_matrices=False)
    basis = U[:, s > 1e-6 * s.max()]
    return np.asarray((basis.T @ vectors.double()).square().sum(0).cpu().numpy())
