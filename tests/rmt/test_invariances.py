"""One grid: every public function of `sciml.rmt` against what its answer must not depend on.

A row of `CASES` says how a function is called on a data matrix of shape (n_samples, n_features), and which power of the
scale of the data each result carries. To put a new function under all invariances, add its row; `exempt` names the
columns of the grid that are not true of it, with the reason beside.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from importlib import import_module
from inspect import isclass, isfunction
from typing import Any, get_args

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given, settings

import sciml.rmt
from sciml.rmt import (
    coherence,
    covariance,
    edges,
    f_matrix,
    laws,
    rank,
    scaling,
    shrink,
    sigma,
    spacing,
    variance_profile,
)
from sciml.rmt.spectrum import Spectra, Spectrum

few = settings(derandomize=True, deadline=None, max_examples=1)
SEEDS = st.integers(0, 1000)
N, P = 48, 20

RESULTS = {
    "edges.EdgeLaw",
    "edges.TraceRatioLaw",
    "f_matrix.RootLaw",
    "covariance.PopulationSpectrum",
    "rank.Consensus",
    "rank.RankEstimate",
    "rank.WhiteTest",
    "scaling.Balance",
    "scaling.Equalized",
    "shrink.OptShrink",
    "shrink.Overlaps",
    "sigma.BatchRefit",
    "sigma.EdgeRefit",
    "sigma.SigmaEstimate",
    "spacing.RatioResult",
    "spacing.SpacingDistribution",
    "rank.SurrogateTest",
}

ORDER_OF_TIME = {"rows", "transpose"}  # the rows are a time series
FEATURES = {"transpose"}  # features and samples are not alike
MEAN = {"transpose", "complex"}  # scikit-learn has no complex data
CHANNEL_BY_CHANNEL = {"rotation"}  # each feature, or each entry, has a noise variance of its own
RANDOM_DRAWS = {"rows", "columns", "transpose", "rotation"}  # the draws fall on other entries; rank and power stay
COUNTS = {"rotation", "complex"}  # whole numbers of zero or more
NO_EMPTY_CHANNEL = {"constant"}  # refused by name: a column of zeros has no scaling


class Matrix:
    """What the functions take from a data matrix: its shape, singular values, mean square, and kind of numbers."""

    def __init__(self, X: np.ndarray) -> None:
        self.X = X
        self.n, self.p = X.shape
        self.long, self.beta = max(X.shape), min(X.shape) / max(X.shape)
        self.complex = np.iscomplexobj(X)
        finite = np.isfinite(X).all()  # LAPACK has its own ways with NaN, which are not the subject
        self.s = np.linalg.svd(X, compute_uv=False) if finite else np.full(min(X.shape), np.nan)
        self.lam = self.s**2 / self.n
        self.rms = float(np.sqrt(np.mean(np.abs(X.astype(np.complex128)) ** 2))) if finite else 1.0
        self.y = self.s / (self.rms * np.sqrt(self.long))
        self.power = np.abs(X.astype(np.complex128)) ** 2
        self.psd = np.mean(np.abs(np.fft.fft(X, axis=0)) ** 2, axis=1) / self.n

    @property
    def spectrum(self) -> Spectrum:
        """Eigenvalues and shape."""
        return Spectrum(self.lam, self.p, self.n, "complex" if self.complex else "real")


@dataclass(frozen=True)
class Case:
    """A call that returns named results, the power of the data's scale in each, invariances that are not claimed."""

    call: Callable[[Matrix], dict[str, object]]
    degrees: dict[str, int]
    exempt: set[str] = field(default_factory=set)


def marchenko_pastur(m: Matrix) -> dict[str, object]:
    law = laws.MarchenkoPastur(m.p / m.n, m.rms)
    x, mass, unit = m.lam, 1 - law.atom, m.n / m.long  # the atom, and the unit of eigenvalues, tell X from X^T
    return {
        "sf": law.sf(x) / mass,
        "cdf": (law.cdf(x) - law.atom) / mass,
        "pdf": law.pdf(x) / mass / unit,
        "ppf": law.ppf(law.atom + mass * np.linspace(0.05, 0.95, 5)) * unit,
        "median": law.median() * unit if law.atom == 0 else laws.MarchenkoPastur(m.beta, m.rms).median(),
        "stieltjes": np.abs(
            (law.stieltjes(x + 0.1j * m.rms**2 / unit) + law.atom / (x + 0.1j * m.rms**2 / unit)) / mass
        )
        / unit,
    }


