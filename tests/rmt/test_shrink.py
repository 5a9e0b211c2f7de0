"""Shrinkers against reference values, their defining equations, and simulated matrices."""

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from hypothesis import given, settings

from sciml.errors import ConfigError, DataError
from sciml.rmt import shrink
from sciml.rmt.laws import MarchenkoPastur

quick = settings(derandomize=True, deadline=None, max_examples=60)
RATIOS = st.floats(1e-4, 1.0)
SHRINKERS = (shrink.operator, shrink.frobenius, shrink.nuclear)


@pytest.mark.parametrize(
    ("beta", "y", "values"),
    [
        (0.1, 2.2, (1.92693230, 1.67551645, 1.51140702)),
        (0.5, 3.0, (2.72630335, 2.45515331, 2.19578864)),
        (1.0, 3.0, (2.61803399, 2.23606798, 1.85410197)),
    ],
)
def test_shrinkers_are_the_reference(beta, y, values):
    for shrinker, value in zip(SHRINKERS, values, strict=True):
        assert shrinker(y, beta) == pytest.approx(value, abs=6e-9)


@pytest.mark.parametrize(
    ("beta", "x", "y", "short", "long"),
    [
        (0.1, 2.0, 2.2638462845, 0.9695121951, 0.795),
        (0.5, 4.0, 4.1870335561, 0.9678030303, 0.9393382353),
        (1.0, 2.0, 2.5, 0.75, 0.75),
    ],
)
def test_spikes_and_overlaps_are_the_reference(beta, x, y, short, long):
    assert shrink.spike_to_singular(x, beta) == pytest.approx(y, abs=6e-11)
    found = shrink.overlaps(x, beta)
    assert found.short == pytest.approx(short, abs=6e-11)
    assert found.long == pytest.approx(long, abs=6e-11)


@pytest.mark.parametrize(("gamma", "spike", "lam"), [(0.2, 3.0, 3.3), (0.5, 3.0, 3.75), (2.0, 6.0, 8.4)])
def test_debiased_eigenvalues_are_the_reference(gamma, spike, lam):
    assert shrink.debias_eigenvalue(lam, gamma) == pytest.approx(spike, rel=1e-14)


@pytest.mark.parametrize(
    ("beta", "known", "unknown"),
    [
        (0.01, 1.4347484457, 1.4371464018),
        (0.10, 1.5816483953, 1.6087715574),
        (0.25, 1.7580293771, 1.8368657911),
        (0.50, 1.9785990538, 2.1711853485),
        (0.75, 2.1560938442, 2.5014297364),
        (1.0, 2.3094010768, 2.8583624241),
    ],
)
def test_hard_thresholds_are_the_reference(beta, known, unknown):
    assert shrink.hard_threshold(beta) == pytest.approx(known, abs=6e-11)
    assert shrink.hard_threshold_unknown_sigma(beta) == pytest.approx(unknown, abs=6e-11)


@quick
@given(beta=RATIOS, fraction=st.floats(0.0, 1.0))
def test_nothing_below_the_edge_is_let_through(beta, fraction):
    # Below 1 - sqrt(beta) the radicand is positive again: a shrinker that tests only its sign keeps these values.
    y = fraction * (1 + np.sqrt(beta))
    assert [float(shrinker(y, beta)) for shrinker in SHRINKERS] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("beta", [1e-3, 0.3, 1.0])
def test_limits_at_the_edge(beta):
    y = (1 + np.sqrt(beta)) * (1 + 1e-12)
    assert shrink.operator(y, beta) == pytest.approx(beta**0.25, rel=1e-4)
    assert 0 < shrink.frobenius(y, beta) < 1e-5
    assert shrink.nuclear(y, beta) == 0


@quick
@given(beta=RATIOS, excess=st.floats(1e-3, 1e3))
def test_operator_shrinkage_inverts_the_spike(beta, excess):
    x = beta**0.25 * (1 + excess)
    assert shrink.operator(shrink.spike_to_singular(x, beta), beta) == pytest.approx(x, rel=1e-9)


