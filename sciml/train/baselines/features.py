"""What baselines see of windows: means over time, covariances in the tangent space of their mean, random kernels.

Missing values are NaN: means and covariances are over what is there, a feature without any value is at its mean.
"""

import warnings

import numpy as np
from numpy.typing import NDArray

from sciml._typing import AnyArray
from sciml.train.baselines.kernels import RandomKernels

__all__ = ["binned", "bins_to_try", "kernel_features", "principal_components", "tangent_features"]

BINS = (1, 4, 16)  # bins that the time of a window is averaged in, beside all its samples
MAX_COMPONENTS = 256
MAX_CHANNELS = 48  # of the covariances: their number of features grows with the square


def bins_to_try(n_times: int) -> list[int]:
    """Return the numbers of time bins that a linear baseline chooses among."""
    return sorted({min(count, n_times) for count in (*BINS, n_times)})


def binned(X: AnyArray, bins: int) -> NDArray[np.float64]:
    """Return means over time bins of nearly equal length, flattened: (n, channel * bins)."""
    edges = np.arange(bins) * X.shape[2] // bins
    missing = np.isnan(X)
    if not missing.any():
        width = np.diff(np.append(edges, X.shape[2]))
        means = np.add.reduceat(X.astype(np.float64), edges, axis=2) / width
        return np.asarray(means).reshape(len(X), -1)
    present = np.add.reduceat((~missing).astype(np.float64), edges, axis=2)
    sums = np.add.reduceat(np.where(missing, 0.0, X).astype(np.float64), edges, axis=2)
    means = np.divide(sums, present, out=np.full_like(sums, np.nan), where=present > 0)
    return np.asarray(means).reshape(len(X), -1)


def kernel_features(*parts: AnyArray, seed: int) -> list[NDArray[np.float32]]:
    """Return standardized features of random convolution kernels chosen by the first part."""
    kernels = RandomKernels.fit(parts[0], rng=np.random.default_rng(seed))
    features = [kernels.transform(part) for part in parts]
    mean, scale = features[0].mean(axis=0), features[0].std(axis=0)
    scale = np.where(scale > 1e-6, scale, np.inf).astype(np.float32)
    return [(part - mean) / scale for part in features]


def tangent_features(*parts: AnyArray) -> list[NDArray[np.float64]]:
    """Return covariances of windows in the tangent space of their mean over the first part, as vectors."""
    covariances = _covariances(*parts)
    values, vectors = np.linalg.eigh(covariances[0].mean(axis=0))
    whitener = (vectors / np.sqrt(np.maximum(values, values[-1] * 1e-12))) @ vectors.T
    return [_tangent(whitener @ C @ whitener) for C in covariances]


def principal_components(train: NDArray[np.float64], *others: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return features standardized and rotated to the principal components of the training part."""
    mean, scale = _statistics(train)
    scale = np.where(scale > 1e-12 * np.abs(mean).clip(np.finfo(float).tiny), scale, np.inf)
    parts = [np.nan_to_num((part - mean) / scale, nan=0.0) for part in (train, *others)]
    n, d = train.shape
    small = parts[0].T @ parts[0] if d <= n else parts[0] @ parts[0].T
    values, vectors = np.linalg.eigh(small)
    keep = values > values[-1] * 1e-10
    values, vectors = values[keep][::-1][:MAX_COMPONENTS], vectors[:, keep][:, ::-1][:, :MAX_COMPONENTS]
    axes = vectors if d <= n else parts[0].T @ (vectors / np.sqrt(values))
    # One common factor keeps the ratios of the components and makes C comparable over numbers of features.
    return [part @ axes * np.sqrt(n / values.sum()) for part in parts]


def _statistics(train: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of features over the values that are there, zero where none is."""
    if not np.isnan(train).any():
        return train.mean(axis=0), train.std(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a feature that no item has
        return np.nan_to_num(np.nanmean(train, axis=0)), np.nan_to_num(np.nanstd(train, axis=0))


def _covariances(*parts: AnyArray) -> list[NDArray[np.float64]]:
    """Return the covariance of each window, shape (n, channel, channel), shrunk by a tenth."""
    train = parts[0].astype(np.float64)
    scale = _statistics(train.transpose(0, 2, 1).reshape(-1, train.shape[1]))[1]
    scale = np.where(scale > 0, scale, 1.0)
    axes = np.eye(len(scale))
    if len(scale) > MAX_CHANNELS:
        scaled = np.nan_to_num(train / scale[:, None]).transpose(1, 0, 2).reshape(len(scale), -1)
        axes = np.linalg.eigh(np.cov(scaled))[1][:, -MAX_CHANNELS:]
    covariances = []
    for part in parts:
        X = np.einsum("ck,nct->nkt", axes, _centered(part / scale[:, None]))
        C = np.einsum("nct,ndt->ncd", X, X) / X.shape[2]
        power = np.trace(C, axis1=1, axis2=2) / C.shape[1]
        covariances.append(0.9 * C + 0.1 * (power + np.finfo(float).tiny)[:, None, None] * np.eye(C.shape[1]))
    return covariances


def _centered(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return windows less their mean; missing values are zero, and the rest larger, so that power stays what it is."""
    present = ~np.isnan(X)
    if present.all():
        return np.asarray(X - X.mean(axis=2, keepdims=True))
    count = present.sum(axis=2, keepdims=True)
    filled = np.where(present, X, 0.0)
    centered = np.where(present, filled - filled.sum(axis=2, keepdims=True) / np.maximum(count, 1), 0.0)
    return np.asarray(centered * np.sqrt(X.shape[2] / np.maximum(count, 1)))


def _tangent(C: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix logarithms as vectors: the diagonal, and the rest times the root of two."""
    values, vectors = np.linalg.eigh(C)
    logarithm = np.einsum("nij,nj,nkj->nik", vectors, np.log(np.maximum(values, np.finfo(float).tiny)), vectors)
    rows, columns = np.triu_indices(C.shape[1])
    weights = np.where(rows == columns, 1.0, np.sqrt(2.0))
    return np.asarray(logarithm[:, rows, columns] * weights, dtype=np.float64)
