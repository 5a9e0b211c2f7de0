"""The noise level: unbiased beside signal, equivariant, honest about its breakdown."""

from typing import Literal

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings

from sciml.errors import ConfigError, DataError
from sciml.rmt.sigma import (
    from_differences,
    from_high_band,
    from_noise,
    known,
    median_edge_refit,
    residual_variance,
)
from sciml.rmt.sigma.edge_refit import MAX_CORRECTION
from sciml.rmt.spectrum import Spectrum

quick = settings(derandomize=True, deadline=None, max_examples=40)


def eigenvalues(X):
    """Return the min(shape) eigenvalues of X^H X / n_samples."""
    return np.linalg.svd(X, compute_uv=False) ** 2 / X.shape[0]


def with_components(n_samples, n_features, rank, snr, rng):
    """Unit noise plus `rank` components with singular values snr to 2 snr times the square root of the long side."""
    U, _ = np.linalg.qr(rng.normal(size=(n_samples, rank)))
    V, _ = np.linalg.qr(rng.normal(size=(n_features, rank)))
    strength = snr * np.linspace(1, 2, rank) * np.sqrt(max(n_samples, n_features))
    return (U * strength) @ V.T + rng.normal(size=(n_samples, n_features))


def estimate(X, complex_data=False, **options):
    field: Literal["real", "complex"] = "complex" if complex_data else "real"
    return median_edge_refit(Spectrum(eigenvalues(X), X.shape[1], X.shape[0], field), **options)


@pytest.mark.parametrize(
    ("n_samples", "n_features", "rank", "sigma"),
    # Means over 200 runs of the reference table; both orientations of one shape.
    [
        (125, 60, 0, 0.9975),
        (125, 60, 5, 0.9988),
        (60, 125, 5, 0.9988),
        (125, 60, 20, 0.9946),
        (125, 125, 10, 0.9968),
        (400, 30, 3, 0.9997),
    ],
)
def test_sigma_is_the_reference_at_every_rank_and_orientation(n_samples, n_features, rank, sigma):
    rng = np.random.default_rng(4)
    n_runs = 60
    found = [estimate(with_components(n_samples, n_features, rank, 3.0, rng)) for _ in range(n_runs)]
    sigmas = np.array([one.sigma for one in found])
    assert all(one.converged for one in found)
    # Four standard errors of the mean, and one of the reference's own 200 runs.
    assert abs(sigmas.mean() - sigma) < 5 * sigmas.std() / np.sqrt(n_runs)
    # One noise matrix in six has a value above the plain edge.
    assert np.mean([one.rank == rank for one in found]) > (0.75 if rank else 0.5)


@pytest.mark.parametrize("complex_data", [False, True])
def test_standard_error_is_the_scatter_of_the_estimate(complex_data):
    rng = np.random.default_rng(6)
    found = []
    for _ in range(300):
        X = with_components(200, 50, 2, 5.0, rng).astype(complex)
        if complex_data:
            X += 1j * rng.normal(size=X.shape)
        found.append(estimate(X if complex_data else X.real, complex_data=complex_data))
    scatter = np.std([one.sigma for one in found])
    # The scatter of 300 runs is known to 1 / sqrt(600) = 4 %; the count of noise eigenvalues at the edge adds a little.
    assert np.mean([one.standard_error for one in found]) == pytest.approx(scatter, rel=0.15)


@quick
@given(exponent=st.floats(-21, 21), seed=st.integers(0, 20))
def test_sigma_scales_with_the_data_and_rank_does_not(exponent, seed):
    X = with_components(90, 40, 3, 2.0, np.random.default_rng(seed))
    one, scaled = estimate(X), estimate(X * 10.0**exponent)
    assert scaled.sigma == pytest.approx(one.sigma * 10.0**exponent, rel=1e-11)
    assert scaled.standard_error == pytest.approx(one.standard_error * 10.0**exponent, rel=1e-11)
    assert (scaled.rank, scaled.converged) == (one.rank, one.converged)


