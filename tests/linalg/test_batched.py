"""Batched decompositions agree with NumPy, and torch stays out until it is needed."""

import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sciml.errors import ConfigError
from sciml.linalg import batched


def drawn(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    imaginary = 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else 0
    return np.asarray(rng.normal(size=shape) + imaginary).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_eigenvalues_and_vectors_are_numpys_largest_first(dtype: type) -> None:
    rng = np.random.default_rng(0)
    X = drawn(rng, (5, 8, 12), dtype)
    eps = np.finfo(dtype).eps
    for rows in (True, False):
        G = batched.scatter_matrix(batched.to_tensor(X), rows=rows)
        values, vectors = (batched.to_numpy(each) for each in batched.eigh(G))
        expected = np.linalg.eigvalsh(batched.to_numpy(G).astype(np.complex128))[:, ::-1]
        bound = 50 * eps * expected.max()  # n times eps times the norm, and a little more
        np.testing.assert_allclose(values, expected, atol=bound)
        np.testing.assert_allclose(batched.to_numpy(batched.eigvalsh(G)), expected, atol=bound)
        rebuilt = (vectors * values[:, None]) @ vectors.conj().mT
        np.testing.assert_allclose(rebuilt, batched.to_numpy(G), atol=bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_sums_of_rows_are_those_of_add_at(dtype: type) -> None:
    rng = np.random.default_rng(1)
    target = np.sort(rng.integers(0, 10, 200))
    rows, weights = rng.integers(0, 30, 200), rng.normal(size=200)
    values = drawn(rng, (30, 4), dtype)
    expected: np.ndarray = np.zeros((10, 4), dtype)
    np.add.at(expected, target, (weights[:, None] * values[rows]).astype(dtype))
    first = np.searchsorted(target, np.arange(10))
    real = values.real.dtype
    table, source, begin, factors = (batched.to_tensor(x) for x in (values, rows, first, weights.astype(real)))
    found = batched.sum_rows(table, source, begin, factors)
    np.testing.assert_allclose(batched.to_numpy(found), expected, rtol=1e-4, atol=1e-4)


def test_results_come_in_order_and_torch_gets_its_threads_back() -> None:
    before = torch.get_num_threads()
    inside = set()

    def task(n: int) -> int:
        inside.add((threading.get_ident(), torch.get_num_threads()))
        return n * n

    assert list(batched.ordered_map(task, range(50), workers=3)) == [n * n for n in range(50)]
    assert {threads for _, threads in inside} == {1}
    assert torch.get_num_threads() == before


def test_a_failing_task_is_raised_and_leaves_the_threads_as_they_were() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        list(batched.ordered_map(lambda n: 1 // n, [1, 0, 2], workers=2))
    assert torch.get_num_threads() == before


def test_unknown_devices_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected a device as 'cpu'"):
        batched.check_device("abacus")
    with pytest.raises(ConfigError, match="expected a device of this machine"):
        batched.check_device("cuda:77")


def test_importing_the_denoisers_loads_no_torch() -> None:
    code = "import sys, sciml.denoise; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
