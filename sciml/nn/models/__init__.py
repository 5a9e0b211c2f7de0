"""Nets for windows of a recording: `(batch, channel, time)` in, `(batch, *n_outputs)` out.

Every weight is a plain `nn.Linear` or `nn.Conv1d` parameter, so that an initialization or a spectrum finds it.
Residual branches are modules of type `Residual`. Other packages add models through the entry point group
`sciml.models`: a function `(n_channels, n_times, n_outputs, *, ...) -> nn.Module`; `build` takes the import path of
your own.
"""

from sciml.nn.models.affine import linear
from sciml.nn.models.attention import atcnet
from sciml.nn.models.blocks import ACTIVATIONS, Residual
from sciml.nn.models.convolutional import fcn
from sciml.nn.models.inception import inceptiontime
from sciml.nn.models.recurrent import gru
from sciml.nn.models.registry import MODELS, available, build
from sciml.nn.models.residual import resnet, resnet1d
from sciml.nn.models.signal_net import SignalNet, constrain
from sciml.nn.models.spatial import eegnet, shallow
from sciml.nn.models.temporal import tcn

__all__ = [
    "ACTIVATIONS",
    "MODELS",
    "Residual",
    "SignalNet",
    "atcnet",
    "available",
    "build",
    "constrain",
    "eegnet",
    "fcn",
    "gru",
    "inceptiontime",
    "linear",
    "resnet",
    "resnet1d",
    "shallow",
    "tcn",
]


def __dir__() -> list[str]:
    return sorted(__all__)