@quick
@given(beta=RATIOS, excess=st.floats(1e-2, 1e3))
def test_frobenius_and_nuclear_follow_from_strength_and_overlaps(beta, excess):
    x = beta**0.25 * (1 + excess)
    y, found = shrink.spike_to_singular(x, beta), shrink.overlaps(x, beta)
    c = np.sqrt(found.short * found.long)
    s = np.sqrt((1 - found.short) * (1 - found.long))
    assert shrink.frobenius(y, beta) == pytest.approx(x * c, rel=1e-7)
    assert shrink.nuclear(y, beta) == pytest.approx(max(0.0, x * (c - s)), rel=1e-6, abs=1e-9 * x)


@quick
@given(gamma=st.floats(0.01, 100.0), excess=st.floats(1e-2, 1e3))
def test_debiasing_inverts_the_bias(gamma, excess):
    spike = 1 + np.sqrt(gamma) * (1 + excess)
    assert shrink.debias_eigenvalue(spike * (1 + gamma / (spike - 1)), gamma) == pytest.approx(spike, rel=1e-7)
    edge = (1 + np.sqrt(gamma)) ** 2
    assert shrink.debias_eigenvalue([0.0, edge * 0.999], gamma).tolist() == [1.0, 1.0]


def test_spikes_below_the_transition_stay_at_the_edge():
    assert shrink.spike_to_singular([0.0, 0.2, 1.0], 1.0).tolist() == [2.0, 2.0, 2.0]
    found = shrink.overlaps([0.0, 1.0], 1.0)
    assert found.short.tolist() == found.long.tolist() == [0.0, 0.0]


def test_large_values_do_not_overflow():
    assert shrink.operator(1e100, 0.5) == pytest.approx(1e100)
    assert shrink.frobenius(1e100, 0.5) == pytest.approx(1e100)
    found = shrink.overlaps(1e100, 0.5)
    assert found.short == 1.0
    assert found.long == 1.0


def with_components(shape, strengths, rng, noise=None):
    """Return signal and data: orthonormal directions times strengths * sqrt(long side), plus unit noise."""
    rank = len(strengths)
    U, _ = np.linalg.qr(rng.normal(size=(shape[0], rank)))
    V, _ = np.linalg.qr(rng.normal(size=(shape[1], rank)))
    signal = (U * (np.array(strengths) * np.sqrt(max(shape)))) @ V.T
    return U, V, signal, signal + (rng.normal(size=shape) if noise is None else noise)


@pytest.mark.parametrize("shape", [(200, 500), (500, 200), (300, 300)])
@pytest.mark.parametrize("complex_data", [False, True])
def test_simulated_spikes_have_the_predicted_value_and_overlaps(shape, complex_data):
    rng = np.random.default_rng(1)
    beta, x = min(shape) / max(shape), 2.0
    values, shorts, longs = [], [], []
    for _ in range(8):
        noise = rng.normal(size=shape)
        if complex_data:
            noise = (noise + 1j * rng.normal(size=shape)) / np.sqrt(2)
        U, V, _, X = with_components(shape, [x], rng, noise)
        left, s, right = np.linalg.svd(X, full_matrices=False)
        sides = [abs(np.vdot(U[:, 0], left[:, 0])) ** 2, abs(np.vdot(V[:, 0], right[0].conj())) ** 2]
        values.append(s[0] / np.sqrt(max(shape)))
        shorts.append(sides[int(shape[0] > shape[1])])
        longs.append(sides[int(shape[0] <= shape[1])])
    predicted = shrink.overlaps(x, beta)
    # Fluctuations are of order 1 / sqrt(short side) = .07, divided by sqrt(8) in the mean: 2.5 of them.
    assert np.mean(values) == pytest.approx(shrink.spike_to_singular(x, beta), abs=0.06)
    assert np.mean(shorts) == pytest.approx(predicted.short, abs=0.06)
    assert np.mean(longs) == pytest.approx(predicted.long, abs=0.06)


