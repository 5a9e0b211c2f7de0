"""Covariance shrinkage against the formulas as printed, loss minimizers, oracles, and scikit-learn's contract."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.signal
import scipy.stats
from sklearn.base import clone
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sciml.errors import ConfigError, DataError
from sciml.rmt import covariance as cov
from sciml.rmt.covariance.nonlinear import gain
from sciml.rmt.shrink import debias_eigenvalue
from sciml.rmt.spectrum import Spectrum

ESTIMATORS = (
    cov.QuadraticInverseShrinkage,
    cov.AnalyticNonlinearShrinkage,
    cov.RotationallyInvariant,
    cov.SpikedCovariance,
)
NONLINEAR = (cov.qis, cov.analytic, cov.rie)
FUNCTIONS = (*NONLINEAR, cov.spiked)
BROAD = np.repeat([1.0, 3.0, 10.0], [40, 80, 80])
SPIKES = np.concatenate([[80.0, 40.0, 20.0, 10.0, 5.0], np.ones(195)])


def ar1(n_samples, n_features, phi, rng):
    innovations = rng.normal(size=(n_samples + 300, n_features))
    return scipy.signal.lfilter([np.sqrt(1 - phi**2)], [1, -phi], innovations, axis=0)[300:]


def tau(phi):
    return (1 + phi**2) / (1 - phi**2)


def prial(shrinkers, population, n_samples, runs, phi=0.0):
    """Percentage of the sample covariance's mean squared error that the oracle and each shrinker take away.

    All are rotation equivariant: the population may be diagonal. An estimate of eigenvalues d on the sample's
    eigenvectors u_i has the squared error |d - b|² + |Sigma|² - |b|², where b_i = u_i^T Sigma u_i is the oracle.
    """
    rng, p = np.random.default_rng(0), population.size
    losses = np.zeros(len(shrinkers) + 2)
    for _ in range(runs):
        X = ar1(n_samples, p, phi, rng) * np.sqrt(population)
        lam, vectors = np.linalg.eigh(np.cov(X.T))
        lam, best = np.maximum(lam[::-1], 0.0), ((vectors**2).T @ population)[::-1]
        found = [each(lam, p, n_samples - 1, X) for each in shrinkers]
        rest = np.sum(population**2) - np.sum(best**2)
        losses += [np.sum((each - best) ** 2) + rest for each in (lam, best, *found)]
    return 100 * (1 - losses[1:] / losses[0])


def plain(function):
    return lambda lam, p, n, _: function(Spectrum(lam, p, n))


def aware(function):
    return lambda lam, p, n, X: function(Spectrum(lam, p, n), n_effective=cov.estimate_effective_samples(X))


def ledoit_wolf(lam, p, n, X):
    shrinkage = ledoit_wolf_shrinkage(X)
    return (1 - shrinkage) * lam + shrinkage * lam.mean()


@parametrize_with_checks([cov.QuadraticInverseShrinkage(n_effective="auto"), *(each() for each in ESTIMATORS[1:])])
def test_the_contract_of_scikit_learn_holds(estimator, check):
    if "array_api" in str(check):
        pytest.skip("no array API")
    check(estimator)


def test_quadratic_inverse_shrinkage_is_the_printed_formula():
    for p, n in ((12, 30), (30, 12)):
        lam = np.sort(np.random.default_rng(p).gamma(2.0, size=min(p, n)))[::-1]
        c, ell = p / n, 1 / lam
        h = min(c**2, c**-2) ** 0.35 / p**0.35
        d = ell[:, None] - ell[None, :]
        norm = d**2 + h**2 * ell[:, None] ** 2
        theta, amplitude = (ell[:, None] * d / norm).mean(axis=0), (h * ell[:, None] ** 2 / norm).mean(axis=0)
        square = theta**2 + amplitude**2
        if p <= n:
            delta = 1 / ((1 - c) ** 2 * ell + 2 * c * (1 - c) * ell * theta + c**2 * ell * square)
        else:
            delta = np.concatenate([1 / (ell * square), np.full(p - n, 1 / ((c - 1) * ell.mean()))])
        np.testing.assert_allclose(cov.qis(Spectrum(lam, p, n)), delta * lam.sum() / delta.sum(), rtol=1e-12)


def test_analytic_shrinkage_is_the_printed_formula():
    for p, n in ((12, 30), (30, 14)):
        lam = np.sort(np.random.default_rng(p).gamma(2.0, size=min(p, n)))[::-1]
        h = n ** (-1 / 3)
        wide, x = h * lam[None, :], lam[:, None] - lam[None, :]
        u = x / wide
        f = (3 / (4 * np.sqrt(5) * wide) * np.maximum(1 - u**2 / 5, 0)).mean(axis=1)
        log = np.log(np.abs((np.sqrt(5) * wide - x) / (np.sqrt(5) * wide + x)))
        second = 3 / (4 * np.sqrt(5) * np.pi * wide) * (1 - u**2 / 5) * log
        hilbert = (-3 * x / (10 * np.pi * wide**2) + second).mean(axis=1)
        if p <= n:
            c = p / n
            expected = lam / ((np.pi * c * lam * f) ** 2 + (1 - c - np.pi * c * lam * hilbert) ** 2)
        else:
            five = np.sqrt(5) * h
            ratio = np.log((1 + five) / (1 - five))
            zero = (
                (3 / (10 * h**2) + 3 / (4 * np.sqrt(5) * h) * (1 - 1 / (5 * h**2)) * ratio) / np.pi * np.mean(1 / lam)
            )
            null = 1 / (np.pi * (p - n) / n * zero)
            expected = np.append(lam / (np.pi**2 * lam**2 * (f**2 + hilbert**2)), np.full(p - n, null))
        np.testing.assert_allclose(cov.analytic(Spectrum(lam, p, n)), expected, rtol=1e-9)


@pytest.mark.parametrize("regularize", [False, True])
def test_rotationally_invariant_shrinkage_is_the_printed_formula(regularize):
    p, n = 15, 40
    q, lam = p / n, np.sort(np.random.default_rng(0).gamma(2.0, size=p))[::-1]
    lam /= lam.mean()
    xi = np.empty(p)
    for k in range(p):
        z = lam[k] - 1j / np.sqrt(p)
        s = sum(1 / (z - lam[j]) for j in range(p) if j != k) / p
        xi[k] = lam[k] / abs(1 - q + q * z * s) ** 2
        variance, high = lam[-1] / (1 - np.sqrt(q)) ** 2, lam[-1] * ((1 + np.sqrt(q)) / (1 - np.sqrt(q))) ** 2
        g = (z + variance * (q - 1) - np.sqrt(z - lam[-1]) * np.sqrt(z - high)) / (2 * q * z * variance)
        if regularize:
            xi[k] *= max(1, variance * abs(1 - q + q * z * g) ** 2 / lam[k])
    np.testing.assert_allclose(cov.rie(Spectrum(lam, p, n), regularize=regularize), xi * p / xi.sum(), rtol=1e-12)


def test_an_outlier_takes_no_part_in_its_own_sum():
    # With itself in the sum, an outlier of 80 in noise of 1 is shrunk below the noise.
    lam = np.append(80.0, np.linspace(0.3, 2.5, 199))
    assert cov.rie(Spectrum(lam, 200, 600))[0] > 70


LOSS_FUNCTIONS = {
    "frobenius": lambda A, B: np.linalg.norm(A - B),
    "operator": lambda A, B: np.linalg.norm(A - B, 2),
    "nuclear": lambda A, B: np.linalg.norm(A - B, "nuc"),
    "stein": lambda A, B: np.trace(np.linalg.solve(A, B)) - np.linalg.slogdet(np.linalg.solve(A, B))[1],
    "inverse_frobenius": lambda A, B: np.linalg.norm(np.linalg.inv(A) - np.linalg.inv(B)),
    "entropy": lambda A, B: np.trace(np.linalg.solve(B, A)) - np.linalg.slogdet(np.linalg.solve(B, A))[1],
    "divergence": lambda A, B: np.trace(np.linalg.solve(A, B)) + np.trace(np.linalg.solve(B, A)),
    "frechet": lambda A, B: np.linalg.norm(scipy.linalg.sqrtm(A) - scipy.linalg.sqrtm(B)),
}


@pytest.mark.parametrize("loss", sorted(cov.LOSSES))
@pytest.mark.parametrize(("gamma", "ell"), [(0.2, 3.0), (0.5, 6.0), (2.0, 8.0), (0.5, 1.9)])
def test_spiked_shrinkers_minimize_their_loss(loss, gamma, ell):
    # Only the plane of the true and the seen direction counts.
    c2 = (1 - gamma / (ell - 1) ** 2) / (1 + gamma / (ell - 1))
    seen = np.array([np.sqrt(c2), np.sqrt(1 - c2)])
    A = np.diag([ell, 1.0])

    def risk(eta):
        return LOSS_FUNCTIONS[loss](A, np.eye(2) + (eta - 1) * np.outer(seen, seen))

    n, p = 1000, round(1000 * gamma)
    sample = ell * (1 + gamma / (ell - 1))
    eta = cov.spiked(Spectrum([sample, *np.ones(min(p, n) - 1)], p, n), loss=loss, sigma=1.0, rank=1)[0]
    best = scipy.optimize.minimize_scalar(risk, bounds=(1.0, 2 * ell), method="bounded", options={"xatol": 1e-9})
    assert risk(eta) <= best.fun * (1 + 1e-9)
    if loss != "operator":  # whose minimum has no width where another direction dominates
        assert eta == pytest.approx(best.x, abs=2e-4)


def test_spiked_covariance_finds_level_and_rank():
    rng = np.random.default_rng(1)
    for n, p in ((600, 120), (120, 600)):
        signal = rng.normal(size=(n, 2)) * [12.0, 8.0] @ np.linalg.qr(rng.normal(size=(p, 2)))[0].T
        found = cov.SpikedCovariance(loss="operator", alpha=1e-3).fit(2.0 * (rng.normal(size=(n, p)) + signal))
        rest = found.shrunk_eigenvalues_[2:]
        # The standard error of sigma² is sqrt(2 / (n p)) = .5 % of it.
        np.testing.assert_allclose(rest, 4.0, rtol=0.02)
        # Strengths have a relative error of sqrt(2 / n), 13 % for the short recording.
        np.testing.assert_allclose(found.shrunk_eigenvalues_[:2], [4 * 145.0, 4 * 65.0], rtol=4 * np.sqrt(2 / n))


def test_sigma_and_rank_may_be_given():
    lam = np.array([9.0, 4.0, 1.1, 1.0, 0.9, 0.8])
    np.testing.assert_allclose(cov.spiked(Spectrum(lam, 6, 100), rank=1)[1:], lam[1:].sum() * 100 / (5 * 99))
    np.testing.assert_allclose(cov.spiked(Spectrum(lam, 6, 100), sigma=2.0)[1:], 4.0)
    both = cov.spiked(Spectrum(lam, 6, 100), sigma=1.0, rank=2, loss="operator")
    np.testing.assert_allclose(both[:2], debias_eigenvalue(lam[:2], 0.06))


@pytest.mark.parametrize(
    ("population", "n_samples", "expected"),
    # Reference means of 8 runs (4 here) for linear, analytic, quadratic-inverse and oracle shrinkage.
    [(BROAD, 600, (40.0, 57.4, 57.2, 58.7))],
)
def test_gain_over_the_sample_covariance_is_the_reference(population, n_samples, expected):
    shrinkers = (ledoit_wolf, plain(cov.analytic), plain(cov.qis))
    oracle, *found = prial(shrinkers, population, n_samples, runs=4)
    # One run varies by 1 %, so the difference of means of 4 and 8 by .6 %.
    np.testing.assert_allclose([*found, oracle], expected, atol=1.5)


def test_nonlinear_shrinkage_comes_close_to_the_oracle_on_a_broad_spectrum():
    for n_samples in (600, 200, 100):
        shrinkers = [plain(each) for each in NONLINEAR]
        oracle, quadratic, nonlinear, invariant = prial(shrinkers, BROAD, n_samples, runs=2)
        assert min(nonlinear, quadratic) > oracle - 3
        assert invariant > oracle - 9


def test_spikes_are_kept_where_linear_shrinkage_has_to_choose():
    shrinkers = (ledoit_wolf, *(plain(each) for each in FUNCTIONS))
    oracle, linear, *others = prial(shrinkers, SPIKES, 400, runs=4)
    # A single spike of 80 decides most of the loss, and its own fluctuation no estimator can undo.
    assert min(others) > linear + 12
    assert max(others) < oracle


@pytest.mark.parametrize(("n_samples", "phi"), [(600, 0.7), (300, 0.9), (100, 0.5)])
def test_correlated_samples_are_shrunk_as_much_as_their_effective_number_asks(n_samples, phi):
    shrinkers = [make(each) for make in (plain, aware) for each in (cov.qis, cov.analytic)]
    oracle, *found = prial(shrinkers, BROAD, n_samples, runs=2, phi=phi)
    assert min(found[2:]) > max(found[:2]) + 8
    assert min(found[2:]) > oracle - 9


def test_the_gain_of_correlated_samples_solves_its_equation():
    rng, phi = np.random.default_rng(0), 0.8
    spectrum = (1 - phi**2) / np.abs(1 - phi * np.exp(2j * np.pi * np.arange(4000) / 4000)) ** 2
    e = rng.normal(size=20) + 1j * rng.exponential(size=20)
    h = np.array([np.mean(each * spectrum / (1 + each * spectrum)) for each in e])
    np.testing.assert_allclose(gain(h, tau(phi)), e.imag / h.imag, rtol=1e-9)


def test_effective_samples_are_those_of_the_scatter_of_a_covariance():
    rng, phi, n = np.random.default_rng(2), 0.8, 400
    entries = [np.mean(np.prod(ar1(n, 2, phi, rng), axis=1)) for _ in range(4000)]
    expected = cov.effective_samples(n, autocorrelation=phi ** np.arange(n))
    # The variance of 4000 draws is known to sqrt(2 / 4000) = 2.2 %.
    assert 1 / np.var(entries) == pytest.approx(expected, rel=0.08)
    grid = np.exp(2j * np.pi * np.arange(4096) / 4096)
    assert cov.effective_samples(n, psd=np.abs(1 - phi * grid) ** -2) == pytest.approx(n / tau(phi), rel=1e-9)
    assert expected == pytest.approx(n / tau(phi), rel=0.02)
    assert cov.effective_samples(n, autocorrelation=[1.0]) == n


@pytest.mark.parametrize("complex_data", [False, True])
@pytest.mark.parametrize(("n_samples", "n_features"), [(1000, 20), (200, 100), (100, 300)])
@pytest.mark.parametrize("phi", [0.0, 0.8])
def test_effective_samples_are_estimated_without_bias(n_samples, n_features, phi, complex_data):
    rng = np.random.default_rng(3)
    scales = np.sqrt(np.geomspace(1, 10, n_features))
    found = []
    for _ in range(10):
        X = ar1(n_samples, n_features, phi, rng)
        if complex_data:
            X = X + 1j * ar1(n_samples, n_features, phi, rng)
        found.append(cov.estimate_effective_samples(X @ (np.diag(scales) + 0.3 / np.sqrt(n_features))))
    # Scatter of the mean of 10, and 4 % of effects of second order in tau / T = .045 at most.
    error = np.std(found) / np.sqrt(10)
    expected = min(n_samples / tau(phi), n_samples - 1)
    assert np.mean(found) == pytest.approx(expected, abs=4 * error + 0.045 * expected)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("n_samples", "n_features"), [(60, 20), (20, 60), (30, 30), (31, 30), (2, 5), (5, 1), (2, 1)])
def test_precision_is_the_inverse_for_any_shape(estimator, n_samples, n_features):
    X = np.random.default_rng(4).normal(size=(n_samples, n_features))
    found = estimator().fit(X)
    assert np.isfinite(found.covariance_).all()
    np.testing.assert_allclose(found.covariance_ @ found.precision_, np.eye(n_features), atol=1e-9)
    np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(found.covariance_)), np.sort(found.shrunk_eigenvalues_))
    lean = clone(found).set_params(store_precision=False).fit(X)
    assert lean.precision_ is None
    np.testing.assert_allclose(lean.get_precision(), found.get_precision(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("n_samples", [40, 8])
def test_constant_features_have_no_variance_and_do_not_disturb(estimator, n_samples):
    X = np.random.default_rng(5).normal(size=(n_samples, 12))
    whole = estimator().fit(X)
    wide = np.insert(X, [3, 7], [0.1, 1e9], axis=1)
    found = estimator().fit(wide)
    kept = [0, 1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13]
    np.testing.assert_allclose(found.covariance_[np.ix_(kept, kept)], whole.covariance_, rtol=1e-12)
    assert not found.covariance_[[3, 8]].any()
    assert not found.precision_[[3, 8]].any()
    nothing = estimator().fit(np.full((n_samples, 3), 0.1))
    assert not nothing.covariance_.any()
    assert not nothing.precision_.any()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_features_that_depend_on_each_other_stay_so(estimator):
    X = np.random.default_rng(6).normal(size=(200, 16))
    X -= X.mean(axis=1, keepdims=True)  # common average reference
    found = estimator().fit(X)
    np.testing.assert_allclose(found.covariance_.sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(found.precision_, np.linalg.pinv(found.covariance_), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
def test_estimators_follow_rotation_scale_order_and_precision(estimator, shape):
    rng = np.random.default_rng(7)
    X = rng.normal(size=shape) * np.linspace(1, 3, shape[1])
    found = estimator().fit(X)
    Q = scipy.stats.ortho_group.rvs(shape[1], random_state=1)
    np.testing.assert_allclose(estimator().fit(X @ Q).covariance_, Q.T @ found.covariance_ @ Q, atol=1e-10)
    order = rng.permutation(shape[1])
    np.testing.assert_allclose(estimator().fit(X[:, order]).covariance_, found.covariance_[np.ix_(order, order)], 1e-9)
    np.testing.assert_allclose(
        estimator().fit(rng.permutation(X)).covariance_, found.covariance_, rtol=1e-9, atol=1e-12
    )
    for factor in (1e-21, 1e21):
        scaled = estimator().fit(X * factor)
        np.testing.assert_allclose(scaled.covariance_ / factor**2, found.covariance_, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(scaled.precision_ * factor**2, found.precision_, rtol=1e-9, atol=1e-12)
    single = estimator().fit(X.astype(np.float32))
    np.testing.assert_allclose(single.covariance_, found.covariance_, rtol=1e-4, atol=1e-5)
    shifted = estimator().fit(X + 1e6)
    np.testing.assert_allclose(shifted.covariance_, found.covariance_, rtol=1e-6, atol=1e-8)
    centered = X - X.mean(axis=0)
    assert estimator(assume_centered=True).fit(centered).n_effective_ == shape[0]


def test_estimators_work_in_pipelines_and_searches():
    X = np.random.default_rng(8).normal(size=(60, 10)) * np.linspace(1, 4, 10)
    chain = make_pipeline(StandardScaler(), cov.QuadraticInverseShrinkage()).fit(X)
    assert np.isfinite(chain.score(X))
    search = GridSearchCV(cov.SpikedCovariance(), {"loss": ["frobenius", "stein"], "rank": [0, 2]}, cv=3).fit(X)
    assert set(search.best_params_) == {"loss", "rank"}
    truth = np.diag(np.linspace(1, 4, 10) ** 2)
    sample = np.cov(X.T)
    found = cov.QuadraticInverseShrinkage().fit(X)
    assert found.error_norm(truth, scaling=False) < np.sum((sample - truth) ** 2)
    assert found.precision_ is not None
    distance = np.einsum("ij,jk,ik->i", X - found.location_, found.precision_, X - found.location_)
    np.testing.assert_allclose(found.mahalanobis(X), distance, rtol=1e-9)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_take_ordinary_edge_cases(function):
    assert function(Spectrum(np.zeros(4), 4, 10)).tolist() == [0.0] * 4
    assert function(Spectrum([2.0], 1, 1))[0] > 0
    tied = function(Spectrum(np.ones(8), 8, 20))
    assert tied.shape == (8,)
    np.testing.assert_allclose(tied, tied[0])
    with pytest.raises(DataError, match="at most 2 eigenvalues of 2 features, got 3"):
        function(Spectrum([1.0, 1.0, 1.0], 2, 10))
    with pytest.raises(DataError, match="finite"):
        function(Spectrum([1.0, np.nan], 2, 10))
    with pytest.raises(ConfigError, match="at least one"):
        function(Spectrum([1.0], 1, 0))
    with pytest.raises(ConfigError, match="n_effective"):
        function(Spectrum([1.0, 0.5], 2, 10), n_effective=11)


def test_impossible_options_are_refused():
    X = np.random.default_rng(9).normal(size=(20, 4))
    for wrong in ("yes", 0, 21):
        with pytest.raises(ConfigError, match="n_effective"):
            cov.QuadraticInverseShrinkage(n_effective=wrong).fit(X)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expected a loss of frobenius"):
        cov.SpikedCovariance(loss="l2").fit(X)
    with pytest.raises(ConfigError, match="rank from 0 to 3"):
        cov.SpikedCovariance(rank=4).fit(X)
    with pytest.raises(ConfigError, match="either psd or autocorrelation"):
        cov.effective_samples(10)
    with pytest.raises(DataError, match="begins with 1"):
        cov.effective_samples(10, autocorrelation=[0.5, 0.1])
    with pytest.raises(DataError, match="only zeros"):
        cov.effective_samples(10, psd=[0.0, 0.0])
    with pytest.raises(DataError, match="two samples"):
        cov.estimate_effective_samples([1.0, 2.0])
    with pytest.raises(DataError, match="finite"):
        cov.estimate_effective_samples([[1.0], [np.nan]])


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.7])
def test_directions_that_the_samples_miss_get_the_variance_that_the_oracle_gives_them(phi):
    rng, p, n = np.random.default_rng(10), 200, 100
    X = ar1(n, p, phi, rng) * np.sqrt(BROAD)
    lam, vectors = np.linalg.eigh(X.T @ X / n)
    best = np.mean((vectors[:, : p - n] ** 2).T @ BROAD)
    found = cov.analytic(Spectrum(lam[p - n :], p, n), n_effective=n / tau(phi))[-1]
    assert found == pytest.approx(best, rel=0.15)  # the mean of 1 / lambda of 100 eigenvalues is known to 10 %


def test_rotationally_invariant_shrinkage_counts_the_zeros_among_the_others():
    p, n = 30, 12
    lam = np.sort(np.random.default_rng(0).gamma(2.0, size=n))[::-1]
    x = np.concatenate([lam, np.zeros(p - n)])
    x *= p / x.sum()
    z = x[:n] - 1j / np.sqrt(p)
    s = [sum(1 / (z[k] - x[j]) for j in range(p) if j != k) / p for k in range(n)]
    xi = x[:n] / np.abs(1 - p / n + p / n * z * s) ** 2
    null = np.full(p - n, 1 / ((p / n - 1) * np.mean(1 / x[:n])))
    expected = np.concatenate([xi, null])
    np.testing.assert_allclose(cov.rie(Spectrum(lam, p, n)), expected * lam.sum() / expected.sum(), rtol=1e-12)
