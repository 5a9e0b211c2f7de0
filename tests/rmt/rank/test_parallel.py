"""Rules that look at the data: what each finds in the noise it is for, and in the noise it is not for."""

import numpy as np
import pytest
import scipy.signal

from sciml.errors import ConfigError, DataError
from sciml.rmt.rank import biwhitened, consensus, deterministic_parallel_analysis, dyson, parallel_analysis, white_test
from sciml.rmt.rank.parallel import _worth_keeping
from sciml.rmt.shrink import hard_threshold, spike_to_singular
from sciml.rmt.spectrum import Spectrum

RULES = {
    "dpa": lambda X: deterministic_parallel_analysis(X, method="dpa", slack=True),
    "ddpa": lambda X: deterministic_parallel_analysis(X, method="ddpa", slack=True),
    "ddpa+": lambda X: deterministic_parallel_analysis(X, method="ddpa+", slack=True),
    "ddpa test": lambda X: deterministic_parallel_analysis(X, method="ddpa", alpha=0.05),
    "dyson": dyson,
    "sign flip": lambda X: parallel_analysis(X, rng=np.random.default_rng(0), n_draws=39),
    "permutation": lambda X: parallel_analysis(X, kind="permutation", rng=np.random.default_rng(0), n_draws=39),
}


def heteroscedastic(rng, n, p, span=10.0):
    return rng.normal(size=(n, p)) * rng.permutation(np.geomspace(1, span, p))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_finds_clear_components_in_unequal_channels(rule):
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.normal(size=(side, 2)))[0] for side in (300, 50))
    X = (U * [150.0, 120.0]) @ V.T + heteroscedastic(rng, 300, 50, span=3.0)
    one = rule(X)
    assert one.rank == 2
    for scale in (1e-21, 1e21):
        assert rule(X * scale).rank == 2
    assert rule(np.random.default_rng(1).permutation(X, axis=1)).rank == 2
    assert rule(X.astype(np.float32)).threshold == pytest.approx(one.threshold, rel=1e-4)
    assert rule(X * (1 + 0j) * np.exp(0.3j)).rank >= 1
    constant = X.copy()
    constant[:, 4] = 0.0
    assert rule(constant).rank == 2
    constant[0, 0] = np.nan
    with pytest.raises(DataError, match="finite"):
        rule(constant)


@pytest.mark.parametrize("name", ["dpa", "ddpa", "ddpa test", "dyson"])
@pytest.mark.parametrize(("n", "p"), [(200, 40), (40, 100)])
def test_unequal_channels_without_signal_are_noise(name, n, p):
    n_draws = 40
    found = np.mean(
        [RULES[name](heteroscedastic(np.random.default_rng(seed), n, p)).rank > 0 for seed in range(n_draws)]
    )
    assert found < 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_draws)
    values = np.linalg.svd(heteroscedastic(np.random.default_rng(0), n, p), compute_uv=False) ** 2 / n
    assert white_test(Spectrum(values, p, n)).rank > 0  # what white noise would have


@pytest.mark.parametrize("beta", [0.2, 1.0])
def test_ddpa_plus_keeps_what_gavish_and_donoho_keep_beside_white_noise(beta):
    n = 4000
    p = round(beta * n)
    angle = np.pi * (np.arange(p) + 0.5) / p
    density = np.sin(angle) ** 2 / (1 + beta + 2 * np.sqrt(beta) * np.cos(angle))
    quantile = np.interp((np.arange(p - 1) + 0.5) / (p - 1), np.cumsum(density) / density.sum(), angle)
    noise = 1 + beta + 2 * np.sqrt(beta) * np.cos(quantile)
    limit = hard_threshold(beta) ** 2
    for factor, kept in ((0.99, False), (1.01, True)):
        assert _worth_keeping(np.r_[limit * factor, noise], 0, (n, p)) == kept
        assert _worth_keeping(np.r_[limit * factor, noise] * 1e-40, 0, (n, p)) == kept


def test_deterministic_parallel_analysis_of_equal_variances_is_the_marchenko_pastur_edge():
    X = np.random.default_rng(3).normal(size=(400, 100))
    X /= np.sqrt((X**2).mean(axis=0))
    assert deterministic_parallel_analysis(X, method="dpa").threshold == pytest.approx((1 + 0.5) ** 2, rel=1e-9)


def test_a_strong_component_hides_a_weaker_one_from_dpa_but_not_from_ddpa():
    rng = np.random.default_rng(4)
    U, V = (np.linalg.qr(rng.normal(size=(side, 2)))[0] for side in (400, 50))
    V[:, 0] = 0.0
    V[:3, 0] = 3**-0.5  # three channels carry it
    weak = float(spike_to_singular(1.5 * (50 / 400) ** 0.25, 50 / 400))
    X = (U * np.array([60.0, 1.5 * weak]) * 20) @ V.T + rng.normal(size=(400, 50))
    assert deterministic_parallel_analysis(X, method="dpa").rank == 1
    assert deterministic_parallel_analysis(X, method="ddpa", alpha=0.01).rank == 2


def test_counts_have_one_component_after_biwhitening_whatever_their_gains():
    n_draws = 60
    ranks = []
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        ranks.append(biwhitened(rng.poisson(3 * rng.gamma(2.0, size=(50, 1)) * rng.gamma(2.0, size=200) / 4)).rank)
    assert min(ranks) >= 1
    assert np.mean(np.array(ranks) > 1) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_draws)


def test_rules_on_noise_correlated_in_time_disagree_for_the_reason_that_is_given():
    rng = np.random.default_rng(5)
    noise = scipy.signal.lfilter([1.0], [1, -0.9], rng.normal(size=(600, 24)), axis=0)
    values = np.linalg.svd(noise, compute_uv=False) ** 2 / 600
    found = consensus(
        [
            white_test(Spectrum(values, 24, 600)),
            deterministic_parallel_analysis(noise, method="ddpa", slack=True),
            dyson(noise),
            parallel_analysis(noise, kind="permutation", rng=rng, n_draws=39),
            parallel_analysis(noise, kind="phase", rng=rng, n_draws=39),
        ]
    )
    assert found.rank == 0
    assert "phase-randomized parallel analysis" in found.agree
    assert "white test" in found.disagree
    permutation = next(reason for reason in found.reasons if reason.startswith("permutation"))
    assert "it assumes that noise is not correlated in time" in permutation
    assert "permutation destroys correlation in time" in permutation


def test_a_search_that_ends_at_its_bound_says_so():
    rng = np.random.default_rng(7)
    X = rng.normal(size=(60, 10)) + 9 * rng.normal(size=(60, 3)) @ rng.normal(size=(3, 10))
    assert (
        "the search ended at its bound of 2, all found"
        in parallel_analysis(X, rng=rng, n_draws=19, max_rank=2).warnings
    )


def test_methods_and_levels_that_do_not_exist_are_refused():
    X = np.random.default_rng(6).normal(size=(20, 10))
    with pytest.raises(ConfigError, match="a method of dpa"):
        deterministic_parallel_analysis(X, method="pa")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no alpha with"):
        deterministic_parallel_analysis(X, alpha=0.05)
    with pytest.raises(ConfigError, match="alpha between"):
        dyson(X, alpha=1.5)
    with pytest.raises(ConfigError, match="alpha between"):
        biwhitened(np.abs(X), alpha=0.0)
