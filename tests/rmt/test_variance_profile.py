"""Gram matrices with a variance profile: the laws that are its special cases, and simulation."""

import numpy as np
import pytest

from sciml.errors import ConfigError, DataError
from sciml.rmt import edges
from sciml.rmt.laws import MarchenkoPastur
from sciml.rmt.variance_profile import VarianceProfile


def flat(n_samples: int, n_features: int, variance: float = 1.0) -> VarianceProfile:
    return VarianceProfile([[variance]], row_counts=[n_samples], column_counts=[n_features])


def uneven(seed: int = 0, rows: int = 12, columns: int = 9) -> VarianceProfile:
    rng = np.random.default_rng(seed)
    return VarianceProfile(
        rng.gamma(1.0, size=(rows, columns)),
        row_counts=rng.integers(5, 40, rows),
        column_counts=rng.integers(2, 9, columns),
    )


def draw(profile: VarianceProfile, rng: np.random.Generator) -> np.ndarray:
    """Return the eigenvalues of one matrix of this profile, descending."""
    rows, columns = profile.row_counts.astype(int), profile.column_counts.astype(int)
    scale = np.sqrt(np.repeat(np.repeat(profile.values, rows, axis=0), columns, axis=1))
    X = rng.normal(size=scale.shape) * scale
    return np.linalg.eigvalsh(X.T @ X / len(X))[::-1]


@pytest.mark.parametrize(("n", "p"), [(5000, 64), (200, 300), (50, 50)])
@pytest.mark.parametrize("complex_data", [False, True])
def test_equal_variances_give_the_law_of_white_noise(n: int, p: int, complex_data: bool) -> None:
    law = flat(n, p, 2.5).edge_law(complex_data=complex_data)
    white = edges.white(p, n, complex_data=complex_data)
    assert law.center == pytest.approx(2.5 * white.center, rel=1e-9)
    assert law.scale == pytest.approx(2.5 * white.scale, rel=1e-5)  # a third derivative of a root found to 1e-9


def test_one_spectrum_for_all_channels_gives_the_colored_law() -> None:
    psd = (1 - 0.9**2) / np.abs(1 - 0.9 * np.exp(-2j * np.pi * np.arange(500) / 500)) ** 2
    profile = VarianceProfile(psd[:, None], row_counts=np.ones(500), column_counts=[40])
    law, colored = profile.edge_law(complex_data=True), edges.colored(psd, 40, 500, complex_data=True)
    assert law.center == pytest.approx(colored.center, rel=1e-9)
    assert law.scale == pytest.approx(colored.scale, rel=1e-5)


def test_a_profile_and_its_transpose_have_one_edge() -> None:
    profile = uneven()
    transformed = VarianceProfile(profile.values.T, row_counts=profile.column_counts, column_counts=profile.row_counts)
    assert transformed.edge * profile.n_features / profile.n_samples == pytest.approx(profile.edge, rel=1e-9)


@pytest.mark.parametrize("unit", [1e-42, 1e42])
def test_the_unit_and_the_order_of_groups_do_not_matter(unit: float) -> None:
    profile, rng = uneven(), np.random.default_rng(1)
    rows, columns = rng.permutation(12), rng.permutation(9)
    other = VarianceProfile(
        unit * profile.values[np.ix_(rows, columns)],
        row_counts=profile.row_counts[rows],
        column_counts=profile.column_counts[columns],
    )
    assert other.edge / unit == pytest.approx(profile.edge, rel=1e-9)
    assert other.detection_limit / unit == pytest.approx(profile.detection_limit, rel=1e-6)


def test_splitting_a_group_changes_nothing() -> None:
    profile = uneven()
    split = VarianceProfile(
        np.repeat(profile.values, 2, axis=0),
        row_counts=np.repeat(profile.row_counts / 2, 2),
        column_counts=profile.column_counts,
    )
    assert split.edge == pytest.approx(profile.edge, rel=1e-9)


def test_largest_eigenvalue_exceeds_its_threshold_at_the_nominal_rate() -> None:
    profile, rng, draws = uneven(3), np.random.default_rng(0), 400
    threshold = profile.edge_law().threshold(0.05)
    rate = np.mean([draw(profile, rng)[0] > threshold for _ in range(draws)])
    # Three binomial standard errors of .05 at 400 draws are .033; 45 features lie somewhat below the limit law.
    assert 0.005 < rate < 0.05 + 0.033


