"""Rows and columns of equal noise: exact scalings, the law of the noise after them, and what they do not depend on."""

import numpy as np
import pytest

from sciml.errors import ConfigError, DataError
from sciml.rmt import edges
from sciml.rmt.laws import MarchenkoPastur
from sciml.rmt.scaling import biwhiten, dyson_equalize, sinkhorn


def singular_values(equalized):
    return np.linalg.svd(equalized.scaled, compute_uv=False)


def poisson_mean(m, n, rng, level=3.0):
    """Gamma gains of rows and columns around a mean count."""
    mean = rng.gamma(2.0, size=(m, 1)) * rng.gamma(2.0, size=n)
    return level * mean / mean.mean()


def heteroscedastic(m, n, rng, span=10.0, complex_data=False):
    noise = rng.normal(size=(m, n))
    if complex_data:
        noise = (noise + 1j * rng.normal(size=(m, n))) / np.sqrt(2)
    return np.outer(np.geomspace(1, span, m), rng.permutation(np.geomspace(1, span, n))) * noise


def test_sinkhorn_of_the_reference_matrix():
    V = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    balance = sinkhorn(V, 3.0, 2.0, tolerance=1e-14)
    expected = [[0.8081429670, 1.0407148348, 1.1511421982], [1.1918570330, 0.9592851652, 0.8488578018]]
    np.testing.assert_allclose(balance.row_factor[:, None] * V * balance.column_factor, expected, atol=6e-11)


def test_sinkhorn_of_a_rank_one_matrix_divides_by_it():
    a, b = np.array([1.0, 5.0, 1e8]), np.array([1e-9, 2.0])
    balance = sinkhorn(np.outer(a, b), [1.0, 2.0, 3.0], [2.0, 4.0])
    # diag(u) a b^T diag(v) = r c^T / total
    scaled = balance.row_factor[:, None] * np.outer(a, b) * balance.column_factor
    np.testing.assert_allclose(scaled, np.outer([1.0, 2.0, 3.0], [2.0, 4.0]) / 6.0, rtol=1e-12)
    assert balance.iterations <= 2
    assert np.log(balance.row_factor).mean() == pytest.approx(np.log(balance.column_factor).mean())


@pytest.mark.parametrize("scale", [1e-300, 1e-42, 1.0, 1e42, 1e300])
def test_sinkhorn_in_any_unit_and_for_rows_of_any_size(scale):
    rng = np.random.default_rng(0)
    V = rng.gamma(1.0, size=(6, 9)) * scale
    V[0] *= 1e-6
    balance = sinkhorn(V, 9.0, 6.0)
    scaled = (balance.row_factor[:, None] * V) * balance.column_factor
    np.testing.assert_allclose(scaled.sum(axis=1), 9.0, rtol=1e-9)
    np.testing.assert_allclose(scaled.sum(axis=0), 6.0, rtol=1e-9)
    transformed = sinkhorn(V.T, 6.0, 9.0)
    np.testing.assert_allclose(transformed.row_factor, balance.column_factor, rtol=1e-8)


def test_sinkhorn_names_what_cannot_be_scaled():
    with pytest.raises(DataError, match="zeros in rows 1;"):
        sinkhorn([[1.0, 1.0], [0.0, 0.0]], 1.0, 1.0)
    with pytest.raises(DataError, match="zeros in columns 0, 2;"):
        sinkhorn([[0.0, 1.0, 0.0]], 3.0, 1.0)
    with pytest.raises(DataError, match="still off by"):  # only the diagonal could carry the sums
        sinkhorn([[1.0, 1.0], [0.0, 1.0]], 1.0, 1.0)
    with pytest.raises(ConfigError, match="one total"):
        sinkhorn(np.ones((2, 3)), 1.0, 1.0)
    with pytest.raises(ConfigError, match="row_sums as one positive number or 2"):
        sinkhorn(np.ones((2, 3)), [1.0, 2.0, 3.0], 2.0)
    for bad in (np.nan, -1.0):
        with pytest.raises(DataError):
            sinkhorn([[1.0, bad]], 2.0, 1.0)


def test_a_known_variance_of_rank_one_is_divided_out_exactly():
    rng = np.random.default_rng(1)
    noise, spread = rng.normal(size=(30, 80)), np.outer(np.geomspace(1, 9, 30), np.geomspace(1, 5, 80))
    np.testing.assert_allclose(biwhiten(noise * spread, variance=spread**2).scaled, noise, rtol=1e-9)


@pytest.mark.parametrize("shape", [(60, 300), (300, 60)])
def test_biwhitened_counts_follow_the_law_of_white_noise(shape):
    n_draws, over = 200, 0
    law = edges.white(60, 300)
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        values = singular_values(biwhiten(rng.poisson(poisson_mean(shape[0], shape[1], rng)))) ** 2
        over += values[1] > 300 * law.threshold(0.05)  # the first is the mean
    assert over / n_draws < 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_draws)
    within = np.mean(values / 300 < MarchenkoPastur(0.2).median())
    assert abs(within - 0.5) < 0.05


