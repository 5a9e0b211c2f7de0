"""Are the largest eigenvalues those of the matrix written out, each within its bound, copies too?"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sciml.errors import CheckpointError, ConfigError
from sciml.result import Result
from sciml.spectra.curvature import gauss_newton, hessian, top_eigenvalues
from tests.spectra.curvature.models import data, model_case


def exact(operator: Any, k: int, which: str) -> Any:
    values = np.linalg.eigvalsh(operator.to_dense().numpy())
    order = {
        "largest": values[::-1][:k],
        "smallest": values[:k],
        "magnitude": values[np.argsort(-np.abs(values))][:k],
        "both": np.concatenate([values[::-1][:k], values[:k][::-1]]),
    }
    return order[which]


@pytest.mark.parametrize("which", ["largest", "smallest", "magnitude", "both"])
@pytest.mark.parametrize("name", ["fcn-group", "resnet1d-none", "attention"])
def test_values_are_within_their_bounds(name: str, which: str) -> None:
    H = hessian(model_case(name), "cross_entropy", data(), batch_size=4)
    for tolerance in (1e-3, 1e-8):
        found = top_eigenvalues(H, 3, which=which, tolerance=tolerance)
        expected = exact(H, 3, which)
        assert found.converged.all()
        assert (np.abs(found.values - expected) <= found.errors + 1e-12).all()
        assert (np.abs(found.values - expected) <= tolerance * np.abs(expected)).all()
        off = H @ found.vectors - found.vectors * torch.as_tensor(found.values)
        np.testing.assert_allclose(off.norm(dim=0).numpy(), found.residuals, atol=1e-10)
    assert isinstance(found, Result)
    assert found.to_dict()["eigenvalues"] == found.values.tolist()


def test_copies_of_multiple_eigenvalues_are_found() -> None:
    """Softmax regression at zero: each eigenvalue of S / C is there C - 1 times."""
    X, y = data(40)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4, bias=False)).double()
    nn.init.zeros_(net.get_parameter("1.weight"))
    G = gauss_newton(net, "cross_entropy", (X, y))
    S = X.flatten(1).T @ X.flatten(1) / len(X)
    expected = np.repeat(np.linalg.eigvalsh(S.numpy())[::-1] / 4, 3)
    for k in (1, 2, 5, 9):
        found = top_eigenvalues(G, k, which="largest")
        np.testing.assert_allclose(found.values, expected[:k], rtol=1e-3)
        assert found.missed <= 0.05


def test_a_search_goes_on_from_the_last_one_and_from_its_file(tmp_path: Path) -> None:
    H = hessian(model_case("fcn-group"), "cross_entropy", data(), batch_size=4)
    cold = top_eigenvalues(H, 3, missed=None)
    warm = top_eigenvalues(H, 3, missed=None, start=cold)
    assert warm.n_products < cold.n_products
    np.testing.assert_allclose(warm.values, cold.values, rtol=2e-3)

    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done >= 4:
            raise StopError

    path = tmp_path / "search.npz"
    import sciml.spectra.curvature.eigen as module

    before = module.SAVED_EVERY
    module.SAVED_EVERY = 0.0
    try:
        done: list[int] = []
        with pytest.raises(StopError):
            top_eigenvalues(H, 3, checkpoint=path, progress=stop)
        assert path.exists()
        other = hessian(model_case("fcn-none"), "cross_entropy", data())
        with pytest.raises(CheckpointError, match="another model"):
            top_eigenvalues(other, 3, checkpoint=path)
        again = top_eigenvalues(H, 3, checkpoint=path, progress=lambda n, _: done.append(n))
    finally:
        module.SAVED_EVERY = before
    whole = top_eigenvalues(H, 3)
    assert done[0] >= 3
    assert not path.exists()
    np.testing.assert_allclose(again.values, whole.values, rtol=1e-3)


def test_what_did_not_converge_says_so() -> None:
    H = hessian(model_case("fcn-group"), "cross_entropy", data())
    found = top_eigenvalues(H, 5, max_products=6)
    assert not found.converged.all()
    assert "not converged" in found.summary()
    with pytest.raises(ConfigError, match="which"):
        top_eigenvalues(H, 2, which="biggest")


def test_more_eigenvalues_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    H = hessian(model_case("linear"), "cross_entropy", data())
    monkeypatch.setitem(top_eigenvalues.__globals__, "available", lambda _: 6 * 8 * H.shape[0])
    with pytest.raises(ConfigError, match="memory for 20 vectors"):
        top_eigenvalues(H, 5)
    assert len(top_eigenvalues(H, 1, missed=None, max_products=5).values) == 1