@quick
@given(seed=st.integers(0, 20))
def test_sigma_ignores_transposition_rotation_and_order(seed):
    rng = np.random.default_rng(seed)
    X = with_components(90, 40, 3, 2.0, rng)
    one = estimate(X)
    assert estimate(X.T).sigma == pytest.approx(one.sigma, rel=1e-12)
    rotation, _ = np.linalg.qr(rng.normal(size=(40, 40)))
    assert estimate(X @ rotation).sigma == pytest.approx(one.sigma, rel=1e-12)
    assert median_edge_refit(Spectrum(rng.permutation(eigenvalues(X)), 40, 90)) == one


def test_single_precision_gives_the_same_answer():
    X = with_components(200, 50, 3, 2.0, np.random.default_rng(0))
    single, double = estimate(X.astype(np.float32)), estimate(X)
    assert single.sigma == pytest.approx(double.sigma, rel=1e-6)
    assert single.rank == double.rank == 3


def test_demeaned_wide_data_may_leave_out_the_zero_eigenvalue():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 200))
    values = eigenvalues(X - X.mean(axis=0))[:-1]
    # Demeaning T = 60 samples leaves noise of T - 1 degrees of freedom in each channel.
    assert median_edge_refit(Spectrum(values, 200, 60)).sigma == pytest.approx(1.0, abs=0.02)


def test_a_constant_channel_changes_sigma_by_no_more_than_its_fraction():
    X = np.random.default_rng(1).normal(size=(400, 100))
    whole = estimate(X)
    X[:, 3] = 0.0
    assert estimate(X).sigma == pytest.approx(whole.sigma, rel=0.01)


def test_pure_noise_is_an_ordinary_answer():
    found = estimate(np.random.default_rng(11).normal(size=(500, 100)))
    assert (found.rank, found.converged) == (0, True)


def test_noiseless_data_have_sigma_zero():
    assert median_edge_refit(Spectrum([4.0, 1.0, 0.0, 0.0, 0.0, 0.0], 6, 50)).rank == 2
    assert median_edge_refit(Spectrum([4.0, 1.0, 0.0, 0.0, 0.0, 0.0], 6, 50)).sigma == 0
    nothing = median_edge_refit(Spectrum(np.zeros(6), 6, 50))
    assert (nothing.sigma, nothing.rank, nothing.converged) == (0.0, 0, True)


def test_spectrum_without_a_gap_falls_back_to_the_sigma_of_all_entries():
    values = 1.0 / np.arange(1, 61) ** 2  # every refit finds new outliers, down to the last eigenvalue
    found = median_edge_refit(Spectrum(values, 60, 2000))
    edge = values.sum() / 60 * (1 + np.sqrt(60 / 2000)) ** 2
    assert not found.converged
    assert found.sigma == pytest.approx(np.sqrt(values.sum() / 60))
    assert found.rank == np.count_nonzero(values > edge)


def test_fallback_uses_all_entries_of_wide_data_too():
    values = 1.0 / np.arange(1, 61) ** 2
    found = median_edge_refit(Spectrum(values, 2000, 60))
    assert not found.converged
    assert found.sigma == pytest.approx(np.sqrt(values.sum() / 2000))  # mean square = trace / n_features


def test_max_rank_is_where_the_estimate_gives_up():
    values = eigenvalues(with_components(300, 60, 5, 3.0, np.random.default_rng(2)))
    assert median_edge_refit(Spectrum(values, 60, 300), max_rank=5).converged
    assert not median_edge_refit(Spectrum(values, 60, 300), max_rank=4).converged


def test_calcium_imaging_of_a_worm_breaks_down_to_the_rank_of_all_entries(data_dir):
    with h5py.File(data_dir / "nwb_scholz2018_141721.nwb") as file:
        names = sorted(name for name in file["acquisition"] if name.startswith("Activity_"))
        X = np.stack([file["acquisition"][name]["data"][()] for name in names], axis=1)
    assert X.shape == (2244, 62)
    found = estimate((X - X.mean(axis=0)) / X.std(axis=0))
    assert (found.rank, found.converged) == (9, False)
    assert found.sigma == pytest.approx(1.0)


