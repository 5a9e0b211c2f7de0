"""What is in a file: its groups and datasets, each under one path; links are looked at before they are followed."""

import math
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io.hdf5.digest import digest
from sciml.io.hdf5.global_heap import declared_items
from sciml.io.hdf5.guard import DEFAULT_LIMITS, Limits, checked_path, guard
from sciml.io.hdf5.issues import Issue, Remark, code_of
from sciml.io.hdf5.links import Files, follow
from sciml.io.hdf5.object_headers import declared_texts
from sciml.io.hdf5.read_errors import Box, filters, missing_regions, read_error
from sciml.io.hdf5.source import Source
from sciml.io.hdf5.text import decode, decode_array, text

__all__ = ["Node", "Tree", "open_tree"]

MAX_ATTRIBUTE_NAMES = 1000
FEW = 64  # attributes whose names are held
HELD = 2**26  # bytes of clocks and tables
KINDS = (h5py.h5o.TYPE_GROUP, h5py.h5o.TYPE_DATASET)
Address = tuple[int, int]
Place = tuple[Any, bytes]  # an open HDF5 object, and the name of a link in it: "." is the object itself


class Node:
    """A group or a dataset.

    Attributes
    ----------
    path
        The one path it is known by; other hard and soft links to it are its `aliases`.
    children
        The objects in a group, by name: hard links, and soft or external links that lead somewhere.
    broken
        The links in a group that lead nowhere, or where they may not: name and reason.
    """

    def __init__(self, place: Place, path: str, tree: "Tree", *, is_dataset: bool, n_attributes: int) -> None:
        self.path = path
        self.children: dict[str, Node] = {}
        self.broken: dict[str, str] = {}
        self.aliases: list[str] = []
        self.is_dataset = is_dataset
        self._place = place
        self._tree = tree
        self._n_attributes = n_attributes
        self._attributes: dict[str, Any] = {}
        self._held: NDArray[Any] | None = None

    @cached_property
    def _handle(self) -> Any:
        """The open object. A dataset is opened when it is first asked about: opening takes longer than listing."""
        with guard(self.path):
            identifier = h5py.h5o.open(*self._place)
            if not self.is_dataset:
                return h5py.Group(identifier)
            if self._tree.growing:
                identifier.refresh()  # this process may have read it before, when it was shorter
            return h5py.Dataset(identifier)

    @cached_property
    def _layout(self) -> tuple[tuple[int, ...] | None, np.dtype[Any] | None]:
        """Shape and dtype of a dataset, None and None of one that is damaged."""
        if not self.is_dataset:
            return None, None
        try:
            with guard(self.path):
                return self._handle.id.shape, self._handle.id.dtype
        except DataError as error:
            self._tree.findings.append(Issue("unreadable", str(error), self.path))
            return None, None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of a dataset; None of a group and of a dataset without values."""
        return self._layout[0]

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The dtype of a dataset as stored; None of a group."""
        return self._layout[1]

    def __repr__(self) -> str:
        return f"Node({self.path!r}, shape={self.shape})"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def is_numeric(self) -> bool:
        """Whether it is a dataset of real or complex numbers or of booleans, of at least one element and one axis."""
        return bool(self.dtype is not None and self.dtype.kind in "iufcb" and self.shape and 0 not in self.shape)

    @property
    def n_bytes(self) -> int:
        """Bytes of the whole array as stored, before compression."""
        return math.prod(self.shape) * self.dtype.itemsize if self.shape is not None and self.dtype is not None else 0

    @cached_property
    def stored_bytes(self) -> int:
        """Bytes of the array in the file, after compression; 0 if they are elsewhere, nowhere or cannot be counted."""
        if not self.is_dataset:
            return 0
        try:
            with guard(self.path):
                return int(self._handle.id.get_storage_size())
        except DataError as error:  # the index of the chunks is damaged
            self._tree.findings.append(Issue("unreadable", str(error), self.path))
            return 0

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The shape of the HDF5 chunks, None if the values lie in one piece."""
        return self._handle.chunks if self.is_dataset else None

    def filters(self) -> tuple[str, ...]:
        """Return the filters of the values in the order in which they were applied."""
        return filters(self._handle) if self.is_dataset else ()

    def link(self, name: str) -> str:
        """Return where the link of a child points, "" if the child is stored under that name."""
        with guard(f"{self.path}/{name}"):
            found = self._handle.get(name, getlink=True)
        if isinstance(found, h5py.ExternalLink):
            return f"{text(found.filename)}:{text(found.path)}"
        return text(found.path) if isinstance(found, h5py.SoftLink) else ""

    def attr(self, name: str, default: Any = None) -> Any:
        """Return an attribute as plain Python, `default` if it is absent, empty, too large or unreadable."""
        if not self._n_attributes:
            return default
        if name not in self._attributes:
            self._attributes[name] = self._read_attribute(name)
        value = self._attributes[name]
        return default if value is None else value

    @cached_property
    def _few(self) -> Collection[bytes] | None:
        """The names of the attributes if they are few: most that readers ask for are not there."""
        names: list[bytes] = []
        if self._n_attributes <= FEW:
            with guard(f"attributes of {self.path or '/'}"):
                h5py.h5a.iterate(self._handle.id, names.append)
        return names if self._n_attributes <= FEW else None

    @cached_property
    def _texts(self) -> dict[bytes, int]:
        """How many bytes the texts of attributes say that they have."""
        return declared_texts(self._handle.id)

    def _read_attribute(self, name: str) -> Any:
        try:
            key = name.encode()
            if self._few is not None and key not in self._few:
                return None
            with guard(f"attribute {name} of {self.path or '/'}"):
                if self._few is None and not h5py.h5a.exists(self._handle.id, key):
                    return None
                attribute = h5py.h5a.open(self._handle.id, key)
                kind = attribute.get_type()
                # HDF5 may crash on a damaged one, and no format that is read here needs one.
                if kind.get_class() == h5py.h5t.VLEN:
                    raise DataError(f"attribute {name} of {self.path or '/'} holds rows of any length and was not read")
                size = kind.get_size() * max(attribute.get_space().get_simple_extent_npoints(), 1)
                if kind.get_class() == h5py.h5t.STRING and kind.is_variable_str():
                    size = max(size, self._texts.get(key, 0))
                if size > self._tree.limits.attribute_bytes:
                    raise DataError(f"attribute {name} of {self.path or '/'} is of {size} bytes and was not read")
                return decode(self._handle.attrs[name])
        except DataError as error:
            self._tree.findings.append(str(error))
            return None

    def attribute_names(self) -> tuple[str, ...]:
        """Return the names of the attributes; none if there are more than anyone writes by hand."""
        with guard(f"attributes of {self.path or '/'}"):
            if self._n_attributes > MAX_ATTRIBUTE_NAMES:
                self._tree.findings.append(f"{self.path or '/'} has more than {MAX_ATTRIBUTE_NAMES} attributes")
                return ()
            return tuple(text(name) for name in self._handle.attrs)

    def text(self, name: str, default: str = "") -> str:
        """Return an attribute as stripped text."""
        value = self.attr(name)
        return str(value).strip() if isinstance(value, (str, int, float)) else default

    def texts(self, name: str) -> tuple[str, ...]:
        """Return an attribute as a tuple of texts, also if it is one text."""
        value = self.attr(name, ())
        items = value if isinstance(value, (tuple, np.ndarray)) else (value,)
        return tuple(str(item).strip() for item in items)

    def number(self, name: str, default: float | None = None) -> float | None:
        """Return an attribute as a float, also if it was written as text."""
        return _number(self.attr(name), default)

    def child(self, name: str) -> "Node | None":
        """Return the child of that name, None if there is none."""
        return self.children.get(name)

    def dataset(self, name: str) -> "Node | None":
        """Return the child of that name if it is a dataset."""
        found = self.children.get(name)
        return found if found is not None and found.is_dataset else None

    @property
    def digest(self) -> dict[str, str]:
        """The checksum of the file that was opened, as attributes of a recording."""
        return self._tree.digest

    def read_error(self) -> Issue | None:
        """Return why the values cannot be read, None if they can."""
        return self._read_error

    @cached_property
    def _read_error(self) -> Issue | None:
        try:
            return read_error(self._handle, self._tree.files, self._tree.limits)
        except DataError as error:
            return Issue("unreadable", str(error))

    def missing_regions(self) -> tuple[Box, ...] | None:
        """Return where a virtual dataset has no source; None if nothing of the dataset can be read."""
        return missing_regions(self._handle, self._tree.files)

    def read(self, key: slice | None = None) -> NDArray[Any]:
        """Return the values (rows `key` of them), text as `str`; for tables, clocks and axes, not for signals."""
        if not self.is_dataset or self.shape is None:
            raise DataError(f"{self.path}: expected a dataset with values")
        if trouble := self.read_error():
            raise DataError(f"{self.path}: {trouble}")
        fraction = 1.0 if key is None else _fraction(key, math.prod(self.shape[:1]))
        if (n_bytes := self.n_bytes * fraction) > self._tree.limits.table_bytes:
            raise DataError(
                f"{self.path}: a column or axis of {n_bytes / 2**20:.0f} MiB exceeds the limit of "
                f"{self._tree.limits.table_bytes / 2**20:.0f} MiB; raise limits.table_bytes"
            )
        if self._held is not None and key is None:
            return self._held.copy()
        with guard(self.path):
            self._check_text(math.inf if key is not None else self._tree.limits.table_bytes)
            values = decode_array(self._handle[() if key is None else key])
        if key is None and self._tree.room >= values.nbytes:  # the signals of a file share clocks and tables
            self._tree.room -= values.nbytes
            self._held = values.copy()
        return values

    def _check_text(self, most: float) -> None:
        """Raise if texts of any length say that they have more bytes than the file, or than `most`."""
        if self.dtype is None or h5py.check_string_dtype(self.dtype) is None or self.dtype.kind != "O":
            return
        n_bytes = declared_items(self._handle)
        whole = self._handle.file.id.get_filesize()
        if n_bytes is not None and n_bytes > min(whole, most):
            raise DataError(
                f"{self.path}: its texts say that they have {n_bytes} bytes; expected at most {whole}, the size of the "
                f"file, and the {self._tree.limits.table_bytes} of limits.table_bytes; if neither is too small, the "
                "file is damaged: copy it again"
            )

    def scalar(self, default: Any = None) -> Any:
        """Return the one value of a scalar dataset (or its first), `default` if it cannot be read."""
        try:
            values = self.read()
        except DataError as error:
            self._tree.findings.append(str(error))
            return default
        return decode(values.reshape(-1)[0]) if values.size else default

    def scales(self) -> tuple["Node | None", ...]:
        """Return the HDF5 dimension scale of each axis, None where there is none."""
        return tuple(self._scale_of(axis) for axis in range(len(self.shape or ())))

    def _scale_of(self, axis: int) -> "Node | None":
        try:
            with guard(f"dimension scale of axis {axis} of {self.path}"):
                labels: Any = self._handle.dims[axis] if h5py.h5a.exists(self._handle.id, b"DIMENSION_LIST") else ()
                return self._tree.at(labels[0].id) if len(labels) else None
        except DataError as error:
            self._tree.findings.append(Issue("dangling_link", f"{error}; it is left out", self.path))
            return None

    def source(self) -> Source:
        """Return where the values are stored, for an array that is read later."""
        if self.shape is None or self.dtype is None:
            raise DataError(f"{self.path}: expected a dataset with values")
        handle = self._handle.file
        file = self._tree.files.place(handle)
        stat = file.stat()
        return Source(
            str(file),
            self._handle.name,
            self.shape,
            self.dtype,
            stat.st_size,
            stat.st_mtime_ns,
            self._tree.limits,
            growing=bool(handle.swmr_mode),
        )


class Tree:
    """All nodes of a file by path, without a leading slash; the root has the path "".

    Hard-link aliases and soft links lead to the same `Node`. Whatever cannot be listed is in `findings`.
    """

    def __init__(self, handle: h5py.File, files: Files, limits: Limits) -> None:
        self.files = files
        self.limits = limits
        self.findings: list[Remark] = []
        self._nodes: dict[Address, Node] = {}
        self._links: list[tuple[Node, bytes]] = []
        self._full = False
        self.room = HELD
        self.growing = bool(handle.swmr_mode)
        with guard(str(files.main)):
            root = handle["/"].id
            self.root = self._add((root, b"."), h5py.h5o.get_info(root), "", 0)
            # Links come last, so that the path of an object is the one under which it is stored. A link may lead
            # into another file, which may hold further links.
            while self._links:
                self._resolve(*self._links.pop(0))

    @cached_property
    def digest(self) -> dict[str, str]:
        """The checksum of the file, as attributes of a recording."""
        return digest(self.files.main)

    def __iter__(self) -> Iterator[Node]:
        """Iterate over all nodes in the order of the file."""
        return iter(self._nodes.values())

    def datasets(self) -> list[Node]:
        """Return all datasets in the order of the file."""
        return [node for node in self if node.is_dataset]

    def get(self, path: str) -> Node | None:
        """Return the node that a path leads to, over aliases and links too."""
        node: Node | None = self.root
        for part in path.strip("/").split("/"):
            node = node.children.get(part) if node is not None and part else node
        return node

    def broken(self, path: str) -> str | None:
        """Return why the link at `path` leads nowhere, None if it is no such link."""
        parent, _, name = path.strip("/").rpartition("/")
        node = self.get(parent)
        return node.broken.get(name) if node is not None else None

    def at(self, identifier: Any) -> Node | None:
        """Return the node of an open HDF5 object."""
        return self._nodes.get(_address(identifier))

    def referred(self, reference: Any, holder: Node) -> Node | None:
        """Return the node that an object reference stored in `holder` leads to, None if it leads nowhere."""
        try:
            with guard(f"reference in {holder.path}"):
                return self.at(h5py.h5r.dereference(reference, holder._handle.id)) if reference else None
        except DataError:
            return None

    def _add(self, place: Place, info: Any, path: str, depth: int) -> Node:
        is_dataset = info.type == h5py.h5o.TYPE_DATASET
        node = Node(place, path, self, is_dataset=is_dataset, n_attributes=info.num_attrs)
        self._nodes[info.fileno, info.addr] = node
        if not is_dataset:
            self._list(node, node._handle.id, depth, info.fileno)
        return node

    def _list(self, node: Node, group: h5py.h5g.GroupID, depth: int, file_number: int) -> None:
        if depth >= self.limits.depth:
            self.findings.append(f"{node.path} is {depth} groups deep; what is below it is not listed")
            return
        # A link holds the address of its object: no need to open it to know it. None: it is a link to a path.
        found: list[tuple[bytes, int | None]] = []
        room = self.limits.objects - len(self._nodes) - len(self._links)

        def note(name: bytes, link: Any) -> bool | None:
            found.append((name, link.u if link.type == h5py.h5l.TYPE_HARD else None))
            return True if len(found) > room else None  # True ends it

        group.links.iterate(note, info=True)
        for name, address in found:
            if len(self._nodes) + len(self._links) >= self.limits.objects:
                self._fill_up()
                return
            try:
                with guard(f"{node.path}/{text(name)}".lstrip("/")):
                    self._enter(node, (group, name), address, depth, file_number)
            except DataError as error:
                node.broken[text(name)] = str(error)
                self.findings.append(str(error))

    def _fill_up(self) -> None:
        if not self._full:
            self.findings.append(f"more than {self.limits.objects} objects; the rest is not listed")
        self._full = True

    def _enter(self, node: Node, place: Place, address: int | None, depth: int, file_number: int) -> None:
        if address is None:
            self._links.append((node, place[1]))
            return
        label = text(place[1])
        path = f"{node.path}/{label}".lstrip("/")
        if (known := self._nodes.get((file_number, address))) is not None:
            node.children[label] = known
            known.aliases.append(path)
            return
        info = h5py.h5o.get_info(*place)
        if info.type in KINDS:
            node.children[label] = self._add(place, info, path, depth + 1)

    def _resolve(self, node: Node, link: bytes) -> None:
        name, exact = text(link), link.decode("utf-8", "surrogateescape")
        path = f"{node.path}/{name}".lstrip("/")
        try:
            target = follow(node._handle, exact, self.files).id
            with guard(path):
                info = h5py.h5o.get_info(target)
                known = self._nodes.get((info.fileno, info.addr))
                if known is None:
                    known = self._add((target, b"."), info, path, path.count("/"))
                else:
                    known.aliases.append(path)
            node.children[name] = known
        except DataError as error:
            reason = str(error).removeprefix(f"link to {exact}: ")
            node.broken[name] = reason
            code = code_of(error, "unreadable")
            self.findings.append(Issue(code, f"the link {path} {reason}", path))


def _address(identifier: Any) -> Address:
    info = h5py.h5o.get_info(identifier)
    return (info.fileno, info.addr)


def _fraction(key: slice, size: int) -> float:
    """Return which part of `size` rows a slice takes."""
    return len(range(*key.indices(size))) / max(size, 1)


def _number(value: Any, default: float | None = None) -> float | None:
    if isinstance(value, (str, int, float)):
        try:
            return float(value)
        except ValueError:
            return default
    return default


@contextmanager
def open_tree(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Iterator[Tree]:
    """Open a file and list what is in it; the nodes can be read until the block ends."""
    where = checked_path(path)
    with Files(where) as files:
        yield Tree(files.open(where), files, limits)
