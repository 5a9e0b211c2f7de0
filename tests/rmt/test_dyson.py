"""The edge of a variance profile: certified, or an error; and the other solvers of its equations."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.optimize

from sciml.errors import NumericalError
from sciml.rmt import dyson
from sciml.rmt.variance_profile import VarianceProfile

Draw = Callable[[np.random.Generator, int, int], np.ndarray]


def power_law(slope: float) -> Draw:
    def draw(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
        frequency = (np.arange(rows) + 0.5)[:, None] / rows
        return rng.gamma(2.0, size=columns) / (rng.uniform(0.01, 0.3, columns) ** slope + frequency**slope)

    return draw


def strong(axis: int) -> Draw:
    def draw(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
        values = rng.gamma(5.0, size=(rows, columns))
        np.moveaxis(values, axis, 0)[rng.integers(values.shape[axis])] *= 10 ** rng.uniform(0, 4)
        return values

    return draw


def sparse(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    values = rng.gamma(1.0, size=(rows, columns)) * (rng.random((rows, columns)) < 0.3)
    values[rng.integers(rows), rng.integers(columns)] = 1.0
    return values


KINDS: dict[str, Draw] = {
    "lognormal": lambda rng, rows, columns: np.exp(1.5 * rng.normal(size=(rows, columns))),
    "pink": power_law(1.0),
    "steep": power_law(4.0),
    "sparse": sparse,
    "one strong row": strong(0),
    "one strong column": strong(1),
    "any scale": lambda rng, rows, columns: np.exp(10 * rng.normal(size=(rows, columns))),
    "blocks apart": lambda _, rows, columns: np.eye(max(rows, columns))[:rows, :columns],
}


def profile(values: np.ndarray, rng: np.random.Generator) -> VarianceProfile:
    counts = [np.ceil(rng.pareto(1.0, size) + 1e-9).clip(1, 1000) for size in values.shape]
    return VarianceProfile(values, row_counts=counts[0], column_counts=counts[1])


def perturbed(one: VarianceProfile, rng: np.random.Generator, size: float) -> VarianceProfile:
    values = one.values * (1 + size * rng.normal(size=one.values.shape))
    return VarianceProfile(values, row_counts=one.row_counts, column_counts=one.column_counts)


def equations(one: VarianceProfile) -> dyson.Equations:
    return one._equations


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_perturbation_moves_the_edge_little(kind: str) -> None:
    # E is a norm-like function of S of degree one: a relative change of 1e-10 moves it by no more than as much.
    rng = np.random.default_rng(0)
    for _ in range(15):
        rows, columns = np.exp(rng.uniform(0, np.log(40), 2)).astype(int)
        one = profile(KINDS[kind](rng, rows, columns), rng)
        assert perturbed(one, rng, 1e-10).edge == pytest.approx(one.edge, rel=1e-7)


@pytest.mark.parametrize("seed", [3, 43, 48, 153, 203])
def test_profiles_that_lead_newton_astray_have_the_edge_of_their_perturbations(seed: int) -> None:
    # The first five of two hundred such profiles whose edge moved by more than a tenth of a percent while the first
    # point where Newton's method failed counted as the end of the curve.
    rng = np.random.default_rng(seed)
    values, counts = np.exp(1.5 * rng.normal(size=(30, 60))), (rng.integers(1, 40, 30), rng.integers(1, 9, 60))
    one = VarianceProfile(values, row_counts=counts[0], column_counts=counts[1])
    assert perturbed(one, rng, 1e-10).edge == pytest.approx(one.edge, rel=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_the_edge_lies_between_the_mean_eigenvalue_and_that_of_the_largest_variance(kind: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(8):
        one = profile(KINDS[kind](rng, *rng.integers(1, 30, 2)), rng)
        high = one.values.max() * (1 + np.sqrt(one.n_features / one.n_samples)) ** 2
        assert one.mean_eigenvalue * (1 - 1e-12) <= one.edge <= high * (1 + 1e-9)


@pytest.mark.parametrize("kind", ["lognormal", "steep", "sparse", "one strong row"])
def test_both_ways_to_the_edge_agree(kind: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(8):
        one = profile(KINDS[kind](rng, *rng.integers(2, 30, 2)), rng)
        found = dyson._approach(equations(one)).z * one._scale
        assert found == pytest.approx(one.edge, rel=1e-8)


def test_there_is_a_resolvent_above_the_edge_and_none_below() -> None:
    rng = np.random.default_rng(3)
    one = profile(KINDS["lognormal"](rng, 12, 20), rng)
    system, z = equations(one), one.edge / one._scale
    assert dyson.solve_above(system, z * (1 - 1e-7)) is None
    point = dyson.solve_above(system, z * (1 + 1e-7))
    assert point is not None
    values, stability = system.linearized(point.a)
    np.testing.assert_allclose(values, point.z, rtol=1e-9)
    assert 0.99 < np.linalg.eigvalsh(stability)[-1] < 1


def test_the_edge_is_the_least_of_the_largest_value_of_the_equations() -> None:
    # E = min_a max_i z_i(a), by a minimizer that knows nothing of the curve.
    rng = np.random.default_rng(4)
    one = profile(rng.gamma(1.0, size=(3, 4)), rng)
    system = equations(one)

    def largest(log_a: np.ndarray) -> float:
        a = np.exp(log_a)
        return float(system.linearized(a)[0].max()) if system.holds(a) else 1e6

    start = np.log(np.full(len(system.weights), 0.5 * one._scale / one.edge))
    found = scipy.optimize.minimize(largest, start, method="Nelder-Mead", options={"maxiter": 20_000, "xatol": 1e-9})
    assert one.edge / one._scale <= found.fun * (1 + dyson.CERTAIN)
    assert one.edge / one._scale == pytest.approx(found.fun, rel=1e-3)


def test_bounds_hold_the_edge_and_no_other_point_of_the_curve() -> None:
    rng = np.random.default_rng(5)
    system = equations(profile(KINDS["lognormal"](rng, 10, 10), rng))
    point = dyson._approach(system)
    found = dyson.bounds(system, point)
    assert found.low <= point.z <= found.high * (1 + 1e-12)
    assert found.high - found.low < 1e-9 * point.z
    away = dyson.solve_above(system, 1.01 * point.z)
    assert away is not None
    assert not dyson.bounds(system, away).hold(away.z)


def test_an_edge_that_is_not_certain_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dyson, "CERTAIN", -0.5)
    with pytest.raises(NumericalError, match="was not found"):
        profile(np.ones((2, 3)), np.random.default_rng(0)).edge  # noqa: B018


def test_a_density_that_does_not_converge_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dyson, "_newton_complex", lambda _system, a, _z: a)
    with pytest.raises(NumericalError, match="did not converge"):
        profile(np.ones((2, 3)), np.random.default_rng(0)).bulk_cdf(1.0)


@pytest.mark.parametrize("distance", [1e-3, 1e-6, 1e-9, 1e-11])
def test_the_resolvent_is_right_however_near_the_edge(distance: float) -> None:
    one = VarianceProfile([[1.0]], row_counts=[400], column_counts=[100])
    z = one.edge * (1 + distance)
    _, columns = one.resolvent(z)
    root = np.sqrt((z - 2.25) * (z - 0.25)) if distance > 1e-8 else np.sqrt(2.25 * distance * 2)
    expected = (z + 0.25 - 1 - root) / (2 * 0.25 * z)  # Marchenko and Pastur; rounding of the edge hides the rest
    assert columns[0, 0] == pytest.approx(expected, rel=max(1e-9, 3e-16 / distance**0.5))


def test_the_resolvent_does_not_depend_on_which_side_is_solved() -> None:
    rng = np.random.default_rng(6)
    values, rows, columns = rng.gamma(1.0, size=(5, 9)), rng.integers(5, 30, 5), rng.integers(2, 9, 9)
    one = VarianceProfile(values, row_counts=rows, column_counts=columns)
    other = VarianceProfile(values.T, row_counts=columns, column_counts=rows)
    unit = columns.sum() / rows.sum()
    for distance in (1e-2, 1e-7):  # below 1e-5, each by Newton's method on the side of fewer groups
        z = one.edge * (1 + distance)
        over_rows, over_columns = one.resolvent(z)
        transformed = other.resolvent(z / unit)
        np.testing.assert_allclose(transformed[1][0], over_rows[0] * unit, rtol=1e-6)
        np.testing.assert_allclose(transformed[0][0], over_columns[0] * unit, rtol=1e-6)


def test_simulated_largest_eigenvalues_lie_at_the_edge() -> None:
    # Means of 10 draws: a Tracy-Widom mean of -1.77 scales, its standard error 0.28, and a few scales for sides of 400.
    rng = np.random.default_rng(7)
    for kind in ("lognormal", "pink", "sparse", "one strong row", "one strong column"):
        one = VarianceProfile(KINDS[kind](rng, 5, 5), row_counts=np.full(5, 80), column_counts=np.full(5, 60))
        scale = np.sqrt(np.repeat(np.repeat(one.values, 80, axis=0), 60, axis=1))
        law = one.edge_law(complex_data=True)
        draws = [rng.normal(size=scale.shape) + 1j * rng.normal(size=scale.shape) for _ in range(10)]
        largest = [np.linalg.norm(scale * X, 2) ** 2 / 2 / len(X) for X in draws]
        assert -3.5 < (np.mean(largest) - law.center) / law.scale < 0.0, kind
