"""A net that several processes train: each computes the gradient of its share, and all get their mean."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sciml.train.processes.group import Processes

__all__ = ["spread_over"]


def spread_over(model: nn.Module, processes: Processes, loss: Callable[[], torch.Tensor]) -> nn.Module:
    """Return the net as it is called in a step; of one process it is the net itself.

    All processes begin with the weights of the first. `loss` of one item tells which parameters have no part in it,
    for torch waits for the gradients of all unless it knows.

    Examples
    --------
    >>> net = nn.Linear(2, 1)
    >>> spread_over(net, Processes(), lambda: net(torch.ones(1, 2)).sum()) is net
    True
    """
    if processes.size == 1:
        return model
    model.eval()
    with torch.backends.cudnn.flags(enabled=False):  # whose recurrent layers have gradients in training alone
        loss().backward()  # type: ignore[no-untyped-call]
    unused = any(each.grad is None for each in model.parameters() if each.requires_grad)
    model.zero_grad()
    with processes.understood():
        return DistributedDataParallel(model, find_unused_parameters=unused)