def white_edge(m: Matrix) -> dict[str, object]:
    law = edges.white(m.p, m.n, complex_data=m.complex)
    z = (m.lam / m.rms**2 - law.center) / law.scale
    tracy_widom = laws.TracyWidom(law.beta)
    return {
        "threshold": law.threshold(0.05) * m.n * m.rms**2,
        "p_value": law.p_value(m.lam / m.rms**2),
        "cdf": tracy_widom.cdf(z),
        "isf": tracy_widom.isf(np.clip(tracy_widom.sf(z), 0.01, 0.99)),
    }


def colored_edge(m: Matrix) -> dict[str, object]:
    law = edges.colored(m.psd, m.p, m.n, complex_data=m.complex)
    return {"threshold": law.threshold(0.05), "p_value": law.p_value(m.lam)}


def noise_level(m: Matrix) -> dict[str, object]:
    found = sigma.median_edge_refit(m.spectrum)
    return {"sigma": found.sigma, "standard_error": found.standard_error, "rank": found.rank}


def batch_level(m: Matrix) -> dict[str, object]:
    many = Spectra(np.stack([m.s, 2 * m.s]) ** 2, m.p, m.n, "complex" if m.complex else "real")
    found = sigma.median_edge_refit(many)
    counts = rank.count_above(many, found.sigma, alpha=0.05)
    return {"sigma": found.sigma, "rank": found.rank, "refit": sigma.refit(many, 2), "above": counts}


def white_rank(m: Matrix) -> dict[str, object]:
    found = rank.white_test(m.spectrum)
    return {"p_values": found.p_values, "rank": found.rank, "sigma": found.sigma, "edge": found.law.center * m.n}


def shrinkers(m: Matrix) -> dict[str, object]:
    unit = m.rms * np.sqrt(m.long)
    strength = shrink.operator(m.y, m.beta)
    found = shrink.overlaps(strength, m.beta)
    return {
        "operator": strength * unit,
        "frobenius": shrink.frobenius(m.y, m.beta) * unit,
        "nuclear": shrink.nuclear(m.y, m.beta) * unit,
        "hard": shrink.hard(m.y, m.beta) * unit,
        "spike_to_singular": shrink.spike_to_singular(strength, m.beta) * unit,
        "short": found.short,
        "long": found.long,
        "hard_threshold": shrink.hard_threshold(m.beta) * unit,
        "hard_threshold_unknown_sigma": shrink.hard_threshold_unknown_sigma(m.beta) * np.median(m.s),
    }


def optshrink(m: Matrix) -> dict[str, object]:
    found = shrink.optshrink(m.s, 2, m.X.shape)
    return {"shrunk": found.shrunk, "strength": found.strength, "overlap": found.overlaps.short}


def spectral(function: Callable[..., np.ndarray], **options: object) -> Case:
    return Case(lambda m: {"shrunk": function(m.spectrum, **options)}, {"shrunk": 2}, FEATURES)


def estimator(make: Callable[[], Any], exempt: Collection[str] = ()) -> Case:
    def call(m: Matrix) -> dict[str, object]:
        found = make().fit(m.X)
        distance = np.sort(found.mahalanobis(m.X))
        return {"eigenvalues": np.linalg.eigvalsh(found.covariance_), "mahalanobis": distance}

    return Case(call, {"eigenvalues": 2, "mahalanobis": 0}, MEAN | set(exempt))


def cut(found: rank.RankEstimate, unit: float) -> dict[str, object]:
    """Return what every rule for a rank answers; `unit` makes its threshold the same for X and its transpose."""
    return {"rank": found.rank, "threshold": found.threshold * unit}


def leveled(function: Callable[..., rank.RankEstimate], *, known_sigma: bool = False) -> Case:
    """A rule that says which noise level it takes."""

    def call(m: Matrix) -> dict[str, object]:
        found = function(m.spectrum, **({"sigma": m.rms} if known_sigma else {}))
        return cut(found, m.n / m.long) | {"sigma": found.sigma}

    return Case(call, {"rank": 0, "threshold": 2, "sigma": 1})


def agreement(m: Matrix) -> dict[str, object]:
    rules = (rank.white_test, rank.kritchman_nadler, rank.marchenko_pastur, rank.bema)
    found = rank.consensus(rule(m.spectrum) for rule in rules)
    return {"rank": found.rank, "agree": len(found.agree)}