@pytest.mark.parametrize("shape", [(100, 300), (300, 100)])
def test_pure_noise_is_shrunk_to_nothing_when_sigma_goes_with_the_long_side(shape):
    values = np.linalg.svd(np.random.default_rng(0).normal(size=shape), compute_uv=False)
    beta = min(shape) / max(shape)
    assert (shrink.nuclear(values / np.sqrt(max(shape)), beta) == 0).all()
    # The largest noise value exceeds the edge by chance, by 2 % of it here: all that is left is less than that allows.
    assert (shrink.frobenius(values / np.sqrt(max(shape)), beta) < 0.6).all()
    assert np.count_nonzero(values > np.sqrt(max(shape)) * shrink.hard_threshold(beta)) == 0


def marchenko_pastur_singular_values(short, long):
    """Return `short` noise singular values (unit variance, divided by sqrt(long)) at the quantiles of the law."""
    return np.sqrt(MarchenkoPastur(short / long).ppf((np.arange(short) + 0.5) / short))


@pytest.mark.parametrize("beta", [0.25, 1.0])
def test_optshrink_is_frobenius_shrinkage_on_white_noise(beta):
    short = 4000
    long = round(short / beta)
    y = np.array([4.0, 3.0, 2.5])
    noise = marchenko_pastur_singular_values(short, long)
    found = shrink.optshrink(np.concatenate([y, noise[3:]]), 3, (long, short))
    np.testing.assert_allclose(found.shrunk, shrink.frobenius(y, beta), rtol=5e-3)
    np.testing.assert_allclose(found.strength, shrink.operator(y, beta), rtol=5e-3)
    predicted = shrink.overlaps(shrink.operator(y, beta), beta)
    np.testing.assert_allclose(found.overlaps.short, predicted.short, rtol=5e-3)
    np.testing.assert_allclose(found.overlaps.long, predicted.long, rtol=5e-3)


def relative_error(found, signal):
    return np.sum((found - signal) ** 2) / np.sum(signal**2)


def test_optshrink_survives_colored_noise_where_white_shrinkage_fails():
    rng, n_runs, rho = np.random.default_rng(8), 15, 0.7
    optimal, white, oracle = [], [], []
    for _ in range(n_runs):
        noise = rng.normal(size=(100, 200))
        noise[:, 1:] *= np.sqrt(1 - rho**2)
        noise = scipy.signal.lfilter([1.0], [1.0, -rho], noise, axis=1)
        _, _, signal, X = with_components((100, 200), [6.0, 4.0, 2.5], rng, noise)
        U, s, Vt = np.linalg.svd(X, full_matrices=False)
        found = shrink.optshrink(s, 3, X.shape)
        optimal.append(relative_error((U[:, :3] * found.shrunk) @ Vt[:3], signal))
        sigma = np.median(s) / np.sqrt(200 * MarchenkoPastur(0.5).median())
        frobenius = shrink.frobenius(s / (sigma * np.sqrt(200)), 0.5) * sigma * np.sqrt(200)
        white.append(relative_error((U * frobenius) @ Vt, signal))
        best = np.maximum(np.einsum("ik,ij,kj->k", U[:, :3], signal, Vt[:3]), 0.0)
        oracle.append(relative_error((U[:, :3] * best) @ Vt[:3], signal))
    assert np.mean(optimal) < 1.05 * np.mean(oracle)  # the reference: .0945 beside .0931
    assert np.mean(white) > 3 * np.mean(optimal)


@quick
@given(exponent=st.floats(-21, 21), seed=st.integers(0, 20))
def test_optshrink_scales_with_the_data_and_ignores_order_and_orientation(exponent, seed):
    rng = np.random.default_rng(seed)
    values = np.linalg.svd(with_components((30, 50), [5.0, 3.0], rng)[3], compute_uv=False)
    one = shrink.optshrink(values, 2, (30, 50))
    factor = 10.0**exponent
    scaled = shrink.optshrink(rng.permutation(values) * factor, 2, (50, 30))
    np.testing.assert_allclose(scaled.shrunk, one.shrunk * factor, rtol=1e-11)
    np.testing.assert_allclose(scaled.strength, one.strength * factor, rtol=1e-11)
    np.testing.assert_allclose(scaled.overlaps.short, one.overlaps.short, rtol=1e-11)
    np.testing.assert_allclose(scaled.overlaps.long, one.overlaps.long, rtol=1e-11)