def test_a_partial_spectrum_is_refused():
    with pytest.raises(DataError, match="expected all 40 eigenvalues of 40 features and 90 samples, got 10"):
        median_edge_refit(Spectrum(np.ones(10), 40, 90))
    with pytest.raises(DataError, match="got 39"):  # one less only where demeaning explains it
        median_edge_refit(Spectrum(np.ones(39), 40, 90))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5])
def test_impossible_eigenvalues_are_refused(bad):
    with pytest.raises(DataError, match="eigenvalues"):
        median_edge_refit(Spectrum([1.0, 1.0, bad], 3, 10))


def test_rounding_below_zero_is_taken_as_zero():
    values = [1.0, 0.9, 1.1, -1e-17]
    assert median_edge_refit(Spectrum(values, 4, 1000)) == median_edge_refit(Spectrum([1.0, 0.9, 1.1, 0.0], 4, 1000))


@pytest.mark.parametrize("max_rank", [-1, 3])
def test_max_rank_must_leave_noise(max_rank):
    with pytest.raises(ConfigError, match="max_rank from 0 to 2"):
        median_edge_refit(Spectrum([1.0, 1.0, 1.0], 3, 10), max_rank=max_rank)


@pytest.mark.parametrize(
    ("short", "long", "rank", "low", "high"),
    # Strengths in units of the detection limit; a third of the short side at exactly twice the limit is the worst case.
    [
        (60, 125, 20, 2.0, 2.0),
        (60, 125, 20, 2.0, 4.0),
        (125, 125, 41, 2.0, 4.0),
        (125, 125, 41, 2.1, 2.1),
        (125, 125, 20, 2.0, 2.0),
        (125, 200, 41, 2.0, 3.0),
        (30, 400, 10, 2.0, 2.0),
        (64, 1000, 21, 2.0, 2.0),
    ],
)
def test_sigma_is_within_one_percent_for_ranks_up_to_a_third_and_strengths_from_twice_the_limit(
    short, long, rank, low, high
):
    rng = np.random.default_rng(short + long)
    strength = np.linspace(low, high, rank) * (short / long) ** 0.25 * np.sqrt(long)
    sigmas = []
    for _ in range(20):
        U, V = (np.linalg.qr(rng.normal(size=(side, rank)))[0] for side in (short, long))
        sigmas.append(estimate((U * strength) @ V.T + rng.normal(size=(short, long))).sigma)
    # One percent, and three standard errors of the mean of 20 runs.
    assert abs(np.mean(sigmas) - 1) < 0.01 + 3 * np.std(sigmas) / np.sqrt(20)
    assert np.std(sigmas) < 0.02


def test_residual_variance_is_exact_on_the_limit_law():
    # One spike x: the eigenvalue is (x² + 1)(x² + beta) / x², the rest keeps the total of the noise, beta + x² less.
    beta, long = 0.5, 10_000
    short = round(beta * long)
    x2 = 1.3
    top = (x2 + 1) * (x2 + beta) / x2
    rest = short - (top - x2)
    scatter = np.r_[top, np.full(short - 1, rest / (short - 1))]
    assert residual_variance(scatter, long, 1) == pytest.approx(1.0, abs=2 / long**1.5)
    assert residual_variance(scatter * 1e-42, long, 1) == pytest.approx(1e-42, rel=2e-6)


def ar1_frames(rng, n, p, phi, complex_data=False):
    noise = rng.normal(size=(n + 100, p))
    if complex_data:
        noise = (noise + 1j * rng.normal(size=(n + 100, p))) / np.sqrt(2)
    return scipy.signal.lfilter([np.sqrt(1 - phi**2)], [1, -phi], noise, axis=0)[100:]


@pytest.mark.parametrize("complex_data", [False, True])
@pytest.mark.parametrize(
    ("method", "phi"), [(from_noise, 0.0), (from_noise, 0.8), (from_high_band, 0.0), (from_differences, 0.0)]
)
def test_standard_errors_of_the_other_levels_are_their_scatter(method, phi, complex_data):
    rng = np.random.default_rng(7)
    found = [method(3.0 * ar1_frames(rng, 600, 4, phi, complex_data)) for _ in range(200)]
    sigmas = np.array([one.sigma for one in found])
    scatter = sigmas.std()
    # The scatter of 200 runs is known to 5 %; the formulas hold to first order in it.
    assert np.mean([one.standard_error for one in found]) == pytest.approx(scatter, rel=0.2)
    assert abs(sigmas.mean() - 3.0) < 4 * scatter / np.sqrt(200) + 0.01


