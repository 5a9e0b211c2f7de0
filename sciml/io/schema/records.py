"""Tables stored as records (HDF5 compound types): one field a column."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.hdf5.text import decode_array
from sciml.io.hdf5.tree import Node

__all__ = ["along", "fields", "records", "snake"]

Columns = dict[str, NDArray[np.generic]]


def fields(node: Node | None) -> tuple[str, ...]:
    """Return the names of the fields of a dataset of records, none for anything else."""
    return (node.dtype.names or ()) if node is not None and node.dtype is not None else ()


def records(node: Node | None) -> Columns:
    """Return the columns of a dataset of records by name, text stripped; none if there is no such dataset.

    Raises
    ------
    DataError
        The dataset holds something else, or cannot be read.
    """
    if node is None:
        return {}
    if node.dtype is None or not node.dtype.names or len(node.shape or ()) != 1:
        raise DataError(f"{node.path}: expected a row of records, got shape {node.shape} of {node.dtype}")
    rows = node.read()
    columns = {name: decode_array(rows[name]) for name in node.dtype.names}
    return {name: np.char.strip(cells) if cells.dtype.kind == "U" else cells for name, cells in columns.items()}


def along(dim: str, columns: Mapping[str, NDArray[np.generic]]) -> dict[str, xr.Variable]:
    """Return columns as coordinates along a dim: those of one number or text a row.

    Examples
    --------
    >>> sorted(along("channel", {"ChannelID": np.arange(2), "Waveform": np.zeros((2, 5))}))
    ['channel_id']
    """
    fitting = {name: cells for name, cells in columns.items() if cells.ndim == 1 and cells.dtype.kind in "iufbU"}
    return {snake(name): xr.Variable(dim, cells) for name, cells in fitting.items()}


def snake(name: str) -> str:
    """Return a name in lower case with underscores.

    Examples
    --------
    >>> snake("HighPassFilterType"), snake("ChannelID"), snake("x")
    ('high_pass_filter_type', 'channel_id', 'x')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
