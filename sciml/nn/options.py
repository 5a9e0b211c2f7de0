"""Check a name and keyword options against what a family of functions accepts."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Unpack, get_args, get_origin

from sciml.errors import ConfigError

__all__ = ["check_name", "check_options"]


def check_name(name: str, choices: Iterable[str], *, what: str) -> None:
    """Raise ConfigError with the nearest spelling when `name` is not one of `choices`."""
    choices = sorted(choices)
    if name not in choices:
        raise ConfigError(
            f"expected {what} to be one of {', '.join(choices)}; got {name!r}{_suggestion(name, choices)}"
        )


def check_options(function: Callable[..., Any], options: Mapping[str, Any], *, what: str) -> None:
    """Raise ConfigError with the options listed when `function` has no keyword-only argument of that name."""
    known = _known_options(function)
    if known is None:
        return
    for name in options:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise ConfigError(f"{what}: unknown option {name!r}{_suggestion(name, known)}; its options: {listed}")


def _known_options(function: Callable[..., Any]) -> list[str] | None:
    """Return the names of the keyword-only arguments, or None where any name is taken."""
    known: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            known.append(parameter.name)
        elif parameter.kind is parameter.VAR_KEYWORD:
            if get_origin(parameter.annotation) is not Unpack:
                return None
            known += get_args(parameter.annotation)[0].__annotations__
    return known


def _suggestion(name: str, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
