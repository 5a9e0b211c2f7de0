"""Nets for windows of a recording: `(batch, channel, time)` in, `(batch, *n_outputs)` out.

Every weight is a plain `nn.Linear` or `nn.Conv1d` parameter, so that an initialization or a spectrum finds it.
Residual branches are modules of type `Residual`. Other packages add models through the entry point group
`sciml.models`: a function `(n_channels, n_times, n_outputs, *, ...) -> nn.Module`.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from numbers import Integral
from typing import Any

import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.options import check_name, check_options

__all__ = ["ACTIVATIONS", "MODELS", "Residual", "SignalNet", "available", "build", "fcn", "linear", "resnet1d"]

ENTRY_POINTS = "sciml.models"
Shape = tuple[int, ...]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "hardtanh": nn.Hardtanh,
    "identity": nn.Identity,
}


class Residual(nn.Module):
    """A residual block with identity skip: x + branch(x).

    Initializations find the branches of a net, and their number L, by this type.
    """

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x + branch(x), shape as x."""
        out: torch.Tensor = x + self.branch(x)
        return out


class SignalNet(nn.Sequential):
    """A chain of named parts that checks its input once, at the door.

    Attributes
    ----------
    input_shape
        (n_channels, n_times) of one window; nets that average over time take any n_times.
    output_shape
        Shape of the output for one window.
    """

    def __init__(self, parts: "OrderedDict[str, nn.Module]", *, input_shape: Shape, output_shape: Shape) -> None:
        super().__init__(parts)
        self.input_shape = input_shape
        self.output_shape = output_shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, time) to (batch, *output_shape)."""
        if x.ndim != 3 or x.shape[1] != self.input_shape[0]:
            raise ConfigError(
                f"expected input of shape (batch, channel = {self.input_shape[0]}, time), got {tuple(x.shape)}; "
                "select the channels the net was built for"
            )
        for part in self:
            x = part(x)
        return x


class _TimeMean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=-1)


class _LastSample(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[..., -1]


_POOLS: dict[str, Callable[[], nn.Module]] = {"mean": _TimeMean, "last": _LastSample}


def _batch_norm(width: int) -> nn.Module:
    return nn.BatchNorm1d(width)


def _group_norm(width: int) -> nn.Module:
    # Groups of at least four channels: a group of one would normalise each channel by its own window alone.
    groups = max(g for g in range(1, 17) if width % g == 0 and (g == 1 or width // g >= 4))
    return nn.GroupNorm(groups, width)


_NORMS: dict[str, Callable[[int], nn.Module] | None] = {"batch": _batch_norm, "group": _group_norm, "none": None}


def fcn(
    n_channels: int,
    n_times: int,
    n_outputs: Shape,
    *,
    width: int = 128,
    kernels: Sequence[int] = (8, 5, 3),
    norm: str = "batch",
    activation: str = "relu",
    pool: str = "mean",
    dropout: float = 0.0,
) -> SignalNet:
    """Return the fully convolutional net of Wang, Yan and Oates: conv, norm, ReLU, three times; mean over time; linear.

    Convolutions keep the length ("same" zero padding); they carry a bias only where no norm follows them.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Window shape, and shape of the output for one window.
    width
        Filters of the outer layers; inner layers have twice as many (128, 256, 128 in the paper).
    kernels
        Filter length of each layer, in samples.
    norm
        "batch" (paper), "group", or "none".
    activation
        A name in `ACTIVATIONS`.
    pool
        "mean" over time (paper), or "last" sample, for forecasts.
    dropout
        Probability of dropping a pooled feature in training.

    References
    ----------
    Wang, Yan, Oates (2017), IJCNN, doi:10.1109/IJCNN.2017.7966039, section II-B. Group norm: Wu and He (2018),
    arXiv:1803.08494.

    Examples
    --------
    >>> net = fcn(6, 100, (4,))
    >>> net(torch.zeros(2, 6, 100)).shape
    torch.Size([2, 4])
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    kernels = _counts("kernels", kernels)
    width = _count("width", width)
    widths = [width if i in (0, len(kernels) - 1) else 2 * width for i in range(len(kernels))]
    for i, (n_in, n_out, kernel) in enumerate(zip([n_channels, *widths], widths, kernels, strict=False), start=1):
        block = _conv(n_in, n_out, kernel, norm=norm)
        block["activation"] = _activation(activation)
        parts[f"block{i}"] = nn.Sequential(block)
    parts.update(_head(widths[-1], n_outputs, pool=pool, dropout=dropout))
    return SignalNet(parts, input_shape=(n_channels, n_times), output_shape=n_outputs)


