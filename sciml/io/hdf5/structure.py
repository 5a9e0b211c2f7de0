"""The HDF5 structure of a file as it is stored: groups, datasets, links, and objects under several paths."""

import os
from dataclasses import dataclass

import h5py

from sciml.io.hdf5.guard import DEFAULT_LIMITS, Limits
from sciml.io.hdf5.tree import Node, open_tree

__all__ = ["Entry", "structure"]


@dataclass(frozen=True)
class Entry:
    """A line of the structure of a file.

    Attributes
    ----------
    path, depth
        Where it is, and below how many groups.
    kind
        "group", "dataset", "link" (soft or external, leading somewhere), "alias" (one more path of an object that is
        listed elsewhere) or "broken" (a link that leads nowhere, or where it may not).
    shape, dtype
        Of a dataset; None and "" for all else.
    target
        What a link or an alias stands for; for a broken link why it leads nowhere.
    note
        The class of the object as its format names it (NX_class, neurodata_type, ...), and the unit of a dataset.
    """

    path: str
    depth: int
    kind: str
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    target: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


CLASSES = ("neurodata_type", "NX_class", "MATLAB_class", "datatype", "CLASS")
UNITS = ("units", "unit")


def structure(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> tuple[Entry, ...]:
    """Return what is stored in a file, object by object in the order of the file; each object is entered once.

    Raises
    ------
    DataError
        The file cannot be read as HDF5.

    Examples
    --------
    >>> import h5py, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["g/x"] = [1.0, 2.0]
    ...     file["same"], file["to"] = file["g/x"], h5py.SoftLink("/g/x")
    >>> [(entry.path, entry.kind, entry.target) for entry in structure(path)]
    [('g', 'group', ''), ('g/x', 'dataset', ''), ('same', 'alias', 'g/x'), ('to', 'link', '/g/x')]
    """
    with open_tree(path, limits) as tree:
        entries: list[Entry] = []
        _enter(tree.root, 0, entries)
        return tuple(entries)


def _enter(group: Node, depth: int, entries: list[Entry]) -> None:
    names = sorted({*group.children, *group.broken})
    for name in names:
        path = f"{group.path}/{name}".lstrip("/")
        if name in group.broken:
            entries.append(Entry(path, depth, "broken", target=group.broken[name]))
            continue
        node = group.children[name]
        link = group.link(name)
        inside = node.path == path  # else it is listed where it is stored
        kind = "link" if link else "dataset" if node.is_dataset else "group"
        kind = kind if inside or link else "alias"
        dtype = _dtype(node)
        target = link or ("" if inside else node.path or "/")
        entries.append(Entry(path, depth, kind, node.shape, dtype, target, _note(node)))
        if inside and not node.is_dataset:
            _enter(node, depth + 1, entries)


def _dtype(node: Node) -> str:
    """Return the dtype in words: h5py tells text, references and rows of any length from the kind "object"."""
    if node.dtype is None:
        return ""
    if node.dtype.kind != "O":
        return str(node.dtype)
    if h5py.check_ref_dtype(node.dtype) is not None:
        return "reference"
    inner = h5py.check_vlen_dtype(node.dtype)
    return f"rows of {inner}" if inner is not None else "text"


def _note(node: Node) -> str:
    """Return the class that a format gives an object, and its unit."""
    said = [node.text(name) for name in (*CLASSES, *UNITS) if isinstance(node.attr(name), str)]
    return ", ".join(dict.fromkeys(one for one in said if one))
