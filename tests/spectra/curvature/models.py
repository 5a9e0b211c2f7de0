"""Small models, and their curvature written out by autograd over the whole data at once."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sciml.nn.models import MODELS, build

N_CHANNELS, N_TIMES, N_CLASSES = 2, 6, 3


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True)
        self.norm = nn.LayerNorm(2)
        self.head = nn.Linear(2, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = x.mT
        return self.head(self.norm(x + self.attention(x, x, x)[0]).mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.cells = kind(N_CHANNELS, 3, batch_first=True)
        self.head = nn.Linear(3, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(x.mT)[0][:, -1])


def _plain(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: build(name, n_channels=N_CHANNELS, n_times=N_TIMES, n_outputs=N_CLASSES, **options)


def _built(name: str, **options: Any) -> Callable[[], nn.Module]:
    return _plain(name, activation="tanh", **options)


MODEL_CASES: dict[str, Callable[[], nn.Module]] = {
    "linear": _plain("linear"),
    **{f"fcn-{norm}": _built("fcn", width=2, kernels=(3, 2), norm=norm) for norm in ("batch", "group", "none")},
    **{f"resnet1d-{n}": _built("resnet1d", width=4, blocks=1, kernel=3, norm=n) for n in ("batch", "group", "none")},
    "resnet": _built("resnet", widths=[2, 3, 3], kernels=[3, 2]),
    "shallow": _plain("shallow", filters=2, kernel=2, pool=3, stride=1),
    "eegnet": _built("eegnet", filters=2, kernels=[3, 2], pools=[2, 1]),
    "atcnet": _plain("atcnet", filters=1, depth=1, kernels=[3, 2], pools=[2, 1], windows=1),
    "tcn": _built("tcn", width=3, blocks=2, kernel=2),
    "inceptiontime": _built("inceptiontime", width=1, kernels=[3, 2], depth=3),
    "gru-model": _plain("gru", width=3),
    "attention": Attention,
    "lstm": lambda: Recurrent(nn.LSTM),
    "gru": lambda: Recurrent(nn.GRU),
}
assert {name.split("-")[0] for name in MODEL_CASES} >= set(MODELS)


def model_case(name: str) -> nn.Module:
    torch.manual_seed(0)
    model = MODEL_CASES[name]().double()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean = torch.randn(module.num_features, dtype=torch.float64)
            module.running_var = torch.full((module.num_features,), 2.0, dtype=torch.float64)
    return model


def data(n: int = 11, *, classes: bool = True) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    X = torch.randn(n, N_CHANNELS, N_TIMES, generator=generator, dtype=torch.float64)
    if classes:
        return X, torch.randint(N_CLASSES, (n,), generator=generator)
    return X, torch.randn(n, N_CLASSES, generator=generator, dtype=torch.float64)


def flat(model: nn.Module) -> Tensor:
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def of_flat(model: nn.Module, vector: Tensor, X: Tensor) -> Tensor:
    """Return outputs as a function of all parameters in one vector."""
    named = dict(model.named_parameters())
    parts = vector.split([each.numel() for each in named.values()])
    values = {name: part.reshape(named[name].shape) for part, name in zip(parts, named, strict=True)}
    return functional_call(model, values, (X,))


def dense_hessian(model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], X: Tensor, y: Tensor) -> Tensor:
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return torch.autograd.functional.hessian(lambda p: loss(of_flat(model, p, X), y), flat(model))


def dense_jacobian(model: nn.Module, X: Tensor) -> Tensor:
    """Return (item, output, parameter)."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return torch.autograd.functional.jacobian(lambda p: of_flat(model, p, X), flat(model))
