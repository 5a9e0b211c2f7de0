"""A last layer that is solved, not drawn: ridge on the features that the net has when it starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sciml._typing import FloatArray
from sciml.errors import DataError
from sciml.nn.init.rules import Net

__all__ = ["Readout", "checked_targets", "solve_readout"]

PENALTIES = tuple(float(each) for each in np.geomspace(1e1, 1e-3, 9))  # of standardized features, times n
TINY = 1e-6  # penalty of the intercepts, which would run away where a class is absent
MAX_FEATURES = 128  # principal components that are kept of more
STOP = {"maxiter": 100, "ftol": 1e-7, "gtol": 1e-5}
FOLDS = 5
CLEARLY = 2.0  # standard errors
NOTABLE = 0.01  # of chance
NOTHING = 1e-3  # of loss: the chance of one class has none


@dataclass(frozen=True, eq=False)
class Readout:
    """A linear map from features to outputs, and what cross-validation says of it.

    Attributes
    ----------
    weight, bias
        (n_outputs, n_features) and (n_outputs,).
    penalty
        Ridge penalty on standardized features, in units of the number of samples.
    loss, chance
        Cross-validated loss a sample, and that of the best constant: cross entropy of classes, squared error of numbers
        of variance one.
    standard_error
        Of loss - chance.
    """

    weight: FloatArray
    bias: FloatArray
    penalty: float
    loss: float
    chance: float
    standard_error: float

    @property
    def clearly_better(self) -> bool:
        """Whether the loss is below chance by more than two standard errors, and by more than a hundredth."""
        return self.chance - self.loss > max(CLEARLY * self.standard_error, NOTABLE * self.chance, NOTHING)

    def summary(self) -> str:
        """Say what was found, in one sentence."""
        verdict = "solved" if self.clearly_better else "zero, for that is not clearly below chance"
        return (
            f"last layer: {verdict}; cross-validated loss {self.loss:.3f} where chance has {self.chance:.3f} "
            f"(difference {self.loss - self.chance:+.3f} +- {self.standard_error:.3f})"
        )


def checked_targets(net: Net) -> torch.Tensor | None:
    """Return the targets of a sample as a tensor, or None where none were given.

    Raises
    ------
    DataError
        Labels that no class has, nothing but NaN, or not as many targets, or units, as items in the sample.
    """
    if net.targets is None:
        return None
    targets = torch.as_tensor(net.targets)
    targets = targets.long() if targets.dtype == torch.bool else targets
    sizes = [len(each) for each in _tensors(net.sample) if each.ndim > 0]
    if sizes and len(targets) != sizes[0]:
        raise DataError(f"expected one target an item of the sample, got {len(targets)} for {sizes[0]} items")
    if net.groups is not None and len(net.groups) != len(targets):
        raise DataError(f"expected the unit of each item in groups, got {len(net.groups)} for {len(targets)} items")
    if targets.is_floating_point() and not targets.isfinite().any():
        raise DataError("expected targets with values, got none that is finite")
    last = [layer.slot.weight.shape[0] for layer in net.structure.layers if layer.gives_output]
    labels = not targets.is_floating_point() and targets.ndim == 1 and targets.numel() > 0
    if labels and len(last) == 1 and not 0 <= int(targets.min()) <= int(targets.max()) < last[0]:
        low, high = int(targets.min()), int(targets.max())
        raise DataError(
            f"expected labels from 0 to {last[0] - 1}, one for each output, got {low} to {high}; give numbers as "
            "floating point"
        )
    return targets


def _tensors(sample: Any) -> list[torch.Tensor]:
    values = (
        sample.values() if isinstance(sample, Mapping) else sample if isinstance(sample, (tuple, list)) else [sample]
    )
    return [torch.as_tensor(each) for each in values if isinstance(each, (torch.Tensor, np.ndarray))]


def solve_readout(
    features: torch.Tensor, targets: torch.Tensor, n_outputs: int, *, groups: Sequence[int] | None = None, seed: int = 0
) -> Readout:
    r"""Return the ridge readout of features, its penalty by cross-validation, and whether it beats chance.

    Classes: :math:`\min_{W,b} \frac1n \sum_i -\log p_{y_i}(W z_i + b) + \frac\lambda2 |W|^2`, of standardized features
    z; numbers: the same with half the squared error of standardized targets. Of the penalties within one standard error
    of the best, the largest is taken: what a deep net adds later needs room.

    Parameters
    ----------
    features
        (n_samples, n_features).
    targets
        (n_samples,) whole numbers below `n_outputs`, or floating-point (n_samples, n_outputs) where NaN is not there.
    n_outputs
        Outputs of the layer.
    groups
        (n_samples,) unit of each sample; units stay together in cross-validation, for neighbors are alike.
    seed
        Of the folds.

    Raises
    ------
    DataError
        Features that are not finite, or no two units or samples.

    References
    ----------
    Hastie, Tibshirani, Friedman (2009), The elements of statistical learning, sections 3.4.1, 4.4.4 and 7.10.1 (the
    rule of one standard error).

    Examples
    --------
    >>> x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    >>> found = solve_readout(x, (x[:, 0] > 0).long(), 2)
    >>> found.clearly_better, found.weight.shape, found.loss < found.chance / 2
    (True, (2, 5), True)
    """
    z, mean, back = _reduced(features)
    problem = _Numbers(targets, n_outputs) if targets.is_floating_point() else _Classes(targets, n_outputs)
    folds = _folds(len(z), groups, seed)
    losses = _cross_validated(problem, z, folds)
    chance = _cross_validated(problem, z[:, :0], folds)[0]
    chosen = _largest_within_one_error(losses)
    W, b = problem.path(z, np.arange(len(z)))[chosen]
    weight = W @ back
    return Readout(
        weight=weight,
        bias=b - weight @ mean,
        penalty=PENALTIES[chosen],
        loss=float(losses[chosen].mean()),
        chance=float(chance.mean()),
        standard_error=_error(losses[chosen] - chance, groups),
    )


Solution = tuple[FloatArray, FloatArray]


class _Classes:
    def __init__(self, targets: torch.Tensor, n_outputs: int) -> None:
        self.labels = targets.detach().cpu().numpy()
        self.n_outputs = n_outputs

    def path(self, z: FloatArray, rows: NDArray[np.intp]) -> list[Solution]:
        """Return the solution at each penalty, each from where the one before ended."""
        from scipy.optimize import minimize

        k, d = self.n_outputs, z.shape[1]
        values, hot = z[rows], np.eye(k)[self.labels[rows]]
        theta, found = np.zeros(k * d + k), []
        loss: Any = _logistic
        stop: Any = STOP
        for penalty in PENALTIES:
            theta = minimize(loss, theta, (values, hot, penalty), method="L-BFGS-B", jac=True, options=stop).x
            found.append((theta[: k * d].reshape(k, d), theta[k * d :]))
        return found

    def losses(self, z: FloatArray, rows: NDArray[np.intp], solution: Solution) -> FloatArray:
        W, b = solution
        found: FloatArray = -_log_softmax(z[rows] @ W.T + b)[np.arange(len(rows)), self.labels[rows]]
        return found


class _Numbers:
    def __init__(self, targets: torch.Tensor, n_outputs: int) -> None:
        self.targets = targets.detach().to("cpu", torch.float64).reshape(len(targets), n_outputs).numpy()
        spread = np.nanstd(self.targets, axis=0)
        self.spread = np.where(spread > 0, spread, 1.0)

    def path(self, z: FloatArray, rows: NDArray[np.intp]) -> list[Solution]:
        """Return the solution at each penalty; each output learns from the samples where it is there."""
        n_outputs = self.targets.shape[1]
        found = [(np.zeros((n_outputs, z.shape[1])), np.zeros(n_outputs)) for _ in PENALTIES]
        for k, y in enumerate(self.targets.T):
            there = rows[np.isfinite(y[rows])]
            if len(there):
                for (W, b), (w, c) in zip(found, _ridge(z[there], y[there]), strict=True):
                    W[k], b[k] = w, c
        return found

    def losses(self, z: FloatArray, rows: NDArray[np.intp], solution: Solution) -> FloatArray:
        W, b = solution
        wrong = (z[rows] @ W.T + b - self.targets[rows]) / self.spread
        there = np.isfinite(wrong)
        found: FloatArray = np.square(np.where(there, wrong, 0.0)).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        return found


def _logistic(theta: FloatArray, values: FloatArray, hot: FloatArray, penalty: float) -> tuple[float, FloatArray]:
    """Return the penalized cross entropy of standardized features and its gradient."""
    n, k = hot.shape
    W, b = theta[:-k].reshape(k, -1), theta[-k:]
    log_p = _log_softmax(values @ W.T + b)
    slope = (np.exp(log_p) - hot) / n
    gradient = np.concatenate([(slope.T @ values + penalty * W).ravel(), slope.sum(axis=0) + TINY * b])
    loss = -(log_p * hot).sum() / n + 0.5 * penalty * (W**2).sum() + 0.5 * TINY * (b**2).sum()
    return float(loss), gradient


def _ridge(z: FloatArray, y: FloatArray) -> list[tuple[FloatArray, float]]:
    center, mean = z.mean(axis=0), float(y.mean())
    values, vectors = np.linalg.eigh((z - center).T @ (z - center) / len(z))
    pull = vectors.T @ ((z - center).T @ (y - mean) / len(z))
    weights = [vectors @ (pull / (values.clip(min=0.0) + penalty)) for penalty in PENALTIES]
    return [(w, mean - float(w @ center)) for w in weights]


def _cross_validated(problem: _Classes | _Numbers, z: FloatArray, folds: Sequence[NDArray[np.intp]]) -> FloatArray:
    """Return (n_penalties, n_samples) losses, each sample by the readouts of the folds that it is not in."""
    found = np.zeros((len(PENALTIES), len(z)))
    for held in folds:
        path = problem.path(z, np.setdiff1d(np.arange(len(z)), held))
        found[:, held] = [problem.losses(z, held, solution) for solution in path]
    return found


def _largest_within_one_error(losses: FloatArray) -> int:
    best = int(losses.mean(axis=1).argmin())
    error = losses[best].std(ddof=1) / np.sqrt(losses.shape[1])
    return int(np.flatnonzero(losses.mean(axis=1) <= losses[best].mean() + error).min())  # the first is the largest


def _error(differences: FloatArray, groups: Sequence[int] | None) -> float:
    """Return the standard error of a mean, of units where samples come in units."""
    if groups is None:
        return float(differences.std(ddof=1) / np.sqrt(len(differences)))
    _, unit = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(unit, differences - differences.mean())
    n = len(sums)
    return float(np.sqrt((sums**2).sum() * n / max(n - 1, 1)) / len(differences))


def _folds(n: int, groups: Sequence[int] | None, seed: int) -> list[NDArray[np.intp]]:
    unit = np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    n_units = int(unit.max()) + 1 if n else 0
    if n_units < 2:
        raise DataError(f"expected at least two independent units to solve a last layer on, got {n_units}")
    order = np.random.default_rng(seed).permutation(n_units)
    return [np.flatnonzero(np.isin(unit, part)) for part in np.array_split(order, min(FOLDS, n_units))]


def _reduced(features: torch.Tensor) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return standardized features, rotated to their leading principal components, the mean, and the way back.

    A rotation changes nothing of a ridge; it leaves as many features as there are samples.
    """
    values = features.detach().to("cpu", torch.float64).numpy()
    if not np.isfinite(values).all():
        raise DataError("expected finite features of the last layer; choose a weaker initialization or scale the input")
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale = np.where(scale > 1e-12 * max(float(scale.max(initial=0.0)), 1e-300), scale, np.inf)
    z = (values - mean) / scale
    if z.shape[1] <= min(MAX_FEATURES, len(z)):
        return z, mean, np.diag(1.0 / scale)
    _, _, directions = np.linalg.svd(z, full_matrices=False)
    kept = directions[:MAX_FEATURES]
    return z @ kept.T, mean, kept / scale


def _log_softmax(logits: FloatArray) -> FloatArray:
    shifted: Any = logits - logits.max(axis=1, keepdims=True)
    found: FloatArray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found