def colored_rank(m: Matrix) -> dict[str, object]:
    found = rank.colored_test(m.spectrum, m.psd)
    return {"rank": found.rank, "threshold": found.threshold, "p_values": found.p_values}


def ratio_edge(m: Matrix) -> dict[str, object]:
    law = edges.trace_ratio(m.p, m.n, complex_data=m.complex)
    return {"p_value": law.p_value(m.lam / m.rms**2), "threshold": law.threshold(0.05) * m.n}


def unequal_edge(m: Matrix) -> dict[str, object]:
    law = edges.heteroscedastic(m.power.mean(axis=0), m.n, complex_data=m.complex)
    return {"p_value": law.p_value(m.lam), "threshold": law.threshold(0.05)}


def coherence_edge(m: Matrix) -> dict[str, object]:
    law = coherence.largest_eigenvalue(m.p, m.n)
    return {"p_value": law.p_value(m.lam / m.rms**2), "threshold": law.threshold(0.05) * m.n}


def root_law(m: Matrix) -> dict[str, object]:
    law = f_matrix.greatest_root(min(m.n, m.p), m.long + 1, m.long, complex_data=m.complex)
    return {"threshold": law.threshold(0.05), "p_value": law.p_value(m.lam / m.lam.sum())}


def law_answers(law: Any, x: np.ndarray, z: np.ndarray) -> dict[str, object]:
    """Return everything a law says, at points x of its axis and z above it."""
    return {
        "cdf": law.cdf(x),
        "sf": law.sf(x),
        "pdf": law.pdf(x),
        "ppf": law.ppf(np.linspace(0.05, 0.95, 5)),
        "median": law.median(),
        "support": law.support,
        "stieltjes": np.abs(law.stieltjes(z)),
    }


def law_degrees(unit: int) -> dict[str, int]:
    """Powers of the scale in the answers of a law of something that grows as the data to the power `unit`."""
    return {"cdf": 0, "sf": 0, "pdf": -unit, "ppf": unit, "median": unit, "support": unit, "stieltjes": -unit}


def high_temperature(m: Matrix) -> dict[str, Any]:
    return {"cdf": laws.HighTemperature(m.beta, 8.0).cdf(m.lam / np.mean(m.lam))}


def semicircle(m: Matrix) -> dict[str, object]:
    x = m.s / np.sqrt(m.long)
    return law_answers(laws.Semicircle(m.rms), x, x + 0.1j * m.rms)


def generalized(m: Matrix) -> dict[str, object]:
    law = laws.GeneralizedMarchenkoPastur(m.power.mean(axis=0), None, m.p / m.n)
    return law_answers(law, m.lam, m.lam + 0.1j * m.rms**2)


def semicircle_sum(m: Matrix) -> dict[str, object]:
    t = m.lam * m.n / m.long
    return law_answers(laws.SemicircleSum(t, sigma=m.rms**2), t, t + 0.1j * m.rms**2)


def free_sum(m: Matrix) -> dict[str, object]:
    first, second = laws.Semicircle(m.rms**2), laws.MarchenkoPastur(m.beta, m.rms)
    z = m.lam * m.n / m.long + 0.3j * m.rms**2
    return {"stieltjes": np.abs(laws.free.add(z, first.stieltjes, second.stieltjes))}


def profile_of(m: Matrix) -> dict[str, object]:
    rows, columns = (np.array_split(np.argsort(m.power.mean(axis=axis)), 2) for axis in (1, 0))  # weak and strong
    found = variance_profile.VarianceProfile(
        [[m.power[np.ix_(row, column)].mean() for column in columns] for row in rows],
        row_counts=[row.size for row in rows],
        column_counts=[column.size for column in columns],
    )
    unit = m.n / m.long
    return {
        "edge": found.edge * unit,
        "threshold": found.edge_law(complex_data=m.complex).threshold(0.05) * unit,
        "detection_limit": found.detection_limit * unit,
        "mean_eigenvalue": found.mean_eigenvalue * unit,
        "second_moment": found.second_moment() * unit**2,
        "bulk_cdf": found.bulk_cdf(m.lam),
    }