def resnet1d(
    n_channels: int,
    n_times: int,
    n_outputs: Shape,
    *,
    width: int = 64,
    blocks: int = 4,
    layers: int = 2,
    kernel: int = 7,
    norm: str = "group",
    activation: str = "relu",
    pool: str = "mean",
    dropout: float = 0.0,
) -> SignalNet:
    """Return a residual net for signals: a stem, then `blocks` pre-activation blocks x + F(x), then linear.

    F is (norm, activation, conv), `layers` times. The skip is the identity, the width and the length are constant, so
    that the stream carries what it was given: the case in which the depth-aware initialization `taki` keeps signal and
    gradient of order one without any norm. Group norm is the default, for batch statistics tell the windows of a batch
    about each other.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Window shape, and shape of the output for one window.
    width
        Channels of the residual stream.
    blocks
        Number L of residual blocks.
    layers
        Convolutions in a branch.
    kernel
        Filter length in samples.
    norm
        "group", "batch", or "none".
    activation, pool, dropout
        As in `fcn`.

    References
    ----------
    He, Zhang, Ren, Sun (2016), arXiv:1603.05027, Fig. 4e; for time series: Wang, Yan, Oates (2017),
    doi:10.1109/IJCNN.2017.7966039, section II-C.

    Examples
    --------
    >>> net = resnet1d(6, 100, (3, 10), blocks=2, width=16)
    >>> net(torch.zeros(2, 6, 100)).shape
    torch.Size([2, 3, 10])
    """
    width, blocks, layers = _count("width", width), _count("blocks", blocks), _count("layers", layers)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = nn.Sequential(_conv(n_channels, width, kernel, norm="none", bias=norm == "none"))
    for i in range(1, blocks + 1):
        branch: OrderedDict[str, nn.Module] = OrderedDict()
        for j in range(1, layers + 1):
            branch.update(_normed_activation(width, norm=norm, activation=activation, suffix=str(j)))
            conv = _conv(width, width, kernel, norm="none", bias=norm == "none")
            branch.update((f"{key}{j}", module) for key, module in conv.items())
        parts[f"block{i}"] = Residual(nn.Sequential(branch))
    parts.update(_normed_activation(width, norm=norm, activation=activation))
    parts.update(_head(width, n_outputs, pool=pool, dropout=dropout))
    return SignalNet(parts, input_shape=(n_channels, n_times), output_shape=n_outputs)


