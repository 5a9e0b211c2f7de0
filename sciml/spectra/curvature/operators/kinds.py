"""Hessian, Gauss-Newton matrix, Fisher information and covariance of gradients of a model on data."""

from typing import Any, Unpack

import numpy as np  # noqa: F401 (for the examples)
import torch  # noqa: F401
from torch import Tensor, nn

from sciml.errors import ConfigError
from sciml.spectra.curvature.operators.batches import Batch
from sciml.spectra.curvature.operators.function import Function
from sciml.spectra.curvature.operators.graphs import HessianGraph, JacobianGraph, loss_curvature
from sciml.spectra.curvature.operators.losses import Loss
from sciml.spectra.curvature.operators.operator import CurvatureOperator, Options, Term

__all__ = ["fisher", "gauss_newton", "gradient_covariance", "hessian"]


def _hessian_term(function: Function, loss: Loss, batch: Batch, index: int) -> Term:
    total, weight = loss.total(function(batch, index), batch.targets, batch.weights)
    graph = HessianGraph(total, function.parameters)
    return Term(graph, float(total.detach()), float(weight), graph.first)


def _gauss_newton_term(function: Function, loss: Loss, batch: Batch, index: int) -> Term:
    output = function(batch, index)
    total, weight = loss.total(output.detach(), batch.targets, batch.weights)
    middle = loss_curvature(output, lambda z: loss.total(z, batch.targets, batch.weights)[0])
    return Term(JacobianGraph(output, function.parameters, middle), float(total), float(weight))


def _gradients_term(function: Function, loss: Loss, batch: Batch, index: int) -> Term:
    each, weights = loss.each(function(batch, index), batch.targets, batch.weights)
    graph = JacobianGraph(each, function.parameters, lambda values: weights * values)
    gradient = graph.backward(weights)
    return Term(graph, float((each.detach() * weights).sum()), float(weights.sum()), gradient)


def hessian(model: nn.Module, loss: Any, data: Any, **options: Unpack[Options]) -> CurvatureOperator:
    r"""Return the Hessian of a model's loss over a data set, as an operator.

    .. math:: H = \nabla^2_\theta \frac{\sum_i w_i \ell_i(\theta)}{\sum_i w_i}

    Products are by double backward (Pearlmutter 1994), which norms, attention and recurrent layers all have; the graph
    of the gradient is kept for the batches that fit in memory, so that a product takes about two gradients.

    Parameters
    ----------
    model
        Any module that maps a batch of inputs to one tensor of outputs; it is left as it was found.
    loss
        A name, a loss of torch, or a function of (output, target); see `as_loss`.
    data
        A loader, batches, or a pair of tensors; see `as_batches`. Items count equally, or by their weights.
    **options
        See `Options`.

    Raises
    ------
    ConfigError
        Unknown parameters, a model that does not return one tensor, an operation without second derivative.
    DataError
        Data of which no batches can be made, or that differ from pass to pass.

    References
    ----------
    Pearlmutter (1994), doi:10.1162/neco.1994.6.1.147.

    Examples
    --------
    >>> X = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> H = hessian(nn.Linear(2, 1, bias=False), "mse", (X, torch.zeros(3, 1)), batch_size=2)
    >>> H
    <Hessian of 2 parameters over 3 samples>
    >>> (H @ np.array([1.0, 0.0])).round(3)
    array([23.333, 29.333])
    """
    return CurvatureOperator("Hessian", model, loss, data, _hessian_term, options)


def gauss_newton(model: nn.Module, loss: Any, data: Any, **options: Unpack[Options]) -> CurvatureOperator:
    r"""Return the generalized Gauss-Newton matrix of a model's loss over a data set, as an operator.

    .. math:: G = \frac{1}{\sum_i w_i} \sum_i w_i\, J_i^T \nabla^2_z \ell(z_i)\, J_i

    with the Jacobians :math:`J_i = \partial z_i / \partial \theta` of the outputs: the Hessian without the curvature of
    the model itself. Positive semi-definite where the loss is convex in the
    outputs, and equal to the Hessian for models linear in their parameters.

    Parameters
    ----------
    model, loss, data, **options
        As for `hessian`.

    References
    ----------
    Schraudolph (2002), doi:10.1162/08997660260028683.

    Examples
    --------
    >>> X = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> G = gauss_newton(nn.Linear(2, 1, bias=False), "mse", (X, torch.zeros(3, 1)))
    >>> (3 * G.to_dense()).round().tolist()
    [[70.0, 88.0], [88.0, 112.0]]
    """
    return CurvatureOperator("Gauss-Newton matrix", model, loss, data, _gauss_newton_term, options)


