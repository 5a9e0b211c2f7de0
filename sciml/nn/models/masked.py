"""Nets on windows of unequal length, padded at their end: what pads a window changes nothing of what is said of it.

Before each convolution the padding is set to zero, which is what a convolution that keeps the length sees beyond the
end of a window anyway; norms and pools count the samples that are there alone, in single precision at least,
under autocast too.
"""

from functools import singledispatch

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sciml.errors import DataError
from sciml.nn.models.blocks import Concatenated, LastSample, Residual, TimeMean

__all__ = ["masked", "of_length"]


@singledispatch
def masked(module: nn.Module, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:  # noqa: ARG001 (others need it)
    """Return what a module makes of windows of which `valid` (batch, time) tells the samples that are there.

    A module that works on each sample alone is applied as it is; another kind of module adds its line below.

    Examples
    --------
    >>> x = torch.tensor([[[1.0, 3.0, 0.0]]])
    >>> masked(TimeMean(), x, torch.tensor([[True, True, False]])).item()
    2.0
    """
    found: torch.Tensor = module(x)
    return found


@masked.register
def _(module: nn.Sequential, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    for part in module:
        x = masked(part, x, valid)
    return x


@masked.register
def _(module: Residual, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    skip = x if module.shortcut is None else masked(module.shortcut, x, valid)
    return module.add(skip, masked(module.branch, x, valid))


@masked.register
def _(module: Concatenated, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    return torch.cat([masked(each, x, valid) for each in module.values()], dim=1)


@masked.register
def _(module: nn.MaxPool1d, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    # below every value, as torch pads a pool; then zero again, for minus infinity would spread
    missing = ~valid[:, None]
    found: torch.Tensor = module(x.masked_fill(missing, -torch.inf))
    return found.masked_fill(missing, 0.0)


@masked.register(nn.Conv1d)
@masked.register(nn.ZeroPad1d)
@masked.register(nn.Flatten)
def _(module: nn.Module, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    # behind a ZeroPad1d, which makes the window longer, the padding is zero already
    found: torch.Tensor = module(x * valid[:, None] if x.shape[-1] == valid.shape[-1] else x)
    return found


@masked.register
def _(module: TimeMean, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:  # noqa: ARG001 (chosen by its type)
    return (_wide(x) * valid[:, None]).sum(dim=-1) / valid.sum(dim=-1).clamp(min=1)[:, None]


@masked.register
def _(module: LastSample, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
    last = (valid * torch.arange(valid.shape[1], device=valid.device)).amax(dim=1)
    return x[torch.arange(len(x), device=x.device), :, last]


@masked.register
def _(module: nn.GroupNorm, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    groups = _wide(x).reshape(len(x), module.num_groups, -1, x.shape[-1])
    there = valid[:, None, None]
    n = (valid.sum(dim=1).clamp(min=1) * groups.shape[2])[:, None, None, None]
    mean = (groups * there).sum(dim=(2, 3), keepdim=True) / n
    variance = ((groups - mean).square() * there).sum(dim=(2, 3), keepdim=True) / n
    return _affine(module, ((groups - mean) * torch.rsqrt(variance + module.eps)).flatten(1, 2))


@masked.register(_BatchNorm)
def _(module: _BatchNorm, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    if not module.training:
        evaluated: torch.Tensor = module(x)
        return evaluated
    x, there = _wide(x), valid[:, None]
    n = valid.sum().clamp(min=1)
    mean = (x * there).sum(dim=(0, 2)) / n
    variance = ((x - mean[:, None]).square() * there).sum(dim=(0, 2)) / n
    _remember(module, mean.detach(), variance.detach() * n / (n - 1).clamp(min=1))
    return _affine(module, (x - mean[:, None]) * torch.rsqrt(variance + module.eps)[:, None])


def of_length(x: torch.Tensor, valid: torch.Tensor, n_times: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return windows cut or padded to `n_times`, where that takes away nothing but padding.

    Raises
    ------
    DataError
        A window is longer.

    Examples
    --------
    >>> of_length(torch.ones(1, 2, 3), torch.tensor([[True, True, False]]), 2)[0].shape
    torch.Size([1, 2, 2])
    """
    if x.shape[-1] > n_times and bool(valid[:, n_times:].any()):
        raise DataError(
            f"expected windows of at most {n_times} samples, as in training, got {int(valid.sum(dim=1).max())}; "
            "use a net that averages over time, such as fcn"
        )
    missing = max(0, n_times - x.shape[-1])
    return (
        nn.functional.pad(x[..., :n_times], (0, missing)),
        nn.functional.pad(valid[:, :n_times], (0, missing)),
    )


def _wide(x: torch.Tensor) -> torch.Tensor:
    """Return values in single precision at least: what is double stays."""
    return x if x.dtype == torch.float64 else x.float()


def _affine(module: nn.GroupNorm | _BatchNorm, x: torch.Tensor) -> torch.Tensor:
    return x * module.weight[:, None] + module.bias[:, None] if module.affine else x


def _remember(module: _BatchNorm, mean: torch.Tensor, variance: torch.Tensor) -> None:
    """Let the running statistics follow, as torch does."""
    if module.running_mean is None or module.running_var is None:
        return
    assert module.num_batches_tracked is not None  # noqa: S101 - torch has all three or none
    module.num_batches_tracked.add_(1)
    share = 1.0 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
    module.running_mean.lerp_(mean, share)
    module.running_var.lerp_(variance, share)
