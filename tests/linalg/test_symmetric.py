"""Leading eigenvectors against a full decomposition."""

import numpy as np
import pytest

from sciml.linalg.symmetric import leading_eigh


@pytest.mark.parametrize("n", [1, 2, 5, 130])
@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("few", [0, 1, 7])
def test_values_and_leading_vectors_are_those_of_all(n: int, kind: str, few: int) -> None:
    rng = np.random.default_rng(n)
    values = rng.normal(size=(3 * n, n)) + (1j * rng.normal(size=(3 * n, n)) if kind == "complex" else 0)
    matrix = values.conj().T @ values / n
    few = min(few, n)
    found, vectors = leading_eigh(matrix, few)
    assert np.allclose(found, np.linalg.eigvalsh(matrix)[::-1], rtol=1e-12)
    assert vectors.shape == (n, few)
    assert np.allclose(matrix @ vectors, vectors * found[:few], atol=1e-11 * found[0])
    assert np.allclose(vectors.conj().T @ vectors, np.eye(few), atol=1e-12)


def test_equal_eigenvalues_and_a_null_space_have_orthonormal_vectors() -> None:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(60, 60)))[0]
    spectrum = np.concatenate([np.full(10, 5.0), np.ones(30), np.zeros(20)])
    found, vectors = leading_eigh((basis * spectrum) @ basis.T, 10)
    assert np.allclose(found, spectrum, atol=1e-12)
    assert np.allclose(vectors @ vectors.T, basis[:, :10] @ basis[:, :10].T, atol=1e-10)


def test_a_diagonal_matrix() -> None:
    found, vectors = leading_eigh(np.diag(np.arange(20.0)), 3)
    assert found.tolist() == list(np.arange(20.0)[::-1])
    assert np.array_equal(np.abs(vectors) > 0.5, np.eye(20)[:, [19, 18, 17]] > 0)
