"""The batched noise estimate is that of a plain loop, spectrum by spectrum."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sciml.errors import ConfigError, DataError
from sciml.rmt import edges
from sciml.rmt.laws import MarchenkoPastur
from sciml.rmt.rank import count_above
from sciml.rmt.sigma import median_edge_refit, refit
from sciml.rmt.spectrum import Field, Spectra


def spectra(shape: tuple[int, int], seed: int = 0) -> NDArray[np.float64]:
    """Noise, noise with signals weak and strong, and a matrix that is nothing but signal."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, *shape))
    for i in range(1, 40):
        k = i % 6
        X[i] += (rng.normal(size=(shape[0], k)) * rng.uniform(0, 0.8, k)) @ rng.normal(size=(k, shape[1]))
    X[-1] = np.geomspace(1, 1e6, shape[0])[:, None] * X[-1]
    return np.asarray(np.linalg.svd(X, compute_uv=False) ** 2)


def plain(s: NDArray[np.float64], m: int, n: int) -> tuple[float, int, bool]:
    law = MarchenkoPastur(m / n)
    variance, rank = float(np.median(s)) / (n * law.median()), -1
    while True:
        found = int((s > variance * n * law.support[0][1]).sum())
        if found > m // 2:
            whole = float(s.sum()) / (m * n)
            return float(np.sqrt(whole)), int((s > whole * n * law.support[0][1]).sum()), False
        if found == rank:
            return float(np.sqrt(variance)), rank, True
        rank, variance = found, float(s[found:].sum()) / ((m - found) * (n - found))


@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (30, 30), (7, 400)])
def test_every_spectrum_gets_the_answer_of_a_plain_loop(shape: tuple[int, int]) -> None:
    scatter = spectra(shape)
    found = median_edge_refit(Spectra(scatter, *shape))
    for i, s in enumerate(scatter):
        level, rank, converged = plain(s, *sorted(shape))
        np.testing.assert_allclose(found.sigma[i], level, rtol=1e-12)
        assert (found.rank[i], found.converged[i]) == (rank, converged)
    assert not found.converged[-1]
    assert found.rank.max() >= 3


def test_counts_above_the_edge_are_those_of_the_edge_law() -> None:
    scatter = spectra((20, 50))
    level = np.linspace(0.8, 1.2, len(scatter))
    fields: tuple[Field, ...] = ("real", "complex")
    for field in fields:
        threshold = 50 * edges.white(20, 50, complex_data=field == "complex").threshold(0.01)
        expected = [(s > threshold * g**2).sum() for s, g in zip(scatter, level, strict=True)]
        found = count_above(Spectra(scatter, 50, 20, field), level, alpha=0.01)
        np.testing.assert_array_equal(found, expected)


def test_refit_divides_by_the_dof_that_are_left() -> None:
    scatter = spectra((20, 50))[:1]
    expected = np.sqrt(scatter[0, 3:].sum() / (17 * 47))
    np.testing.assert_allclose(refit(Spectra(scatter, 20, 50), 3), expected)
    with pytest.raises(ConfigError, match="expected a rank from 0 to 19"):
        refit(Spectra(scatter, 20, 50), 20)


def test_a_partial_spectrum_is_refused() -> None:
    with pytest.raises(DataError, match="expected 20 eigenvalues"):
        Spectra(spectra((20, 50))[:, :19], 20, 50)
