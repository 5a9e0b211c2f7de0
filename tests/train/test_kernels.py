"""Random convolution kernels: features as the formula says, and the published scores of the regression on them."""

import itertools

import numpy as np
import pytest
import torch

from sciml.train import baselines
from sciml.train.baselines.kernels import RandomKernels
from sciml.train.baselines.ridge import RidgePath

torch.set_num_threads(1)


def naive(kernels, x, *, dilation, kernel, level):
    """Fraction of time above a level, from the formula, one window (channel, time) of a kernel that sees zeros."""
    high = list(itertools.combinations(range(9), 3))[kernel]
    weights = np.where(np.isin(np.arange(9), high), 2.0, -1.0)
    chosen = kernels.channels[dilation][kernel].numpy() > 0
    summed = ((x - kernels.center) / kernels.scale)[chosen].sum(axis=0)
    d, n = kernels.dilations[dilation], len(summed)
    padded = np.pad(summed, 4 * d)
    filtered = np.array([weights @ padded[t : t + 9 * d : d] for t in range(n)])
    inside = filtered if (kernel + dilation) % 2 == 0 or n <= 8 * d else filtered[4 * d : n - 4 * d]
    return np.mean(inside > float(kernels.levels[dilation][kernel, level]))


@pytest.mark.parametrize("n_channels", [1, 3, 20])
def test_features_are_those_of_the_formula(n_channels):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, n_channels, 60)) * 10 + 3
    kernels = RandomKernels.fit(X, rng=rng, n_features=84 * 8)
    features = kernels.transform(X)
    columns, expected = [], []
    start = 0
    for k, levels in enumerate(kernels.levels):
        for kernel, level in ((0, 0), (41, levels.shape[1] - 1), (83, 0)):
            columns.append(start + kernel * levels.shape[1] + level)
            expected.append([naive(kernels, x, dilation=k, kernel=kernel, level=level) for x in X])
        start += levels.numel()
    # single precision moves a sample that lies within rounding of its level: one sample of 60
    np.testing.assert_allclose(features[:, columns].T, expected, atol=1.01 / 28)
    assert np.mean(np.abs(features[:, columns].T - expected) > 1e-6) < 0.02


def test_dilations_reach_the_length_of_the_window_and_levels_are_spread_over_them():
    X = np.random.default_rng(0).normal(size=(5, 1, 150))
    kernels = RandomKernels.fit(X, rng=np.random.default_rng(0))
    assert kernels.dilations[0] == 1
    assert 8 * kernels.dilations[-1] <= 149 < 8 * (kernels.dilations[-1] + 2)
    assert sum(levels.numel() for levels in kernels.levels) == 9996


@pytest.mark.parametrize("n_times", [1, 5, 9, 10])
def test_short_windows_have_features(n_times):
    X = np.random.default_rng(0).normal(size=(8, 2, n_times))
    features = RandomKernels.fit(X, rng=np.random.default_rng(0)).transform(X)
    assert np.isfinite(features).all()


def test_many_or_long_windows_have_fewer_features():
    X = np.random.default_rng(0).normal(size=(4000, 1, 8))
    assert RandomKernels.fit(X, rng=np.random.default_rng(0)).transform(X[:2]).shape[1] == 84 * 29


def test_padding_does_not_count():
    """A kernel that does not see zeros counts what is there alone: less noise in the padded half changes nothing."""
    X = np.random.default_rng(0).normal(size=(10, 2, 80))
    kernels = RandomKernels.fit(X, rng=np.random.default_rng(0), n_features=84 * 2)
    padded = X.copy()
    padded[:, :, 50:] = np.nan
    a, b = kernels.transform(X[:, :, :50]), kernels.transform(padded)
    assert np.isfinite(b).all()
    # the same samples but for those whose kernel reaches beyond the end
    assert np.abs(a - b).mean() < 0.06
    zeros = kernels.transform(np.nan_to_num(padded, nan=0.0) + kernels.center * np.isnan(padded))
    assert np.abs(a - zeros).mean() > 2 * np.abs(a - b).mean()


def test_a_channel_without_values_and_stray_missing_samples_are_no_matter():
    rng = np.random.default_rng(1)
    y = np.arange(90) % 2
    X = rng.normal(size=(90, 3, 40)) + 2 * y[:, None, None] * np.sin(np.arange(40))
    X[:, 2] = np.nan
    X[rng.random(X.shape) < 0.05] = np.nan
    parts = [(X[k::3], y[k::3]) for k in range(3)]
    for classifier in (baselines.kernel_classifier, baselines.linear_classifier, baselines.covariance_classifier):
        scores = classifier(*parts, n_classes=2).metrics
        assert scores["accuracy"] > 0.9 or classifier is baselines.covariance_classifier
        assert np.isfinite(scores["log_loss"])


@pytest.mark.parametrize("p", [3, 60])
@pytest.mark.parametrize("weighted", [False, True])
def test_left_out_errors_are_those_of_fits_without_the_item(p, weighted):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(25, p)), rng.normal(size=(25, 2))
    w = rng.uniform(0.5, 2, 25) if weighted else None
    path = RidgePath(X, y, w)
    alpha = 0.3
    found = path.left_out(alpha)
    full = (np.ones(25) if w is None else w) / (1 if w is None else w.mean())
    for i in (0, 7):
        kept = np.arange(25) != i
        weight = full[kept]
        center, offset = weight @ X[kept] / weight.sum(), weight @ y[kept] / weight.sum()
        A, b = X[kept] - center, y[kept] - offset
        penalty = alpha * path.unit * np.eye(p)
        W = np.linalg.solve(A.T * weight @ A + penalty, A.T * weight @ b)
        np.testing.assert_allclose(found[i], offset + (X[i] - center) @ W, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("name", "least"), [("GunPoint", 0.98), ("BasicMotions", 0.98), ("ItalyPowerDemand", 0.955)])
def test_published_sets_are_told_apart(archive, name, least):
    """The penalty is chosen by leaving out each training item: there is no validation part."""
    (X, names), (X_test, names_test) = archive(name)
    classes, y = np.unique(names, return_inverse=True)
    test = X_test, np.searchsorted(classes, names_test)
    found = baselines.kernel_classifier((X, y), None, test, n_classes=len(classes))
    assert found.metrics["accuracy"] >= least


def test_windows_of_unequal_length_are_told_apart(archive):
    """JapaneseVowels: nine speakers, 7 to 29 samples of 12 channels."""
    (X, names), (X_test, names_test) = archive("JapaneseVowels")
    classes, y = np.unique(names, return_inverse=True)
    test = X_test, np.searchsorted(classes, names_test)
    assert baselines.kernel_classifier((X, y), None, test, n_classes=9).metrics["accuracy"] >= 0.97
