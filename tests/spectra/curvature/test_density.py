"""Do densities, traces and diagonals agree with the matrices written out, with intervals that hold?"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sciml.errors import ConfigError
from sciml.result import Result
from sciml.spectra.curvature import CurvatureOperator, diagonal, gauss_newton, hessian, spectral_density, trace
from tests.spectra.curvature.models import data, model_case


def of_spectrum(values: Tensor) -> CurvatureOperator:
    """Return the Hessian of linear regression with these eigenvalues, all >= 0."""
    n = len(values)
    Q = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    X = (values * n / 2).sqrt()[:, None] * Q.T
    net = nn.Linear(n, 1, bias=False).double()
    return hessian(net, "mse", (X, torch.zeros(n, 1, dtype=torch.float64)), batch_size=n)


def test_two_clusters_and_their_mass() -> None:
    values = torch.cat([torch.ones(30), torch.full((30,), 5.0)]).double()
    density = spectral_density(of_spectrum(values), n_probes=10, steps=20)
    np.testing.assert_allclose(density.weights.sum(1), 1.0, atol=1e-6)
    low = density.cumulative(3.0)
    assert low.value == pytest.approx(0.5, abs=0.15)
    assert low.lower <= 0.5 <= low.upper
    assert density.n_above(3.0) == 1
    assert isinstance(density, Result)


def test_the_density_has_unit_mass() -> None:
    density = spectral_density(of_spectrum(torch.linspace(1, 5, 50).double()), n_probes=5, steps=30)
    points = np.linspace(-1, 7, 2000)
    values, error = density.density(points, width=0.2)
    assert float(values.sum() * (points[1] - points[0])) == pytest.approx(1.0, abs=0.05)
    assert (error >= 0).all()


@pytest.mark.parametrize("steps", [14, 20, 40, 80, 200])
def test_ten_outliers_are_ten_at_any_number_of_steps(steps: int) -> None:
    bulk = torch.rand(140, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = torch.cat([bulk, torch.linspace(5, 50, 10).double()])
    density = spectral_density(of_spectrum(values), n_probes=2, steps=steps)
    assert density.n_above(2.0) == 10


def test_wishart_moments_and_brackets() -> None:
    generator = torch.Generator().manual_seed(3)
    W = torch.randn(300, 150, generator=generator, dtype=torch.float64)
    values = torch.linalg.eigvalsh(W.T @ W / 300)
    density = spectral_density(of_spectrum(values), n_probes=6, steps=25)
    mean, square = density.mean_of(lambda x: x), density.mean_of(np.square)
    assert mean.lower <= float(values.mean()) <= mean.upper
    assert square.lower <= float(values.square().mean()) <= square.upper
    inverse = density.bracket(lambda x: 1 / x, float(values.min()), float(values.max()))
    assert inverse.lower <= float((1 / values).mean()) <= inverse.upper


def test_a_density_goes_on_from_its_file(tmp_path: Path) -> None:
    H = hessian(model_case("fcn-none"), "cross_entropy", data())
    whole = spectral_density(H, n_probes=3, steps=6)
    path = tmp_path / "density.npz"

    def stop(done: int, total: int) -> None:
        assert total == 18
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spectral_density(H, n_probes=3, steps=6, checkpoint=path, progress=stop)
    assert path.exists()
    done: list[int] = []
    again = spectral_density(H, n_probes=3, steps=6, checkpoint=path, progress=lambda n, _: done.append(n))
    assert done[0] == 7
    np.testing.assert_allclose(again.nodes, whole.nodes, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["xtrace", "hutch++", "hutchinson"])
def test_traces_are_within_their_errors(method: str) -> None:
    G = gauss_newton(model_case("resnet1d-group"), "cross_entropy", data())
    exact = float(G.to_dense().trace())
    off = []
    for seed in range(8):
        found = trace(G, n_products=24, method=method, rng=seed)
        off.append((found.value - exact) / found.standard_error)
    assert np.abs(off).max() < 6
    assert np.sqrt(np.mean(np.square(off))) < 2.5
    with pytest.raises(ConfigError, match="method"):
        trace(G, method="hutch")


def test_the_diagonal_is_within_its_errors() -> None:
    G = gauss_newton(model_case("resnet1d-group"), "cross_entropy", data())
    exact = G.to_dense().diagonal()
    found = diagonal(G, n_products=40)
    z = (found.values - exact) / found.standard_errors.clamp_min(1e-12)
    assert float((z.abs() < 3).double().mean()) > 0.9
    assert sum(found.by_parameter.values()) == pytest.approx(float(found.values.sum()))
