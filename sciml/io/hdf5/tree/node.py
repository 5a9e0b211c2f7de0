"""A group or a dataset of a file, under the one path that it is known by, and what all of a file have in common."""

import math
from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io.hdf5.chunk_index import ChunkIndex
from sciml.io.hdf5.digest import digest
from sciml.io.hdf5.global_heap import declared_items
from sciml.io.hdf5.guard import FAILURES, Limits, guard
from sciml.io.hdf5.issues import Issue, Remark
from sciml.io.hdf5.links import Files, follow
from sciml.io.hdf5.object_headers import declared_texts
from sciml.io.hdf5.read_errors import Box, filters, missing_regions, read_error
from sciml.io.hdf5.source import Source
from sciml.io.hdf5.text import decode, decode_array, text

__all__ = ["Node", "Place", "Shared"]

MAX_ATTRIBUTE_NAMES = 1000
FEW = 64  # attributes whose names are held
HELD = 2**26  # bytes of clocks and tables
KEPT = 256  # bytes of values that are kept when a file is closed
CLOSED = ("_handle", "_read_error")  # what a node gives up then
Address = tuple[int, int]
Place = tuple["Node", bytes, bool]  # the group that holds a link, its name, and whether it is a hard one
T = TypeVar("T")


class Shared:
    """What the nodes of a file have in common: the files that are open, budgets, findings, nodes by address.

    A file is closed when the block that opened it ends, and may be opened again: nodes then open anew what they are
    asked about, and keep what they know.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.findings: list[Remark] = []
        self.nodes: dict[Address, Node] = {}
        self.growing = False
        self._opened: list[Node] = []

    def start(self, files: Files) -> None:
        """Take files that have just been opened."""
        self.files = files
        self.handle = files.open(files.main)
        self.room = HELD
        self.growing = bool(self.handle.swmr_mode)
        self._numbers = {h5py.h5o.get_info(self.handle.id).fileno: 0}  # HDF5 numbers a file anew when it is opened

    def stop(self) -> None:
        """Let go of everything that is open."""
        for node in self._opened:
            node.close()
        self._opened.clear()

    def opened(self, node: "Node") -> None:
        """Note that a node is open."""
        self._opened.append(node)

    def address(self, identifier: Any) -> Address:
        """Return the address of an open HDF5 object."""
        info = h5py.h5o.get_info(identifier)
        return self.number(info.fileno), info.addr

    def number(self, fileno: int) -> int:
        """Return the number of a file among those that were opened, in place of the one that HDF5 gives it."""
        return self._numbers.setdefault(fileno, len(self._numbers))

    @cached_property
    def digest(self) -> dict[str, str]:
        """The checksum of the file, as attributes of a recording."""
        return digest(self.files.main)


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
    n_attributes
        How many attributes it has; those of most objects of large files are none.
    asked, was_read
        Which attributes were asked for, and whether its values were: what nobody asked for was not applied.
    """

    def __init__(self, shared: Shared, place: Place | None, path: str, *, is_dataset: bool, n_attributes: int) -> None:
        self.path = path
        self.children: dict[str, Node] = {}
        self.broken: dict[str, str] = {}
        self.aliases: list[str] = []
        self.is_dataset = is_dataset
        self.asked: set[str] = set()
        self.was_read = False
        self._place = place  # None of the root
        self._shared = shared
        self.n_attributes = n_attributes
        self._attributes: dict[str, Any] = {}
        self._derived: dict[Callable[[Node], Any], Any] = {}
        self._held: NDArray[Any] | None = None

    @cached_property
    def _handle(self) -> Any:
        """The open object. A dataset is opened when it is first asked about: opening takes longer than listing."""
        with guard(self.path):
            identifier = self._open()
            self._shared.opened(self)
            if not self.is_dataset:
                return h5py.Group(identifier)
            if self._shared.growing:
                identifier.refresh()  # this process may have read it before, when it was shorter
            return h5py.Dataset(identifier)

    def _open(self) -> Any:
        if self._place is None:
            return self._shared.handle["/"].id
        holder, link, hard = self._place
        return h5py.h5o.open(holder.identifier, link) if hard else holder.follow(link).id

    @property
    def holder(self) -> "Node | None":
        """The group that holds it; None of the root."""
        return self._place[0] if self._place is not None else None

    @property
    def identifier(self) -> Any:
        """The open HDF5 object of h5py's low level."""
        return self._handle.id

    def follow(self, link: bytes) -> Any:
        """Return the open object that a soft or external link in this group leads to, looked at step by step."""
        return follow(self._handle, link.decode("utf-8", "surrogateescape"), self._shared.files)

    def close(self) -> None:
        """Give up what is open; it opens anew when the node is asked again."""
        for name in CLOSED:
            self.__dict__.pop(name, None)
        if self._held is not None and self._held.nbytes > KEPT:
            self._held = None

    def once(self, derive: Callable[["Node"], T]) -> T:
        """Return what a function makes of this node, made once: thousands of arrays may ask the group around them."""
        if derive not in self._derived:
            self._derived[derive] = derive(self)
        return self._derived[derive]  # type: ignore[no-any-return]

    @cached_property
    def _layout(self) -> tuple[tuple[int, ...] | None, np.dtype[Any] | None]:
        """Shape and dtype of a dataset, None and None of one that is damaged."""
        if not self.is_dataset:
            return None, None
        try:
            with guard(self.path):
                return self._handle.id.shape, self._handle.id.dtype
        except DataError as error:
            self._shared.findings.append(self._unknown_type(error))
            return None, None

    def _unknown_type(self, error: DataError) -> Issue:
        """Return what keeps a dataset from being read: damage, or times in a type of HDF5 that no library reads."""
        try:
            times = self._handle.id.get_type().get_class() == h5py.h5t.TIME
        except (DataError, *FAILURES):
            times = False
        if times:
            return Issue("note", f"{self.path} holds times of the type H5T_TIME, which h5py does not read", self.path)
        return Issue("unreadable", str(error), self.path)

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
            self._shared.findings.append(Issue("unreadable", str(error), self.path))
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
        if not self.n_attributes:
            return default
        self.asked.add(name)
        if name not in self._attributes:
            self._attributes[name] = self._read_attribute(name)
        value = self._attributes[name]
        return default if value is None else value

    @cached_property
    def _few(self) -> Collection[bytes] | None:
        """The names of the attributes if they are few: most that readers ask for are not there."""
        names: list[bytes] = []
        if self.n_attributes <= FEW:
            with guard(f"attributes of {self.path or '/'}"):
                h5py.h5a.iterate(self._handle.id, names.append)
        return names if self.n_attributes <= FEW else None

    def _spelling(self, name: str) -> str:
        """Return how an attribute is spelled that may be in other case; as it was asked for if none is, or several."""
        if not self._few or name.encode() in self._few:
            return name
        same = [text(one) for one in self._few if one.lower() == name.lower().encode()]
        return same[0] if len(same) == 1 else name

    @cached_property
    def _texts(self) -> dict[bytes, int]:
        """How many bytes the texts of attributes say that they have."""
        return declared_texts(self._handle.id)

    def _read_attribute(self, name: str) -> Any:
        try:
            name = self._spelling(name)
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
                if size > self._shared.limits.attribute_bytes:
                    raise DataError(f"attribute {name} of {self.path or '/'} is of {size} bytes and was not read")
                return decode(self._handle.attrs[name])
        except DataError as error:
            self._shared.findings.append(str(error))
            return None

    def attribute_names(self) -> tuple[str, ...]:
        """Return the names of the attributes; none if there are more than anyone writes by hand."""
        return self._names

    @cached_property
    def _names(self) -> tuple[str, ...]:
        if not self.n_attributes:
            return ()
        with guard(f"attributes of {self.path or '/'}"):
            if self.n_attributes > MAX_ATTRIBUTE_NAMES:
                self._shared.findings.append(f"{self.path or '/'} has more than {MAX_ATTRIBUTE_NAMES} attributes")
                return ()
            return tuple(text(name) for name in self._handle.attrs)

    def text(self, name: str, default: str = "") -> str:
        """Return an attribute as stripped text."""
        value = self.attr(name)
        return str(value).strip() if isinstance(value, (str, int, float)) else default

    @property
    def unit(self) -> str:
        """The unit that a dataset states in an attribute, "" if it states none."""
        return self.text("units") or self.text("unit")

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
        return self._shared.digest

    def read_error(self) -> Issue | None:
        """Return why the values cannot be read, None if they can."""
        return self._read_error

    @cached_property
    def _read_error(self) -> Issue | None:
        try:
            return read_error(self._handle, self._shared.files, self._shared.limits)
        except DataError as error:
            return Issue("unreadable", str(error))

    def unwritten_chunks(self) -> str:
        """Return in words how many chunks were never written, empty if all were.

        Raises
        ------
        DataError
            The index of the chunks is damaged.
        """
        with guard(self.path):
            return ChunkIndex(self._handle, self.path).unwritten if self._handle.chunks else ""

    def missing_regions(self) -> tuple[Box, ...] | None:
        """Return where a virtual dataset has no source; None if nothing of the dataset can be read."""
        return missing_regions(self._handle, self._shared.files)

    def read(self, key: slice | None = None) -> NDArray[Any]:
        """Return the values (rows `key` of them), text as `str`; for tables, clocks and axes, not for signals."""
        if not self.is_dataset or self.shape is None:
            raise DataError(f"{self.path}: expected a dataset with values")
        self.was_read = True
        if key is None and self._held is None:
            self._held = self._single()
        if key is None and self._held is not None:
            return np.array(self._held)
        if trouble := self.read_error():
            raise DataError(f"{self.path}: {trouble}")
        fraction = 1.0 if key is None else _fraction(key, math.prod(self.shape[:1]))
        if (n_bytes := self.n_bytes * fraction) > self._shared.limits.table_bytes:
            raise DataError(
                f"{self.path}: a column or axis of {n_bytes / 2**20:.0f} MiB exceeds the limit of "
                f"{self._shared.limits.table_bytes / 2**20:.0f} MiB; raise limits.table_bytes"
            )
        with guard(self.path):
            self._check_text(math.inf if key is not None else self._shared.limits.table_bytes)
            values = decode_array(self._handle[() if key is None else key])
        if key is None and self._shared.room >= values.nbytes:  # the signals of a file share clocks and tables
            self._shared.room -= values.nbytes
            self._held = values.copy()
        return values

    def _single(self) -> NDArray[Any] | None:
        """Return the one number of a dataset that lies in one piece, of which files hold thousands; None of others."""
        if self.dtype is None or self.dtype.kind not in "iuf" or math.prod(self.shape or ()) != 1:
            return None
        with guard(self.path):
            stored = self._handle.id
            plist = stored.get_create_plist()
            plain = plist.get_layout() in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS) and not plist.get_external_count()
            if not plain or not stored.get_storage_size():
                return None
            value = np.empty(self.shape or (), self.dtype)
            stored.read(h5py.h5s.ALL, h5py.h5s.ALL, value)
        return value

    def _check_text(self, most: float) -> None:
        """Raise if texts of any length say that they have more bytes than the file, or than `most`."""
        if self.dtype is None or h5py.check_string_dtype(self.dtype) is None or self.dtype.kind != "O":
            return
        n_bytes = declared_items(self._handle)
        whole = self._handle.file.id.get_filesize()
        if n_bytes is not None and n_bytes > min(whole, most):
            raise DataError(
                f"{self.path}: its texts say that they have {n_bytes} bytes; expected at most {whole}, the size of the "
                f"file, and the {self._shared.limits.table_bytes} of limits.table_bytes; if neither is too small, the "
                "file is damaged: copy it again"
            )

    def scalar(self, default: Any = None) -> Any:
        """Return the one value of a scalar dataset (or its first), `default` if it cannot be read."""
        try:
            values = self.read()
        except DataError as error:
            self._shared.findings.append(str(error))
            return default
        return decode(values.reshape(-1)[0]) if values.size else default

    def scales(self) -> tuple["Node | None", ...]:
        """Return the HDF5 dimension scale of each axis, None where there is none."""
        return tuple(self._scale_of(axis) for axis in range(len(self.shape or ())))

    def _scale_of(self, axis: int) -> "Node | None":
        try:
            with guard(f"dimension scale of axis {axis} of {self.path}"):
                labels: Any = self._handle.dims[axis] if h5py.h5a.exists(self._handle.id, b"DIMENSION_LIST") else ()
                return self._shared.nodes.get(self._shared.address(labels[0].id)) if len(labels) else None
        except DataError as error:
            self._shared.findings.append(Issue("dangling_link", f"{error}; it is left out", self.path))
            return None

    def source(self) -> Source:
        """Return where the values are stored, for an array that is read later."""
        if self.shape is None or self.dtype is None:
            raise DataError(f"{self.path}: expected a dataset with values")
        handle = self._handle.file
        file = self._shared.files.place(handle)
        stat = file.stat()
        return Source(
            str(file),
            self._handle.name,
            self.shape,
            self.dtype,
            stat.st_size,
            stat.st_mtime_ns,
            self._shared.limits,
            growing=bool(handle.swmr_mode),
        )


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
