"""Nets by name: those of this package, those of installed plug-ins, and the user's own by import path."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from numbers import Integral
from typing import Any

import torch  # noqa: F401 (for the example)
from torch import nn

from sciml._names import is_import_path
from sciml.nn.models.affine import linear
from sciml.nn.models.attention import atcnet
from sciml.nn.models.blocks import Shape, count, counts
from sciml.nn.models.convolutional import fcn
from sciml.nn.models.imported import check_output, factory_at, made
from sciml.nn.models.inception import inceptiontime
from sciml.nn.models.recurrent import gru
from sciml.nn.models.residual import resnet, resnet1d
from sciml.nn.models.spatial import eegnet, shallow
from sciml.nn.models.temporal import tcn
from sciml.nn.options import check_name, check_options

__all__ = ["MODELS", "available", "build"]

ENTRY_POINTS = "sciml.models"
MODELS: dict[str, Callable[..., nn.Module]] = {
    "fcn": fcn,
    "resnet1d": resnet1d,
    "linear": linear,
    "resnet": resnet,
    "shallow": shallow,
    "eegnet": eegnet,
    "atcnet": atcnet,
    "tcn": tcn,
    "inceptiontime": inceptiontime,
    "gru": gru,
}


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
        One of `available()`; or the import path of your own, "my_package.nets:MyNet", a class or function that gives
        an `nn.Module`. It is called with those of `n_channels`, `n_times` and `n_outputs` that it has arguments for,
        and with the options, and must map (batch, channel, time) to (batch, *n_outputs). To import is to run code: pass
        no path here that comes from a file you do not trust.
    n_channels, n_times
        Shape of one window: input is `(batch, n_channels, n_times)`.
    n_outputs
        Number of outputs, or their shape such as (channel, horizon): output is `(batch, *n_outputs)`.
    **options
        What the model itself takes (see `fcn`, `resnet1d`), as plain values.

    Raises
    ------
    ConfigError
        An unknown name (the nearest is suggested), an unknown option (the options are listed), a value out of range; a
        path that cannot be imported, or a net of your own that gives another shape.

    Examples
    --------
    >>> net = build("fcn", n_channels=8, n_times=64, n_outputs=4, width=16)
    >>> net.spec["name"], net(torch.zeros(2, 8, 64)).shape
    ('fcn', torch.Size([2, 4]))
    """
    shape = counts("n_outputs", [n_outputs] if isinstance(n_outputs, Integral) else n_outputs)
    window = {"n_channels": count("n_channels", n_channels), "n_times": count("n_times", n_times)}
    model = _own(name, window, shape, options) if is_import_path(name) else _known(name, window, shape, options)
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
    spec = {"name": name, **window, "n_outputs": list(shape) if len(shape) > 1 else shape[0], **plain}
    object.__setattr__(model, "spec", spec)  # a plain dict beside the parameters, on plug-in modules too
    return model


def _known(name: str, window: Mapping[str, int], shape: Shape, options: Mapping[str, Any]) -> nn.Module:
    """Return a net of this package or of a plug-in, which are given the shape of the outputs as a tuple."""
    check_name(name, available(), what="model")
    factory = MODELS.get(name) or _plugin(name)
    check_options(factory, options, what=f"model {name!r}")
    return factory(**window, n_outputs=shape, **options)


def _own(path: str, window: Mapping[str, int], shape: Shape, options: Mapping[str, Any]) -> nn.Module:
    """Return a net of the user's, which is given a number of outputs, or their shape where they have several dims."""
    n_outputs = shape if len(shape) > 1 else shape[0]
    model = made(factory_at(path), path, {**window, "n_outputs": n_outputs}, options)
    check_output(model, path, (window["n_channels"], window["n_times"]), shape)
    return model


def _plugin(name: str) -> Callable[..., nn.Module]:
    (point,) = entry_points(group=ENTRY_POINTS, name=name)
    factory: Callable[..., nn.Module] = point.load()
    return factory
