"""Values as JSON knows them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from sciml.wording import clean

__all__ = ["plain"]


def plain(value: Any, *, flags: dict[str, str], pointer: str = "") -> Any:
    """Return a value as JSON knows it; what is not finite becomes None and is noted in `flags` by its pointer.

    Examples
    --------
    >>> noted = {}
    >>> plain({"p": np.array([0.5, np.inf])}, flags=noted), noted
    ({'p': [0.5, None]}, {'/p/1': 'inf'})
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return _finite(value, flags, pointer)
    if isinstance(value, complex):
        return plain({"real": value.real, "imag": value.imag}, flags=flags, pointer=pointer)
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {clean(k): plain(v, flags=flags, pointer=f"{pointer}/{_token(k)}") for k, v in value.items()}
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple):
        return [plain(v, flags=flags, pointer=f"{pointer}/{i}") for i, v in enumerate(value)]
    return clean(value)


def _finite(value: float, flags: dict[str, str], pointer: str) -> float | None:
    if math.isfinite(value):
        return value
    flags[pointer] = "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return None


def _token(key: object) -> str:
    return clean(key).replace("~", "~0").replace("/", "~1")