def population_of(method: Any) -> Callable[[Matrix], dict[str, object]]:
    def call(m: Matrix) -> dict[str, object]:
        found = covariance.population_spectrum(m.spectrum, method=method, n_values=20, n_points=12)
        return {"mean": found.mean(), "range": (found.values[0], found.values[-1]), "total": found.weights.sum()}

    return call


def moments(m: Matrix) -> dict[str, object]:
    first, second, third = covariance.population_moments(m.X, 3)
    return {"first": first, "second": second, "third": third}


def levels(m: Matrix) -> np.ndarray:
    """Eigenvalues in units of their mean: numbers without a unit that a spacing could be."""
    return m.lam / m.lam.mean()


def ratios(m: Matrix) -> dict[str, object]:
    found = spacing.r_ratio(m.lam)
    return {"mean": found.mean, "standard_error": found.standard_error, "z": list(found.z.values())}


def unfolded(m: Matrix) -> dict[str, object]:
    law = laws.MarchenkoPastur(m.p / m.n, m.rms)
    every = np.concatenate([m.lam, np.zeros(m.p - m.lam.size)])  # with the null space, all of the law
    return {"spacings": np.diff(spacing.unfold(every, law))}


def spacings(m: Matrix) -> dict[str, object]:
    found = spacing.spacing_distribution(levels(m), n_bins=5)
    return {
        "spacings": found.spacings,
        "distance": found.distance(1),
        "total": found.density @ np.diff(found.bin_edges),
    }


def level_curve(function: Callable[..., np.ndarray], *arguments: object, offset: float = 0.0) -> Case:
    return Case(lambda m: {"value": function(levels(m) + offset, *arguments)}, {"value": 0})


def level_of(function: Callable[..., sigma.SigmaEstimate], exempt: set[str]) -> Case:
    def call(m: Matrix) -> dict[str, object]:
        found = function(m.X)
        return {"sigma": found.sigma, "standard_error": found.standard_error}

    return Case(call, {"sigma": 1, "standard_error": 1}, exempt)


def known_level(m: Matrix) -> dict[str, object]:
    found = sigma.known(float(np.sqrt(m.power.mean())), standard_error=0.01 * m.rms)
    return {"sigma": found.sigma, "standard_error": found.standard_error}


def draws(function: Callable[..., np.ndarray]) -> Callable[[Matrix], dict[str, object]]:
    """Return what a surrogate keeps, and the surrogate itself."""

    def call(m: Matrix) -> dict[str, object]:
        found = function(m.X, n_draws=2, rng=np.random.default_rng(0))
        return {"first": np.abs(found[0]), "power": np.mean(np.abs(found) ** 2)}

    return call


def surrogate(kind: rank.Kind) -> Callable[[Matrix], dict[str, object]]:
    def call(m: Matrix) -> dict[str, object]:
        found = rank.surrogate_test(m.X, kind=kind, rng=np.random.default_rng(0), n_draws=19, max_rank=2)
        same = rank.parallel_analysis(m.X, kind=kind, rng=np.random.default_rng(0), n_draws=19, max_rank=2)
        return {"rank": found.rank, "eigenvalues": found.eigenvalues[0], "parallel": same.rank}

    return call


def deterministic(method: rank.Deterministic) -> Case:
    return Case(
        lambda m: cut(rank.deterministic_parallel_analysis(m.X, method=method), 1.0),
        {"rank": 0, "threshold": 2},
        FEATURES | CHANNEL_BY_CHANNEL,
    )


def scaled_rank(function: Callable[[Matrix], rank.RankEstimate]) -> Callable[[Matrix], dict[str, object]]:
    def call(m: Matrix) -> dict[str, object]:
        found = function(m)
        kept = np.count_nonzero(m.power.any(axis=1)), np.count_nonzero(m.power.any(axis=0))
        return cut(found, kept[0] / max(kept)) | {"p_values": found.p_values}

    return call


def equalized(function: Callable[[Matrix], scaling.Equalized]) -> Callable[[Matrix], dict[str, object]]:
    def call(m: Matrix) -> dict[str, object]:
        found = function(m)
        factors = np.outer(found.row_factor, found.column_factor)
        return {"singular": np.linalg.svd(found.scaled, compute_uv=False), "factors": np.sort(factors.ravel())}

    return call


def balanced(m: Matrix) -> dict[str, object]:
    found = scaling.sinkhorn(m.power, m.p, m.n)
    return {"factors": np.sort(np.outer(found.row_factor, found.column_factor).ravel())}


