"""Every model of the package small, for 3 channels: options, and the fewest samples of a window it then takes."""

from typing import Any

import torch
from torch import nn

from sciml.nn.models import MODELS, build

SMALL: dict[str, dict[str, Any]] = {
    "fcn": {"width": 8},
    "resnet1d": {"width": 8, "blocks": 2},
    "linear": {},
    "resnet": {"widths": [6, 8, 8]},
    "shallow": {"filters": 5, "kernel": 4, "pool": 5, "stride": 2},
    "eegnet": {"filters": 3, "kernels": [8, 3], "pools": [2, 3]},
    "atcnet": {"filters": 3, "kernels": [8, 3], "pools": [2, 3], "windows": 2},
    "tcn": {"width": 8, "blocks": 3, "kernel": 4},
    "inceptiontime": {"width": 3, "kernels": [6, 4, 3], "depth": 4},
    "gru": {"width": 8, "layers": 2},
}
SHORTEST = {"shallow": 8, "eegnet": 6, "atcnet": 12}
ONE_LENGTH = ("linear", "shallow", "eegnet", "atcnet")
assert set(SMALL) == set(MODELS)


def small(name: str, *, n_times: int = 20, n_outputs: Any = 4, seed: int = 0, **options: Any) -> nn.Module:
    """Return a small net, drawn from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(name, n_channels=3, n_times=n_times, n_outputs=n_outputs, **(SMALL[name] | options))


def draws(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