def test_bulk_is_that_of_simulated_matrices() -> None:
    profile, rng = uneven(4), np.random.default_rng(0)
    values = np.sort(np.concatenate([draw(profile, rng) for _ in range(60)]))
    found = np.arange(1, len(values) + 1) / len(values)
    # Linear statistics of n eigenvalues fluctuate by 1 / n; grouping and the distance from the axis cost .005.
    assert np.abs(profile.bulk_cdf(values) - found).max() < 0.015


@pytest.mark.parametrize("gamma", [0.02, 0.5, 3.0])
def test_bulk_of_equal_variances_is_marchenko_pastur(gamma: float) -> None:
    law = MarchenkoPastur(gamma)
    low, high = law.support[0]
    x = np.linspace(low, high, 40)
    expected = (law.cdf(x) - law.atom) / (1 - law.atom)
    np.testing.assert_allclose(flat(1000, int(1000 * gamma)).bulk_cdf(x), expected, atol=0.006)


def test_second_moment_is_that_of_simulated_matrices() -> None:
    profile, rng = uneven(5), np.random.default_rng(0)
    sums = [float((draw(profile, rng) ** 2).sum()) for _ in range(300)]
    assert profile.second_moment() == pytest.approx(np.mean(sums), abs=4 * np.std(sums) / np.sqrt(300))


def test_resolvent_is_that_of_simulated_matrices() -> None:
    profile, rng = uneven(), np.random.default_rng(0)
    rows, columns = profile.row_counts.astype(int), profile.column_counts.astype(int)
    scale = np.sqrt(np.repeat(np.repeat(profile.values, rows, axis=0), columns, axis=1))
    z, over_rows, over_columns = 2 * profile.edge, [], []
    for _ in range(200):
        X = rng.normal(size=scale.shape) * scale
        over_rows.append(np.diagonal(np.linalg.inv(z * np.eye(len(X)) - X @ X.T / len(X))))
        over_columns.append(np.diagonal(np.linalg.inv(z * np.eye(X.shape[1]) - X.T @ X / len(X))))
    by_row, by_column = profile.resolvent(z)
    for limit, draws, counts in ((by_row, over_rows, rows), (by_column, over_columns, columns)):
        mean = np.add.reduceat(np.mean(draws, axis=0), np.cumsum(counts) - counts) / counts
        np.testing.assert_allclose(limit[0], mean, rtol=0.005)  # corrections of order 1 / N


def test_resolvent_near_the_edge_gives_the_detection_limit() -> None:
    profile = uneven()
    z = profile.edge * (1 + 1e-6)
    rows, columns = (each[0] for each in profile.resolvent(z))
    row, column = profile.row_counts / profile.n_samples, profile.column_counts / profile.n_features
    assert 1 / (z * (row @ rows) * (column @ columns)) == pytest.approx(profile.detection_limit, rel=5e-3)


def test_resolvent_below_the_edge_is_refused() -> None:
    with pytest.raises(ConfigError, match="above the edge"):
        uneven().resolvent([uneven().edge * 2, uneven().edge * 0.99])


def test_a_signal_below_the_limit_hides_and_one_above_it_shows() -> None:
    profile = VarianceProfile([[0.3], [3.0]], row_counts=[500, 500], column_counts=[100])
    rng = np.random.default_rng(2)
    scale = np.sqrt(np.repeat([0.3, 3.0], 500))[:, None]
    u, v = rng.normal(size=(1000, 1)), rng.normal(size=(1, 100))
    direction = u @ v / np.linalg.norm(u) / np.linalg.norm(v) * np.sqrt(1000)

    def top(times: float) -> float:
        X = scale * np.random.default_rng(3).normal(size=(1000, 100))
        X = X + direction * times * np.sqrt(profile.detection_limit)
        return float(np.linalg.eigvalsh(X.T @ X / 1000)[-1])

    law = profile.edge_law()
    assert law.p_value(top(0.5)) > 0.05
    assert law.p_value(top(2.0)) < 1e-6


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ([[-1.0]], DataError, "variances of zero or more"),
        ([[0.0]], DataError, "one above zero"),
        ([[np.inf]], DataError, "finite variances"),
        ([[1.0, 2.0]], ConfigError, "a count for each row and column"),
    ],
)
def test_what_is_no_profile_is_refused(values: list[list[float]], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        VarianceProfile(values, row_counts=[10], column_counts=[10])
