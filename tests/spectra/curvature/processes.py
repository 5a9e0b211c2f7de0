"""Run by `torchrun` with two processes: products and eigenvalues of all against those of one."""

import copy
import os

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from sciml.errors import ConfigError
from sciml.nn.models import build
from sciml.spectra.curvature import (
    batch_noise,
    class_structure,
    gauss_newton,
    gradient_covariance,
    hessian,
    spectral_density,
    top_eigenvalues,
    trace,
)


def main() -> None:
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    net = build("resnet1d", n_channels=2, n_times=8, n_outputs=3, width=8, blocks=1).double()
    X, y = torch.randn(37, 2, 8, dtype=torch.float64), torch.randint(3, (37,))
    V = torch.randn(sum(each.numel() for each in net.parameters()), 3, dtype=torch.float64)
    for kind in (hessian, gauss_newton, gradient_covariance):
        one = kind(net, "cross_entropy", (X, y), batch_size=8)
        many = kind(net, "cross_entropy", (X, y), batch_size=8, group=dist.group.WORLD)
        assert many.n_samples == one.n_samples
        torch.testing.assert_close(many @ V, one @ V, rtol=1e-10, atol=1e-13)
        torch.testing.assert_close(many.gradient, one.gradient, rtol=1e-10, atol=1e-13)
    shared = gauss_newton(net, "cross_entropy", (X, y), batch_size=8, group=dist.group.WORLD)
    for refused in (
        lambda: class_structure(shared),
        lambda: batch_noise(shared, batch_size=4),
        lambda: top_eigenvalues(shared, 1, checkpoint="x"),
        lambda: spectral_density(shared, checkpoint="x"),
    ):
        with pytest.raises(ConfigError, match="one process"):
            refused()
    sharded = copy.deepcopy(net)
    mesh = init_device_mesh("cpu", (2,))
    for module in list(sharded.modules()):
        if isinstance(module, nn.Conv1d):
            fully_shard(module, mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    output = sharded(X).detach()
    for kind in (hessian, gradient_covariance):
        one, many = (kind(each, "cross_entropy", (X, y), batch_size=8) for each in (net, sharded))
        expected, found = top_eigenvalues(one, 3), top_eigenvalues(many, 3)
        assert abs(found.values / expected.values - 1).max() < 1e-10
        assert len(found.vectors) < len(expected.vectors)
        assert abs(trace(one, n_products=8).value - trace(many, n_products=8).value) < 1e-9
        whole = many.split(found.vectors[:, 0])["head.weight"]
        torch.testing.assert_close(whole, one.split(expected.vectors[:, 0])["head.weight"], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(sharded(X).detach(), output, rtol=0, atol=0)
    dist.barrier()
    # torch may abort while it takes its groups apart at the end of Python, 2 times in 100; that is not asked of here.
    os._exit(0)


if __name__ == "__main__":
    main()