@pytest.mark.parametrize("method", [from_noise, from_high_band, from_differences])
def test_the_other_levels_scale_ignore_offsets_and_order_of_features_and_refuse_nan(method):
    rng = np.random.default_rng(8)
    X = rng.normal(size=(300, 6)) * np.linspace(1, 2, 6)
    one = method(X)
    for scale in (1e-21, 1e21):
        assert method(X * scale).sigma == pytest.approx(one.sigma * scale, rel=1e-9)
        assert method(X * scale).standard_error == pytest.approx(one.standard_error * scale, rel=1e-9)
    assert method(X + 100.0).sigma == pytest.approx(one.sigma, rel=1e-9)
    assert method(X[:, ::-1]).sigma == pytest.approx(one.sigma, rel=1e-12)
    assert method(X.astype(np.float32)).sigma == pytest.approx(one.sigma, rel=1e-6)
    X[3, 3] = np.nan
    with pytest.raises(DataError, match="finite"):
        method(X)


@pytest.mark.parametrize("method", [from_high_band, from_differences])
def test_slow_signals_are_not_noise(method):
    rng = np.random.default_rng(9)
    slow = 30 * np.sin(2 * np.pi * np.arange(2000)[:, None] / 400 + np.arange(5))
    found = method(slow + rng.normal(size=(2000, 5)))
    # Differences keep (2 pi 30 / 400)² / 4 of the sine: 5 % of the variance, 2.7 % of sigma.
    assert found.sigma == pytest.approx(1.0, abs=0.05)


def test_a_line_in_the_high_band_counts_for_little():
    rng = np.random.default_rng(10)
    X = rng.normal(size=(4000, 4)) + 5 * np.sin(2 * np.pi * 0.31 * np.arange(4000))[:, None]
    assert from_high_band(X).sigma == pytest.approx(1.0, abs=0.25)
    assert from_differences(X).sigma > 2.5


def test_known_levels_are_taken_as_they_are():
    assert (known(2.0).sigma, known(2.0).standard_error) == (2.0, 0.0)
    with pytest.raises(ConfigError, match="sigma"):
        known(-1.0)
    with pytest.raises(ConfigError, match="standard error"):
        known(1.0, standard_error=np.nan)
    with pytest.raises(ConfigError, match="lower end of the band"):
        from_high_band(np.zeros((100, 2)), low=0.6)
    with pytest.raises(DataError, match="all constant"):
        from_noise(np.ones((10, 3)))
    assert from_high_band(np.ones((100, 2))).sigma == 0.0
    assert from_differences(np.ones((100, 2))).sigma == 0.0
    with pytest.raises(DataError, match="at least 16 samples"):
        from_high_band(np.zeros((8, 2)))


def test_residual_variance_solves_its_equation_however_slowly_the_steps_converge() -> None:
    # Of 24000 such calls 24 were not done after the hundred steps that once were all.
    rng = np.random.default_rng(0)
    for _ in range(1500):
        m = int(rng.integers(3, 60))
        n = int(m * np.exp(rng.uniform(0, 3)))
        scatter = np.sort(np.exp(2 * rng.normal(size=m)))[::-1]
        rank = int(rng.integers(1, m))
        variance = residual_variance(scatter, n, rank)
        plain = scatter[rank:].sum() * n / ((m - rank) * (n - rank))
        beta = (m - rank) / (n - rank)
        excess = np.maximum(scatter[:rank] * n / (n - rank) / variance - 1 - beta, 2 * np.sqrt(beta))
        strength = (excess + np.sqrt(np.maximum(excess**2 - 4 * beta, 0))) / 2
        removed = min((1 / strength).sum() / (n - rank), MAX_CORRECTION)
        # Where a component lies at its edge, the square root there makes 1e-8 of the rounding of 1e-16.
        assert variance == pytest.approx(plain / (1 - removed), rel=1e-7)
