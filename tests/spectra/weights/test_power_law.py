"""Power laws: exponents without bias, intervals that hold, and no power law seen where there is none."""

from collections.abc import Callable

import numpy as np
import pytest

from sciml.errors import ConfigError, DataError
from sciml.spectra.weights import PowerLaw, power_law

N = 500


def wishart(rng: np.random.Generator, p: int, n: int) -> np.ndarray:
    weights = rng.normal(size=(p, n))
    return np.asarray(np.linalg.eigvalsh(weights @ weights.T))


@pytest.mark.parametrize("alpha", [2.0, 3.5, 5.0])
def test_exponent_of_a_pareto_sample_is_unbiased_and_in_its_interval(alpha: float) -> None:
    rng, n = np.random.default_rng(0), 40
    fits = [power_law(rng.pareto(alpha - 1, size=N) + 1, n_draws=40) for _ in range(n)]
    mean = float(np.mean([fit.alpha for fit in fits if fit.alpha is not None]))
    # The standard error of the mean is (α - 1) / sqrt(500 · 40); 4 of them, and the 2 % that are asked for.
    assert abs(mean - alpha) < max(0.02 * alpha, 4 * (alpha - 1) / np.sqrt(N * n))
    inside = [fit.low <= alpha <= fit.high for fit in fits if fit.low is not None and fit.high is not None]
    assert sum(inside) >= 33  # fewer of 40 at 95 %: 1 run in 10 000
    assert sum(fit.verdict == "power law" for fit in fits) >= 24


NONE: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "log-normal": lambda rng: rng.lognormal(size=N),
    "wide log-normal": lambda rng: rng.lognormal(sigma=2.0, size=N),
    "exponential": lambda rng: rng.exponential(size=N),
    "Wishart": lambda rng: wishart(rng, 250, 500),
    "square Wishart": lambda rng: wishart(rng, 250, 250),
}


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_power_law_is_never_called_one(name: str) -> None:
    rng = np.random.default_rng(1)
    fits = [power_law(NONE[name](rng), n_draws=20) for _ in range(12)]
    assert not any(fit.verdict == "power law" for fit in fits)
    assert sum(fit.verdict == "not a power law" for fit in fits) >= 6


def test_error_of_the_exponent_counts_the_choice_of_the_tail() -> None:
    # A tail of Pareto values on a body: the interval is wider than that of a known x_min.
    rng = np.random.default_rng(2)
    body = np.concatenate([rng.uniform(0.2, 1.0, 350), rng.pareto(2.0, 150) + 1])
    fit = power_law(body)
    assert fit.low is not None
    assert fit.high is not None
    assert fit.alpha is not None
    assert fit.low < 3.0 < fit.high
    assert fit.high - fit.low > 2 * 1.96 * (fit.alpha - 1) / np.sqrt(fit.n_tail)


def test_fit_scales_with_the_values_and_repeats() -> None:
    values = np.random.default_rng(3).pareto(2.5, size=N) + 1
    one, other = (power_law(unit * values, n_draws=30) for unit in (1.0, 1e-20))
    assert one == power_law(values, n_draws=30)
    assert [other.alpha, other.low, other.high] == pytest.approx([one.alpha, one.low, one.high], rel=1e-9)
    assert other.x_min == pytest.approx(1e-20 * (one.x_min or 0.0))


def test_high_temperature_spectrum_is_told_from_a_power_law() -> None:
    rng = np.random.default_rng(4)
    bulk = power_law(wishart(rng, 200, 400), gamma=0.5, n_draws=20)
    assert bulk.verdict == "not a power law"
    assert "high-temperature Marchenko-Pastur" not in bulk.against  # decided without it
    values = rng.pareto(2.0, 150) + 1
    assert power_law(values, gamma=0.5, n_draws=20).against["high-temperature Marchenko-Pastur"] > 0.1


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [1.0] * 5])
def test_too_few_values_have_no_exponent(values: list[float]) -> None:
    fit = power_law(np.array(values))
    assert isinstance(fit, PowerLaw)
    assert (fit.alpha, fit.verdict) == (None, "not a power law")
    assert fit.to_dict()["n_tail"] == 0


@pytest.mark.parametrize("noise", [0.0, 1e-15, 1e-8])
def test_equal_values_follow_no_power_law(noise: float) -> None:
    fit = power_law(1e30 * (1 + noise * np.random.default_rng(0).random(40)))
    assert (fit.verdict, fit.alpha) == ("not a power law", None)


def test_reason_states_the_level() -> None:
    rng = np.random.default_rng(5)
    reasons = [power_law(rng.lognormal(size=N), n_draws=20).reason for _ in range(3)]
    assert any("level 0.1)" in reason for reason in reasons)
    assert power_law(np.ones(40)).reason == "no tail of 20 values or more follows one (level 0.1)"


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(DataError, match="zero or more"):
        power_law([1.0, -1.0])
    with pytest.raises(ConfigError, match="20 draws"):
        power_law([1.0], n_draws=3)
