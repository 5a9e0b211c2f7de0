"""Are products with curvature matrices those of the matrices written out, and is the model left as it was?"""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from sciml.errors import ConfigError, DataError
from sciml.nn.models import build
from sciml.spectra.curvature import as_loss, fisher, gauss_newton, gradient_covariance, hessian
from tests.spectra.curvature.models import MODEL_CASES, data, dense_hessian, dense_jacobian, model_case


def unequal(X: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    return [(X[:3], y[:3]), (X[3:4], y[3:4]), (X[4:], y[4:])]


def softmax_middle(z: Tensor) -> Tensor:
    p = z.softmax(1)
    return torch.diag_embed(p) - p[:, :, None] * p[:, None, :]


@pytest.mark.parametrize("name", list(MODEL_CASES))
def test_products_are_those_of_the_matrices_written_out(name: str) -> None:
    model = model_case(name).eval()
    X, y = data()
    exact = dense_hessian(model, functional.cross_entropy, X, y)
    H = hessian(model, "cross_entropy", unequal(X, y))
    scale = exact.abs().max()
    assert (H.to_dense() - exact).abs().max() <= 1e-9 * scale
    J = dense_jacobian(model, X)
    exact = torch.einsum("ncp,ncd,ndq->pq", J, softmax_middle(model(X).detach()), J) / len(X)
    G = gauss_newton(model, "cross_entropy", unequal(X, y))
    assert (G.to_dense() - exact).abs().max() <= 1e-9 * exact.abs().max()
    each = torch.einsum("ncp,nc->np", J, model(X).detach().softmax(1) - functional.one_hot(y, 3))
    F = fisher(model, "cross_entropy", unequal(X, y), empirical=True)
    assert (F.to_dense() - each.T @ each / len(X)).abs().max() <= 1e-9 * scale
    C = gradient_covariance(model, "cross_entropy", unequal(X, y))
    centered = each - each.mean(0)
    assert (C.to_dense() - centered.T @ centered / len(X)).abs().max() <= 1e-9 * scale


@pytest.mark.parametrize("memory", [0, 10**9])
@pytest.mark.parametrize("kind", [hessian, gauss_newton])
def test_vectors_together_one_by_one_and_as_arrays(kind: Any, memory: int) -> None:
    model = model_case("fcn-group")
    operator = kind(model, "cross_entropy", data(), batch_size=4, memory=memory)
    V = torch.randn(operator.shape[0], 11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = operator @ V
    for j in (0, 10):
        torch.testing.assert_close(operator @ V[:, j], together[:, j], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(operator @ V.numpy(), together.numpy(), rtol=1e-10, atol=1e-12)
    assert len(operator._kept) == (3 if memory else 0)


def test_linear_logistic_and_softmax_regression_are_exact_with_unequal_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(16, 5, generator=generator, dtype=torch.float64)
    y = torch.randn(16, 1, generator=generator, dtype=torch.float64)
    net = nn.Linear(5, 1, bias=False).double()
    cuts = [(X[:9], y[:9]), (X[9:], y[9:])]
    exact = 2 * X.T @ X / 16
    for kind in (hessian, gauss_newton):
        torch.testing.assert_close(kind(net, nn.MSELoss(), cuts).to_dense(), exact, rtol=1e-8, atol=1e-12)
    t = (y > 0).double()
    s = net(X).detach().sigmoid()
    exact = X.T @ (s * (1 - s) * X) / 16
    loss = nn.BCEWithLogitsLoss()
    for kind in (hessian, gauss_newton, fisher):
        operator = kind(net, loss, [(X[:2], t[:2]), (X[2:], t[2:])])
        torch.testing.assert_close(operator.to_dense(), exact, rtol=1e-8, atol=1e-12)
    for C in (2, 3, 10):
        soft = nn.Linear(4, C, bias=False).double()
        nn.init.zeros_(soft.weight)
        S = X[:, :4].T @ X[:, :4] / 16
        labels = torch.randint(C, (16,), generator=generator)
        middle = torch.eye(C, dtype=X.dtype) / C - torch.ones(C, C, dtype=X.dtype) / C**2
        exact = torch.kron(middle, S)
        for kind in (hessian, gauss_newton, fisher):
            operator = kind(soft, functional.cross_entropy, [(X[:3, :4], labels[:3]), (X[3:, :4], labels[3:])])
            torch.testing.assert_close(operator.to_dense(), exact, rtol=1e-8, atol=1e-12)


def test_losses_of_torch_count_as_torch_counts_them_over_the_whole_data() -> None:
    model = model_case("fcn-none")
    X, y = data()
    by_class = torch.tensor([1.0, 5.0, 0.5], dtype=torch.float64)
    for loss in (
        nn.CrossEntropyLoss(weight=by_class),
        nn.CrossEntropyLoss(ignore_index=1),
        nn.CrossEntropyLoss(label_smoothing=0.1),
        nn.CrossEntropyLoss(reduction="sum"),
    ):
        exact = dense_hessian(model, loss, X, y)
        H = hessian(model, loss, unequal(X, y))
        assert (H.to_dense() - exact).abs().max() <= 1e-9 * exact.abs().max()
        assert H.loss == pytest.approx(float(loss(model(X), y).detach()), rel=1e-10)
    X, y = data(classes=False)
    for own in (nn.SmoothL1Loss(), functional.mse_loss, lambda z, t: (z - t).square().mean(), nn.HuberLoss()):
        exact = dense_hessian(model, own, X, y)
        H = hessian(model, own, unequal(X, y))
        assert (H.to_dense() - exact).abs().max() <= 1e-9 * exact.abs().max()


def test_weights_of_items() -> None:
    model = model_case("linear")
    X, y = data()
    weights = torch.rand(11, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def weighed(z: Tensor, t: Tensor) -> Tensor:
        return (functional.cross_entropy(z, t, reduction="none") * weights).sum() / weights.sum()

    exact = dense_hessian(model, weighed, X, y)
    H = hessian(model, "cross_entropy", (X, y, weights), batch_size=4)
    torch.testing.assert_close(H.to_dense(), exact, rtol=1e-9, atol=1e-12)
    H = hessian(model, lambda z, t: functional.cross_entropy(z, t), (X, y, weights), batch_size=4)
    torch.testing.assert_close(H.to_dense(), exact, rtol=1e-9, atol=1e-12)


def test_no_trace_is_left_on_the_model() -> None:
    model = build("fcn", n_channels=2, n_times=6, n_outputs=3, width=2, kernels=(3,), norm="batch", dropout=0.5).train()
    head = model.get_submodule("head")
    assert isinstance(head, nn.Linear)
    head.eval()
    head.bias.requires_grad_(False)
    head.weight.grad = torch.ones_like(head.weight)
    state = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    X, y = data()
    for training in (False, True):
        loader = DataLoader(TensorDataset(X, y), batch_size=4, shuffle=True)
        H = hessian(model, nn.CrossEntropyLoss(), loader, training=training)
        V = torch.ones(H.shape[0], 2)
        torch.testing.assert_close(H @ V, H @ V, rtol=0, atol=0)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(head.weight.grad, torch.ones_like(head.weight))
    assert [each.grad is None for each in model.parameters()].count(False) == 1
    assert "head.bias" not in H.names
    assert not head.bias.requires_grad


def test_batch_statistics_of_training_mode() -> None:
    model = model_case("resnet1d-batch").train()
    X, y = data(8)
    parts = [(X[:5], y[:5]), (X[5:], y[5:])]
    each = [len(b) * dense_hessian(copy.deepcopy(model), functional.cross_entropy, a, b) for a, b in parts]
    exact = torch.stack(each).sum(0) / 8
    found = hessian(model, "cross_entropy", parts, training=True, memory=0).to_dense()
    assert (found - exact).abs().max() <= 1e-9 * exact.abs().max()
    with pytest.raises(ConfigError, match="batch norm mixes"):
        fisher(model, "cross_entropy", parts, training=True, empirical=True)


@pytest.mark.parametrize("kind", [hessian, gauss_newton])
def test_subsets_and_blocks_are_parts_of_the_whole(kind: Any) -> None:
    model = model_case("fcn-group")
    whole = kind(model, "cross_entropy", data())
    full = whole.to_dense()
    sizes = dict(zip(whole.names, whole.layout.sizes, strict=True))
    head = kind(model, "cross_entropy", data(), parameters="head.*")
    n = head.shape[0]
    torch.testing.assert_close(head.to_dense(), full[-n:, -n:], rtol=1e-9, atol=1e-12)
    mask = torch.block_diag(*[torch.ones(n, n) for n in sizes.values()]).bool()
    by_parameter = kind(model, "cross_entropy", data(), blocks="parameter")
    torch.testing.assert_close(by_parameter.to_dense(), torch.where(mask, full, 0.0), rtol=1e-9, atol=1e-12)
    named = kind(model, "cross_entropy", data(), blocks={"all": whole.names})
    torch.testing.assert_close(named.to_dense(), full, rtol=1e-9, atol=1e-12)
    assert whole.split(full[0])["head.bias"].shape == (3,)


def test_tied_weights_count_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(3, 3, bias=False)
            self.b = nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.tanh(self.a(x)))

    net = Tied().double()
    X = torch.randn(5, 3, dtype=torch.float64)
    exact = dense_hessian(net, functional.mse_loss, X, X)
    torch.testing.assert_close(hessian(net, "mse", (X, X)).to_dense(), exact, rtol=1e-9, atol=1e-12)


def test_what_cannot_be_done_is_said() -> None:
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(_: Any, g: Tensor) -> Tensor:
            return g * 2

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return Once.apply(self.linear(x).tanh()).tanh()

    X, y = torch.randn(4, 2), torch.randn(4, 1)
    with pytest.raises(ConfigError, match="derivative that an operation"):
        hessian(Net(), "mse", (X, y)) @ torch.ones(3)
    with pytest.raises(ConfigError, match="no parameter is called 'heads'"):
        hessian(Net(), "mse", (X, y), parameters=["heads"])
    with pytest.raises(ConfigError, match="likelihood"):
        fisher(Net(), nn.L1Loss(), (X, y))
    with pytest.raises(ConfigError, match="msee"):
        hessian(Net(), "msee", (X, y))
    with pytest.raises(DataError, match="batches"):
        hessian(Net(), "mse", 3)
    net = nn.Linear(2, 1)
    H = hessian(net, "mse", (X, y))
    H @ torch.ones(3)
    with torch.no_grad():
        net.weight.add_(1.0)
    with pytest.raises(ConfigError, match="have changed"):
        H @ torch.ones(3)


@pytest.mark.parametrize("kind", [hessian, gauss_newton, gradient_covariance])
def test_data_that_do_not_fit_the_net_or_the_loss_are_an_error(kind: Any) -> None:
    net = nn.Linear(2, 3)
    X, y = torch.randn(4, 2), torch.tensor([0, 1, 2, 1])
    with pytest.raises(DataError, match="at least one item, got an empty batch"):
        kind(net, functional.cross_entropy, [(X, y), (X[:0], y[:0])]) @ torch.ones(9)
    with pytest.raises(DataError, match="positive weight, got none"):
        kind(net, "cross_entropy", (X[:0], y[:0])).cost()
    with pytest.raises(DataError, match=r"labels of 0 to 2.*got 5"):
        kind(net, "cross_entropy", (X, y.where(y < 2, 5))) @ torch.ones(9)
    with pytest.raises(DataError, match=r"inputs that the model takes, got int64 \(4, 2\)"):
        kind(net, "cross_entropy", (X.long(), y)) @ torch.ones(9)
    with pytest.raises(DataError, match=r"outputs and targets that the loss takes, got float32 \(4, 3\) and .* \(3,\)"):
        kind(net, "cross_entropy", [(X, y[:3])]) @ torch.ones(9)
    H = kind(net, nn.CrossEntropyLoss(ignore_index=-7), (X, y.where(y < 2, -7)))
    assert bool((H @ torch.ones(9)).isfinite().all())


def test_data_that_change_from_pass_to_pass_are_an_error() -> None:
    class Drawn:
        def __iter__(self) -> Any:
            yield torch.randn(4, 2), torch.randn(4, 1)

    H = hessian(nn.Linear(2, 1), as_loss("mse"), Drawn(), memory=0)
    with pytest.raises(DataError, match="same batches in every pass"):
        H @ torch.ones(3)


def test_the_cost_is_known_before_the_run() -> None:
    H = hessian(model_case("fcn-group"), "cross_entropy", data(), batch_size=4)
    cost = H.cost()
    assert cost.seconds > 0
    assert cost.graph_bytes > 0
    assert cost.kept_fraction == 1.0
    assert "20 products" in cost.summary()