def counts(m: Matrix) -> np.ndarray:
    return np.floor(5 * np.abs(m.X) / m.rms)


CASES: dict[str, Case] = {
    "laws.MarchenkoPastur": Case(
        marchenko_pastur, {"sf": 0, "cdf": 0, "pdf": -2, "ppf": 2, "median": 2, "stieltjes": -2}
    ),
    "edges.white, laws.TracyWidom": Case(white_edge, {"threshold": 2, "p_value": 0, "cdf": 0, "isf": 0}),
    "edges.colored": Case(colored_edge, {"threshold": 2, "p_value": 0}, ORDER_OF_TIME),
    "sigma.median_edge_refit": Case(noise_level, {"sigma": 1, "standard_error": 1, "rank": 0}),
    "sigma.refit, rank.count_above": Case(batch_level, {"sigma": 1, "rank": 0, "refit": 1, "above": 0}),
    "rank.white_test": Case(white_rank, {"p_values": 0, "rank": 0, "sigma": 1, "edge": 0}),
    "shrink.operator, shrink.frobenius, shrink.nuclear, shrink.hard, shrink.spike_to_singular, shrink.overlaps, "
    "shrink.hard_threshold, shrink.hard_threshold_unknown_sigma": Case(
        shrinkers,
        dict.fromkeys(("operator", "frobenius", "nuclear", "hard", "spike_to_singular"), 1)
        | {"short": 0, "long": 0, "hard_threshold": 1, "hard_threshold_unknown_sigma": 1},
    ),
    "shrink.debias_eigenvalue, shrink.spike_strength": Case(
        lambda m: {
            "ell": shrink.debias_eigenvalue(m.lam / m.rms**2, m.p / m.n),
            "strength": shrink.spike_strength(m.lam / m.rms**2, m.p / m.n, below=np.sqrt(m.p / m.n)),
        },
        {"ell": 0, "strength": 0},
        FEATURES,
    ),
    "shrink.optshrink": Case(optshrink, {"shrunk": 1, "strength": 1, "overlap": 0}),
    "covariance.qis": spectral(covariance.qis),
    "covariance.qis, correlated": spectral(covariance.qis, n_effective=10.0),
    "covariance.analytic": spectral(covariance.analytic),
    "covariance.rie": spectral(covariance.rie),
    "covariance.spiked": spectral(covariance.spiked),
    "covariance.effective_samples": Case(
        lambda m: {"n": covariance.effective_samples(m.n, psd=m.psd)}, {"n": 0}, ORDER_OF_TIME
    ),
    "covariance.estimate_effective_samples": Case(
        lambda m: {"n": covariance.estimate_effective_samples(m.X)}, {"n": 0}, ORDER_OF_TIME
    ),
    "covariance.QuadraticInverseShrinkage": estimator(covariance.QuadraticInverseShrinkage),
    "covariance.QuadraticInverseShrinkage, auto": estimator(
        lambda: covariance.QuadraticInverseShrinkage(n_effective="auto"), {"rows"}
    ),
    "covariance.AnalyticNonlinearShrinkage": estimator(covariance.AnalyticNonlinearShrinkage),
    "covariance.RotationallyInvariant": estimator(covariance.RotationallyInvariant),
    "covariance.SpikedCovariance": estimator(covariance.SpikedCovariance),
    "covariance.LedoitWolf": estimator(covariance.LedoitWolf),
    "covariance.OAS": estimator(covariance.OAS),
    "laws.HighTemperature": Case(high_temperature, {"cdf": 0}),
    "laws.Semicircle": Case(semicircle, law_degrees(1)),
    "laws.GeneralizedMarchenkoPastur": Case(generalized, law_degrees(2), FEATURES | CHANNEL_BY_CHANNEL),
    "laws.free.multiply_marchenko_pastur": Case(
        lambda m: {"median": laws.free.multiply_marchenko_pastur(m.lam, gamma=0.5).median()}, {"median": 2}, FEATURES
    ),
    "laws.SemicircleSum, laws.free.SemicircleSum": Case(semicircle_sum, law_degrees(2)),
    "laws.free.add_semicircle": Case(
        lambda m: {"median": laws.free.add_semicircle(m.lam, sigma=m.rms**2).median()}, {"median": 2}, FEATURES
    ),
    "laws.free.add": Case(free_sum, {"stieltjes": -2}),
    "edges.trace_ratio": Case(ratio_edge, {"p_value": 0, "threshold": 0}),
    "edges.heteroscedastic": Case(unequal_edge, {"p_value": 0, "threshold": 2}, FEATURES | CHANNEL_BY_CHANNEL),
    "coherence.largest_eigenvalue": Case(coherence_edge, {"p_value": 0, "threshold": 0}),
    "f_matrix.greatest_root": Case(root_law, {"threshold": 0, "p_value": 0}),
    "f_matrix.edge, f_matrix.spike": Case(
        lambda m: {"edge": f_matrix.edge(m.beta, 0.1), "l": f_matrix.spike(m.lam / m.rms**2, m.beta, 0.1)},
        {"edge": 0, "l": 0},
        FEATURES,
    ),
    "coherence.pair_p_value": Case(
        lambda m: {"p_value": coherence.pair_p_value(m.lam / m.lam.sum(), m.long)}, {"p_value": 0}
    ),
    "variance_profile.VarianceProfile": Case(
        profile_of,
        dict.fromkeys(("edge", "threshold", "detection_limit", "mean_eigenvalue"), 2)
        | {"second_moment": 4, "bulk_cdf": 0},
        CHANNEL_BY_CHANNEL,
    ),
    "rank.colored_test": Case(colored_rank, {"rank": 0, "threshold": 2, "p_values": 0}, ORDER_OF_TIME),
    "rank.kritchman_nadler": leveled(rank.kritchman_nadler),
    "rank.marchenko_pastur": leveled(rank.marchenko_pastur),
    "rank.marchenko_pastur, known": leveled(rank.marchenko_pastur, known_sigma=True),
    "rank.consensus": Case(agreement, {"rank": 0, "agree": 0}),
    "rank.gavish_donoho": leveled(rank.gavish_donoho),
    "rank.gavish_donoho, known": leveled(rank.gavish_donoho, known_sigma=True),
    "rank.bema": leveled(rank.bema),
    "rank.screenot": Case(
        lambda m: cut(rank.screenot(m.spectrum, max_rank=3), m.n / m.long), {"rank": 0, "threshold": 2}
    ),
    "rank.screenot_threshold": Case(
        lambda m: {"threshold": rank.screenot_threshold(m.s[2:], m.beta)}, {"threshold": 1}
    ),
    "sigma.known": Case(known_level, {"sigma": 1, "standard_error": 1}),
    "sigma.from_noise": level_of(sigma.from_noise, ORDER_OF_TIME),
    "sigma.from_high_band": level_of(sigma.from_high_band, ORDER_OF_TIME | CHANNEL_BY_CHANNEL),
    "sigma.from_differences": level_of(sigma.from_differences, ORDER_OF_TIME | CHANNEL_BY_CHANNEL),
    "sigma.residual_variance": Case(
        lambda m: {"variance": sigma.residual_variance(m.s**2 / m.long, m.long, 2)}, {"variance": 2}
    ),
    "covariance.population_spectrum": Case(
        population_of("least_squares"), {"mean": 2, "range": 2, "total": 0}, FEATURES
    ),
    "covariance.population_spectrum, linear": Case(
        population_of("linear_program"), {"mean": 2, "range": 2, "total": 0}, FEATURES
    ),
    "covariance.population_moments": Case(moments, {"first": 2, "second": 4, "third": 6}, FEATURES),
    "spacing.r_ratio": Case(ratios, {"mean": 0, "standard_error": 0, "z": 0}),
    "spacing.unfold": Case(unfolded, {"spacings": 0}),
    "spacing.spacing_distribution": Case(spacings, {"spacings": 0, "distance": 0, "total": 0}),
    "spacing.number_variance": level_curve(spacing.number_variance, 0.5),
    "spacing.delta3": level_curve(spacing.delta3, 0.5),
    "spacing.surmise_pdf": level_curve(spacing.surmise_pdf, 1),
    "spacing.surmise_cdf": level_curve(spacing.surmise_cdf, 1),
    "spacing.reference_number_variance": level_curve(spacing.reference_number_variance, 1, offset=1.0),
    "spacing.reference_delta3": level_curve(spacing.reference_delta3, 1, offset=1.0),
    "rank.sign_flip": Case(draws(rank.sign_flip), {"first": 1, "power": 2}, RANDOM_DRAWS),
    "rank.permute": Case(draws(rank.permute), {"first": 1, "power": 2}, RANDOM_DRAWS),
    "rank.phase_randomize": Case(draws(rank.phase_randomize), {"first": 1, "power": 2}, RANDOM_DRAWS),
    **{
        f"rank.surrogate_test, rank.parallel_analysis, {kind}": Case(
            surrogate(kind), {"rank": 0, "eigenvalues": 2, "parallel": 0}, FEATURES
        )
        for kind in get_args(rank.Kind)
    },
    **{
        f"rank.deterministic_parallel_analysis, {method}": deterministic(method)
        for method in get_args(rank.Deterministic)
    },
    "rank.dyson": Case(
        scaled_rank(lambda m: rank.dyson(m.X)), {"rank": 0, "threshold": 0, "p_values": 0}, CHANNEL_BY_CHANNEL
    ),
    "rank.biwhitened": Case(
        scaled_rank(lambda m: rank.biwhitened(m.X, variance=m.power)),
        {"rank": 0, "threshold": 0, "p_values": 0},
        CHANNEL_BY_CHANNEL,
    ),
    "scaling.dyson_equalize": Case(
        equalized(lambda m: scaling.dyson_equalize(m.X)), {"singular": 0, "factors": -1}, CHANNEL_BY_CHANNEL
    ),
    "scaling.biwhiten": Case(
        equalized(lambda m: scaling.biwhiten(m.X, m.power)), {"singular": 0, "factors": -1}, CHANNEL_BY_CHANNEL
    ),
    "scaling.biwhiten, counts": Case(
        equalized(lambda m: scaling.biwhiten(counts(m))), {"singular": 0, "factors": 0}, COUNTS
    ),
    "scaling.sinkhorn": Case(balanced, {"factors": -2}, CHANNEL_BY_CHANNEL | NO_EMPTY_CHANNEL),
}


