"""The header of saved recordings: names, dims, dtypes and attributes as JSON, so that nothing is lost in netCDF."""

import json
from typing import Any

import numpy as np

from sciml.errors import DataError

__all__ = ["HEADER", "VERSION", "decode", "encode"]

HEADER = "sciml_header"  # the scalar variable that holds it
VERSION = 1


def encode(header: dict[str, Any]) -> str:
    """Return a header as text.

    Examples
    --------
    >>> decode(encode({"gain": np.array([1.0, 2.0]), "n": np.int64(3)}))
    {'gain': array([1., 2.]), 'n': 3}
    """
    return json.dumps(header, default=_plain)


def decode(text: str) -> Any:
    """Return the header that a text holds."""
    try:
        return json.loads(text, object_hook=_array)
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"the header of the recording is damaged ({error}); save the recording again") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "iufbU":
        return {"array": value.tolist(), "dtype": value.dtype.str}
    raise DataError(
        f"expected attributes of text, numbers, lists, dicts or arrays, got {type(value).__name__} {value!r}; "
        "turn it into text"
    )


def _array(found: dict[str, Any]) -> Any:
    return np.array(found["array"], dtype=found["dtype"]) if set(found) == {"array", "dtype"} else found