def test_counts_with_empty_rows_and_columns_come_back_in_their_shape():
    rng = np.random.default_rng(2)
    Y = rng.poisson(poisson_mean(40, 90, rng)).astype(np.int32)
    Y[[3, 7]] = 0
    Y[:, 11] = 0
    Y[5] = 0
    Y[5, 20] = 4  # all of the row's sum of 90 on one entry, whose column may hold 40: no scaling has that
    equalized = biwhiten(Y)
    assert {3, 5, 7} <= set(equalized.dropped_rows)
    assert 11 in equalized.dropped_columns
    back = equalized.unscale(equalized.scaled)
    kept = np.ix_(equalized.row_factor > 0, equalized.column_factor > 0)
    assert back.shape == Y.shape
    np.testing.assert_allclose(back[kept], Y[kept], rtol=1e-12)
    assert not back[3].any()
    np.testing.assert_allclose(
        equalized.scaled, (equalized.row_factor[:, None] * Y * equalized.column_factor)[kept], rtol=1e-12
    )


@pytest.mark.parametrize("gain", [1e-21, 1.0, 25.0, 1e21])
def test_quadratic_variance_is_fitted_in_any_unit(gain):
    rng = np.random.default_rng(3)
    mean = poisson_mean(150, 400, rng, level=6.0)
    shape = 4.0  # negative binomial: variance = mean + mean² / shape
    Y = gain * rng.negative_binomial(shape, shape / (shape + mean))
    equalized = biwhiten(Y, variance="quadratic")
    # One fit of two numbers on 150 eigenvalues; 20 draws scattered by 5 and 8 %.
    assert equalized.linear == pytest.approx(gain, rel=0.2)
    assert equalized.quadratic == pytest.approx(1 / shape, rel=0.3)
    values = singular_values(equalized)
    assert (values > 1.02 * equalized.edge).sum() == 1
    assert (singular_values(biwhiten(Y / gain)) > 1.02 * equalized.edge).sum() > 1  # what Poisson makes of it


@pytest.mark.parametrize("shape", [(30, 150), (150, 30), (80, 80)])
@pytest.mark.parametrize("complex_data", [False, True])
def test_dyson_equalized_noise_has_its_edge_where_white_noise_has(shape, complex_data):
    n_draws, over = 60, 0
    law = edges.white(*shape, complex_data=complex_data)
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        noise = heteroscedastic(shape[0], shape[1], rng, complex_data=complex_data)
        over += singular_values(dyson_equalize(noise))[0] ** 2 / shape[1] > law.threshold(0.05)
    assert over / n_draws < 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_draws)


def test_dyson_finds_the_variances_given_strong_components():
    rng = np.random.default_rng(4)
    m, n = 200, 500
    noise = heteroscedastic(m, n, rng)
    signal = 30 * rng.normal(size=(m, 3)) @ rng.normal(size=(3, n))
    equalized = dyson_equalize(noise + signal)
    expected = 1 / np.geomspace(1, 10, m)
    ratio = equalized.row_factor / expected
    # A row's variance from 500 samples is known to 6 %, its root to 3 %; three components out of 200 cost a little.
    assert np.std(ratio) / np.mean(ratio) < 0.05
    assert (singular_values(equalized) > equalized.edge * 1.02).sum() == 3


@pytest.mark.parametrize("equalize", [dyson_equalize, lambda Y: biwhiten(Y, variance=np.abs(Y) ** 2)])
def test_equalizing_ignores_unit_order_and_transposition(equalize):
    rng = np.random.default_rng(5)
    Y = heteroscedastic(40, 100, rng) + np.outer(rng.normal(size=40), rng.normal(size=100))
    one = equalize(Y).scaled
    for scale in (1e-21, 1e21, np.geomspace(1e-15, 1e6, 40)[:, None]):
        np.testing.assert_allclose(equalize(Y * scale).scaled, one, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(equalize(Y.T).scaled.T, one, rtol=1e-7, atol=1e-9)
    rows, columns = rng.permutation(40), rng.permutation(100)
    np.testing.assert_allclose(
        equalize(Y[np.ix_(rows, columns)]).scaled, one[np.ix_(rows, columns)], rtol=1e-7, atol=1e-9
    )
    np.testing.assert_allclose(equalize(Y.astype(np.float32)).scaled, one, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(equalize(1j * Y).scaled, 1j * one, rtol=1e-7, atol=1e-9)
    holes = Y.copy()
    holes[3], holes[:, 8] = 0.0, 0.0
    assert equalize(holes).dropped_rows == (3,)
    assert equalize(holes).dropped_columns == (8,)


def test_what_cannot_be_equalized_is_said():
    with pytest.raises(DataError, match="not; leave out missing"):
        dyson_equalize([[1.0, np.nan]])
    with pytest.raises(DataError, match="only zeros"):
        dyson_equalize(np.zeros((3, 4)))
    with pytest.raises(DataError, match="rank below half"):
        dyson_equalize(np.outer(np.arange(1.0, 9), np.arange(1.0, 12)))
    with pytest.raises(DataError, match="found none left"):
        biwhiten(np.zeros((3, 4)))
    with pytest.raises(DataError, match="counts that are real and zero or more"):
        biwhiten([[1.0, -1.0]])
    with pytest.raises(DataError, match="a variance for each"):
        biwhiten(np.ones((3, 4)), variance=np.ones((4, 3)))
    with pytest.raises(ConfigError, match="quadratic"):
        biwhiten(np.ones((3, 4)), variance="cubic")
    with pytest.raises(DataError, match="two dimensions"):
        biwhiten(np.ones(3))