def linear(n_channels: int, n_times: int, n_outputs: Shape) -> SignalNet:
    """Return the linear map from a whole window to the outputs: what every deeper net must beat.

    Examples
    --------
    >>> linear(6, 100, (4,))(torch.zeros(2, 6, 100)).shape
    torch.Size([2, 4])
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    parts.update(_outputs(n_channels * n_times, n_outputs))
    return SignalNet(parts, input_shape=(n_channels, n_times), output_shape=n_outputs)


MODELS: dict[str, Callable[..., nn.Module]] = {"fcn": fcn, "resnet1d": resnet1d, "linear": linear}


def available() -> tuple[str, ...]:
    """Return the names that `build` knows: those of this package, then those of installed plug-ins.

    Examples
    --------
    >>> available()[:3]
    ('fcn', 'resnet1d', 'linear')
    """
    plugins = {point.name for point in entry_points(group=ENTRY_POINTS)} - set(MODELS)
    return (*MODELS, *sorted(plugins))


def build(name: str, *, n_channels: int, n_times: int, n_outputs: int | Sequence[int], **options: Any) -> nn.Module:
    """Return a net by name, its weights as torch draws them; `build(**net.spec)` builds the same architecture again.

    Parameters
    ----------
    name
        One of `available()`.
    n_channels, n_times
        Shape of one window: input is `(batch, n_channels, n_times)`.
    n_outputs
        Number of outputs, or their shape such as (channel, horizon): output is `(batch, *n_outputs)`.
    **options
        What the model itself takes (see `fcn`, `resnet1d`), as plain values.

    Raises
    ------
    ConfigError
        An unknown name (the nearest is suggested), an unknown option (the options are listed), or a value out of range.

    Examples
    --------
    >>> net = build("fcn", n_channels=8, n_times=64, n_outputs=4, width=16)
    >>> net.spec["name"], net(torch.zeros(2, 8, 64)).shape
    ('fcn', torch.Size([2, 4]))
    """
    check_name(name, available(), what="model")
    factory = MODELS.get(name) or _plugin(name)
    check_options(factory, options, what=f"model {name!r}")
    shape = _counts("n_outputs", [n_outputs] if isinstance(n_outputs, Integral) else n_outputs)
    window = {"n_channels": _count("n_channels", n_channels), "n_times": _count("n_times", n_times)}
    model = factory(**window, n_outputs=shape, **options)
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
    spec = {"name": name, **window, "n_outputs": list(shape) if len(shape) > 1 else shape[0], **plain}
    object.__setattr__(model, "spec", spec)  # a plain dict beside the parameters, on plug-in modules too
    return model


def _plugin(name: str) -> Callable[..., nn.Module]:
    (point,) = entry_points(group=ENTRY_POINTS, name=name)
    factory: Callable[..., nn.Module] = point.load()
    return factory


def _conv(n_in: int, n_out: int, kernel: int, *, norm: str, bias: bool | None = None) -> "OrderedDict[str, nn.Module]":
    """Return a convolution that keeps the length, and its norm, as named modules."""
    kernel = _count("kernel", kernel)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if kernel % 2 == 0:  # torch's own "same" padding of an even kernel copies the input and warns
        parts["pad"] = nn.ZeroPad1d(((kernel - 1) // 2, kernel // 2))
    parts["conv"] = nn.Conv1d(
        n_in, n_out, kernel, padding=kernel // 2 if kernel % 2 else 0, bias=norm == "none" if bias is None else bias
    )
    normalise = _norm(norm)
    if normalise is not None:
        parts["norm"] = normalise(n_out)
    return parts


def _normed_activation(width: int, *, norm: str, activation: str, suffix: str = "") -> "OrderedDict[str, nn.Module]":
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    normalise = _norm(norm)
    if normalise is not None:
        parts[f"norm{suffix}"] = normalise(width)
    parts[f"activation{suffix}"] = _activation(activation)
    return parts


def _head(n_features: int, n_outputs: Shape, *, pool: str, dropout: float) -> "OrderedDict[str, nn.Module]":
    check_name(pool, _POOLS, what="pool")
    if not 0.0 <= dropout < 1.0:
        raise ConfigError(f"expected 0 <= dropout < 1, got {dropout}")
    parts: OrderedDict[str, nn.Module] = OrderedDict(pool=_POOLS[pool]())
    if dropout:
        parts["dropout"] = nn.Dropout(dropout)
    parts.update(_outputs(n_features, n_outputs))
    return parts


def _outputs(n_features: int, n_outputs: Shape) -> "OrderedDict[str, nn.Module]":
    parts: OrderedDict[str, nn.Module] = OrderedDict(head=nn.Linear(n_features, math.prod(n_outputs)))
    if len(n_outputs) > 1:
        parts["reshape"] = nn.Unflatten(1, n_outputs)
    return parts


def _activation(name: str) -> nn.Module:
    check_name(name, ACTIVATIONS, what="activation")
    return ACTIVATIONS[name]()


def _norm(name: str) -> Callable[[int], nn.Module] | None:
    check_name(name, _NORMS, what="norm")
    return _NORMS[name]


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ConfigError(f"expected {name} to be a whole number >= 1, got {value!r}")
    return int(value)


def _counts(name: str, values: Any) -> Shape:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise ConfigError(f"expected {name} to be a sequence of whole numbers >= 1, got {values!r}")
    return tuple(_count(name, value) for value in values)