def fisher(
    model: nn.Module, loss: Any, data: Any, *, empirical: bool = False, **options: Unpack[Options]
) -> CurvatureOperator:
    r"""Return the Fisher information of a model over the inputs of a data set, as an operator.

    .. math:: F = \frac1N \sum_i E_{y \sim p(y | x_i)} \left[g g^T\right], \qquad g = \nabla_\theta \ell(z_i, y)

    with the distribution of which the loss is the negative logarithm: classes of cross entropy, a normal law of
    variance 1/2 for "mse" of one output (d/2 for the mean over d), of variance 1 for "gaussian". In these exponential
    families it is the Gauss-Newton matrix, without sampling. The empirical one takes the data's own targets instead
    of the model's, and is not the Fisher information away from a perfect fit.

    Parameters
    ----------
    model, loss, data, **options
        As for `hessian`.
    empirical
        Whether the targets are the data's.

    Raises
    ------
    ConfigError
        A loss of which it is not known to be a likelihood (then `gauss_newton` or the empirical one can be had), or
        losses of single items that are not defined because batch statistics mix them.

    References
    ----------
    Kunstner, Balles, Hennig (2019), arXiv:1905.12558; Martens (2020), arXiv:1412.1193, section 9.

    Examples
    --------
    >>> X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> F = fisher(nn.Linear(2, 1, bias=False), "gaussian", (X, torch.zeros(2, 1)))
    >>> F.to_dense().tolist()
    [[5.0, 7.0], [7.0, 10.0]]
    """
    if empirical:
        operator = CurvatureOperator("empirical Fisher matrix", model, loss, data, _gradients_term, options)
        _check_items(operator)
        return operator
    operator = CurvatureOperator("Fisher information", model, loss, data, _gauss_newton_term, options)
    if not operator.loss_function.likelihood:
        raise ConfigError(
            "expected a loss that is known to be a likelihood (cross_entropy, mse, gaussian, binary_cross_entropy, "
            "poisson) for the Fisher information; use gauss_newton, or empirical=True"
        )
    return operator


class _Covariance(CurvatureOperator):
    """The empirical second moment of gradients less the square of their mean."""

    def _products(self, vectors: Tensor) -> Tensor:
        mean = self.gradient[:, None]
        along = self.inner_products(mean, vectors) if self.processes.sharded else mean.T @ vectors
        return super()._products(vectors) - mean * along


def gradient_covariance(model: nn.Module, loss: Any, data: Any, **options: Unpack[Options]) -> CurvatureOperator:
    r"""Return the covariance of the gradients of single items over a data set, as an operator.

    .. math:: C = \frac{1}{\sum_i w_i} \sum_i w_i\, (g_i - \bar g)(g_i - \bar g)^T

    The noise of the gradient of a batch of B items has covariance C / B.

    Parameters
    ----------
    model, loss, data, **options
        As for `hessian`.

    Examples
    --------
    >>> X, y = torch.tensor([[1.0], [1.0]]), torch.tensor([[1.0], [-1.0]])
    >>> net = nn.Linear(1, 1, bias=False)
    >>> round(gradient_covariance(net, "mse", (X, y)).to_dense().item(), 4)
    4.0
    """
    operator = _Covariance("gradient covariance", model, loss, data, _gradients_term, options)
    _check_items(operator)
    return operator


def _check_items(operator: CurvatureOperator) -> None:
    norms = nn.modules.batchnorm._BatchNorm
    if operator.function.training and any(isinstance(each, norms) for each in operator.function.model.modules()):
        raise ConfigError(
            "expected evaluation mode: in training mode batch norm mixes the items of a batch, so that no item has a "
            "gradient of its own; leave training=False"
        )
    if not operator.loss_function.mean:
        raise ConfigError('expected a loss of reduction "mean": gradients of single items are averaged')
