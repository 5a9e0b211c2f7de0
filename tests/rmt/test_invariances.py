"""One grid: every public function of `sciml.rmt` against what its answer must not depend on.

A row of `CASES` says how a function is called on a data matrix of shape (n_samples, n_features), and which power of the
scale of the data each result carries. To put a new function under all invariances, add its row; `exempt` names the
columns of the grid that are not true of it, with the reason beside.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings

from sciml.rmt import covariance, edges, laws, rank, shrink, sigma

few = settings(derandomize=True, deadline=None, max_examples=2)
SEEDS = st.integers(0, 1000)
N, P = 48, 20

RESULTS = {"edges.EdgeLaw", "rank.WhiteTest", "shrink.OptShrink", "shrink.Overlaps", "sigma.SigmaEstimate"}

ORDER_OF_TIME = {"rows", "transpose"}  # the rows are a time series
FEATURES = {"transpose"}  # features and samples are not alike
MEAN = {"transpose", "complex"}  # scikit-learn has no complex data


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
        self.psd = np.mean(np.abs(np.fft.fft(X, axis=0)) ** 2, axis=1) / self.n


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
    found = sigma.median_edge_refit(m.lam, m.p, m.n, complex_data=m.complex)
    return {"sigma": found.sigma, "standard_error": found.standard_error, "rank": found.rank}


def white_rank(m: Matrix) -> dict[str, object]:
    found = rank.white_test(m.lam, m.p, m.n, complex_data=m.complex)
    return {"p_values": found.p_values, "rank": found.rank, "sigma": found.sigma, "edge": found.law.center * m.n}


def shrinkers(m: Matrix) -> dict[str, object]:
    unit = m.rms * np.sqrt(m.long)
    strength = shrink.operator(m.y, m.beta)
    found = shrink.overlaps(strength, m.beta)
    return {
        "operator": strength * unit,
        "frobenius": shrink.frobenius(m.y, m.beta) * unit,
        "nuclear": shrink.nuclear(m.y, m.beta) * unit,
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
    return Case(lambda m: {"shrunk": function(m.lam, m.p, m.n, **options)}, {"shrunk": 2}, FEATURES)


def estimator(make: Callable[[], object], exempt: set[str] = frozenset()) -> Case:
    def call(m: Matrix) -> dict[str, object]:
        found = make().fit(m.X)
        distance = np.sort(found.mahalanobis(m.X))
        return {"eigenvalues": np.linalg.eigvalsh(found.covariance_), "mahalanobis": distance}

    return Case(call, {"eigenvalues": 2, "mahalanobis": 0}, MEAN | exempt)


CASES: dict[str, Case] = {
    "laws.MarchenkoPastur": Case(
        marchenko_pastur, {"sf": 0, "cdf": 0, "pdf": -2, "ppf": 2, "median": 2, "stieltjes": -2}
    ),
    "edges.white, laws.TracyWidom": Case(white_edge, {"threshold": 2, "p_value": 0, "cdf": 0, "isf": 0}),
    "edges.colored": Case(colored_edge, {"threshold": 2, "p_value": 0}, ORDER_OF_TIME),
    "sigma.median_edge_refit": Case(noise_level, {"sigma": 1, "standard_error": 1, "rank": 0}),
    "rank.white_test": Case(white_rank, {"p_values": 0, "rank": 0, "sigma": 1, "edge": 0}),
    "shrink.operator, shrink.frobenius, shrink.nuclear, shrink.spike_to_singular, shrink.overlaps, "
    "shrink.hard_threshold, shrink.hard_threshold_unknown_sigma": Case(
        shrinkers,
        dict.fromkeys(("operator", "frobenius", "nuclear", "spike_to_singular"), 1)
        | {"short": 0, "long": 0, "hard_threshold": 1, "hard_threshold_unknown_sigma": 1},
    ),
    "shrink.debias_eigenvalue": Case(
        lambda m: {"ell": shrink.debias_eigenvalue(m.lam / m.rms**2, m.p / m.n)}, {"ell": 0}, FEATURES
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
}


def grid(invariance: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [name for name, case in CASES.items() if invariance not in case.exempt])


def planted(seed: int, n: int = N, p: int = P, complex_data: bool = False, strength: float = 3.0) -> np.ndarray:
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
@given(seed=SEEDS, exponent=st.floats(-21, 21))
def test_the_unit_of_the_data_does_not_matter(name: str, seed: int, exponent: float) -> None:
    X = planted(seed)
    assert_same(name, X, X * 10.0**exponent, factor=10.0**exponent)


@grid("transpose")
@few
@given(seed=SEEDS)
def test_the_transpose_gives_the_same(name: str, seed: int) -> None:
    X = planted(seed)
    assert_same(name, X, X.T)


@grid("rows")
@few
@given(seed=SEEDS)
def test_the_order_of_samples_does_not_matter(name: str, seed: int) -> None:
    X = planted(seed)
    assert_same(name, X, np.random.default_rng(seed).permutation(X))


@grid("columns")
@few
@given(seed=SEEDS)
def test_the_order_of_features_does_not_matter(name: str, seed: int) -> None:
    X = planted(seed)
    assert_same(name, X, np.random.default_rng(seed).permutation(X, axis=1))


@grid("rotation")
@few
@given(seed=SEEDS)
def test_a_rotation_of_the_features_does_not_matter(name: str, seed: int) -> None:
    X = planted(seed)
    assert_same(name, X, X @ scipy.stats.ortho_group.rvs(P, random_state=seed))


@grid("float32")
@few
@given(seed=SEEDS)
def test_single_precision_gives_the_same(name: str, seed: int) -> None:
    # Eigenvalues of float32 data have an error of 1e-7 of the largest, which is 150 times the noise: 2e-5 of noise.
    X = planted(seed)
    assert_same(name, X, X.astype(np.float32), rtol=2e-3, atol=1e-5)


@grid("complex")
@few
@given(seed=SEEDS, phase=st.floats(0, 6))
def test_a_phase_and_a_unitary_rotation_of_complex_data_do_not_matter(name: str, seed: int, phase: float) -> None:
    X = planted(seed, complex_data=True)
    assert_same(name, X, np.exp(1j * phase) * X @ scipy.stats.unitary_group.rvs(P, random_state=seed))


def assert_sound(name: str, X: np.ndarray) -> None:
    for key, value in CASES[name].call(Matrix(X)).items():
        assert np.isfinite(np.asarray(value, dtype=float)).all(), key


@grid("noise")
@few
@given(seed=SEEDS)
def test_pure_noise_is_an_ordinary_answer(name: str, seed: int) -> None:
    assert_sound(name, planted(seed, strength=0.0))


@grid("wide")
@pytest.mark.parametrize("shape", [(20, 48), (20, 20), (21, 20), (20, 21)])
def test_any_shape_is_an_ordinary_answer(name: str, shape: tuple[int, int]) -> None:
    assert_sound(name, planted(1, *shape))


@grid("constant")
@pytest.mark.parametrize("shape", [(48, 20), (20, 48)])
def test_a_constant_feature_is_an_ordinary_answer(name: str, shape: tuple[int, int]) -> None:
    X = planted(2, *shape)
    X[:, 3] = 0.0
    assert_sound(name, X)


@grid("nan")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_values_are_refused(name: str, bad: float) -> None:
    X = planted(3)
    X[4, 5] = bad
    with np.errstate(invalid="ignore"):
        matrix = Matrix(X)
        with pytest.raises(ValueError, match=r"NaN|finite|infinity"):
            CASES[name].call(matrix)


@pytest.mark.parametrize("module", [covariance, edges, laws, rank, shrink, sigma])
def test_every_public_function_is_in_the_grid(module: ModuleType) -> None:
    room = module.__name__.rsplit(".", 1)[1]
    named = {word for row in CASES for word in row.replace(",", " ").split()}
    functions = {f"{room}.{name}" for name in module.__all__ if callable(getattr(module, name))}
    assert functions - named <= RESULTS  # add a row to CASES or, for a type that a function returns, its name here
