"""Do products alone give the ends, the measure, the trace and the diagonal of a symmetric matrix?"""

import numpy as np
import pytest
import torch

from sciml._typing import AnyArray
from sciml.errors import ConfigError, NumericalError
from sciml.linalg.krylov import (
    Krylov,
    Wanted,
    diagonal,
    eigenpairs,
    error_bounds,
    hutch_plus_plus,
    hutchinson,
    missed_chance,
    tridiagonals,
    xtrace,
)


def of_spectrum(values: AnyArray, seed: int = 0) -> AnyArray:
    n = len(values)
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    return np.asarray((Q * values) @ Q.T)


def bulk(n: int, *outliers: float) -> AnyArray:
    values = 0.3 * np.abs(np.random.default_rng(1).standard_normal(n))
    values[: len(outliers)] = outliers
    return values


@pytest.mark.parametrize(
    "outliers",
    [(30, 20, 12, 8, 6), (30, 20, 20, 8, 8), (9, 9, 9, 9, 5), (30, -20, 20, 8.1, 8), (5, -5, 4, -4, 3)],
    ids=str,
)
@pytest.mark.parametrize("tolerance", [1e-3, 1e-9])
def test_ends_and_copies_are_found_within_their_bounds(outliers: tuple[float, ...], tolerance: float) -> None:
    A = of_spectrum(bulk(300, *outliers))
    exact = np.linalg.eigvalsh(A)
    exact = exact[np.argsort(-np.abs(exact))][:5]
    found = eigenpairs(A, Wanted(5, "magnitude", tolerance, missed=0.001))
    assert found.converged.all()
    np.testing.assert_allclose(np.sort(found.values), np.sort(exact), rtol=tolerance)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(5), atol=1e-10)
    assert found.n_products < 80


def test_a_space_that_ends_is_searched_to_its_end() -> None:
    A = np.kron(np.diag([5.0, 2.0]), np.eye(6))
    found = eigenpairs(A, Wanted(7, "largest"))
    np.testing.assert_allclose(found.values, [5.0] * 6 + [2.0], atol=1e-10)
    assert eigenpairs(np.eye(20), Wanted(3, "largest")).values.tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert np.abs(eigenpairs(np.zeros((8, 8)), Wanted(2)).values).max() == 0
    with pytest.raises(ConfigError, match="at most 8"):
        eigenpairs(np.zeros((8, 8)), Wanted(9))


def test_few_vectors_in_memory_and_single_precision() -> None:
    A = of_spectrum(bulk(300, 30, 20, 12))
    found = eigenpairs(A, Wanted(3, "largest", max_dimension=12))
    np.testing.assert_allclose(found.values, [30, 20, 12], rtol=1e-3)
    single = eigenpairs(torch.from_numpy(A).float(), Wanted(3, "largest", 1e-5))
    np.testing.assert_allclose(single.values, [30, 20, 12], rtol=2e-5)
    assert 0 < single.rounding < 1e-4
    assert isinstance(single.vectors, torch.Tensor)


def test_blocks_of_vectors_give_the_same() -> None:
    A = of_spectrum(bulk(200, 30, 20, 20))
    found = eigenpairs(A, Wanted(3, "largest", block=3))
    np.testing.assert_allclose(found.values, [30, 20, 20], rtol=1e-3)


def test_the_relation_of_the_space_holds_whatever_it_is_extended_by() -> None:
    A = of_spectrum(bulk(60, 5, 4, -3))
    rng = np.random.default_rng(0)
    space = Krylov(A)
    space.extend(fresh=rng.standard_normal((60, 2)))
    for _ in range(4):
        space.extend(np.eye(space.n_waiting)[:, :1])
        space.extend(fresh=rng.standard_normal((60, 1)))
    Q, U = np.hstack(space.Q), np.hstack(space.U)
    np.testing.assert_allclose(A @ Q, Q @ space.T + U @ space.S, atol=1e-12)
    np.testing.assert_allclose(np.hstack([Q, U]).T @ np.hstack([Q, U]), np.eye(Q.shape[1] + U.shape[1]), atol=1e-12)


def test_what_is_not_symmetric_or_not_finite_is_an_error() -> None:
    A = np.triu(np.ones((30, 30)))
    with pytest.raises(NumericalError, match="symmetric"):
        eigenpairs(A, Wanted(2))
    with pytest.raises(NumericalError, match="not finite"):
        eigenpairs(np.full((30, 30), np.nan), Wanted(2))


def test_close_values_vouch_for_one_another() -> None:
    values, residuals = np.array([0.0, 1.0, 1.001]), np.array([[0.0, 0.01, 0.01]])
    bounds, gaps = error_bounds(values, residuals, np.array([1, 2]))
    assert (bounds < 3e-4).all()
    assert (gaps > 0.9).all()


def test_the_chance_of_a_miss_is_calibrated() -> None:
    """A single outlier behind j steps: where the chance is put at p, it is missed in no more than p of the starts."""
    values = np.append(np.linspace(-1, 1, 400), 1.6)
    A = np.diag(values)
    missed = 0
    chances = []
    for seed in range(300):
        start = np.random.default_rng(seed).standard_normal((401, 1))
        (run,) = tridiagonals(A, start, 5)
        nodes, _ = run.gauss()
        if nodes.max() < 1.3:
            missed += 1
        chances.append(missed_chance(run.alpha, run.beta, np.array([1.6]), 1 / 401))
    # among runs that show nothing beyond 1.3 the chance is an upper bound on how often one hides there
    assert missed / 300 <= np.mean(chances) + 3 * np.sqrt(0.25 / 300)


def test_gauss_and_radau_always_bracket() -> None:
    values = np.linspace(0.1, 10, 200)
    A = of_spectrum(values)
    rng = np.random.default_rng(0)
    for _ in range(5):
        v = rng.standard_normal((200, 1))
        exact = float((v.T @ np.linalg.solve(A, v))[0, 0] / (v.T @ v)[0, 0])
        last = (0.0, np.inf)
        for steps in (4, 8, 12, 20):
            (run,) = tridiagonals(A, v, steps)
            lower, upper = run.bracket(lambda x: 1 / x, 0.1, 10.0)
            assert lower <= exact <= upper
            assert upper - lower < last[1] - last[0]
            last = (lower, upper)


def test_traces_and_diagonals_of_arrays_and_tensors() -> None:
    A = of_spectrum(np.exp(-np.arange(100) / 5))
    exact = np.trace(A)
    for estimate in (xtrace, hutch_plus_plus, hutchinson):
        found = [estimate(A, 30, rng=seed) for seed in range(10)]
        z = [(each.value - exact) / each.standard_error for each in found]
        assert np.sqrt(np.mean(np.square(z))) < 2.5
    assert abs(xtrace(A, 60).value - exact) < 1e-3 * exact
    low_rank = np.outer(np.arange(50.0), np.arange(50.0))
    assert xtrace(low_rank, 10).value == pytest.approx(np.trace(low_rank), rel=1e-10)
    tensor = diagonal(torch.from_numpy(A), 40)
    z = (tensor.value - torch.from_numpy(A).diagonal()) / tensor.standard_error
    assert float((z.abs() < 3).double().mean()) > 0.9
    with pytest.raises(ConfigError, match="standard error"):
        xtrace(A, 2)
