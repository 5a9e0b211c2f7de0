"""The law of a net's Jacobian, from the variances that its weights have and the signal that they carry."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from sciml.errors import ConfigError, ScimlError
from sciml.nn.propagate.chain import Builder
from sciml.nn.propagate.measure import measure
from sciml.theory import chain
from sciml.theory.products import Factor, Gaussian, Isometry, ProductLaw, slopes_of

__all__ = ["jacobian_law"]


def jacobian_law(model: nn.Module, batch: Any) -> ProductLaw:
    """Return the limit law of the squared singular values of a plain net's input-output Jacobian at random weights.

    Each weight matrix counts as Gaussian of the variance that it has, or as orthogonal where its rows or columns are;
    each activation by its slopes at the second moment that theory finds there for a batch. Trained weights are no
    longer independent of the slopes: the law is that of random weights of the same size.

    Parameters
    ----------
    model
        A net of fully connected layers and activations, one after another.
    batch
        What the net takes: a tensor (batch, feature).

    Raises
    ------
    ConfigError
        A net with anything else (convolutions, norms, residual branches, attention), or one of nothing but slopes.

    References
    ----------
    Pennington, Schoenholz, Ganguli (2017), arXiv:1711.04735; see `theory.products.ProductLaw`.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
    >>> law = jacobian_law(net, torch.randn(8, 64, generator=torch.Generator().manual_seed(0)))
    >>> law.n_in, round(law.atom, 4)
    (64, 0.8438)
    """
    measured = measure(model, batch)
    if not measured.path.steps:
        raise ConfigError("the law of a Jacobian is known of a chain of layers alone; this net has no single chain")
    log: dict[str, chain.Marked] = {}
    builder = Builder(measured, log)
    try:
        steps, start, positions = builder.build()
        chain.follow(steps, q=start.second, correlation=builder.correlation(start), positions=positions)
    except (ScimlError, KeyError) as error:
        raise ConfigError(f"the law of this Jacobian is not known: {error}") from error
    if builder.mirrored:
        raise ConfigError("the law of this Jacobian is not known: its layers are in mirrored pairs, not independent")
    return ProductLaw(list(_factors(steps, log)))


def _factors(steps: Sequence[chain.Step], log: dict[str, chain.Marked]) -> Iterator[Factor]:
    second = math.nan
    for step in steps:
        if isinstance(step, chain.Mark):
            second = log[step.name].second
        elif isinstance(step, chain.Affine) and step.sigma_w2 == 0.0:
            raise ConfigError("the law of this Jacobian is not known: a layer has weights of zero")
        elif isinstance(step, chain.Affine) and step.taps is None:
            kind = Isometry if step.law == "orthogonal" else Gaussian
            gain = step.sigma_w2 * (max(1.0, step.n_out / step.n_in) if step.law == "orthogonal" else 1.0)
            yield kind(int(step.n_in), int(step.n_out), gain)
        elif isinstance(step, chain.Activate):
            yield slopes_of(step.activation, second, int(step.width))
        else:
            found = "a convolution" if isinstance(step, chain.Affine) else f"a step {type(step).__name__}"
            raise ConfigError(
                f"the law of a Jacobian is known of fully connected layers and activations alone; this net has {found}"
            )
