"""Nets of the user's own, by import path: `my_package.nets:MyNet`.

To import is to run code. A path is followed where the user names it, in a configuration or in a call; what a run or a
checkpoint holds is a file that somebody may have changed, and is never followed by itself.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sciml._names import is_import_path
from sciml.errors import ConfigError

__all__ = ["check_output", "factory_at", "made"]

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def factory_at(path: str) -> Callable[..., Any]:
    """Return the class or function at an import path; modules of the working directory are found too.

    Raises
    ------
    ConfigError
        No such path, a module that cannot be imported, or nothing there that can be called.

    Examples
    --------
    >>> factory_at("torch.nn:Linear").__name__
    'Linear'
    """
    if not is_import_path(path):
        raise ConfigError(f"expected an import path like my_package.nets:MyNet, got {path!r}")
    module_name, _, attributes = path.partition(":")
    try:
        with _working_directory():
            module = importlib.import_module(module_name)
    except Exception as error:
        raise ConfigError(
            f"model {path!r}: {module_name} cannot be imported ({type(error).__name__}: {error}); it must lie in the "
            "working directory, be installed, or be on PYTHONPATH"
        ) from error
    try:
        found: Any = reduce(getattr, attributes.split("."), module)
    except AttributeError as error:
        raise ConfigError(f"model {path!r}: {module_name} has no {attributes}") from error
    if not callable(found):
        raise ConfigError(f"model {path!r}: expected a class or function that makes a net, got {type(found).__name__}")
    return found  # type: ignore[no-any-return]


@contextmanager
def _working_directory() -> Iterator[None]:
    """Let imports look into the working directory too, after everywhere else."""
    place = str(Path.cwd())
    added = place not in sys.path
    if added:
        sys.path.append(place)
    try:
        yield
    finally:
        if added and place in sys.path:
            sys.path.remove(place)


def made(factory: Callable[..., Any], path: str, window: Mapping[str, Any], options: Mapping[str, Any]) -> nn.Module:
    """Return the net that a class or function of the user makes, called with what it has arguments for.

    Parameters
    ----------
    factory, path
        The class or function, and its name for messages.
    window
        `n_channels`, `n_times` and `n_outputs`, of which it is given those that it names.
    options
        Further arguments, all of which it must take.

    Raises
    ------
    ConfigError
        It takes other arguments, cannot be called with these, or gives no `nn.Module`.

    Examples
    --------
    >>> made(nn.Linear, "torch.nn:Linear", {"n_times": 5}, {"in_features": 5, "out_features": 2}).in_features
    5
    """
    arguments = _accepted(factory, window) | dict(options)
    try:
        inspect.signature(factory).bind(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"model {path!r} cannot be called with {', '.join(arguments) or 'nothing'}: {error}; it is given "
            "n_channels, n_times and n_outputs where it has arguments of these names, and model.options"
        ) from error
    try:
        net = factory(**arguments)
    except Exception as error:
        raise ConfigError(f"model {path!r} could not be built: {type(error).__name__}: {error}") from error
    if not isinstance(net, nn.Module):
        raise ConfigError(f"model {path!r}: expected a torch.nn.Module, got {type(net).__name__}")
    return net


def _accepted(factory: Callable[..., Any], window: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(factory).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return dict(window)
    names = {each.name for each in parameters if each.kind in NAMED}
    return {name: value for name, value in window.items() if name in names}


def check_output(net: nn.Module, path: str, window: tuple[int, int], shape: tuple[int, ...]) -> None:
    """Run a net on two windows of zeros, as in evaluation; layers without a shape so far take theirs.

    Raises
    ------
    ConfigError
        It raises, gives another shape than (2, *shape), or has nothing to train.

    Examples
    --------
    >>> check_output(nn.Linear(5, 2), "torch.nn:Linear", (3, 5), (2,))
    Traceback (most recent call last):
    sciml.errors.ConfigError: model 'torch.nn:Linear': expected (2, 2) for windows (2, 3, 5) (batch, channel, time), got
    (2, 3, 2); its last layer must give n_outputs values
    """
    weight = next(net.parameters(), torch.zeros(()))
    zeros = torch.zeros(2, *window, device=weight.device, dtype=weight.dtype)
    modes = [(module, module.training) for module in net.modules()]
    given = f"windows {tuple(zeros.shape)} (batch, channel, time)"
    try:
        with torch.no_grad():
            found = net.eval()(zeros)
    except Exception as error:
        raise ConfigError(f"model {path!r} does not take {given}: {type(error).__name__}: {error}") from error
    finally:
        for module, mode in modes:
            module.training = mode
    got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
    if got != (2, *shape):
        raise ConfigError(
            f"model {path!r}: expected {(2, *shape)} for {given}, got {got}; its last layer must give n_outputs values"
        )
    if not any(each.requires_grad for each in net.parameters()):
        raise ConfigError(f"model {path!r} has no parameter to train; expected one that requires a gradient")
