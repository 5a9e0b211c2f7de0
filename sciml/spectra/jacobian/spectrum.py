"""Singular values of a net's Jacobian at each input of a sample."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from sciml._typing import FloatArray
from sciml.errors import ConfigError, ScimlError
from sciml.nn.propagate import jacobian_law, propagation
from sciml.spectra.jacobian.bidiagonal import largest_singular_values
from sciml.spectra.jacobian.result import JacobianSpectrum
from sciml.spectra.jacobian.segment import Segment, at_rest
from sciml.theory.products import ProductLaw

__all__ = ["jacobian_spectrum"]

_PROBES = 8


def jacobian_spectrum(
    model: nn.Module,
    sample: Any,
    *,
    start: str | None = None,
    end: str | None = None,
    k: int = 8,
    exact: int = 256,
    tolerance: float = 1e-3,
    initial: nn.Module | None = None,
    generator: torch.Generator | None = None,
) -> JacobianSpectrum:
    r"""Measure the singular values of J = ∂f/∂x at each input, beside the law that random weights would follow.

    Exact where the shorter side of J is at most `exact`: J is formed by as many passes. Of longer ones the k largest
    come by Golub-Kahan-Lanczos steps, and Σ s² / n_in by random vectors. The net acts as in evaluation.

    Parameters
    ----------
    model
        Any net of PyTorch; mode, gradients and random state are left as found.
    sample
        What it takes: a tensor (batch, ...), or a tuple or mapping of tensors.
    start, end
        Names of modules whose output is the start or the end; the input and the output of the net if None.
    k
        Number of singular values where J is not formed.
    exact
        Longest shorter side of J that is formed.
    tolerance
        Error of the k values, relative to the largest.
    initial
        The net as it started, whose weights the law is then of; the net itself if None.
    generator
        Of the random vectors; seed 0 if None.

    Raises
    ------
    ConfigError
        No module of that name, one that runs more than once, an input of whole numbers, an end that does not depend on
        the start, or a part of the net that has no second derivative.
    DataError
        A sample that is empty or not finite, or an output that is not.

    References
    ----------
    Pennington, Schoenholz, Ganguli (2017), arXiv:1711.04735; Golub, Kahan (1965), doi:10.1137/0702016.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(6, 4, bias=False))
    >>> found = jacobian_spectrum(net, torch.ones(2, 6))
    >>> bool(np.allclose(found.singular_values[0], torch.linalg.svdvals(net[0].weight.detach()), rtol=1e-5))
    True
    """
    if k < 1 or exact < 0 or not 0.0 < tolerance < 1.0:
        raise ConfigError(f"expected k >= 1, exact >= 0, 0 < tolerance < 1; got {k}, {exact}, {tolerance}")
    draws = generator or torch.Generator().manual_seed(0)
    with at_rest(model):
        segment = Segment(model, sample, start, end)
        short = min(segment.n_in, segment.n_out)
        whole = short <= exact
        values, errors = _whole(segment) if whole else _largest(segment, min(k, short), tolerance, draws)
        squares = values**2 if whole else _sum_of_squares(segment, draws)
    mean = squares.sum(axis=1) / segment.n_in if whole else squares.mean(axis=1) / segment.n_in
    theory = _theory(initial or model, sample, whole_net=start is None and end is None)
    return JacobianSpectrum(
        start=start or "input",
        end=end or "output",
        n_in=segment.n_in,
        n_out=segment.n_out,
        singular_values=values,
        errors=errors,
        exact=whole,
        squared_gain=mean,
        squared_gain_se=float(np.std(mean, ddof=1) / math.sqrt(len(mean))) if len(mean) > 1 else math.nan,
        law=theory.law,
        expected_squared_gain=theory.squared_gain,
        expected_band=theory.band,
        note=theory.note,
    )


def _whole(segment: Segment) -> tuple[FloatArray, FloatArray]:
    """Form the Jacobians row by row, or column by column where there are fewer."""
    rows = segment.n_out <= segment.n_in
    product, n = (segment.transposed, segment.n_out) if rows else (_guarded(segment), segment.n_in)
    batch, like = segment.start.shape[0], segment.start
    parts = []
    for i in range(n):
        unit = torch.zeros(batch, n, dtype=like.dtype, device=like.device)
        unit[:, i] = 1.0
        parts.append(product(unit).double().cpu())
    values = torch.linalg.svdvals(torch.stack(parts, dim=1)).numpy()
    return values, np.zeros_like(values)


def _largest(segment: Segment, k: int, tolerance: float, generator: torch.Generator) -> tuple[FloatArray, FloatArray]:
    start = _normal(segment.start, segment.n_in, generator)
    most = min(segment.n_in + 1, segment.n_out + 1, 20 * k + 40)  # the last completes the shorter side
    found = largest_singular_values(_guarded(segment), segment.transposed, start, k, tolerance=tolerance, most=most)
    return found.values.cpu().numpy(), found.errors.cpu().numpy()


def _sum_of_squares(segment: Segment, generator: torch.Generator) -> FloatArray:
    """Return |u J|², whose mean over Gaussian u is the sum of the squared singular values: (batch, probe)."""
    probes = [_normal(segment.end, segment.n_out, generator) for _ in range(_PROBES)]
    squares = [segment.transposed(u).double().square().sum(dim=1).cpu() for u in probes]
    return np.asarray(torch.stack(squares, dim=1).numpy())


def _normal(like: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(like.shape[0], n, generator=generator).to(like.device, like.dtype)


def _guarded(segment: Segment) -> Any:
    def times(v: torch.Tensor) -> torch.Tensor:
        try:
            return segment.times(v)
        except RuntimeError as error:
            raise ConfigError(
                f"products with J need a second derivative, which a part of this net has not ({error}); end where "
                "there are fewer values than the limit of `exact`, so that J is formed by rows"
            ) from error

    return times


@dataclass(frozen=True, eq=False)
class _Theory:
    """What theory says of a Jacobian: its law, or its squared gain alone with the band of single nets."""

    law: ProductLaw | None = None
    squared_gain: float = math.nan
    band: tuple[float, float] = (math.nan, math.nan)
    note: str = ""


def _theory(model: nn.Module, sample: Any, *, whole_net: bool) -> _Theory:
    if not whole_net:
        return _Theory(note="theory is given from the input to the output alone")
    if any(isinstance(each, nn.modules.batchnorm._BatchNorm) for each in model.modules()):
        return _Theory(note="no theory is given: batch norms divide by running statistics, not by those of a batch")
    try:
        law = jacobian_law(model, sample)
        return _Theory(law, law.mean, note="")
    except ConfigError as error:
        reason = str(error)
    try:
        last = propagation(model, sample).stream[-1]
    except ScimlError:
        return _Theory(note=reason)
    if not math.isfinite(last.jacobian_theory):
        return _Theory(note=reason)
    return _Theory(None, last.jacobian_theory, last.jacobian_band, reason)
