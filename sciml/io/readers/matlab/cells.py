"""Cells and texts of MATLAB 7.3: cells are references to objects under #refs#, texts are rows of 16-bit letters."""

from __future__ import annotations

from math import prod
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io.hdf5.tree import Node, Tree

__all__ = ["cells", "is_cell", "letters", "texts"]

MOST = 2**16  # cells that are followed


def is_cell(node: Node | None) -> bool:
    """Whether a variable is a cell array, or a field of a struct array: a dataset of references."""
    return bool(
        node is not None
        and node.is_dataset
        and node.dtype is not None
        and h5py.check_ref_dtype(node.dtype) is not None
        and 0 < prod(node.shape or ()) <= MOST
    )


def cells(node: Node, tree: Tree) -> list[Node]:
    """Return what the cells of an array are, those that lead somewhere."""
    found = [tree.referred(cell, node) for cell in node.read().ravel()]
    return [cell for cell in found if cell is not None]


def letters(node: Node | None) -> str:
    """Return the text of a char variable, "" of anything else."""
    if node is None or node.dtype is None or node.dtype.kind not in "iu" or prod(node.shape or (0,)) > MOST:
        return ""
    if node.text("MATLAB_class") != "char" or node.attr("MATLAB_empty"):
        return ""
    return "".join(map(chr, node.read().T.ravel().tolist())).strip("\0 ")


def texts(node: Node | None, tree: Tree) -> NDArray[Any] | None:
    """Return the texts in a cell array, None if it is none."""
    if node is None or not is_cell(node):
        return None
    try:
        inside = cells(node, tree)
        inside = [cells(one, tree)[0] if is_cell(one) else one for one in inside]
        return np.array([letters(one) for one in inside], dtype=str)
    except (DataError, IndexError):
        return None