def grid(invariance: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [name for name, case in CASES.items() if invariance not in case.exempt])


def with_components(seed: int, n: int = N, p: int = P, complex_data: bool = False, strength: float = 3.0) -> np.ndarray:
    """Noise of unit variance and two components, `strength` and twice that times the square root of the long side."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        values = rng.normal(size=shape)
        return (values + 1j * rng.normal(size=shape)) / np.sqrt(2) if complex_data else values

    U, V = np.linalg.qr(normal(n, 2))[0], np.linalg.qr(normal(p, 2))[0]
    return (U * strength * np.sqrt(max(n, p)) * [2, 1]) @ V.conj().T + normal(n, p)


def assert_same(
    name: str, X: np.ndarray, other: np.ndarray, *, factor: float = 1.0, rtol: float = 1e-6, atol: float = 1e-9
) -> None:
    """Compare all results on X with those on `other`, which is `factor` times as large."""
    case = CASES[name]
    before, after = case.call(Matrix(X)), case.call(Matrix(other))
    assert set(before) == set(after) == set(case.degrees)
    for key, degree in case.degrees.items():
        expected = np.asarray(before[key], dtype=float)
        found = np.asarray(after[key], dtype=float) / factor**degree
        # Relative to the largest of a list: eigenvalues are only known to that.
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol * np.abs(expected).max(), err_msg=key)


@grid("scale")
@few
@example(seed=1, exponent=-21.0)
@example(seed=2, exponent=21.0)
@given(seed=SEEDS, exponent=st.floats(-21, 21))
def test_the_unit_of_the_data_does_not_matter(name: str, seed: int, exponent: float) -> None:
    X = with_components(seed)
    assert_same(name, X, X * 10.0**exponent, factor=10.0**exponent)


@grid("transpose")
@few
@given(seed=SEEDS)
def test_the_transpose_gives_the_same(name: str, seed: int) -> None:
    X = with_components(seed)
    assert_same(name, X, X.T)


@grid("rows")
@few
@given(seed=SEEDS)
def test_the_order_of_samples_does_not_matter(name: str, seed: int) -> None:
    X = with_components(seed)
    assert_same(name, X, np.random.default_rng(seed).permutation(X))


@grid("columns")
@few
@given(seed=SEEDS)
def test_the_order_of_features_does_not_matter(name: str, seed: int) -> None:
    X = with_components(seed)
    assert_same(name, X, np.random.default_rng(seed).permutation(X, axis=1))


@grid("rotation")
@few
@given(seed=SEEDS)
def test_a_rotation_of_the_features_does_not_matter(name: str, seed: int) -> None:
    X = with_components(seed)
    assert_same(name, X, X @ scipy.stats.ortho_group.rvs(P, random_state=seed))


@grid("float32")
@few
@given(seed=SEEDS)
def test_single_precision_gives_the_same(name: str, seed: int) -> None:
    # Eigenvalues of float32 data have an error of 1e-7 of the largest, which is 150 times the noise: 2e-5 of noise.
    X = with_components(seed)
    assert_same(name, X, X.astype(np.float32), rtol=2e-3, atol=1e-5)


@grid("complex")
@few
@given(seed=SEEDS, phase=st.floats(0.5, 6))
def test_a_phase_and_a_unitary_rotation_of_complex_data_do_not_matter(name: str, seed: int, phase: float) -> None:
    X = with_components(seed, complex_data=True)
    turn = np.eye(P) if "rotation" in CASES[name].exempt else scipy.stats.unitary_group.rvs(P, random_state=seed)
    assert_same(name, X, np.exp(1j * phase) * X @ turn)


def assert_sound(name: str, X: np.ndarray) -> None:
    for key, value in CASES[name].call(Matrix(X)).items():
        assert np.isfinite(np.asarray(value, dtype=float)).all(), key


@grid("noise")
@few
@given(seed=SEEDS)
def test_pure_noise_is_an_ordinary_answer(name: str, seed: int) -> None:
    assert_sound(name, with_components(seed, strength=0.0))


@grid("wide")
@pytest.mark.parametrize("shape", [(20, 48), (20, 20), (21, 20), (20, 21)])
def test_any_shape_is_an_ordinary_answer(name: str, shape: tuple[int, int]) -> None:
    assert_sound(name, with_components(1, *shape))


@grid("constant")
@pytest.mark.parametrize("shape", [(48, 20), (20, 48)])
def test_a_constant_feature_is_an_ordinary_answer(name: str, shape: tuple[int, int]) -> None:
    X = with_components(2, *shape)
    X[:, 3] = 0.0
    assert_sound(name, X)


@grid("nan")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_values_are_refused(name: str, bad: float) -> None:
    X = with_components(3)
    X[4, 5] = bad
    with np.errstate(invalid="ignore"):
        matrix = Matrix(X)
        with pytest.raises(ValueError, match=r"NaN|finite|infinity"):
            CASES[name].call(matrix)


@pytest.mark.parametrize(
    "function",
    [
        *(
            getattr(shrink, name)
            for name in ("operator", "frobenius", "nuclear", "hard", "spike_to_singular", "overlaps")
        ),
        lambda y, _: shrink.debias_eigenvalue(y, 0.5),
        lambda y, _: shrink.spike_strength(y, 0.5),
        *(
            lambda y, _, law=law, name=name: getattr(law, name)(y)
            for law in (
                laws.MarchenkoPastur(2.0),
                laws.Semicircle(),
                laws.GeneralizedMarchenkoPastur([1.0, 2.0], None, 0.5),
                laws.SemicircleSum([1.0, 2.0]),
            )
            for name in ("pdf", "cdf", "sf", "ppf", "stieltjes")
        ),
        *(lambda y, _, name=name: getattr(laws.TracyWidom(1), name)(y) for name in ("pdf", "cdf", "sf", "ppf", "isf")),
    ],
)
def test_one_nan_among_numbers_is_refused_by_every_function_of_them(function: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="NaN"):
        function(np.array([0.5, np.nan]), 0.5)


@pytest.mark.parametrize("rank_found", [-1, 4])
def test_a_noise_variance_beside_no_noise_is_refused(rank_found: int) -> None:
    with pytest.raises(ValueError, match="rank from 0 to 3"):
        sigma.residual_variance(np.array([4.0, 3.0, 2.0, 1.0]), 10, rank_found)


@pytest.mark.parametrize("room", [*(name for name in sciml.rmt.__all__ if name != "Spectrum"), "laws.free"])
def test_every_public_function_is_in_the_grid(room: str) -> None:
    module = import_module(f"sciml.rmt.{room}")
    named = {word for row in CASES for word in row.replace(",", " ").split()}
    public = {name: getattr(module, name) for name in module.__all__}
    functions = {f"{room}.{name}" for name, value in public.items() if isfunction(value) or isclass(value)}
    assert functions - named <= RESULTS  # add a row to CASES or, for a type that a function returns, its name here