def test_optshrink_slope_is_the_derivative():
    values = np.array([5.0, 2.0, 1.5, 0.7, 0.1])
    noise, y, step = values[1:], 5.0, 1e-5

    def transform(y):  # the naive sums, zeros of the long side spelled out: 8 - 5 of them
        padded = np.concatenate([noise, np.zeros(3)])
        return np.mean(y / (y**2 - noise**2)) * np.mean(y / (y**2 - padded**2))

    slope = (transform(y + step) - transform(y - step)) / (2 * step)
    found = shrink.optshrink(values, 1, (5, 8))
    assert found.shrunk[0] == pytest.approx(-2 * transform(y) / slope, rel=1e-8)
    assert found.strength[0] == pytest.approx(transform(y) ** -0.5, rel=1e-13)


def test_optshrink_leaves_noiseless_data_alone():
    found = shrink.optshrink([3.0, 2.0, 0.0, 0.0], 2, (4, 9))
    np.testing.assert_allclose(found.shrunk, [3.0, 2.0], rtol=1e-14)
    np.testing.assert_allclose(found.overlaps.short, 1.0, rtol=1e-14)


def test_optshrink_of_rank_zero_and_of_ties_is_an_ordinary_answer():
    assert shrink.optshrink([3.0, 2.0, 1.0], 0, (3, 5)).shrunk.shape == (0,)
    tied = shrink.optshrink([3.0, 2.0, 2.0, 1.0], 2, (4, 5))
    assert tied.shrunk[0] > 0
    assert tied.shrunk[1] == tied.strength[1] == tied.overlaps.short[1] == 0
    assert shrink.optshrink(np.zeros(4), 2, (4, 5)).shrunk.tolist() == [0.0, 0.0]


def test_impossible_arguments_are_refused():
    for beta in (0.0, 1.5, -1.0, np.nan):
        with pytest.raises(ConfigError, match=r"in \(0, 1\]"):
            shrink.frobenius(2.0, beta)
    with pytest.raises(DataError, match="NaN"):
        shrink.operator([1.0, np.nan], 0.5)
    with pytest.raises(DataError, match="expected all 4 singular values"):
        shrink.optshrink([3.0, 2.0], 1, (4, 5))
    with pytest.raises(ConfigError, match="rank from 0 to 1"):
        shrink.optshrink([3.0, 2.0], 2, (2, 5))


def test_there_is_one_formula_for_a_spike_from_its_eigenvalue() -> None:
    lam, gamma = np.linspace(0.1, 30, 200), 0.4
    above = lam > (1 + np.sqrt(gamma)) ** 2
    squared = shrink.spike_strength(lam, gamma)
    np.testing.assert_allclose((squared[above] + 1) * (squared[above] + gamma) / squared[above], lam[above], rtol=1e-12)
    np.testing.assert_allclose(shrink.operator(np.sqrt(lam), gamma) ** 2, squared, rtol=1e-12)
    np.testing.assert_allclose(shrink.debias_eigenvalue(lam, gamma) - 1, squared, atol=1e-14)


def test_what_holds_below_the_edge_is_said_by_the_caller() -> None:
    gamma = 0.4
    lam = np.array([0.01, 1.0, (1 + np.sqrt(gamma)) ** 2, 9.0])
    assert (shrink.spike_strength(lam, gamma)[:3] == 0).all()
    assert (shrink.spike_strength(lam, gamma, below=np.sqrt(gamma))[:3] == np.sqrt(gamma)).all()
    np.testing.assert_array_equal(shrink.spike_strength(lam, gamma, below=lam)[:3], lam[:3])
