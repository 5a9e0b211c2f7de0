"""The methods of initialization: from a net to a rule for each of its weight matrices. One file a family."""

from collections.abc import Callable

from sciml.nn.init.methods.calibrated import lsuv
from sciml.nn.init.methods.isometry import delta_orthogonal, looks_linear, orthogonal
from sciml.nn.init.methods.meanfield import critical
from sciml.nn.init.methods.residual import balanced, fixup, rezero, skipinit, taki
from sciml.nn.init.methods.spectral import spectral
from sciml.nn.init.methods.variance import default, glorot, he, lecun, selu, spectral_mup
from sciml.nn.init.rules import Plan

__all__ = ["METHODS"]

METHODS: dict[str, Callable[..., Plan]] = {
    "he": he,
    "lecun": lecun,
    "glorot": glorot,
    "orthogonal": orthogonal,
    "delta_orthogonal": delta_orthogonal,
    "looks_linear": looks_linear,
    "selu": selu,
    "taki": taki,
    "balanced": balanced,
    "fixup": fixup,
    "skipinit": skipinit,
    "rezero": rezero,
    "lsuv": lsuv,
    "critical": critical,
    "spectral": spectral,
    "spectral_mup": spectral_mup,
    "default": default,
}


def __dir__() -> list[str]:
    return sorted(__all__)
